/*
 * nfs/server.c - the server's life, and what it answers to RPC (room: NFS).
 */
#include "nfs/server.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "metrics/metrics.h"
#include "nfs/compound.h"
#include "nfs/deleg.h"
#include "nfs/efs_proxy.h"
#include "nfs/view.h"
#include "xdr/efs_proxy_xdr.h"

/* Names operations for the metrics, by number. */
static void name_operations(void)
{
    static const char *names[OP_REMOVEXATTR + 1];
    for (uint32_t opcode = 0; opcode < ARRAY_SIZE(names); opcode++) {
        const struct nfs_op *op = nfs_op_find(opcode);
        names[opcode] = op != NULL ? op->name : NULL;
    }
    metrics_name_label(METRIC_LABEL_NFS_OP, names, ARRAY_SIZE(names));
}

static void limit_set(uint32_t *limit, uint32_t option)
{
    if (option != 0)
        *limit = option;
}

static void state_options_of(const struct nfs_server_options *options, struct state_options *out)
{
    state_options_init(out);
    out->boot_epoch = options->epoch;
    random_bytes(&out->hash_key, sizeof out->hash_key);
    out->lease_ms = options->lease_ms;
    out->grace_ms = options->lease_ms;
    out->client_count_max = options->client_count_max;
    if (out->session_count_max < options->client_count_max)
        out->session_count_max = options->client_count_max; /* one for each, at least */
    out->slot_count_max = options->slot_count_max;
    out->open_per_client_max = options->open_count_max;
    out->deleg_count_max = options->deleg_count_max;
    out->deleg_per_client_max = options->deleg_count_max;
    limit_set(&out->session_per_client_max, options->session_count_max);
    limit_set(&out->owner_per_client_max, options->owner_count_max);
    limit_set(&out->lock_per_client_max, options->lock_count_max);
    limit_set(&out->lock_per_file_max, options->file_lock_count_max);
    limit_set(&out->deleg_per_client_max, options->client_deleg_count_max);
    if (options->state_memory_max != 0)
        out->memory_max = options->state_memory_max;
    if (options->reply_cache_bytes != 0)
        out->reply_cache_total_max = options->reply_cache_bytes;
}

int nfs_server_new(const struct nfs_server_options *options, struct nfs_server **out_server)
{
    if (strlen(options->node_id) > NFS_NODE_ID_SIZE_MAX)
        return -EINVAL;
    struct nfs_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->options = *options;
    server->lock = (struct mutex){ .pthread = PTHREAD_MUTEX_INITIALIZER };
    server->idle = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    list_init(&server->volumes);
    list_init(&server->conns);
    state_table_init(&server->conns_by_id);
    callbacks_init(&server->callbacks);
    callpaths_init(&server->callpaths);
    offloads_init(&server->offloads);
    replays_init(&server->replays, options->reply_cache_v40_bytes);
    struct clock_time now = clock_wall();
    server->started = (struct fs_time){ .seconds = now.seconds, .nanoseconds = now.nanoseconds };
    struct state_options state_options;
    state_options_of(options, &state_options);
    int err = state_new(&state_options, &server->state);
    if (err < 0)
        goto out;
    char identity[VIEW_IDENTITY_SIZE];
    err =
        state_server_new(server->state, view_identity(server, "", identity), &server->pseudo_state);
    if (err < 0)
        goto out;
    err = deleg_waits_init(&server->waits);
    if (err < 0)
        goto out;
    name_operations();
    *out_server = server;
    server = NULL; /* the caller owns it now */
out:
    nfs_server_free(server);
    return err;
}

void nfs_server_free(struct nfs_server *server)
{
    if (server == NULL)
        return;
    assert(list_is_empty(&server->conns));
    offloads_stop(&server->offloads);
    /* Clients of the pseudo root hold files of volumes, so they go first. */
    state_server_free(server->pseudo_state);
    while (!list_is_empty(&server->volumes))
        view_forget(server, LIST_ENTRY(server->volumes.next, struct nfs_volume, link)->tag);
    offloads_fini(&server->offloads);
    state_free(server->state);
    deleg_waits_fini(&server->waits);
    callpaths_fini(&server->callpaths);
    callbacks_fini(&server->callbacks);
    state_table_fini(&server->conns_by_id);
    replays_fini(&server->replays);
    free(server);
}

void nfs_server_tick(struct nfs_server *server, uint64_t now_ms)
{
    state_tick(server->state, now_ms);
    callback_tick(server, now_ms);
    callpath_tick(server, now_ms);
    deleg_tick(server, now_ms);
    offload_tick(server);
    replay_tick(&server->replays, now_ms);
    metrics_set(METRIC_NFS_REPLY_CACHE, (int64_t)state_reply_cache_bytes(server->state));
}

void nfs_server_forget_fs(struct nfs_server *server, const char *fs_id)
{
    view_forget(server, fh_fs_tag(fs_id));
}

static bool conn_opened(void *context, struct rpc_conn *rpc)
{
    struct nfs_server *server = context;
    struct nfs_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return false;
    conn->rpc = rpc;
    list_init(&conn->replays);
    rpc->user = conn;
    mutex_lock(&server->lock);
    list_add_tail(&server->conns, &conn->link);
    state_table_add(&server->conns_by_id, &conn->id_node, hash_u64(rpc->id));
    mutex_unlock(&server->lock);
    return true;
}

static bool conn_secured(void *context, struct rpc_conn *rpc)
{
    struct nfs_server *server = context;
    struct nfs_conn *conn = rpc->user;
    struct catalog *catalog = server->options.catalog;
    struct clock_time now = clock_wall();
    char reason[MOUNT_REASON_SIZE] = "out of memory";
    if (rpc->peer_certificate.size == 0)
        return true;
    uint64_t generation = catalog_generation(catalog);
    int err = mount_certificate_judge(catalog, rpc->peer_certificate,
        now.seconds * 1000 + now.nanoseconds / 1000000, &conn->identity, reason);
    if (err == 0)
        err = view_check_identity(server, conn, reason);
    conn->identity_generation = generation;
    if (err == 0)
        return true;
    metrics_add(METRIC_NFS_MOUNTS_REFUSED, 0, 1);
    LOG_WARN(
        "a client's certificate was refused", "conn=%" PRIu64 " reason=\"%s\"", rpc->id, reason);
    view_note_refusal(server, conn, REFUSED_CERTIFICATE, NULL, reason);
    /* Linux tries for ever what is closed, but gives up what is answered. At a mount target a client whose next
     * certificate will be no better gets in, where nothing is allowed to it. */
    return err == -EACCES && view_refuse(server, conn);
}

static void conn_closed(void *context, struct rpc_conn *rpc)
{
    struct nfs_server *server = context;
    struct nfs_conn *conn = rpc->user;
    replay_conn_closed(
        &server->replays, conn, rpc->lost_some); /* before nobody finds it any more */
    mutex_lock(&server->lock);
    list_remove(&conn->link);
    state_table_remove(&server->conns_by_id, &conn->id_node);
    mutex_unlock(&server->lock);
    state_connection_closed(server->state, rpc->id);
    callback_conn_closed(server, rpc->id);
    if (rpc->is_dialed)
        callpath_conn_closed(server, rpc->id);
    nfs_volume_unref(conn->volume);
    mount_identity_free(conn->identity);
    free(conn);
}

static int serve(void *context, struct rpc_request *request)
{
    struct nfs_server *server = context;
    struct nfs_conn *conn = request->conn->user;
    const struct rpc_call *call = &request->call;
    if (call->program == AWSFILE_PROGRAM)
        return efs_proxy_serve(server, conn, request);
    if (call->program != NFS4_PROGRAM)
        return RPC_PROG_UNAVAIL;
    if (call->version != NFS_V4)
        return RPC_PROG_MISMATCH;
    if (call->procedure == NFSPROC4_NULL)
        return RPC_SUCCESS;
    if (call->procedure != NFSPROC4_COMPOUND)
        return RPC_PROC_UNAVAIL;
    int result = view_bind_for_call(server, conn);
    return result != RPC_SUCCESS ? result : compound_serve(server, conn, request);
}

static void reply(void *context, struct rpc_conn *rpc, struct slice record)
{
    callback_reply(context, rpc->id, record);
}

struct rpc_program nfs_server_program(struct nfs_server *server)
{
    return (struct rpc_program){ .context = server,
        .opened = conn_opened,
        .secured = conn_secured,
        .closed = conn_closed,
        .serve = serve,
        .reply = reply,
        .program_version = NFS_V4 };
}
