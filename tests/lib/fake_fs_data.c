/*
 * tests/lib/fake_fs_data.c - what files of the fake file system hold: pages in a list, holes where there is none.
 */
#include <stdlib.h>

#include "fs/perm.h"
#include "tests/lib/fake_fs_internal.h"

struct fake_page *fake_page_find(struct fake_node *node, uint64_t offset)
{
    LIST_FOR_EACH(at, &node->pages)
    {
        struct fake_page *page = LIST_ENTRY(at, struct fake_page, link);
        if (page->offset == offset)
            return page;
    }
    return NULL;
}

struct fake_page *fake_page_get(struct fake_fs *fake, struct fake_node *node, uint64_t offset)
{
    struct fake_page *page = fake_page_find(node, offset);
    if (page != NULL)
        return page;
    page = calloc(1, sizeof *page);
    if (page == NULL)
        abort();
    page->offset = offset;
    list_add_head(&node->pages, &page->link);
    node->attr.space_used_bytes += PAGE_BYTES;
    fake->used_bytes += PAGE_BYTES;
    return page;
}

void fake_page_drop(struct fake_fs *fake, struct fake_node *node, struct fake_page *page)
{
    node->attr.space_used_bytes -= PAGE_BYTES;
    fake->used_bytes -= PAGE_BYTES;
    list_remove(&page->link);
    free(page);
}

void fake_data_resize(struct fake_fs *fake, struct fake_node *node, uint64_t size)
{
    LIST_FOR_EACH_SAFE(at, &node->pages)
    {
        struct fake_page *page = LIST_ENTRY(at, struct fake_page, link);
        if (page->offset >= size)
            fake_page_drop(fake, node, page);
        else if (page->offset + PAGE_BYTES > size)
            memset(page->data + (size - page->offset), 0, page->offset + PAGE_BYTES - size);
    }
    node->attr.size_bytes = size;
}

int fake_file_find(struct fake_fs *fake, struct fs_node id, struct fake_node **out_node)
{
    struct fake_node *node = fake_node_find(fake, id);
    if (node == NULL)
        return -ESTALE;
    if (node->attr.type != FS_REGULAR)
        return node->attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    *out_node = node;
    return 0;
}

int fake_read(struct fs *fs, struct fs_node id, uint64_t offset, uint8_t *buffer, size_t size,
    struct fs_read *out)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node;
    assert(size <= FS_IO_SIZE_MAX);
    int err = fake_begin(fake, "read");
    if (err == 0)
        err = fake_file_find(fake, id, &node);
    if (err < 0)
        return err;
    uint64_t left = offset < node->attr.size_bytes ? node->attr.size_bytes - offset : 0;
    size_t count = (size_t)min_u64(left, size);
    for (size_t done = 0; done < count;) {
        uint64_t at = offset + done;
        size_t part = min_size(count - done, PAGE_BYTES - (size_t)(at % PAGE_BYTES));
        struct fake_page *page = fake_page_find(node, round_down(at, PAGE_BYTES));
        if (page != NULL)
            memcpy(buffer + done, page->data + at % PAGE_BYTES, part);
        else
            memset(buffer + done, 0, part);
        done += part;
    }
    *out = (struct fs_read){ .size = count, .at_end = left <= size };
    return 0;
}

int fake_write(
    struct fs *fs, struct fs_node id, const struct fs_write *write, struct fs_written *out)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node;
    int err = fake_begin(fake, "write");
    if (err == 0)
        err = fake_file_find(fake, id, &node);
    if (err < 0)
        return err;
    size_t size = write->data.size;
    if (write->offset > FS_FILE_SIZE_MAX || size > FS_FILE_SIZE_MAX - write->offset)
        return -EFBIG;
    for (size_t done = 0; done < size;) {
        uint64_t at = write->offset + done;
        size_t part = min_size(size - done, PAGE_BYTES - (size_t)(at % PAGE_BYTES));
        struct fake_page *page = fake_page_get(fake, node, round_down(at, PAGE_BYTES));
        memcpy(page->data + at % PAGE_BYTES, write->data.data + done, part);
        done += part;
    }
    if (size > 0) {
        node->attr.size_bytes = max_u64(node->attr.size_bytes, write->offset + size);
        node->attr.mode = perm_mode_after_write(write->cred, &node->attr);
        fake_changed(fake, node, true);
    }
    *out = (struct fs_written){ .stability = write->stability, .attr = node->attr };
    return 0;
}

int fake_commit(struct fs *fs, struct fs_node id, uint64_t offset, uint64_t size_bytes)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node;
    (void)offset;
    (void)size_bytes;
    int err = fake_begin(fake, "commit");
    return err < 0 ? err : fake_file_find(fake, id, &node);
}
