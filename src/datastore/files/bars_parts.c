/*
 * datastore/files/bars_parts.c - the parts of a partition: their names, their order, a new one (room: datastore).
 *
 * The order of parts. A writer lists the partition and takes a sequence greater than all in it, and not less than the
 * time of day in nanoseconds: so it is after all that was acknowledged before. A compaction replaces all parts up to some
 * sequence M by one that stands at M. A part that arrives then with a sequence up to M, chosen before, must not lose
 * against older bars that now stand at M; so
 *   C1  a compaction shows M (by the name of its hidden file) before it lists its parts,
 *   W1  a writer lists again after its part is there, and, when it sees a compaction or a compacted part at or behind
 *       its sequence, moves its part behind all others by rename(), and looks again.
 * If the part was there before the list of C1, it is in the compaction; if not, W1 sees the compaction.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "datastore/files/bars.h"

#define SUFFIX            ".parquet"
#define COMPACTING_SUFFIX ".compacting"
#define SMALL_ROWS        4096u /* fewer are stored as they are: they will be compacted */
#define PAGE_ROWS         4096u /* what a range reads at least, of each column */

void bars_part_name(char *to, uint64_t sequence, bool is_compacted)
{
    char random[17];
    random_hex(random, 16);
    if (is_compacted)
        random[0] = 'z'; /* behind the part whose sequence it takes */
    (void)snprintf(to, BARS_PART_SIZE, "%016" PRIx64 "-%s" SUFFIX, sequence, random);
}

/* Parses SEQUENCE-RANDOM.parquet, of `size` bytes. */
static bool parse(const char *name, size_t size, struct bars_part *out_part)
{
    struct bars_part part = { 0 };
    if (size != 16 + 1 + 16 + strlen(SUFFIX) || name[16] != '-' ||
        strncmp(name + 33, SUFFIX, strlen(SUFFIX)) != 0)
        return false;
    for (size_t i = 0; i < 16; i++) {
        const char *digit = strchr("0123456789abcdef", name[i]);
        if (digit == NULL || *digit == '\0')
            return false;
        part.sequence =
            part.sequence << 4 | (uint64_t)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
    }
    part.is_compacted = name[17] == 'z';
    memcpy(part.name, name, size);
    *out_part = part;
    return true;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t suffix_size = strlen(suffix);
    return size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

/* Somebody else's file: before all others, under its own name. */
static bool is_foreign(const char *name, struct bars_part *out_part)
{
    *out_part = (struct bars_part){ 0 };
    return has_suffix(name, SUFFIX) && text_copy(out_part->name, BARS_PART_SIZE, name) == 0;
}

static int compare_parts(const void *left, const void *right)
{
    const struct bars_part *a = left;
    const struct bars_part *b = right;
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int add_parts(const struct bars_names *names, struct bars_parts *parts)
{
    parts->parts = calloc(names->count + 1, sizeof *parts->parts);
    if (parts->parts == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < names->count; i++) {
        struct bars_part *part = &parts->parts[parts->count];
        if (parse(names->names[i], strlen(names->names[i]), part) ||
            is_foreign(names->names[i], part))
            parts->count++;
        if (parts->count > 0)
            parts->sequence_max =
                max_u64(parts->sequence_max, parts->parts[parts->count - 1].sequence);
    }
    if (parts->count > 1)
        qsort(parts->parts, parts->count, sizeof *parts->parts, compare_parts);
    return 0;
}

static int add_compactions(const struct bars_names *names, struct bars_parts *parts)
{
    parts->compactions = calloc(names->count + 1, sizeof *parts->compactions);
    if (parts->compactions == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->names[i] + 1;
        struct bars_part *part = &parts->compactions[parts->compaction_count];
        if (!has_suffix(name, COMPACTING_SUFFIX) ||
            !parse(name, strlen(name) - strlen(COMPACTING_SUFFIX), part))
            continue;
        parts->sequence_max = max_u64(parts->sequence_max, part->sequence);
        parts->compaction_count++;
    }
    return 0;
}

int bars_parts_list(int dir_fd, struct bars_parts *out_parts)
{
    struct bars_parts parts = { 0 };
    struct bars_names hidden = { 0 };
    struct bars_names names = { 0 };
    /* A compaction goes from hidden to visible, so it is looked for in that order. */
    int err = bars_names_read(dir_fd, ".", &hidden);
    if (err == 0)
        err = bars_names_read(dir_fd, "", &names);
    if (err == 0)
        err = add_compactions(&hidden, &parts);
    if (err == 0)
        err = add_parts(&names, &parts);
    bars_names_fini(&hidden);
    bars_names_fini(&names);
    if (err < 0)
        bars_parts_fini(&parts);
    else
        *out_parts = parts;
    return err;
}

void bars_parts_fini(struct bars_parts *parts)
{
    free(parts->parts);
    free(parts->compactions);
    *parts = (struct bars_parts){ 0 };
}

static bool has_part(const struct bars_parts *parts, const char *name)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (strcmp(parts->parts[i].name, name) == 0)
            return true;
    }
    return false;
}

bool bars_parts_are_outdated(const struct bars_parts *first, const struct bars_parts *second)
{
    for (size_t i = 0; i < second->count; i++) {
        if (second->parts[i].is_compacted && !has_part(first, second->parts[i].name))
            return true;
    }
    return false;
}

static int write_rows(int fd, const struct shoal_data_bars *rows, struct parquet_error *error)
{
    static const struct parquet_column columns[] = {
        { .name = "timestamp", .type = PARQUET_INT64, .logical = PARQUET_TIMESTAMP_NS },
        { .name = "open", .type = PARQUET_DOUBLE },
        { .name = "high", .type = PARQUET_DOUBLE },
        { .name = "low", .type = PARQUET_DOUBLE },
        { .name = "close", .type = PARQUET_DOUBLE },
        { .name = "volume", .type = PARQUET_DOUBLE },
    };
    const struct parquet_writer_options options = {
        .codec = rows->count < SMALL_ROWS ? PARQUET_UNCOMPRESSED : PARQUET_ZSTD,
        .page_rows = PAGE_ROWS,
        .has_sorting_column = true,
    };
    const struct parquet_values values[] = { { .values = rows->timestamp_ns },
        { .values = rows->open }, { .values = rows->high }, { .values = rows->low },
        { .values = rows->close }, { .values = rows->volume } };
    struct parquet_writer *writer = NULL;
    int err = parquet_writer_open(fd, columns, ARRAY_SIZE(columns), &options, &writer, error);
    if (err == 0)
        err = parquet_writer_append(writer, values, rows->count, error);
    if (err == 0)
        err = parquet_writer_finish(writer, error);
    parquet_writer_free(writer);
    return err;
}

int bars_part_write(int fd, const struct shoal_data_bars *rows, struct parquet_error *error)
{
    int err = write_rows(fd, rows, error);
    if (err == 0)
        err = sys_fsync(fd);
    if (close(fd) < 0 && err == 0)
        err = -errno; /* NFS tells of a full disk here */
    return err;
}

/* A sequence for a part that comes after all others. */
static uint64_t next_sequence(const struct bars_parts *parts)
{
    struct clock_time now = clock_wall();
    uint64_t wall_ns = (uint64_t)now.seconds * 1000000000 + now.nanoseconds;
    return max_u64(wall_ns, parts->sequence_max + 1);
}

/* W1: must the part move behind others? `known_max`: the greatest sequence when its own was chosen; a greater one
 * now may be of a part that was acknowledged before and that an old listing did not show. */
static bool must_move(const struct bars_parts *parts, const char *name, uint64_t sequence,
    uint64_t known_max, bool is_first_look)
{
    for (size_t i = 0; i < parts->compaction_count; i++) {
        if (parts->compactions[i].sequence >= sequence)
            return true;
    }
    for (size_t i = 0; i < parts->count; i++) {
        const struct bars_part *part = &parts->parts[i];
        bool is_hidden_before = is_first_look && part->sequence > known_max;
        if (part->sequence >= sequence && strcmp(part->name, name) != 0 &&
            (part->is_compacted || is_hidden_before))
            return true;
    }
    return false;
}

/* Gives the part its place: renames the file `temporary`, and moves it on until W1 is satisfied. */
static int place_part(int dir_fd, const char *temporary, size_t *out_part_count)
{
    char from[BARS_PART_SIZE + 8];
    char name[BARS_PART_SIZE];
    struct bars_parts parts = { 0 };
    (void)snprintf(from, sizeof from, "%s", temporary);
    int err = bars_parts_list(dir_fd, &parts);
    for (unsigned look = 0; err == 0; look++) {
        uint64_t known_max = parts.sequence_max;
        uint64_t sequence = next_sequence(&parts);
        bars_parts_fini(&parts);
        bars_part_name(name, sequence, false);
        if (renameat(dir_fd, from, dir_fd, name) < 0)
            return -errno;
        (void)snprintf(from, sizeof from, "%s", name);
        err = bars_parts_list(dir_fd, &parts);
        if (err < 0 || !must_move(&parts, name, sequence, known_max, look == 0))
            break;
        if (look == BARS_RETRY_MAX)
            err = -EBUSY;
    }
    *out_part_count = parts.count;
    bars_parts_fini(&parts);
    return err < 0 ? err : sys_fsync(dir_fd);
}

int bars_part_append(int dir_fd, const struct shoal_data_bars *rows, size_t *out_part_count,
    struct parquet_error *error)
{
    char temporary[BARS_PART_SIZE];
    char random[17];
    random_hex(random, 16);
    (void)snprintf(temporary, sizeof temporary, BARS_TEMPORARY "%s", random);
    int fd = sys_openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (fd < 0)
        return fd;
    int err = bars_part_write(fd, rows, error);
    if (err == 0)
        err = place_part(dir_fd, temporary, out_part_count);
    if (err < 0)
        (void)unlinkat(dir_fd, temporary, 0); /* best effort; it may have its place already */
    return err;
}
