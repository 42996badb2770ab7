/*
 * state/files.h - what is open and locked in one file system, and its grace period.
 *
 * All servers (views) of a file system share one struct state_files, so that they conflict as they
 * must.
 *
 * Recovery. A client's record is put before its first open in this file system, under a key that is
 * unique to this incarnation of the client, and deleted before its state is dropped. Records that a
 * new process finds say who may reclaim: while there are any, a grace period runs; it ends when all
 * of them sent RECLAIM_COMPLETE or the time is over, and then all records found at the start are
 * deleted, before anything new is granted. So a crash in the middle of it, at any point, loses
 * nobody's rights, and who stays away for one whole grace period has none in the next (the edge conditions of RFC 8881
 * section 8.4.3). RFC 8881 section 8.4.2.
 *
 * A client of version 4.0 has no RECLAIM_COMPLETE. Grace waits for it by time, unless it comes with another verifier: then
 * it has rebooted, and nothing to reclaim. To know more, each OPEN, CLOSE, LOCK and LOCKU would have to be counted
 * durably. So that grace is seldom waited for at all, records of clients that hold nothing for a lease are deleted.
 */
#pragma once

#include "state/types.h"

/* What this room needs of the file system. Called with no lock held; may wait. Errors are -errno.
 */
struct state_files_ops {
    /* Keeps a file readable though it is unlinked; once for each open. -ESTALE: it is gone. */
    int (*hold)(void *context, struct state_file_key file);
    void (*release)(void *context, struct state_file_key file);
    /* Recovery records, durable on return. Keys are 8 bytes, values at most 4 KiB, both opaque.
     * Deleting one that is not there is success. */
    int (*record_put)(void *context, struct slice key, struct slice value);
    int (*record_delete)(void *context, struct slice key);
};

/* `ops` and `context` are borrowed until state_files_free(). Errors: -ENOMEM. */
MUST_CHECK int state_files_new(struct state *state, const struct state_files_ops *ops,
    void *context, struct state_files **out_files);
/* Forgets all opens and locks (the file system goes away; records stay): calls ops.release for
 * each. Stateids of its files become bad. No other function may be working on it. NULL is allowed. */
void state_files_free(struct state_files *files);

/* Feeds one record that the previous process left; all of them before state_files_start(). Errors:
 * -ENOMEM; -EBADMSG: not a record of ours, which the caller should log and leave alone. */
MUST_CHECK int state_files_recover(struct state_files *files, struct slice key, struct slice value);
/* Starts the grace period if anything was recovered. Before the first request. */
void state_files_start(struct state_files *files, uint64_t now_ms);
/* A number that names the file system to whoever makes callbacks: state/deleg.h. Before the first request. */
void state_files_set_tag(struct state_files *files, uint64_t tag);
/* True while only reclaims are granted. */
bool state_files_in_grace(struct state_files *files);
