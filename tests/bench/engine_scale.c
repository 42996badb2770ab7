/*
 * engine_scale - how the embedded engine does with very many files: fibers on two reactors, without a network.
 *
 *   engine_scale DIRECTORY FILES [FILES_PER_DIRECTORY]
 *
 * Makes FILES files, all in one directory or so many in each, durable and 64 at a time. At 10,000 files, and at each ten times
 * as many, it measures random look-ups, and listings of 1,000 entries with attributes from random places, for a second each;
 * every answer is checked. In the end the file system is closed and opened again.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/engine.h"
#include "io/reactor.h"

#define REACTORS     2u
#define WORKERS      64u
#define FIRST_STEP   UINT64_C(10000)
#define LIST_ENTRIES 1000u
#define MEASURE_NS   UINT64_C(1000000000)
#define SAMPLE_FILES UINT64_C(200000) /* the rate of creation is that of the last so many */

struct scale {
    struct fs *fs;
    struct fs_node *dirs;
    uint64_t files_per_dir, dir_count;
    struct reactor *reactors[REACTORS];

    /* One round. */
    int (*operation)(struct scale *scale, uint64_t random);
    _Atomic uint64_t next; /* file to make, or call to do */
    uint64_t limit;        /* for files */
    uint64_t file_count;   /* that there are, for the others */
    uint64_t end_ns;
    _Atomic uint64_t failures;
};

struct worker {
    struct reactor_task task;
    struct scale *scale;
    uint64_t random;
    struct event finished;
};

static struct fs_node dir_of(const struct scale *scale, uint64_t file)
{
    return scale->dirs[file / scale->files_per_dir];
}

static struct slice name_of(uint64_t file, char name[32])
{
    (void)snprintf(name, 32, "file-%012llu", (unsigned long long)file);
    return slice_str(name);
}

/* The inode of a file need not be known: its size tells its number. */
static int make_file(struct scale *scale, uint64_t file)
{
    char name[32];
    struct fs_create how = { .type = FS_REGULAR,
        .attr = { .set_mode = true, .mode = 0644, .set_size = true, .size_bytes = file } };
    struct fs_created out;
    return fs_create(scale->fs, NULL, dir_of(scale, file), name_of(file, name), &how, &out);
}

static int look_up(struct scale *scale, uint64_t random)
{
    char name[32];
    struct fs_attr attr;
    uint64_t file = random % scale->file_count;
    int err = fs_lookup(scale->fs, NULL, dir_of(scale, file), name_of(file, name), &attr);
    return err == 0 && attr.size_bytes != file ? -EIO : err;
}

struct listing {
    uint64_t count, previous;
    bool is_wrong;
};

static bool list_entry(void *context, const struct fs_dirent *entry)
{
    struct listing *listing = context;
    char name[32];
    bool is_right = entry->attr_error == 0 && entry->cookie > listing->previous &&
                    slice_equal(entry->name, name_of(entry->attr.size_bytes, name));
    listing->is_wrong |= !is_right;
    listing->previous = entry->cookie;
    return ++listing->count < LIST_ENTRIES;
}

static int list(struct scale *scale, uint64_t random)
{
    uint64_t cookie = random >> 1; /* somewhere: cookies are spread evenly */
    struct listing listing = { .previous = cookie };
    struct fs_node dir = dir_of(scale, random % scale->file_count);
    int err = fs_readdir(scale->fs, NULL, dir, cookie, list_entry, &listing);
    return listing.is_wrong ? -EIO : (err < 0 ? err : 0);
}

static void work(struct reactor_task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, task);
    struct scale *scale = worker->scale;
    bool makes = scale->operation == NULL;
    for (;;) {
        if (!makes && clock_monotonic_ns() >= scale->end_ns)
            break;
        uint64_t number = atomic_fetch_add(&scale->next, 1);
        if (makes && number >= scale->limit)
            break;
        worker->random = worker->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t random = worker->random ^ worker->random >> 29;
        int err = makes ? make_file(scale, number) : scale->operation(scale, random);
        if (err < 0 && atomic_fetch_add(&scale->failures, 1) == 0)
            (void)fprintf(stderr, "engine_scale: %s\n", strerror(-err));
    }
    event_signal(&worker->finished);
}

/* Runs a round with all workers; gives its seconds. */
static double run_round(struct scale *scale)
{
    static struct worker workers[WORKERS];
    uint64_t begin_ns = clock_monotonic_ns();
    scale->end_ns = begin_ns + MEASURE_NS;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){ .task = { .run = work }, .scale = scale };
        workers[i].random = begin_ns * (i + 1);
        event_init(&workers[i].finished);
        reactor_post(scale->reactors[i % REACTORS], &workers[i].task);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        event_wait(&workers[i].finished);
    return (double)(clock_monotonic_ns() - begin_ns) / 1e9;
}

/* Makes the files up to before `limit`; gives how many a second. */
static double create_to(struct scale *scale, uint64_t limit)
{
    uint64_t from = scale->file_count;
    scale->operation = NULL;
    atomic_store(&scale->next, from);
    scale->limit = limit;
    double seconds = run_round(scale);
    scale->file_count = limit;
    return (double)(limit - from) / seconds;
}

static double rate_of(struct scale *scale, int (*operation)(struct scale *, uint64_t))
{
    scale->operation = operation;
    atomic_store(&scale->next, 0);
    double seconds = run_round(scale);
    return (double)atomic_load(&scale->next) / seconds;
}

/* MiB of memory that the process has now. */
static unsigned memory_mib(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    (void)!fscanf(file, "%*u %lu", &pages);
    (void)fclose(file);
    return (unsigned)(pages * (unsigned long)sysconf(_SC_PAGESIZE) >> 20);
}

static void step(struct scale *scale, uint64_t files)
{
    double begin_s = (double)clock_monotonic_ns() / 1e9;
    uint64_t sample = min_u64(files - scale->file_count, SAMPLE_FILES);
    if (files - scale->file_count > sample)
        (void)create_to(scale, files - sample);
    double creates = create_to(scale, files);
    double took_s = (double)clock_monotonic_ns() / 1e9 - begin_s;
    double lookups = rate_of(scale, look_up);
    double lists = rate_of(scale, list);
    (void)printf("| %llu | %.0f | %.0f | %.0f | %.1f | %u |\n", (unsigned long long)files, creates,
        lookups, lists, took_s, memory_mib());
    (void)fflush(stdout);
}

static int make_dirs(struct scale *scale)
{
    struct fs_node root;
    int err = fs_root(scale->fs, &root);
    for (uint64_t i = 0; i < scale->dir_count && err == 0; i++) {
        char name[32];
        struct fs_create how = { .type = FS_DIRECTORY, .attr = { .set_mode = true, .mode = 0755 } };
        struct fs_created out;
        (void)snprintf(name, sizeof name, "dir-%llu", (unsigned long long)i);
        err = fs_create(scale->fs, NULL, root, slice_str(name), &how, &out);
        scale->dirs[i] = out.attr.node;
    }
    return err;
}

/* Closes and opens it; says how long that took, and looks up one file. */
static int reopen(struct scale *scale, const struct fs_provider *provider)
{
    uint64_t begin_ns = clock_monotonic_ns();
    provider->close(provider->context, scale->fs);
    uint64_t closed_ns = clock_monotonic_ns();
    int err = provider->open(provider->context, "fs-scale", &scale->fs);
    if (err == 0)
        err = look_up(scale, closed_ns);
    (void)printf("closed in %.2f s, opened and looked up in %.2f s\n",
        (double)(closed_ns - begin_ns) / 1e9, (double)(clock_monotonic_ns() - closed_ns) / 1e9);
    return err;
}

static int run(struct scale *scale, const struct fs_provider *provider, uint64_t files)
{
    int err = provider->destroy(provider->context, "fs-scale");
    if (err == 0)
        err = provider->create(provider->context, "fs-scale", NULL);
    if (err == 0)
        err = provider->open(provider->context, "fs-scale", &scale->fs);
    if (err < 0)
        return err;
    err = make_dirs(scale);
    (void)printf("| files | creates/s | look-ups/s | listings of %u/s | s to make them | MiB |\n"
                 "|--:|--:|--:|--:|--:|--:|\n",
        LIST_ENTRIES);
    for (uint64_t at = min_u64(FIRST_STEP, files); err == 0 && scale->file_count < files;
         at = min_u64(at * 10, files))
        step(scale, at);
    if (err == 0)
        err = reopen(scale, provider);
    if (scale->fs != NULL)
        provider->close(provider->context, scale->fs);
    return err == 0 && scale->failures > 0 ? -EIO : err;
}

int main(int argc, char **argv)
{
    uint64_t files = 0, per_dir = 0;
    if (argc < 3 || text_parse_u64(argv[2], UINT64_C(1) << 32, &files) < 0 || files == 0 ||
        (argc > 3 && (text_parse_u64(argv[3], files, &per_dir) < 0 || per_dir == 0))) {
        (void)fprintf(stderr, "usage: engine_scale DIRECTORY FILES [FILES_PER_DIRECTORY]\n");
        return 2;
    }
    struct scale scale = { .files_per_dir = per_dir != 0 ? per_dir : files };
    scale.dir_count = (files + scale.files_per_dir - 1) / scale.files_per_dir;
    scale.dirs = calloc(scale.dir_count, sizeof *scale.dirs);
    struct engine_options options = { .directory = argv[1] };
    struct engine *engine;
    log_set_level(LOG_LEVEL_WARN);
    if (scale.dirs == NULL || pool_new(4, &options.pool) < 0 || engine_new(&options, &engine) < 0)
        return 1;
    for (unsigned i = 0; i < REACTORS; i++) {
        if (reactor_new(256, &scale.reactors[i]) < 0)
            return 1;
    }
    int err = run(&scale, engine_provider(engine), files);
    for (unsigned i = 0; i < REACTORS; i++)
        reactor_free(scale.reactors[i]);
    engine_free(engine);
    pool_free(options.pool);
    free(scale.dirs);
    if (err < 0)
        (void)fprintf(stderr, "engine_scale: %s\n", strerror(-err));
    return err < 0 ? 1 : 0;
}
