/*
 * state/types.h - the words of this room: statuses, stateids, keys of files, who asks.
 *
 * The numbers are those of RFC 8881 (and RFC 7530), so the nfs room maps them one to one; it
 * asserts that they are equal. This room knows nothing else of the wire.
 */
#pragma once

#include "base/base.h"

#define STATE_OTHER_SIZE        12u
#define STATE_VERIFIER_SIZE     8u
#define STATE_SESSIONID_SIZE    16u
#define STATE_OWNER_SIZE_MAX    1024u /* NFS4_OPAQUE_LIMIT */
#define STATE_PRINCIPAL_MAX     512u  /* bytes of a principal */
#define STATE_IDENTITY_SIZE_MAX 512u  /* bytes of a server's identity */

/* What a function of this room answers: STATE_OK, or the number of the nfsstat4 to send. */
enum state_status {
    STATE_OK = 0,
    STATE_PERM = 1,
    STATE_NOENT = 2,
    STATE_IO = 5,
    STATE_INVAL = 22,
    STATE_NOSPC = 28,
    STATE_DQUOT = 69,
    STATE_STALE = 70,
    STATE_TOOSMALL = 10005,
    STATE_DELAY = 10008,
    STATE_DENIED = 10010,
    STATE_EXPIRED = 10011,
    STATE_LOCKED = 10012,
    STATE_GRACE = 10013,
    STATE_SHARE_DENIED = 10015,
    STATE_CLID_INUSE = 10017,
    STATE_RESOURCE = 10018,
    STATE_STALE_CLIENTID = 10022,
    STATE_STALE_STATEID = 10023,
    STATE_OLD_STATEID = 10024,
    STATE_BAD_STATEID = 10025,
    STATE_BAD_SEQID = 10026,
    STATE_NOT_SAME = 10027,
    STATE_NO_GRACE = 10033,
    STATE_RECLAIM_BAD = 10034,
    STATE_LOCKS_HELD = 10037,
    STATE_OPENMODE = 10038,
    STATE_BAD_RANGE = 10042,
    STATE_CB_PATH_DOWN = 10048,
    STATE_BADSESSION = 10052,
    STATE_BADSLOT = 10053,
    STATE_COMPLETE_ALREADY = 10054,
    STATE_CONN_NOT_BOUND_TO_SESSION = 10055,
    STATE_SEQ_MISORDERED = 10063,
    STATE_REQ_TOO_BIG = 10065,
    STATE_REP_TOO_BIG_TO_CACHE = 10067,
    STATE_RETRY_UNCACHED_REP = 10068,
    STATE_TOO_MANY_OPS = 10070,
    STATE_CLIENTID_BUSY = 10074,
    STATE_SEQ_FALSE_RETRY = 10076,
    STATE_BAD_HIGH_SLOT = 10077,
    STATE_DELEG_REVOKED = 10087,
};

/* OPEN4_SHARE_ACCESS_* and OPEN4_SHARE_DENY_*, without the WANT bits. */
#define STATE_SHARE_NONE  0u /* of deny only */
#define STATE_SHARE_READ  1u
#define STATE_SHARE_WRITE 2u
#define STATE_SHARE_BOTH  3u

struct state_stateid {
    uint32_t seqid;
    uint8_t other[STATE_OTHER_SIZE];
};

/* Names a file within one file system: the two words of a struct fs_node. */
struct state_file_key {
    uint64_t inode;
    uint64_t generation;
};

struct state;        /* of the process: state/state.h */
struct state_server; /* one NFS server as clients see it: state/client.h */
struct state_client;
struct state_session;
struct state_ticket; /* a request in progress: state/session.h */
struct state_files;  /* of one file system: state/files.h */

/* Who asks, and when. In version 4.1 and later `client` is that of the request's session. In
 * version 4.0 it is NULL: there the stateid, or a clientid argument, names the client. GETATTR, SETATTR, REMOVE and
 * others have neither: whose they are is `spoken_for`, a clientid, if that is known; else 0. It decides only
 * whose delegations are not in the way: docs/design/0004-delegations.md. */
struct state_caller {
    struct state_server *server;
    struct state_client *client;
    uint64_t spoken_for;
    uint64_t now_ms; /* of a clock that never goes back */
};
