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

static int count_record(void *context, struct slice key, struct slice value)
{
    uint64_t *count = context;
    (void)key;
    (void)value;
    ++*count;
    return 0;
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
    uint64_t count = 0;
    int err = store_each(walk->volume->store, KEY_USAGE, count_record, &count);
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
    uint64_t count = 0;
    int err = store_each(walk->volume->store, KEY_LINK, count_record, &count);
    if (err == 0 && count != walk->link_count)
        WRONG(findings, "what=links-records count=%" PRIu64 " seen=%zu", count, walk->link_count);
    return err;
}

struct quota_check {
    const struct usage_walk *walk;
    struct findings *findings;
};

/* Each quota is one of a directory that is there. */
static int check_quota(void *context, struct slice key, struct slice value)
{
    struct quota_check *check = context;
    uint64_t dir = 0;
    (void)value;
    if (!key_parse(key, KEY_QUOTA, 1, &dir) || usage_walk_find(check->walk, dir) == NULL)
        WRONG(check->findings, "what=quota-of-nobody dir=%" PRIu64, dir);
    return 0;
}

int usage_check(struct volume *volume, struct findings *findings)
{
    struct usage_walk walk;
    int err = usage_walk_run(volume, &walk);
    if (err == 0)
        err = check_dirs(&walk, findings);
    if (err == 0)
        err = check_links(&walk, findings);
    struct quota_check check = { &walk, findings };
    if (err == 0)
        err = store_each(volume->store, KEY_QUOTA, check_quota, &check);
    for (size_t i = 0; err == 0 && i < walk.home_count; i++)
        WRONG(findings, "what=home inode=%" PRIu64, walk.homes[i].inode);
    usage_walk_fini(&walk);
    if (err == -EBADMSG) { /* the rest of the check says what */
        WRONG(findings, "what=tree");
        err = 0;
    }
    return err;
}
