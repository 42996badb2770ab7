/*
 * tests/fuzz/conversation_checks.c - which statuses an operation may be answered with.
 *
 * The statuses that the protocol gives to few operations may come from no other: RFC 7530 section 13.4, RFC 8881 section
 * 15.4, RFC 7862 section 11.3 and RFC 8276 section 8.5, read by status. Those that nearly every operation has (DELAY,
 * STALE, INVAL, ...) are not in the table.
 */
#include <stdio.h>

#include "tests/fuzz/conversation.h"

#define STATEID_IO                                                                             \
    OP_READ, OP_WRITE, OP_SETATTR, OP_READ_PLUS, OP_SEEK, OP_ALLOCATE, OP_DEALLOCATE, OP_COPY, \
        OP_CLONE
#define STATEID_ANY                                                                    \
    STATEID_IO, OP_CLOSE, OP_DELEGRETURN, OP_FREE_STATEID, OP_LOCK, OP_LOCKU, OP_OPEN, \
        OP_OPEN_CONFIRM, OP_OPEN_DOWNGRADE, OP_OFFLOAD_STATUS, OP_OFFLOAD_CANCEL
#define TURNS OP_OPEN, OP_OPEN_CONFIRM, OP_OPEN_DOWNGRADE, OP_CLOSE, OP_LOCK, OP_LOCKU

static const struct rare_status {
    enum nfsstat4 status;
    uint32_t opcodes[24]; /* until 0 */
} rare[] = {
    { NFS4ERR_DENIED, { OP_LOCK, OP_LOCKT } },
    { NFS4ERR_SHARE_DENIED, { OP_OPEN } },
    { NFS4ERR_LOCKED, { STATEID_IO } },
    { NFS4ERR_LOCKS_HELD, { OP_CLOSE, OP_FREE_STATEID, OP_RELEASE_LOCKOWNER } },
    { NFS4ERR_LOCK_RANGE, { OP_LOCK, OP_LOCKT, OP_LOCKU } },
    { NFS4ERR_LOCK_NOTSUPP, { OP_LOCK, OP_LOCKU, OP_OPEN } },
    { NFS4ERR_DEADLOCK, { OP_LOCK } },
    { NFS4ERR_OPENMODE, { STATEID_IO, OP_LOCK } },
    { NFS4ERR_OLD_STATEID, { STATEID_ANY } },
    { NFS4ERR_BAD_STATEID, { STATEID_ANY } },
    { NFS4ERR_STALE_STATEID, { STATEID_ANY } },
    { NFS4ERR_EXPIRED, { STATEID_ANY, OP_RENEW, OP_LOCKT, OP_RELEASE_LOCKOWNER } },
    { NFS4ERR_DELEG_REVOKED, { STATEID_ANY } },
    { NFS4ERR_BAD_SEQID, { TURNS } },
    { NFS4ERR_NOTEMPTY, { OP_REMOVE, OP_RENAME } },
    { NFS4ERR_EXIST, { OP_CREATE, OP_LINK, OP_OPEN, OP_RENAME, OP_SETXATTR } },
    { NFS4ERR_NOENT, { OP_LOOKUP, OP_LOOKUPP, OP_OPEN, OP_REMOVE, OP_RENAME, OP_SECINFO,
                         OP_EXCHANGE_ID, OP_BACKCHANNEL_CTL } },
    { NFS4ERR_XDEV, { OP_LINK, OP_RENAME, OP_COPY, OP_CLONE } },
    { NFS4ERR_FILE_OPEN, { OP_LINK, OP_REMOVE, OP_RENAME } },
    { NFS4ERR_NOT_SAME, { OP_EXCHANGE_ID, OP_READDIR, OP_VERIFY } },
    { NFS4ERR_SAME, { OP_NVERIFY } },
    { NFS4ERR_BAD_COOKIE, { OP_READDIR, OP_LISTXATTRS } },
    { NFS4ERR_TOOSMALL, { OP_READDIR, OP_CREATE_SESSION, OP_LISTXATTRS } },
    { NFS4ERR_BADHANDLE, { OP_PUTFH } },
    { NFS4ERR_NO_GRACE, { OP_OPEN, OP_LOCK } },
    { NFS4ERR_RECLAIM_BAD, { OP_OPEN, OP_LOCK } },
    { NFS4ERR_RECLAIM_CONFLICT, { OP_OPEN, OP_LOCK } },
    { NFS4ERR_CLID_INUSE, { OP_SETCLIENTID, OP_SETCLIENTID_CONFIRM, OP_EXCHANGE_ID,
                              OP_CREATE_SESSION, OP_DESTROY_CLIENTID } },
    { NFS4ERR_CLIENTID_BUSY, { OP_DESTROY_CLIENTID } },
    { NFS4ERR_STALE_CLIENTID, { OP_CREATE_SESSION, OP_DESTROY_CLIENTID, OP_SETCLIENTID_CONFIRM,
                                  OP_RENEW, OP_OPEN, OP_LOCK, OP_LOCKT, OP_RELEASE_LOCKOWNER } },
    { NFS4ERR_COMPLETE_ALREADY, { OP_RECLAIM_COMPLETE, OP_OFFLOAD_CANCEL } },
    { NFS4ERR_BADSESSION, { OP_SEQUENCE, OP_BIND_CONN_TO_SESSION, OP_DESTROY_SESSION } },
    { NFS4ERR_BADSLOT, { OP_SEQUENCE } },
    { NFS4ERR_BAD_HIGH_SLOT, { OP_SEQUENCE } },
    { NFS4ERR_SEQ_MISORDERED, { OP_SEQUENCE, OP_CREATE_SESSION } },
    { NFS4ERR_SEQ_FALSE_RETRY, { OP_SEQUENCE } },
    { NFS4ERR_RETRY_UNCACHED_REP, { OP_SEQUENCE } },
    { NFS4ERR_REQ_TOO_BIG, { OP_SEQUENCE } },
    { NFS4ERR_TOO_MANY_OPS, { OP_SEQUENCE } },
    { NFS4ERR_SEQUENCE_POS, { OP_SEQUENCE } },
    { NFS4ERR_CONN_NOT_BOUND_TO_SESSION, { OP_SEQUENCE, OP_DESTROY_SESSION } },
    { NFS4ERR_NOT_ONLY_OP, { OP_BIND_CONN_TO_SESSION, OP_CREATE_SESSION, OP_DESTROY_CLIENTID,
                               OP_DESTROY_SESSION, OP_EXCHANGE_ID } },
    { NFS4ERR_NOXATTR, { OP_GETXATTR, OP_SETXATTR, OP_REMOVEXATTR } },
    { NFS4ERR_XATTR2BIG, { OP_SETXATTR, OP_GETXATTR, OP_LISTXATTRS } },
};

void talk_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    abort();
}

/* RFC 7530 ends at CB_PATH_DOWN, RFC 8881 at DELEG_REVOKED; RFC 8881 section 15.1.16 ff. retires some of 4.0's. */
static bool is_of_version(uint32_t minor, enum nfsstat4 status)
{
    if (minor == 0)
        return status <= NFS4ERR_CB_PATH_DOWN;
    if (status == NFS4ERR_RESOURCE || status == NFS4ERR_BAD_SEQID ||
        status == NFS4ERR_LEASE_MOVED || status == NFS4ERR_STALE_STATEID)
        return false;
    return minor >= 2 || status <= NFS4ERR_DELEG_REVOKED;
}

void check_status(uint32_t minor, uint32_t opcode, enum nfsstat4 status)
{
    if (status == NFS4ERR_SERVERFAULT || status == NFS4ERR_IO || !is_of_version(minor, status))
        talk_fail("operation %u of 4.%u was answered %u", opcode, minor, status);
    for (size_t i = 0; i < ARRAY_SIZE(rare); i++) {
        if (rare[i].status != status)
            continue;
        for (size_t at = 0; at < ARRAY_SIZE(rare[i].opcodes); at++) {
            if (rare[i].opcodes[at] == opcode)
                return;
        }
        talk_fail("operation %u of 4.%u may not be answered %u", opcode, minor, status);
    }
}
