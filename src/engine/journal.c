/*
 * engine/journal.c - the log of a volume's batches (room: engine).
 */
#include "engine/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "io/pool.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FILES_MAX     4u
#define FILE_BYTES    (UINT64_C(32) * MIB)
#define PREPARE_BYTES (UINT64_C(2) * MIB) /* written with zeros at a time, on the pool ... */
#define PREPARE_FIRST \
    (UINT64_C(256) * KIB) /* ... and when the journal is new, or they came too late */
#define PREPARE_AHEAD (UINT64_C(1) * MIB)
#define ALIGNMENT     64u
#define HEADER_BYTES  40u
#define MAGIC         UINT32_C(0x53484a31) /* "SHJ1" */
#define MAGIC_SEALED  UINT32_C(0x53484a30) /* "SHJ0": no batch above its number is in the file */
#define BATCH_MAX     (UINT64_C(2) * GIB)

struct journal_file {
    int fd;               /* -1: not made yet */
    uint64_t prepared;    /* bytes that were written before, with zeros or batches */
    uint64_t last_number; /* of the batches in it; 0: none */
};

struct journal {
    struct journal_options options;
    int dir_fd;
    struct journal_file files[FILES_MAX];
    uint32_t current;
    uint64_t offset; /* in the current file: where the next batch goes */
    uint8_t *buffer; /* for a record */
    size_t buffer_size;
    struct mutex lock; /* of what follows, and of `prepared` */
    uint64_t flushed;  /* RocksDB has all batches up to it in tables */
    uint64_t flushing; /* the flush that runs will have made this `flushed` */
    bool is_flushing;
    bool is_preparing; /* zeros are being written behind `prepared` of `prepare_file` */
    uint32_t prepare_file;
    struct event *done; /* of who waits for flush or preparation */
    struct pool_work flush_work;
    struct pool_work prepare_work;
};

static int open_file(struct journal *journal, uint32_t index, int flags)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u", index);
    if (journal->options.is_read_only)
        flags = O_RDONLY;
    int fd = sys_openat(journal->dir_fd, name, flags, 0600);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    journal->files[index] = (struct journal_file){ .fd = fd, .prepared = (uint64_t)st.st_size };
    return 0;
}

/* Writes zeros behind what is prepared, and waits for the disk: then a batch there changes no more than
 * data. */
static int prepare(struct journal_file *file, uint64_t size)
{
    uint8_t *zeros = calloc(1, size);
    if (zeros == NULL)
        return -ENOMEM;
    int err = sys_pwrite_all(file->fd, zeros, size, file->prepared);
    free(zeros);
    return err < 0 ? err : sys_fdatasync(file->fd);
}

int journal_open(const struct journal_options *options, struct journal **out_journal)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL)
        return -ENOMEM;
    journal->options = *options;
    if (options->file_bytes == 0)
        journal->options.file_bytes = FILE_BYTES;
    (void)pthread_mutex_init(&journal->lock.pthread, NULL);
    for (uint32_t i = 0; i < FILES_MAX; i++)
        journal->files[i].fd = -1;
    journal->dir_fd = -1;
    int err = options->is_read_only ? 0 : sys_mkdirat(options->dir_fd, "journal", 0700);
    if (err == 0)
        journal->dir_fd = sys_openat(options->dir_fd, "journal", O_RDONLY | O_DIRECTORY, 0);
    if (err == 0 && journal->dir_fd < 0)
        err = journal->dir_fd;
    for (uint32_t i = 0; err == 0 && i < FILES_MAX; i++) {
        err = open_file(journal, i, i == 0 ? O_RDWR | O_CREAT : O_RDWR);
        if (err == -ENOENT)
            err = 0;
    }
    if (err == 0 && !options->is_read_only)
        err = sys_fsync(journal->dir_fd);
    if (err == 0 && !options->is_read_only)
        err = sys_fsync(options->dir_fd);
    if (err < 0) {
        journal_close(journal);
        return err;
    }
    *out_journal = journal;
    return 0;
}

/* Waits while flush or preparation runs. */
static void wait_for_work(struct journal *journal, const bool *is_running)
{
    for (;;) {
        struct event event;
        event_init(&event);
        mutex_lock(&journal->lock);
        bool must_wait = *is_running;
        if (must_wait)
            journal->done = &event;
        mutex_unlock(&journal->lock);
        if (!must_wait)
            return;
        event_wait(&event);
    }
}

static void work_done_locked(struct journal *journal) REQUIRES(journal->lock)
{
    if (journal->done != NULL)
        event_signal(journal->done);
    journal->done = NULL;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    wait_for_work(journal, &journal->is_flushing);
    wait_for_work(journal, &journal->is_preparing);
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (journal->files[i].fd >= 0)
            (void)close(journal->files[i].fd); /* synced batch by batch */
    }
    if (journal->dir_fd >= 0)
        (void)close(journal->dir_fd);
    free(journal->buffer);
    (void)pthread_mutex_destroy(&journal->lock.pthread);
    free(journal);
}

/* Header: magic, size, number, salt, checksum of header (with zeros there) and batch, zeros. */
static void encode_header(const struct journal *journal, uint8_t *record, uint32_t magic,
    uint64_t number, struct slice batch)
{
    memset(record, 0, HEADER_BYTES);
    store_be32(record, magic);
    store_be32(record + 4, (uint32_t)batch.size);
    store_be64(record + 8, number);
    store_be64(record + 16, journal->options.salt);
    store_be64(record + 24,
        XXH3_64bits_withSeed(batch.data, batch.size, XXH3_64bits(record, HEADER_BYTES)));
}

void journal_seal(struct journal *journal, uint64_t number)
{
    uint8_t header[HEADER_BYTES];
    encode_header(journal, header, MAGIC_SEALED, number, slice_of("", 0));
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        int fd = journal->files[i].fd;
        if (fd >= 0 && sys_pwrite_all(fd, header, sizeof header, 0) == 0)
            (void)!sys_fdatasync(fd); /* unsealed, it is only read in vain */
    }
}

static uint64_t record_size(uint64_t batch_size)
{
    return round_up(HEADER_BYTES + batch_size, ALIGNMENT);
}

/* A file as it was found. */
struct found {
    const uint8_t *bytes; /* mapped */
    uint64_t size;
    uint64_t offset;
    uint64_t number; /* of the batch at `offset`; 0: none */
    struct slice batch;
};

/* Whether a whole record stands at `offset`. */
static bool record_at(const struct journal *journal, const struct found *found, uint32_t magic,
    uint64_t offset, struct found *out)
{
    if (found->size < HEADER_BYTES || offset > found->size - HEADER_BYTES)
        return false;
    uint8_t header[HEADER_BYTES];
    memcpy(header, found->bytes + offset, HEADER_BYTES);
    uint64_t size = load_be32(header + 4);
    if (load_be32(header) != magic || load_be64(header + 16) != journal->options.salt ||
        size > found->size - offset - HEADER_BYTES)
        return false;
    uint64_t checksum = load_be64(header + 24);
    store_be64(header + 24, 0);
    const uint8_t *batch = found->bytes + offset + HEADER_BYTES;
    if (checksum != XXH3_64bits_withSeed(batch, size, XXH3_64bits(header, HEADER_BYTES)))
        return false;
    *out = *found;
    out->offset = offset;
    out->number = load_be64(header + 8);
    out->batch = slice_of(batch, size);
    return true;
}

/* Whether any batch numbered above `number` stands behind `offset`: then what is at `offset` is not the end
 * but damage. */
static bool has_later(const struct journal *journal, const struct found *found, uint64_t number)
{
    struct found later;
    for (uint64_t at = found->offset; at + HEADER_BYTES <= found->size; at += ALIGNMENT) {
        if (load_be32(found->bytes + at) == MAGIC && record_at(journal, found, MAGIC, at, &later) &&
            later.number > number)
            return true;
    }
    return false;
}

/* Maps a file, unless it is sealed with `after`: then there is nothing in it. */
static int map_file(
    struct journal *journal, uint32_t index, uint64_t after, struct found *out_found)
{
    struct journal_file *file = &journal->files[index];
    struct found found = { .size = file->prepared };
    struct found first;
    if (found.size == 0)
        return 0;
    void *bytes = mmap(NULL, found.size, PROT_READ, MAP_SHARED, file->fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    found.bytes = bytes;
    if (record_at(journal, &found, MAGIC_SEALED, 0, &first) && first.number == after) {
        (void)munmap(bytes, found.size);
        return 0;
    }
    *out_found = found;
    if (record_at(journal, &found, MAGIC, 0, &first))
        *out_found = first;
    return 0;
}

/* Applies what follows *last in one file: its batches are consecutive. */
static int replay_file(
    struct journal *journal, struct found *found, journal_apply *apply, uint64_t *last)
{
    while (found->number != 0) {
        if (found->number == *last + 1) {
            int err = apply(journal->options.context, found->batch);
            if (err < 0)
                return err;
            *last = found->number;
        }
        uint64_t number = found->number;
        found->offset += record_size(found->batch.size);
        found->number = 0;
        struct found next;
        /* Behind the newest batches stand older ones, of when the file was last used. */
        if (record_at(journal, found, MAGIC, found->offset, &next) && next.number == number + 1)
            *found = next;
    }
    return 0;
}

/* The file whose first batch is the lowest of those not yet looked at; FILES_MAX: none. */
static uint32_t next_file(const struct found *found, const bool *is_done)
{
    uint32_t best = FILES_MAX;
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (!is_done[i] && found[i].number != 0 &&
            (best == FILES_MAX || found[i].number < found[best].number))
            best = i;
    }
    return best;
}

static int replay_all(
    struct journal *journal, struct found *found, journal_apply *apply, uint64_t *last)
{
    bool is_done[FILES_MAX] = { 0 };
    uint32_t i;
    while ((i = next_file(found, is_done)) != FILES_MAX) {
        is_done[i] = true;
        if (found[i].number > *last + 1)
            return -EBADMSG; /* batches are missing */
        int err = replay_file(journal, &found[i], apply, last);
        if (err < 0)
            return err;
    }
    for (i = 0; i < FILES_MAX; i++) {
        if (found[i].bytes != NULL && has_later(journal, &found[i], *last))
            return -EBADMSG;
    }
    return 0;
}

int journal_replay(
    struct journal *journal, uint64_t after, journal_apply *apply, uint64_t *out_last)
{
    struct found found[FILES_MAX] = { 0 };
    uint64_t last = after;
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < FILES_MAX; i++) {
        if (journal->files[i].fd >= 0)
            err = map_file(journal, i, after, &found[i]);
    }
    if (err == 0)
        err = replay_all(journal, found, apply, &last);
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (found[i].bytes != NULL) {
            // NOLINTNEXTLINE(performance-no-int-to-ptr): only to take `const` off
            (void)munmap((void *)(uintptr_t)found[i].bytes, found[i].size);
        }
    }
    if (err == 0 && last > after)
        err = journal->options.flush(journal->options.context);
    if (err < 0)
        return err;
    journal->flushed = last;
    *out_last = last;
    return 0;
}

static void flush_on_pool(void *argument)
{
    struct journal *journal = argument;
    int err = journal->options.flush(journal->options.context);
    mutex_lock(&journal->lock);
    if (err == 0)
        journal->flushed = journal->flushing;
    journal->is_flushing = false;
    work_done_locked(journal);
    mutex_unlock(&journal->lock);
    if (err < 0)
        LOG_WARN("batches could not be written to tables yet", "fs=%s error=%d",
            journal->options.fs_id, err);
}

/* Has RocksDB write all batches up to `number` to tables, some time. */
static void begin_flush(struct journal *journal, uint64_t number)
{
    mutex_lock(&journal->lock);
    bool must_start = !journal->is_flushing;
    if (must_start) {
        journal->is_flushing = true;
        journal->flushing = number;
        journal->flush_work = (struct pool_work){ NULL, flush_on_pool, journal };
    }
    mutex_unlock(&journal->lock);
    if (must_start)
        pool_submit(journal->options.pool, &journal->flush_work);
}

static bool is_free(struct journal *journal, const struct journal_file *file)
{
    mutex_lock(&journal->lock);
    bool is_flushed = file->last_number <= journal->flushed;
    mutex_unlock(&journal->lock);
    return is_flushed;
}

/* Goes on to the next file, once all its batches are in tables (J2). */
static int next(struct journal *journal, uint64_t number)
{
    begin_flush(journal, number - 1);
    uint32_t index = (journal->current + 1) % FILES_MAX;
    struct journal_file *file = &journal->files[index];
    while (!is_free(journal, file)) { /* four files are full: the disk is slower than we are */
        wait_for_work(journal, &journal->is_flushing);
        if (is_free(journal, file))
            break;
        int err = journal->options.flush(journal->options.context);
        if (err < 0)
            return err;
        mutex_lock(&journal->lock);
        journal->flushed = number - 1;
        mutex_unlock(&journal->lock);
    }
    wait_for_work(journal, &journal->is_preparing);
    if (file->fd < 0) {
        int err = open_file(journal, index, O_RDWR | O_CREAT);
        if (err == 0)
            err = sys_fsync(journal->dir_fd);
        if (err < 0)
            return err;
    }
    journal->current = index;
    journal->offset = 0;
    return 0;
}

static void prepare_on_pool(void *argument)
{
    struct journal *journal = argument;
    struct journal_file *file = &journal->files[journal->prepare_file];
    int err = prepare(file, PREPARE_BYTES);
    mutex_lock(&journal->lock);
    if (err == 0)
        file->prepared += PREPARE_BYTES;
    journal->is_preparing = false;
    work_done_locked(journal);
    mutex_unlock(&journal->lock);
}

/* Room that was written before, up to `end`; some more is made in time, on the pool. */
static int ensure_prepared(struct journal *journal, uint64_t end)
{
    struct journal_file *file = &journal->files[journal->current];
    mutex_lock(&journal->lock);
    uint64_t prepared = file->prepared;
    bool is_preparing = journal->is_preparing;
    mutex_unlock(&journal->lock);
    if (end > prepared && is_preparing) { /* J3 */
        wait_for_work(journal, &journal->is_preparing);
        prepared = file->prepared;
        is_preparing = false;
    }
    if (end > prepared) {
        uint64_t size = round_up(end - prepared, PREPARE_FIRST);
        int err = prepare(file, size);
        if (err < 0)
            return err;
        file->prepared += size; /* nothing runs on the pool that looks at it */
        return 0;
    }
    if (!is_preparing && end + PREPARE_AHEAD > prepared && end > PREPARE_FIRST / 2 &&
        prepared < journal->options.file_bytes) {
        mutex_lock(&journal->lock);
        journal->is_preparing = true;
        journal->prepare_file = journal->current;
        journal->prepare_work = (struct pool_work){ NULL, prepare_on_pool, journal };
        mutex_unlock(&journal->lock);
        pool_submit(journal->options.pool, &journal->prepare_work);
    }
    return 0;
}

static int ensure_buffer(struct journal *journal, uint64_t size)
{
    if (size <= journal->buffer_size)
        return 0;
    uint64_t larger_size = round_up(size, 256 * KIB);
    uint8_t *larger = realloc(journal->buffer, larger_size);
    if (larger == NULL)
        return -ENOMEM;
    journal->buffer = larger;
    journal->buffer_size = larger_size;
    return 0;
}

int journal_append(struct journal *journal, uint64_t number, struct slice batch)
{
    if (batch.size > BATCH_MAX)
        return -EFBIG;
    uint64_t size = record_size(batch.size);
    int err = ensure_buffer(journal, size);
    if (err == 0 && journal->offset > 0 && journal->offset + size > journal->options.file_bytes)
        err = next(journal, number);
    if (err == 0)
        err = ensure_prepared(journal, journal->offset + size);
    if (err < 0)
        return err;
    uint8_t *record = journal->buffer;
    encode_header(journal, record, MAGIC, number, batch);
    memcpy(record + HEADER_BYTES, batch.data, batch.size);
    memset(record + HEADER_BYTES + batch.size, 0, size - HEADER_BYTES - batch.size);
    struct journal_file *file = &journal->files[journal->current];
    err = sys_pwrite_all(file->fd, record, size, journal->offset);
    if (err == 0)
        err = sys_fdatasync(file->fd);
    if (err < 0)
        return err;
    journal->offset += size;
    file->last_number = number;
    return 0;
}
