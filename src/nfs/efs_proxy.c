/*
 * nfs/efs_proxy.c - telling efs-utils' proxy that its connections reach the same server (room: NFS).
 *
 * Source: amazon-efs-utils 3.2.0, behaviour as of 2026-07. Silence would fail the mount; an error costs it a second
 * connection. The numbers for scaling up are those that the proxy has by default; the first must never change during a
 * mount, nor be below 2.
 */
#include "nfs/efs_proxy.h"

#include "xdr/efs_proxy_xdr.h"

#define CONNECTIONS_MAX    5
#define SCALE_UP_BYTES     (300 * 1024 * 1024)
#define SCALE_UP_SECONDS   1
#define SCALE_UP_LOOK_BACK 1

/* The same for every connection to one server, after a restart too; of no other. */
static void partition_id(const struct nfs_server *server, const struct nfs_conn *conn,
    uint8_t out_id[NFS_STATE_PARTITION_ID_LENGTH])
{
    char buffer[VIEW_IDENTITY_SIZE];
    struct slice name = conn->face != NULL ? slice_of(conn->face->name, conn->face->name_size)
                                           : view_identity(server, "", buffer);
    uint64_t part = hash_keyed(&server->options.fh_key, name.data, name.size);
    for (size_t at = 0; at < NFS_STATE_PARTITION_ID_LENGTH; at += sizeof part) {
        store_be64(out_id + at, part);
        part = hash_keyed(&server->options.fh_key, &part, sizeof part);
    }
}

static int bind_client(
    struct nfs_server *server, struct nfs_conn *conn, struct rpc_request *request)
{
    struct ProxyIdentifier proxy;
    if (!xdr_get_ProxyIdentifier(&request->args, &proxy))
        return RPC_GARBAGE_ARGS;
    int result = view_bind_for_call(server, conn);
    if (result != RPC_SUCCESS)
        return result;
    struct BindClientResponse response = { .bind_response = { .type = BIND_READY },
        .scale_up_config = { .max_multiplexed_connections = CONNECTIONS_MAX,
            .scale_up_bytes_per_sec_threshold = SCALE_UP_BYTES,
            .scale_up_threshold_breached_duration_sec = SCALE_UP_SECONDS,
            .scale_up_lookback_window_size_sec = SCALE_UP_LOOK_BACK } };
    partition_id(server, conn, response.bind_response.partition_id);
    xdr_put_BindClientResponse(&request->reply, &response);
    return RPC_SUCCESS;
}

/* Reading around the server, from S3: there is none. */
static int refuse_channel(struct rpc_request *request)
{
    struct AwsFileChannelInitArgs args;
    if (!xdr_get_AwsFileChannelInitArgs(&request->args, &args))
        return RPC_GARBAGE_ARGS;
    const struct AwsFileChannelInitRes refusal = { .init_status = AWSFILE_ERR_INVAL };
    xdr_put_AwsFileChannelInitRes(&request->reply, &refusal);
    return RPC_SUCCESS;
}

int efs_proxy_serve(struct nfs_server *server, struct nfs_conn *conn, struct rpc_request *request)
{
    request->program_version = AWSFILE_V1;
    if (request->call.version != AWSFILE_V1)
        return RPC_PROG_MISMATCH;
    switch (request->call.procedure) {
    case AWSFILE_NULL:
        return RPC_SUCCESS;
    case OP_BIND_CLIENT_TO_PARTITION:
        return bind_client(server, conn, request);
    case OP_AWS_FILE_CHANNEL_INIT:
        return refuse_channel(request);
    default:
        return RPC_PROC_UNAVAIL; /* COMPOUND of this program is for reading around the server */
    }
}
