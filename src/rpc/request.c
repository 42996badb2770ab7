/*
 * rpc/request.c - one call, from its record to its encoded reply (room: RPC server).
 *
 * Threads: the connection's reactor.
 */
#include <stdlib.h>

#include "rpc/conn.h"

#define FREE_REQUESTS_MAX 256
#define ARENA_EXTRA_BYTES (8u * 1024 * 1024)

struct request *request_get(struct lane *lane)
{
    struct request *request = lane->free_requests;
    if (request != NULL) {
        lane->free_requests = request->next;
        lane->free_request_count--;
        return request;
    }
    request = calloc(1, sizeof *request);
    if (request != NULL) {
        const struct rpc_server_options *options = &lane->server->options;
        arena_init(&request->arena,
            options->record_size_max + options->reply_size_max + ARENA_EXTRA_BYTES);
    }
    return request;
}

void request_put(struct lane *lane, struct request *request)
{
    struct conn *conn = request->conn;
    chunk_unref(lane, request->chunk);
    arena_reset(&request->arena);
    if (lane->free_request_count < FREE_REQUESTS_MAX) {
        request->next = lane->free_requests;
        lane->free_requests = request;
        lane->free_request_count++;
    } else {
        arena_fini(&request->arena);
        free(request);
    }
    conn_unref(conn);
}

static void reply_start(struct request *request, bool accepted)
{
    struct xdr_encoder *reply = &request->rpc.reply;
    xdr_encoder_init(reply, &request->arena,
        request->conn->lane->server->options.reply_size_max + RECORD_MARK_BYTES);
    uint8_t *mark = xdr_reserve(reply, RECORD_MARK_BYTES);
    if (mark != NULL)
        memset(mark, 0, RECORD_MARK_BYTES);
    if (accepted)
        rpc_put_accepted(reply, request->rpc.call.xid, RPC_SUCCESS);
}

/* The answer is not what the program encoded, but this. */
static void reply_replace(struct request *request, int accept_stat)
{
    uint32_t version = request->rpc.program_version;
    uint32_t xid = request->rpc.call.xid;
    reply_start(request, false);
    if (accept_stat == RPC_PROG_MISMATCH)
        rpc_put_prog_mismatch(&request->rpc.reply, xid, version, version);
    else
        rpc_put_accepted(&request->rpc.reply, xid, (enum rpc_accept_stat)accept_stat);
}

bool request_run(struct request *request)
{
    struct rpc_request *rpc = &request->rpc;
    const struct rpc_program *program = &request->conn->lane->server->program;
    int err = rpc_get_call(&rpc->args, &rpc->call);
    if (err == -EPROTO || err == -EACCES) {
        reply_start(request, false);
        if (err == -EPROTO)
            rpc_put_rpc_mismatch(&rpc->reply, rpc->call.xid);
        else
            rpc_put_auth_error(&rpc->reply, rpc->call.xid, RPC_AUTH_BADCRED);
        return !rpc->reply.failed;
    }
    if (err < 0)
        return false;
    enum rpc_auth_flavor flavor = rpc->call.cred.flavor;
    if (flavor == RPC_AUTH_TLS && secure_is_asked(request->conn, &rpc->call)) {
        reply_start(request, false);
        rpc_put_starttls(&rpc->reply, rpc->call.xid);
        return !rpc->reply.failed && secure_expect(request->conn);
    }
    if (flavor != RPC_AUTH_NONE && flavor != RPC_AUTH_SYS) {
        reply_start(request, false);
        rpc_put_auth_error(&rpc->reply, rpc->call.xid, RPC_AUTH_BADCRED);
        return !rpc->reply.failed;
    }
    reply_start(request, true);
    int result = rpc->reply.failed ? RPC_SYSTEM_ERR : program->serve(program->context, rpc);
    if (result == RPC_SERVER_DROP)
        return false;
    if (result == RPC_SUCCESS && rpc->reply.failed)
        result = RPC_SYSTEM_ERR;
    if (result != RPC_SUCCESS)
        reply_replace(request, result);
    return !rpc->reply.failed;
}
