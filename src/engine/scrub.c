/*
 * engine/scrub.c - reading everything a file system has, at a bounded rate (room: engine).
 */
#include "engine/scrub.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/sys.h"
#include "engine/file.h"
#include "engine/segment_internal.h"
#include "engine/volume.h"
#include "metrics/metrics.h"

#define STEP_GROUPS  64u   /* of 32 blocks: 8 MiB of data */
#define STEP_RECORDS 4096u /* of all kinds */
#define STEP_BYTES   (UINT64_C(4) * MIB)
#define NAP_NS       50000000
#define NS_PER_S     UINT64_C(1000000000)

/* A record of a map, to be looked at when the database is let go. */
struct group {
    uint64_t map;
    uint64_t first;    /* block of the file */
    uint64_t snapshot; /* that keeps it; 0: it is live */
    struct block blocks[GROUP_BLOCKS];
};

struct step {
    struct scrub *scrub;
    struct group *groups; /* STEP_GROUPS */
    unsigned group_count;
    uint64_t bytes;
    uint8_t *buffer; /* of GROUP_BLOCKS, aligned as direct reading wants it */
    int fd;          /* of the segment that was read last, without the host's cache; -1 */
    uint64_t fd_segment;
    uint64_t began_ns; /* for the rate */
    uint64_t paid_bytes;
};

/* Whether `map` is that of inode `id`. */
static bool has_map(struct volume *volume, uint64_t id, uint64_t map)
{
    struct key key;
    struct store_value value;
    struct inode_record record;
    struct slice symlink;
    key_make1(&key, KEY_INODE, id);
    if (store_get(volume->store, &key, &value) < 0)
        return false;
    bool is_it = inode_record_decode(value.data, id, &record, &symlink) == 0 &&
                 record.attr.type == FS_REGULAR && record.map_id == map;
    store_value_release(&value);
    return is_it;
}

/* Who looks for the inode of a map. */
struct map_search {
    uint64_t map;
    uint64_t found; /* 0: not yet */
};

static int match_map(void *context, struct slice key, struct slice value)
{
    struct map_search *search = context;
    uint64_t id;
    struct inode_record record;
    struct slice symlink;
    if (key_parse(key, KEY_INODE, 1, &id) &&
        inode_record_decode(value, id, &record, &symlink) == 0 && record.attr.type == FS_REGULAR &&
        record.map_id == search->map)
        search->found = id;
    return search->found != 0;
}

/* The inode that has a map: nearly always the one of its number, else all are asked, as this is for damage only. 0: none. */
static uint64_t inode_of_map(struct volume *volume, uint64_t map)
{
    if (has_map(volume, map, map))
        return map;
    struct map_search search = { .map = map };
    /* What cannot be read is found and told by the scrub itself. */
    (void)!store_each(volume->store, KEY_INODE, match_map, &search);
    return search.found;
}

static void tell(struct step *step, const struct scrub_damage *damage)
{
    metrics_add(METRIC_ENGINE_SCRUB_DAMAGED, 0, 1);
    step->scrub->damaged(step->scrub->context, damage);
}

static void tell_record(struct step *step, char kind, uint64_t inode, uint64_t offset)
{
    tell(step, &(struct scrub_damage){ .kind = kind,
                   .inode = inode,
                   .offset = offset,
                   .size_bytes = inode != 0 ? BLOCK_BYTES : 0 });
}

/* Whether the database maps the block where we found it, still. */
static bool is_mapped(struct volume *volume, const struct group *group, uint32_t at)
{
    struct key key;
    struct store_value value;
    struct block now[GROUP_BLOCKS] = { 0 };
    key_make2(&key, KEY_GROUP, group->map, group->first / GROUP_BLOCKS);
    if (group->snapshot != 0) {
        const struct key live = key;
        key_make_version(&key, key_slice(&live), group->snapshot);
    }
    int err = store_get(volume->store, &key, &value);
    if (err < 0)
        return err != -ENOENT;
    err = group_decode(value.data, now);
    store_value_release(&value);
    return err < 0 || block_equal(now[at], group->blocks[at]);
}

/* A file of our own, so that the disk is asked and not the host's cache, where that can be had. */
static int open_segment(struct step *step, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];
    if (step->fd >= 0 && step->fd_segment == id)
        return 0;
    if (step->fd >= 0)
        (void)close(step->fd);
    segment_file_name(id, name);
    step->fd_segment = id;
    step->fd = sys_openat(step->scrub->volume->data_fd, name, O_RDONLY | O_DIRECT, 0);
    if (step->fd == -EINVAL)
        step->fd = sys_openat(step->scrub->volume->data_fd, name, O_RDONLY, 0);
    return min_int(step->fd, 0);
}

/* Errors: -EBADMSG: not what was written; -ENOENT: the segment is gone; -EIO. */
static int read_blocks(struct step *step, const struct block *blocks, uint32_t count)
{
    struct segments *segments = &step->scrub->volume->segments;
    struct segment *segment;
    int err = segment_acquire(segments, blocks[0].address, &segment);
    if (err < 0)
        return err;
    err = open_segment(step, segment->id);
    if (err == 0)
        err = sys_pread_all(step->fd, step->buffer, (size_t)count * BLOCK_BYTES,
            segment_offset(segments, blocks[0].address));
    if (err == 0)
        err = segment_verify(segments, segment, blocks, count, step->buffer);
    segment_release(segments, segment);
    return err;
}

static void judge(struct step *step, const struct group *group, uint32_t at)
{
    struct volume *volume = step->scrub->volume;
    const struct block *block = &group->blocks[at];
    int err = read_blocks(step, block, 1);
    if (err == 0 || err == -ENOMEM || !is_mapped(volume, group, at))
        return;
    tell(step, &(struct scrub_damage){ .kind = KEY_GROUP,
                   .inode = inode_of_map(volume, group->map),
                   .offset = (group->first + at) * BLOCK_BYTES,
                   .size_bytes = BLOCK_BYTES,
                   .segment = block->address / volume->segment_blocks,
                   .block = block->address % volume->segment_blocks });
}

static void read_group(struct step *step, const struct group *group)
{
    uint64_t segment_blocks = step->scrub->volume->segment_blocks;
    const struct block *blocks = group->blocks;
    for (uint32_t at = 0; at < GROUP_BLOCKS;) {
        uint32_t count = 1;
        if (blocks[at].kind != BLOCK_SEGMENT) {
            at++;
            continue;
        }
        while (at + count < GROUP_BLOCKS && blocks[at + count].kind == BLOCK_SEGMENT &&
               blocks[at + count].address == blocks[at].address + count &&
               blocks[at + count].address % segment_blocks != 0)
            count++;
        int err = read_blocks(step, blocks + at, count);
        for (uint32_t i = 0; err < 0 && i < count; i++)
            judge(step, group, at + i);
        step->scrub->done_bytes += (uint64_t)count * BLOCK_BYTES;
        step->bytes += (uint64_t)count * BLOCK_BYTES;
        at += count;
    }
}

static bool is_small_good(struct slice value)
{
    if (value_open(&value) < 0 || value.size < 8 || value.size > 8 + BLOCK_BYTES)
        return false;
    struct block_buffer *buffer = block_buffer_new(value.data + 8, value.size - 8);
    if (buffer == NULL)
        return true; /* no memory is no damage */
    struct block block = block_of_buffer(buffer);
    bool is_good = block.checksum == load_be64(value.data);
    block_put(block);
    return is_good;
}

/* The bytes of a small block are what they were. */
static void look_at_small(struct step *step, struct slice key, struct slice value)
{
    uint64_t numbers[2] = { 0, 0 };
    bool is_good = key_parse(key, KEY_SMALL, 2, numbers) && is_small_good(value);
    step->scrub->done_bytes += BLOCK_BYTES;
    if (!is_good)
        tell_record(step, KEY_SMALL, inode_of_map(step->scrub->volume, numbers[0]),
            numbers[1] * BLOCK_BYTES);
}

/* A record; or what a snapshot keeps of one, which is looked at in the same way. */
static void look_at(struct step *step, struct slice key, struct slice value)
{
    uint64_t snapshot = 0;
    uint64_t numbers[2];
    bool is_good = key.data[0] != KEY_VERSION || key_parse_version(key, &key, &snapshot);
    char kind = (char)key.data[0];
    step->scrub->done_records++;
    if (!is_good)
        tell_record(step, KEY_VERSION, 0, 0);
    if (!is_good || (snapshot != 0 && value.size == 0))
        return;
    if (kind == KEY_SMALL)
        look_at_small(step, key, value);
    if (kind != KEY_GROUP)
        return;
    struct group *group = &step->groups[step->group_count];
    memset(group, 0, sizeof *group);
    if (!key_parse(key, KEY_GROUP, 2, numbers) || group_decode(value, group->blocks) < 0) {
        tell_record(step, KEY_GROUP, 0, 0);
        return;
    }
    group->snapshot = snapshot;
    group->map = numbers[0];
    group->first = numbers[1] * GROUP_BLOCKS;
    step->group_count++;
}

/* The key right behind `key`. */
static void set_position(struct scrub *scrub, struct slice key)
{
    scrub->position.size = min_size(key.size, sizeof scrub->position.bytes - 1);
    memcpy(scrub->position.bytes, key.data, scrub->position.size);
    scrub->position.bytes[scrub->position.size++] = 0;
}

/* A kind of records that cannot be read on: the next kind is. False: there is none. */
static bool skip_kind(struct step *step)
{
    struct scrub *scrub = step->scrub;
    uint8_t kind = scrub->position.size > 0 ? scrub->position.bytes[0] : 0;
    tell_record(step, (char)kind, 0, 0);
    scrub->position.bytes[0] = (uint8_t)(kind + 1);
    scrub->position.size = 1;
    return kind < 'z';
}

/* Reads some records. 1: there are more; 0: that was the last. */
static int read_records(struct step *step)
{
    struct scrub *scrub = step->scrub;
    struct store *view;
    struct store_iterator *iterator;
    struct key end = { .size = 1, .bytes = { 0xff } };
    int err = store_view_new(scrub->volume->store, &view);
    if (err < 0)
        return err;
    err = store_scan(view, &scrub->position, &end, &iterator);
    if (err < 0) {
        store_close(view);
        return err;
    }
    struct slice key;
    struct slice value;
    unsigned count = 0;
    while ((err = store_scan_next(iterator, &key, &value)) == 1) {
        look_at(step, key, value);
        step->bytes += key.size + value.size;
        set_position(scrub, key);
        if (++count == STEP_RECORDS || step->group_count == STEP_GROUPS || step->bytes > STEP_BYTES)
            break;
    }
    store_scan_end(iterator);
    store_close(view);
    if (err == -EBADMSG || err == -EIO)
        return skip_kind(step);
    return err;
}

/* Waits until so much may have been read. */
static bool pay(struct step *step)
{
    struct scrub *scrub = step->scrub;
    const struct timespec nap = { .tv_nsec = NAP_NS };
    step->paid_bytes += step->bytes;
    metrics_add(METRIC_ENGINE_SCRUB_BYTES, 0, step->bytes);
    bool is_stopped = scrub->stepped(scrub->context);
    while (!is_stopped && scrub->bytes_per_s > 0) {
        uint64_t passed_ns = clock_monotonic_ns() - step->began_ns;
        double allowed = (double)passed_ns / (double)NS_PER_S * (double)scrub->bytes_per_s;
        if ((double)step->paid_bytes <= allowed)
            break;
        (void)nanosleep(&nap, NULL); /* woken early: it looks a little sooner */
        is_stopped = scrub->stepped(scrub->context);
    }
    return is_stopped;
}

int scrub_run(struct scrub *scrub)
{
    struct step step = { .scrub = scrub, .fd = -1, .began_ns = clock_monotonic_ns() };
    step.groups = malloc(STEP_GROUPS * sizeof *step.groups);
    step.buffer = aligned_alloc(BLOCK_BYTES, (size_t)GROUP_BLOCKS * BLOCK_BYTES);
    int err = step.groups == NULL || step.buffer == NULL ? -ENOMEM : 1;
    while (err == 1) {
        step.group_count = 0;
        step.bytes = 0;
        err = read_records(&step);
        for (unsigned i = 0; err >= 0 && i < step.group_count; i++)
            read_group(&step, &step.groups[i]);
        if (err >= 0 && pay(&step) && err == 1)
            err = -EINTR;
    }
    if (step.fd >= 0)
        (void)close(step.fd);
    free(step.groups);
    free(step.buffer);
    return err;
}
