/*
 * parquet/format_page.c - reads page headers and the page index (room: parquet). Source: parquet.thrift, PageIndex.md.
 */
#include "parquet/format.h"

/* What takes memory while a part of the page index is read. */
struct parts {
    struct thrift_reader in;
    struct arena *arena;
    bool no_memory;
};

static void *take(struct parts *parts, uint32_t count, size_t size)
{
    void *memory = arena_calloc(parts->arena, count > 0 ? count : 1, size);
    if (memory == NULL) {
        parts->no_memory = true;
        thrift_fail(&parts->in, "the page index is larger than the limit");
    }
    return memory;
}

/* DataPageHeader; a DictionaryPageHeader has the same first two fields. */
static void read_data_page(struct thrift_reader *in, struct page_header *header, bool is_dictionary)
{
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        switch (field.id) {
        case 1:
            header->value_count = thrift_get_count32(in, &field);
            break;
        case 2:
            header->encoding = thrift_get_i32(in, &field);
            break;
        case 3:
            if (is_dictionary)
                thrift_skip(in, &field); /* is_sorted */
            else
                header->level_encoding = thrift_get_i32(in, &field);
            break;
        default:
            thrift_skip(in, &field);
        }
    }
}

static void read_data_page_v2(struct thrift_reader *in, struct page_header *header)
{
    header->is_compressed = true;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        switch (field.id) {
        case 1:
            header->value_count = thrift_get_count32(in, &field);
            break;
        case 4:
            header->encoding = thrift_get_i32(in, &field);
            break;
        case 5:
            header->definition_size = thrift_get_count32(in, &field);
            break;
        case 6:
            header->repetition_size = thrift_get_count32(in, &field);
            break;
        case 7:
            header->is_compressed = thrift_get_bool(in, &field);
            break;
        default:
            thrift_skip(in, &field);
        }
    }
}

int format_read_page_header(
    struct slice bytes, struct page_header *out_header, size_t *out_size, const char **out_why)
{
    struct thrift_reader in = { .at = bytes.data, .end = bytes.data + bytes.size };
    struct page_header header = { .type = -1 };
    struct thrift_field field = { 0 };
    while (thrift_next(&in, &field)) {
        switch (field.id) {
        case 1:
            header.type = thrift_get_i32(&in, &field);
            break;
        case 2:
            header.size_unpacked = thrift_get_count32(&in, &field);
            break;
        case 3:
            header.size = thrift_get_count32(&in, &field);
            break;
        case 4:
            header.crc = (uint32_t)thrift_get_i32(&in, &field);
            header.has_crc = true;
            break;
        case 5:
        case 7:
            if (thrift_is_struct(&in, &field))
                read_data_page(&in, &header, field.id == 7);
            break;
        case 8:
            if (thrift_is_struct(&in, &field))
                read_data_page_v2(&in, &header);
            break;
        default:
            thrift_skip(&in, &field);
        }
    }
    *out_why = in.why;
    if (in.why != NULL)
        return in.is_cut ? -EAGAIN : -EBADMSG;
    *out_header = header;
    *out_size = (size_t)(in.at - bytes.data);
    return 0;
}

static struct page_location read_location(struct thrift_reader *in)
{
    struct page_location location = { 0 };
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        switch (field.id) {
        case 1:
            location.offset = thrift_get_count(in, &field);
            break;
        case 2:
            location.size = thrift_get_count32(in, &field);
            break;
        case 3:
            location.row = thrift_get_count(in, &field);
            break;
        default:
            thrift_skip(in, &field);
        }
    }
    return location;
}

int format_read_offset_index(struct slice bytes, struct arena *arena,
    struct page_location **out_locations, uint32_t *out_count, const char **out_why)
{
    struct parts index = { .in = { .at = bytes.data, .end = bytes.data + bytes.size },
        .arena = arena };
    struct thrift_reader *in = &index.in;
    struct page_location *locations = NULL;
    uint32_t count = 0;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        if (field.id != 1 || locations != NULL) {
            thrift_skip(in, &field);
            continue;
        }
        count = thrift_get_list(in, &field, THRIFT_STRUCT);
        locations = take(&index, count, sizeof *locations);
        for (uint32_t i = 0; i < count && in->why == NULL; i++) {
            locations[i] = read_location(in);
            bool is_wrong = i == 0 ? locations[i].row != 0
                                   : locations[i].row <= locations[i - 1].row ||
                                         locations[i].offset <= locations[i - 1].offset;
            if (is_wrong)
                thrift_fail(in, "the offset index is not in order");
        }
    }
    *out_why = in->why;
    if (in->why != NULL)
        return index.no_memory ? -E2BIG : -EBADMSG;
    *out_locations = locations;
    *out_count = locations == NULL ? 0 : count;
    return 0;
}

/* The lists of a column index, each of one element for a page. */
struct column_index {
    struct statistics *pages;
    uint32_t count;
};

/* The first list decides how many pages there are; the others must agree. */
static bool column_index_is_of(struct parts *index, struct column_index *lists, uint32_t count)
{
    if (lists->pages == NULL) {
        lists->count = count;
        lists->pages = take(index, count, sizeof *lists->pages);
        for (uint32_t i = 0; i < count && lists->pages != NULL; i++)
            lists->pages[i].has_bounds = true;
    }
    if (count != lists->count)
        thrift_fail(&index->in, "the lists of the column index are of different lengths");
    return index->in.why == NULL;
}

int format_read_column_index(struct slice bytes, struct arena *arena, struct statistics **out_pages,
    uint32_t *out_count, const char **out_why)
{
    struct parts index = { .in = { .at = bytes.data, .end = bytes.data + bytes.size },
        .arena = arena };
    struct thrift_reader *in = &index.in;
    struct column_index lists = { 0 };
    const struct thrift_field binary = { .type = THRIFT_BINARY };
    unsigned seen = 0;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        if (field.id > 3) {
            thrift_skip(in, &field);
            continue;
        }
        seen |= 1u << field.id;
        uint32_t count = thrift_get_list(in, &field, field.id == 1 ? THRIFT_TRUE : THRIFT_BINARY);
        if (!column_index_is_of(&index, &lists, count))
            break;
        for (uint32_t i = 0; i < count && in->why == NULL; i++) {
            if (field.id == 1)
                lists.pages[i].has_bounds = !thrift_get_bool_element(in);
            else if (field.id == 2)
                lists.pages[i].min = thrift_get_binary(in, &binary);
            else
                lists.pages[i].max = thrift_get_binary(in, &binary);
        }
    }
    if (in->why == NULL && seen != ((1u << 1) | (1u << 2) | (1u << 3)))
        thrift_fail(in, "the column index is not complete");
    *out_why = in->why;
    if (in->why != NULL)
        return index.no_memory ? -E2BIG : -EBADMSG;
    *out_pages = lists.pages;
    *out_count = lists.count;
    return 0;
}
