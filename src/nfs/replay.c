/*
 * nfs/replay.c - replies of version 4.0 that are kept for a retry (room: NFS).
 */
#include "nfs/replay.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/random.h"
#include "io/event.h"
#include "metrics/metrics.h"
#include "nfs/compound.h"

/* What makes a request the same. Without padding: it is hashed as it lies there. */
struct fingerprint {
    uint8_t client[16]; /* its address, without the port */
    uint8_t server[16]; /* the address it came to: of a mount target, or an access point */
    uint64_t view;
    uint64_t request; /* hash of the COMPOUND */
    uint64_t machine;
    uint64_t size; /* of the COMPOUND */
    uint32_t xid;
    uint32_t flavor, uid, gid;
};
static_assert(sizeof(struct fingerprint) == 80, "has no padding");

struct replay_waiter {
    struct list node;
    struct event event;
};

/* Under replays->lock, but `print`, which never changes. */
struct replay {
    struct state_table_node node;
    struct fingerprint print;
    struct list age_node; /* in replays->kept, or empty: it runs */
    struct list
        conn_node; /* in conn->replays, or empty: the connection is gone and may have lost it */
    struct nfs_conn *conn; /* NULL: gone */
    uint64_t conn_id;
    uint64_t kept_ms;
    struct list waiters;
    unsigned ref_count; /* the table's, the request's that runs, those who wait or look */
    bool is_known;      /* in the table */
    bool is_running;
    bool is_lost;     /* ended without a reply to keep */
    bool is_received; /* by the client, surely */
    size_t reply_size;
    uint8_t *reply;
};

void replays_init(struct replays *replays, uint64_t bytes_max)
{
    (void)pthread_mutex_init(&replays->lock.pthread, NULL);
    state_table_init(&replays->table);
    list_init(&replays->kept);
    random_bytes(&replays->key, sizeof replays->key);
    replays->bytes_max = bytes_max;
    replays->bytes = 0;
}

/* ---- one of them ---- */

static uint64_t bytes_of(const struct replay *replay)
{
    return sizeof *replay + replay->reply_size;
}

static void unref_locked(struct replay *replay)
{
    if (--replay->ref_count > 0)
        return;
    free(replay->reply);
    free(replay);
}

/* Takes it out of the table, if it is there; the caller has a reference. */
static void leave_locked(struct replays *replays, struct replay *replay) REQUIRES(replays->lock)
{
    if (!replay->is_known)
        return;
    replay->is_known = false;
    replays->bytes -= bytes_of(replay);
    state_table_remove(&replays->table, &replay->node);
    list_remove(&replay->age_node);
    if (replay->conn != NULL)
        replay->conn->replay_count--;
    replay->conn = NULL;
    list_remove(&replay->conn_node);
    replay->ref_count--;
}

/* The same, without a reference: it may be freed. */
static void forget_locked(struct replays *replays, struct replay *replay) REQUIRES(replays->lock)
{
    replay->ref_count++;
    leave_locked(replays, replay);
    unref_locked(replay);
}

/* The oldest reply of a connection that is kept; NULL: all its requests are running. */
static struct replay *oldest_of_conn(const struct nfs_conn *conn)
{
    LIST_FOR_EACH(node, &conn->replays)
    {
        struct replay *replay = LIST_ENTRY(node, struct replay, conn_node);
        if (!replay->is_running)
            return replay;
    }
    return NULL;
}

/* Makes room for what was added. What runs is never forgotten: it is bounded by the requests that may run. */
static void trim_locked(struct replays *replays, const struct nfs_conn *conn)
    REQUIRES(replays->lock)
{
    struct replay *oldest = NULL;
    if (conn != NULL && conn->replay_count > REPLAYS_PER_CONN_MAX)
        oldest = oldest_of_conn(conn);
    if (oldest != NULL)
        forget_locked(replays, oldest);
    LIST_FOR_EACH_SAFE(node, &replays->kept)
    {
        if (replays->bytes <= replays->bytes_max)
            break;
        forget_locked(replays, LIST_ENTRY(node, struct replay, age_node));
    }
}

void replays_fini(struct replays *replays)
{
    mutex_lock(&replays->lock);
    LIST_FOR_EACH_SAFE(node, &replays->kept)
    {
        forget_locked(replays, LIST_ENTRY(node, struct replay, age_node));
    }
    assert(replays->table.count == 0 && replays->bytes == 0);
    mutex_unlock(&replays->lock);
    state_table_fini(&replays->table);
    (void)pthread_mutex_destroy(&replays->lock.pthread);
}

/* ---- which request it is ---- */

static void put_address(const struct sockaddr_storage *from, uint8_t address[16])
{
    if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        memcpy(address, &v6.sin6_addr, 16);
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        memcpy(address, &v4.sin_addr, 4);
    }
}

static void fingerprint_of(const struct compound *compound, struct fingerprint *out)
{
    const struct rpc_request *request = compound->request;
    const struct rpc_cred *cred = &request->call.cred;
    const struct hash_key *key = &compound->server->replays.key;
    size_t size = (size_t)(request->args.end - compound->args_start);
    const struct nfs_face *face = compound->conn->face;
    *out = (struct fingerprint){ .view = face != NULL ? hash_keyed(key, face->name, face->name_size)
                                                      : 0,
        .request = hash_keyed(key, compound->args_start, size),
        .size = size,
        .xid = request->call.xid,
        .flavor = (uint32_t)cred->flavor };
    put_address(&request->conn->peer, out->client);
    put_address(&request->conn->local, out->server);
    if (cred->flavor == RPC_AUTH_SYS) {
        out->uid = cred->uid;
        out->gid = cred->gid;
        out->machine = hash_keyed(key, cred->machine_name.data, cred->machine_name.size);
    }
}

static struct replay *find_locked(
    struct replays *replays, const struct fingerprint *print, uint64_t hash) REQUIRES(replays->lock)
{
    for (struct state_table_node *node = state_table_first(&replays->table, hash); node != NULL;
         node = state_table_next(node)) {
        struct replay *replay = CONTAINER_OF(node, struct replay, node);
        if (memcmp(&replay->print, print, sizeof *print) == 0)
            return replay;
    }
    return NULL;
}

/* ---- a request ---- */

static void add_locked(struct replays *replays, struct compound *compound, struct replay *replay,
    uint64_t hash) REQUIRES(replays->lock)
{
    struct nfs_conn *conn = compound->conn;
    replay->conn = conn;
    replay->conn_id = conn->rpc->id;
    replay->is_running = true;
    replay->is_known = true;
    replay->ref_count = 2;
    list_init(&replay->waiters);
    list_init(&replay->age_node);
    list_add_tail(&conn->replays, &replay->conn_node);
    conn->replay_count++;
    state_table_add(&replays->table, &replay->node, hash);
    replays->bytes += bytes_of(replay);
    trim_locked(replays, conn);
    compound->replay = replay;
}

/* Whether a connection has brought the client all that was given to it. May wait. */
static bool has_received(struct nfs_server *server, uint64_t conn_id)
{
    struct rpc_conn *rpc = view_conn_get(server, conn_id);
    if (rpc == NULL)
        return false; /* closed meanwhile: replay_conn_closed() has said what is known */
    bool may_lose = rpc_conn_may_lose(rpc);
    rpc_conn_unref(rpc);
    return !may_lose;
}

/* Lets the first one end; then looks whether its reply counts for this request, too. False: it does not, and is
 * forgotten. May wait. */
static bool replay_counts(struct compound *compound, struct replay *replay) NO_LOCK_CHECK;
static bool replay_counts(struct compound *compound, struct replay *replay)
{
    struct replays *replays = &compound->server->replays;
    struct replay_waiter waiter;
    bool was_running = replay->is_running;
    bool is_elsewhere = replay->conn != NULL && replay->conn_id != compound->conn->rpc->id;
    if (was_running) {
        event_init(&waiter.event);
        list_add_tail(&replay->waiters, &waiter.node);
    } else if (!is_elsewhere) {
        return true;
    }
    mutex_unlock(&replays->lock);
    bool received = false;
    if (was_running)
        event_wait(&waiter.event);
    else
        received = has_received(compound->server, replay->conn_id);
    mutex_lock(&replays->lock);
    replay->is_received |= received;
    if (replay->is_received)
        leave_locked(replays, replay);
    return !replay->is_received;
}

/* Gives the kept reply to a request. */
static void take_locked(struct compound *compound, const struct replay *replay)
{
    compound->is_replayed = true;
    if (replay->is_lost)
        return; /* nothing can be said truthfully: the connection closes */
    uint8_t *copy = arena_alloc(compound->arena, replay->reply_size);
    if (copy == NULL)
        return;
    memcpy(copy, replay->reply, replay->reply_size);
    compound->replayed = slice_of(copy, replay->reply_size);
    metrics_add(METRIC_NFS_REPLAYS, 0, 1);
}

enum nfsstat4 replay_begin(struct compound *compound)
{
    struct replays *replays = &compound->server->replays;
    if (replays->bytes_max == 0 || compound->replay != NULL)
        return NFS4_OK;
    struct replay *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return NFS4ERR_DELAY;
    fingerprint_of(compound, &fresh->print);
    uint64_t hash = hash_keyed(&replays->key, &fresh->print, sizeof fresh->print);
    mutex_lock(&replays->lock);
    while (!compound->is_replayed && compound->replay == NULL) {
        struct replay *found = find_locked(replays, &fresh->print, hash);
        if (found == NULL) {
            add_locked(replays, compound, fresh, hash);
            fresh = NULL;
            break;
        }
        found->ref_count++;
        if (replay_counts(compound, found))
            take_locked(compound, found);
        unref_locked(found);
    }
    mutex_unlock(&replays->lock);
    free(fresh);
    return NFS4_OK;
}

void replay_end(struct compound *compound, struct slice reply)
{
    struct replays *replays = &compound->server->replays;
    struct replay *replay = compound->replay;
    uint8_t *copy = NULL;
    if (reply.size > 0 && reply.size <= REPLAY_SIZE_MAX)
        copy = malloc(reply.size);
    if (copy != NULL)
        memcpy(copy, reply.data, reply.size);
    compound->replay = NULL;
    mutex_lock(&replays->lock);
    assert(replay->is_running && replay->is_known);
    replay->is_running = false;
    if (copy != NULL) {
        replay->reply = copy;
        replay->reply_size = reply.size;
        replay->kept_ms = compound->caller.now_ms;
        replays->bytes += reply.size;
        list_add_tail(&replays->kept, &replay->age_node);
    } else {
        replay->is_lost = true;
        leave_locked(replays, replay);
    }
    while (!list_is_empty(&replay->waiters)) {
        struct replay_waiter *waiter = LIST_ENTRY(replay->waiters.next, struct replay_waiter, node);
        list_remove(&waiter->node);
        event_signal(&waiter->event); /* it may be gone now */
    }
    trim_locked(replays, NULL);
    unref_locked(replay);
    mutex_unlock(&replays->lock);
}

/* ---- the end ---- */

void replay_conn_closed(struct replays *replays, struct nfs_conn *conn, bool lost_some)
{
    mutex_lock(&replays->lock);
    LIST_FOR_EACH_SAFE(node, &conn->replays)
    {
        struct replay *replay = LIST_ENTRY(node, struct replay, conn_node);
        assert(!replay->is_running);
        if (lost_some) {
            replay->conn = NULL;
            list_remove(&replay->conn_node);
        } else {
            replay->is_received = true;
            forget_locked(replays, replay);
        }
    }
    mutex_unlock(&replays->lock);
}

void replay_tick(struct replays *replays, uint64_t now_ms)
{
    mutex_lock(&replays->lock);
    LIST_FOR_EACH_SAFE(node, &replays->kept)
    {
        struct replay *oldest = LIST_ENTRY(node, struct replay, age_node);
        if (oldest->kept_ms + REPLAY_AGE_MS > now_ms)
            break;
        forget_locked(replays, oldest);
    }
    mutex_unlock(&replays->lock);
}
