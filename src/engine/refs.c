/*
 * engine/refs.c - how many users shared blocks have (room: engine).
 */
#include "engine/refs.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"

#define TABLE_SIZE_FIRST 64u

int refs_init(struct refs *refs)
{
    list_init(&refs->dirty);
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    refs->table = calloc(TABLE_SIZE_FIRST, sizeof *refs->table);
    refs->mask = TABLE_SIZE_FIRST - 1;
    return refs->table == NULL ? -ENOMEM : 0;
}

void refs_fini(struct refs *refs)
{
    for (uint32_t i = 0; refs->table != NULL && i <= refs->mask; i++) {
        struct ref_page *page = refs->table[i];
        while (page != NULL) {
            struct ref_page *next = page->hash_next;
            free(page);
            page = next;
        }
    }
    free(refs->table);
    refs->table = NULL;
}

static struct ref_page **slot_of(const struct refs *refs, uint64_t index)
{
    return &refs->table[hash_u64(index) & refs->mask];
}

static struct ref_page *find_page(const struct refs *refs, uint64_t address)
{
    uint64_t index = address / REF_PAGE_BLOCKS;
    struct ref_page *page = *slot_of(refs, index);
    while (page != NULL && page->index != index)
        page = page->hash_next;
    return page;
}

/* When there is no memory the chains just grow. */
static void grow(struct refs *refs)
{
    uint32_t old_size = refs->mask + 1;
    struct ref_page **old = refs->table;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    struct ref_page **table = calloc((size_t)old_size * 2, sizeof *table);
    if (table == NULL)
        return;
    refs->table = table;
    refs->mask = old_size * 2 - 1;
    for (uint32_t i = 0; i < old_size; i++) {
        struct ref_page *page = old[i];
        while (page != NULL) {
            struct ref_page *next = page->hash_next;
            struct ref_page **slot = slot_of(refs, page->index);
            page->hash_next = *slot;
            *slot = page;
            page = next;
        }
    }
    free(old);
}

uint32_t refs_more(const struct refs *refs, uint64_t address)
{
    const struct ref_page *page = find_page(refs, address);
    return page == NULL ? 0 : page->more[address % REF_PAGE_BLOCKS];
}

int refs_reserve(struct refs *refs, uint64_t address)
{
    struct ref_page *page = find_page(refs, address);
    if (page != NULL)
        return page->more[address % REF_PAGE_BLOCKS] == UINT32_MAX ? -EMLINK : 0;
    page = calloc(1, sizeof *page);
    if (page == NULL)
        return -ENOMEM;
    if (refs->count++ > refs->mask)
        grow(refs);
    page->index = address / REF_PAGE_BLOCKS;
    list_init(&page->dirty_link);
    struct ref_page **slot = slot_of(refs, page->index);
    page->hash_next = *slot;
    *slot = page;
    return 0;
}

static void page_changed(struct refs *refs, struct ref_page *page)
{
    if (list_is_empty(&page->dirty_link))
        list_add_tail(&refs->dirty, &page->dirty_link);
}

void refs_add(struct refs *refs, uint64_t address)
{
    struct ref_page *page = find_page(refs, address);
    assert(page != NULL && page->more[address % REF_PAGE_BLOCKS] < UINT32_MAX);
    page->used += page->more[address % REF_PAGE_BLOCKS]++ == 0;
    refs->total++;
    page_changed(refs, page);
}

bool refs_drop(struct refs *refs, uint64_t address)
{
    struct ref_page *page = refs->total == 0 ? NULL : find_page(refs, address);
    if (page == NULL || page->more[address % REF_PAGE_BLOCKS] == 0)
        return false;
    page->used -= --page->more[address % REF_PAGE_BLOCKS] == 0;
    refs->total--;
    page_changed(refs, page);
    return true;
}

size_t ref_page_encode(const struct ref_page *page, uint8_t *out)
{
    size_t size = 1;
    out[0] = 1;
    for (uint32_t first = 0; first < REF_PAGE_BLOCKS;) {
        uint32_t more = page->more[first];
        uint32_t count = 1;
        while (first + count < REF_PAGE_BLOCKS && page->more[first + count] == more)
            count++;
        if (more > 0) {
            out[size] = (uint8_t)first;
            out[size + 1] = (uint8_t)(count - 1);
            store_be32(out + size + 2, more);
            size += 6;
        }
        first += count;
    }
    return size == 1 ? 0 : size;
}

struct ref_page *refs_take_dirty(struct refs *refs)
{
    if (list_is_empty(&refs->dirty))
        return NULL;
    struct ref_page *page = LIST_ENTRY(refs->dirty.next, struct ref_page, dirty_link);
    list_remove(&page->dirty_link);
    return page;
}

void refs_forget(struct refs *refs, struct ref_page *page)
{
    assert(page->used == 0);
    struct ref_page **link = slot_of(refs, page->index);
    while (*link != page)
        link = &(*link)->hash_next;
    *link = page->hash_next;
    list_remove(&page->dirty_link);
    refs->count--;
    free(page);
}

int refs_load(struct refs *refs, uint64_t index, struct slice value)
{
    int err = value_open(&value);
    if (err == 0 && (value.size % 6 != 0 || index > ADDRESS_MAX / REF_PAGE_BLOCKS))
        err = -EBADMSG;
    if (err == 0)
        err = refs_reserve(refs, index * REF_PAGE_BLOCKS);
    if (err < 0)
        return err;
    struct ref_page *page = find_page(refs, index * REF_PAGE_BLOCKS);
    for (; value.size > 0; value = slice_of(value.data + 6, value.size - 6)) {
        uint32_t first = value.data[0];
        uint32_t count = value.data[1] + 1u;
        uint32_t more = load_be32(value.data + 2);
        if (first + count > REF_PAGE_BLOCKS || more == 0)
            return -EBADMSG;
        for (uint32_t i = first; i < first + count; i++) {
            if (page->more[i] != 0)
                return -EBADMSG;
            page->more[i] = more;
            page->used++;
            refs->total += more;
        }
    }
    return 0;
}
