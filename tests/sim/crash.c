/*
 * tests/sim/crash.c - kill, reopen, compare.
 */
#include "tests/sim/crash.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS        6u
#define FILES          24u
#define SIZE_MAX_BYTES 300000u

enum crash_op {
    OP_CREATE,
    OP_WRITE_SYNC,   /* the whole file in one FILE_SYNC write: old or new */
    OP_WRITE_COMMIT, /* UNSTABLE writes and a COMMIT: until it is acknowledged, any mixture */
    OP_RENAME,
    OP_REMOVE,
};

/* One message of the pipe; small enough to be written atomically. */
struct message {
    uint8_t is_ack;
    uint8_t op;
    uint8_t thread;
    uint8_t file;
    uint32_t version; /* of the content, after the operation */
    uint64_t change;  /* the file's change counter, in an acknowledgement */
};

struct file_model {
    bool exists;
    bool renamed; /* which of its two names it has */
    uint32_t version;
    uint64_t change;
    bool in_progress;
    struct message intent;
};

struct worker {
    struct fs *fs;
    struct file_model files[FILES]; /* its own copy of the model */
    unsigned thread;
    uint64_t random;
    int pipe_fd;
};

static struct file_model model[THREADS][FILES];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Content and size follow from thread, file and version, so nothing has to be remembered. */
static uint32_t size_of(unsigned thread, unsigned file)
{
    static const uint32_t sizes[] = { 0, 1, 100, 4096, 4097, 9000, 65536, 70001, SIZE_MAX_BYTES };
    return sizes[(thread * 5 + file) % ARRAY_SIZE(sizes)];
}

static void fill(uint8_t *data, unsigned thread, unsigned file, uint32_t version)
{
    uint64_t random = ((uint64_t)version << 16 | thread << 8 | file) * 2654435761u + 1;
    for (uint32_t i = 0; i < size_of(thread, file); i++)
        data[i] = version == 0 ? 0 : (uint8_t)next_random(&random);
}

static struct slice name_of(char *buffer, size_t size, unsigned file, bool renamed)
{
    (void)snprintf(buffer, size, "%s%u", renamed ? "other-" : "file-", file);
    return slice_str(buffer);
}

static struct fs_node directory_of(struct fs *fs, unsigned thread)
{
    char name[16];
    (void)snprintf(name, sizeof name, "thread-%u", thread);
    struct fs_node top;
    struct fs_attr attr;
    int err = fs_root(fs, &top);
    assert(err == 0);
    if (fs_lookup(fs, NULL, top, slice_str(name), &attr) == 0)
        return attr.node;
    const struct fs_create how = { .type = FS_DIRECTORY,
        .attr = { .set_mode = true, .mode = 0755 } };
    struct fs_created made;
    err = fs_create(fs, NULL, top, slice_str(name), &how, &made);
    assert(err == 0);
    return made.attr.node;
}

static void tell(const struct worker *worker, bool is_ack, const struct message *message)
{
    struct message copy = *message;
    copy.is_ack = is_ack;
    ssize_t n = write(worker->pipe_fd, &copy, sizeof copy);
    assert(n == sizeof copy);
}

static int write_whole(
    struct worker *worker, struct fs_node node, const struct message *message, uint8_t *data)
{
    uint32_t size = size_of(worker->thread, message->file);
    fill(data, worker->thread, message->file, message->version);
    struct fs_written out;
    if (message->op == OP_WRITE_SYNC) {
        const struct fs_write all = { .data = slice_of(data, size), .stability = FS_FILE_SYNC };
        return fs_write(worker->fs, node, &all, &out);
    }
    for (uint32_t at = 0; at < size; at += 50000) {
        const struct fs_write part = { .offset = at,
            .data = slice_of(data + at, min_size(50000, size - at)) };
        int err = fs_write(worker->fs, node, &part, &out);
        if (err < 0)
            return err;
    }
    return fs_commit(worker->fs, node, 0, 0);
}

static int perform(
    struct worker *worker, struct fs_node dir, const struct message *message, uint8_t *data)
{
    struct file_model *file = &worker->files[message->file];
    char name[32];
    char other[32];
    struct slice from = name_of(name, sizeof name, message->file, file->renamed);
    struct slice to = name_of(other, sizeof other, message->file, !file->renamed);
    const struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0600 } };
    const struct fs_rename rename = {
        .from_dir = dir, .from_name = from, .to_dir = dir, .to_name = to
    };
    struct fs_created made;
    struct fs_renamed renamed;
    struct fs_change change;
    struct fs_attr attr;
    int err;
    switch ((enum crash_op)message->op) {
    case OP_CREATE:
        return fs_create(worker->fs, NULL, dir, from, &how, &made);
    case OP_WRITE_SYNC:
    case OP_WRITE_COMMIT:
        err = fs_lookup(worker->fs, NULL, dir, from, &attr);
        return err < 0 ? err : write_whole(worker, attr.node, message, data);
    case OP_RENAME:
        return fs_rename(worker->fs, NULL, &rename, &renamed);
    case OP_REMOVE:
        return fs_remove(worker->fs, NULL, dir, from, &change);
    }
    return -EINVAL;
}

/* What the model is once `message` is acknowledged. */
static void apply(struct file_model *file, const struct message *message)
{
    switch ((enum crash_op)message->op) {
    case OP_CREATE:
        file->exists = true;
        break;
    case OP_RENAME:
        file->renamed = !file->renamed;
        break;
    case OP_REMOVE:
        file->exists = false;
        break;
    case OP_WRITE_SYNC:
    case OP_WRITE_COMMIT:
        break;
    }
    file->version = message->version;
    file->change = message->change;
    file->in_progress = false;
}

static enum crash_op choose(struct worker *worker, const struct file_model *file)
{
    if (!file->exists)
        return OP_CREATE;
    uint64_t kind = next_random(&worker->random) % 10;
    if (kind < 4)
        return OP_WRITE_SYNC;
    if (kind < 7)
        return OP_WRITE_COMMIT;
    return kind < 9 ? OP_RENAME : OP_REMOVE;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint8_t *data = malloc(SIZE_MAX_BYTES);
    assert(data != NULL);
    struct fs_node dir = directory_of(worker->fs, worker->thread);
    for (;;) {
        struct message message = { .thread = (uint8_t)worker->thread,
            .file = (uint8_t)(next_random(&worker->random) % FILES) };
        struct file_model *file = &worker->files[message.file];
        message.op = (uint8_t)choose(worker, file);
        bool writes = message.op == OP_WRITE_SYNC || message.op == OP_WRITE_COMMIT;
        message.version = message.op == OP_CREATE ? 0 : file->version + writes;
        tell(worker, false, &message);
        int err = perform(worker, dir, &message, data);
        if (err < 0) {
            (void)fprintf(stderr, "crash: thread %u file %u op %u: error %d\n", worker->thread,
                message.file, message.op, -err);
            _exit(3);
        }
        apply(file, &message);
        char name[32];
        struct fs_attr attr;
        struct slice now = name_of(name, sizeof name, message.file, file->renamed);
        if (file->exists && fs_lookup(worker->fs, NULL, dir, now, &attr) == 0)
            message.change = attr.change;
        tell(worker, true, &message);
    }
    return NULL;
}

static void run_worker(const struct crash_backend *backend, uint64_t seed, int pipe_fd)
{
    struct fs *fs;
    int err = backend->open(backend->context, &fs);
    if (err < 0) {
        (void)fprintf(stderr, "crash: cannot open: error %d\n", -err);
        _exit(4);
    }
    static struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){
            .fs = fs, .thread = i, .random = seed * 31 + i * 7919 + 1, .pipe_fd = pipe_fd
        };
        memcpy(workers[i].files, model[i], sizeof model[i]);
        pthread_t thread;
        err = pthread_create(&thread, NULL, work, &workers[i]);
        assert(err == 0);
    }
    for (;;)
        (void)pause();
}

/* ---- comparing ---------------------------------------------------------------------------------------- */

static int complain(unsigned thread, unsigned file, const char *what)
{
    const struct file_model *f = &model[thread][file];
    (void)fprintf(stderr, "crash: thread %u file %u version %u%s%s op %u: %s\n", thread, file,
        f->version, f->exists ? "" : ", removed", f->in_progress ? ", in progress" : "",
        f->intent.op, what);
    return 1;
}

static int compare_content(struct fs *fs, const struct fs_attr *attr, unsigned thread,
    unsigned file, const uint32_t *versions, unsigned version_count)
{
    uint32_t size = size_of(thread, file);
    uint8_t *expected = malloc(size + 1u);
    uint8_t *found = malloc(size + 1u);
    assert(expected != NULL && found != NULL);
    struct fs_read out = { 0 };
    int err = fs_read(fs, attr->node, 0, found, size + 1u, &out);
    int bad = 1;
    for (unsigned i = 0; i < version_count && err == 0; i++) {
        uint32_t expected_size = versions[i] == 0 ? 0 : size;
        fill(expected, thread, file, versions[i]);
        if (out.size == expected_size && memcmp(found, expected, expected_size) == 0)
            bad = 0;
    }
    free(expected);
    free(found);
    if (err < 0)
        return complain(thread, file, "cannot be read");
    return bad != 0 ? complain(thread, file, "has other content") : 0;
}

static int compare_file(struct fs *fs, struct fs_node dir, unsigned thread, unsigned file)
{
    const struct file_model *f = &model[thread][file];
    char name[32];
    struct fs_attr attr = { 0 };
    int here = fs_lookup(fs, NULL, dir, name_of(name, sizeof name, file, f->renamed), &attr);
    struct fs_attr other_attr = { 0 };
    int other =
        fs_lookup(fs, NULL, dir, name_of(name, sizeof name, file, !f->renamed), &other_attr);
    if ((here < 0 && here != -ENOENT) || (other < 0 && other != -ENOENT))
        return complain(thread, file, "cannot be looked up");
    if (here == 0 && other == 0)
        return complain(thread, file, "has both names");
    enum crash_op op = (enum crash_op)f->intent.op;
    if (other == 0 && !(f->in_progress && op == OP_RENAME))
        return complain(thread, file, "has the wrong name");
    bool exists = here == 0 || other == 0;
    bool may_differ = f->in_progress && (op == OP_CREATE || op == OP_REMOVE);
    if (exists != f->exists && !may_differ)
        return complain(thread, file, exists ? "came back" : "is missing");
    if (!exists || (f->in_progress && op == OP_WRITE_COMMIT))
        return 0;
    if (other == 0)
        attr = other_attr;
    if (f->exists && attr.change < f->change)
        return complain(thread, file, "has a change counter that went back");
    uint32_t versions[2] = { f->version, f->intent.version };
    if (!f->exists)
        versions[0] = 0;
    return compare_content(fs, &attr, thread, file, versions, f->in_progress ? 2 : 1);
}

static bool count_entry(void *context, const struct fs_dirent *entry)
{
    (void)entry;
    (*(unsigned *)context)++;
    return true;
}

/* Compares everything; then takes what was in progress away, so that the next round knows where it starts. */
static int compare(struct fs *fs)
{
    int bad = 0;
    for (unsigned t = 0; t < THREADS; t++) {
        struct fs_node dir = directory_of(fs, t);
        unsigned expected = 0;
        for (unsigned i = 0; i < FILES; i++) {
            bad += compare_file(fs, dir, t, i);
            struct fs_change change;
            char name[32];
            for (int renamed = 0; renamed < 2 && model[t][i].in_progress; renamed++)
                (void)fs_remove(
                    fs, NULL, dir, name_of(name, sizeof name, i, renamed == 1), &change);
            expected += model[t][i].exists && !model[t][i].in_progress;
        }
        unsigned listed = 0;
        int err = fs_readdir(fs, NULL, dir, 0, count_entry, &listed);
        if (err != 1 || listed != expected) {
            (void)fprintf(stderr, "crash: thread %u: %u entries, not %u (result %d)\n", t, listed,
                expected, err);
            bad++;
        }
    }
    return bad;
}

static int compare_in_child(const struct crash_backend *backend)
{
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        struct fs *fs;
        int err = backend->open(backend->context, &fs);
        if (err < 0) {
            (void)fprintf(stderr, "crash: cannot open after the kill: error %d\n", -err);
            _exit(1);
        }
        int bad = compare(fs);
        backend->close(backend->context, fs);
        _exit(bad == 0 ? 0 : 1);
    }
    int status;
    pid_t ended = waitpid(pid, &status, 0);
    assert(ended == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static unsigned take_messages(int fd)
{
    struct message message;
    unsigned acknowledged = 0;
    while (read(fd, &message, sizeof message) == sizeof message) {
        assert(message.thread < THREADS && message.file < FILES);
        struct file_model *file = &model[message.thread][message.file];
        if (message.is_ack != 0) {
            apply(file, &message);
            acknowledged++;
        } else {
            file->in_progress = true;
            file->intent = message;
        }
    }
    return acknowledged;
}

static int run_round(
    const struct crash_backend *backend, uint64_t seed, unsigned run_ms, unsigned *out_acknowledged)
{
    int fds[2];
    int err = pipe(fds);
    assert(err == 0);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        run_worker(backend, seed, fds[1]);
    }
    (void)close(fds[1]);
    /* The pipe is emptied while the worker runs, or it would block. */
    pid_t killer = fork();
    assert(killer >= 0);
    if (killer == 0) {
        (void)usleep(run_ms * 1000);
        (void)kill(pid, SIGKILL);
        _exit(0);
    }
    *out_acknowledged += take_messages(fds[0]);
    (void)close(fds[0]);
    int status;
    err = waitpid(killer, &status, 0);
    assert(err == killer);
    err = waitpid(pid, &status, 0);
    assert(err == pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        (void)fprintf(stderr, "crash: the worker ended by itself, status %d\n", status);
        return 1;
    }
    return compare_in_child(backend);
}

int crash_run(const struct crash_backend *backend, const struct crash_options *options)
{
    memset(model, 0, sizeof model);
    uint64_t random = options->seed | 1;
    unsigned acknowledged = 0;
    int bad = 0;
    for (unsigned i = 0; i < options->rounds && bad == 0; i++) {
        unsigned run_ms = 1 + (unsigned)(next_random(&random) % options->run_ms_max);
        bad = run_round(backend, next_random(&random), run_ms, &acknowledged);
        for (unsigned t = 0; t < THREADS; t++) {
            for (unsigned f = 0; f < FILES; f++) {
                if (model[t][f].in_progress)
                    model[t][f] = (struct file_model){ 0 };
            }
        }
    }
    (void)printf("crash: seed %llu, %u rounds, %u operations acknowledged, %d differences\n",
        (unsigned long long)options->seed, options->rounds, acknowledged, bad);
    return bad;
}
