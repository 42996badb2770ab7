/*
 * tests/data/parquet_tool.c - writes and reads Parquet files with src/parquet for the tests beside it.
 *
 *   parquet_tool write FILE < description    {"options": {...}, "pairs": {...}, "columns": [{"name", "type", "logical",
 *                                            "optional", "local", "values"}]}
 *   parquet_tool read FILE [COLUMN MIN MAX]  prints {"columns": [...], "row_groups", "rows", "batches": [first row, ...]}
 *
 * Numbers of floating point are texts as strtod(3) reads and "%a" prints them; BYTE_ARRAY values hexadecimal texts.
 * A failure prints {"error": message, "code": -errno, "column", "page"} and ends with status 1.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "parquet/parquet.h"

static const char *const type_names[] = { "boolean", "int32", "int64", NULL, "float", "double",
    "bytes" };
static const char *const logical_names[] = { "", "string", "ms", "us", "ns", "other" };
static const char *const codec_names[] = { "none", "snappy", "gzip", NULL, NULL, NULL, "zstd" };

static int index_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && name != NULL && strcmp(names[i], name) == 0)
            return (int)i;
    }
    fprintf(stderr, "unknown word '%s'\n", name == NULL ? "(none)" : name);
    exit(2);
}

static int fail(const struct parquet_error *error)
{
    json_t *out = json_pack("{s:s, s:i, s:i, s:i, s:i}", "error", error->message, "code",
        error->code, "row_group", error->row_group, "column", error->column, "page", error->page);
    (void)json_dumpf(out, stdout, 0);
    json_decref(out);
    return 1;
}

static size_t size_of(enum parquet_type type)
{
    return type == PARQUET_BOOLEAN                          ? 1
           : type == PARQUET_INT32 || type == PARQUET_FLOAT ? 4
           : type == PARQUET_BYTE_ARRAY                     ? sizeof(struct slice)
                                                            : 8;
}

static struct slice from_hex(const char *text)
{
    size_t size = strlen(text) / 2;
    uint8_t *bytes = malloc(size + 1);
    assert(bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return slice_of(bytes, size);
}

static void put_value(enum parquet_type type, const json_t *value, void *to)
{
    int64_t number = json_integer_value(value);
    double real = json_is_string(value) ? strtod(json_string_value(value), NULL) : 0;
    float single = (float)real;
    int32_t narrow = (int32_t)number;
    struct slice bytes = { 0 };
    if (type == PARQUET_BYTE_ARRAY)
        bytes = from_hex(json_string_value(value));
    switch (type) {
    case PARQUET_BOOLEAN:
        *(uint8_t *)to = json_is_true(value);
        break;
    case PARQUET_INT32:
        memcpy(to, &narrow, sizeof narrow);
        break;
    case PARQUET_FLOAT:
        memcpy(to, &single, sizeof single);
        break;
    case PARQUET_DOUBLE:
        memcpy(to, &real, sizeof real);
        break;
    case PARQUET_BYTE_ARRAY:
        memcpy(to, &bytes, sizeof bytes);
        break;
    default:
        memcpy(to, &number, sizeof number);
    }
}

static uint32_t option(const json_t *options, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(options, name));
}

static struct parquet_values values_of(const struct parquet_column *column, const json_t *list)
{
    size_t count = json_array_size(list);
    uint8_t *values = calloc(count + 1, size_of(column->type));
    uint8_t *valid = calloc(count + 1, 1);
    assert(values != NULL && valid != NULL);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        valid[i] = !json_is_null(value);
        if (valid[i] != 0)
            put_value(column->type, value, values + i * size_of(column->type));
    }
    return (struct parquet_values){ .values = values, .valid = valid };
}

static int write_file(const char *path)
{
    json_error_t json_error;
    json_t *root = json_loadf(stdin, 0, &json_error);
    if (root == NULL) {
        fprintf(stderr, "description: %s\n", json_error.text);
        return 2;
    }
    const json_t *options = json_object_get(root, "options");
    const json_t *list = json_object_get(root, "columns");
    uint32_t count = (uint32_t)json_array_size(list);
    struct parquet_column columns[64];
    struct parquet_values values[64];
    size_t row_count = 0;
    assert(count <= ARRAY_SIZE(columns));
    for (uint32_t i = 0; i < count; i++) {
        const json_t *column = json_array_get(list, i);
        const char *logical = json_string_value(json_object_get(column, "logical"));
        columns[i] = (struct parquet_column){
            .name = json_string_value(json_object_get(column, "name")),
            .type = (enum parquet_type)index_of(type_names, ARRAY_SIZE(type_names),
                json_string_value(json_object_get(column, "type"))),
            .logical = (enum parquet_logical)index_of(
                logical_names, ARRAY_SIZE(logical_names), logical == NULL ? "" : logical),
            .optional = json_is_true(json_object_get(column, "optional")),
            .is_not_in_utc = json_is_true(json_object_get(column, "local")),
        };
        values[i] = values_of(&columns[i], json_object_get(column, "values"));
        row_count = json_array_size(json_object_get(column, "values"));
    }
    struct parquet_pair pairs[16];
    struct parquet_writer_options writer_options = {
        .codec = (enum parquet_codec)index_of(codec_names, ARRAY_SIZE(codec_names),
            json_string_value(json_object_get(options, "codec"))),
        .row_group_rows = option(options, "row_group_rows"),
        .page_rows = option(options, "page_rows"),
        .pairs = pairs,
    };
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(root, "pairs"), key, value)
    {
        assert(writer_options.pair_count < ARRAY_SIZE(pairs));
        pairs[writer_options.pair_count++] = (struct parquet_pair){ key, json_string_value(value) };
    }
    struct parquet_error error = { 0 };
    struct parquet_writer *writer = NULL;
    int fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    assert(fd >= 0);
    int err = parquet_writer_open(fd, columns, count, &writer_options, &writer, &error);
    /* In two pieces, so that rows of several calls make a row group. */
    if (err == 0)
        err = parquet_writer_append(writer, values, row_count / 3, &error);
    for (uint32_t i = 0; i < count; i++) {
        values[i].values =
            (const uint8_t *)values[i].values + row_count / 3 * size_of(columns[i].type);
        values[i].valid += row_count / 3;
    }
    if (err == 0)
        err = parquet_writer_append(writer, values, row_count - row_count / 3, &error);
    if (err == 0)
        err = parquet_writer_finish(writer, &error);
    parquet_writer_free(writer);
    return err < 0 ? fail(&error) : 0; /* what else was taken goes with the process */
}

static json_t *value_json(enum parquet_type type, const struct parquet_values *column, uint32_t row)
{
    char text[64];
    if (column->valid != NULL && column->valid[row] == 0)
        return json_null();
    switch (type) {
    case PARQUET_BOOLEAN:
        return json_boolean(((const uint8_t *)column->values)[row]);
    case PARQUET_INT32:
        return json_integer(((const int32_t *)column->values)[row]);
    case PARQUET_INT64:
        return json_integer(((const int64_t *)column->values)[row]);
    case PARQUET_FLOAT:
        (void)snprintf(text, sizeof text, "%a", (double)((const float *)column->values)[row]);
        return json_string(text);
    case PARQUET_DOUBLE:
        (void)snprintf(text, sizeof text, "%a", ((const double *)column->values)[row]);
        return json_string(text);
    default:
        break;
    }
    struct slice bytes = ((const struct slice *)column->values)[row];
    char *hex = malloc(2 * bytes.size + 1);
    assert(hex != NULL);
    for (size_t i = 0; i < bytes.size; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes.data[i]);
    hex[2 * bytes.size] = '\0';
    json_t *value = json_string(hex);
    free(hex);
    return value;
}

static int scan_file(const struct parquet_reader *reader,
    const struct parquet_scan_options *options, json_t *out, struct parquet_error *error)
{
    struct parquet_scan *scan = NULL;
    struct parquet_batch batch;
    int status = parquet_scan_open(reader, options, &scan, error);
    if (status < 0)
        return status;
    json_t *columns = json_object_get(out, "columns");
    while ((status = parquet_scan_next(scan, &batch, error)) > 0) {
        json_array_append_new(json_object_get(out, "batches"), json_integer((json_int_t)batch.row));
        for (uint32_t c = 0; c < parquet_reader_column_count(reader); c++) {
            json_t *values = json_object_get(json_array_get(columns, c), "values");
            enum parquet_type type = parquet_reader_column(reader, c)->type;
            for (uint32_t row = 0; row < batch.row_count; row++)
                json_array_append_new(values, value_json(type, &batch.columns[c], row));
        }
    }
    parquet_scan_free(scan);
    return status;
}

static int read_file(const char *path, char **range)
{
    struct parquet_error error = { 0 };
    struct parquet_reader *reader = NULL;
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    assert(fd >= 0);
    if (parquet_reader_open(fd, path, NULL, &reader, &error) < 0)
        return fail(&error);
    struct parquet_scan_options options = { 0 };
    if (range != NULL) {
        int column = parquet_reader_find(reader, range[0]);
        assert(column >= 0);
        options = (struct parquet_scan_options){ .has_range = true,
            .range_column = (uint32_t)column,
            .range_min = strtoll(range[1], NULL, 10),
            .range_max = strtoll(range[2], NULL, 10) };
    }
    json_t *out = json_pack("{s:[], s:[], s:I, s:I}", "columns", "batches", "rows",
        (json_int_t)parquet_reader_row_count(reader), "row_groups",
        (json_int_t)parquet_reader_row_group_count(reader));
    for (uint32_t i = 0; i < parquet_reader_column_count(reader); i++) {
        const struct parquet_column *column = parquet_reader_column(reader, i);
        json_t *entry =
            json_pack("{s:o, s:s, s:s, s:b, s:b, s:[]}", "name", json_string_nocheck(column->name),
                "type", column->type == PARQUET_OTHER ? "other" : type_names[column->type],
                "logical", logical_names[column->logical], "optional", column->optional, "local",
                column->is_not_in_utc, "values");
        int64_t min;
        int64_t max;
        if ((column->type == PARQUET_INT32 || column->type == PARQUET_INT64) &&
            parquet_reader_int_bounds(reader, i, &min, &max))
            json_object_set_new(
                entry, "bounds", json_pack("[I, I]", (json_int_t)min, (json_int_t)max));
        json_array_append_new(json_object_get(out, "columns"), entry);
    }
    const char *pair = parquet_reader_metadata(reader, "note");
    if (pair != NULL)
        json_object_set_new(out, "note", json_string(pair));
    int err = scan_file(reader, &options, out, &error);
    parquet_reader_free(reader);
    (void)close(fd);
    if (err == 0)
        (void)json_dumpf(out, stdout, JSON_COMPACT);
    json_decref(out);
    return err < 0 ? fail(&error) : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return write_file(argv[2]);
    if ((argc == 3 || argc == 6) && strcmp(argv[1], "read") == 0)
        return read_file(argv[2], argc == 6 ? argv + 3 : NULL);
    fprintf(stderr, "usage: parquet_tool write FILE < description | read FILE [COLUMN MIN MAX]\n");
    return 2;
}
