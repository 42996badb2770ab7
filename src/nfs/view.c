/*
 * nfs/view.c - finding, opening and forgetting file systems, and what a connection sees (room: NFS).
 *
 * A volume is in server->volumes from the first moment, so that two requests never open it twice, and that forgetting
 * meets one that is just being opened. It leaves the list when it has failed or is gone.
 *
 * Locks: server->lock is held for list work only, never across a call that waits or into state/.
 */
#include "nfs/view.h"

#include <stdatomic.h>
#include <stdio.h>

#include "auth/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "io/event.h"
#include "nfs/face.h"
#include "nfs/fh.h"

/* A request that waits until somebody else has opened the volume; on its stack. */
struct nfs_volume_waiter {
    struct nfs_volume_waiter *next;
    struct event done;
};

struct slice view_identity(
    const struct nfs_server *server, const char *fs_id, char buffer[VIEW_IDENTITY_SIZE])
{
    int size = snprintf(buffer, VIEW_IDENTITY_SIZE, "shoal/%s/%s", server->options.node_id, fs_id);
    assert(size > 0 && (unsigned)size < VIEW_IDENTITY_SIZE);
    return slice_of(buffer, (size_t)size);
}

static struct nfs_volume *volume_find_locked(struct nfs_server *server, uint64_t tag)
    REQUIRES(server->lock)
{
    LIST_FOR_EACH(at, &server->volumes)
    {
        struct nfs_volume *volume = LIST_ENTRY(at, struct nfs_volume, link);
        if (volume->tag == tag)
            return volume;
    }
    return NULL;
}

static struct nfs_volume *volume_add_locked(struct nfs_server *server, const char *fs_id)
    REQUIRES(server->lock)
{
    struct nfs_volume *volume = nfs_volume_new(server, fs_id);
    if (volume != NULL)
        list_add_tail(&server->volumes, &volume->link);
    return volume;
}

/* Says how opening ended, to everyone who waits for it. A failed one leaves the list: the next request tries anew. */
static void volume_opened(struct nfs_volume *volume, int err)
{
    struct nfs_server *server = volume->server;
    mutex_lock(&server->lock);
    volume->error = err;
    atomic_store(&volume->phase, err < 0 ? VOLUME_FAILED : VOLUME_READY);
    struct nfs_volume_waiter *waiter = volume->waiters;
    volume->waiters = NULL;
    if (err < 0)
        list_remove(&volume->link);
    mutex_unlock(&server->lock);
    while (waiter != NULL) {
        struct nfs_volume_waiter *next = waiter->next; /* the signalled one may go at once */
        event_signal(&waiter->done);
        waiter = next;
    }
    if (err < 0)
        nfs_volume_unref(volume);
}

/* Waits until a volume is no longer being opened; gives the lock up meanwhile. */
static void volume_await_locked(struct nfs_server *server, struct nfs_volume *volume)
    REQUIRES(server->lock)
{
    while (atomic_load(&volume->phase) == VOLUME_OPENING) {
        struct nfs_volume_waiter waiter = { .next = volume->waiters };
        event_init(&waiter.done);
        volume->waiters = &waiter;
        mutex_unlock(&server->lock);
        event_wait(&waiter.done);
        mutex_lock(&server->lock);
    }
}

/* Takes over the caller's reference to a volume that somebody opens or has opened. */
static int volume_take(struct nfs_volume *volume, struct nfs_volume **out_volume)
{
    int err = volume->error;
    if (err == 0 && !nfs_volume_pin(volume))
        err = -ESTALE;
    if (err == 0)
        *out_volume = volume;
    nfs_volume_unref(volume);
    return err;
}

int view_get_volume(struct nfs_server *server, const char *fs_id, struct nfs_volume **out_volume)
{
    bool is_opener = false;
    if (strlen(fs_id) >= FS_ID_SIZE)
        return -ENOENT;
    mutex_lock(&server->lock);
    struct nfs_volume *volume = volume_find_locked(server, fh_fs_tag(fs_id));
    if (volume == NULL) {
        is_opener = true;
        volume = volume_add_locked(server, fs_id);
    }
    if (volume != NULL) {
        nfs_volume_ref(volume);
        if (!is_opener)
            volume_await_locked(server, volume);
    }
    mutex_unlock(&server->lock);
    if (volume == NULL)
        return -ENOMEM;
    if (is_opener) {
        int err = nfs_volume_open(volume);
        if (err < 0 && err != -ENOENT)
            LOG_ERROR("a file system cannot be opened", "fs=%s error=%d", volume->fs_id, -err);
        volume_opened(volume, err);
    }
    return volume_take(volume, out_volume);
}

struct tag_search {
    uint64_t tag;
    char fs_id[FS_ID_SIZE];
};

static bool match_tag(void *context, const char *fs_id)
{
    struct tag_search *search = context;
    if (fh_fs_tag(fs_id) != search->tag || strlen(fs_id) >= FS_ID_SIZE)
        return true;
    memcpy(search->fs_id, fs_id, strlen(fs_id) + 1);
    return false;
}

int view_get_volume_by_tag(struct nfs_server *server, uint64_t tag, struct nfs_volume **out_volume)
{
    mutex_lock(&server->lock);
    struct nfs_volume *volume = volume_find_locked(server, tag);
    if (volume != NULL && atomic_load(&volume->phase) == VOLUME_OPENING)
        volume = NULL; /* to be waited for below */
    if (volume != NULL)
        nfs_volume_ref(volume);
    mutex_unlock(&server->lock);
    if (volume != NULL)
        return volume_take(volume, out_volume);
    struct tag_search search = { .tag = tag };
    catalog_each_fs(server->options.catalog, match_tag, &search);
    if (search.fs_id[0] == '\0')
        return -ENOENT;
    return view_get_volume(server, search.fs_id, out_volume);
}

static void close_connections_locked(struct nfs_server *server, struct nfs_volume *volume)
    REQUIRES(server->lock)
{
    LIST_FOR_EACH(at, &server->conns)
    {
        struct nfs_conn *conn = LIST_ENTRY(at, struct nfs_conn, link);
        if (conn->volume == volume)
            rpc_conn_close(conn->rpc);
    }
}

void view_forget(struct nfs_server *server, uint64_t tag)
{
    mutex_lock(&server->lock);
    struct nfs_volume *volume = volume_find_locked(server, tag);
    bool is_ours = false;
    if (volume != NULL) {
        nfs_volume_ref(volume);
        volume_await_locked(server, volume);
        is_ours = atomic_load(&volume->phase) == VOLUME_READY;
    }
    if (is_ours) {
        atomic_store(&volume->phase, VOLUME_GOING);
        close_connections_locked(server, volume);
        mutex_unlock(&server->lock);
        offload_forget_volume(server, volume);
        mutex_lock(&server->lock);
        while (atomic_load(&volume->pin_count) > 0)
            (void)pthread_cond_wait(&server->idle, &server->lock.pthread);
    }
    mutex_unlock(&server->lock);
    if (is_ours) {
        nfs_volume_close(volume);
        mutex_lock(&server->lock);
        list_remove(&volume->link);
        mutex_unlock(&server->lock);
        nfs_volume_unref(volume);
    }
    nfs_volume_unref(volume);
}

/* The mount target that a connection came to. -ENOENT: its address is none. */
static int find_export(
    const struct nfs_server *server, const struct rpc_conn *rpc, struct catalog_export *out)
{
    struct in_addr address;
    if (rpc->local.ss_family == AF_INET) {
        struct sockaddr_in local;
        memcpy(&local, &rpc->local, sizeof local);
        address = local.sin_addr;
    } else {
        struct sockaddr_in6 local;
        memcpy(&local, &rpc->local, sizeof local);
        if (rpc->local.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&local.sin6_addr))
            return -ENOENT;
        memcpy(&address, &local.sin6_addr.s6_addr[12], sizeof address);
    }
    return catalog_find_export(server->options.catalog, address, out);
}

void view_note_refusal(struct nfs_server *server, const struct nfs_conn *conn,
    enum refusal_stage stage, const char *fs_id, const char *reason)
{
    struct clock_time now = clock_wall();
    struct catalog_export export;
    struct refusal_note note = { .now_ms = now.seconds * 1000 + now.nanoseconds / 1000000,
        .stage = stage,
        .source = &conn->rpc->peer,
        .target = &conn->rpc->local,
        .file_system = fs_id,
        .reason = reason };
    if (fs_id == NULL && find_export(server, conn->rpc, &export) == 0)
        note.file_system = export.fs_id;
    refusals_note(server->options.refusals, &note);
    if (stage == REFUSED_CERTIFICATE)
        audit_certificate(server->options.audit, &(struct audit_certificate){ .now_ms = note.now_ms,
                                                     .file_system = note.file_system,
                                                     .reason = reason,
                                                     .source = note.source });
}

int view_check_identity(
    const struct nfs_server *server, const struct nfs_conn *conn, char reason[MOUNT_REASON_SIZE])
{
    struct catalog_export export;
    const struct mount_identity *identity = conn->identity;
    if (identity == NULL)
        return 0;
    if (conn->is_bound) {
        (void)snprintf(reason, MOUNT_REASON_SIZE, "it came after requests without TLS");
        return -EACCES;
    }
    if (find_export(server, conn->rpc, &export) == 0 &&
        strcmp(export.fs_id, identity->fs_id) != 0) {
        (void)snprintf(reason, MOUNT_REASON_SIZE,
            "it is for file system %s, but this is the mount target of %s", identity->fs_id,
            export.fs_id);
        return -EACCES;
    }
    return 0;
}

bool view_refuse(const struct nfs_server *server, struct nfs_conn *conn)
{
    struct catalog_export export;
    mount_identity_free(conn->identity);
    conn->identity = NULL;
    conn->is_revoked = true;
    return !conn->is_bound && find_export(server, conn->rpc, &export) == 0;
}

/* The connection's file system is what it was, by the catalog as it is now. */
static int view_recheck(struct nfs_server *server, struct nfs_conn *conn, uint64_t generation)
{
    struct catalog_export export;
    if (conn->at_target) {
        int err = find_export(server, conn->rpc, &export);
        if (err < 0 || strcmp(export.fs_id, conn->volume->fs_id) != 0)
            return -ENOENT;
    }
    conn->catalog_generation = generation;
    return 0;
}

struct rpc_conn *view_conn_get(struct nfs_server *server, uint64_t conn_id)
{
    struct rpc_conn *rpc = NULL;
    mutex_lock(&server->lock);
    struct state_table_node *node = state_table_first(&server->conns_by_id, hash_u64(conn_id));
    for (; node != NULL && rpc == NULL; node = state_table_next(node)) {
        const struct nfs_conn *conn = CONTAINER_OF(node, struct nfs_conn, id_node);
        if (conn->rpc->id == conn_id)
            rpc = conn->rpc;
    }
    if (rpc != NULL)
        rpc_conn_ref(rpc); /* it is not closed before it has left the table */
    mutex_unlock(&server->lock);
    return rpc;
}

void view_conn_close(struct nfs_server *server, uint64_t conn_id)
{
    struct rpc_conn *rpc = view_conn_get(server, conn_id);
    if (rpc == NULL)
        return;
    rpc_conn_close(rpc);
    rpc_conn_unref(rpc);
}

bool view_is_strict(const struct nfs_conn *conn, struct nfs_volume *volume)
{
    if (conn->volume != NULL)
        return conn->is_strict;
    if (volume == NULL)
        return false;
    const struct nfs_server_options *options = &volume->server->options;
    uint64_t generation = catalog_generation(options->catalog);
    if (atomic_load(&volume->profile_generation) != generation) {
        enum catalog_profile profile = catalog_fs_profile(options->catalog, volume->fs_id);
        bool is_strict = profile == CATALOG_PROFILE_DEFAULT ? options->is_strict
                                                            : profile == CATALOG_PROFILE_STRICT;
        atomic_store(&volume->is_strict, is_strict);
        atomic_store(&volume->profile_generation, generation);
    }
    return atomic_load(&volume->is_strict);
}

/* Which file system: that of the mount target; elsewhere, that of the client's certificate. -ENOENT: all of them. */
static int find_file_system(const struct nfs_server *server, const struct nfs_conn *conn,
    char out_fs_id[FS_ID_SIZE], bool *out_at_target)
{
    struct catalog_export export;
    int err = find_export(server, conn->rpc, &export);
    *out_at_target = err == 0;
    if (err == 0)
        return text_copy(out_fs_id, FS_ID_SIZE, export.fs_id);
    if (conn->identity == NULL)
        return -ENOENT;
    return text_copy(out_fs_id, FS_ID_SIZE, conn->identity->fs_id) < 0 ? -ENOENT : 0;
}

/* Anonymous over TLS is not anonymous without: else Linux would send a mount's requests, that were to be encrypted, down the
 * plain connection of another mount. No principal is named so. */
#define OVER_TLS "over TLS"

/* Which of the volume's servers the connection, and the client's certificate, lead to. */
static int find_face(
    const struct nfs_conn *conn, struct nfs_volume *volume, struct nfs_face **out_face)
{
    const struct mount_identity *identity = conn->identity;
    const char *principal = identity != NULL ? mount_identity_name(identity) : "";
    if (principal[0] == '\0' && conn->rpc->is_secure)
        principal = OVER_TLS;
    *out_face = volume->plain;
    if (conn->is_revoked) /* apart from all that is allowed something: Linux would mix them up */
        return nfs_face_get(volume, "", "refused", out_face);
    if (principal[0] == '\0' && identity == NULL)
        return 0;
    return nfs_face_get(
        volume, identity != NULL ? identity->access_point_id : "", principal, out_face);
}

static void bind_volume(struct nfs_conn *conn, struct nfs_volume *volume, struct nfs_face *face)
{
    nfs_volume_ref(volume);
    conn->volume = volume;
    conn->face = face;
    if (conn->identity != NULL && conn->identity->access_point_id[0] != '\0')
        conn->access_tag = catalog_access_tag(conn->identity->access_point_id);
}

/* A mount that fails because its file system cannot be opened. */
static void note_unopened(
    struct nfs_server *server, const struct nfs_conn *conn, const char *fs_id, int err)
{
    char reason[REFUSAL_REASON_SIZE];
    if (err == 0 || err == -ENOENT || err == -ESTALE)
        return;
    if (err == -ENOKEY || err == -EKEYREVOKED)
        (void)snprintf(reason, sizeof reason,
            "the key that encrypts the file system cannot be used: it is disabled, to be deleted, "
            "or the master key is not that which wrapped it");
    else
        (void)snprintf(
            reason, sizeof reason, "the file system cannot be opened: %s", strerrordesc_np(-err));
    view_note_refusal(server, conn, REFUSED_MOUNT, fs_id, reason);
}

int view_bind(struct nfs_server *server, struct nfs_conn *conn)
{
    uint64_t generation = catalog_generation(server->options.catalog);
    if (conn->is_bound)
        return conn->catalog_generation == generation ? 0 : view_recheck(server, conn, generation);
    struct nfs_volume *volume = NULL;
    struct nfs_face *face = NULL;
    char fs_id[FS_ID_SIZE];
    bool at_target;
    int err = find_file_system(server, conn, fs_id, &at_target);
    if (err == 0) {
        err = view_get_volume(server, fs_id, &volume);
        note_unopened(server, conn, fs_id, err);
    } else if (err == -ENOENT)
        err = 0;
    if (err == 0 && volume != NULL) {
        err = find_face(conn, volume, &face);
        if (err < 0)
            nfs_volume_unpin(volume);
    }
    if (err < 0)
        return err;
    bool is_strict = volume != NULL && view_is_strict(conn, volume);
    mutex_lock(&server->lock);
    if (!conn->is_bound && volume != NULL) {
        conn->is_strict = is_strict;
        conn->at_target = at_target;
        bind_volume(conn, volume, face);
    }
    conn->is_bound = true; /* another request of the connection may have been first */
    conn->catalog_generation = generation;
    mutex_unlock(&server->lock);
    if (volume != NULL)
        nfs_volume_unpin(volume);
    return 0;
}

int view_bind_for_call(struct nfs_server *server, struct nfs_conn *conn)
{
    int err = view_bind(server, conn);
    if (err == -ENOENT || err == -ESTALE) {
        rpc_conn_close(conn->rpc); /* its mount target, or file system, is gone */
        return RPC_SERVER_DROP;
    }
    return err < 0 ? RPC_SYSTEM_ERR : RPC_SUCCESS;
}
