/*
 * daemon/gate.c - refusing NFS connections outside `nfs.listen`, and those that no security group admits (room: daemon).
 */
#include "daemon/gate.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"

static bool is_inside(const struct gate *gate, const struct rpc_conn *conn)
{
    const struct sockaddr_in *local = (const struct sockaddr_in *)(const void *)&conn->local;
    return conn->local.ss_family == AF_INET && cidr_list_contains(gate->listen, local->sin_addr);
}

static bool is_admitted(const struct gate *gate, const struct rpc_conn *conn)
{
    const struct sockaddr_in *local = (const struct sockaddr_in *)(const void *)&conn->local;
    return catalog_admits(gate->catalog, local->sin_addr, &conn->peer);
}

static bool is_unwelcome(void *context, const struct rpc_conn *conn)
{
    return !is_admitted(context, conn);
}

void gate_check_again(struct gate *gate, struct rpc_server *server)
{
    /* Read first: what changes while we look is seen by the next look. */
    uint64_t generation = catalog_generation(gate->catalog);
    if (generation == gate->checked_generation)
        return;
    rpc_server_close_matching(server, is_unwelcome, gate);
    gate->checked_generation = generation;
}

static void note(const struct gate *gate, const struct rpc_conn *conn, enum refusal_stage stage,
    const char *reason)
{
    struct clock_time now = clock_wall();
    const struct refusal_note note = { .now_ms = now.seconds * 1000 + now.nanoseconds / 1000000,
        .stage = stage,
        .source = &conn->peer,
        .target = &conn->local,
        .reason = reason };
    refusals_note(gate->refusals, &note);
}

static bool gate_opened(void *context, struct rpc_conn *conn)
{
    struct gate *gate = context;
    char local[ADDRESS_TEXT_SIZE];
    if (!is_inside(gate, conn)) {
        address_format((const struct sockaddr_in *)(const void *)&conn->local, local);
        metrics_add(METRIC_RPC_REFUSED, 0, 1);
        LOG_WARN("connection to an address outside nfs.listen closed", "conn=%" PRIu64 " local=%s",
            conn->id, local);
        note(gate, conn, REFUSED_CONNECTION, "the address it came to is outside nfs.listen");
        return false;
    }
    if (!is_admitted(gate, conn)) {
        address_format((const struct sockaddr_in *)(const void *)&conn->local, local);
        metrics_add(METRIC_RPC_REFUSED, 0, 1);
        LOG_INFO("connection that no security group admits closed", "conn=%" PRIu64 " local=%s",
            conn->id, local);
        note(gate, conn, REFUSED_CONNECTION, "no security group of the mount target admits it");
        return false;
    }
    return gate->inner.opened(gate->inner.context, conn);
}

static void gate_refused(
    void *context, const struct rpc_conn *conn, enum rpc_refusal why, const char *reason)
{
    struct gate *gate = context;
    note(gate, conn, why == RPC_REFUSED_TLS ? REFUSED_TLS : REFUSED_GARBAGE, reason);
}

static bool gate_secured(void *context, struct rpc_conn *conn)
{
    struct gate *gate = context;
    return gate->inner.secured == NULL || gate->inner.secured(gate->inner.context, conn);
}

static void gate_closed(void *context, struct rpc_conn *conn)
{
    struct gate *gate = context;
    gate->inner.closed(gate->inner.context, conn);
}

static int gate_serve(void *context, struct rpc_request *request)
{
    struct gate *gate = context;
    return gate->inner.serve(gate->inner.context, request);
}

static void gate_reply(void *context, struct rpc_conn *conn, struct slice record)
{
    struct gate *gate = context;
    gate->inner.reply(gate->inner.context, conn, record);
}

struct rpc_program gate_program(struct gate *gate)
{
    return (struct rpc_program){
        .context = gate,
        .opened = gate_opened,
        .secured = gate_secured,
        .refused = gate_refused,
        .closed = gate_closed,
        .serve = gate_serve,
        .reply = gate_reply,
        .program_version = gate->inner.program_version,
    };
}
