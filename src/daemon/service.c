/*
 * daemon/service.c - everything that serves, put together (room: daemon).
 *
 * Started from the lowest part to the highest and stopped in the reverse order, so a part never outlives what it
 * uses. A start that fails half way is undone by the same function that stops a whole one.
 */
#include "daemon/service.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/audit.h"
#include "auth/credentials.h"
#include "auth/key_store.h"
#include "auth/refusals.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "control/server.h"
#include "daemon/certificates.h"
#include "daemon/gate.h"
#include "daemon/names.h"
#include "engine/engine.h"
#include "io/pool.h"
#include "metrics/metrics.h"
#include "nfs/server.h"

#define NFS_MESSAGE_SIZE_MAX ((1u << 20) + (64u << 10)) /* 1 MiB of data and its COMPOUND */
#define REACTORS_MAX         256u

struct service {
    const struct options *options;
    const struct data_dir *dir;
    struct pool *pool;
    struct reactor *reactors[REACTORS_MAX];
    unsigned reactor_count;
    struct key_store *keys;
    struct engine *engine;
    struct fs_volumes *volumes;
    struct catalog *catalog;
    struct audit *audit; /* NULL: audit.size is 0 */
    struct refusals *refusals;
    struct audit_counts audit_counted; /* in the metrics already */
    struct nfs_server *nfs;
    struct ca *ca;
    struct certificates *certificates;
    struct tls_server *tls;
    struct gate gate;
    struct rpc_program program;
    struct rpc_server *rpc;
    struct control_server *control;
    struct names *names; /* NULL: dns.listen is off */
};

static unsigned core_count(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&cores);
}

static int start_threads(struct service *service, struct problem *out_problem)
{
    const struct options *options = service->options;
    unsigned count = options->io_reactors > 0 ? (unsigned)options->io_reactors : core_count();
    count = min_u32(count, REACTORS_MAX);
    int err = pool_new((unsigned)options->io_threads, &service->pool);
    while (err == 0 && service->reactor_count < count) {
        err = reactor_new(
            (unsigned)options->io_fibers_max, &service->reactors[service->reactor_count]);
        if (err == 0)
            service->reactor_count++;
    }
    if (err < 0) {
        problem_set(out_problem,
            "Cannot start %u event loops and %" PRIu64
            " threads: %s. Lower io.reactors or io.threads, or raise "
            "the limit of processes (ulimit -u).",
            count, options->io_threads, strerrordesc_np(-err));
    }
    return err;
}

static int start_keys(struct service *service, struct problem *out_problem)
{
    char reason[KEY_STORE_REASON];
    int err =
        key_store_open(service->dir->fd, service->options->keys_master, reason, &service->keys);
    if (err < 0)
        problem_set_reason(out_problem, reason);
    return err;
}

static int start_storage(struct service *service, struct problem *out_problem)
{
    const struct options *options = service->options;
    char directory[OPTION_TEXT_SIZE + 8];
    (void)snprintf(directory, sizeof directory, "%s/fs", options->node_data);
    int err = sys_mkdirat(service->dir->fd, "fs", 0700);
    if (err == 0) {
        err = engine_new(
            &(struct engine_options){
                .directory = directory,
                .pool = service->pool,
                .cache_bytes = options->engine_cache,
                .block_cache_bytes = options->engine_block_cache,
                .write_buffer_bytes = options->engine_write_buffer,
                .reserve_bytes = options->engine_reserve,
                .scrub_bytes_per_s = options->engine_scrub_rate,
                .dirty_age_ms = (uint32_t)options->engine_dirty_age * 1000,
                .keeper = key_store_keeper(service->keys),
            },
            &service->engine);
    }
    if (err == 0)
        err = fs_volumes_new(engine_provider(service->engine), &service->volumes);
    if (err < 0) {
        problem_set(out_problem, "Cannot open the file systems in %s: %s.", directory,
            strerrordesc_np(-err));
    }
    return err;
}

static int start_catalog(struct service *service, struct problem *out_problem)
{
    const struct options *options = service->options;
    char path[OPTION_TEXT_SIZE + 16];
    char reason[CATALOG_REASON_SIZE];
    (void)snprintf(path, sizeof path, "%s/catalog", options->node_data);
    int err = catalog_open(
        &(struct catalog_options){
            .path = path, .region = options->node_region, .account_id = options->node_account },
        reason, &service->catalog);
    if (err < 0) {
        problem_set_reason(out_problem, reason);
        return err;
    }
    err =
        credentials_provide_admin(service->catalog, service->dir->fd, clock_wall().seconds * 1000);
    if (err < 0) {
        problem_set(out_problem, "Cannot write the administrator's keys to %s/%s: %s.",
            options->node_data, CREDENTIALS_FILE_NAME, strerrordesc_np(-err));
    }
    return err;
}

static int start_audit(struct service *service, struct problem *out_problem)
{
    const struct options *options = service->options;
    const struct audit_options audit_options = { .dir_fd = service->dir->fd,
        .size_max_bytes = options->audit_size,
        .file_count = (unsigned)options->audit_files };
    int err = options->audit_size == 0 ? 0 : audit_new(&audit_options, &service->audit);
    if (err == 0)
        err = refusals_new(&service->refusals);
    if (err < 0)
        problem_set(out_problem,
            "Cannot open the audit log %s/" AUDIT_DIRECTORY "/" AUDIT_FILE ": %s.",
            options->node_data, strerrordesc_np(-err));
    return err;
}

static void count_audit(struct service *service)
{
    if (service->audit == NULL)
        return;
    struct audit_counts counts = audit_counts(service->audit);
    metrics_add(METRIC_AUDIT_LINES, 0, counts.written - service->audit_counted.written);
    metrics_add(METRIC_AUDIT_LOST, 0, counts.lost - service->audit_counted.lost);
    service->audit_counted = counts;
}

/* The authority, the certificates, and TLS itself. */
static int start_tls(struct service *service, struct problem *out_problem)
{
    const struct options *options = service->options;
    const struct data_dir *dir = service->dir;
    if ((options->tls_certificate[0] == '\0') != (options->tls_key[0] == '\0')) {
        problem_set(out_problem, "tls.certificate and tls.key belong together: set both, or none.");
        return -EINVAL;
    }
    int err = ca_open(dir->fd, dir->node_id, clock_wall().seconds, &service->ca);
    if (err < 0) {
        problem_set(out_problem,
            "Cannot use the certificate authority in %s (" CA_CERTIFICATE_FILE_NAME
            " and " CA_KEY_FILE_NAME "): %s. Put both back from a copy; or remove both, and a new "
            "one is made that every client has to be given.",
            options->node_data, err == -EINVAL ? "the files are damaged" : strerrordesc_np(-err));
        return err;
    }
    err = certificates_new(
        &(struct certificates_options){
            .ca = service->ca,
            .catalog = service->catalog,
            .region = options->node_region,
            .suffix = options->node_suffix,
            .certificate_path = options->tls_certificate,
            .key_path = options->tls_key,
        },
        &service->certificates, out_problem);
    if (err < 0)
        return err;
    err = tls_server_new(&(struct tls_server_options){ .choose = certificates_choose,
                             .choose_context = service->certificates,
                             .protocol = "sunrpc" },
        &service->tls);
    if (err < 0)
        problem_set(out_problem, "Cannot prepare TLS: %s.", strerrordesc_np(-err));
    return err;
}

static int listen_nfs(struct service *service, struct problem *out_problem)
{
    uint16_t port = (uint16_t)service->options->nfs_port;
    struct sockaddr_storage any = { 0 };
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)&any;
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_ANY);
    address->sin_port = htons(port);
    int err = rpc_server_listen(service->rpc, &any);
    if (err == -EADDRINUSE) {
        problem_set(out_problem,
            "NFS port %u is in use by another program. Stop that one (ss -ltnp 'sport = :%u' names "
            "it), or choose "
            "another port with --nfs-port; 0 takes a free one.",
            port, port);
    } else if (err == -EACCES) {
        problem_set(out_problem,
            "No permission to listen on NFS port %u: ports below 1024 need root or "
            "CAP_NET_BIND_SERVICE. "
            "Choose one above with --nfs-port.",
            port);
    } else if (err < 0)
        problem_set(out_problem, "Cannot listen on NFS port %u: %s.", port, strerrordesc_np(-err));
    return err;
}

/* Client ids begin with the number of the start: never a small one, as clients make up that are broken or probe. */
#define EPOCH_BASE UINT32_C(0x10000)

static int start_nfs(struct service *service, struct problem *out_problem)
{
    const struct options *options = service->options;
    int err = nfs_server_new(
        &(struct nfs_server_options){
            .catalog = service->catalog,
            .audit = service->audit,
            .refusals = service->refusals,
            .volumes = service->volumes,
            .fh_key = service->dir->fh_key,
            .node_id = service->dir->node_id,
            .version = SHOAL_VERSION,
            .epoch = EPOCH_BASE + service->dir->epoch,
            .lease_ms = (uint32_t)options->nfs_lease * 1000,
            .client_count_max = (uint32_t)options->nfs_clients_max,
            .slot_count_max = (uint32_t)options->nfs_slots_max,
            .open_count_max = (uint32_t)options->nfs_opens_max,
            .deleg_count_max = (uint32_t)options->nfs_delegations_max,
            .session_count_max = (uint32_t)options->nfs_sessions_max,
            .owner_count_max = (uint32_t)options->nfs_owners_max,
            .lock_count_max = (uint32_t)options->nfs_locks_max,
            .file_lock_count_max = (uint32_t)options->nfs_file_locks_max,
            .client_deleg_count_max = (uint32_t)options->nfs_client_delegations_max,
            .state_memory_max = options->nfs_state_memory,
            .reply_cache_bytes = options->nfs_reply_cache,
            .reply_cache_v40_bytes = options->nfs_reply_cache_v40,
            .delegated_times = options->nfs_delegated_times != 0,
            .callbacks_v40 = options->nfs_callbacks_v40 != 0,
            .is_strict = options->nfs_profile == CATALOG_PROFILE_STRICT,
        },
        &service->nfs);
    if (err == 0) {
        service->gate = (struct gate){ .inner = nfs_server_program(service->nfs),
            .listen = &options->nfs_listen,
            .catalog = service->catalog,
            .refusals = service->refusals };
        service->program = gate_program(&service->gate);
        err = rpc_server_new(
            &(struct rpc_server_options){
                .reactors = service->reactors,
                .reactor_count = service->reactor_count,
                .record_size_max = NFS_MESSAGE_SIZE_MAX,
                .reply_size_max = NFS_MESSAGE_SIZE_MAX,
                .conn_count_max = (unsigned)options->nfs_connections_max,
                .request_count_max = (unsigned)options->nfs_requests_max,
                .tls = service->tls,
                .handshake_count_max = (unsigned)options->tls_handshakes_max,
                .handshake_ms_max = options->tls_handshake_time * 1000,
            },
            &service->program, &service->rpc);
    }
    if (err < 0) {
        problem_set(out_problem, "Cannot start the NFS server: %s.", strerrordesc_np(-err));
        return err;
    }
    return listen_nfs(service, out_problem);
}

/* A file system is about to be deleted: its clients go before its data do. */
static void forget_fs(void *context, const char *fs_id)
{
    struct service *service = context;
    nfs_server_forget_fs(service->nfs, fs_id);
}

static bool is_connected_to(void *context, const struct rpc_conn *conn)
{
    const struct in_addr *address = context;
    const struct sockaddr_in *local = (const struct sockaddr_in *)(const void *)&conn->local;
    return local->sin_family == AF_INET && local->sin_addr.s_addr == address->s_addr;
}

static void forget_mount_target(void *context, const char *mount_target_id, struct in_addr address)
{
    struct service *service = context;
    (void)mount_target_id;
    rpc_server_close_matching(service->rpc, is_connected_to, &address);
}

static int start_control(struct service *service, struct problem *out_problem)
{
    char reason[CATALOG_REASON_SIZE];
    struct control_options options = {
        .catalog = service->catalog,
        .audit = service->audit,
        .refusals = service->refusals,
        .volumes = service->volumes,
        .keys = service->keys,
        .hooks = { .context = service,
            .forget_fs = forget_fs,
            .forget_mount_target = forget_mount_target },
    };
    memcpy(&options.address, &service->options->control_listen,
        sizeof service->options->control_listen);
    int err = control_server_new(&options, &service->control);
    if (err < 0) {
        problem_set(out_problem, "Cannot prepare the control API: %s.", strerrordesc_np(-err));
        return err;
    }
    err = control_server_start(service->control, reason);
    if (err < 0)
        problem_set_reason(out_problem, reason);
    return err;
}

int service_start(const struct options *options, const struct data_dir *dir,
    struct service **out_service, struct problem *out_problem)
{
    struct service *service = calloc(1, sizeof *service);
    if (service == NULL) {
        problem_set(out_problem, "There is no memory left to start with.");
        return -ENOMEM;
    }
    service->options = options;
    service->dir = dir;
    int err = start_threads(service, out_problem);
    if (err == 0)
        err = start_keys(service, out_problem);
    if (err == 0)
        err = start_storage(service, out_problem);
    if (err == 0)
        err = start_catalog(service, out_problem);
    if (err == 0)
        err = start_audit(service, out_problem);
    if (err == 0)
        err = start_tls(service, out_problem);
    if (err == 0)
        err = start_nfs(service, out_problem);
    if (err == 0)
        err = start_control(service, out_problem);
    if (err == 0)
        err = names_start(options, service->catalog, &service->names, out_problem);
    if (err < 0) {
        service_stop(service, 0);
        return err;
    }
    *out_service = service;
    return 0;
}

void service_tick(struct service *service)
{
    uint64_t now_ms = clock_coarse_ms();
    nfs_server_tick(service->nfs, now_ms);
    gate_check_again(&service->gate, service->rpc);
    rpc_server_tick(service->rpc, now_ms);
    certificates_tick(service->certificates);
    names_tick(service->names);
    control_server_tick(service->control, clock_wall().seconds * 1000);
    metrics_set(METRIC_RPC_CONNECTIONS, rpc_server_conn_count(service->rpc));
    count_audit(service);
}

void service_stop(struct service *service, uint64_t wait_ms)
{
    if (service == NULL)
        return;
    names_stop(service->names); /* first of all: nobody is sent here any more */
    if (service->control != NULL)
        control_server_drain(service->control, wait_ms);
    if (service->rpc != NULL)
        rpc_server_drain(service->rpc, wait_ms);
    control_server_free(service->control);
    rpc_server_free(service->rpc);
    nfs_server_free(service->nfs);
    tls_server_free(service->tls);
    certificates_free(service->certificates);
    ca_close(service->ca);
    fs_volumes_free(service->volumes);
    engine_free(service->engine);
    key_store_close(service->keys);
    audit_free(service->audit); /* what reports to it has ended */
    refusals_free(service->refusals);
    catalog_close(service->catalog);
    pool_free(service->pool); /* a thread of it may still be waking a reactor */
    for (unsigned i = 0; i < service->reactor_count; i++)
        reactor_free(service->reactors[i]);
    free(service);
}

uint16_t service_nfs_port(const struct service *service)
{
    return rpc_server_port(service->rpc);
}

uint16_t service_control_port(const struct service *service)
{
    return control_server_port(service->control);
}

const struct catalog_network *service_network(const struct service *service)
{
    return catalog_network(service->catalog);
}

void service_dns_listening(const struct service *service, struct endpoint_list *out_list)
{
    names_listening(service->names, out_list);
}
