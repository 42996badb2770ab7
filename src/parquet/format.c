/* parquet/format.c - reads the metadata of a Parquet file (room: parquet). Source: parquet.thrift. */
#include "parquet/format.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>

/* Everything that takes memory while the footer is read. */
struct footer {
    struct thrift_reader in;
    struct arena *arena;
    struct file_meta *meta;
    bool no_memory;
};

static void *take(struct footer *footer, uint32_t count, size_t size)
{
    void *memory = arena_calloc(footer->arena, count > 0 ? count : 1, size);
    if (memory == NULL) {
        footer->no_memory = true;
        thrift_fail(&footer->in, "metadata is larger than the limit");
    }
    return memory;
}

static const char *take_string(struct footer *footer, struct slice bytes)
{
    char *copy = arena_copy(footer->arena, bytes);
    if (copy == NULL) {
        footer->no_memory = true;
        thrift_fail(&footer->in, "metadata is larger than the limit");
        return "";
    }
    return copy;
}

/* One element of the schema: a leaf is a column, else it has children. */
struct element {
    struct slice name;
    int32_t type;
    int32_t repetition; /* 0 required, 1 optional, 2 repeated */
    uint32_t child_count;
    int32_t converted_type;
    int32_t logical_type; /* which member of the union LogicalType; 0: none */
    bool is_utc;
    int32_t unit; /* 1 ms, 2 us, 3 ns */
};

static void read_timestamp(struct thrift_reader *in, struct element *element)
{
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        if (field.id == 1) {
            element->is_utc = thrift_get_bool(in, &field);
        } else if (field.id == 2 && thrift_is_struct(in, &field)) {
            struct thrift_field unit = { 0 };
            while (thrift_next(in, &unit)) {
                element->unit = unit.id;
                thrift_skip(in, &unit);
            }
        } else {
            thrift_skip(in, &field);
        }
    }
}

static void read_logical_type(struct thrift_reader *in, struct element *element)
{
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        element->logical_type = field.id;
        if (field.id == 8 && thrift_is_struct(in, &field))
            read_timestamp(in, element);
        else
            thrift_skip(in, &field);
    }
}

static struct element read_element(struct thrift_reader *in)
{
    struct element element = { .type = -1, .converted_type = -1 };
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        switch (field.id) {
        case 1:
            element.type = thrift_get_i32(in, &field);
            break;
        case 3:
            element.repetition = thrift_get_i32(in, &field);
            break;
        case 4:
            element.name = thrift_get_binary(in, &field);
            break;
        case 5:
            element.child_count = thrift_get_count32(in, &field);
            break;
        case 6:
            element.converted_type = thrift_get_i32(in, &field);
            break;
        case 10:
            if (thrift_is_struct(in, &field))
                read_logical_type(in, &element);
            break;
        default:
            thrift_skip(in, &field);
        }
    }
    return element;
}

static enum parquet_logical logical_of(const struct element *element)
{
    if (element->type == PARQUET_BYTE_ARRAY &&
        (element->logical_type == 1 || element->converted_type == 0))
        return PARQUET_STRING;
    if (element->type == PARQUET_INT64) {
        if (element->logical_type == 8 && element->unit >= 1 && element->unit <= 3)
            return (enum parquet_logical)(PARQUET_TIMESTAMP_MS + (element->unit - 1));
        if (element->logical_type == 0 && element->converted_type == 9)
            return PARQUET_TIMESTAMP_MS;
        if (element->logical_type == 0 && element->converted_type == 10)
            return PARQUET_TIMESTAMP_US;
    }
    bool is_plain = element->logical_type == 0 && element->converted_type < 0;
    return is_plain ? PARQUET_PLAIN_VALUE : PARQUET_OTHER_LOGICAL;
}

static struct parquet_column column_of(
    struct footer *footer, const struct element *element, bool is_nested)
{
    struct parquet_column column = {
        .name = take_string(footer, element->name),
        .type = PARQUET_OTHER,
        .logical = logical_of(element),
        .optional = element->repetition == 1,
    };
    bool is_known = (element->type >= PARQUET_BOOLEAN && element->type <= PARQUET_INT64) ||
                    (element->type >= PARQUET_FLOAT && element->type <= PARQUET_BYTE_ARRAY);
    bool is_flat = !is_nested && (element->repetition == 0 || element->repetition == 1);
    if (is_known && is_flat)
        column.type = (enum parquet_type)element->type;
    bool is_timestamp =
        column.logical >= PARQUET_TIMESTAMP_MS && column.logical <= PARQUET_TIMESTAMP_NS;
    column.is_not_in_utc = is_timestamp && element->logical_type == 8 && !element->is_utc;
    return column;
}

/* The schema is a tree, written depth first: the root, then its children. */
static void read_schema(struct footer *footer, const struct thrift_field *field)
{
    struct thrift_reader *in = &footer->in;
    uint32_t count = thrift_get_list(in, field, THRIFT_STRUCT);
    struct parquet_column *columns = take(footer, count, sizeof *columns);
    uint64_t nested_left = 0; /* elements below the child of the root that is being read */
    uint64_t children_left = 0;
    uint32_t leaf_count = 0;
    for (uint32_t i = 0; i < count && in->why == NULL; i++) {
        struct element element = read_element(in);
        if (in->why != NULL)
            return;
        if (i == 0) {
            children_left = element.child_count;
            continue;
        }
        bool is_nested = nested_left > 0;
        if (is_nested)
            nested_left--;
        else
            children_left -= children_left > 0;
        nested_left += element.child_count;
        if (element.child_count == 0)
            columns[leaf_count++] = column_of(footer, &element, is_nested);
    }
    if (in->why == NULL && (count == 0 || nested_left > 0 || children_left > 0))
        thrift_fail(in, "the schema in the metadata is not complete");
    footer->meta->columns = columns;
    footer->meta->column_count = leaf_count;
}

static struct statistics read_statistics(struct thrift_reader *in)
{
    struct slice old_min = { 0 };
    struct slice old_max = { 0 };
    struct slice min = { 0 };
    struct slice max = { 0 };
    unsigned seen = 0;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        struct slice *place = field.id == 1   ? &old_max
                              : field.id == 2 ? &old_min
                              : field.id == 5 ? &max
                              : field.id == 6 ? &min
                                              : NULL;
        if (place == NULL) {
            thrift_skip(in, &field);
            continue;
        }
        *place = thrift_get_binary(in, &field);
        seen |= 1u << field.id;
    }
    /* The older pair is only used for integers, whose order was never in doubt. */
    bool has_new = (seen & (1u << 5)) != 0 && (seen & (1u << 6)) != 0;
    bool has_old = (seen & (1u << 1)) != 0 && (seen & (1u << 2)) != 0;
    return (struct statistics){ .has_bounds = has_new || has_old,
        .min = has_new ? min : old_min,
        .max = has_new ? max : old_max };
}

static void read_chunk_meta(struct thrift_reader *in, struct chunk *chunk)
{
    uint64_t data_offset = 0;
    uint64_t dictionary_offset = 0;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        switch (field.id) {
        case 4:
            chunk->codec = thrift_get_i32(in, &field);
            break;
        case 5:
            chunk->value_count = (int64_t)thrift_get_count(in, &field);
            break;
        case 7:
            chunk->size = thrift_get_count(in, &field);
            break;
        case 9:
            data_offset = thrift_get_count(in, &field);
            break;
        case 11:
            dictionary_offset = thrift_get_count(in, &field);
            break;
        case 12:
            if (thrift_is_struct(in, &field))
                chunk->statistics = read_statistics(in);
            break;
        default:
            thrift_skip(in, &field);
        }
    }
    /* Some writers set a dictionary's offset of 0 where there is none. */
    bool has_dictionary = dictionary_offset > 0 && dictionary_offset < data_offset;
    chunk->offset = has_dictionary ? dictionary_offset : data_offset;
}

static void read_chunk(struct thrift_reader *in, struct chunk *chunk)
{
    bool has_meta = false;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        switch (field.id) {
        case 1:
            chunk->is_elsewhere = thrift_get_binary(in, &field).size > 0;
            break;
        case 3:
            has_meta = thrift_is_struct(in, &field);
            if (has_meta)
                read_chunk_meta(in, chunk);
            break;
        case 4:
            chunk->offset_index_offset = thrift_get_count(in, &field);
            break;
        case 5:
            chunk->offset_index_size = thrift_get_count32(in, &field);
            break;
        case 6:
            chunk->column_index_offset = thrift_get_count(in, &field);
            break;
        case 7:
            chunk->column_index_size = thrift_get_count32(in, &field);
            break;
        default:
            thrift_skip(in, &field);
        }
    }
    if (!has_meta)
        thrift_fail(in, "a column chunk has no metadata");
}

static void read_row_group(struct footer *footer, struct row_group *group)
{
    struct thrift_reader *in = &footer->in;
    uint32_t column_count = 0;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        if (field.id == 1) {
            column_count = thrift_get_list(in, &field, THRIFT_STRUCT);
            group->chunks = take(footer, column_count, sizeof *group->chunks);
            for (uint32_t i = 0; i < column_count && in->why == NULL; i++)
                read_chunk(in, &group->chunks[i]);
        } else if (field.id == 3) {
            group->row_count = thrift_get_count(in, &field);
        } else {
            thrift_skip(in, &field);
        }
    }
    if (in->why == NULL && column_count != footer->meta->column_count)
        thrift_fail(in, "a row group has not as many columns as the schema");
}

static void read_row_groups(struct footer *footer, const struct thrift_field *field)
{
    struct file_meta *meta = footer->meta;
    uint32_t count = thrift_get_list(&footer->in, field, THRIFT_STRUCT);
    meta->row_groups = take(footer, count, sizeof *meta->row_groups);
    meta->row_group_count = count;
    uint64_t row = 0;
    for (uint32_t i = 0; i < count && footer->in.why == NULL; i++) {
        struct row_group *group = &meta->row_groups[i];
        read_row_group(footer, group);
        group->row = row;
        if (group->row_count > INT64_MAX - row)
            thrift_fail(&footer->in, "the row groups have too many rows");
        else
            row += group->row_count;
    }
    if (footer->in.why == NULL && row != meta->row_count)
        thrift_fail(&footer->in, "the row groups have not as many rows as the file");
}

static void read_pairs(struct footer *footer, const struct thrift_field *field)
{
    struct thrift_reader *in = &footer->in;
    uint32_t count = thrift_get_list(in, field, THRIFT_STRUCT);
    struct parquet_pair *pairs = take(footer, count, sizeof *pairs);
    for (uint32_t i = 0; i < count && in->why == NULL; i++) {
        struct slice texts[2] = { { 0 } };
        struct thrift_field part = { 0 };
        while (thrift_next(in, &part)) {
            if (part.id == 1 || part.id == 2)
                texts[part.id - 1] = thrift_get_binary(in, &part);
            else
                thrift_skip(in, &part);
        }
        pairs[i].key = take_string(footer, texts[0]);
        pairs[i].value = take_string(footer, texts[1]);
    }
    footer->meta->pairs = pairs;
    footer->meta->pair_count = count;
}

int format_read_footer(struct slice footer_bytes, struct arena *arena, struct file_meta *out_meta,
    const char **out_why)
{
    struct file_meta meta = { 0 };
    struct footer footer = {
        .in = { .at = footer_bytes.data, .end = footer_bytes.data + footer_bytes.size },
        .arena = arena,
        .meta = &meta,
    };
    struct thrift_reader *in = &footer.in;
    bool has_groups = false;
    struct thrift_field field = { 0 };
    while (thrift_next(in, &field)) {
        switch (field.id) {
        case 2:
            read_schema(&footer, &field);
            break;
        case 3:
            meta.row_count = thrift_get_count(in, &field);
            break;
        case 4:
            has_groups = true;
            read_row_groups(&footer, &field); /* fields 2 and 3 stand before it: ids ascend */
            break;
        case 5:
            read_pairs(&footer, &field);
            break;
        default:
            thrift_skip(in, &field);
        }
    }
    if (in->why == NULL && (meta.columns == NULL || !has_groups))
        thrift_fail(in, "the metadata has no schema or no row groups");
    *out_why = in->why;
    if (in->why != NULL)
        return footer.no_memory ? -E2BIG : -EBADMSG;
    *out_meta = meta;
    return 0;
}

size_t format_value_size(enum parquet_type type)
{
    switch (type) {
    case PARQUET_BOOLEAN:
        return 1;
    case PARQUET_INT32:
    case PARQUET_FLOAT:
        return 4;
    case PARQUET_BYTE_ARRAY:
        return sizeof(struct slice);
    default:
        return 8;
    }
}

bool format_int_bound(enum parquet_type type, struct slice bytes, int64_t *out_value)
{
    if (type == PARQUET_INT32 && bytes.size == 4) {
        uint32_t value;
        memcpy(&value, bytes.data, sizeof value);
        *out_value = (int32_t)le32toh(value);
        return true;
    }
    if (type == PARQUET_INT64 && bytes.size == 8) {
        uint64_t value;
        memcpy(&value, bytes.data, sizeof value);
        *out_value = (int64_t)le64toh(value);
        return true;
    }
    return false;
}

int parquet_fail(struct parquet_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return code;
    *error = (struct parquet_error){ .code = code, .row_group = -1, .column = -1, .page = -1 };
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->message, sizeof error->message, format, args); /* cut when too long */
    va_end(args);
    return code;
}
