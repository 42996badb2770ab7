/*
 * http/server.c - libmicrohttpd behind http/server.h (room: http).
 *
 * libmicrohttpd bounds silence on a connection, not its slowness: one byte every few seconds would hold a connection
 * for ever. So each connection has a deadline here, and a reaper thread shuts down the sockets that pass theirs.
 */
#include "http/server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"

#define HEADER_BYTES_MAX \
    (32u * 1024) /* libmicrohttpd's memory for one connection: request line and headers */
#define DISCARD_FACTOR   128 /* how many times body_size_max is read off before we hang up */
#define REAP_INTERVAL_MS 500
#define DRAIN_POLL_MS    5
#define LISTEN_BACKLOG   512

struct connection {
    struct list link; /* in server->connections */
    int fd;
    uint64_t deadline_ms;
};

struct http_server {
    struct http_server_options options;
    http_handler *handler;
    void *context;
    struct MHD_Daemon *daemon;
    int listen_fd; /* -1 once closed */
    int stop_fd;   /* an eventfd: the reaper ends */
    bool reaper_runs;
    pthread_t reaper;
    _Atomic unsigned running; /* requests between their request line and their end */
    struct mutex lock;
    struct list connections; /* guarded by lock */
};

/* One request while it comes in. */
struct transaction {
    struct http_server *server;
    char *uri; /* as sent */
    bool begun;
    char *body;
    size_t body_size;
    size_t body_capacity;
    size_t discarded; /* bytes of a body that is too large */
};

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

void http_response_header(struct http_response *response, const char *name, const char *value)
{
    assert(response->header_count < HTTP_RESPONSE_HEADERS_MAX);
    size_t i = response->header_count++;
    response->headers[i].name = name;
    (void)snprintf(response->headers[i].value, HTTP_HEADER_VALUE_SIZE, "%s", value);
}

static void set_deadline(
    struct http_server *server, struct connection *connection, uint64_t ms_from_now)
{
    mutex_lock(&server->lock);
    connection->deadline_ms = clock_coarse_ms() + ms_from_now;
    mutex_unlock(&server->lock);
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
    enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = context;
    struct connection *connection = *socket_context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (connection == NULL)
            return;
        mutex_lock(&server->lock);
        list_remove(&connection->link);
        mutex_unlock(&server->lock);
        free(connection);
        return;
    }
    connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return; /* its requests are then refused in begin_request() */
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->deadline_ms = clock_coarse_ms() + server->options.request_ms_max;
    mutex_lock(&server->lock);
    list_add_tail(&server->connections, &connection->link);
    mutex_unlock(&server->lock);
    *socket_context = connection;
}

/* Called with the request line; what it gives is the request's context from then on. */
static void *begin_request(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct http_server *server = context;
    struct connection *connection = connection_of(mhd);
    struct transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL || connection == NULL) {
        free(transaction);
        return NULL;
    }
    transaction->server = server;
    transaction->uri = strdup(uri);
    server->running++;
    set_deadline(server, connection, server->options.request_ms_max);
    return transaction;
}

static void end_request(void *context, struct MHD_Connection *mhd, void **request_context,
    enum MHD_RequestTerminationCode how)
{
    struct http_server *server = context;
    struct connection *connection = connection_of(mhd);
    struct transaction *transaction = *request_context;
    (void)how;
    if (connection != NULL)
        set_deadline(server, connection, server->options.idle_ms_max);
    if (transaction == NULL)
        return;
    free(transaction->uri);
    free(transaction->body);
    free(transaction);
    *request_context = NULL;
    server->running--;
}

/* Keeps what came of the body, up to the limit; reads off a little more so that the answer can be heard. */
static enum MHD_Result take_body(struct transaction *transaction, const char *data, size_t size)
{
    size_t max = transaction->server->options.body_size_max;
    if (transaction->discarded > 0 || size > max - transaction->body_size) {
        free(transaction->body);
        transaction->body = NULL;
        transaction->body_size = 0;
        transaction->discarded += size;
        return transaction->discarded > DISCARD_FACTOR * max ? MHD_NO : MHD_YES;
    }
    size_t needed = transaction->body_size + size;
    if (needed > transaction->body_capacity) {
        size_t capacity = needed < max / 2 ? 2 * needed : max;
        char *body = realloc(transaction->body, capacity);
        if (body == NULL)
            return MHD_NO;
        transaction->body = body;
        transaction->body_capacity = capacity;
    }
    memcpy(transaction->body + transaction->body_size, data, size);
    transaction->body_size = needed;
    return MHD_YES;
}

struct header_list {
    struct http_header items[HTTP_HEADERS_MAX];
    size_t count;
    bool overflow;
};

static enum MHD_Result collect_header(
    void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct header_list *list = context;
    (void)kind;
    if (list->count == HTTP_HEADERS_MAX) {
        list->overflow = true;
        return MHD_NO;
    }
    list->items[list->count++] =
        (struct http_header){ .name = name, .value = value != NULL ? value : "" };
    return MHD_YES;
}

static enum MHD_Result answer(struct MHD_Connection *mhd, struct http_response *response)
{
    static char nothing[] = "";
    struct MHD_Response *out = MHD_create_response_from_buffer(response->body_size,
        response->body != NULL ? response->body : nothing,
        response->body != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (out == NULL) {
        free(response->body);
        return MHD_NO;
    }
    enum MHD_Result result = MHD_YES;
    for (size_t i = 0; result == MHD_YES && i < response->header_count; i++)
        result =
            MHD_add_response_header(out, response->headers[i].name, response->headers[i].value);
    if (result == MHD_YES)
        result = MHD_queue_response(mhd, response->status, out);
    MHD_destroy_response(out); /* the connection holds a reference of its own */
    return result;
}

/* The whole request is there: asks the handler and answers. */
static enum MHD_Result handle(
    struct MHD_Connection *mhd, const char *method, struct transaction *transaction)
{
    struct http_response response = { .status = MHD_HTTP_OK };
    struct header_list headers = { 0 };
    (void)MHD_get_connection_values(
        mhd, MHD_HEADER_KIND, collect_header, &headers); /* counts them */
    if (headers.overflow) {
        response.status = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
        return answer(mhd, &response);
    }
    if (transaction->uri[0] != '/') { /* an absolute URI is for proxies */
        response.status = MHD_HTTP_BAD_REQUEST;
        return answer(mhd, &response);
    }
    char *query = strchr(transaction->uri, '?');
    if (query != NULL)
        *query++ = '\0';
    struct http_request request = {
        .method = method,
        .path = transaction->uri,
        .query = query != NULL ? query : "",
        .headers = headers.items,
        .header_count = headers.count,
        .body = slice_of(transaction->body, transaction->body_size),
        .body_too_large = transaction->discarded > 0,
    };
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL)
        memcpy(&request.peer, info->client_addr,
            info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                     : sizeof(struct sockaddr_in));
    transaction->server->handler(transaction->server->context, &request, &response);
    return answer(mhd, &response);
}

/* libmicrohttpd calls this once with the headers, then with pieces of the body, last with none. */
// NOLINTNEXTLINE(readability-function-size): the signature is libmicrohttpd's
static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_size,
    void **request_context)
{
    struct transaction *transaction = *request_context;
    (void)context;
    (void)url; /* decoded; begin_request() kept what was sent */
    (void)version;
    if (transaction == NULL || transaction->uri == NULL)
        return MHD_NO; /* no memory */
    if (!transaction->begun) {
        transaction->begun = true;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        enum MHD_Result result = take_body(transaction, upload, *upload_size);
        *upload_size = 0;
        return result;
    }
    return handle(mhd, method, transaction);
}

PRINTF_LIKE(2, 0)
static void on_log(void *context, const char *format, va_list args)
{
    (void)context;
    char text[256];
    char quoted[320];
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    /* Mostly what clients do wrong or how they leave: nothing that we could mend. */
    LOG_DEBUG("http", "text=%s", log_quote(quoted, sizeof quoted, slice_str(text)));
}

/* Shuts down the connections whose time is over; their threads then close them. */
static void reap(struct http_server *server)
{
    uint64_t now_ms = clock_coarse_ms();
    mutex_lock(&server->lock);
    LIST_FOR_EACH(node, &server->connections)
    {
        const struct connection *connection = LIST_ENTRY(node, struct connection, link);
        if (now_ms > connection->deadline_ms)
            (void)shutdown(connection->fd, SHUT_RDWR); /* fails only when it is gone already */
    }
    mutex_unlock(&server->lock);
}

static void *reaper_main(void *context)
{
    struct http_server *server = context;
    struct pollfd stop = { .fd = server->stop_fd, .events = POLLIN };
    while (poll(&stop, 1, REAP_INTERVAL_MS) <= 0)
        reap(server);
    return NULL;
}

static int listen_on(const struct sockaddr_storage *address, int *out_fd)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    (void)setsockopt(
        fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* else a restart waits a minute */
    if (bind(fd, (const struct sockaddr *)address, size) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        int err = -errno;
        (void)close(fd); /* nothing was sent on it */
        return err;
    }
    *out_fd = fd;
    return 0;
}

static int start(struct http_server *server)
{
    const struct http_server_options *options = &server->options;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (server->stop_fd < 0)
        return -errno;
    int err = listen_on(&options->address, &server->listen_fd);
    if (err < 0)
        return err;
    err = pthread_create(&server->reaper, NULL, reaper_main, server);
    if (err > 0)
        return -err;
    server->reaper_runs = true;
    errno = 0;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        server->listen_fd, MHD_OPTION_THREAD_POOL_SIZE, options->thread_count,
        MHD_OPTION_CONNECTION_LIMIT, options->connection_count_max,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->connection_count_max_per_address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(options->idle_ms_max / 1000 + 1), MHD_OPTION_URI_LOG_CALLBACK, begin_request,
        server, MHD_OPTION_NOTIFY_COMPLETED, end_request, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (server->daemon == NULL)
        return errno > 0 ? -errno : -ENOMEM;
    return 0;
}

int http_server_new(const struct http_server_options *options, http_handler *handler, void *context,
    struct http_server **out_server)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->options = *options;
    server->handler = handler;
    server->context = context;
    server->listen_fd = -1;
    server->stop_fd = -1;
    list_init(&server->connections);
    (void)pthread_mutex_init(&server->lock.pthread, NULL);
    int err = start(server);
    if (err < 0) {
        http_server_free(server);
        return err;
    }
    *out_server = server;
    return 0;
}

/* The address as "127.0.0.1" and the port. */
static uint16_t describe(const struct sockaddr_storage *address, char *to, size_t size)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, address, sizeof v4);
    memcpy(&v6, address, sizeof v6);
    bool is_v6 = address->ss_family == AF_INET6;
    const void *raw = is_v6 ? (const void *)&v6.sin6_addr : &v4.sin_addr;
    if (inet_ntop(address->ss_family, raw, to, (socklen_t)size) == NULL)
        (void)snprintf(to, size, "?");
    return ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
}

void http_server_explain(
    int err, const struct sockaddr_storage *address, char *out_text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    unsigned port = describe(address, host, sizeof host);
    if (err == -EADDRINUSE) {
        (void)snprintf(out_text, size,
            "port %u on %s is in use by another program (ss -ltnp 'sport = :%u' shows which): stop "
            "it, or choose another port",
            port, host, port);
    } else if (err == -EACCES || err == -EPERM) {
        (void)snprintf(out_text, size,
            "no permission to listen on port %u: choose one from 1024 on, or grant "
            "CAP_NET_BIND_SERVICE",
            port);
    } else if (err == -EADDRNOTAVAIL) {
        (void)snprintf(out_text, size,
            "%s is no address of this machine (ip address show lists them): choose one that is, or "
            "0.0.0.0 for all",
            host);
    } else {
        (void)snprintf(
            out_text, size, "cannot listen on %s port %u: %s", host, port, strerrordesc_np(-err));
    }
}

uint16_t http_server_port(const struct http_server *server)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    if (getsockname(server->listen_fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    return describe(&address, host, sizeof host);
}

void http_server_drain(struct http_server *server, uint64_t timeout_ms)
{
    if (server->listen_fd < 0)
        return;
    (void)MHD_quiesce_daemon(server->daemon); /* gives back the socket, which we know */
    (void)close(server->listen_fd);           /* nothing was sent on it */
    server->listen_fd = -1;
    uint64_t end_ms = clock_coarse_ms() + timeout_ms;
    const struct timespec pause = { .tv_nsec = DRAIN_POLL_MS * 1000000L };
    while (server->running > 0 && clock_coarse_ms() < end_ms)
        (void)nanosleep(&pause, NULL); /* woken early: asks again early */
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon); /* closes the listener too, unless it was drained */
    else if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    if (server->reaper_runs) {
        uint64_t one = 1;
        ssize_t written = write(server->stop_fd, &one, sizeof one);
        assert(written == sizeof one);
        (void)pthread_join(server->reaper, NULL);
    }
    if (server->stop_fd >= 0)
        (void)close(server->stop_fd);
    assert(list_is_empty(&server->connections));
    (void)pthread_mutex_destroy(&server->lock.pthread);
    free(server);
}
