/*
 * tests/bench/session.c - what happens before and after the measured time, one call at a time: the client's
 * identity and session, its directory and its data file.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "bench.h"

#define HEADROOM_BYTES  (64u * 1024) /* of a request or reply, beside the data */
#define OPERATIONS_MAX  32u
#define RETRY_MS        100u
#define GRACE_PERIOD_MS (120 * 1000)

/* Sends a request made by `add` until the answer is neither DELAY nor GRACE: a server just started may
 * want to know first whether clients of its former life come back. Any other error is told and -EIO. */
static int call_until_ready(struct conn *conn, struct slot *slot,
    void (*add)(struct conn *conn, struct request *request), struct reply *out_reply)
{
    for (uint32_t waited_ms = 0;; waited_ms += RETRY_MS) {
        struct request request;
        if (slot == NULL)
            request_begin_without_session(conn, &request);
        else
            request_begin(conn, slot, &request);
        add(conn, &request);
        int err = conn_call(conn, &request, out_reply);
        if (err < 0)
            return err;
        bool is_busy = out_reply->status == NFS4ERR_DELAY || out_reply->status == NFS4ERR_GRACE;
        if (!is_busy || waited_ms > GRACE_PERIOD_MS)
            break;
        (void)usleep(RETRY_MS * 1000); /* a shorter sleep only asks again sooner */
    }
    if (slot != NULL && !reply_sequence(out_reply))
        return -EPROTO;
    return 0;
}

static int told(const struct conn *conn, const struct reply *reply, const char *what)
{
    if (reply->status != NFS4_OK)
        (void)fprintf(stderr, "connection %u: %s: status %u\n", conn->index, what, reply->status);
    return reply->status == NFS4_OK ? 0 : -EIO;
}

static void add_exchange_id(struct conn *conn, struct request *request)
{
    char owner[64];
    int size = snprintf(owner, sizeof owner, "shoal-bench %u %016llx", conn->index,
        (unsigned long long)random_u64());
    union nfs_argop4 args = { 0 };
    random_bytes(args.opexchange_id.eia_clientowner.co_verifier, NFS4_VERIFIER_SIZE);
    args.opexchange_id.eia_clientowner.co_ownerid = slice_of(owner, (size_t)size);
    args.opexchange_id.eia_state_protect.spa_how = SP4_NONE;
    request_add(request, OP_EXCHANGE_ID, &args);
}

static void add_create_session(struct conn *conn, struct request *request)
{
    const struct channel_attrs4 fore = {
        .ca_maxrequestsize = IO_SIZE_MAX + HEADROOM_BYTES,
        .ca_maxresponsesize = IO_SIZE_MAX + HEADROOM_BYTES,
        .ca_maxresponsesize_cached = HEADROOM_BYTES,
        .ca_maxoperations = OPERATIONS_MAX,
        .ca_maxrequests = conn->options->in_flight,
    };
    const struct channel_attrs4 back = {
        .ca_maxrequestsize = 4096,
        .ca_maxresponsesize = 4096,
        .ca_maxresponsesize_cached = 0,
        .ca_maxoperations = 2,
        .ca_maxrequests = 1,
    };
    struct callback_sec_parms4 security = { .cb_secflavor = AUTH_NONE };
    union nfs_argop4 args = { 0 };
    args.opcreate_session = (struct CREATE_SESSION4args){
        .csa_clientid = conn->clientid,
        .csa_sequence = conn->client_sequence,
        .csa_fore_chan_attrs = fore,
        .csa_back_chan_attrs = back,
        .csa_cb_program = NFS4_CALLBACK,
        .csa_sec_parms = { .count = 1, .items = &security },
    };
    request_add(request, OP_CREATE_SESSION, &args);
}

static void add_reclaim_complete(struct conn *conn, struct request *request)
{
    (void)conn;
    union nfs_argop4 args = { .opreclaim_complete = { .rca_one_fs = false } };
    request_add(request, OP_RECLAIM_COMPLETE, &args);
}

int session_open(struct conn *conn)
{
    struct reply reply;
    union nfs_resop4 result;
    int err = call_until_ready(conn, NULL, add_exchange_id, &reply);
    if (err < 0)
        return err;
    if (!reply_read(&reply, OP_EXCHANGE_ID, &result))
        return told(conn, &reply, "EXCHANGE_ID");
    conn->clientid = result.opexchange_id.eir_resok4.eir_clientid;
    conn->client_sequence = result.opexchange_id.eir_resok4.eir_sequenceid;

    err = call_until_ready(conn, NULL, add_create_session, &reply);
    if (err < 0)
        return err;
    if (!reply_read(&reply, OP_CREATE_SESSION, &result))
        return told(conn, &reply, "CREATE_SESSION");
    const struct CREATE_SESSION4resok *session = &result.opcreate_session.csr_resok4;
    memcpy(conn->sessionid, session->csr_sessionid, sizeof conn->sessionid);
    if (session->csr_fore_chan_attrs.ca_maxrequests < conn->options->in_flight) {
        (void)fprintf(stderr, "the server allows %u requests in flight, not %u\n",
            session->csr_fore_chan_attrs.ca_maxrequests, conn->options->in_flight);
        return -EDQUOT;
    }
    err = call_until_ready(conn, &conn->slots[0], add_reclaim_complete, &reply);
    return err < 0 ? err : told(conn, &reply, "RECLAIM_COMPLETE");
}

static void add_destroy_session(struct conn *conn, struct request *request)
{
    union nfs_argop4 args;
    memcpy(args.opdestroy_session.dsa_sessionid, conn->sessionid, sizeof conn->sessionid);
    request_add(request, OP_DESTROY_SESSION, &args);
}

static void add_destroy_clientid(struct conn *conn, struct request *request)
{
    union nfs_argop4 args = { .opdestroy_clientid = { .dca_clientid = conn->clientid } };
    request_add(request, OP_DESTROY_CLIENTID, &args);
}

void session_close(struct conn *conn)
{
    struct reply reply;
    /* A server that refuses keeps them for a lease; nothing depends on it. */
    if (call_until_ready(conn, NULL, add_destroy_session, &reply) == 0)
        (void)call_until_ready(conn, NULL, add_destroy_clientid, &reply);
}

static void add_getfh(struct request *request)
{
    const union nfs_argop4 none = { 0 };
    request_add(request, OP_GETFH, &none);
}

int session_find_path(struct conn *conn, const char *path)
{
    struct request request;
    const union nfs_argop4 none = { 0 };
    request_begin(conn, &conn->slots[0], &request);
    request_add(&request, OP_PUTROOTFH, &none);
    uint32_t names = 0;
    for (const char *name = path + strspn(path, "/"); *name != '\0'; name += strspn(name, "/")) {
        size_t size = strcspn(name, "/");
        union nfs_argop4 args = { .oplookup = { .objname = slice_of(name, size) } };
        request_add(&request, OP_LOOKUP, &args);
        name += size;
        names++;
    }
    add_getfh(&request);
    struct reply reply;
    int err = conn_call(conn, &request, &reply);
    if (err < 0)
        return err;
    union nfs_resop4 result;
    bool is_read = reply_sequence(&reply) && reply_skip(&reply, OP_PUTROOTFH);
    for (uint32_t i = 0; i < names; i++)
        is_read = is_read && reply_skip(&reply, OP_LOOKUP);
    if (!is_read || !reply_read(&reply, OP_GETFH, &result))
        return told(conn, &reply, path) < 0 ? -ENOENT : -EPROTO;
    return handle_set(&conn->parent, result.opgetfh.resok4.object) ? 0 : -EPROTO;
}

int session_make_directory(struct conn *conn, const char *name)
{
    struct request request;
    struct reply reply;
    union nfs_resop4 result;
    uint32_t bits[2] = { 0, 1u << (FATTR4_MODE - 32) };
    static const uint8_t mode[4] = { 0, 0, 0x1, 0xed }; /* 0755 */
    request_begin(conn, &conn->slots[0], &request);
    request_add_handle(&request, &conn->parent);
    union nfs_argop4 args = { .opcreate = { .objtype = { .type = NF4DIR },
                                  .objname = slice_str(name),
                                  .createattrs = { .attrmask = { .count = 2, .items = bits },
                                      .attr_vals = slice_of(mode, sizeof mode) } } };
    request_add(&request, OP_CREATE, &args);
    add_getfh(&request);
    int err = conn_call(conn, &request, &reply);
    if (err < 0)
        return err;
    if (!reply_sequence(&reply) || !reply_skip(&reply, OP_PUTFH) ||
        !reply_skip(&reply, OP_CREATE) || !reply_read(&reply, OP_GETFH, &result))
        return told(conn, &reply, name) < 0 ? -EIO : -EPROTO;
    return handle_set(&conn->directory, result.opgetfh.resok4.object) ? 0 : -EPROTO;
}

int session_remove_directory(struct conn *conn, const char *name)
{
    struct request request;
    struct reply reply;
    request_begin(conn, &conn->slots[0], &request);
    request_add_handle(&request, &conn->parent);
    union nfs_argop4 args = { .opremove = { .target = slice_str(name) } };
    request_add(&request, OP_REMOVE, &args);
    int err = conn_call(conn, &request, &reply);
    return err < 0 ? err : told(conn, &reply, name);
}

static void add_open_data(struct conn *conn, struct request *request)
{
    request_add_handle(request, &conn->directory);
    request_add_open(conn, &conn->slots[0], request, 'd', true);
    add_getfh(request);
}

int session_open_data(struct conn *conn)
{
    struct reply reply;
    union nfs_resop4 result;
    struct slot *slot = &conn->slots[0];
    slot->number = 0;
    int err = call_until_ready(conn, slot, add_open_data, &reply);
    if (err < 0)
        return err;
    if (!reply_skip(&reply, OP_PUTFH) || !reply_read_open(&reply, slot) ||
        !reply_read(&reply, OP_GETFH, &result))
        return told(conn, &reply, "OPEN") < 0 ? -EIO : -EPROTO;
    conn->data_stateid = slot->open_stateid;
    conn->has_writeverf = false;
    memset(conn->generations, 0, conn->options->file_bytes / BLOCK_BYTES);
    return handle_set(&conn->data_file, result.opgetfh.resok4.object) ? 0 : -EPROTO;
}

int session_close_data(struct conn *conn)
{
    struct request request;
    struct reply reply;
    struct slot *slot = &conn->slots[0];
    slot->open_stateid = conn->data_stateid;
    request_begin(conn, slot, &request);
    request_add_handle(&request, &conn->data_file);
    request_add_close(slot, &request);
    int err = conn_call(conn, &request, &reply);
    if (err < 0 || told(conn, &reply, "CLOSE") < 0)
        return err < 0 ? err : -EIO;
    request_begin(conn, slot, &request);
    request_add_handle(&request, &conn->directory);
    char name[16];
    union nfs_argop4 args = { .opremove = { .target = file_name('d', 0, name) } };
    request_add(&request, OP_REMOVE, &args);
    err = conn_call(conn, &request, &reply);
    return err < 0 ? err : told(conn, &reply, "REMOVE of the data file");
}

int session_commit_data(struct conn *conn)
{
    struct request request;
    struct reply reply;
    union nfs_resop4 result;
    request_begin(conn, &conn->slots[0], &request);
    request_add_handle(&request, &conn->data_file);
    const union nfs_argop4 args = { .opcommit = { .offset = 0, .count = 0 } };
    request_add(&request, OP_COMMIT, &args);
    int err = conn_call(conn, &request, &reply);
    if (err < 0)
        return err;
    if (!reply_sequence(&reply) || !reply_skip(&reply, OP_PUTFH) ||
        !reply_read(&reply, OP_COMMIT, &result))
        return told(conn, &reply, "COMMIT") < 0 ? -EIO : -EPROTO;
    /* Another verifier means that unstable writes may be lost (RFC 8881 section 18.3.3). */
    if (conn->has_writeverf &&
        memcmp(conn->writeverf, result.opcommit.resok4.writeverf, NFS4_VERIFIER_SIZE) != 0) {
        (void)fprintf(stderr, "connection %u: the write verifier changed\n", conn->index);
        return -EIO;
    }
    return 0;
}
