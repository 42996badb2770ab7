/*
 * tests/e2e/fsx.c - exercises one file at random and compares it with a model in memory.
 * Reads, writes, truncations, mappings, syncs and reopenings in any order must always show what the
 * model has; the first byte that differs ends the run with the operations that led there. With -x
 * there are two files, between which ranges are copied and cloned, and holes: they are punched,
 * filled by fallocate(), and searched. The seed is printed, and the same seed gives the same
 * operations. One thread; does not clean up after a failure.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/sys.h"

#define DIRECT_ALIGNMENT 4096u
#define CLONE_ALIGNMENT  4096u
#define HISTORY_LENGTH   40u

struct operation {
    const char *name;
    uint64_t offset, size;
};

struct options {
    uint64_t operation_count, seed, file_size_max, io_size_max;
    bool is_direct, is_extended;
    const char *path;
};

/* A file and its model, of which bytes past `size` are always 0. */
struct file {
    char path[PATH_MAX];
    int fd;
    uint64_t size;
    uint8_t *model;
};

/* The files (the second with -x only), the one that operations are about, and the latest of them. */
struct fsx {
    struct options options;
    struct file files[2];
    struct file *file;
    uint64_t random_state, done_count;
    uint8_t *buffer;
    struct operation history[HISTORY_LENGTH];
};

/* splitmix64: enough for a test, and the same everywhere. */
static uint64_t random_next(struct fsx *fsx)
{
    fsx->random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = fsx->random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Rounds down to what O_DIRECT allows, where it is used. */
static uint64_t align_down(const struct fsx *fsx, uint64_t value)
{
    return fsx->options.is_direct ? round_down(value, DIRECT_ALIGNMENT) : value;
}

/* 0..limit inclusive. */
static uint64_t random_up_to(struct fsx *fsx, uint64_t limit)
{
    return align_down(fsx, random_next(fsx) % (limit + 1));
}

static void print_history(const struct fsx *fsx)
{
    uint64_t first = fsx->done_count > HISTORY_LENGTH ? fsx->done_count - HISTORY_LENGTH : 0;
    for (uint64_t i = first; i < fsx->done_count; i++) {
        const struct operation *op = &fsx->history[i % HISTORY_LENGTH];
        fprintf(stderr, "%8" PRIu64 " %-10s offset %#10" PRIx64 " size %#8" PRIx64 "\n", i,
            op->name, op->offset, op->size);
    }
}

static _Noreturn void fail(const struct fsx *fsx, const char *what, int err)
{
    print_history(fsx);
    fprintf(stderr, "fsx: %s%s%s (%s, seed %" PRIu64 ")\n", what, err < 0 ? ": " : "",
        err < 0 ? strerrordesc_np(-err) : "", fsx->file->path, fsx->options.seed);
    _exit(1); /* stderr is not buffered */
}

static void note(struct fsx *fsx, const char *name, uint64_t offset, uint64_t size)
{
    fsx->history[fsx->done_count % HISTORY_LENGTH] = (struct operation){ name, offset, size };
    fsx->done_count++;
}

/* Compares what was read at `offset` with the model. */
static void check(const struct fsx *fsx, const uint8_t *found, uint64_t offset, uint64_t size)
{
    const uint8_t *expected = fsx->file->model + offset;
    if (memcmp(found, expected, size) == 0)
        return;
    uint64_t first = 0;
    while (found[first] == expected[first])
        first++;
    uint64_t last = size - 1;
    while (found[last] == expected[last])
        last--;
    fprintf(stderr, "fsx: bytes %#" PRIx64 "..%#" PRIx64 " differ; the first is %#x, not %#x\n",
        offset + first, offset + last, found[first], expected[first]);
    fail(fsx, "the file does not hold what was written", 0);
}

static void check_size(const struct fsx *fsx)
{
    struct stat attributes;
    if (fstat(fsx->file->fd, &attributes) < 0)
        fail(fsx, "fstat", -errno);
    if ((uint64_t)attributes.st_size != fsx->file->size) {
        fprintf(stderr, "fsx: the size is %#" PRIx64 ", not %#" PRIx64 "\n",
            (uint64_t)attributes.st_size, fsx->file->size);
        fail(fsx, "wrong size", 0);
    }
}

static void open_file(struct fsx *fsx, int flags)
{
    flags |= fsx->options.is_direct ? O_DIRECT : 0;
    fsx->file->fd = sys_openat(AT_FDCWD, fsx->file->path, O_RDWR | flags, 0644);
    if (fsx->file->fd < 0)
        fail(fsx, "open", fsx->file->fd);
}

/* A range inside the file; false when the file is too small to have one. */
static bool pick_range(struct fsx *fsx, uint64_t *out_offset, uint64_t *out_size)
{
    uint64_t offset = random_up_to(fsx, fsx->file->size);
    uint64_t size = random_up_to(fsx, min_u64(fsx->file->size - offset, fsx->options.io_size_max));
    if (size == 0)
        return false;
    *out_offset = offset;
    *out_size = size;
    return true;
}

static void fill(struct fsx *fsx, uint8_t *data, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        data[i] = (uint8_t)(random_next(fsx) | 1u); /* never 0: that would look like a hole */
}

static void do_read(struct fsx *fsx)
{
    uint64_t offset, size;
    if (!pick_range(fsx, &offset, &size))
        return;
    note(fsx, "read", offset, size);
    int err = sys_pread_all(fsx->file->fd, fsx->buffer, size, offset);
    if (err < 0)
        fail(fsx, "read", err);
    check(fsx, fsx->buffer, offset, size);
}

static void do_write(struct fsx *fsx)
{
    uint64_t offset = random_up_to(fsx, fsx->options.file_size_max - fsx->options.io_size_max);
    if (random_next(fsx) % 2 == 0)
        offset =
            min_u64(offset, align_down(fsx, fsx->file->size)); /* inside, or right at the end */
    uint64_t size = random_up_to(fsx, fsx->options.io_size_max);
    note(fsx, "write", offset, size);
    fill(fsx, fsx->buffer, size);
    int err = sys_pwrite_all(fsx->file->fd, fsx->buffer, size, offset);
    if (err < 0)
        fail(fsx, "write", err);
    memcpy(fsx->file->model + offset, fsx->buffer, size);
    if (size > 0)
        fsx->file->size = max_u64(fsx->file->size, offset + size);
}

static void do_truncate(struct fsx *fsx)
{
    uint64_t size = random_up_to(fsx, fsx->options.file_size_max);
    note(fsx, "truncate", size, 0);
    if (ftruncate(fsx->file->fd, (off_t)size) < 0)
        fail(fsx, "truncate", -errno);
    if (size < fsx->file->size)
        memset(fsx->file->model + size, 0, fsx->file->size - size);
    fsx->file->size = size;
}

/* Maps the pages around the range and reads or writes the range there. */
static void use_mapping(struct fsx *fsx, bool is_write)
{
    uint64_t offset, size;
    if (fsx->options.is_direct || !pick_range(fsx, &offset, &size))
        return;
    note(fsx, is_write ? "mmap write" : "mmap read", offset, size);
    uint64_t start = round_down(offset, (uint64_t)sysconf(_SC_PAGESIZE));
    uint8_t *map = mmap(NULL, offset + size - start, is_write ? PROT_READ | PROT_WRITE : PROT_READ,
        MAP_SHARED, fsx->file->fd, (off_t)start);
    if (map == MAP_FAILED)
        fail(fsx, "mmap", -errno);
    if (is_write) {
        fill(fsx, fsx->file->model + offset, size);
        memcpy(map + (offset - start), fsx->file->model + offset, size);
    } else {
        check(fsx, map + (offset - start), offset, size);
    }
    if (is_write && msync(map, offset + size - start, MS_SYNC) < 0)
        fail(fsx, "msync", -errno);
    if (munmap(map, offset + size - start) < 0)
        fail(fsx, "munmap", -errno);
}

static void do_map_read(struct fsx *fsx)
{
    use_mapping(fsx, false);
}

static void do_map_write(struct fsx *fsx)
{
    use_mapping(fsx, true);
}

static void do_sync(struct fsx *fsx)
{
    note(fsx, "fsync", 0, 0);
    int err = sys_fsync(fsx->file->fd);
    if (err < 0)
        fail(fsx, "fsync", err);
}

/* Syncs and drops the clean pages, so that the next reads come from the server. */
static void do_drop(struct fsx *fsx)
{
    do_sync(fsx);
    note(fsx, "drop", 0, 0);
    int err = -posix_fadvise(fsx->file->fd, 0, 0, POSIX_FADV_DONTNEED);
    if (err < 0)
        fail(fsx, "posix_fadvise", err);
}

static void do_reopen(struct fsx *fsx)
{
    note(fsx, "reopen", 0, 0);
    if (close(fsx->file->fd) < 0)
        fail(fsx, "close", -errno);
    open_file(fsx, 0);
}

/* ---- with -x ---- */

static struct file *other_file(struct fsx *fsx)
{
    return fsx->file == &fsx->files[0] ? &fsx->files[1] : &fsx->files[0];
}

static void do_switch(struct fsx *fsx)
{
    fsx->file = other_file(fsx);
    note(fsx, "switch", (uint64_t)(fsx->file - fsx->files), 0);
}

static void do_fallocate(struct fsx *fsx)
{
    uint64_t offset = random_up_to(fsx, fsx->options.file_size_max - fsx->options.io_size_max);
    uint64_t size = random_up_to(fsx, fsx->options.io_size_max);
    if (size == 0)
        return;
    note(fsx, "fallocate", offset, size);
    if (fallocate(fsx->file->fd, 0, (off_t)offset, (off_t)size) < 0)
        fail(fsx, "fallocate", -errno);
    fsx->file->size = max_u64(fsx->file->size, offset + size);
}

static void do_punch(struct fsx *fsx)
{
    uint64_t offset, size;
    if (!pick_range(fsx, &offset, &size))
        return;
    note(fsx, "punch", offset, size);
    if (fallocate(fsx->file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
            (off_t)size) < 0)
        fail(fsx, "punch", -errno);
    memset(fsx->file->model + offset, 0, size);
}

/* What is passed over by a search for data must be zeros. */
static void check_zeros(const struct fsx *fsx, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at++) {
        if (fsx->file->model[at] != 0) {
            fprintf(stderr, "fsx: there is data at %#" PRIx64 "\n", at);
            fail(fsx, "a hole is told where data is", 0);
        }
    }
}

static void do_seek(struct fsx *fsx)
{
    if (fsx->file->size == 0)
        return;
    uint64_t size = fsx->file->size;
    uint64_t offset = random_next(fsx) % size;
    bool is_data = random_next(fsx) % 2 == 0;
    note(fsx, is_data ? "seek data" : "seek hole", offset, 0);
    off_t found = lseek(fsx->file->fd, (off_t)offset, is_data ? SEEK_DATA : SEEK_HOLE);
    if (found < 0 && (errno != ENXIO || !is_data))
        fail(fsx, "lseek", -errno);
    if (found >= 0 && ((uint64_t)found < offset || (uint64_t)found > size))
        fail(fsx, "lseek went out of the file", 0);
    if (is_data)
        check_zeros(fsx, offset, found < 0 ? size : (uint64_t)found);
    else if ((uint64_t)found < size)
        check_zeros(fsx, (uint64_t)found, (uint64_t)found + 1);
}

/* A range of the other file, and where it goes in this one. */
static bool pick_transfer(
    struct fsx *fsx, uint64_t *out_from, uint64_t *out_to, uint64_t *out_size, uint64_t alignment)
{
    struct file *target = fsx->file;
    fsx->file = other_file(fsx);
    bool is_found = pick_range(fsx, out_from, out_size);
    fsx->file = target;
    *out_to = random_up_to(fsx, fsx->options.file_size_max - fsx->options.io_size_max);
    if (!is_found)
        return false;
    uint64_t end = *out_from + *out_size;
    *out_from = round_down(*out_from, alignment);
    *out_to = round_down(*out_to, alignment);
    *out_size = round_down(min_u64(end - *out_from, fsx->options.io_size_max), alignment);
    return *out_size > 0;
}

static void take_over(struct fsx *fsx, uint64_t from, uint64_t to, uint64_t size)
{
    memcpy(fsx->file->model + to, other_file(fsx)->model + from, size);
    fsx->file->size = max_u64(fsx->file->size, to + size);
}

static void do_copy(struct fsx *fsx)
{
    uint64_t from, to, size;
    if (!pick_transfer(fsx, &from, &to, &size, fsx->options.is_direct ? DIRECT_ALIGNMENT : 1))
        return;
    note(fsx, "copy from", from, size);
    note(fsx, "copy to", to, size);
    uint64_t done = 0;
    while (done < size) {
        off_t from_at = (off_t)(from + done);
        off_t to_at = (off_t)(to + done);
        ssize_t count = copy_file_range(
            other_file(fsx)->fd, &from_at, fsx->file->fd, &to_at, (size_t)(size - done), 0);
        if (count <= 0)
            fail(fsx, "copy_file_range", count < 0 ? -errno : 0);
        done += (uint64_t)count;
    }
    take_over(fsx, from, to, size);
}

static void do_clone(struct fsx *fsx)
{
    uint64_t from, to, size;
    if (!pick_transfer(fsx, &from, &to, &size, CLONE_ALIGNMENT))
        return;
    note(fsx, "clone from", from, size);
    note(fsx, "clone to", to, size);
    struct file_clone_range range = {
        .src_fd = other_file(fsx)->fd, .src_offset = from, .src_length = size, .dest_offset = to
    };
    if (ioctl(fsx->file->fd, FICLONERANGE, &range) < 0)
        fail(fsx, "FICLONERANGE", -errno);
    take_over(fsx, from, to, size);
}

typedef void operation_fn(struct fsx *fsx);

/* How often each operation is picked: by its number of rows. */
static operation_fn *const operations[] = { do_read, do_read, do_read, do_read, do_write, do_write,
    do_write, do_write, do_map_read, do_map_read, do_map_write, do_map_write, do_truncate, do_sync,
    do_drop, do_reopen };

static operation_fn *const extended[] = { do_read, do_read, do_read, do_read, do_write, do_write,
    do_write, do_map_read, do_map_write, do_truncate, do_sync, do_drop, do_reopen, do_switch,
    do_fallocate, do_punch, do_punch, do_seek, do_seek, do_copy, do_copy, do_clone, do_clone };

static void do_something(struct fsx *fsx)
{
    if (fsx->options.is_extended)
        extended[random_next(fsx) % ARRAY_SIZE(extended)](fsx);
    else
        operations[random_next(fsx) % ARRAY_SIZE(operations)](fsx);
}

/* Reads the whole file through a new open and compares all of it. */
static void check_all(struct fsx *fsx)
{
    do_drop(fsx);
    do_reopen(fsx);
    for (uint64_t offset = 0; offset < fsx->file->size; offset += fsx->options.io_size_max) {
        uint64_t size = min_u64(fsx->options.io_size_max, fsx->file->size - offset);
        ssize_t count = pread(fsx->file->fd, fsx->buffer, fsx->options.io_size_max, (off_t)offset);
        if (count < 0 || (uint64_t)count != size)
            fail(fsx, "the last reading is short", count < 0 ? -errno : 0);
        check(fsx, fsx->buffer, offset, size);
    }
}

static void start_file(struct fsx *fsx, const char *suffix)
{
    int size = snprintf(fsx->file->path, sizeof fsx->file->path, "%s%s", fsx->options.path, suffix);
    fsx->file->model = calloc(1, fsx->options.file_size_max);
    if (fsx->file->model == NULL || size < 0 || (size_t)size >= sizeof fsx->file->path)
        fail(fsx, "memory", -ENOMEM);
    open_file(fsx, O_CREAT | O_TRUNC);
}

static void end_file(struct fsx *fsx)
{
    check_all(fsx);
    if (close(fsx->file->fd) < 0)
        fail(fsx, "close", -errno);
    free(fsx->file->model);
}

static void run(struct fsx *fsx)
{
    const struct options *options = &fsx->options;
    fsx->random_state = options->seed;
    fsx->buffer = aligned_alloc(DIRECT_ALIGNMENT, round_up(options->io_size_max, DIRECT_ALIGNMENT));
    fsx->file = &fsx->files[1];
    if (options->is_extended)
        start_file(fsx, ".other");
    fsx->file = &fsx->files[0];
    start_file(fsx, "");
    if (fsx->buffer == NULL)
        fail(fsx, "memory", -ENOMEM);
    for (uint64_t i = 0; i < options->operation_count; i++) {
        do_something(fsx);
        check_size(fsx);
    }
    fsx->file = &fsx->files[1];
    if (options->is_extended)
        end_file(fsx);
    fsx->file = &fsx->files[0];
    end_file(fsx);
    free(fsx->buffer);
}

static _Noreturn void usage(void)
{
    fputs(
        "usage: fsx [-n OPERATIONS] [-s SEED] [-l FILE_SIZE_MAX] [-o IO_SIZE_MAX] [-d] [-x] FILE\n"
        "  -d  O_DIRECT, in blocks of 4096 bytes; sizes are then multiples of it\n"
        "  -x  two files (FILE.other), with copies, clones, fallocate, holes and searches for "
        "them\n",
        stderr);
    _exit(2);
}

static uint64_t parse_number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0')
        usage();
    return value;
}

int main(int argc, char **argv)
{
    struct fsx fsx = { .options = { .operation_count = 1000,
                           .seed = (uint64_t)time(NULL),
                           .file_size_max = 4 * MIB,
                           .io_size_max = 256 * KIB } };
    struct options *options = &fsx.options;
    int option;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread
    while ((option = getopt(argc, argv, "n:s:l:o:dx")) != -1) {
        switch (option) {
        case 'n':
            options->operation_count = parse_number(optarg);
            break;
        case 's':
            options->seed = parse_number(optarg);
            break;
        case 'l':
            options->file_size_max = parse_number(optarg);
            break;
        case 'o':
            options->io_size_max = parse_number(optarg);
            break;
        case 'd':
            options->is_direct = true;
            break;
        case 'x':
            options->is_extended = true;
            break;
        default:
            usage();
        }
    }
    uint64_t unit = options->is_direct ? DIRECT_ALIGNMENT : 1;
    if (argc - optind != 1 || options->io_size_max == 0 || options->io_size_max % unit != 0 ||
        options->file_size_max < options->io_size_max || options->file_size_max > GIB)
        usage();
    options->path = argv[optind];
    printf("fsx: seed %" PRIu64 "\n", options->seed);
    (void)fflush(stdout); /* the seed must be seen even if what follows hangs */
    run(&fsx);
    return 0;
}
