/*
 * state/lock.h - byte-range locks: advisory, POSIX rules, kept per file (RFC 8881 section 18.10).
 *
 * Ranges of one owner merge and split; ranges of different owners conflict unless both are read
 * locks. An owner is (client, owner bytes); it has one lock stateid per open it locks through.
 * Nothing waits: the blocking types are answered as the others, and who asked is told later (state/deleg.h). Stateid errors: state/open.h.
 */
#pragma once

#include "state/open.h"

enum state_lock_type {
    STATE_LOCK_READ = 1,
    STATE_LOCK_WRITE = 2
}; /* READW_LT and WRITEW_LT: the same */

struct state_lock_range {
    enum state_lock_type type;
    uint64_t offset;
    uint64_t length; /* UINT64_MAX: to the end of the file, however far */
};

/* Who stands in the way; `owner` points into `owner_bytes`. */
struct state_lock_denied {
    struct state_lock_range range;
    uint64_t clientid;
    struct slice owner;
    uint8_t owner_bytes[STATE_OWNER_SIZE_MAX];
};

struct state_lock_args {
    struct state_file_ref file;
    struct state_lock_range range;
    bool reclaim;
    bool waits; /* READW_LT, WRITEW_LT: when it is denied the client is told once it may be free */
    bool new_owner; /* open_to_lock_owner4: `stateid` is the open's, `owner` is given */
    struct state_stateid stateid; /* else the lock stateid */
    struct slice owner;
    uint32_t file_range_max; /* of the file, of all owners together; 0: what the options say */
};

/* LOCK. Errors: STATE_DENIED, and *out_denied is written, also at file_range_max (then with any range of the file); STATE_INVAL: the range; STATE_OPENMODE:
 * the open is not for that; STATE_GRACE, STATE_NO_GRACE, STATE_RECLAIM_BAD as of
 * state_open_permitted(); STATE_DQUOT: the client has as many ranges, lock stateids
 * or owners as it may; STATE_DELAY: no memory, or a client whose state is just being dropped. May call ops. */
MUST_CHECK enum state_status state_lock(const struct state_caller *caller,
    const struct state_lock_args *args, struct state_stateid *out_stateid,
    struct state_lock_denied *out_denied);

/* LOCKT: STATE_OK when the owner could lock now. `clientid` is of version 4.0. Errors:
 * STATE_DENIED, STATE_INVAL, STATE_GRACE, STATE_STALE_CLIENTID (4.0). May call ops. */
MUST_CHECK enum state_status state_lock_test(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_lock_range *range, uint64_t clientid,
    struct slice owner, struct state_lock_denied *out_denied);

/* LOCKU; the type in `range` is ignored. Unlocking what is not locked is success. Errors:
 * STATE_INVAL; STATE_DQUOT: a split, by a client that has got far beyond its limit by others; STATE_DELAY: no memory. */
MUST_CHECK enum state_status state_unlock(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_lock_range *range,
    const struct state_stateid *stateid, struct state_stateid *out_stateid);
