/*
 * cli/nouns/show.c - results: tables for people, JSON and YAML for programs (room: cli).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include <yaml.h>

#include "base/text.h"
#include "cli/files/format.h"
#include "cli/nouns/noun.h"

#define PART_SIZE  64
#define CELL_SIZE  256
#define DEPTH_MAX  16
#define LIST_SHOWN 8

const json_t *noun_value(const json_t *json, const char *path)
{
    while (json != NULL && *path != '\0') {
        char part[PART_SIZE];
        size_t size = strcspn(path, ".");
        if (size >= sizeof part)
            return NULL;
        memcpy(part, path, size);
        part[size] = '\0';
        json = json_object_get(json, part);
        path += size;
        path += *path == '.';
    }
    return json;
}

const char *noun_text(const json_t *json, const char *path)
{
    const char *text = json_string_value(noun_value(json, path));
    return text != NULL ? text : "";
}

/* Writes a single value as text; lists have commas between their values. */
static void write_value(const json_t *value, enum noun_column_kind kind, char cell[CELL_SIZE])
{
    char buffer[FORMAT_SIZE];
    size_t used = 0;
    cell[0] = '\0';
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value) && i < LIST_SHOWN; i++) {
            char one[CELL_SIZE];
            write_value(json_array_get(value, i), kind, one);
            if (text_append(cell, CELL_SIZE, &used, "%s%s", i > 0 ? "," : "", one) < 0)
                return; /* cut, as a cell may be */
        }
    } else if (json_is_string(value)) {
        (void)snprintf(cell, CELL_SIZE, "%s", json_string_value(value)); /* cut, as a cell may be */
    } else if (json_is_boolean(value)) {
        (void)snprintf(cell, CELL_SIZE, "%s", json_is_true(value) ? "yes" : "no");
    } else if (json_is_number(value) && kind == COLUMN_BYTES) {
        (void)snprintf(
            cell, CELL_SIZE, "%s", format_bytes(buffer, (uint64_t)json_number_value(value)));
    } else if (json_is_number(value) && kind == COLUMN_TIME) {
        if (json_number_value(value) <= 0)
            return; /* from before there was a clock: not known */
        struct clock_time time = { .seconds = (int64_t)json_number_value(value) };
        (void)snprintf(cell, CELL_SIZE, "%.19s", format_time(buffer, time));
    } else if (json_is_integer(value)) {
        (void)snprintf(cell, CELL_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_number(value)) {
        (void)snprintf(cell, CELL_SIZE, "%g", json_number_value(value));
    }
}

static void cell_of(const json_t *row, const struct noun_column *column, char cell[CELL_SIZE])
{
    write_value(noun_value(row, column->path), column->kind, cell);
    if (cell[0] == '\0')
        (void)snprintf(cell, CELL_SIZE, "-");
}

static void print_table(const json_t *list, const struct noun_column *columns, size_t count)
{
    size_t widths[NOUN_COLUMNS_MAX];
    char cell[CELL_SIZE];
    assert(count <= NOUN_COLUMNS_MAX);
    for (size_t c = 0; c < count; c++) {
        widths[c] = strlen(columns[c].title);
        for (size_t r = 0; r < json_array_size(list); r++) {
            cell_of(json_array_get(list, r), &columns[c], cell);
            if (strlen(cell) > widths[c])
                widths[c] = strlen(cell);
        }
    }
    for (size_t c = 0; c < count; c++)
        (void)printf("%-*s%s", c + 1 < count ? (int)widths[c] + 2 : 0, columns[c].title,
            c + 1 < count ? "" : "\n");
    for (size_t r = 0; r < json_array_size(list); r++) {
        for (size_t c = 0; c < count; c++) {
            cell_of(json_array_get(list, r), &columns[c], cell);
            format_print_name(cell);
            (void)printf("%*s", c + 1 < count ? (int)(widths[c] + 2 - strlen(cell)) : 0, "");
        }
        (void)putchar('\n');
    }
}

/* Whether a string may stand in YAML without quotes and still be read as a string. */
static bool is_plain(const char *text)
{
    static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "null", "y",
        "n" };
    if (!((*text | 32) >= 'a' && (*text | 32) <= 'z') || strlen(text) > 200)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return false;
    }
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") ==
           strlen(text);
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, bool is_plain_text)
{
    yaml_event_t event;
    /* libyaml copies; its type has no const. */
    yaml_char_t copy[CELL_SIZE];
    yaml_char_t *value = copy;
    size_t size = strlen(text);
    yaml_char_t *heap = NULL;
    if (size >= sizeof copy) {
        heap = malloc(size + 1);
        value = heap;
    }
    if (value == NULL)
        return false;
    memcpy(value, text, size + 1);
    bool ok = yaml_scalar_event_initialize(&event, NULL, NULL, value,
                  (int)min_size(size, INT32_MAX), is_plain_text, 1,
                  is_plain_text ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE) != 0;
    ok = ok && yaml_emitter_emit(emitter, &event) != 0;
    free(heap);
    return ok;
}

static bool emit_leaf(yaml_emitter_t *emitter, const json_t *json)
{
    if (json_is_string(json))
        return emit_scalar(emitter, json_string_value(json), is_plain(json_string_value(json)));
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    bool ok = text != NULL && emit_scalar(emitter, text, true);
    free(text);
    return ok;
}

static bool emit(yaml_emitter_t *emitter, json_t *json, unsigned depth);

static bool emit_object(yaml_emitter_t *emitter, json_t *json, unsigned depth)
{
    yaml_event_t event;
    bool ok =
        yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) != 0 &&
        yaml_emitter_emit(emitter, &event) != 0;
    for (void *at = json_object_iter(json); ok && at != NULL;
         at = json_object_iter_next(json, at)) {
        const char *key = json_object_iter_key(at);
        ok = emit_scalar(emitter, key, is_plain(key)) &&
             emit(emitter, json_object_iter_value(at), depth + 1);
    }
    return ok && yaml_mapping_end_event_initialize(&event) != 0 &&
           yaml_emitter_emit(emitter, &event) != 0;
}

static bool emit_array(yaml_emitter_t *emitter, json_t *json, unsigned depth)
{
    yaml_event_t event;
    yaml_sequence_style_t style =
        json_array_size(json) == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
    bool ok = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style) != 0 &&
              yaml_emitter_emit(emitter, &event) != 0;
    for (size_t i = 0; ok && i < json_array_size(json); i++)
        ok = emit(emitter, json_array_get(json, i), depth + 1);
    return ok && yaml_sequence_end_event_initialize(&event) != 0 &&
           yaml_emitter_emit(emitter, &event) != 0;
}

/* As deep as the value, which is bounded here. */
static bool emit(yaml_emitter_t *emitter, json_t *json, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return false;
    if (json_is_object(json))
        return emit_object(emitter, json, depth);
    return json_is_array(json) ? emit_array(emitter, json, depth) : emit_leaf(emitter, json);
}

static int print_yaml(json_t *json)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    if (yaml_emitter_initialize(&emitter) == 0) {
        json_decref(json);
        return cli_fail("There is no memory left for the result.");
    }
    yaml_emitter_set_output_file(&emitter, stdout);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool ok = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) != 0 &&
              yaml_emitter_emit(&emitter, &event) != 0;
    ok = ok && yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) != 0 &&
         yaml_emitter_emit(&emitter, &event) != 0;
    ok = ok && emit(&emitter, json, 0);
    ok = ok && yaml_document_end_event_initialize(&event, 1) != 0 &&
         yaml_emitter_emit(&emitter, &event) != 0;
    ok = ok && yaml_stream_end_event_initialize(&event) != 0 &&
         yaml_emitter_emit(&emitter, &event) != 0;
    ok = ok && yaml_emitter_flush(&emitter) != 0 && fflush(stdout) == 0;
    yaml_emitter_delete(&emitter);
    json_decref(json);
    return ok ? CLI_OK : cli_fail("Cannot write the result.");
}

int noun_show_list(
    const struct noun_call *call, json_t *json, const struct noun_column *columns, size_t count)
{
    if (json == NULL)
        return cli_fail("There is no memory left for the result.");
    if (call->format != NOUN_TABLE)
        return noun_show(call, json);
    print_table(json, columns, count);
    json_decref(json);
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write the result.");
}

int noun_show(const struct noun_call *call, json_t *json)
{
    if (json == NULL)
        return cli_fail("There is no memory left for the result.");
    return call->format == NOUN_JSON ? format_print_json(json) : print_yaml(json);
}

int noun_done(const struct noun_call *call, json_t *json, const char *format, ...)
{
    if (call->format != NOUN_TABLE)
        return noun_show(call, json);
    va_list args;
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    json_decref(json);
    return putchar('\n') != EOF && fflush(stdout) == 0 ? CLI_OK
                                                       : cli_fail("Cannot write the result.");
}
