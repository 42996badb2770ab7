/*
 * engine/segment_space.c - which blocks of the segments are live, and how dead ones are given back
 * to the host (room: engine). Invariants S1 and S2 of segment.h.
 */
#include <dirent.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/sys.h"
#include "engine/segment_internal.h"

#define PUNCH_BLOCKS_MIN   16u /* smaller holes wait for their neighbours ... */
#define PUNCH_ALL_FRACTION 4u  /* ... unless so large a part of the segment is dead */
#define PUNCH_AGE_MS       10000u
#define RANGES_MAX         64u /* found in one look at a segment */

static bool bit_is_set(const uint64_t *bits, uint32_t at)
{
    return bits != NULL && (bits[at / 64] >> at % 64 & 1) != 0;
}

/* Clears the bits that are set; gives how many there were. */
static uint32_t bits_clear(uint64_t *bits, uint32_t first, uint32_t count)
{
    uint32_t cleared = 0;
    for (uint32_t i = first; i < first + count; i++) {
        uint64_t bit = UINT64_C(1) << i % 64;
        cleared += (bits[i / 64] & bit) != 0;
        bits[i / 64] &= ~bit;
    }
    return cleared;
}

static uint32_t bits_set(uint64_t *bits, uint32_t first, uint32_t count)
{
    uint32_t set = 0;
    for (uint32_t i = first; i < first + count; i++) {
        uint64_t bit = UINT64_C(1) << i % 64;
        set += (bits[i / 64] & bit) == 0;
        bits[i / 64] |= bit;
    }
    return set;
}

static void clear_busy_locked(struct segments *segments, struct segment *segment, uint32_t first,
    uint32_t count) REQUIRES(segments->lock)
{
    (void)segments; /* for the checker of locks */
    if (segment->busy == NULL)
        return;
    segment->busy_count -= bits_clear(segment->busy, first, count);
    if (segment->is_sealed && segment->busy_count == 0) {
        free(segment->busy);
        segment->busy = NULL;
    }
}

static void want_reclaim_locked(struct segments *segments, struct segment *segment)
    REQUIRES(segments->lock)
{
    if (segment->is_sealed && list_is_empty(&segment->reclaim_link))
        list_add_tail(&segments->reclaim, &segment->reclaim_link);
}

void segments_discard(struct segments *segments, uint64_t address, uint32_t count)
{
    mutex_lock(&segments->lock);
    struct segment *segment = segments_find_locked(segments, address / segments->segment_blocks);
    if (segment != NULL) {
        clear_busy_locked(segments, segment, (uint32_t)(address % segments->segment_blocks), count);
        want_reclaim_locked(segments, segment);
    }
    mutex_unlock(&segments->lock);
}

void segments_apply(struct segments *segments, const struct block_range *range)
{
    uint32_t first = (uint32_t)(range->address % segments->segment_blocks);
    mutex_lock(&segments->lock);
    struct segment *segment =
        segments_find_locked(segments, range->address / segments->segment_blocks);
    assert(segment != NULL && first + range->count <= segments->segment_blocks);
    if (range->is_live) {
        segment->live_count += bits_set(segment->live, first, range->count);
        clear_busy_locked(segments, segment, first, range->count);
    } else {
        segment->live_count -= bits_clear(segment->live, first, range->count);
        want_reclaim_locked(segments, segment);
    }
    segment->is_changed = true;
    mutex_unlock(&segments->lock);
}

bool segments_has(struct segments *segments, uint64_t id)
{
    mutex_lock(&segments->lock);
    bool has = segments_find_locked(segments, id) != NULL;
    mutex_unlock(&segments->lock);
    return has;
}

bool segments_is_live(struct segments *segments, uint64_t address)
{
    mutex_lock(&segments->lock);
    struct segment *segment = segments_find_locked(segments, address / segments->segment_blocks);
    bool is_live = segment != NULL &&
                   bit_is_set(segment->live, (uint32_t)(address % segments->segment_blocks));
    mutex_unlock(&segments->lock);
    return is_live;
}

uint64_t segments_live_blocks(struct segments *segments)
{
    uint64_t count = 0;
    mutex_lock(&segments->lock);
    for (uint32_t i = 0; i <= segments->mask; i++) {
        for (struct segment *it = segments->table[i]; it != NULL; it = it->hash_next)
            count += it->live_count;
    }
    mutex_unlock(&segments->lock);
    return count;
}

int segments_mark(struct segments *segments, uint64_t address)
{
    uint32_t at = (uint32_t)(address % segments->segment_blocks);
    int result = -ENOENT;
    mutex_lock(&segments->lock);
    struct segment *segment = segments_find_locked(segments, address / segments->segment_blocks);
    if (segment != NULL && segment->given_back == NULL)
        segment->given_back = calloc(segments->segment_blocks / 64, sizeof(uint64_t));
    if (segment != NULL)
        result = segment->given_back == NULL ? -ENOMEM : bits_set(segment->given_back, at, 1) == 0;
    mutex_unlock(&segments->lock);
    return result;
}

static void visit_unmarked(const struct segments *segments, const struct segment *segment,
    segment_range_visit *visit, void *context)
{
    uint64_t base = segment->id * segments->segment_blocks;
    uint32_t count = 0;
    for (uint32_t i = 0; i <= segments->segment_blocks; i++) {
        bool is_unmarked = i < segments->segment_blocks && bit_is_set(segment->live, i) &&
                           !bit_is_set(segment->given_back, i);
        if (!is_unmarked && count > 0)
            visit(context, base + i - count, count);
        count = is_unmarked ? count + 1 : 0;
    }
}

void segments_visit_unmarked(struct segments *segments, segment_range_visit *visit, void *context)
{
    for (uint32_t i = 0; i <= segments->mask; i++) {
        for (const struct segment *it = segments->table[i]; it != NULL; it = it->hash_next)
            visit_unmarked(segments, it, visit, context);
    }
}

void segments_visit_all(const struct segments *segments, segment_visit *visit, void *context)
{
    for (uint32_t i = 0; i <= segments->mask; i++) {
        for (const struct segment *it = segments->table[i]; it != NULL; it = it->hash_next)
            visit(context, it->id, it);
    }
}

struct hole {
    uint32_t first;
    uint32_t count;
};

/* The next range, from `from` on, of blocks that are dead and not given back; count 0: none. */
static struct hole next_hole(
    const struct segments *segments, const struct segment *segment, uint32_t from)
{
    struct hole hole = { from, 0 };
    for (uint32_t i = from; i < segments->segment_blocks; i++) {
        bool is_hole = !bit_is_set(segment->live, i) && !bit_is_set(segment->busy, i) &&
                       !bit_is_set(segment->given_back, i);
        if (is_hole && hole.count++ == 0)
            hole.first = i;
        if (!is_hole && hole.count > 0)
            break;
    }
    return hole;
}

/* Fills `holes` with those worth a punch; gives how many. */
static unsigned find_holes_locked(struct segments *segments, struct segment *segment,
    struct hole *holes, unsigned holes_max) REQUIRES(segments->lock)
{
    uint32_t used = segment->live_count + segment->busy_count;
    uint32_t dead = segments->segment_blocks - used;
    uint32_t least = dead > segments->segment_blocks / PUNCH_ALL_FRACTION ? 1 : PUNCH_BLOCKS_MIN;
    unsigned count = 0;
    uint32_t from = 1; /* the header stays */
    while (count < holes_max) {
        struct hole hole = next_hole(segments, segment, from);
        if (hole.count == 0)
            break;
        from = hole.first + hole.count;
        if (hole.count < least)
            continue;
        /* Dead blocks stay dead, so they count as given back before they are. */
        (void)bits_set(segment->given_back, hole.first, hole.count);
        holes[count++] = hole;
    }
    return count;
}

/* Its g record goes with the next checkpoint; forgotten, it goes when the volume is opened next. */
static void remember_removed_locked(struct segments *segments, uint64_t id) REQUIRES(segments->lock)
{
    if (segments->removed_count == segments->removed_capacity) {
        uint32_t capacity = segments->removed_capacity * 2 + 16;
        uint64_t *larger = realloc(segments->removed, capacity * sizeof *larger);
        if (larger == NULL)
            return;
        segments->removed = larger;
        segments->removed_capacity = capacity;
    }
    segments->removed[segments->removed_count++] = id;
}

/* Takes a wholly dead segment out of the table. */
static void remove_locked(struct segments *segments, struct segment *segment)
    REQUIRES(segments->lock)
{
    struct segment **link = &segments->table[segment->id & segments->mask];
    while (*link != segment)
        link = &(*link)->hash_next;
    *link = segment->hash_next;
    segments->count--;
    remember_removed_locked(segments, segment->id);
    list_remove(&segment->reclaim_link);
    list_remove(&segment->fd_lru);
    if (segment->fd >= 0)
        segments->fd_count--;
}

void segments_unlink_file(struct segments *segments, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];
    segment_file_name(id, name);
    if (unlinkat(segments->dir_fd, name, 0) < 0 && errno != ENOENT)
        LOG_WARN("dead segment cannot be unlinked", "fs=%s segment=%" PRIu64 " error=%d",
            segments->fs_id, id, errno);
}

static void punch(struct segments *segments, uint64_t id, const struct hole *holes, unsigned count)
{
    char name[SEGMENT_NAME_SIZE];
    segment_file_name(id, name);
    int fd = sys_openat(segments->dir_fd, name, O_RDWR, 0);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
            (int64_t)holes[i].first * BLOCK_BYTES, (int64_t)holes[i].count * BLOCK_BYTES);
        if (result < 0 && errno != EOPNOTSUPP)
            LOG_WARN("dead blocks cannot be given back", "fs=%s segment=%" PRIu64 " error=%d",
                segments->fs_id, id, errno);
    }
    (void)close(fd);
}

/* Whether it is too early to punch holes into the segment: it may die whole. */
static bool is_young(const struct segment *segment, bool is_pressed)
{
    return !is_pressed && segment->sealed_ms != 0 &&
           clock_coarse_ms() - segment->sealed_ms < PUNCH_AGE_MS;
}

/* What is to be done about the next segment that may have dead blocks. */
struct reclaim_step {
    struct segment *dead; /* out of the table; to be freed, and unlinked when is_unlinked */
    bool is_unlinked;
    uint64_t id;
    unsigned hole_count;
    struct hole holes[RANGES_MAX];
};

/* Whether nobody uses the file, but for a sync that is still to come: of a dead segment none is needed. */
static bool is_unused_locked(struct segments *segments, struct segment *segment)
    REQUIRES(segments->lock)
{
    (void)segments; /* for the checker of locks */
    if (segment->fd_users == 1 && !list_is_empty(&segment->dirty_link)) {
        list_remove(&segment->dirty_link);
        segment->fd_users = 0;
    }
    return segment->fd_users == 0;
}

static void plan_step_locked(struct segments *segments, struct segment *segment, bool is_pressed,
    struct reclaim_step *step) REQUIRES(segments->lock)
{
    bool is_dead = segment->live_count == 0 && segment->busy_count == 0;
    bool must_wait = is_dead ? !is_unused_locked(segments, segment) : is_young(segment, is_pressed);
    *step = (struct reclaim_step){ .id = segment->id };
    list_remove(&segment->reclaim_link);
    if (must_wait) {
        list_add_tail(&segments->reclaim, &segment->reclaim_link);
        return;
    }
    if (is_dead) {
        remove_locked(segments, segment);
        step->dead = segment;
        step->is_unlinked = is_pressed || !segment_spare_keep_locked(segments, segment);
        return;
    }
    if (segment->given_back == NULL)
        segment->given_back = calloc(segments->segment_blocks / 64, sizeof(uint64_t));
    if (segment->given_back != NULL)
        step->hole_count = find_holes_locked(segments, segment, step->holes, RANGES_MAX);
    if (step->hole_count == RANGES_MAX) /* there may be more */
        list_add_tail(&segments->reclaim, &segment->reclaim_link);
}

static unsigned count_waiting(struct segments *segments)
{
    unsigned count = 0;
    mutex_lock(&segments->lock);
    LIST_FOR_EACH(node, &segments->reclaim)
    count++;
    mutex_unlock(&segments->lock);
    return count;
}

bool segments_reclaim(struct segments *segments, unsigned punches_max, bool is_pressed)
{
    unsigned punches = 0;
    unsigned left = count_waiting(segments); /* those that must wait come round once */
    segment_spare_expire(segments, is_pressed);
    for (; left > 0 && punches < punches_max; left--) {
        struct reclaim_step step;
        mutex_lock(&segments->lock);
        bool is_empty = list_is_empty(&segments->reclaim);
        if (!is_empty)
            plan_step_locked(segments,
                LIST_ENTRY(segments->reclaim.next, struct segment, reclaim_link), is_pressed,
                &step);
        mutex_unlock(&segments->lock);
        if (is_empty)
            return false;
        if (step.dead != NULL) {
            segment_free(step.dead);
            if (step.is_unlinked)
                segments_unlink_file(segments, step.id);
        } else if (step.hole_count > 0) {
            punch(segments, step.id, step.holes, step.hole_count);
        }
        punches += step.hole_count + 1;
        if (step.hole_count == RANGES_MAX)
            left++;
    }
    return left > 0;
}

bool segments_reclaim_is_due(struct segments *segments)
{
    mutex_lock(&segments->lock);
    bool is_due = !list_is_empty(&segments->reclaim) || segments->spare_count > 0;
    mutex_unlock(&segments->lock);
    return is_due;
}

/* Version, then the live bits. */
size_t segment_record_bytes(const struct segments *segments)
{
    return 1 + segments->segment_blocks / 8;
}

void segment_record_encode(
    const struct segments *segments, const struct segment *segment, uint8_t *out)
{
    out[0] = 1;
    for (uint32_t i = 0; i < segments->segment_blocks / 64; i++)
        store_be64(out + 1 + 8 * (size_t)i, segment->live[i]);
}

int segments_load(struct segments *segments, uint64_t id, struct slice record)
{
    struct segment *segment;
    mutex_lock(&segments->lock);
    int err = 0;
    if (segments_find_locked(segments, id) == NULL) {
        err = segments_add_locked(segments, id, &segment);
        if (err == 0)
            segment->is_sealed = true;
    }
    segment = err == 0 ? segments_find_locked(segments, id) : NULL;
    mutex_unlock(&segments->lock);
    if (segment == NULL || record.size == 0)
        return err;
    err = value_open(&record);
    if (err < 0 || record.size != segments->segment_blocks / 8)
        return -EBADMSG;
    for (uint32_t i = 0; i < segments->segment_blocks / 64; i++) {
        segment->live[i] = load_be64(record.data + 8 * (size_t)i);
        segment->live_count += (uint32_t)__builtin_popcountll(segment->live[i]);
    }
    return 0;
}

/* Whether the file takes clearly more of the disk than its live blocks. */
static int check_file(struct segments *segments, struct segment *segment, bool *out_has_dead)
{
    char name[SEGMENT_NAME_SIZE];
    segment_file_name(segment->id, name);
    struct stat st;
    if (fstatat(segments->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return segment->live_count == 0 && errno == ENOENT ? 0 : -errno;
    uint64_t used_blocks = (uint64_t)st.st_blocks * 512 / BLOCK_BYTES;
    *out_has_dead = used_blocks > (uint64_t)segment->live_count + 1 + PUNCH_BLOCKS_MIN;
    return 0;
}

/* Drops files of segments that no record knows: made just before a crash. */
static int drop_unknown_files(struct segments *segments)
{
    int fd = sys_openat(segments->dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    struct dirent *entry;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while ((entry = readdir(dir)) != NULL) {
        uint64_t id;
        char end = 0;
        // NOLINTNEXTLINE(cert-err34-c): 16 digits cannot overflow
        if (sscanf(entry->d_name, "%16" SCNx64 ".se%c", &id, &end) != 2 || end != 'g')
            continue;
        if (!segments_has(segments, id))
            segments_unlink_file(segments, id);
        if (id >= segments->next_id)
            segments->next_id = id + 1;
    }
    (void)closedir(dir);
    return 0;
}

static int reconcile_segment(struct segments *segments, struct segment *segment)
{
    bool has_dead = segment->live_count == 0;
    int err = check_file(segments, segment, &has_dead);
    if (err < 0) {
        LOG_ERROR("segment with live blocks cannot be used",
            "fs=%s segment=%" PRIu64 " live_blocks=%u error=%d", segments->fs_id, segment->id,
            segment->live_count, err);
        return err == -ENOENT ? -EBADMSG : err;
    }
    mutex_lock(&segments->lock);
    if (has_dead)
        want_reclaim_locked(segments, segment);
    mutex_unlock(&segments->lock);
    return 0;
}

int segments_reconcile(struct segments *segments)
{
    int err = drop_unknown_files(segments);
    for (uint32_t i = 0; err == 0 && i <= segments->mask; i++) {
        for (struct segment *it = segments->table[i]; it != NULL && err == 0; it = it->hash_next)
            err = reconcile_segment(segments, it);
    }
    return err;
}

void segments_visit_changed(struct segments *segments, segment_visit *visit, void *context)
{
    mutex_lock(&segments->lock);
    for (uint32_t i = 0; i < segments->removed_count; i++)
        visit(context, segments->removed[i], NULL);
    segments->removed_count = 0;
    for (uint32_t i = 0; i <= segments->mask; i++) {
        for (struct segment *it = segments->table[i]; it != NULL; it = it->hash_next) {
            if (it->is_changed)
                visit(context, it->id, it);
            it->is_changed = false;
        }
    }
    mutex_unlock(&segments->lock);
}
