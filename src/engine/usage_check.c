/*
 * engine/usage_check.c - whether the records of usage are what a walk over the whole tree finds (room: engine).
 */
#include <inttypes.h>

#include "engine/check.h"
#include "engine/links.h"
#include "engine/store.h"
#include "engine/usage.h"
#include "engine/volume.h"

#define WRONG(findings, ...) findings_add(findings, __VA_ARGS__)

/* How many records there are of a kind. */
static int count_records(struct volume *volume, enum key_kind kind, uint64_t *out_count)
{
    struct key from;
    struct key end;
    key_make0(&from, kind);
    key_make0(&end, (enum key_kind)(kind + 1));
    struct store_iterator *iterator;
    int err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    *out_count = 0;
    while ((err = store_scan_next(iterator, &key, &value)) == 1)
        ++*out_count;
    store_scan_end(iterator);
    return err;
}

/* Compares one record; gives whether there is to be one. */
static int check_dir(
    const struct usage_walk *walk, const struct usage_dir *dir, struct findings *findings)
{
    const struct fs_usage zero = { 0 };
    const struct fs_usage *seen = &dir->usage;
    struct fs_usage record;
    int err = usage_read(walk->volume, dir->id, &record);
    if (err < 0)
        return err;
    if (!usage_equal(seen, &record)) {
        WRONG(findings,
            "what=usage dir=%" PRIu64 " bytes=%" PRIu64 "/%" PRIu64 " size=%" PRIu64 "/%" PRIu64
            " entries=%" PRIu64 "/%" PRIu64,
            dir->id, record.space_bytes, seen->space_bytes, record.size_bytes, seen->size_bytes,
            record.files + record.directories + record.others,
            seen->files + seen->directories + seen->others);
    }
    return !usage_equal(seen, &zero);
}

static int check_dirs(const struct usage_walk *walk, struct findings *findings)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < walk->dir_count; i++) {
        int is_expected = check_dir(walk, &walk->dirs[i], findings);
        if (is_expected < 0)
            return is_expected;
        expected += (uint64_t)is_expected;
    }
    uint64_t count;
    int err = count_records(walk->volume, KEY_USAGE, &count);
    if (err == 0 && count != expected)
        WRONG(findings, "what=usage-records count=%" PRIu64 " seen=%" PRIu64, count, expected);
    return err;
}

static int check_links(const struct usage_walk *walk, struct findings *findings)
{
    for (size_t i = 0; i < walk->link_count; i++) {
        const struct usage_link *link = &walk->links[i];
        struct key key;
        struct store_value value;
        uint32_t count = 0;
        key_make2(&key, KEY_LINK, link->inode, link->dir);
        int err = store_get(walk->volume->store, &key, &value);
        if (err == 0) {
            err = links_record_decode(value.data, &count);
            store_value_release(&value);
        }
        if (err < 0 && err != -ENOENT)
            return err;
        if (count != link->count)
            WRONG(findings, "what=links-record inode=%" PRIu64 " dir=%" PRIu64, link->inode,
                link->dir);
    }
    uint64_t count;
    int err = count_records(walk->volume, KEY_LINK, &count);
    if (err == 0 && count != walk->link_count)
        WRONG(findings, "what=links-records count=%" PRIu64 " seen=%zu", count, walk->link_count);
    return err;
}

/* Each quota is one of a directory that is there. */
static int check_quotas(const struct usage_walk *walk, struct findings *findings)
{
    struct key from;
    struct key end;
    key_make0(&from, KEY_QUOTA);
    key_make0(&end, (enum key_kind)(KEY_QUOTA + 1));
    struct store_iterator *iterator;
    int err = store_scan(walk->volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    while ((err = store_scan_next(iterator, &key, &value)) == 1) {
        uint64_t dir = 0;
        size_t at = 0;
        if (key_parse(key, KEY_QUOTA, 1, &dir)) {
            while (at < walk->dir_count && walk->dirs[at].id != dir)
                at++;
        }
        if (dir == 0 || at == walk->dir_count)
            WRONG(findings, "what=quota-of-nobody dir=%" PRIu64, dir);
    }
    store_scan_end(iterator);
    return err;
}

int usage_check(struct volume *volume, struct findings *findings)
{
    struct usage_walk walk;
    int err = usage_walk_run(volume, &walk);
    if (err == 0)
        err = check_dirs(&walk, findings);
    if (err == 0)
        err = check_links(&walk, findings);
    if (err == 0)
        err = check_quotas(&walk, findings);
    for (size_t i = 0; err == 0 && i < walk.home_count; i++)
        WRONG(findings, "what=home inode=%" PRIu64, walk.homes[i].inode);
    usage_walk_fini(&walk);
    if (err == -EBADMSG) { /* the rest of the check says what */
        WRONG(findings, "what=tree");
        err = 0;
    }
    return err;
}
