/*
 * engine/check.c - whether all records of a file system agree with each other (room: engine).
 *
 * Reads every record once, of one state of the database that nobody changes. A kind of records that cannot be read to its
 * end is a finding; then what would follow from it is not compared.
 */
#include "engine/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/inspect.h"
#include "engine/names.h"
#include "engine/reclaim.h"
#include "engine/records.h"
#include "engine/usage.h"
#include "engine/volume.h"

/* One inode, as its record says and as the other records show. */
struct seen {
    uint64_t id;
    uint64_t map_id;
    uint64_t parent;
    uint64_t entry_count, entries_seen;
    uint64_t segment_blocks, segment_seen;
    uint64_t small_blocks, small_seen;
    uint32_t link_count, links_seen;
    uint32_t xattr_count, xattrs_seen;
    uint32_t xattr_bytes, xattr_bytes_seen;
    uint32_t subdirs_seen;
    bool is_directory;
    bool is_orphan;
};

struct check {
    struct volume *volume; /* the stand-in */
    struct volume *live;   /* NULL: nobody has it open */
    uint64_t id;           /* engine/records.h: of the live tree, or of a snapshot's */
    struct seen *seen;     /* by id: records come in that order */
    size_t count;
    size_t capacity;
    struct refs found;    /* users beyond the first of each block */
    struct seen **by_map; /* of files whose map has another number, and maps without an inode */
    uint64_t version_count, kept_count;
    struct check_report *report;
    uint64_t used_bytes;
    uint64_t used_files;
    unsigned visited;   /* since the sink was asked whether to stop */
    bool is_incomplete; /* some records could not be read */
    struct findings findings;
};

#define VISITS_PER_LOOK 4096u
#define FINDING_SIZE    400u

#define WRONG(check, ...) findings_add(&(check)->findings, __VA_ARGS__)

void findings_add(struct findings *findings, const char *format, ...)
{
    char text[FINDING_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* what is longer is cut */
    va_end(arguments);
    findings->count++;
    findings->sink->finding(findings->sink->context, text);
}

static bool is_stopped(struct check *check)
{
    const struct check_sink *sink = check->findings.sink;
    if (++check->visited < VISITS_PER_LOOK || sink->is_stopping == NULL)
        return false;
    check->visited = 0;
    return sink->is_stopping(sink->context);
}

static struct seen *find_id(const struct check *check, uint64_t id)
{
    size_t low = 0;
    size_t high = check->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (check->seen[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < check->count && check->seen[low].id == id ? &check->seen[low] : NULL;
}

static int compare_maps(const void *a, const void *b)
{
    const struct seen *left = *(struct seen *const *)a;
    const struct seen *right = *(struct seen *const *)b;
    return left->map_id < right->map_id ? -1 : left->map_id > right->map_id;
}

static struct seen *find_map(const struct check *check, uint64_t map_id)
{
    struct seen key = { .map_id = map_id };
    struct seen *wanted = &key;
    struct seen **found =
        bsearch(&wanted, check->by_map, check->count, sizeof(struct seen *), compare_maps);
    return found == NULL ? NULL : *found;
}

static int check_add(struct check *check, const struct seen *seen)
{
    if (check->count == check->capacity) {
        size_t capacity = check->capacity * 2 + 1024;
        struct seen *larger = realloc(check->seen, capacity * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        check->seen = larger;
        check->capacity = capacity;
    }
    check->seen[check->count++] = *seen;
    return 0;
}

typedef int check_visit(struct check *check, struct slice key, struct slice value);

static int visit_all(struct check *check, enum key_kind kind, check_visit *visit)
{
    struct key from;
    struct key end;
    key_make0(&from, kind);
    key_make0(&end, (enum key_kind)(kind + 1));
    struct records *iterator;
    int err = records_scan(check->volume, check->id, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    while ((err = records_next(iterator, &key, &value)) == 1) {
        err = is_stopped(check) ? -EINTR : visit(check, key, value);
        if (err < 0)
            break;
    }
    records_end(iterator);
    if (err != -EBADMSG && err != -EIO)
        return err;
    WRONG(check, "what=unreadable-records kind=%c error=%d", (char)kind, err);
    check->is_incomplete = true;
    return 0;
}

static int visit_inode(struct check *check, struct slice key, struct slice value)
{
    uint64_t id;
    struct inode_record record;
    struct slice symlink;
    if (!key_parse(key, KEY_INODE, 1, &id) ||
        inode_record_decode(value, id, &record, &symlink) < 0) {
        WRONG(check, "what=inode-record");
        return 0;
    }
    struct seen seen = { .id = id,
        .map_id = record.attr.type == FS_REGULAR ? record.map_id : id,
        .parent = record.parent,
        .entry_count = record.entry_count,
        .segment_blocks = record.segment_blocks,
        .small_blocks = record.small_blocks,
        .link_count = record.attr.link_count,
        .xattr_count = record.xattr_count,
        .xattr_bytes = record.xattr_bytes,
        .is_directory = record.attr.type == FS_DIRECTORY,
        /* Nothing in a snapshot leads to it: it is there in part, as it was deleted. */
        .is_orphan = check->id != 0 && record.attr.link_count == 0 };
    check->report->inodes++;
    if (record.attr.link_count > 0) {
        check->used_files++;
        check->used_bytes += (record.segment_blocks + record.small_blocks) * BLOCK_BYTES;
    }
    return check_add(check, &seen);
}

/* Orphans: of an inode that is known, or a map without one, which is added. */
static int visit_orphan(struct check *check, struct slice key, struct slice value)
{
    uint64_t id;
    if (!key_parse(key, KEY_ORPHAN, 1, &id) || value_open(&value) < 0) {
        WRONG(check, "what=orphan-record");
        return 0;
    }
    struct seen *seen = find_id(check, id);
    if (seen != NULL) {
        seen->is_orphan = true;
        return 0;
    }
    struct seen map = { .id = id, .map_id = id, .is_orphan = true };
    return check_add(check, &map);
}

#define NO_INODE \
    (UINT64_C(1) << 63) /* the number of a map may be that of an inode that has another one */

static int visit_old_map(struct check *check, struct slice key, struct slice value)
{
    uint64_t id;
    if (!key_parse(key, KEY_OLD_MAP, 1, &id) || value_open(&value) < 0) {
        WRONG(check, "what=old-map-record");
        return 0;
    }
    struct seen map = { .id = id | NO_INODE, .map_id = id, .is_orphan = true };
    return check_add(check, &map);
}

static int visit_xattrs(struct check *check, struct slice key, struct slice value)
{
    uint64_t numbers[2];
    struct seen *seen = key_parse(key, KEY_XATTR, 2, numbers) ? find_id(check, numbers[0]) : NULL;
    if (seen == NULL && check->id != 0)
        return 0;
    if (seen == NULL || value_open(&value) < 0) {
        WRONG(check, "what=xattr-record-of-nobody");
        return 0;
    }
    bool is_good = true;
    while (is_good && value.size > 0) {
        struct xattr_entry entry = { 0 };
        is_good = xattr_entry_decode(&value, &entry) == 0 &&
                  names_hash(check->volume, entry.name) == numbers[1];
        seen->xattrs_seen++;
        seen->xattr_bytes_seen += (uint32_t)(entry.name.size + entry.value.size);
    }
    if (!is_good)
        WRONG(check, "what=xattr-record inode=%" PRIu64, numbers[0]);
    return 0;
}

/* Counts one name for its directory, which may be unknown, and its inode. */
static void count_name(
    struct check *check, struct seen *dir, uint64_t dir_id, const struct name_entry *entry)
{
    struct seen *inode = find_id(check, entry->inode);
    if (dir == NULL || inode == NULL || !dir->is_directory) {
        WRONG(check, "what=name dir=%" PRIu64 " inode=%" PRIu64, dir_id, entry->inode);
        return;
    }
    check->report->names++;
    dir->entries_seen++;
    inode->links_seen++;
    if (!inode->is_directory)
        return;
    dir->subdirs_seen++;
    if (inode->parent != dir->id)
        WRONG(check, "what=parent inode=%" PRIu64, inode->id);
}

static int visit_name(struct check *check, struct slice key, struct slice value)
{
    uint64_t numbers[2];
    if (!key_parse(key, KEY_NAME, 2, numbers) || value_open(&value) < 0) {
        WRONG(check, "what=name-record");
        return 0;
    }
    struct seen *dir = find_id(check, numbers[0]);
    while (value.size > 0) {
        struct name_entry entry;
        if (name_entry_decode(&value, &entry) < 0 ||
            names_hash(check->volume, entry.name) != numbers[1]) {
            WRONG(check, "what=name-record dir=%" PRIu64, numbers[0]);
            return 0;
        }
        count_name(check, dir, numbers[0], &entry);
    }
    return 0;
}

/* Counts places in maps against users. Errors: -ENOMEM. */
static int count_block(struct check *check, uint64_t map, uint64_t address)
{
    struct segments *segments = &check->volume->segments;
    if (check->id != 0) /* it is counted where it stands: live, or in a version */
        return 0;
    int is_again = segments_mark(segments, address);
    if (is_again == -ENOMEM)
        return is_again;
    if (is_again < 0 || !segments_is_live(segments, address))
        WRONG(check, "what=mapped-block-not-live map=%" PRIu64 " address=%" PRIu64, map, address);
    if (is_again == 0)
        check->report->segment_blocks++;
    if (is_again != 1)
        return 0;
    int err = refs_reserve(&check->found, address);
    if (err == 0)
        refs_add(&check->found, address);
    return err;
}

static void check_users(struct check *check, const struct ref_page *found)
{
    for (uint32_t at = 0; at < REF_PAGE_BLOCKS; at++) {
        uint64_t address = found->index * REF_PAGE_BLOCKS + at;
        uint32_t more = refs_more(&check->volume->refs, address);
        if (found->more[at] > 0 && found->more[at] != more)
            WRONG(check, "what=users address=%" PRIu64 " seen=%u record=%u", address,
                found->more[at] + 1, more + 1);
    }
}

/* Every block has the users that its count says. */
static void check_shared(struct check *check)
{
    const struct refs *refs = &check->volume->refs;
    for (uint32_t i = 0; i <= check->found.mask; i++) {
        for (const struct ref_page *it = check->found.table[i]; it != NULL; it = it->hash_next)
            check_users(check, it);
    }
    if (refs->total != check->found.total)
        WRONG(
            check, "what=shared seen=%" PRIu64 " record=%" PRIu64, check->found.total, refs->total);
}

static int visit_group(struct check *check, struct slice key, struct slice value)
{
    uint64_t numbers[2];
    struct block blocks[GROUP_BLOCKS] = { 0 };
    if (!key_parse(key, KEY_GROUP, 2, numbers) || group_decode(value, blocks) < 0) {
        WRONG(check, "what=group-record");
        return 0;
    }
    struct seen *seen = find_map(check, numbers[0]);
    if (seen == NULL && check->id != 0)
        return 0;
    if (seen == NULL) {
        WRONG(check, "what=group-of-nobody map=%" PRIu64, numbers[0]);
        return 0;
    }
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        if (blocks[i].kind != BLOCK_SEGMENT)
            continue;
        seen->segment_seen++;
        int err = count_block(check, numbers[0], blocks[i].address);
        if (err < 0)
            return err;
    }
    return 0;
}

static int visit_small(struct check *check, struct slice key, struct slice value)
{
    (void)value; /* verified when it is read */
    uint64_t numbers[2];
    struct seen *seen = key_parse(key, KEY_SMALL, 2, numbers) ? find_map(check, numbers[0]) : NULL;
    if (seen != NULL)
        seen->small_seen++;
    else if (check->id == 0)
        WRONG(check, "what=small-record-of-nobody");
    check->report->small_blocks++;
    return 0;
}

/* A cut that goes on belongs to an inode. */
static int visit_cut(struct check *check, struct slice key, struct slice value)
{
    uint64_t id;
    if (check->id != 0)
        return 0;
    if (!key_parse(key, KEY_CUT, 1, &id) || value_open(&value) < 0 || find_id(check, id) == NULL)
        WRONG(check, "what=cut-of-nobody");
    return 0;
}

/* What a snapshot keeps: listed, of a snapshot that is there, and a user of its blocks. */
static int visit_version(struct check *check, struct slice key, struct slice value)
{
    struct slice kept;
    uint64_t number = 0;
    uint64_t numbers[2] = { 0 };
    struct snapshot snapshot;
    struct store_value listed;
    struct key list;
    if (!key_parse_version(key, &kept, &number) || kept.size + 9 > KEY_BYTES_MAX) {
        WRONG(check, "what=version-record");
        return 0;
    }
    key_make_kept(&list, number, kept);
    int err = store_get(check->volume->store, &list, &listed);
    if (err == 0)
        store_value_release(&listed);
    bool is_there =
        snapshot_after(check->volume, number - 1, &snapshot) && snapshot.number == number;
    if (err != 0 || !is_there)
        WRONG(check, "what=version-of-nobody kind=%c snapshot=%" PRIu64, kept.data[0], number);
    check->version_count++;
    struct block blocks[GROUP_BLOCKS] = { 0 };
    if (kept.data[0] != KEY_GROUP || value.size == 0)
        return 0;
    if (!key_parse(kept, KEY_GROUP, 2, numbers) || group_decode(value, blocks) < 0)
        WRONG(check, "what=version-record kind=x");
    err = 0;
    for (uint32_t i = 0; err == 0 && i < GROUP_BLOCKS; i++) {
        if (blocks[i].kind == BLOCK_SEGMENT)
            err = count_block(check, numbers[0], blocks[i].address);
    }
    return err;
}

static int visit_kept(struct check *check, struct slice key, struct slice value)
{
    (void)value; /* it is in the key */
    uint64_t number;
    struct slice kept;
    if (!key_parse_kept(key, &number, &kept))
        WRONG(check, "what=kept-record");
    check->kept_count++;
    return 0;
}

static void report_unmapped(void *context, uint64_t address, uint32_t count)
{
    struct check *check = context;
    WRONG(check, "what=live-block-not-mapped address=%" PRIu64 " blocks=%u", address, count);
}

/* The file of a segment with live blocks is there, is what it says, and is long enough. */
static void check_segment(void *context, uint64_t id, const struct segment *segment)
{
    struct check *check = context;
    struct volume *live = check->live;
    check->report->segments++;
    if (segment->live_count == 0)
        return;
    int err = segment_check_file(&check->volume->segments, segment);
    if (err == 0 || (live != NULL && !segments_has(&live->segments, id)))
        return; /* it died since */
    WRONG(check, "what=segment-file segment=%" PRIu64 " live_blocks=%u error=%d", id,
        segment->live_count, err);
}

static void check_space(struct check *check)
{
    struct segments *segments = &check->volume->segments;
    segments_visit_unmarked(segments, report_unmapped, check);
    segments_visit_all(segments, check_segment, check);
    uint64_t live = segments_live_blocks(segments);
    if (live != check->report->segment_blocks)
        WRONG(check, "what=live-blocks live=%" PRIu64 " mapped=%" PRIu64, live,
            check->report->segment_blocks);
}

static void check_counts(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        const struct seen *it = &check->seen[i];
        bool is_root = it->id == ROOT_INODE;
        uint32_t links =
            it->is_directory && it->link_count > 0 ? 2 + it->subdirs_seen : it->links_seen;
        if (it->is_directory && it->link_count > 0 && it->links_seen != (is_root ? 0 : 1))
            WRONG(check, "what=names-of-directory inode=%" PRIu64, it->id);
        if (it->link_count != links)
            WRONG(check, "what=links inode=%" PRIu64 " record=%u seen=%u", it->id, it->link_count,
                links);
        if (it->link_count == 0 && !it->is_orphan)
            WRONG(check, "what=lost-inode inode=%" PRIu64, it->id);
        if (it->entry_count != it->entries_seen)
            WRONG(check, "what=entries inode=%" PRIu64, it->id);
        if (!it->is_orphan &&
            (it->xattr_count != it->xattrs_seen || it->xattr_bytes != it->xattr_bytes_seen))
            WRONG(check, "what=xattrs inode=%" PRIu64, it->id);
        bool is_half_deleted = it->is_orphan; /* its record is not kept up while the data goes */
        if (!is_half_deleted &&
            (it->segment_blocks != it->segment_seen || it->small_blocks != it->small_seen))
            WRONG(check,
                "what=blocks inode=%" PRIu64 " record=%" PRIu64 "+%" PRIu64 " seen=%" PRIu64
                "+%" PRIu64,
                it->id, it->segment_blocks, it->small_blocks, it->segment_seen, it->small_seen);
    }
}

static int check_maps(struct check *check)
{
    check->by_map = malloc((check->count + 1) * sizeof(struct seen *));
    if (check->by_map == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < check->count; i++)
        check->by_map[i] = &check->seen[i];
    qsort(check->by_map, check->count, sizeof(struct seen *), compare_maps);
    int err = visit_all(check, KEY_GROUP, visit_group);
    if (err == 0)
        err = visit_all(check, KEY_SMALL, visit_small);
    free(check->by_map);
    return err;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = ((const struct seen *)a)->id;
    uint64_t right = ((const struct seen *)b)->id;
    return left < right ? -1 : left > right;
}

/* The totals of the whole file system. */
static void check_totals(struct check *check)
{
    const struct volume *volume = check->volume;
    if (volume->used_bytes != check->used_bytes || volume->used_files != check->used_files)
        WRONG(check,
            "what=totals bytes=%" PRIu64 " seen=%" PRIu64 " files=%" PRIu64 " seen=%" PRIu64,
            (uint64_t)volume->used_bytes, check->used_bytes, (uint64_t)volume->used_files,
            check->used_files);
}

/* Of the tree, live or of a snapshot. */
static int check_records(struct check *check)
{
    int err = visit_all(check, KEY_INODE, visit_inode);
    size_t inode_count = check->count;
    if (err == 0 && check->id == 0)
        err = visit_all(check, KEY_ORPHAN, visit_orphan);
    if (err == 0 && check->id == 0)
        err = visit_all(check, KEY_OLD_MAP, visit_old_map);
    if (check->count > inode_count)
        qsort(check->seen, check->count, sizeof *check->seen, compare_ids);
    if (err == 0)
        err = visit_all(check, KEY_NAME, visit_name);
    if (err == 0)
        err = visit_all(check, KEY_XATTR, visit_xattrs);
    if (err == 0)
        err = visit_all(check, KEY_CUT, visit_cut);
    return err < 0 ? err : check_maps(check);
}

/* What it shows is a whole tree, too, and what it says of it is so. */
static int check_snapshot(struct check *live, const struct snapshot *snapshot)
{
    struct check_report report = { 0 }; /* these are no further records */
    struct check check = { .volume = live->volume,
        .live = live->live,
        .id = id_in_slot(snapshot->slot, 0),
        .report = &report,
        .findings = { .sink = live->findings.sink } };
    const struct fs_usage *usage = &snapshot->shown.usage;
    int err = check_records(&check);
    if (err == 0 && !check.is_incomplete) {
        check_counts(&check);
        if (check.used_bytes != usage->space_bytes ||
            check.used_files != 1 + usage->files + usage->directories + usage->others)
            WRONG(&check, "what=snapshot-usage bytes=%" PRIu64 " seen=%" PRIu64, usage->space_bytes,
                check.used_bytes);
    }
    if (check.findings.count > 0)
        WRONG(live, "what=snapshot number=%" PRIu64 " findings=%" PRIu64, snapshot->number,
            check.findings.count);
    live->findings.count += check.findings.count;
    free(check.seen);
    return err;
}

static int check_snapshots(struct check *check)
{
    struct snapshot snapshot = { 0 };
    int err = visit_all(check, KEY_VERSION, visit_version);
    if (err == 0)
        err = visit_all(check, KEY_KEPT, visit_kept);
    if (err == 0 && check->version_count != check->kept_count)
        WRONG(check, "what=versions seen=%" PRIu64 " listed=%" PRIu64, check->version_count,
            check->kept_count);
    while (err == 0 && snapshot_after(check->volume, snapshot.number, &snapshot)) {
        if (!snapshot.shown.is_going)
            err = check_snapshot(check, &snapshot);
    }
    return err;
}

int check_run(
    struct inspection *inspection, const struct check_sink *sink, struct check_report *out_report)
{
    struct check_report report = { 0 };
    struct check check = { .volume = inspection->volume,
        .live = inspection->live,
        .report = &report,
        .findings = { .sink = sink } };
    int err = refs_init(&check.found);
    if (err == 0)
        err = check_records(&check);
    if (err == 0)
        err = check_snapshots(&check);
    if (err == 0 && !check.is_incomplete) {
        check_counts(&check);
        check_shared(&check);
        check_space(&check);
        check_totals(&check);
    }
    if (err == 0 && !check.is_incomplete && inspection->state.usage_version > 0)
        err = usage_check(check.volume, &check.findings);
    report.wrong_count = check.findings.count;
    if (err == 0)
        *out_report = report;
    free(check.seen);
    refs_fini(&check.found);
    return err;
}

/* What memory knows is what the records say. */
static void check_memory(struct inspection *inspection, struct findings *findings)
{
    struct volume *live = inspection->live;
    const struct volume *seen = inspection->volume;
    uint64_t live_blocks = segments_live_blocks(&live->segments);
    uint64_t record_blocks = segments_live_blocks(&inspection->volume->segments);
    if (live_blocks != record_blocks || live->refs.total != seen->refs.total)
        findings_add(
            findings, "what=memory live=%" PRIu64 " record=%" PRIu64, live_blocks, record_blocks);
    if (live->used_bytes != seen->used_bytes || live->used_files != seen->used_files)
        findings_add(findings, "what=memory-totals bytes=%" PRIu64 " record=%" PRIu64,
            (uint64_t)live->used_bytes, (uint64_t)seen->used_bytes);
}

static void log_finding(void *context, const char *text)
{
    const struct volume *volume = context;
    LOG_ERROR("check: records do not agree", "fs=%s %s", volume->fs_id, text);
}

int volume_check(struct volume *volume, uint64_t *out_error_count)
{
    const struct check_sink sink = { .context = volume, .finding = log_finding };
    struct findings findings = { .sink = &sink };
    struct check_report report = { 0 };
    struct inspection *inspection;
    background_claim_reaper(volume);
    reclaim_run(volume); /* so that what is half deleted goes first */
    int err = inspect_live(volume, &inspection);
    if (err == 0) {
        err = check_run(inspection, &sink, &report);
        check_memory(inspection, &findings);
        inspect_close(inspection);
    }
    background_release_reaper(volume);
    if (err == 0)
        *out_error_count = report.wrong_count + findings.count;
    return err;
}
