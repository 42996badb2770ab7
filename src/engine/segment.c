/*
 * engine/segment.c - segments: handing out blocks, writing, syncing, the open files (room: engine).
 * What becomes live and dead, and giving dead blocks back: segment_space.c.
 */
#include "engine/segment.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/sys.h"
#include "engine/crypt.h"
#include "engine/file.h"
#include "engine/segment_internal.h"
#include "io/pool.h"

#define TABLE_SIZE     1024u
#define STEP_BLOCKS    4096u /* of one fallocate: 16 MiB */
#define HEADER_VERSION 1u
#define HEADER_SALTED  2u /* the version of an encrypted one's */

static const char header_magic[8] = { 'S', 'H', 'O', 'A', 'L', 'S', 'E', 'G' };

int segments_init(struct segments *segments, const struct segments_options *options)
{
    (void)pthread_mutex_init(&segments->lock.pthread, NULL);
    gate_init(&segments->grow_gate);
    segments->dir_fd = options->dir_fd;
    segments->segment_blocks = options->segment_blocks;
    memcpy(segments->uuid, options->uuid, UUID_BYTES);
    segments->fs_id = options->fs_id;
    segments->pool = options->pool;
    segments->crypt = options->crypt;
    segments->fd_max = options->fd_max;
    segments->spare_bytes = options->spare_bytes;
    segments->next_id = options->next_id;
    list_init(&segments->fd_lru);
    list_init(&segments->dirty);
    list_init(&segments->reclaim);
    segments->table = calloc(TABLE_SIZE, sizeof(struct segment *));
    segments->mask = TABLE_SIZE - 1;
    return segments->table == NULL ? -ENOMEM : 0;
}

void segment_free(struct segment *segment)
{
    if (segment == NULL)
        return;
    if (segment->fd >= 0)
        (void)close(segment->fd); /* what had to be durable was synced before */
    free(segment->live);
    free(segment->busy);
    free(segment->given_back);
    free(segment);
}

void segments_fini(struct segments *segments)
{
    if (segments->table == NULL)
        return;
    segment_spare_expire(segments, true);
    struct segment *open = segments->open;
    if (open != NULL && open->fd >= 0) /* best effort: the next opening gives it back otherwise */
        (void)!ftruncate(open->fd, (int64_t)open->next_block * BLOCK_BYTES);
    for (uint32_t i = 0; i <= segments->mask; i++) {
        struct segment *segment = segments->table[i];
        while (segment != NULL) {
            struct segment *next = segment->hash_next;
            segment_free(segment);
            segment = next;
        }
    }
    free(segments->removed);
    free(segments->table);
    segments->table = NULL;
    gate_fini(&segments->grow_gate);
    (void)pthread_mutex_destroy(&segments->lock.pthread);
}

void segment_file_name(uint64_t id, char out_name[SEGMENT_NAME_SIZE])
{
    (void)snprintf(out_name, SEGMENT_NAME_SIZE, "%016" PRIx64 ".seg", id);
}

struct segment *segments_find_locked(struct segments *segments, uint64_t id)
{
    struct segment *segment = segments->table[id & segments->mask];
    while (segment != NULL && segment->id != id)
        segment = segment->hash_next;
    return segment;
}

int segments_add_locked(struct segments *segments, uint64_t id, struct segment **out_segment)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return -ENOMEM;
    segment->id = id;
    segment->fd = -1;
    list_init(&segment->fd_lru);
    list_init(&segment->dirty_link);
    list_init(&segment->reclaim_link);
    segment->live = calloc(segments->segment_blocks / 64, sizeof(uint64_t));
    if (segment->live == NULL) {
        free(segment);
        return -ENOMEM;
    }
    segment->hash_next = segments->table[id & segments->mask];
    segments->table[id & segments->mask] = segment;
    segments->count++;
    *out_segment = segment;
    return 0;
}

static int write_header(struct segments *segments, int fd, uint64_t id, uint64_t salt)
{
    uint8_t block[BLOCK_BYTES] = { 0 };
    memcpy(block, header_magic, sizeof header_magic);
    store_be32(block + 8, segments->crypt != NULL ? HEADER_SALTED : HEADER_VERSION);
    store_be32(block + 12, segments->segment_blocks);
    memcpy(block + 16, segments->uuid, UUID_BYTES);
    store_be64(block + 32, id);
    store_be64(block + 48, salt);
    store_be64(block + 40, block_checksum(block)); /* of the block with zeros here */
    int err = sys_pwrite_all(fd, block, sizeof block, 0);
    return err < 0 ? err : sys_fdatasync(fd);
}

/* What the header of a segment that was made before says; without encryption the salt is 0. Errors: -EBADMSG. */
static int read_salt(const struct segments *segments, int fd, uint64_t id, uint64_t *out_salt)
{
    uint32_t version = segments->crypt != NULL ? HEADER_SALTED : HEADER_VERSION;
    uint8_t block[BLOCK_BYTES];
    int err = sys_pread_all(fd, block, sizeof block, 0);
    if (err < 0)
        return err;
    uint64_t checksum = load_be64(block + 40);
    store_be64(block + 40, 0);
    if (checksum != block_checksum(block) ||
        memcmp(block, header_magic, sizeof header_magic) != 0 || load_be32(block + 8) != version ||
        load_be32(block + 12) != segments->segment_blocks ||
        memcmp(block + 16, segments->uuid, UUID_BYTES) != 0 || load_be64(block + 32) != id)
        return -EBADMSG;
    *out_salt = load_be64(block + 48) & CRYPT_SALT_MASK;
    return 0;
}

int segment_check_file(const struct segments *segments, const struct segment *segment)
{
    char name[SEGMENT_NAME_SIZE];
    uint64_t salt;
    struct stat st;
    segment_file_name(segment->id, name);
    int fd = sys_openat(segments->dir_fd, name, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int err = fstat(fd, &st) < 0 ? -errno : read_salt(segments, fd, segment->id, &salt);
    (void)close(fd); /* opened for reading */
    uint32_t last = segments->segment_blocks - 1;
    while (last > 0 && (segment->live[last / 64] >> last % 64 & 1) == 0)
        last--;
    if (err == 0 && (uint64_t)st.st_size < (last + 1) * (uint64_t)BLOCK_BYTES)
        err = -EBADMSG;
    return err;
}

/* Gives the file room up to `blocks`; a host file system that cannot is asked at each write
 * instead. */
static int allocate(int fd, uint32_t from_block, uint32_t blocks)
{
    int64_t offset = (int64_t)from_block * BLOCK_BYTES;
    int64_t size = (int64_t)(blocks - from_block) * BLOCK_BYTES;
    int result;
    do {
        result = fallocate(fd, 0, offset, size);
    } while (result < 0 && errno == EINTR);
    return result < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

/* Makes the file of a new segment, durable with its name (S3). */
static int create_file(
    struct segments *segments, uint64_t id, uint64_t salt, uint32_t blocks, int *out_fd)
{
    char name[SEGMENT_NAME_SIZE];
    segment_file_name(id, name);
    int fd = sys_openat(segments->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;
    int err = allocate(fd, 0, blocks);
    if (err == 0)
        err = write_header(segments, fd, id, salt);
    if (err == 0)
        err = sys_fsync(segments->dir_fd);
    if (err < 0) {
        (void)close(fd);
        (void)unlinkat(segments->dir_fd, name, 0); /* an empty one is dropped at the next opening */
        return err;
    }
    *out_fd = fd;
    return 0;
}

/* Makes the file of a new segment out of a dead one's. */
static int reuse_file(
    struct segments *segments, uint64_t id, uint64_t salt, const struct segment_spare *spare)
{
    char old_name[SEGMENT_NAME_SIZE];
    char name[SEGMENT_NAME_SIZE];
    segment_file_name(spare->id, old_name);
    segment_file_name(id, name);
    int err = 0;
    if (renameat(segments->dir_fd, old_name, segments->dir_fd, name) < 0)
        err = -errno;
    if (err == 0)
        err = write_header(segments, spare->fd, id, salt);
    if (err == 0)
        err = sys_fsync(segments->dir_fd);
    if (err < 0) {
        (void)close(spare->fd);
        (void)unlinkat(
            segments->dir_fd, old_name, 0); /* whichever it has; else at the next opening */
        (void)unlinkat(segments->dir_fd, name, 0);
    }
    return err;
}

/* Makes `segment` the one appended to; gives the one before, full now, to the reclaimer. */
static struct segment *replace_open_locked(struct segments *segments, struct segment *segment)
    REQUIRES(segments->lock)
{
    struct segment *old = segments->open;
    segments->open = segment;
    if (old != NULL) {
        old->is_sealed = true;
        old->sealed_ms = clock_coarse_ms();
        if (list_is_empty(&old->reclaim_link))
            list_add_tail(&segments->reclaim, &old->reclaim_link);
    }
    return old;
}

static int make_segment(struct segments *segments)
{
    uint64_t *busy = calloc(segments->segment_blocks / 64, sizeof *busy);
    if (busy == NULL)
        return -ENOMEM;
    uint64_t id = segments->next_id++;
    uint64_t salt = segments->crypt != NULL ? crypt_salt() : 0;
    uint32_t blocks = min_u32(STEP_BLOCKS, segments->segment_blocks);
    int fd;
    int err;
    struct segment_spare spare;
    if (segment_spare_take(segments, &spare)) {
        blocks = segments->segment_blocks;
        fd = spare.fd;
        err = reuse_file(segments, id, salt, &spare);
    } else {
        err = create_file(segments, id, salt, blocks, &fd);
    }
    if (err < 0) {
        free(busy);
        return err;
    }
    struct segment *segment;
    struct segment *old = NULL;
    mutex_lock(&segments->lock);
    err = segments_add_locked(segments, id, &segment);
    if (err == 0) {
        segment->fd = fd;
        segment->salt = salt;
        segment->fd_users = 1; /* the open segment's file is always in use */
        segment->busy = busy;
        segment->next_block = 1; /* behind the header */
        segment->allocated_blocks = blocks;
        segments->fd_count++;
        old = replace_open_locked(segments, segment);
    }
    mutex_unlock(&segments->lock);
    if (err < 0) {
        free(busy);
        (void)close(fd);
    }
    if (old != NULL)
        segment_release(segments, old);
    return err;
}

/* Data stops here, well before a batch could fail: volume_is_nearly_full() looks only now and then, and
 * a fast writer fills much of a disk in between. */
static bool disk_has_room(const struct segments *segments)
{
    struct statvfs st;
    return fstatvfs(segments->dir_fd, &st) < 0 ||
           (uint64_t)st.f_bavail * st.f_frsize >= segments->spare_bytes;
}

struct grow_call {
    struct segments *segments;
    int result;
};

/* With the grow gate held: makes the open segment larger, or a new one. */
static void grow_on_pool(void *argument)
{
    struct grow_call *call = argument;
    struct segments *segments = call->segments;
    if (!disk_has_room(segments)) {
        call->result = -ENOSPC;
        return;
    }
    struct segment *open = segments->open; /* changed only by who holds the gate */
    if (open == NULL || open->allocated_blocks == segments->segment_blocks) {
        call->result = make_segment(segments);
        return;
    }
    uint32_t blocks = min_u32(open->allocated_blocks + STEP_BLOCKS, segments->segment_blocks);
    call->result = allocate(open->fd, open->allocated_blocks, blocks);
    if (call->result < 0)
        return;
    mutex_lock(&segments->lock);
    open->allocated_blocks = blocks;
    mutex_unlock(&segments->lock);
}

/* False: the open segment has no room that is allocated. */
static bool take_locked(struct segments *segments, uint32_t count, struct segment_place *out_place)
    REQUIRES(segments->lock)
{
    struct segment *open = segments->open;
    if (open == NULL || open->next_block == open->allocated_blocks)
        return false;
    uint32_t taken = min_u32(count, open->allocated_blocks - open->next_block);
    uint32_t first = open->next_block;
    for (uint32_t i = first; i < first + taken; i++)
        open->busy[i / 64] |= UINT64_C(1) << i % 64;
    open->busy_count += taken;
    open->next_block += taken;
    open->fd_users++;
    *out_place = (struct segment_place){ open, open->id * segments->segment_blocks + first, taken };
    return true;
}

int segments_append(struct segments *segments, uint32_t count, struct segment_place *out_place)
{
    assert(count > 0);
    for (;;) {
        mutex_lock(&segments->lock);
        bool is_taken = take_locked(segments, count, out_place);
        mutex_unlock(&segments->lock);
        if (is_taken)
            return 0;
        gate_enter(&segments->grow_gate);
        mutex_lock(&segments->lock);
        struct segment *open = segments->open;
        bool has_room = open != NULL && open->next_block < open->allocated_blocks;
        mutex_unlock(&segments->lock);
        struct grow_call call = { segments, 0 };
        if (!has_room) /* nobody was faster */
            pool_call(segments->pool, grow_on_pool, &call);
        gate_leave(&segments->grow_gate);
        if (call.result < 0)
            return call.result;
    }
}

int segment_write(struct segments *segments, const struct segment_place *place,
    const uint8_t *bytes, struct block *out_blocks)
{
    struct segment *segment = place->segment;
    int err = segment_write_blocks(segments, place, bytes, out_blocks);
    if (err < 0)
        return err;
    mutex_lock(&segments->lock);
    if (list_is_empty(&segment->dirty_link)) {
        list_add_tail(&segments->dirty, &segment->dirty_link);
        segment->fd_users++; /* until it is synced: closing it could lose the error */
    }
    mutex_unlock(&segments->lock);
    return 0;
}

struct open_call {
    struct segments *segments;
    uint64_t id;
    int fd;
    uint64_t salt;
};

static void open_on_pool(void *argument)
{
    struct open_call *call = argument;
    char name[SEGMENT_NAME_SIZE];
    segment_file_name(call->id, name);
    call->fd = sys_openat(call->segments->dir_fd, name, O_RDWR, 0);
    if (call->fd < 0 || call->segments->crypt == NULL)
        return;
    int err = read_salt(call->segments, call->fd, call->id, &call->salt);
    if (err == 0)
        return;
    LOG_ERROR("segment's header is damaged", "fs=%s segment=%" PRIu64 " error=%d",
        call->segments->fs_id, call->id, err);
    (void)close(call->fd);
    call->fd = -EIO;
}

static void use_fd_locked(struct segment *segment)
{
    if (segment->fd_users++ == 0)
        list_remove(&segment->fd_lru);
}

int segment_acquire(struct segments *segments, uint64_t address, struct segment **out_segment)
{
    uint64_t id = address / segments->segment_blocks;
    mutex_lock(&segments->lock);
    struct segment *segment = segments_find_locked(segments, id);
    bool is_open = segment != NULL && segment->fd >= 0;
    if (is_open)
        use_fd_locked(segment);
    mutex_unlock(&segments->lock);
    if (segment == NULL)
        return -ENOENT;
    if (is_open) {
        *out_segment = segment;
        return 0;
    }
    struct open_call call = { segments, id, -1, 0 };
    pool_call(segments->pool, open_on_pool, &call);
    if (call.fd < 0)
        return call.fd;
    int unused = call.fd;
    mutex_lock(&segments->lock);
    segment = segments_find_locked(segments, id); /* it may have gone meanwhile */
    if (segment != NULL && segment->fd < 0) {
        segment->fd = call.fd;
        segment->salt = call.salt;
        segments->fd_count++;
        unused = -1;
    }
    if (segment != NULL)
        use_fd_locked(segment);
    mutex_unlock(&segments->lock);
    if (unused >= 0)
        (void)close(unused);
    if (segment == NULL)
        return -ENOENT;
    *out_segment = segment;
    return 0;
}

void segment_release(struct segments *segments, struct segment *segment)
{
    int unused = -1;
    mutex_lock(&segments->lock);
    assert(segment->fd_users > 0);
    if (--segment->fd_users == 0) {
        list_add_tail(&segments->fd_lru, &segment->fd_lru);
        if (segments->fd_count > segments->fd_max) {
            struct segment *oldest = LIST_ENTRY(segments->fd_lru.next, struct segment, fd_lru);
            list_remove(&oldest->fd_lru);
            unused = oldest->fd;
            oldest->fd = -1;
            segments->fd_count--;
        }
    }
    mutex_unlock(&segments->lock);
    if (unused >= 0)
        (void)close(unused);
}

int segments_sync(struct segments *segments)
{
    mutex_lock(&segments->lock);
    struct segment *first = NULL;
    while (!list_is_empty(&segments->dirty)) {
        struct segment *segment = LIST_ENTRY(segments->dirty.next, struct segment, dirty_link);
        list_remove(&segment->dirty_link); /* its use of the file is ours now */
        segment->sync_next = first;
        first = segment;
    }
    mutex_unlock(&segments->lock);
    int result = 0;
    while (first != NULL) {
        struct segment *segment = first;
        first = segment->sync_next;
        int err = sys_fdatasync(segment->fd);
        if (err < 0) {
            LOG_ERROR("segment cannot be synced", "fs=%s segment=%" PRIu64 " error=%d",
                segments->fs_id, segment->id, err);
            result = err;
        }
        segment_release(segments, segment);
    }
    return result;
}
