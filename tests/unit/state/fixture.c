/* tests/unit/state/fixture.c - see fixture.h. */
#include "fixture.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"

/* ---- the fake file system ---- */

static int fake_hold(void *context, struct state_file_key file)
{
    struct fake_fs *fs = context;
    int err = fs->hold_error;
    mutex_lock(&fs->lock);
    for (size_t i = 0; i < FAKE_HOLD_MAX && err == 0; i++) {
        struct fake_hold *hold = &fs->holds[i];
        bool is_it = hold->file.inode == file.inode && hold->file.generation == file.generation;
        if (hold->count == 0 || is_it) {
            /* A freed entry before the file's own would split its count. */
            if (!is_it) {
                bool later = false;
                for (size_t j = i + 1; j < FAKE_HOLD_MAX; j++)
                    later |= fs->holds[j].count > 0 && fs->holds[j].file.inode == file.inode;
                if (later)
                    continue;
            }
            hold->file = file;
            hold->count++;
            break;
        }
    }
    mutex_unlock(&fs->lock);
    return err;
}

static void fake_release(void *context, struct state_file_key file)
{
    struct fake_fs *fs = context;
    mutex_lock(&fs->lock);
    for (size_t i = 0; i < FAKE_HOLD_MAX; i++) {
        struct fake_hold *hold = &fs->holds[i];
        if (hold->count > 0 && hold->file.inode == file.inode) {
            hold->count--;
            mutex_unlock(&fs->lock);
            return;
        }
    }
    assert(false); /* released what was not held */
}

static struct fake_record *record_find(struct fake_fs *fs, struct slice key)
{
    for (size_t i = 0; i < FAKE_RECORD_MAX; i++) {
        if (fs->records[i].size > 0 && memcmp(fs->records[i].key, key.data, 8) == 0)
            return &fs->records[i];
    }
    return NULL;
}

static int fake_record_put(void *context, struct slice key, struct slice value)
{
    struct fake_fs *fs = context;
    assert(key.size == 8 && value.size > 0 && value.size <= 4096);
    if (fs->put_error != 0)
        return fs->put_error;
    mutex_lock(&fs->lock);
    struct fake_record *record = record_find(fs, key);
    for (size_t i = 0; record == NULL && i < FAKE_RECORD_MAX; i++)
        record = fs->records[i].size == 0 ? &fs->records[i] : NULL;
    assert(record != NULL);
    memcpy(record->key, key.data, 8);
    memcpy(record->value, value.data, value.size);
    record->size = value.size;
    fs->put_count++;
    mutex_unlock(&fs->lock);
    return 0;
}

static int fake_record_delete(void *context, struct slice key)
{
    struct fake_fs *fs = context;
    if (fs->delete_error != 0)
        return fs->delete_error;
    mutex_lock(&fs->lock);
    struct fake_record *record = record_find(fs, key);
    if (record != NULL)
        record->size = 0;
    mutex_unlock(&fs->lock);
    return 0;
}

const struct state_files_ops fake_fs_ops = {
    .hold = fake_hold,
    .release = fake_release,
    .record_put = fake_record_put,
    .record_delete = fake_record_delete,
};

unsigned fake_record_count(const struct fake_fs *fs)
{
    unsigned count = 0;
    for (size_t i = 0; i < FAKE_RECORD_MAX; i++)
        count += fs->records[i].size > 0;
    return count;
}

int fake_hold_count(const struct fake_fs *fs, struct state_file_key file)
{
    for (size_t i = 0; i < FAKE_HOLD_MAX; i++) {
        if (fs->holds[i].count > 0 && fs->holds[i].file.inode == file.inode)
            return fs->holds[i].count;
    }
    return 0;
}

unsigned fixture_seed(void)
{
    uint64_t seed = clock_monotonic_ns() & UINT32_MAX;
    const char *given = secure_getenv("SEED");
    if (given != NULL)
        assert_int_equal(text_parse_u64(given, UINT32_MAX, &seed), 0);
    print_message("SEED=%u\n", (unsigned)seed);
    return (unsigned)seed;
}

/* ---- the process ---- */

void fixture_start(struct fixture *f)
{
    f->options.boot_epoch++;
    assert_int_equal(state_new(&f->options, &f->state), 0);
    assert_int_equal(state_server_new(f->state, slice_str("view-1"), &f->server), 0);
    assert_int_equal(state_server_new(f->state, slice_str("view-2"), &f->other_server), 0);
    assert_int_equal(state_files_new(f->state, &fake_fs_ops, &f->fs, &f->files), 0);
    memset(f->fs.holds, 0, sizeof f->fs.holds);
    for (size_t i = 0; i < FAKE_RECORD_MAX; i++) {
        const struct fake_record *record = &f->fs.records[i];
        if (record->size > 0)
            assert_int_equal(state_files_recover(f->files, slice_of(record->key, 8),
                                 slice_of(record->value, record->size)),
                0);
    }
    state_files_start(f->files, f->now_ms);
}

void fixture_stop(struct fixture *f)
{
    state_server_free(f->server);
    state_server_free(f->other_server);
    state_files_free(f->files);
    state_free(f->state);
}

void fixture_restart(struct fixture *f)
{
    fixture_stop(f);
    fixture_start(f);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)pthread_mutex_init(&f->fs.lock.pthread, NULL);
    state_options_init(&f->options);
    f->options.hash_key = (struct hash_key){ .k0 = 1, .k1 = 2 };
    f->options.boot_epoch = 41;
    f->now_ms = 1000000;
    fixture_start(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_stop(f);
    for (size_t i = 0; i < FAKE_HOLD_MAX; i++)
        assert_int_equal(f->fs.holds[i].count, 0);
    (void)pthread_mutex_destroy(&f->fs.lock.pthread);
    free(f);
    return 0;
}

void fixture_elapse(struct fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    state_tick(f->state, f->now_ms);
}

/* ---- clients ---- */

struct peer peer_of(struct fixture *f, const char *owner)
{
    static uint64_t conn_count;
    return (struct peer){ .f = f,
        .server = f->server,
        .owner = owner,
        .principal = "sys:0:host",
        .verifier = 7,
        .conn_id = ++conn_count };
}

enum state_status peer_exchange(struct peer *peer, struct state_exchanged *out)
{
    uint8_t verifier[STATE_VERIFIER_SIZE];
    memcpy(verifier, &peer->verifier, sizeof verifier);
    struct state_exchange_id args = { .owner = slice_str(peer->owner),
        .verifier = verifier,
        .principal = slice_str(peer->principal) };
    return state_exchange_id(peer->server, &args, peer->f->now_ms, out);
}

struct state_session_create peer_create_args(const struct peer *peer, uint32_t sequenceid)
{
    struct state_channel channel = { .request_size_max = 8192,
        .response_size_max = 8192,
        .response_cached_size_max = 1024,
        .op_count_max = 16,
        .slot_count_max = 8 };
    return (struct state_session_create){ .clientid = peer->clientid,
        .sequenceid = sequenceid,
        .want_back_channel = true,
        .fore = channel,
        .back = channel,
        .cb_program = 0x40000000,
        .principal = slice_str(peer->principal),
        .conn_id = peer->conn_id };
}

enum state_status peer_create(
    struct peer *peer, uint32_t sequenceid, struct state_session_created *out)
{
    struct state_session_create args = peer_create_args(peer, sequenceid);
    return state_session_create(peer->server, &args, peer->f->now_ms, out);
}

void peer_connect(struct peer *peer)
{
    struct state_exchanged exchanged;
    assert_int_equal(peer_exchange(peer, &exchanged), STATE_OK);
    peer->clientid = exchanged.clientid;
    struct state_session_created created;
    assert_int_equal(peer_create(peer, exchanged.sequenceid, &created), STATE_OK);
    memcpy(peer->sessionid, created.sessionid, STATE_SESSIONID_SIZE);
    peer->seqid = 0;
}

enum state_status peer_sequence(struct peer *peer, struct state_caller *out_caller)
{
    struct state_sequence args = { .sessionid = peer->sessionid,
        .seqid = peer->seqid + 1,
        .checksum = peer->seqid,
        .request_size = 100,
        .op_count = 2,
        .conn_id = peer->conn_id };
    struct state_ticket ticket;
    enum state_status status = state_sequence_begin(peer->server, &args, peer->f->now_ms, &ticket);
    if (status != STATE_OK)
        return status;
    peer->seqid++;
    *out_caller = (struct state_caller){
        .server = peer->server, .client = ticket.client, .now_ms = peer->f->now_ms
    };
    state_sequence_end(&ticket, slice_of(NULL, 0)); /* the session keeps the client alive */
    return STATE_OK;
}

struct state_caller peer_caller(struct peer *peer)
{
    struct state_caller caller;
    assert_int_equal(peer_sequence(peer, &caller), STATE_OK);
    return caller;
}

enum state_status peer_reclaim_complete(struct peer *peer)
{
    struct state_caller caller = peer_caller(peer);
    return state_reclaim_complete(&caller, NULL);
}

struct peer peer_ready(struct fixture *f, const char *owner)
{
    struct peer peer = peer_of(f, owner);
    peer_connect(&peer);
    assert_int_equal(peer_reclaim_complete(&peer), STATE_OK);
    return peer;
}

/* ---- what they do ---- */

struct state_file_ref fixture_file(const struct fixture *f, uint64_t inode)
{
    return (struct state_file_ref){ .files = f->files, .key = { .inode = inode, .generation = 1 } };
}

enum state_status peer_open_deny(struct peer *peer, const char *owner, uint64_t inode,
    uint32_t access, uint32_t deny, struct state_stateid *out)
{
    struct state_caller caller = peer_caller(peer);
    struct state_open_args args = { .file = fixture_file(peer->f, inode),
        .owner = slice_str(owner),
        .access = access,
        .deny = deny };
    struct state_opened opened;
    enum state_status status = state_open(&caller, &args, &opened);
    if (status == STATE_OK)
        *out = opened.stateid;
    return status;
}

enum state_status peer_open(
    struct peer *peer, uint64_t inode, uint32_t access, struct state_stateid *out)
{
    return peer_open_deny(peer, "o", inode, access, STATE_SHARE_NONE, out);
}

enum state_status peer_close(struct peer *peer, uint64_t inode, const struct state_stateid *stateid)
{
    struct state_caller caller = peer_caller(peer);
    struct state_file_ref file = fixture_file(peer->f, inode);
    struct state_stateid closed;
    return state_close(&caller, &file, stateid, &closed);
}

enum state_status peer_lock(struct peer *peer, uint64_t inode, const struct state_stateid *open,
    const char *owner, struct state_lock_range range, struct state_stateid *out)
{
    struct state_caller caller = peer_caller(peer);
    struct state_lock_args args = { .file = fixture_file(peer->f, inode),
        .range = range,
        .new_owner = true,
        .stateid = *open,
        .owner = slice_str(owner) };
    struct state_lock_denied denied;
    return state_lock(&caller, &args, out, &denied);
}
