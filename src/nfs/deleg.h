/*
 * nfs/deleg.h - getting delegations out of the way of an operation, and making the callbacks that state/ asks for.
 *
 * An operation that meets another client's delegation has it recalled and waits in its fiber, at most DELEG_WAIT_MS;
 * most clients return it in that time and nobody has to ask again. Then it is NFS4ERR_DELAY.
 */
#pragma once

#include "nfs/compound.h"
#include "state/deleg.h"

#define DELEG_WAIT_MS 70u

/* Starts the thread. Errors: -EAGAIN. */
MUST_CHECK int deleg_waits_init(struct deleg_waits *waits);
/* When nobody waits any more. Allowed after a failed deleg_waits_init(). */
void deleg_waits_fini(struct deleg_waits *waits);

MUST_CHECK enum nfsstat4 deleg_clear_file(struct nfs_server *server,
    const struct state_caller *caller, const struct state_file_ref *file, enum state_deleg_use use);

/* Gets others' delegations on a node out of the way of such a use by this request. NFS4ERR_DELAY: they are recalled,
 * and not back yet. Costs an atomic load when there are none. May wait. */
MUST_CHECK static inline enum nfsstat4 deleg_clear(struct compound *compound,
    const struct nfs_volume *volume, struct fs_node node, enum state_deleg_use use)
{
    struct state_file_ref file = { .files = volume->files, .key = file_key_of(node) };
    if (LIKELY(!state_deleg_may_exist(file.files, &file.key, use)))
        return NFS4_OK;
    return deleg_clear_file(compound->server, &compound->caller, &file, use);
}

/* As deleg_clear() for a change, of the file that a name in a directory stands for, if it does. */
MUST_CHECK enum nfsstat4 deleg_clear_name(
    struct compound *compound, const struct place *dir, struct slice name);

/* Before attributes of a file are told: asks a client that has a write delegation what they are now (CB_GETATTR), or
 * has it recalled. `place` has its attributes. NFS4ERR_DELAY. May wait. */
MUST_CHECK enum nfsstat4 deleg_ask_writer(struct compound *compound, struct place *place);

/* The client of this request gave up its delegation on the current file: who waits for that goes on. */
void deleg_returned(struct nfs_server *server, const struct state_file_ref *file);

/* Makes the callbacks that are due. From any thread; does not wait. */
void deleg_pump(struct nfs_server *server);
void deleg_tick(struct nfs_server *server, uint64_t now_ms);
