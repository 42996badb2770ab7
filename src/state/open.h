/*
 * state/open.h - opens, share reservations, and what any stateid is good for.
 *
 * One open per (open owner, file): its access and deny are the union of all OPENs, its seqid counts
 * them. A stateid's `other` is {clientid (8 bytes), index and generation in the client's table
 * (4)}; so it names its client, process and server by itself. seqid 0 in a request means "the
 * newest" (4.1). The *current* stateid (seqid 1, other 0) is replaced by the caller before it gets
 * here; the invalid one is BAD_STATEID.
 *
 * `files` and `file` are those of the current filehandle: a stateid of another file is BAD_STATEID.
 *
 * Errors of every function that takes a stateid: STATE_BAD_STATEID, STATE_OLD_STATEID, and in
 * version 4.0 STATE_STALE_STATEID (of an earlier process) and STATE_EXPIRED; below only the others
 * are listed.
 */
#pragma once

#include "state/types.h"

struct state_file_ref {
    struct state_files *files;
    struct state_file_key key;
    uint64_t
        view_tag; /* what the caller's handle of the file says beside the key; callbacks give it back */
};

/* Whether an OPEN (or LOCK) of this kind is allowed now; call it before anything is looked up or
 * created. Puts the client's recovery record if it is not there yet. Errors: STATE_GRACE: not a
 * reclaim, and the file system is in grace or the client has not sent RECLAIM_COMPLETE;
 * STATE_NO_GRACE: a reclaim, and nobody may or this client has completed; STATE_RECLAIM_BAD: a
 * reclaim by a client that had nothing; STATE_EXPIRED: the client lost its lease meanwhile;
 * STATE_STALE_CLIENTID: a caller without a client; STATE_DELAY or STATE_IO: the record cannot be
 * written. May call ops. */
MUST_CHECK enum state_status state_open_permitted(
    const struct state_caller *caller, struct state_files *files, bool reclaim);

struct state_open_args {
    struct state_file_ref file;
    struct slice owner; /* open_owner4.owner, up to STATE_OWNER_SIZE_MAX bytes */
    uint32_t access;    /* STATE_SHARE_READ, WRITE or BOTH */
    uint32_t deny;      /* STATE_SHARE_NONE .. BOTH */
    bool reclaim;       /* CLAIM_PREVIOUS */
    bool has_user; /* `user` was found to be permitted what `access` asks: struct state_io_grant */
    uint32_t user;
};

struct state_opened {
    struct state_stateid stateid;
    bool is_new; /* false: an open of this owner and file was there, and was upgraded */
    uint32_t access_before, deny_before, history_before,
        user_access_before; /* of an upgrade, for state_open_revert() */
};

/* OPEN of a file that exists. Calls state_open_permitted() itself, too. To truncate the file, open
 * first and truncate then. Errors: those of state_open_permitted(); STATE_SHARE_DENIED;
 * STATE_INVAL: access or deny out of range; STATE_STALE: the file is gone; STATE_DQUOT: the client has as many opens, or
 * owners, as it may; STATE_DELAY: no memory, or a client whose state is just being dropped. May call ops. */
MUST_CHECK enum state_status state_open(const struct state_caller *caller,
    const struct state_open_args *args, struct state_opened *out);

/* Takes back a state_open() of which the rest of the operation failed. May call ops. */
void state_open_revert(const struct state_caller *caller, const struct state_open_args *args,
    const struct state_opened *opened);

/* OPEN_DOWNGRADE. Errors: STATE_INVAL: not what is left of the OPENs of this owner, or 0. */
MUST_CHECK enum state_status state_open_downgrade(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid, uint32_t access,
    uint32_t deny, struct state_stateid *out_stateid);

/* CLOSE: drops the open with all its locks. In 4.1 *out_stateid is the invalid special one. May
 * call ops. */
MUST_CHECK enum state_status state_close(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_stateid *out_stateid);

/* FREE_STATEID. Errors: STATE_LOCKS_HELD: it is an open, or a lock stateid that still holds ranges.
 */
MUST_CHECK enum state_status state_free_stateid(
    const struct state_caller *caller, const struct state_stateid *stateid);

/* TEST_STATEID of one: the status to report for it. */
enum state_status state_test_stateid(
    const struct state_caller *caller, const struct state_stateid *stateid);

enum state_io { STATE_IO_READ, STATE_IO_WRITE }; /* SETATTR of the size is a write */

struct state_io_grant {
    bool by_open; /* an open, or a delegation, allows it. False: a special stateid */
    bool by_delegation;
    /* Who opened the file was permitted this then, and may go on whatever becomes of its mode (POSIX: permissions are
     * checked by open()). Of all others the caller must check permissions: a stateid is no secret. */
    bool has_user;
    uint32_t user;
};

/* Whether READ, WRITE or SETATTR(size) may use this stateid, special ones included. A read through
 * an open for writing is allowed, RFC 8881 section 18.22.3. Errors: STATE_OPENMODE; STATE_LOCKED: a
 * special stateid, and someone denies it. Takes one lock; does not renew the 4.1 lease. */
MUST_CHECK enum state_status state_io_check(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid, enum state_io io,
    struct state_io_grant *out_grant);

/* The client that a stateid names, whether there is one or not; of no meaning for special ones. */
uint64_t state_stateid_clientid(const struct state_stateid *stateid);
/* The special stateids. */
bool state_stateid_is_anonymous(const struct state_stateid *stateid);   /* all 0 */
bool state_stateid_is_read_bypass(const struct state_stateid *stateid); /* all 1 */
bool state_stateid_is_current(const struct state_stateid *stateid);     /* seqid 1, other 0 */

/* True if the file is open for writing (by anyone). */
bool state_file_has_writer(const struct state_file_ref *ref);
/* True if the file is open (by anyone, through any view of the file system). */
bool state_file_is_open(struct state_files *files, struct state_file_key file);
