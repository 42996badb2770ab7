/* tests/unit/client/fake_server.c - a scripted NFSv4.1 server. */
#include "fake_server.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/rpc.h"

#define ARENA_BYTES_MAX (8u << 20)

static bool receive_exact(int fd, void *to, size_t size)
{
    return size == 0 || recv(fd, to, size, MSG_WAITALL) == (ssize_t)size;
}

static uint8_t *receive_record(int fd, size_t *out_size)
{
    uint8_t mark[4];
    if (!receive_exact(fd, mark, sizeof mark))
        return NULL;
    size_t size = load_be32(mark) & ~RPC_LAST_FRAGMENT;
    uint8_t *record = malloc(size + 1);
    assert(record != NULL);
    if (!receive_exact(fd, record, size)) {
        free(record);
        return NULL;
    }
    *out_size = size;
    return record;
}

static void send_bytes(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client is gone, which it may be */
        data += sent;
        size -= (size_t)sent;
    }
}

/* Reads the call; false: it is none. */
static bool read_request(
    struct xdr_decoder *dec, struct rpc_call *call, struct fake_request *request)
{
    struct slice tag;
    uint32_t minor;
    if (rpc_get_call(dec, call) < 0 || !xdr_get_opaque(dec, NFS4_TAG_MAX, &tag) ||
        !xdr_get_u32(dec, &minor) || !xdr_get_u32(dec, &request->op_count) ||
        request->op_count > FAKE_OPS_MAX)
        return false;
    for (uint32_t i = 0; i < request->op_count; i++) {
        if (!xdr_get_u32(dec, &request->ops[i]) ||
            !nfs_argop4_decode(dec, request->ops[i], &request->args[i]))
            return false;
    }
    return true;
}

/* The result of an operation that succeeds. */
static void fill_result(struct fake_server *server, const struct fake_request *request, uint32_t at,
    union nfs_resop4 *res)
{
    static uint8_t handle[] = "handle";
    memset(res, 0, sizeof *res);
    switch (request->ops[at]) {
    case OP_EXCHANGE_ID:
        server->exchange_ids++;
        server->client_known = true;
        res->opexchange_id.eir_resok4.eir_clientid = server->exchange_ids;
        res->opexchange_id.eir_resok4.eir_sequenceid = 1;
        break;
    case OP_CREATE_SESSION: {
        struct CREATE_SESSION4resok *made = &res->opcreate_session.csr_resok4;
        server->create_sessions++;
        server->session_known = true;
        server->session_number++;
        store_be64(made->csr_sessionid, server->session_number);
        made->csr_fore_chan_attrs = request->args[at].opcreate_session.csa_fore_chan_attrs;
        made->csr_fore_chan_attrs.ca_maxrequests = server->slot_count;
        for (unsigned i = 0; i < FAKE_SLOTS_MAX; i++) {
            free(server->slots[i].reply);
            server->slots[i] = (struct fake_slot){ 0 };
        }
        break;
    }
    case OP_SEQUENCE:
        memcpy(res->opsequence.sr_resok4.sr_sessionid, request->args[at].opsequence.sa_sessionid,
            NFS4_SESSIONID_SIZE);
        res->opsequence.sr_resok4.sr_sequenceid = request->seqid;
        res->opsequence.sr_resok4.sr_slotid = request->slot;
        res->opsequence.sr_resok4.sr_target_highest_slotid = server->slot_count - 1;
        break;
    case OP_GETFH:
        res->opgetfh.resok4.object = slice_of(handle, sizeof handle);
        break;
    case OP_WRITE:
        res->opwrite.resok4.count = (uint32_t)request->args[at].opwrite.data.size;
        res->opwrite.resok4.committed = request->args[at].opwrite.stable;
        memcpy(res->opwrite.resok4.writeverf, server->write_verifier, NFS4_VERIFIER_SIZE);
        break;
    case OP_COMMIT:
        memcpy(res->opcommit.resok4.writeverf, server->write_verifier, NFS4_VERIFIER_SIZE);
        break;
    default:
        break;
    }
}

/* What the session says to the request before anything runs. */
static enum nfsstat4 check_session(struct fake_server *server, struct fake_request *request)
{
    const struct SEQUENCE4args *args = &request->args[0].opsequence;
    if (request->ops[0] == OP_CREATE_SESSION)
        return server->client_known ? NFS4_OK : NFS4ERR_STALE_CLIENTID;
    if (request->ops[0] != OP_SEQUENCE)
        return NFS4_OK;
    request->slot = args->sa_slotid;
    request->seqid = args->sa_sequenceid;
    if (!server->session_known || load_be64(args->sa_sessionid) != server->session_number)
        return NFS4ERR_BADSESSION;
    assert(request->slot < server->slot_count && request->slot <= args->sa_highest_slotid);
    const struct fake_slot *slot = &server->slots[request->slot];
    request->is_replay = slot->reply != NULL && slot->seqid == request->seqid;
    if (request->is_replay || request->seqid == slot->seqid + 1)
        return NFS4_OK;
    server->misordered++;
    return NFS4ERR_SEQ_MISORDERED;
}

/* Encodes the results up to the first that fails. */
static void put_results(struct fake_server *server, const struct fake_request *request,
    const struct fake_verdict *verdict, struct xdr_encoder *enc)
{
    size_t count_at = 0;
    enum nfsstat4 status = NFS4_OK;
    size_t status_at = enc->size;
    uint32_t done = 0;
    xdr_put_u32(enc, 0);
    xdr_put_u32(enc, 0); /* tag */
    count_at = enc->size;
    xdr_put_u32(enc, 0);
    for (uint32_t i = 0; i < request->op_count && status == NFS4_OK; i++) {
        union nfs_resop4 res;
        if (i == 0)
            status = verdict->sequence;
        if (verdict->status != NFS4_OK && request->ops[i] == verdict->failed_op)
            status = verdict->status;
        if (status == NFS4_OK)
            fill_result(server, request, i, &res);
        else
            memset(&res, 0, sizeof res);
        if (verdict->res != NULL && request->ops[i] == verdict->res_op)
            res = *verdict->res;
        if (status != NFS4_OK)
            memcpy(&res, &status, sizeof status); /* every result begins with its status */
        xdr_put_u32(enc, request->ops[i]);
        nfs_resop4_encode(enc, request->ops[i], &res);
        done++;
    }
    assert(!enc->failed);
    store_be32(enc->data + status_at, status);
    store_be32(enc->data + count_at, done);
}

/* Serves one request; false: close the connection. */
static bool serve(struct fake_server *server, int fd, struct slice record)
{
    struct arena arena;
    struct rpc_call call;
    struct fake_request request = { 0 };
    arena_init(&arena, ARENA_BYTES_MAX);
    struct xdr_decoder dec = xdr_decoder_of(record, &arena);
    bool is_call = read_request(&dec, &call, &request);
    assert(is_call);
    pthread_mutex_lock(&server->lock);
    enum nfsstat4 session = check_session(server, &request);
    struct fake_verdict verdict = { 0 };
    if (session == NFS4_OK && server->hook != NULL)
        verdict = server->hook(server->context, &request);
    if (verdict.sequence == NFS4_OK)
        verdict.sequence = session;
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &arena, ARENA_BYTES_MAX);
    xdr_put_u32(&enc, 0);
    struct fake_slot *slot = &server->slots[request.slot];
    bool keep = request.ops[0] == OP_SEQUENCE && verdict.sequence == NFS4_OK && !verdict.cut_before;
    if (request.is_replay && keep) {
        server->replays++;
        xdr_put_fixed(&enc, slice_of(slot->reply, slot->reply_size));
    } else if (!verdict.cut_before) {
        rpc_put_accepted(&enc, call.xid, RPC_SUCCESS);
        if (!verdict.garbage)
            put_results(server, &request, &verdict, &enc);
    }
    if (keep && !request.is_replay) {
        server->executed++;
        free(slot->reply);
        slot->reply_size = enc.size - 4;
        slot->reply = malloc(slot->reply_size);
        assert(slot->reply != NULL);
        memcpy(slot->reply, enc.data + 4, slot->reply_size);
        slot->seqid = request.seqid;
    }
    pthread_mutex_unlock(&server->lock);
    bool stays = !verdict.cut_before && !verdict.cut_after;
    store_be32(enc.data, (uint32_t)(enc.size - 4) | RPC_LAST_FRAGMENT);
    if (stays)
        send_bytes(fd, enc.data, enc.size);
    arena_fini(&arena);
    return stays;
}

struct conn_argument {
    struct fake_server *server;
    unsigned index;
};

static void *conn_main(void *argument)
{
    struct conn_argument conn = *(struct conn_argument *)argument;
    free(argument);
    int fd = atomic_load(&conn.server->conns[conn.index]);
    size_t size;
    uint8_t *record;
    bool stays = true;
    while (stays && (record = receive_record(fd, &size)) != NULL) {
        stays = serve(conn.server, fd, slice_of(record, size));
        free(record);
    }
    shutdown(fd, SHUT_RDWR);
    return NULL;
}

static void *accept_main(void *argument)
{
    struct fake_server *server = argument;
    while (!atomic_load(&server->stopping)) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            break;
        unsigned index = atomic_load(&server->conn_count);
        assert(index < 256);
        struct conn_argument *conn = malloc(sizeof *conn);
        assert(conn != NULL);
        *conn = (struct conn_argument){ server, index };
        atomic_store(&server->conns[index], fd);
        int err = pthread_create(&server->threads[index], NULL, conn_main, conn);
        assert(err == 0);
        atomic_store(&server->conn_count, index + 1);
    }
    return NULL;
}

void fake_server_start(struct fake_server *server, fake_hook *hook, void *context)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    memset(server, 0, sizeof *server);
    server->hook = hook;
    server->context = context;
    server->slot_count = 8;
    memset(server->write_verifier, 1, sizeof server->write_verifier);
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int err = bind(server->listener, (struct sockaddr *)&address, sizeof address);
    assert(err == 0);
    err = listen(server->listener, 64);
    assert(err == 0);
    err = getsockname(server->listener, (struct sockaddr *)&address, &size);
    assert(err == 0);
    server->port = ntohs(address.sin_port);
    err = pthread_create(&server->acceptor, NULL, accept_main, server);
    assert(err == 0);
}

void fake_server_cut(struct fake_server *server)
{
    for (unsigned i = 0; i < atomic_load(&server->conn_count); i++)
        shutdown(atomic_load(&server->conns[i]), SHUT_RDWR);
}

void fake_server_stop(struct fake_server *server)
{
    atomic_store(&server->stopping, true);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    fake_server_cut(server);
    for (unsigned i = 0; i < atomic_load(&server->conn_count); i++) {
        pthread_join(server->threads[i], NULL);
        close(atomic_load(&server->conns[i]));
    }
    for (unsigned i = 0; i < FAKE_SLOTS_MAX; i++)
        free(server->slots[i].reply);
    pthread_mutex_destroy(&server->lock);
}

void fake_server_restart(struct fake_server *server)
{
    server->client_known = false;
    server->session_known = false;
    server->write_verifier[0]++;
}

struct nfs_client *fake_server_client(
    struct fake_server *server, unsigned connections, unsigned slots)
{
    struct nfs_client *client = NULL;
    struct nfs_client_options options = { .address = "127.0.0.1",
        .port = server->port,
        .connection_count = connections,
        .slot_count = slots,
        .timeout_ms = 20000,
        .give_up_ms = 20000 };
    server->slot_count = slots;
    int err = nfs_client_connect(&options, &client);
    assert(err == 0);
    return client;
}
