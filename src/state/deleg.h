/*
 * state/deleg.h - delegations: a client may work on a file alone until it is recalled (RFC 8881 section 10.4).
 *
 *   state_deleg_grant() --> GRANTED --conflict--> RECALLED --a lease without return--> REVOKED --FREE_STATEID--> gone (4.0: at once)
 *                              '--- state_deleg_return() ---'---------------------------------------------------> gone
 *
 * A conflict is found by state_deleg_clear() (and by state_open(), for what came between). It puts what is to be
 * recalled on a list; the nfs room takes it from there with state_recall_next(), calls the client, and says with
 * state_recall_sent() how that went. So nothing here waits for a client. A client's own delegations are never
 * in its way.
 *
 * A delegation and a change of its file cannot miss each other: the change is counted first and looks for
 * delegations then, the grant is counted first and looks for changes then.
 */
#pragma once

#include "state/open.h"

enum state_deleg_kind { STATE_DELEG_NONE = 0, STATE_DELEG_READ = 1, STATE_DELEG_WRITE = 2 };

/* What another client wants to do: READ conflicts with write delegations, CHANGE (of data, attributes or names, or
 * an open that denies something) with all. */
enum state_deleg_use { STATE_USE_READ, STATE_USE_CHANGE };

/* Why there is no delegation; the numbers are those of why_no_delegation4. */
enum state_deleg_why {
    STATE_WHY_CONTENTION = 1,
    STATE_WHY_RESOURCE = 2,
    STATE_WHY_NOT_SUPP_UPGRADE = 5,
};

struct state_time {
    int64_t seconds;
    uint32_t nanoseconds;
};

struct state_deleg_args {
    struct state_file_ref file;  /* which the caller has open */
    enum state_deleg_kind kind;  /* READ or WRITE */
    bool reclaim;                /* CLAIM_PREVIOUS: it was held before the restart */
    uint64_t change, size_bytes; /* of the file now: kept for state_deleg_writer() */
    bool has_times;              /* the client keeps the file's times, too (RFC 9754) */
    struct state_time atime, mtime;
};

/* OPEN: gives the client of `caller` a delegation if the policy allows one: a connection for
 * callbacks, no open of another client in the way, no conflict on this file in the last 30 s, the limits. Gives
 * false and *out_why. Its stateid's seqid is 1. May call ops. */
MUST_CHECK bool state_deleg_grant(const struct state_caller *caller,
    const struct state_deleg_args *args, struct state_stateid *out_stateid,
    enum state_deleg_why *out_why);

/* Whether the stateid is a delegation of the client on this file: CLAIM_DELEGATE_CUR. *out_kind: which. Errors:
 * those of a stateid; STATE_DELEG_REVOKED. */
MUST_CHECK enum state_status state_deleg_check(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    enum state_deleg_kind *out_kind);

/* DELEGRETURN. Errors: those of a stateid; STATE_DELEG_REVOKED. May call ops. */
MUST_CHECK enum state_status state_deleg_return(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid);

/* False: certainly no delegation of anybody on this file is in the way of such a use. Takes no lock. */
bool state_deleg_may_exist(
    struct state_files *files, const struct state_file_key *key, enum state_deleg_use use);

/* The same of all files of a file system, and any use. */
bool state_files_have_delegs(const struct state_files *files);

/* Whether others' delegations let `caller` use the file so. One whose client is not known is another one than all that
 * have delegations. STATE_DELAY: they were recalled, ask again later. May call ops. */
MUST_CHECK enum state_status state_deleg_clear(
    const struct state_caller *caller, const struct state_file_ref *file, enum state_deleg_use use);

/* Around a change that needs no open: nobody gets a delegation on the file meanwhile. Between them, and before the
 * change, comes state_deleg_clear(). */
void state_change_begin(struct state_files *files, const struct state_file_key *key);
void state_change_end(struct state_files *files, const struct state_file_key *key);

/* Who else has a write delegation on the file, for CB_GETATTR. What the client said last is at first what the file was when
 * it was granted. False: nobody. */
struct state_deleg_writer {
    uint64_t clientid;
    uint64_t view_tag; /* of the state_file_ref by which it was granted */
    uint32_t handle;
    uint64_t change; /* of the file when it was granted */
    uint64_t said_change, said_size_bytes;
    bool is_recalled; /* it is on its way back */
    bool has_times;
    struct state_time atime, mtime;           /* of the file when it was granted */
    struct state_time said_atime, said_mtime; /* by the client, last; or those */
};
MUST_CHECK bool state_deleg_writer(const struct state_caller *caller,
    const struct state_file_ref *file, struct state_deleg_writer *out);
/* Keeps what the client said. */
void state_deleg_writer_said(
    const struct state_file_ref *file, const struct state_deleg_writer *writer);
/* SETATTR of delegated times: whether the stateid is a write delegation of the client on this file that has them. *out is
 * as of state_deleg_writer(). Errors: STATE_BAD_STATEID, also when it has none; those of a stateid. */
MUST_CHECK enum state_status state_deleg_times(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_deleg_writer *out);

/* The caller itself has set the times of the file to these: what it tells later, as the holder of a write delegation, counts from
 * here. */
void state_deleg_times_begin(const struct state_caller *caller, const struct state_file_ref *file,
    struct state_time atime, struct state_time mtime);

/* ---- callbacks that are to be made ---- */

struct state_recall {
    uint64_t clientid;
    struct state_stateid stateid;
    uint64_t fs_tag; /* of state_files_set_tag() */
    struct state_file_key key;
    uint64_t view_tag; /* of the state_file_ref by which it was granted */
};
/* The next recall to be sent now. False: none. */
MUST_CHECK bool state_recall_next(struct state *state, struct state_recall *out);
/* How that went: `retry_ms` later it is to be tried again; UINT64_MAX: the client has it. */
void state_recall_sent(
    struct state *state, const struct state_recall *recall, uint64_t now_ms, uint64_t retry_ms);

/* A lock that was denied to a waiter and may be free now: CB_NOTIFY_LOCK. */
struct state_lock_notice {
    uint64_t clientid;
    uint64_t fs_tag;
    struct state_file_key key;
    uint64_t view_tag;  /* of the state_file_ref by which it was asked for */
    struct slice owner; /* of the lock; points into owner_bytes */
    uint8_t owner_bytes[STATE_OWNER_SIZE_MAX];
};
MUST_CHECK bool state_lock_notice_next(struct state *state, struct state_lock_notice *out);

/* A client that should give some delegations back, as there are too many: CB_RECALL_ANY. *cursor: 0 at first; false:
 * no more, or there is no need. At most one round in 10 s. */
MUST_CHECK bool state_deleg_pressure(struct state *state, uint64_t now_ms, uint32_t *cursor,
    uint64_t *out_clientid, uint32_t *out_keep_count);
