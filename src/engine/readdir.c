/*
 * engine/readdir.c - listing directories (room: engine).
 *
 * A page of names is copied under the directory's lock, then their attributes are taken one by one
 * from memory while the caller encodes them; inodes that are not in memory are fetched for the
 * whole page in one go. Directories too large for memory are read from the database page by page:
 * there the key order of the `d` records is the order of cookies.
 */
#include <stdlib.h>

#include "base/log.h"
#include "engine/calls.h"
#include "engine/names.h"
#include "engine/records.h"
#include "engine/volume.h"
#include "fs/perm.h"
#include "io/pool.h"

#define PAGE_NAMES 64u
#define PAGE_BYTES \
    4096u /* of names; the largest bucket of one hash may not fit: see page_add() \
           */

struct page_name {
    uint64_t cookie;
    uint64_t inode;
    uint16_t offset;
    uint8_t size;
};

struct page {
    uint32_t count;
    uint32_t used;
    bool is_last; /* nothing is behind it */
    struct page_name names[PAGE_NAMES];
    uint8_t bytes[PAGE_BYTES];
};

/* False: no room. */
static bool page_add(struct page *page, uint64_t cookie, uint64_t inode, struct slice name)
{
    if (page->count == PAGE_NAMES || PAGE_BYTES - page->used < name.size)
        return false;
    page->names[page->count++] =
        (struct page_name){ cookie, inode, (uint16_t)page->used, (uint8_t)name.size };
    memcpy(page->bytes + page->used, name.data, name.size);
    page->used += (uint32_t)name.size;
    return true;
}

/* -EAGAIN: the directory is not complete in memory any more. */
static int page_from_memory(struct dir *dir, uint64_t cookie, struct page *page)
{
    page->count = 0;
    page->used = 0;
    page->is_last = true;
    uint32_t position = 0;
    mutex_lock(&dir->lock);
    int err = dir->is_complete ? dir_seek_locked(dir, cookie, &position) : -EAGAIN;
    for (; err == 0 && position < dir->sorted_count; position++) {
        const struct name *name = dir->order[position].name;
        if (name == NULL)
            continue;
        if (!page_add(page, name->cookie, name->inode, slice_of(name->bytes, name->size))) {
            page->is_last = false;
            break;
        }
    }
    mutex_unlock(&dir->lock);
    return err;
}

struct page_call {
    struct volume *volume;
    struct inode *dir;
    uint64_t cookie;
    struct page *page;
    int result;
};

static int compare_slots(const void *a, const void *b)
{
    return ((const struct name_entry *)a)->slot - ((const struct name_entry *)b)->slot;
}

/* Adds the names of one record in the order of their slots. 1: all; 0: the page is full. */
static int page_add_bucket(
    struct page *page, uint64_t hash, struct slice value, uint64_t after_cookie)
{
    int err = value_open(&value);
    uint32_t count = 0;
    struct name_entry *entries = malloc(256 * sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    while (err == 0 && value.size > 0 && count < 256) {
        err = name_entry_decode(&value, &entries[count]);
        count += err == 0;
    }
    qsort(entries, count, sizeof *entries, compare_slots);
    int result = err < 0 ? err : 1;
    for (uint32_t i = 0; i < count && result == 1; i++) {
        uint64_t cookie = hash << 8 | entries[i].slot;
        if (cookie > after_cookie && !page_add(page, cookie, entries[i].inode, entries[i].name))
            result = 0;
    }
    free(entries);
    return result;
}

static void page_on_pool(void *argument)
{
    struct page_call *call = argument;
    struct page *page = call->page;
    page->count = 0;
    page->used = 0;
    page->is_last = false;
    struct key from;
    struct key end;
    key_make2(&from, KEY_NAME, id_number(call->dir->id), call->cookie >> 8);
    key_make1(&end, KEY_NAME, id_number(call->dir->id) + 1);
    struct records *iterator;
    int err = records_scan(call->volume, call->dir->id, &from, &end, &iterator);
    if (err < 0) {
        call->result = err;
        return;
    }
    struct slice key;
    struct slice value;
    while ((err = records_next(iterator, &key, &value)) == 1) {
        uint64_t numbers[2];
        err = key_parse(key, KEY_NAME, 2, numbers)
                  ? page_add_bucket(page, numbers[1], value, call->cookie)
                  : -EBADMSG;
        if (err != 1)
            break;
    }
    if (err == 0 && page->count < PAGE_NAMES && PAGE_BYTES - page->used >= FS_NAME_SIZE_MAX)
        page->is_last = true; /* it was not the page that was at its end */
    records_end(iterator);
    call->result = err < 0 ? err : 0;
    if (err == -EBADMSG || err == -EPROTO) {
        LOG_ERROR("directory record is damaged", "fs=%s inode=%" PRIu64, call->volume->fs_id,
            call->dir->id);
        call->result = -EIO;
    }
}

/* The names of a directory in a snapshot lead to what is in it, too. */
static void page_place(struct page *page, uint64_t dir_id)
{
    for (uint32_t i = 0; i < page->count; i++)
        page->names[i].inode = id_in_slot(id_slot(dir_id), page->names[i].inode);
}

static int page_fill(struct volume *volume, struct inode *dir, uint64_t cookie, struct page *page)
{
    struct dir *names;
    int err = names_dir(volume, dir, &names);
    if (err < 0)
        return err;
    err = page_from_memory(names, cookie, page);
    if (err != -EAGAIN)
        return err;
    err = names_complete(volume, dir);
    if (err < 0)
        return err;
    if (err == 1) {
        err = page_from_memory(names, cookie, page);
        if (err != -EAGAIN)
            return err;
    }
    struct page_call call = { volume, dir, cookie, page, 0 };
    pool_call(volume->engine->pool, page_on_pool, &call);
    return call.result;
}

/* Brings the inodes of the page, from `first` on, into memory. */
struct fetch_call {
    struct volume *volume;
    const struct page *page;
    uint32_t first;
};

static void fetch_on_pool(void *argument)
{
    struct fetch_call *call = argument;
    for (uint32_t i = call->first; i < call->page->count; i++) {
        struct inode *inode;
        if (inode_acquire(call->volume, call->page->names[i].inode, &inode) == 0)
            inode_unpin(&call->volume->inodes, inode);
    }
}

/* Emits the page: 1: all of it; 0: the caller has enough. */
static int page_emit(struct volume *volume, const struct page *page, fs_emit *emit, void *context)
{
    struct fs_dirent entry;
    for (uint32_t i = 0; i < page->count; i++) {
        const struct page_name *name = &page->names[i];
        entry.name = slice_of(page->bytes + name->offset, name->size);
        entry.cookie = name->cookie;
        entry.attr_error = inode_peek(&volume->inodes, name->inode, NULL, &entry.attr);
        if (UNLIKELY(entry.attr_error == -EAGAIN)) {
            struct fetch_call call = { volume, page, i };
            pool_call(volume->engine->pool, fetch_on_pool, &call);
            entry.attr_error = calls_attr(volume, name->inode, &entry.attr);
        }
        if (!emit(context, &entry))
            return 0;
    }
    return 1;
}

int call_readdir(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, uint64_t cookie,
    fs_emit *emit, void *context)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    struct page page;
    if (UNLIKELY(id_slot(dir.inode) == SNAPSHOT_SLOT_LIST))
        return list_readdir(volume, cred, dir, cookie, emit, context);
    int err = inode_acquire_node(volume, dir, &inode, &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_DIRECTORY)
        err = -ENOTDIR;
    if (err == 0)
        err = perm_check(cred, &attr, PERM_READ);
    int result = 1;
    page.is_last = false;
    while (err == 0 && result == 1 && !page.is_last) {
        err = page_fill(volume, inode, cookie, &page);
        if (err < 0)
            break;
        page_place(&page, inode->id);
        result = page_emit(volume, &page, emit, context);
        if (page.count > 0)
            cookie = page.names[page.count - 1].cookie;
    }
    inode_unpin(&volume->inodes, inode);
    return err < 0 ? err : result;
}
