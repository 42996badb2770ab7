/*
 * A process works on a file system and says what was acknowledged; it is killed, and what is found afterwards must
 * be what was acknowledged, or that and the one operation that was under way, whole.
 *
 * Each thread of the child works in a directory of its own, with operations that follow from the seed alone: so
 * the parent plays the same operations on a model, as far as they were acknowledged.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "engine/check.h"
#include "engine/volume.h"
#include "fixture.h"

#include <cmocka.h>

#define THREADS       4u
#define NAMES         6u
#define FILE_BYTES    (128u * 1024)
#define FILE_BLOCKS   (FILE_BYTES / 4096)
#define VERSIONS      8u
#define ROUNDS        8u
#define KILL_AFTER_MS 150u

/* A file as the model knows it: its content after each operation since all of it was durable. */
struct model_file {
    bool exists;
    uint32_t version;               /* the newest */
    uint64_t size;                  /* now */
    uint64_t size_least, size_most; /* what a crash may leave */
    uint32_t least[FILE_BLOCKS];    /* the oldest version a block may go back to */
    uint8_t *content[VERSIONS];     /* FILE_BYTES each */
};

struct model {
    uint64_t random;
    struct model_file files[NAMES];
};

enum op_kind { OP_CREATE, OP_REMOVE, OP_RENAME, OP_WRITE, OP_COMMIT, OP_TRUNCATE };

struct op {
    enum op_kind kind;
    uint32_t file, other;
    uint64_t offset, size;
    enum fs_stability stability;
    uint8_t fill;
};

/* `count` models, shared with the processes that are forked; they go with the process. */
static struct model *models_new(unsigned count)
{
    size_t contents = NAMES * VERSIONS * (size_t)FILE_BYTES;
    size_t size = count * (sizeof(struct model) + contents);
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    struct model *models = (struct model *)(void *)memory;
    uint8_t *next = memory + count * sizeof(struct model);
    for (unsigned i = 0; i < count * NAMES * VERSIONS; i++) {
        struct model *model = &models[i / (NAMES * VERSIONS)];
        model->files[i / VERSIONS % NAMES].content[i % VERSIONS] = next;
        next += FILE_BYTES;
    }
    return models;
}

static struct op next_op(struct model *model)
{
    uint64_t *random = &model->random;
    struct op op = { .file = (uint32_t)(fixture_random(random) % NAMES) };
    struct model_file *file = &model->files[op.file];
    uint64_t dice = fixture_random(random) % 100;
    op.other = (uint32_t)(fixture_random(random) % NAMES);
    op.offset = fixture_random(random) % FILE_BYTES;
    if (dice % 3 == 0)
        op.offset &= ~(uint64_t)4095;
    op.size = fixture_random(random) % (dice % 2 == 0 ? 100000 : 6000) + 1;
    op.size = min_u64(op.size, FILE_BYTES - op.offset);
    op.stability = (enum fs_stability)(dice % 3);
    op.fill = (uint8_t)fixture_random(random);
    if (!file->exists)
        op.kind = OP_CREATE;
    else if (dice < 4)
        op.kind = OP_REMOVE;
    else if (dice < 10 && op.other != op.file)
        op.kind = OP_RENAME;
    else if (file->version + 1 == VERSIONS || dice < 20)
        op.kind = OP_COMMIT; /* the model remembers so many versions only */
    else if (dice < 30)
        op.kind = OP_TRUNCATE;
    else
        op.kind = OP_WRITE;
    return op;
}

static void fill_data(const struct op *op, uint8_t *bytes)
{
    for (uint64_t i = 0; i < op->size; i++)
        bytes[i] = (uint8_t)(op->fill + i % 251);
}

static void apply_write(struct model_file *file, const struct op *op)
{
    uint8_t *old = file->content[file->version];
    uint8_t *new = file->content[++file->version];
    memcpy(new, old, FILE_BYTES);
    fill_data(op, new + op->offset);
    uint64_t end = op->offset + op->size;
    file->size = max_u64(file->size, end);
    file->size_most = max_u64(file->size_most, file->size);
    if (op->stability == FS_UNSTABLE)
        return;
    file->size_least = max_u64(file->size_least, end);
    for (uint64_t block = op->offset / 4096; block <= (end - 1) / 4096; block++)
        file->least[block] = file->version;
}

static void apply_commit(struct model_file *file)
{
    uint8_t *newest = file->content[file->version];
    file->content[file->version] = file->content[0];
    file->content[0] = newest;
    file->version = 0;
    file->size_least = file->size_most = file->size;
    memset(file->least, 0, sizeof file->least);
}

static void apply_truncate(struct model_file *file, const struct op *op)
{
    uint8_t *old = file->content[file->version];
    uint8_t *new = file->content[++file->version];
    memcpy(new, old, FILE_BYTES);
    if (op->offset < file->size)
        memset(new + op->offset, 0, FILE_BYTES - op->offset);
    bool is_cut = op->offset < file->size;
    file->size = file->size_least = file->size_most = op->offset;
    for (uint64_t block = op->offset / 4096; is_cut && block < FILE_BLOCKS; block++)
        file->least[block] = file->version;
}

static void apply(struct model *model, const struct op *op)
{
    struct model_file *file = &model->files[op->file];
    struct model_file moved;
    switch (op->kind) {
    case OP_CREATE:
        memset(file->content[0], 0, FILE_BYTES);
        file->exists = true;
        file->version = 0;
        file->size = file->size_least = file->size_most = 0;
        memset(file->least, 0, sizeof file->least);
        break;
    case OP_REMOVE:
        file->exists = false;
        break;
    case OP_RENAME:
        moved = model->files[op->other];
        model->files[op->other] = *file;
        moved.exists = false;
        *file = moved;
        break;
    case OP_WRITE:
        apply_write(file, op);
        break;
    case OP_COMMIT:
        apply_commit(file);
        break;
    case OP_TRUNCATE:
        apply_truncate(file, op);
        break;
    }
}

static void name_of(uint32_t file, char out_name[16])
{
    (void)snprintf(out_name, 16, "file%u", file);
}

static int perform_named(struct fs *fs, struct fs_node dir, const struct op *op, struct slice name)
{
    char other[16];
    struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0600 } };
    struct fs_created created;
    struct fs_change change;
    struct fs_renamed renamed;
    name_of(op->other, other);
    struct fs_rename rename = { dir, name, dir, slice_str(other) };
    if (op->kind == OP_CREATE)
        return fs_create(fs, NULL, dir, name, &how, &created);
    if (op->kind == OP_REMOVE)
        return fs_remove(fs, NULL, dir, name, &change);
    return fs_rename(fs, NULL, &rename, &renamed);
}

static int perform(struct fs *fs, struct fs_node dir, const struct op *op, uint8_t *bytes)
{
    char name[16];
    name_of(op->file, name);
    if (op->kind <= OP_RENAME)
        return perform_named(fs, dir, op, slice_str(name));
    struct fs_attr attr;
    int err = fs_lookup(fs, NULL, dir, slice_str(name), &attr);
    if (err < 0)
        return err;
    if (op->kind == OP_COMMIT)
        return fs_commit(fs, attr.node, 0, 0);
    if (op->kind == OP_TRUNCATE) {
        struct fs_setattr change = { .set_size = true, .size_bytes = op->offset };
        return fs_setattr(fs, NULL, attr.node, &change, &attr);
    }
    fill_data(op, bytes);
    struct fs_write write = {
        .offset = op->offset, .data = slice_of(bytes, op->size), .stability = op->stability
    };
    struct fs_written written;
    return fs_write(fs, attr.node, &write, &written);
}

struct worker {
    struct fs *fs;
    struct fs_node dir;
    struct model *model;
    int acks; /* one byte for each operation */
    pthread_t thread;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint8_t *bytes = malloc(FILE_BYTES);
    for (;;) {
        struct op op = next_op(worker->model);
        int err = perform(worker->fs, worker->dir, &op, bytes);
        if (err < 0) {
            (void)fprintf(stderr, "operation %d failed: %d\n", (int)op.kind, err);
            _exit(3);
        }
        apply(worker->model, &op);
        uint8_t ack = 1;
        if (write(worker->acks, &ack, 1) != 1)
            _exit(4);
    }
    return NULL;
}

static struct fs_node directory_of(struct fixture *f, unsigned thread)
{
    char name[16];
    (void)snprintf(name, sizeof name, "thread%u", thread);
    struct fs_attr attr;
    if (fs_lookup(f->fs, NULL, f->root, slice_str(name), &attr) == 0)
        return attr.node;
    struct fs_create how = { .type = FS_DIRECTORY, .attr = { .set_mode = true, .mode = 0700 } };
    struct fs_created out;
    assert_int_equal(fs_create(f->fs, NULL, f->root, slice_str(name), &how, &out), 0);
    return out.attr.node;
}

static const struct engine_options options = {
    .segment_blocks = 256, .small_file_bytes = 12000, .dirty_age_ms = 20
};

/* The arrays are copied too. */
static void copy_model(struct model *to, const struct model *from)
{
    to->random = from->random;
    for (unsigned i = 0; i < NAMES; i++) {
        struct model_file arrays = to->files[i];
        to->files[i] = from->files[i];
        for (unsigned v = 0; v < VERSIONS; v++) {
            to->files[i].content[v] = arrays.content[v];
            memcpy(to->files[i].content[v], from->files[i].content[v], FILE_BYTES);
        }
    }
}

/* Never returns. */
static void child(const char *directory, struct model *models, int (*pipes)[2])
{
    struct fixture f;
    struct worker workers[THREADS];
    struct model *own = models_new(THREADS); /* the parent's stay as they are */
    fixture_attach(&f, &options, directory);
    if (fixture_open(&f) < 0)
        _exit(2);
    for (unsigned i = 0; i < THREADS; i++) {
        copy_model(&own[i], &models[i]);
        workers[i] = (struct worker){ f.fs, directory_of(&f, i), &own[i], pipes[i][1], 0 };
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            _exit(5);
    }
    (void)pause();
    _exit(6);
}

/* Runs a child for a while, kills it; plays what it acknowledged on the models. */
static void run_and_kill(const char *directory, struct model *models, uint64_t *random)
{
    int pipes[THREADS][2];
    for (unsigned i = 0; i < THREADS; i++) {
        models[i].random = fixture_random(random);
        assert_int_equal(pipe(pipes[i]), 0);
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(directory, models, pipes);
    uint8_t first;
    assert_int_equal(read(pipes[0][0], &first, 1), 1); /* it is at work */
    (void)usleep((useconds_t)(fixture_random(random) % (KILL_AFTER_MS * 1000)));
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)close(pipes[i][1]);
        uint64_t acks = i == 0 ? 1 : 0;
        uint8_t buffer[4096];
        ssize_t got;
        while ((got = read(pipes[i][0], buffer, sizeof buffer)) > 0)
            acks += (uint64_t)got;
        (void)close(pipes[i][0]);
        while (acks-- > 0) {
            struct op op = next_op(&models[i]);
            apply(&models[i], &op);
        }
    }
}

/* Why the file is not what the model allows; NULL: it is. */
static const char *judge_file(
    struct fs *fs, struct fs_node dir, uint32_t number, const struct model_file *file)
{
    static uint8_t bytes[FILE_BYTES + 4096];
    char name[16];
    name_of(number, name);
    struct fs_attr attr;
    int err = fs_lookup(fs, NULL, dir, slice_str(name), &attr);
    if (!file->exists)
        return err == -ENOENT ? NULL : "exists";
    if (err != 0)
        return "is missing";
    if (attr.size_bytes < file->size_least || attr.size_bytes > file->size_most)
        return "has a wrong size";
    struct fs_read got;
    if (fs_read(fs, attr.node, 0, bytes, FILE_BYTES, &got) != 0 || got.size != attr.size_bytes)
        return "cannot be read";
    for (uint64_t block = 0; block * 4096 < got.size; block++) {
        size_t size = (size_t)min_u64(4096, got.size - block * 4096);
        bool is_known = false;
        for (uint32_t v = file->least[block]; v <= file->version && !is_known; v++)
            is_known = memcmp(file->content[v] + block * 4096, bytes + block * 4096, size) == 0;
        if (!is_known)
            return "has wrong content";
    }
    return NULL;
}

static const char *judge(struct fs *fs, struct fs_node dir, const struct model *model)
{
    for (uint32_t i = 0; i < NAMES; i++) {
        const char *why = judge_file(fs, dir, i, &model->files[i]);
        if (why != NULL)
            return why;
    }
    return NULL;
}

/* A write under way may have any of its blocks in place, as each can become visible alone to a crash when it is
 * UNSTABLE; a stable one was not acknowledged, so its blocks may be old or new. */
static void allow_partial(struct model *model, const struct model *before, const struct op *op)
{
    const struct model_file *old = &before->files[op->file];
    struct model_file *file = &model->files[op->file];
    if (op->kind != OP_WRITE && op->kind != OP_COMMIT)
        return;
    if (op->kind == OP_COMMIT) { /* what it would have made durable may be so or not */
        copy_model(model, before);
        return;
    }
    memcpy(file->least, old->least, sizeof file->least);
    file->size_least = old->size_least;
}

/* Takes what was found as the durable beginning of the next round. */
static void adopt(struct fs *fs, struct fs_node dir, struct model *model)
{
    for (uint32_t i = 0; i < NAMES; i++) {
        struct model_file *file = &model->files[i];
        char name[16];
        name_of(i, name);
        struct fs_attr attr;
        struct fs_read got = { 0 };
        file->exists = fs_lookup(fs, NULL, dir, slice_str(name), &attr) == 0;
        memset(file->content[0], 0, FILE_BYTES);
        if (file->exists)
            assert_int_equal(fs_read(fs, attr.node, 0, file->content[0], FILE_BYTES, &got), 0);
        memset(file->content[0] + got.size, 0, FILE_BYTES - got.size);
        file->version = 0;
        file->size = file->size_least = file->size_most = got.size;
        memset(file->least, 0, sizeof file->least);
    }
}

static void verify(struct fixture *f, struct model *models, struct model *ahead)
{
    for (unsigned i = 0; i < THREADS; i++) {
        struct fs_node dir = directory_of(f, i);
        const char *why = judge(f->fs, dir, &models[i]);
        if (why != NULL) { /* then the next operation was done too */
            copy_model(ahead, &models[i]);
            struct op op = next_op(ahead);
            apply(ahead, &op);
            allow_partial(ahead, &models[i], &op);
            const char *why_ahead = judge(f->fs, dir, ahead);
            if (why_ahead != NULL)
                fail_msg(
                    "thread %u: a file %s; with operation %d: %s", i, why, (int)op.kind, why_ahead);
        }
        adopt(f->fs, dir, &models[i]);
    }
    uint64_t wrong;
    assert_int_equal(volume_check(volume_of(f->fs), &wrong), 0);
    assert_int_equal(wrong, 0);
}

/* In a process of its own, as RocksDB's threads do not survive a fork. */
static void in_child(void (*function)(void *argument), void *argument)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        function(argument);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

struct run {
    struct model *models;
    uint64_t change; /* the root's counter */
    char directory[64];
};

static void make_it(void *argument)
{
    struct run *run = argument;
    struct fixture f;
    fixture_init(&f, &options);
    for (unsigned i = 0; i < THREADS; i++)
        (void)directory_of(&f, i);
    memcpy(run->directory, f.directory, sizeof run->directory);
    fixture_detach(&f);
}

static void check_it(void *argument)
{
    struct run *run = argument;
    struct fixture f;
    struct fs_attr attr;
    fixture_attach(&f, &options, run->directory);
    assert_int_equal(fixture_open(&f), 0);
    verify(&f, run->models, &run->models[THREADS]);
    assert_int_equal(fs_getattr(f.fs, f.root, &attr), 0);
    assert_true(attr.change >= run->change);
    run->change = attr.change;
    fixture_detach(&f);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    uint64_t random = fixture_seed();
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(run != MAP_FAILED);
    run->models = models_new(THREADS + 1);
    in_child(make_it, run);
    for (unsigned round = 0; round < ROUNDS; round++) {
        run_and_kill(run->directory, run->models, &random);
        in_child(check_it, run);
    }
    assert_int_equal(sys_remove_tree(AT_FDCWD, run->directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
