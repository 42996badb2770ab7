/* parquet/thrift.c - Thrift's compact protocol (room: parquet). */
#include "parquet/thrift.h"

#define SKIP_DEPTH_MAX 16

void thrift_fail(struct thrift_reader *reader, const char *why)
{
    if (reader->why == NULL)
        reader->why = why;
}

static uint8_t get_byte(struct thrift_reader *reader)
{
    if (reader->why != NULL)
        return 0;
    if (reader->at == reader->end) {
        thrift_fail(reader, "metadata is cut short");
        reader->is_cut = true;
        return 0;
    }
    return *reader->at++;
}

static uint64_t get_varint(struct thrift_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = get_byte(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    thrift_fail(reader, "a number in the metadata is too long");
    return 0;
}

static int64_t get_zigzag(struct thrift_reader *reader)
{
    uint64_t value = get_varint(reader);
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

static void advance(struct thrift_reader *reader, uint64_t size)
{
    if (reader->why != NULL)
        return;
    if (size > (uint64_t)(reader->end - reader->at)) {
        thrift_fail(reader, "metadata is cut short");
        reader->is_cut = true;
        return;
    }
    reader->at += size;
}

bool thrift_next(struct thrift_reader *reader, struct thrift_field *field)
{
    uint8_t head = get_byte(reader);
    if (reader->why != NULL || head == THRIFT_STOP)
        return false;
    field->type = head & 0x0f;
    int64_t id = head >> 4 != 0 ? (int64_t)field->id + (head >> 4) : get_zigzag(reader);
    if (id <= 0 || id > INT16_MAX || field->type == THRIFT_STOP || field->type > THRIFT_STRUCT)
        thrift_fail(reader, "a field of the metadata has an impossible number or type");
    field->id = reader->why == NULL ? (int32_t)id : 0;
    return reader->why == NULL;
}

static bool expect(struct thrift_reader *reader, bool is_right)
{
    if (!is_right)
        thrift_fail(reader, "a field of the metadata is of another type than it should be");
    return reader->why == NULL;
}

int64_t thrift_get_int(struct thrift_reader *reader, const struct thrift_field *field)
{
    if (field->type == THRIFT_BYTE)
        return (int8_t)get_byte(reader);
    if (!expect(reader, field->type >= THRIFT_I16 && field->type <= THRIFT_I64))
        return 0;
    int64_t value = get_zigzag(reader);
    return reader->why == NULL ? value : 0;
}

int32_t thrift_get_i32(struct thrift_reader *reader, const struct thrift_field *field)
{
    int64_t value = thrift_get_int(reader, field);
    if (value < INT32_MIN || value > INT32_MAX) {
        thrift_fail(reader, "a number in the metadata is too large");
        return 0;
    }
    return (int32_t)value;
}

uint64_t thrift_get_count(struct thrift_reader *reader, const struct thrift_field *field)
{
    int64_t value = thrift_get_int(reader, field);
    if (value >= 0)
        return (uint64_t)value;
    thrift_fail(reader, "a size or offset in the metadata is negative");
    return 0;
}

uint32_t thrift_get_count32(struct thrift_reader *reader, const struct thrift_field *field)
{
    uint64_t value = thrift_get_count(reader, field);
    if (value <= INT32_MAX)
        return (uint32_t)value;
    thrift_fail(reader, "a size in the metadata is too large");
    return 0;
}

bool thrift_get_bool(struct thrift_reader *reader, const struct thrift_field *field)
{
    return expect(reader, field->type == THRIFT_TRUE || field->type == THRIFT_FALSE) &&
           field->type == THRIFT_TRUE;
}

bool thrift_get_bool_element(struct thrift_reader *reader)
{
    return get_byte(reader) == THRIFT_TRUE;
}

struct slice thrift_get_binary(struct thrift_reader *reader, const struct thrift_field *field)
{
    if (!expect(reader, field->type == THRIFT_BINARY))
        return slice_of(NULL, 0);
    uint64_t size = get_varint(reader);
    const uint8_t *data = reader->at;
    advance(reader, size);
    return reader->why == NULL ? slice_of(data, size) : slice_of(NULL, 0);
}

/* The head of a list: its count, at most one for each byte that is left. */
static uint32_t get_list_head(struct thrift_reader *reader, uint8_t *out_type)
{
    uint8_t head = get_byte(reader);
    *out_type = head & 0x0f;
    uint64_t count = head >> 4;
    if (count == 15)
        count = get_varint(reader);
    if (count > (uint64_t)(reader->end - reader->at) || count > INT32_MAX) {
        thrift_fail(reader, "a list in the metadata is longer than the metadata");
        reader->is_cut = count <= INT32_MAX;
    }
    return reader->why == NULL ? (uint32_t)count : 0;
}

uint32_t thrift_get_list(
    struct thrift_reader *reader, const struct thrift_field *field, enum thrift_type type)
{
    if (!expect(reader, field->type == THRIFT_LIST))
        return 0;
    uint8_t found;
    uint32_t count = get_list_head(reader, &found);
    /* Booleans in a list are written with either of their two types. */
    bool is_bool = type == THRIFT_TRUE && (found == THRIFT_TRUE || found == THRIFT_FALSE);
    return count == 0 || expect(reader, found == type || is_bool) ? count : 0;
}

bool thrift_is_struct(struct thrift_reader *reader, const struct thrift_field *field)
{
    return expect(reader, field->type == THRIFT_STRUCT);
}

/* One level of what is being skipped: a struct (until its stop), or `left` values of `types`, in turn. */
struct skip_level {
    struct thrift_field field;
    bool is_struct;
    bool is_second; /* of a map: the value is next */
    uint64_t left;
    uint8_t types[2];
};

static void skip_scalar(struct thrift_reader *reader, uint8_t type, bool is_element)
{
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        if (is_element)
            advance(reader, 1);
        break;
    case THRIFT_BYTE:
        advance(reader, 1);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)get_varint(reader);
        break;
    case THRIFT_DOUBLE:
        advance(reader, 8);
        break;
    case THRIFT_BINARY:
        advance(reader, get_varint(reader));
        break;
    default:
        thrift_fail(reader, "a field of the metadata has an unknown type");
    }
}

/* Starts a struct, list, set or map. */
static struct skip_level skip_begin(struct thrift_reader *reader, uint8_t type)
{
    struct skip_level level = { .is_struct = type == THRIFT_STRUCT };
    if (type == THRIFT_LIST || type == THRIFT_SET) {
        level.left = get_list_head(reader, &level.types[0]);
        level.types[1] = level.types[0];
    } else if (type == THRIFT_MAP) {
        uint64_t count = get_varint(reader);
        uint8_t types = count > 0 ? get_byte(reader) : 0;
        if (count > (uint64_t)(reader->end - reader->at))
            thrift_fail(reader, "a map in the metadata is longer than the metadata");
        level.left = reader->why == NULL ? count * 2 : 0;
        level.types[0] = types >> 4;
        level.types[1] = types & 0x0f;
    }
    return level;
}

void thrift_skip(struct thrift_reader *reader, const struct thrift_field *field)
{
    if (field->type < THRIFT_LIST) {
        skip_scalar(reader, field->type, false);
        return;
    }
    struct skip_level levels[SKIP_DEPTH_MAX];
    unsigned depth = 0;
    levels[depth++] = skip_begin(reader, field->type);
    while (depth > 0 && reader->why == NULL) {
        struct skip_level *level = &levels[depth - 1];
        bool has_more = level->is_struct ? thrift_next(reader, &level->field) : level->left > 0;
        if (!has_more) {
            depth--;
            continue;
        }
        uint8_t type = level->is_struct ? level->field.type : level->types[level->is_second];
        if (!level->is_struct) {
            level->left--;
            level->is_second = !level->is_second;
        }
        if (type < THRIFT_LIST || type > THRIFT_STRUCT)
            skip_scalar(reader, type, !level->is_struct);
        else if (depth == SKIP_DEPTH_MAX)
            thrift_fail(reader, "metadata is nested too deep");
        else
            levels[depth++] = skip_begin(reader, type);
    }
}

void thrift_open(struct thrift_writer *writer)
{
    assert(writer->depth < THRIFT_DEPTH_MAX);
    writer->last_ids[writer->depth++] = 0;
}

void thrift_close(struct thrift_writer *writer)
{
    assert(writer->depth > 0);
    bytes_out_put_u8(writer->out, THRIFT_STOP);
    writer->depth--;
}

static void put_head(struct thrift_writer *writer, int32_t id, enum thrift_type type)
{
    assert(writer->depth > 0);
    int32_t *last = &writer->last_ids[writer->depth - 1];
    assert(id > *last && id - *last <= 15);
    bytes_out_put_u8(writer->out, (uint8_t)((uint32_t)(id - *last) << 4 | type));
    *last = id;
}

void thrift_put_bool(struct thrift_writer *writer, int32_t id, bool value)
{
    put_head(writer, id, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_put_i8(struct thrift_writer *writer, int32_t id, int8_t value)
{
    put_head(writer, id, THRIFT_BYTE);
    bytes_out_put_u8(writer->out, (uint8_t)value);
}

void thrift_put_i32(struct thrift_writer *writer, int32_t id, int32_t value)
{
    put_head(writer, id, THRIFT_I32);
    bytes_out_put_zigzag(writer->out, value);
}

void thrift_put_i64(struct thrift_writer *writer, int32_t id, int64_t value)
{
    put_head(writer, id, THRIFT_I64);
    bytes_out_put_zigzag(writer->out, value);
}

void thrift_put_binary_element(struct thrift_writer *writer, struct slice bytes)
{
    bytes_out_put_varint(writer->out, bytes.size);
    bytes_out_put(writer->out, bytes.data, bytes.size);
}

void thrift_put_binary(struct thrift_writer *writer, int32_t id, struct slice bytes)
{
    put_head(writer, id, THRIFT_BINARY);
    thrift_put_binary_element(writer, bytes);
}

void thrift_put_struct(struct thrift_writer *writer, int32_t id)
{
    put_head(writer, id, THRIFT_STRUCT);
    thrift_open(writer);
}

void thrift_put_list(
    struct thrift_writer *writer, int32_t id, enum thrift_type type, uint32_t count)
{
    put_head(writer, id, THRIFT_LIST);
    if (count < 15) {
        bytes_out_put_u8(writer->out, (uint8_t)(count << 4 | type));
    } else {
        bytes_out_put_u8(writer->out, (uint8_t)(0xf0 | type));
        bytes_out_put_varint(writer->out, count);
    }
}
