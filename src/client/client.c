/*
 * client/client.c - making, renewing and ending a client (room: client library).
 */
#include "client/client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "client/internal.h"

#define PORT_DEFAULT        2049u
#define CONNECTIONS_DEFAULT 4u
#define SLOTS_DEFAULT       64u
#define TIMEOUT_MS_DEFAULT  (60u * 1000)
#define GIVE_UP_MS_DEFAULT  (120u * 1000)

static int resolve(struct nfs_client *client, const char *address, uint16_t port)
{
    char service[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    (void)snprintf(service, sizeof service, "%u", port); /* five digits fit */
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return -EHOSTUNREACH;
    assert(found->ai_addrlen <= sizeof client->address);
    memcpy(&client->address, found->ai_addr, found->ai_addrlen);
    client->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static void set_identity(struct nfs_client *client, const struct nfs_client_options *options)
{
    char nonce[17];
    random_hex(nonce, sizeof nonce - 1);
    random_bytes(client->owner_verifier, sizeof client->owner_verifier);
    if (gethostname(client->machine_name, sizeof client->machine_name) < 0)
        client->machine_name[0] = '\0'; /* it is for the server's logs only */
    client->machine_name[sizeof client->machine_name - 1] = '\0';
    (void)snprintf(client->owner_id, sizeof client->owner_id, "shoal/%.64s/%s",
        client->machine_name, nonce); /* fits: 6 + 64 + 1 + 16 */
    client->cred = (struct rpc_cred){ .flavor = RPC_AUTH_SYS,
        .machine_name = slice_str(client->machine_name),
        .uid = options->uid,
        .gid = options->gid,
        .group_count = min_u32(options->group_count, RPC_AUTH_SYS_GROUPS_MAX) };
    for (uint32_t i = 0; i < client->cred.group_count; i++)
        client->cred.groups[i] = options->groups[i];
}

static uint64_t value_or(uint64_t value, uint64_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static struct nfs_client *client_new(const struct nfs_client_options *options)
{
    struct nfs_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&client->lock.pthread, NULL); /* cannot fail without attributes */
    (void)pthread_mutex_init(&client->recovery_lock.pthread, NULL);
    (void)pthread_condattr_init(&monotonic); /* cannot fail on Linux */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&client->slot_freed, NULL);
    (void)pthread_cond_init(&client->stop_changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    list_init(&client->files);
    client->slot_count_wanted =
        (unsigned)min_u64(value_or(options->slot_count, SLOTS_DEFAULT), NFS_CLIENT_SLOTS_MAX);
    client->conn_count = (unsigned)min_u64(
        value_or(options->connection_count, CONNECTIONS_DEFAULT), NFS_CLIENT_CONNECTIONS_MAX);
    client->timeout_ms = value_or(options->timeout_ms, TIMEOUT_MS_DEFAULT);
    client->give_up_ms = value_or(options->give_up_ms, GIVE_UP_MS_DEFAULT);
    client->lease_ms = NFS_LEASE_MS_DEFAULT;
    atomic_init(&client->next_xid, (uint32_t)random_u64());
    set_identity(client, options);
    return client;
}

/* Asks for what the server allows: the length of its lease, the size of one read or write. */
static int read_server_limits(struct nfs_client *client)
{
    static uint32_t wanted[] = { 1u << FATTR4_LEASE_TIME | 1u << FATTR4_MAXREAD |
                                 1u << FATTR4_MAXWRITE };
    struct nfs_call call;
    union nfs_resop4 res;
    union nfs_argop4 arg = { .opgetattr = { .attr_request = { ARRAY_SIZE(wanted), wanted } } };
    nfs_call_init(&call, client, NFS_CALL_PLAIN);
    nfs_call_add(&call, OP_PUTROOTFH, NULL);
    nfs_call_add(&call, OP_GETATTR, &arg);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTROOTFH);
    if (err == 0)
        err = nfs_call_result(&call, OP_GETATTR, &res);
    if (err == 0) {
        const struct fattr4 *attrs = &res.opgetattr.resok4.obj_attributes;
        uint32_t present = attrs->attrmask.count > 0 ? attrs->attrmask.items[0] : 0;
        struct xdr_decoder dec = xdr_decoder_of(attrs->attr_vals, NULL);
        uint32_t lease_s = 0;
        uint64_t size = 0;
        if ((present & 1u << FATTR4_LEASE_TIME) != 0 && xdr_get_u32(&dec, &lease_s) && lease_s > 0)
            client->lease_ms = (uint64_t)lease_s * 1000;
        for (uint32_t bit = FATTR4_MAXREAD; bit <= FATTR4_MAXWRITE; bit++) {
            if ((present & 1u << bit) != 0 && xdr_get_u64(&dec, &size) && size >= 4096)
                client->io_size = (uint32_t)min_u64(client->io_size, size);
        }
    }
    nfs_call_fini(&call);
    return err;
}

/* A SEQUENCE alone renews the lease (RFC 8881 section 8.3). */
static void renew(struct nfs_client *client)
{
    struct nfs_call call;
    nfs_call_init(&call, client, NFS_CALL_PLAIN);
    (void)!nfs_call_run(
        &call); /* whoever next wants something meets the same error and reports it */
    nfs_call_fini(&call);
}

static void *renewer_main(void *argument)
{
    struct nfs_client *client = argument;
    uint64_t period_ms = client->lease_ms / 3;
    mutex_lock(&client->lock);
    while (!client->stopping) {
        uint64_t until_ns = clock_monotonic_ns() + period_ms * 1000000;
        struct timespec until = { .tv_sec = (time_t)(until_ns / 1000000000),
            .tv_nsec = (long)(until_ns % 1000000000) };
        (void)pthread_cond_timedwait(&client->stop_changed, &client->lock.pthread, &until);
        bool due = !client->stopping && client->dead_error == 0 &&
                   clock_coarse_ms() - atomic_load(&client->last_sequence_ms) >= period_ms;
        mutex_unlock(&client->lock);
        if (due)
            renew(client);
        mutex_lock(&client->lock);
    }
    mutex_unlock(&client->lock);
    return NULL;
}

static void stop_renewer(struct nfs_client *client)
{
    if (!client->has_renewer)
        return;
    mutex_lock(&client->lock);
    client->stopping = true;
    (void)pthread_cond_signal(&client->stop_changed);
    mutex_unlock(&client->lock);
    (void)pthread_join(client->renewer, NULL); /* it is ours and was not joined */
    client->has_renewer = false;
}

int nfs_client_connect(const struct nfs_client_options *options, struct nfs_client **out_client)
{
    struct nfs_client *client = client_new(options);
    if (client == NULL)
        return -ENOMEM;
    int err = resolve(client, options->address, options->port == 0 ? PORT_DEFAULT : options->port);
    for (unsigned i = 0; i < client->conn_count && err == 0; i++)
        err = nfs_conn_open(&client->conns[i], client);
    if (err == 0)
        err = nfs_session_open(client);
    if (err == 0)
        err = read_server_limits(client);
    if (err == 0)
        err = -pthread_create(&client->renewer, NULL, renewer_main, client);
    if (err == 0) {
        client->has_renewer = true;
        *out_client = client;
        client = NULL; /* the caller owns it now */
    }
    nfs_client_close(client);
    return err;
}

void nfs_client_close(struct nfs_client *client)
{
    if (client == NULL)
        return;
    assert(list_is_empty(&client->files));
    stop_renewer(client);
    client->give_up_ms = min_u64(client->give_up_ms, 2000); /* a farewell is worth no long wait */
    nfs_session_close(client);
    for (unsigned i = 0; i < client->conn_count; i++)
        nfs_conn_close(&client->conns[i]);
    (void)pthread_cond_destroy(&client->slot_freed); /* nobody waits */
    (void)pthread_cond_destroy(&client->stop_changed);
    (void)pthread_mutex_destroy(&client->lock.pthread);
    (void)pthread_mutex_destroy(&client->recovery_lock.pthread);
    free(client);
}

void nfs_client_kill(struct nfs_client *client, int error)
{
    assert(error < 0);
    mutex_lock(&client->lock);
    if (client->dead_error == 0)
        client->dead_error = error;
    (void)pthread_cond_broadcast(&client->slot_freed);
    mutex_unlock(&client->lock);
    for (unsigned i = 0; i < client->conn_count; i++) {
        if (client->conns[i].client != NULL)
            nfs_conn_kick(&client->conns[i]);
    }
}

int nfs_client_dead(struct nfs_client *client)
{
    mutex_lock(&client->lock);
    int error = client->dead_error;
    mutex_unlock(&client->lock);
    return error;
}

uint32_t nfs_client_io_size(const struct nfs_client *client)
{
    return client->io_size;
}

unsigned nfs_client_slot_count(const struct nfs_client *client)
{
    return client->session.slot_count;
}

struct nfs_client_stats nfs_client_stats(const struct nfs_client *client)
{
    return (struct nfs_client_stats){ .calls = atomic_load(&client->calls),
        .reconnects = atomic_load(&client->reconnects),
        .sessions = atomic_load(&client->sessions),
        .reclaimed = atomic_load(&client->reclaimed),
        .retransmitted = atomic_load(&client->retransmitted) };
}
