/*
 * control/worker.h - what takes time: making and deleting volumes, and the states that show it.
 *
 *   creating --(volume made)--> available --(update)--> updating --(taken up)--> available
 *   any --(delete)--> deleting --(volume and clients gone)--> no record
 *
 * Each state is in the catalog, so a restart goes on where a crash stopped: worker_start() looks for all records
 * in a state that passes. Steps may be repeated; making what exists and deleting what is gone is success.
 * Two threads: one for what is quick, one for deletions, which wait for clients to let go.
 */
#pragma once

#include "catalog/records.h"
#include "fs/volumes.h"

struct worker;

enum worker_kind { WORKER_FS, WORKER_MOUNT_TARGET, WORKER_ACCESS_POINT };

/* What the data plane does when something goes. Called on a thread of the worker; may wait. */
struct worker_hooks {
    void *context;
    /* Puts the file system back (fs_volumes_put) and lets nobody in any more; its clients get NFS4ERR_STALE. */
    void (*forget_fs)(void *context, const char *fs_id);
    /* Breaks the connections to a mount target; nobody is let in any more at its address. */
    void (*forget_mount_target)(void *context, const char *mount_target_id, struct in_addr address);
};

/* All borrowed for the life of the worker; hooks that are NULL are not called. */
MUST_CHECK int worker_new(struct catalog *catalog, struct fs_volumes *volumes,
    const struct worker_hooks *hooks, struct worker **out_worker);
/* Starts the threads, and what a crash left undone. */
MUST_CHECK int worker_start(struct worker *worker);
/* Looks at a record soon, and does what its state asks for. Never fails: without memory all records are looked at. */
void worker_submit(struct worker *worker, enum worker_kind kind, const char *id);
/* Ends after the steps that run; what is left goes on at the next start. NULL is allowed. */
void worker_free(struct worker *worker);
