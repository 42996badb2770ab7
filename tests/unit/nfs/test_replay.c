/* tests/unit/nfs/test_replay.c - version 4.0's requests that are sent again: which count, what is kept, and who waits. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

#include "nfs/replay.h"

static struct harness *start(void **state)
{
    struct harness *h = *state;
    h->client->minor = 0;
    return h;
}

static void begin_mkdir(struct harness *h, const char *name)
{
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, name);
}

/* Sends what was begun, with this xid. */
static enum nfsstat4 run_as(struct harness *h, uint32_t xid)
{
    h->xid = xid;
    return compound_run(h);
}

static void mkdir_as(struct harness *h, uint32_t xid, const char *name)
{
    begin_mkdir(h, name);
    assert_int_equal(run_as(h, xid), NFS4_OK);
}

static enum nfsstat4 repeat_mkdir_as(struct harness *h, uint32_t xid, const char *name)
{
    begin_mkdir(h, name);
    return run_as(h, xid);
}

/* The first client comes back with a new connection. */
static void reconnect(struct harness *h, bool lost_some)
{
    h->first.conn.lost_some = lost_some;
    client_disconnect(h, &h->first);
    client_connect(h, &h->first, "127.0.0.1");
    h->first.minor = 0;
}

static void a_repeated_request_is_answered_with_the_same_bytes(void **state)
{
    struct harness *h = start(state);
    h->tag = "tag";
    mkdir_as(h, 7, "d");
    struct slice first = h->raw;
    unsigned count = fake_fs_call_count(h->fs_a, "create");
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4_OK);
    assert_int_equal(h->raw.size, first.size);
    assert_memory_equal(h->raw.data, first.data, first.size);
    assert_int_equal(fake_fs_call_count(h->fs_a, "create"), count);
}

static void another_xid_name_or_user_makes_another_request(void **state)
{
    struct harness *h = start(state);
    mkdir_as(h, 7, "d");
    assert_int_equal(repeat_mkdir_as(h, 8, "d"), NFS4ERR_EXIST);
    assert_int_equal(repeat_mkdir_as(h, 7, "e"), NFS4_OK);
    h->client->cred.gid = 5;
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4ERR_EXIST);
}

static void another_view_makes_another_request(void **state)
{
    struct harness *h = start(state);
    mkdir_as(h, 7, "d");
    h->first.conn.lost_some = true;
    client_disconnect(h, &h->first);
    client_connect(h, &h->first, "127.0.0.2");
    h->first.minor = 0;
    mkdir_as(h, 7, "d");
    assert_int_equal(fake_fs_call_count(h->fs_b, "create"), 1);
}

static void a_reply_counts_over_the_next_connection_if_it_was_lost(void **state)
{
    struct harness *h = start(state);
    mkdir_as(h, 7, "d");
    reconnect(h, true);
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4_OK);
    reconnect(h, true);
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4_OK);
}

static void a_reply_that_was_received_is_forgotten_with_its_connection(void **state)
{
    struct harness *h = start(state);
    mkdir_as(h, 7, "d");
    reconnect(h, false);
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4ERR_EXIST);
}

static void an_open_connection_is_asked_whether_it_may_lose_something(void **state)
{
    struct harness *h = start(state);
    struct harness_client second;
    client_connect(h, &second, "127.0.0.1");
    second.minor = 0;
    mkdir_as(h, 7, "d");
    h->client = &h->first;
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4ERR_EXIST); /* the second one has its reply */
    mkdir_as(h, 8, "e");
    h->first.conn.lost_some = true;
    h->client = &second;
    assert_int_equal(repeat_mkdir_as(h, 8, "e"), NFS4_OK);
    client_disconnect(h, &second);
}

static void a_reply_is_forgotten_when_it_is_old(void **state)
{
    struct harness *h = start(state);
    mkdir_as(h, 7, "d");
    nfs_server_tick(h->server, 1);
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4_OK);
    nfs_server_tick(h->server, UINT64_MAX / 2);
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4ERR_EXIST);
}

/* 64 KiB are no room for the replies of 400 requests, each kept with all that is known of it. */
static void the_oldest_reply_makes_room(void **state)
{
    struct harness *h = start(state);
    char name[16];
    for (uint32_t i = 0; i < 400; i++) {
        (void)snprintf(name, sizeof name, "d%u", i);
        mkdir_as(h, i, name);
    }
    assert_int_equal(repeat_mkdir_as(h, 0, "d0"), NFS4ERR_EXIST);
    assert_int_equal(repeat_mkdir_as(h, 399, "d399"), NFS4_OK);
    assert_int_equal(repeat_mkdir_as(h, 350, "d350"), NFS4_OK);
}

static int setup_large(void **state)
{
    (void)harness_setup_bare(state);
    struct harness *h = *state;
    h->options.reply_cache_v40_bytes = 1u << 30;
    harness_restart(h, 60000);
    return 0;
}

static void one_connection_cannot_fill_it_all(void **state)
{
    struct harness *h = start(state);
    char name[16];
    for (uint32_t i = 0; i <= REPLAYS_PER_CONN_MAX; i++) {
        (void)snprintf(name, sizeof name, "d%u", i);
        mkdir_as(h, i, name);
    }
    assert_int_equal(repeat_mkdir_as(h, 1, "d1"), NFS4_OK);
    assert_int_equal(repeat_mkdir_as(h, 0, "d0"), NFS4ERR_EXIST);
}

static int setup_none(void **state)
{
    (void)harness_setup_bare(state);
    struct harness *h = *state;
    h->options.reply_cache_v40_bytes = 0;
    harness_restart(h, 60000);
    return 0;
}

static void with_no_memory_for_it_nothing_is_kept(void **state)
{
    struct harness *h = start(state);
    mkdir_as(h, 7, "d");
    assert_int_equal(repeat_mkdir_as(h, 7, "d"), NFS4ERR_EXIST);
}

/* A new directory, and behind it more than is kept. */
static void begin_mkdir_with_links(struct harness *h, const char *name)
{
    begin_mkdir(h, name);
    for (int i = 0; i < 5; i++) {
        add_putrootfh(h);
        add_lookup(h, "link");
        add_op(h, OP_READLINK, NULL);
    }
}

static void a_reply_that_is_too_large_is_not_kept(void **state)
{
    struct harness *h = start(state);
    static char target[4000];
    memset(target, 't', sizeof target - 1);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4LNK, .linkdata = slice_str(target) },
                .objname = slice_str("link") } });
    assert_int_equal(run_as(h, 1), NFS4_OK);
    begin_mkdir_with_links(h, "d");
    assert_int_equal(run_as(h, 7), NFS4_OK);
    assert_true(h->raw.size > REPLAY_SIZE_MAX);
    begin_mkdir_with_links(h, "d");
    assert_int_equal(run_as(h, 7), NFS4ERR_EXIST);
}

/* ---- two at one time ---- */

static struct {
    const struct fs_ops *real;
    struct fs_ops slow;
    pthread_mutex_t lock; /* the fake is for one thread */
    sem_t entered, go;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int locked_root(struct fs *fs, struct fs_node *out_node)
{
    (void)pthread_mutex_lock(&gate.lock);
    int err = gate.real->root(fs, out_node);
    (void)pthread_mutex_unlock(&gate.lock);
    return err;
}

static int locked_getattr(struct fs *fs, struct fs_node node, struct fs_attr *out_attr)
{
    (void)pthread_mutex_lock(&gate.lock);
    int err = gate.real->getattr(fs, node, out_attr);
    (void)pthread_mutex_unlock(&gate.lock);
    return err;
}

static int slow_create(struct fs *fs, const struct fs_cred *cred, struct fs_node dir,
    struct slice name, const struct fs_create *how, struct fs_created *out)
{
    (void)sem_post(&gate.entered);
    while (sem_wait(&gate.go) != 0) {
    }
    (void)pthread_mutex_lock(&gate.lock);
    int err = gate.real->create(fs, cred, dir, name, how, out);
    (void)pthread_mutex_unlock(&gate.lock);
    return err;
}

struct sender {
    struct harness *h;
    struct harness_client client;
    uint8_t request[256];
    size_t request_size;
    uint8_t reply[256];
    size_t reply_size;
    int answer;
    pthread_t thread;
};

static void *sender_run(void *argument)
{
    struct sender *sender = argument;
    struct arena arena;
    arena_init(&arena, 16u << 20);
    struct rpc_request request = { .conn = &sender->client.conn,
        .arena = &arena,
        .call = { .xid = 7,
            .program = NFS4_PROGRAM,
            .version = NFS_V4,
            .procedure = NFSPROC4_COMPOUND,
            .cred = sender->client.cred },
        .record_size = sender->request_size + 64,
        .args = xdr_decoder_of(slice_of(sender->request, sender->request_size), &arena) };
    xdr_encoder_init(&request.reply, &arena, 4u << 20);
    sender->answer = sender->h->program.serve(sender->h->program.context, &request);
    sender->reply_size = request.reply.size;
    assert(sender->reply_size <= sizeof sender->reply);
    memcpy(sender->reply, request.reply.data, sender->reply_size);
    arena_fini(&arena);
    return NULL;
}

static void sender_start(struct harness *h, struct sender *sender)
{
    *sender = (struct sender){ .h = h };
    client_connect(h, &sender->client, "127.0.0.1");
    sender->client.minor = 0;
    begin_mkdir(h, "d");
    /* Tag, version, and the number of operations, which compound_run() would have put in. */
    h->request.data[h->count_at + 3] = (uint8_t)h->op_count;
    sender->request_size = h->request.size;
    assert_true(h->request.size <= sizeof sender->request);
    memcpy(sender->request, h->request.data, h->request.size);
    assert_int_equal(pthread_create(&sender->thread, NULL, sender_run, sender), 0);
}

static void a_request_that_runs_is_waited_for_and_not_begun_again(void **state)
{
    struct harness *h = start(state);
    struct sender first, others[3];
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.go, 0, 0);
    gate.real = h->fs_a->ops;
    gate.slow = *gate.real;
    gate.slow.root = locked_root;
    gate.slow.getattr = locked_getattr;
    gate.slow.create = slow_create;
    h->fs_a->ops = &gate.slow;
    sender_start(h, &first);
    first.client.conn.lost_some =
        true; /* so that those who come too late to wait get its reply, too */
    while (sem_wait(&gate.entered) != 0) {
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        sender_start(h, &others[i]);
    for (int i = 0; i < 100; i++)
        (void)sched_yield(); /* most likely they wait by then; what follows holds anyhow */
    (void)sem_post(&gate.go);
    (void)pthread_join(first.thread, NULL);
    assert_int_equal(first.answer, RPC_SUCCESS);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        (void)pthread_join(others[i].thread, NULL);
        assert_int_equal(others[i].answer, RPC_SUCCESS);
        assert_int_equal(others[i].reply_size, first.reply_size);
        assert_memory_equal(others[i].reply, first.reply, first.reply_size);
        client_disconnect(h, &others[i].client);
    }
    h->fs_a->ops = gate.real;
    assert_int_equal(fake_fs_call_count(h->fs_a, "create"), 1);
    client_disconnect(h, &first.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup_bare, harness_teardown)
        TEST(a_repeated_request_is_answered_with_the_same_bytes),
        TEST(another_xid_name_or_user_makes_another_request),
        TEST(another_view_makes_another_request),
        TEST(a_reply_counts_over_the_next_connection_if_it_was_lost),
        TEST(a_reply_that_was_received_is_forgotten_with_its_connection),
        TEST(an_open_connection_is_asked_whether_it_may_lose_something),
        TEST(a_reply_is_forgotten_when_it_is_old),
        TEST(the_oldest_reply_makes_room),
        TEST(a_reply_that_is_too_large_is_not_kept),
        TEST(a_request_that_runs_is_waited_for_and_not_begun_again),
        cmocka_unit_test_setup_teardown(
            one_connection_cannot_fill_it_all, setup_large, harness_teardown),
        cmocka_unit_test_setup_teardown(
            with_no_memory_for_it_nothing_is_kept, setup_none, harness_teardown),
    };
    return cmocka_run_group_tests_name("nfs: replies kept for a retry", tests, NULL, NULL);
}
