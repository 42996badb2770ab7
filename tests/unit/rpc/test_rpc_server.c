/* tests/unit/rpc/test_rpc_server.c - records, replies, waiting requests and limits, over real
 * sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/pool.h"
#include "rpc/server.h"

#define RECORD_SIZE_MAX (256u * 1024)
#define REPLY_SIZE_MAX  (256u * 1024)
#define CONNS_MAX       32
#define PROGRAM         77u

enum {
    PROC_ECHO = 1,
    PROC_WAIT = 2,
    PROC_LARGE = 3,
    PROC_DROP = 4,
    PROC_UNAVAIL = 5,
    PROC_DIAL = 6
};

struct fixture {
    struct reactor *reactors[2];
    struct pool *pool;
    struct rpc_server *server;
    _Atomic int opened;
    _Atomic int closed;
    _Atomic int served;
    _Atomic int replies; /* to calls of ours */
    struct rpc_conn *dialed;
};

static bool on_opened(void *context, struct rpc_conn *conn)
{
    struct fixture *f = context;
    conn->user = f;
    f->opened++;
    if (conn->is_dialed)
        f->dialed = conn;
    return true;
}

static void on_reply(void *context, struct rpc_conn *conn, struct slice record)
{
    struct fixture *f = context;
    assert_ptr_equal(conn, f->dialed);
    assert_int_equal(load_be32(record.data), 7);
    f->replies++;
}

/* Calls a port of the host that the request comes from. */
static int dial(struct fixture *f, struct rpc_request *request, uint32_t port)
{
    uint64_t id;
    int err = rpc_conn_dial(request->conn, (uint16_t)port, &id);
    if (err == 0) {
        assert_int_equal(f->dialed->id, id);
        assert_true(rpc_conn_send(f->dialed, slice_str("a call of ours")));
    }
    xdr_put_u32(&request->reply, (uint32_t)-err);
    return RPC_SUCCESS;
}

static void on_closed(void *context, struct rpc_conn *conn)
{
    struct fixture *f = context;
    assert_ptr_equal(conn->user, f);
    f->closed++;
}

static void sleep_a_little(void *argument)
{
    (void)usleep(*(uint32_t *)argument);
}

static int on_serve(void *context, struct rpc_request *request)
{
    struct fixture *f = context;
    f->served++;
    struct slice data;
    uint32_t number;
    if (request->call.program != PROGRAM)
        return RPC_PROG_UNAVAIL;
    switch (request->call.procedure) {
    case PROC_ECHO:
        if (!xdr_get_opaque(&request->args, RECORD_SIZE_MAX, &data))
            return RPC_GARBAGE_ARGS;
        xdr_put_opaque_reference(&request->reply, data);
        return RPC_SUCCESS;
    case PROC_WAIT:
        if (!xdr_get_u32(&request->args, &number))
            return RPC_GARBAGE_ARGS;
        pool_call(f->pool, sleep_a_little, &number);
        xdr_put_u32(&request->reply, number);
        return RPC_SUCCESS;
    case PROC_LARGE:
        for (uint32_t i = 0; i < REPLY_SIZE_MAX / 2; i++)
            xdr_put_u32(&request->reply, i);
        return RPC_SUCCESS;
    case PROC_DIAL:
        return xdr_get_u32(&request->args, &number) ? dial(f, request, number) : RPC_GARBAGE_ARGS;
    case PROC_DROP:
        return RPC_SERVER_DROP;
    default:
        return RPC_PROC_UNAVAIL;
    }
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(pool_new(4, &f->pool), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(reactor_new(16, &f->reactors[i]), 0);
    const struct rpc_server_options options = {
        .reactors = f->reactors,
        .reactor_count = 2,
        .record_size_max = RECORD_SIZE_MAX,
        .reply_size_max = REPLY_SIZE_MAX,
        .conn_count_max = CONNS_MAX,
        .request_count_max = 32,
    };
    const struct rpc_program program = {
        .context = f,
        .opened = on_opened,
        .closed = on_closed,
        .serve = on_serve,
        .reply = on_reply,
        .program_version = 4,
    };
    assert_int_equal(rpc_server_new(&options, &program, &f->server), 0);
    struct sockaddr_storage address = { .ss_family = AF_INET };
    ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(rpc_server_listen(f->server, &address), 0);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    rpc_server_drain(f->server, 1000);
    assert_int_equal(f->opened, f->closed);
    rpc_server_free(f->server);
    pool_free(f->pool);
    for (int i = 0; i < 2; i++)
        reactor_free(f->reactors[i]);
    free(f);
    return 0;
}

static int connect_to(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
        .sin_port = htons(rpc_server_port(f->server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { .tv_sec = 20 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_all(int fd, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        ssize_t n = send(fd, from, size, MSG_NOSIGNAL);
        assert_true(n > 0);
        from += n;
        size -= (size_t)n;
    }
}

/* False: the server closed the connection. */
static bool receive_all(int fd, void *data, size_t size)
{
    uint8_t *to = data;
    while (size > 0) {
        ssize_t n = recv(fd, to, size, 0);
        if (n <= 0)
            return false;
        to += n;
        size -= (size_t)n;
    }
    return true;
}

/* A call record with its mark, in `arena`. */
static struct slice make_call(
    struct arena *arena, uint32_t xid, uint32_t procedure, struct slice data)
{
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, arena, RECORD_SIZE_MAX + 64);
    xdr_put_u32(&enc, 0);
    const uint32_t groups[] = { 10, 20 };
    struct rpc_call call = { .xid = xid, .program = PROGRAM, .version = 4, .procedure = procedure };
    call.cred.flavor = RPC_AUTH_SYS;
    call.cred.machine_name = slice_str("tester");
    call.cred.group_count = 2;
    memcpy(call.cred.groups, groups, sizeof groups);
    rpc_put_call(&enc, &call);
    if (procedure == PROC_WAIT || procedure == PROC_DIAL)
        xdr_put_fixed(&enc, data);
    else
        xdr_put_opaque(&enc, data);
    assert_false(enc.failed);
    store_be32(enc.data, RPC_LAST_FRAGMENT | (uint32_t)(enc.size - 4));
    return slice_of(enc.data, enc.size);
}

/* Receives one reply; gives its results and xid. */
static int receive_reply(
    int fd, struct arena *arena, uint32_t *out_xid, struct xdr_decoder *out_dec)
{
    uint8_t mark[4];
    if (!receive_all(fd, mark, 4))
        return -EPIPE;
    uint32_t size = load_be32(mark) & ~RPC_LAST_FRAGMENT;
    assert_true((load_be32(mark) & RPC_LAST_FRAGMENT) != 0);
    uint8_t *bytes = arena_alloc(arena, size);
    assert_non_null(bytes);
    assert_true(receive_all(fd, bytes, size));
    *out_dec = xdr_decoder_of(slice_of(bytes, size), arena);
    return rpc_get_reply(out_dec, out_xid);
}

static void records_of_all_sizes_come_back(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, 64u << 20);
    uint8_t *data = malloc(RECORD_SIZE_MAX);
    assert_non_null(data);
    for (size_t i = 0; i < RECORD_SIZE_MAX; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    int fd = connect_to(f);
    for (uint32_t size = 0; size < RECORD_SIZE_MAX - 128; size = size * 2 + 13) {
        struct slice call = make_call(&arena, size, PROC_ECHO, slice_of(data, size));
        send_all(fd, call.data, call.size);
        struct xdr_decoder dec;
        uint32_t xid;
        assert_int_equal(receive_reply(fd, &arena, &xid, &dec), 0);
        assert_int_equal(xid, size);
        struct slice back = { 0 };
        assert_true(xdr_get_opaque(&dec, RECORD_SIZE_MAX, &back));
        assert_true(slice_equal(back, slice_of(data, size)));
        assert_int_equal(xdr_left(&dec), 0);
        arena_reset(&arena);
    }
    (void)close(fd);
    free(data);
    arena_fini(&arena);
}

static void fragments_are_put_together_however_they_arrive(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    int fd = connect_to(f);
    struct slice call = make_call(&arena, 9, PROC_ECHO, slice_str("in many small pieces"));
    struct slice body = slice_of(call.data + 4, call.size - 4);
    for (size_t i = 0; i < body.size; i++) {
        uint8_t piece[5];
        store_be32(piece, (i + 1 == body.size ? RPC_LAST_FRAGMENT : 0) | 1);
        piece[4] = body.data[i];
        send_all(fd, piece, i % 3 == 0 ? 2 : 5);
        if (i % 3 == 0)
            send_all(fd, piece + 2, 3);
    }
    struct xdr_decoder dec;
    uint32_t xid;
    struct slice back = { 0 };
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), 0);
    assert_true(xdr_get_opaque(&dec, 100, &back));
    assert_true(slice_equal(back, slice_str("in many small pieces")));
    (void)close(fd);
    arena_fini(&arena);
}

static void a_waiting_request_does_not_hold_up_those_behind_it(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    int fd = connect_to(f);
    uint8_t delay_us[4];
    store_be32(delay_us, 200000);
    struct slice slow = make_call(&arena, 1, PROC_WAIT, slice_of(delay_us, 4));
    struct slice fast = make_call(&arena, 2, PROC_ECHO, slice_str("x"));
    uint8_t both[512];
    assert_true(slow.size + fast.size <= sizeof both);
    memcpy(both, slow.data, slow.size);
    memcpy(both + slow.size, fast.data, fast.size);
    send_all(fd, both, slow.size + fast.size);
    struct xdr_decoder dec;
    uint32_t xid;
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), 0);
    assert_int_equal(xid, 2);
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), 0);
    assert_int_equal(xid, 1);
    (void)close(fd);
    arena_fini(&arena);
}

static void more_waiting_requests_than_fibers_are_all_answered(void **state)
{
    struct fixture *f = *state;
    enum { CONNS = 4, CALLS = 100 };
    int fds[CONNS];
    struct arena arena;
    arena_init(&arena, 16u << 20);
    uint8_t delay_us[4];
    store_be32(delay_us, 300);
    for (int c = 0; c < CONNS; c++) {
        fds[c] = connect_to(f);
        for (uint32_t i = 0; i < CALLS; i++) {
            struct slice call = make_call(&arena, i, PROC_WAIT, slice_of(delay_us, 4));
            send_all(fds[c], call.data, call.size);
        }
    }
    for (int c = 0; c < CONNS; c++) {
        bool seen[CALLS] = { false };
        for (int i = 0; i < CALLS; i++) {
            struct xdr_decoder dec;
            uint32_t xid;
            assert_int_equal(receive_reply(fds[c], &arena, &xid, &dec), 0);
            assert_true(xid < CALLS && !seen[xid]);
            seen[xid] = true;
        }
        (void)close(fds[c]);
    }
    arena_fini(&arena);
}

static void errors_get_the_reply_that_rfc_5531_names(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, 16u << 20);
    int fd = connect_to(f);
    struct xdr_decoder dec;
    uint32_t xid;
    struct slice call = make_call(&arena, 1, 99, slice_str(""));
    send_all(fd, call.data, call.size);
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), -EPROTONOSUPPORT);
    /* A reply over the limit. */
    call = make_call(&arena, 2, PROC_LARGE, slice_str(""));
    send_all(fd, call.data, call.size);
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), -EIO);
    /* RPC version 3. */
    uint8_t bad[64];
    call = make_call(&arena, 3, PROC_ECHO, slice_str(""));
    uint8_t *changed = arena_copy(&arena, call);
    assert_non_null(changed);
    store_be32(changed + 12, 3);
    send_all(fd, changed, call.size);
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), -EACCES);
    /* Too many groups. */
    changed = arena_copy(&arena, call);
    assert_non_null(changed);
    size_t groups_at = 4 + 24 + 8 + 4 + 4 + 8 + 8;
    store_be32(changed + groups_at, 17);
    send_all(fd, changed, call.size);
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), -EACCES);
    (void)close(fd);
    /* No header at all: the connection is closed. */
    fd = connect_to(f);
    memset(bad, 0xff, sizeof bad);
    store_be32(bad, RPC_LAST_FRAGMENT | 60);
    send_all(fd, bad, sizeof bad);
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), -EPIPE);
    (void)close(fd);
    /* A record over the limit: closed before it is received. */
    fd = connect_to(f);
    store_be32(bad, RPC_LAST_FRAGMENT | (RECORD_SIZE_MAX + 1));
    send_all(fd, bad, 8);
    assert_int_equal(receive_reply(fd, &arena, &xid, &dec), -EPIPE);
    (void)close(fd);
    arena_fini(&arena);
}

static void a_client_that_goes_away_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, 16u << 20);
    uint8_t delay_us[4];
    store_be32(delay_us, 30000);
    for (int round = 0; round < 20; round++) {
        int fd = connect_to(f);
        for (uint32_t i = 0; i < 10; i++) {
            struct slice call = make_call(&arena, i, PROC_WAIT, slice_of(delay_us, 4));
            send_all(fd, call.data, call.size);
        }
        (void)close(fd);
    }
    /* stop() checks that each connection was closed, ASan that nothing leaked. */
    arena_fini(&arena);
}

static bool match_all(void *context, const struct rpc_conn *conn)
{
    (void)context;
    (void)conn;
    return true;
}

static void connections_can_be_closed_from_outside_and_are_limited(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    int fds[CONNS_MAX + 1];
    for (int i = 0; i <= CONNS_MAX; i++)
        fds[i] = connect_to(f);
    uint8_t byte;
    assert_false(receive_all(fds[CONNS_MAX], &byte, 1));
    rpc_server_close_matching(f->server, match_all, NULL);
    for (int i = 0; i <= CONNS_MAX; i++) {
        assert_false(receive_all(fds[i], &byte, 1));
        (void)close(fds[i]);
    }
    arena_fini(&arena);
}

/* A listener of the client's own; gives its port. */
static int client_listen(uint16_t *out_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

/* The server is asked to call a port; gives how that began. */
static int ask_to_dial(int fd, struct arena *arena, uint16_t port)
{
    uint8_t number[4];
    store_be32(number, port);
    struct slice call = make_call(arena, 3, PROC_DIAL, slice_of(number, 4));
    struct xdr_decoder dec;
    uint32_t xid, err;
    send_all(fd, call.data, call.size);
    assert_int_equal(receive_reply(fd, arena, &xid, &dec), 0);
    assert_true(xdr_get_u32(&dec, &err));
    return -(int)err;
}

static void a_client_can_be_called_at_its_own_host_and_asks_nothing_there(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    int fd = connect_to(f);
    uint16_t port;
    int listener = client_listen(&port);
    assert_int_equal(ask_to_dial(fd, &arena, port), 0);
    int called = accept(listener, NULL, NULL);
    uint8_t record[4 + 14];
    assert_true(receive_all(called, record, sizeof record));
    assert_memory_equal(record + 4, "a call of ours", 14);
    const uint32_t answer[] = { htonl(RPC_LAST_FRAGMENT | 12), htonl(7), htonl(RPC_REPLY), 0 };
    send_all(called, answer, sizeof answer);
    struct slice question = make_call(&arena, 9, PROC_ECHO, slice_str("x"));
    send_all(called, question.data, question.size);
    assert_false(receive_all(called, record, 1)); /* closed, and not served */
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->served, 1);
    (void)close(called);
    (void)close(listener);
    for (int i = 0; i < 2; i++) /* nobody listens there now */
        assert_true(ask_to_dial(fd, &arena, port) <= 0);
    while (f->opened > f->closed + 1)
        (void)usleep(1000);
    (void)close(fd);
    arena_fini(&arena);
}

int main(void)
{
#define SERVED(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        SERVED(records_of_all_sizes_come_back),
        SERVED(fragments_are_put_together_however_they_arrive),
        SERVED(a_waiting_request_does_not_hold_up_those_behind_it),
        SERVED(more_waiting_requests_than_fibers_are_all_answered),
        SERVED(errors_get_the_reply_that_rfc_5531_names),
        SERVED(a_client_that_goes_away_leaves_nothing_behind),
        SERVED(a_client_can_be_called_at_its_own_host_and_asks_nothing_there),
        SERVED(connections_can_be_closed_from_outside_and_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
