/*
 * The PostgreSQL backend over a network that cuts: each kind of call is made with the connection cut after every few bytes that
 * cross it, in either direction, so also when COMMIT is on its way there and its answer on its way back. Each call must succeed,
 * and must have been done once.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/sys.h"
#include "datastore/shoal_data.h"
#include "tests/lib/pg_server.h"

#define PAIRS_MAX 16u
#define STEP \
    23 /* bytes from one cut to the next; prime, so that the two directions do not fall into step */
#define UNLIMITED INT64_MAX

/* A proxy between two Unix sockets. When armed it lets so many bytes pass, then closes all connections it has; those made later
 * are not touched. */
struct proxy {
    char directory[64];
    struct sockaddr_un server;
    int listener;
    int wake[2]; /* a byte ends it */
    _Atomic int64_t budget;
    _Atomic unsigned cuts;
    int pairs[PAIRS_MAX][2]; /* client, server; -1: free */
    pthread_t thread;
};

static struct pg_server *server;

static void drop_pair(int pair[2])
{
    (void)close(pair[0]);
    (void)close(pair[1]);
    pair[0] = pair[1] = -1;
}

static void drop_all(struct proxy *proxy)
{
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        if (proxy->pairs[i][0] >= 0)
            drop_pair(proxy->pairs[i]);
    }
}

/* Passes on what `from` has. False: all connections have been cut, or this one has ended. */
static bool pass_on(struct proxy *proxy, int pair[2], int from, int to)
{
    char bytes[65536];
    ssize_t got = read(from, bytes, sizeof bytes);
    if (got <= 0) {
        drop_pair(pair);
        return false;
    }
    int64_t budget = atomic_load(&proxy->budget);
    ssize_t keep = budget < got ? (ssize_t)budget : got;
    for (ssize_t done = 0; done < keep;) {
        ssize_t put = send(to, bytes + done, (size_t)(keep - done), MSG_NOSIGNAL);
        if (put < 0)
            break;
        done += put;
    }
    if (budget == UNLIMITED)
        return true;
    if (budget > got) {
        atomic_store(&proxy->budget, budget - got);
        return true;
    }
    atomic_store(&proxy->budget, UNLIMITED);
    atomic_fetch_add(&proxy->cuts, 1);
    drop_all(proxy);
    return false;
}

static void take_client(struct proxy *proxy)
{
    int client = accept(proxy->listener, NULL, NULL);
    int backend = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || backend < 0 ||
        connect(backend, (const struct sockaddr *)&proxy->server, sizeof proxy->server) < 0)
        abort();
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        if (proxy->pairs[i][0] >= 0)
            continue;
        proxy->pairs[i][0] = client;
        proxy->pairs[i][1] = backend;
        return;
    }
    abort();
}

static void *proxy_run(void *argument)
{
    struct proxy *proxy = argument;
    for (;;) {
        struct pollfd fds[2 + 2 * PAIRS_MAX];
        for (unsigned i = 0; i < PAIRS_MAX; i++) {
            fds[2 + 2 * i] = (struct pollfd){ .fd = proxy->pairs[i][0], .events = POLLIN };
            fds[3 + 2 * i] = (struct pollfd){ .fd = proxy->pairs[i][1], .events = POLLIN };
        }
        fds[0] = (struct pollfd){ .fd = proxy->listener, .events = POLLIN };
        fds[1] = (struct pollfd){ .fd = proxy->wake[0], .events = POLLIN };
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
            abort();
        if (fds[1].revents != 0)
            return NULL;
        for (unsigned i = 0; i < 2 * PAIRS_MAX; i++) {
            int *pair = proxy->pairs[i / 2];
            if (fds[2 + i].revents != 0 && pair[i % 2] == fds[2 + i].fd &&
                !pass_on(proxy, pair, pair[i % 2], pair[1 - i % 2]))
                break; /* the other descriptors may be closed, or new */
        }
        if (fds[0].revents != 0)
            take_client(proxy);
    }
}

/* Begins, in front of the server of the URL, and writes the URL of the way through the proxy. */
static void proxy_start(struct proxy *proxy, const char *url, char *out_url, size_t size)
{
    memset(proxy, 0, sizeof *proxy);
    memset(proxy->pairs, 0xFF, sizeof proxy->pairs);
    atomic_store(&proxy->budget, UNLIMITED);
    const char *host = strstr(url, "host=") + strlen("host=");
    (void)snprintf(proxy->directory, sizeof proxy->directory, "/tmp/shoal-cut-XXXXXX");
    assert_non_null(mkdtemp(proxy->directory));
    struct sockaddr_un own = { .sun_family = AF_UNIX };
    proxy->server.sun_family = AF_UNIX;
    (void)snprintf(proxy->server.sun_path, sizeof proxy->server.sun_path, "%s/.s.PGSQL.5432", host);
    (void)snprintf(own.sun_path, sizeof own.sun_path, "%s/.s.PGSQL.5432", proxy->directory);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(proxy->listener, (const struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(listen(proxy->listener, 16), 0);
    assert_int_equal(pipe(proxy->wake), 0);
    assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_run, proxy), 0);
    (void)snprintf(out_url, size, "%.*s%s", (int)(host - url), url, proxy->directory);
}

static void proxy_stop(struct proxy *proxy)
{
    assert_int_equal(write(proxy->wake[1], "", 1), 1);
    assert_int_equal(pthread_join(proxy->thread, NULL), 0);
    drop_all(proxy);
    (void)close(proxy->listener);
    (void)close(proxy->wake[0]);
    (void)close(proxy->wake[1]);
    assert_int_equal(sys_remove_tree(AT_FDCWD, proxy->directory), 0);
}

/* ---- The calls ---- */

struct trial {
    char url[256]; /* of the server, past the proxy */
    struct proxy proxy;
    struct shoal_data *store;
    struct shoal_data_error error;
};

static void expect(const struct trial *trial, const char *sql, uint64_t expected)
{
    char *text = pg_server_ask(trial->url, sql);
    if (strtoull(text, NULL, 10) != expected)
        fail_msg("%s: %s instead of %llu", sql, text, (unsigned long long)expected);
    free(text);
}

static void save_document(struct trial *trial, uint64_t number)
{
    char json[32];
    int size = snprintf(json, sizeof json, "%llu", (unsigned long long)number);
    struct shoal_data_document document = { .struct_size = sizeof document,
        .kind = SHOAL_DATA_PERFORMANCE,
        .name = "cut",
        .time_s = 1700000000,
        .json = json,
        .json_size = (uint64_t)size };
    if (shoal_data_save_document(trial->store, &document, NULL, 0, &trial->error) != SHOAL_DATA_OK)
        fail_msg("document %s: %s", json, trial->error.message);
}

static void check_documents(struct trial *trial, uint64_t calls)
{
    expect(trial, "SELECT count(*) FROM shoal_data.documents", calls);
    expect(trial, "SELECT count(DISTINCT body) FROM shoal_data.documents", calls);
}

/* One new bar, and a correction of the first. */
static void append_bars(struct trial *trial, uint64_t number)
{
    const int64_t at[] = { 0, (int64_t)number + 1 };
    const double price[] = { (double)number, (double)number };
    struct shoal_data_bars bars = { 2, at, price, price, price, price, price };
    if (shoal_data_append_bars(trial->store, "CUT", "1m", &bars, &trial->error) != SHOAL_DATA_OK)
        fail_msg("bars %llu: %s", (unsigned long long)number, trial->error.message);
}

static void check_bars(struct trial *trial, uint64_t calls)
{
    expect(trial, "SELECT count(*) FROM shoal_data.bars", calls + 1);
    expect(trial, "SELECT open::bigint FROM shoal_data.bars WHERE ts = 0", calls - 1);
}

static void save_checkpoint(struct trial *trial, uint64_t number)
{
    char data[64];
    uint64_t version = 0;
    memset(data, (int)number, sizeof data);
    if (shoal_data_save_checkpoint(
            trial->store, "net", data, sizeof data, NULL, &version, &trial->error) != SHOAL_DATA_OK)
        fail_msg("checkpoint %llu: %s", (unsigned long long)number, trial->error.message);
    assert_int_equal(version, number + 1);
}

static void check_checkpoints(struct trial *trial, uint64_t calls)
{
    expect(trial, "SELECT count(*) FROM shoal_data.versions", calls);
    expect(trial, "SELECT latest FROM shoal_data.checkpoints", calls);
    expect(trial, "SELECT count(*) FROM shoal_data.shards WHERE state = 2", calls);
    expect(trial,
        "SELECT count(*) FROM shoal_data.chunks c JOIN shoal_data.shards s ON s.id = c.shard_id "
        "AND s.state = 2",
        calls);
}

/* Cuts after 1, 24, ... bytes, until a call gets through without a cut. */
static void cut_everywhere(void (*call)(struct trial *trial, uint64_t number),
    void (*check)(struct trial *trial, uint64_t calls))
{
    struct trial *trial = calloc(1, sizeof *trial);
    char url[256];
    assert_non_null(trial);
    pg_server_new_database(server, trial->url, sizeof trial->url);
    proxy_start(&trial->proxy, trial->url, url, sizeof url);
    struct shoal_data_options options = { .struct_size = sizeof options,
        .create = 1,
        .pool_min = 1,
        .pool_max = 1,
        .threads = 1,
        .timeout_ms = 60000 };
    if (shoal_data_open(url, &options, &trial->store, &trial->error) != SHOAL_DATA_OK)
        fail_msg("%s", trial->error.message);
    uint64_t calls = 0;
    bool is_cut = true;
    for (int64_t bytes = 1; is_cut; bytes += STEP) {
        call(trial, calls++); /* so that statements are prepared, as they mostly are */
        unsigned cuts = atomic_load(&trial->proxy.cuts);
        atomic_store(&trial->proxy.budget, bytes);
        call(trial, calls++);
        is_cut = atomic_load(&trial->proxy.cuts) > cuts;
        atomic_store(&trial->proxy.budget, UNLIMITED);
        assert_true(bytes < 100000);
    }
    assert_true(atomic_load(&trial->proxy.cuts) > 10);
    check(trial, calls);
    shoal_data_close(trial->store);
    proxy_stop(&trial->proxy);
    free(trial);
}

static void documents_are_saved_once(void **state)
{
    (void)state;
    cut_everywhere(save_document, check_documents);
}

static void bars_are_written_once_and_in_order(void **state)
{
    (void)state;
    cut_everywhere(append_bars, check_bars);
}

static void versions_are_made_once(void **state)
{
    (void)state;
    cut_everywhere(save_checkpoint, check_checkpoints);
}

int main(void)
{
    server = pg_server_start();
    if (server == NULL)
        return 77; /* PostgreSQL is not installed */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_saved_once),
        cmocka_unit_test(bars_are_written_once_and_in_order),
        cmocka_unit_test(versions_are_made_once),
    };
    int failed = cmocka_run_group_tests_name("postgres cuts", tests, NULL, NULL);
    pg_server_free(server);
    return failed;
}
