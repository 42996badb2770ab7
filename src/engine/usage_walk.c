/*
 * engine/usage_walk.c - counting a whole file system from its inodes and names (room: engine).
 *
 * Names are read in the order of directories, and each one's inode with it: so what is kept in memory is a row per
 * directory, and one per directory with names of a file that has several.
 */
#include <stdlib.h>

#include "base/log.h"
#include "engine/links.h"
#include "engine/store.h"
#include "engine/usage.h"
#include "engine/volume.h"

#define WRITES_MAX 1024u /* records that go at once */

/* Room for one more row of `size` bytes. Errors: -ENOMEM. */
static int reserve(void *rows, size_t size, size_t count, size_t *capacity)
{
    void **array = rows;
    if (count < *capacity)
        return 0;
    size_t larger_capacity = *capacity * 2 + 1024;
    void *larger = realloc(*array, larger_capacity * size);
    if (larger == NULL)
        return -ENOMEM;
    *array = larger;
    *capacity = larger_capacity;
    return 0;
}

struct usage_dir *usage_walk_find(const struct usage_walk *walk, uint64_t id)
{
    size_t low = 0;
    size_t high = walk->dir_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (walk->dirs[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < walk->dir_count && walk->dirs[low].id == id ? &walk->dirs[low] : NULL;
}

static int visit_inode(void *context, struct slice key, struct slice value)
{
    struct usage_walk *walk = context;
    uint64_t id;
    struct inode_record record;
    struct slice symlink;
    if (!key_parse(key, KEY_INODE, 1, &id))
        return -EBADMSG;
    int err = inode_record_decode(value, id, &record, &symlink);
    if (err < 0 || record.attr.type != FS_DIRECTORY)
        return err;
    err = reserve((void *)&walk->dirs, sizeof *walk->dirs, walk->dir_count, &walk->dir_capacity);
    if (err == 0)
        walk->dirs[walk->dir_count++] = (struct usage_dir){ .id = id, .parent = record.parent };
    return err;
}

static int read_inode(struct usage_walk *walk, uint64_t id, struct inode_record *out_record)
{
    struct key key;
    struct store_value value;
    struct slice symlink;
    key_make1(&key, KEY_INODE, id);
    int err = store_get(walk->volume->store, &key, &value);
    if (err < 0)
        return err == -ENOENT ? -EBADMSG : err; /* a name of nothing */
    err = inode_record_decode(value.data, id, out_record, &symlink);
    store_value_release(&value);
    return err;
}

static int note_home(struct usage_walk *walk, uint64_t inode, uint64_t home)
{
    int err =
        reserve((void *)&walk->homes, sizeof *walk->homes, walk->home_count, &walk->home_capacity);
    if (err == 0)
        walk->homes[walk->home_count++] = (struct usage_home){ inode, home };
    return err;
}

static int count_name(struct usage_walk *walk, struct usage_dir *dir, uint64_t inode)
{
    struct inode_record record;
    int err = read_inode(walk, inode, &record);
    if (err < 0)
        return err;
    if (record.attr.type != FS_DIRECTORY && record.attr.link_count > 1) {
        err = reserve(
            (void *)&walk->links, sizeof *walk->links, walk->link_count, &walk->link_capacity);
        if (err == 0)
            walk->links[walk->link_count++] = (struct usage_link){ inode, dir->id, 1 };
        return err;
    }
    struct fs_usage usage = usage_of(inode, &record);
    usage_add(&dir->usage, &usage);
    return record.parent == dir->id ? 0 : note_home(walk, inode, dir->id);
}

static int visit_name(void *context, struct slice key, struct slice value)
{
    struct usage_walk *walk = context;
    uint64_t numbers[2];
    if (!key_parse(key, KEY_NAME, 2, numbers))
        return -EBADMSG;
    struct usage_dir *dir = usage_walk_find(walk, numbers[0]);
    int err = dir == NULL ? -EBADMSG : value_open(&value);
    while (err == 0 && value.size > 0) {
        struct name_entry entry;
        err = name_entry_decode(&value, &entry);
        if (err == 0)
            err = count_name(walk, dir, entry.inode);
    }
    return err;
}

static int compare_links(const void *a, const void *b)
{
    const struct usage_link *left = a;
    const struct usage_link *right = b;
    if (left->inode != right->inode)
        return left->inode < right->inode ? -1 : 1;
    return left->dir < right->dir ? -1 : left->dir > right->dir;
}

/* One row for each directory of each file. */
static void join_links(struct usage_walk *walk)
{
    size_t kept = 0;
    if (walk->link_count > 0)
        qsort(walk->links, walk->link_count, sizeof *walk->links, compare_links);
    for (size_t i = 0; i < walk->link_count; i++) {
        if (kept > 0 && compare_links(&walk->links[kept - 1], &walk->links[i]) == 0)
            walk->links[kept - 1].count++;
        else
            walk->links[kept++] = walk->links[i];
    }
    walk->link_count = kept;
}

/* Files with several names count at their homes. */
static int count_links(struct usage_walk *walk)
{
    join_links(walk);
    int err = 0;
    for (size_t first = 0; err == 0 && first < walk->link_count;) {
        uint64_t inode = walk->links[first].inode;
        uint64_t home = walk->links[first].dir; /* the lowest, unless it has one */
        struct inode_record record;
        err = read_inode(walk, inode, &record);
        size_t end = first;
        for (; err == 0 && end < walk->link_count && walk->links[end].inode == inode; end++) {
            if (walk->links[end].dir == record.parent)
                home = record.parent;
        }
        if (err < 0)
            break;
        struct fs_usage usage = usage_of(inode, &record);
        usage_add(&usage_walk_find(walk, home)->usage, &usage);
        if (home != record.parent)
            err = note_home(walk, inode, home);
        first = end;
    }
    return err;
}

/* So far each directory has what is in itself; now what is below it, too. */
static int sum_up(struct usage_walk *walk)
{
    struct fs_usage *own = malloc((walk->dir_count + 1) * sizeof *own);
    if (own == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < walk->dir_count; i++)
        own[i] = walk->dirs[i].usage;
    int err = 0;
    for (size_t i = 0; err == 0 && i < walk->dir_count; i++) {
        const struct usage_dir *at = &walk->dirs[i];
        for (size_t depth = 0; err == 0 && at->id != ROOT_INODE; depth++) {
            struct usage_dir *parent = usage_walk_find(walk, at->parent);
            if (parent == NULL || depth > walk->dir_count)
                err = -EBADMSG; /* its names would lead nowhere */
            else
                usage_add(&parent->usage, &own[i]);
            at = parent;
        }
    }
    free(own);
    return err;
}

int usage_walk_run(struct volume *volume, struct usage_walk *walk)
{
    *walk = (struct usage_walk){ .volume = volume };
    int err = store_each(walk->volume->store, KEY_INODE, visit_inode, walk);
    if (err == 0)
        err = store_each(walk->volume->store, KEY_NAME, visit_name, walk);
    if (err == 0)
        err = count_links(walk);
    return err < 0 ? err : sum_up(walk);
}

void usage_walk_fini(struct usage_walk *walk)
{
    free(walk->dirs);
    free(walk->links);
    free(walk->homes);
}

/* ---- the first count ------------------------------------------------------------------------------------- */

/* Records on their way into the database. */
struct writer {
    struct store *store;
    struct store_batch *batch;
    unsigned count;
    int err;
};

static void writer_flush(struct writer *writer)
{
    if (writer->err == 0 && writer->count > 0)
        writer->err = store_apply(writer->store, writer->batch);
    store_batch_clear(writer->batch);
    writer->count = 0;
}

static void writer_put(struct writer *writer, const struct key *key, struct slice value)
{
    store_batch_put(writer->batch, key, value);
    if (++writer->count == WRITES_MAX)
        writer_flush(writer);
}

static void write_usage(struct writer *writer, const struct usage_walk *walk)
{
    struct key key;
    for (size_t i = 0; i < walk->dir_count; i++) {
        const struct fs_usage zero = { 0 };
        uint8_t value[USAGE_BYTES];
        if (usage_equal(&walk->dirs[i].usage, &zero))
            continue;
        usage_record_encode(&walk->dirs[i].usage, value);
        key_make1(&key, KEY_USAGE, walk->dirs[i].id);
        writer_put(writer, &key, slice_of(value, sizeof value));
    }
    for (size_t i = 0; i < walk->link_count; i++) {
        uint8_t value[LINK_BYTES];
        links_record_encode(walk->links[i].count, value);
        key_make2(&key, KEY_LINK, walk->links[i].inode, walk->links[i].dir);
        writer_put(writer, &key, slice_of(value, sizeof value));
    }
}

/* The inode's record with another parent. */
static int write_home(struct writer *writer, const struct usage_home *home)
{
    struct key key;
    struct store_value stored;
    struct inode_record record;
    struct slice symlink;
    uint8_t value[INODE_BYTES_MAX];
    key_make1(&key, KEY_INODE, home->inode);
    int err = store_get(writer->store, &key, &stored);
    if (err < 0)
        return err;
    err = inode_record_decode(stored.data, home->inode, &record, &symlink);
    if (err == 0) {
        record.parent = home->home;
        size_t size = inode_record_encode(&record, symlink, value);
        writer_put(writer, &key, slice_of(value, size));
    }
    store_value_release(&stored);
    return err;
}

/* All of it, durable before the state says so. */
static int write_all(const struct usage_walk *walk, struct volume_state *state)
{
    struct writer writer = { .store = walk->volume->store };
    int err = store_batch_new(walk->volume->store, &writer.batch);
    if (err < 0)
        return err;
    write_usage(&writer, walk);
    for (size_t i = 0; err == 0 && i < walk->home_count; i++)
        err = write_home(&writer, &walk->homes[i]);
    writer_flush(&writer);
    if (err == 0)
        err = writer.err;
    if (err == 0)
        err = store_flush(writer.store);
    if (err == 0) {
        uint8_t value[STATE_BYTES];
        struct key key;
        struct volume_state counted = *state;
        counted.usage_version = 1;
        volume_state_encode(&counted, value);
        key_make0(&key, KEY_STATE);
        writer_put(&writer, &key, slice_of(value, sizeof value));
        writer_flush(&writer);
        err = writer.err < 0 ? writer.err : store_flush(writer.store);
    }
    store_batch_free(writer.batch);
    if (err == 0)
        state->usage_version = 1;
    return err;
}

int usage_count_first(struct volume *volume, struct volume_state *state)
{
    if (state->usage_version > 0)
        return 0;
    LOG_INFO("file system is of an earlier release: its usage is counted, once",
        "fs=%s inodes=%" PRIu64, volume->fs_id, state->used_files);
    struct usage_walk walk;
    int err = usage_walk_run(volume, &walk);
    if (err == 0)
        err = write_all(&walk, state);
    usage_walk_fini(&walk);
    return err;
}
