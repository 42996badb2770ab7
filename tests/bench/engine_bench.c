/*
 * engine_bench - what calls of the embedded engine cost, without a network: fibers on two reactors.
 *
 *   engine_bench DIRECTORY [seconds]
 *
 * With SHOAL_ENCRYPTED in the environment the file system is encrypted.
 * DIRECTORY decides what is measured: with durable metadata, mostly its fdatasync.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "engine/engine.h"
#include "io/reactor.h"
#include "tests/lib/fake_keeper.h"

#define REACTORS  2u
#define FILE_SIZE (UINT64_C(256) << 20)
#define IO_LARGE  (1u << 20)

struct bench;

struct worker {
    struct reactor_task task;
    struct bench *bench;
    unsigned number;
    uint64_t done;
    uint64_t random;
    struct event finished;
};

struct bench {
    struct fs *fs;
    struct fs_node root;
    struct fs_node dir;
    struct fs_node file;
    struct fs_node small;
    uint64_t end_ns;
    uint8_t *bytes;
    int (*operation)(struct worker *worker);
};

static uint64_t next_random(struct worker *worker)
{
    worker->random = worker->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return worker->random >> 33;
}

static int do_getattr(struct worker *worker)
{
    struct fs_attr attr;
    return fs_getattr(worker->bench->fs, worker->bench->small, &attr);
}

static int do_lookup(struct worker *worker)
{
    struct fs_attr attr;
    return fs_lookup(
        worker->bench->fs, NULL, worker->bench->root, slice_str("a-small-file.txt"), &attr);
}

static void name_of(const struct worker *worker, uint64_t number, char name[64])
{
    (void)snprintf(name, 64, "file-%02u-%010llu", worker->number, (unsigned long long)number);
}

static int do_create(struct worker *worker)
{
    char name[64];
    struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0644 } };
    struct fs_created out;
    name_of(worker, worker->done, name);
    return fs_create(worker->bench->fs, NULL, worker->bench->dir, slice_str(name), &how, &out);
}

static int do_create_and_write(struct worker *worker)
{
    char name[64];
    struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0644 } };
    struct fs_created out;
    struct fs_written written;
    name_of(worker, worker->done, name);
    name[0] = 'F';
    int err = fs_create(worker->bench->fs, NULL, worker->bench->dir, slice_str(name), &how, &out);
    struct fs_write write = { .data = slice_of(worker->bench->bytes, 4096),
        .stability = FS_FILE_SYNC };
    return err < 0 ? err : fs_write(worker->bench->fs, out.attr.node, &write, &written);
}

static int do_remove(struct worker *worker)
{
    char name[64];
    struct fs_change change;
    name_of(worker, worker->done, name);
    int err = fs_remove(worker->bench->fs, NULL, worker->bench->dir, slice_str(name), &change);
    return err == -ENOENT ? 1 : err; /* all are gone: this worker is done */
}

static int do_read(struct worker *worker)
{
    uint8_t bytes[4096];
    struct fs_read read;
    uint64_t block = next_random(worker) % (FILE_SIZE / 4096);
    return fs_read(
        worker->bench->fs, worker->bench->file, block * 4096, bytes, sizeof bytes, &read);
}

static int write_4k(struct worker *worker, enum fs_stability stability)
{
    struct fs_written written;
    uint64_t block = next_random(worker) % (FILE_SIZE / 4096);
    struct fs_write write = {
        .offset = block * 4096, .data = slice_of(worker->bench->bytes, 4096), .stability = stability
    };
    return fs_write(worker->bench->fs, worker->bench->file, &write, &written);
}

static int do_write(struct worker *worker)
{
    return write_4k(worker, FS_UNSTABLE);
}

static int do_write_stable(struct worker *worker)
{
    return write_4k(worker, FS_FILE_SYNC);
}

static int do_read_large(struct worker *worker)
{
    struct fs_read read;
    uint64_t piece = worker->done % (FILE_SIZE / IO_LARGE);
    return fs_read(worker->bench->fs, worker->bench->file, piece * IO_LARGE,
        worker->bench->bytes + IO_LARGE * (1 + worker->number), IO_LARGE, &read);
}

static int do_write_large(struct worker *worker)
{
    struct fs_written written;
    uint64_t piece = worker->done % (FILE_SIZE / IO_LARGE);
    struct fs_write write = { .offset = piece * IO_LARGE,
        .data = slice_of(worker->bench->bytes, IO_LARGE),
        .stability = FS_UNSTABLE };
    int err = fs_write(worker->bench->fs, worker->bench->file, &write, &written);
    if (err == 0 && piece + 1 == FILE_SIZE / IO_LARGE)
        err = fs_commit(worker->bench->fs, worker->bench->file, 0, 0);
    return err;
}

static bool count_entry(void *context, const struct fs_dirent *entry)
{
    uint64_t *count = context;
    return entry->attr_error == 0 && ++*count < 1000;
}

static int do_readdir(struct worker *worker)
{
    uint64_t count = 0;
    int err = fs_readdir(
        worker->bench->fs, NULL, worker->bench->dir, FS_COOKIE_FIRST, count_entry, &count);
    return err < 0 ? err : 0;
}

/* A fiber that repeats the operation until the time is over. */
static void work(struct reactor_task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, task);
    struct bench *bench = worker->bench;
    int err = 0;
    while (err == 0) {
        if ((worker->done & 15) == 0 && clock_monotonic_ns() >= bench->end_ns)
            break;
        err = bench->operation(worker);
        worker->done++;
    }
    if (err < 0)
        (void)fprintf(stderr, "operation failed: %d\n", err);
    event_signal(&worker->finished);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct measurement {
    const char *name;
    int (*operation)(struct worker *worker);
    unsigned in_flight;
};

static void measure(struct bench *bench, struct reactor **reactors,
    const struct measurement *measurement, double seconds)
{
    unsigned count = measurement->in_flight;
    struct worker *workers = calloc(count, sizeof *workers);
    if (workers == NULL)
        return;
    bench->operation = measurement->operation;
    uint64_t begin_ns = clock_monotonic_ns();
    bench->end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    double cpu = cpu_seconds();
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){ .task = { .run = work }, .bench = bench, .number = i };
        workers[i].random = i + 1;
        event_init(&workers[i].finished);
        reactor_post(reactors[i % REACTORS], &workers[i].task);
    }
    uint64_t done = 0;
    for (unsigned i = 0; i < count; i++) {
        event_wait(&workers[i].finished);
        done += workers[i].done;
    }
    double elapsed = (double)(clock_monotonic_ns() - begin_ns) / 1e9;
    cpu = cpu_seconds() - cpu;
    (void)printf("%-32s %3u in flight %10.0f/s %8.2f us each %8.2f us CPU\n", measurement->name,
        count, (double)done / elapsed, elapsed * 1e6 * count / (double)(done + 1),
        cpu * 1e6 / (double)(done + 1));
    (void)fflush(stdout);
    free(workers);
}

static struct fs_node make(struct bench *bench, const char *name, enum fs_type type)
{
    struct fs_create how = { .type = type, .attr = { .set_mode = true, .mode = 0755 } };
    struct fs_created out = { 0 };
    if (fs_create(bench->fs, NULL, bench->root, slice_str(name), &how, &out) < 0)
        abort();
    return out.attr.node;
}

static void prepare(struct bench *bench)
{
    if (fs_root(bench->fs, &bench->root) < 0)
        abort();
    bench->bytes = malloc(IO_LARGE * UINT64_C(8));
    if (bench->bytes == NULL)
        abort();
    for (size_t i = 0; i < IO_LARGE * 8; i++)
        bench->bytes[i] = (uint8_t)(i * 31 + i / 4096);
    bench->dir = make(bench, "dir", FS_DIRECTORY);
    bench->small = make(bench, "a-small-file.txt", FS_REGULAR);
    bench->file = make(bench, "large", FS_REGULAR);
    for (uint64_t at = 0; at < FILE_SIZE; at += IO_LARGE) {
        struct fs_write write = { .offset = at, .data = slice_of(bench->bytes, IO_LARGE) };
        struct fs_written written;
        if (fs_write(bench->fs, bench->file, &write, &written) < 0)
            abort();
    }
    if (fs_commit(bench->fs, bench->file, 0, 0) < 0)
        abort();
}

static const struct measurement measurements[] = {
    { "getattr", do_getattr, 1 },
    { "getattr", do_getattr, 2 },
    { "lookup", do_lookup, 1 },
    { "create", do_create, 1 },
    { "create", do_create, 64 },
    { "create + 4 KiB stable write", do_create_and_write, 64 },
    { "readdir of 1000 with attributes", do_readdir, 1 },
    { "remove", do_remove, 64 },
    { "read 4 KiB random, cached", do_read, 1 },
    { "read 1 MiB sequential, cached", do_read_large, 2 },
    { "write 4 KiB random, unstable", do_write, 1 },
    { "write 4 KiB random, stable", do_write_stable, 1 },
    { "write 4 KiB random, stable", do_write_stable, 64 },
    { "write 1 MiB sequential + commit", do_write_large, 1 },
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: engine_bench DIRECTORY [seconds] [only]\n");
        return 2;
    }
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;
    struct pool *pool;
    struct engine *engine;
    struct reactor *reactors[REACTORS];
    struct engine_options options = { .directory = argv[1] };
    struct bench bench = { 0 };
    struct fake_keeper keeper;
    log_set_level(LOG_LEVEL_WARN);
    if (pool_new(4, &pool) < 0)
        return 1;
    options.pool = pool;
    fake_keeper_init(&keeper);
    options.keeper = &keeper.keeper;
    if (engine_new(&options, &engine) < 0)
        return 1;
    for (unsigned i = 0; i < REACTORS; i++) {
        if (reactor_new(256, &reactors[i]) < 0)
            return 1;
    }
    const struct fs_provider *provider = engine_provider(engine);
    if (provider->destroy(provider->context, "fs-bench") < 0 ||
        provider->create(provider->context, "fs-bench",
            getenv("SHOAL_ENCRYPTED") != NULL ? FAKE_KEY_ID : NULL) < 0 ||
        provider->open(provider->context, "fs-bench", &bench.fs) < 0)
        return 1;
    prepare(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(measurements); i++) {
        if (argc < 4 || strstr(measurements[i].name, argv[3]) != NULL)
            measure(&bench, reactors, &measurements[i], seconds);
    }
    for (unsigned i = 0; i < REACTORS; i++)
        reactor_free(reactors[i]);
    provider->close(provider->context, bench.fs);
    (void)!provider->destroy(provider->context, "fs-bench");
    engine_free(engine);
    pool_free(pool);
    free(bench.bytes);
    return 0;
}
