/*
 * nfs/callpath.c - connections to clients of version 4.0 (room: NFS).
 *
 *   SETCLIENTID_CONFIRM, or RENEW or OPEN of a client that cannot be called --dial--> made --CB_NULL answered--> proven
 *   made, proven --no answer, closed, replaced, or the client is gone--> closed
 *
 * A proven one is asked CB_NULL again when it was for a minute: Linux closes callback connections that are silent for
 * six, and a way back that is broken is better known before it is needed.
 */
#include "nfs/callpath.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "nfs/callback.h"
#include "nfs/compound.h"
#include "state/v40.h"

#define RETRY_MS      10000u
#define KEEPALIVE_MS  60000u
#define PORT_MIN      1024u /* below it are services that do not expect us */
#define TICK_BATCH    32u
#define SEVERAL       UINT64_MAX /* clients are spoken for on a connection: none is known */
#define HOST_SIZE_MAX 64u

struct callpath {
    struct list node;
    uint64_t conn_id;
    uint64_t clientid;
    struct state_callback callback; /* what the client had said */
    bool is_proven, is_asked;
    uint64_t answered_ms;
};

void callpaths_init(struct callpaths *paths)
{
    (void)pthread_mutex_init(&paths->lock, NULL);
    list_init(&paths->paths);
}

void callpaths_fini(struct callpaths *paths)
{
    assert(list_is_empty(&paths->paths));
    (void)pthread_mutex_destroy(&paths->lock);
}

static struct callpath *find_locked(struct callpaths *paths, uint64_t conn_id)
{
    LIST_FOR_EACH(node, &paths->paths)
    {
        struct callpath *path = LIST_ENTRY(node, struct callpath, node);
        if (path->conn_id == conn_id)
            return path;
    }
    return NULL;
}

/* ---- the address ---- */

/* One of the last two numbers of a universal address, and what is before it. */
static bool take_octet(struct slice *text, uint32_t *out_octet)
{
    size_t at = text->size;
    while (at > 0 && text->data[at - 1] != '.')
        at--;
    size_t digits = text->size - at;
    if (at < 2 || digits == 0 || digits > 3)
        return false;
    uint32_t octet = 0;
    for (size_t i = at; i < text->size; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        octet = octet * 10 + (text->data[i] - (uint32_t)'0');
    }
    text->size = at - 1;
    *out_octet = octet;
    return octet <= UINT8_MAX;
}

static bool host_is(const char *host, bool is_v6, const struct sockaddr_storage *peer)
{
    struct in_addr in;
    struct in6_addr in6;
    struct sockaddr_in peer_in;
    struct sockaddr_in6 peer_in6;
    if (is_v6) {
        memcpy(&peer_in6, peer, sizeof peer_in6);
        return peer->ss_family == AF_INET6 && inet_pton(AF_INET6, host, &in6) == 1 &&
               memcmp(&in6, &peer_in6.sin6_addr, sizeof in6) == 0;
    }
    memcpy(&peer_in, peer, sizeof peer_in);
    return peer->ss_family == AF_INET && inet_pton(AF_INET, host, &in) == 1 &&
           in.s_addr == peer_in.sin_addr.s_addr;
}

/* The port of a callback address (RFC 5665 section 5.2.3.3) if it is one of the host at `peer`; 0: it is not to be called. */
static uint16_t port_at(const struct state_callback *callback, const struct sockaddr_storage *peer)
{
    struct slice netid = slice_of(callback->netid, callback->netid_size);
    struct slice text = slice_of(callback->address, callback->address_size);
    bool is_v6 = slice_equal(netid, slice_str("tcp6"));
    char host[HOST_SIZE_MAX];
    uint32_t high, low;
    if ((!is_v6 && !slice_equal(netid, slice_str("tcp"))) || !take_octet(&text, &low) ||
        !take_octet(&text, &high) || text.size >= sizeof host)
        return 0;
    memcpy(host, text.data, text.size);
    host[text.size] = '\0';
    uint32_t port = high << 8 | low;
    return port >= PORT_MIN && host_is(host, is_v6, peer) ? (uint16_t)port : 0;
}

/* ---- asking ---- */

struct question {
    uint64_t conn_id;
};

/* The client has answered. False: it is no longer to be called there. */
static bool path_answered(struct nfs_server *server, uint64_t conn_id)
{
    struct callpaths *paths = &server->callpaths;
    uint64_t clientid = 0, before = 0;
    struct state_callback callback;
    (void)pthread_mutex_lock(&paths->lock);
    struct callpath *path = find_locked(paths, conn_id);
    bool is_first = path != NULL && !path->is_proven;
    if (path != NULL) {
        path->is_asked = false;
        path->is_proven = true;
        path->answered_ms = clock_coarse_ms();
        clientid = path->clientid;
        callback = path->callback;
    }
    (void)pthread_mutex_unlock(&paths->lock);
    if (!is_first)
        return path != NULL;
    if (!state_v40_back_up(server->state, clientid, conn_id, &callback, &before))
        return false;
    if (before != 0)
        view_conn_close(server, before);
    return true;
}

static void ask_done(
    struct nfs_server *server, void *context, int err, const union nfs_cb_resop4 *res)
{
    struct question *question = context;
    (void)res;
    if (err < 0 || !path_answered(server, question->conn_id))
        view_conn_close(server, question->conn_id); /* callpath_conn_closed() does the rest */
    free(question);
}

static void ask(struct nfs_server *server, uint64_t conn_id, uint32_t program)
{
    struct question *question = malloc(sizeof *question);
    int err = -ENOMEM;
    if (question != NULL) {
        question->conn_id = conn_id;
        err = callback_probe(server, conn_id, program, ask_done, question);
    }
    if (err < 0) {
        free(question);
        view_conn_close(server, conn_id);
    }
}

/* ---- dialing ---- */

static void dial(struct compound *compound, uint64_t clientid, uint64_t retry_ms)
{
    struct nfs_server *server = compound->server;
    struct rpc_conn *rpc = compound->conn->rpc;
    struct state_callback callback;
    if (rpc->is_secure || !view_allows_delegations(compound->conn, compound->conn->volume) ||
        !state_v40_dial_begin(
            server->state, clientid, compound->caller.now_ms, retry_ms, &callback))
        return;
    uint16_t port = port_at(&callback, &rpc->peer);
    if (port == 0)
        return;
    struct callpath *path = calloc(1, sizeof *path);
    if (path == NULL)
        return; /* as if it could not be reached: it gets no delegations */
    path->clientid = clientid;
    path->callback = callback;
    int err = rpc_conn_dial(rpc, port, &path->conn_id);
    if (err < 0) {
        LOG_DEBUG("a client cannot be called back", "conn=%" PRIu64 " error=%d", rpc->id, -err);
        free(path);
        return;
    }
    uint64_t conn_id = path->conn_id;
    (void)pthread_mutex_lock(&server->callpaths.lock);
    list_add_tail(&server->callpaths.paths, &path->node);
    (void)pthread_mutex_unlock(&server->callpaths.lock);
    ask(server, conn_id, callback.program);
}

/* ---- who speaks ---- */

void callpath_speak(struct compound *compound)
{
    uint64_t clientid = compound->conn->spoken_for;
    compound->caller.spoken_for = clientid == SEVERAL ? 0 : clientid;
}

void callpath_note(struct compound *compound, uint64_t clientid)
{
    struct nfs_conn *conn = compound->conn;
    if (conn->spoken_for != clientid && conn->spoken_for != SEVERAL) {
        bool is_other = conn->spoken_for != 0 &&
                        state_client_is_known(compound->server->state, conn->spoken_for);
        conn->spoken_for = is_other ? SEVERAL : clientid;
    }
    callpath_speak(compound);
    const struct state_client *client = compound->caller.client;
    if (compound->server->options.callbacks_v40 && (client == NULL || !state_back_is_up(client)))
        dial(compound, clientid, RETRY_MS);
}

void callpath_confirmed(struct compound *compound, uint64_t clientid)
{
    if (compound->server->options.callbacks_v40)
        dial(compound, clientid, 0);
    callpath_note(compound, clientid);
}

/* ---- the end ---- */

void callpath_conn_closed(struct nfs_server *server, uint64_t conn_id)
{
    struct callpaths *paths = &server->callpaths;
    (void)pthread_mutex_lock(&paths->lock);
    struct callpath *path = find_locked(paths, conn_id);
    if (path != NULL)
        list_remove(&path->node);
    (void)pthread_mutex_unlock(&paths->lock);
    if (path != NULL)
        state_v40_back_down(server->state, path->clientid, conn_id);
    free(path);
}

struct ticked {
    uint64_t conn_id;
    uint32_t program;
    bool is_over;
};

void callpath_tick(struct nfs_server *server, uint64_t now_ms)
{
    struct callpaths *paths = &server->callpaths;
    struct ticked ticked[TICK_BATCH];
    size_t count = 0;
    (void)pthread_mutex_lock(&paths->lock);
    LIST_FOR_EACH(node, &paths->paths)
    {
        struct callpath *path = LIST_ENTRY(node, struct callpath, node);
        bool is_over = !state_client_is_known(server->state, path->clientid);
        bool is_silent = path->is_proven && !path->is_asked &&
                         (int64_t)(now_ms - path->answered_ms) >= (int64_t)KEEPALIVE_MS;
        if (count == TICK_BATCH || (!is_over && !is_silent))
            continue;
        path->is_asked = true;
        ticked[count++] = (struct ticked){ path->conn_id, path->callback.program, is_over };
    }
    (void)pthread_mutex_unlock(&paths->lock);
    for (size_t i = 0; i < count; i++) {
        if (ticked[i].is_over)
            view_conn_close(server, ticked[i].conn_id);
        else
            ask(server, ticked[i].conn_id, ticked[i].program);
    }
}
