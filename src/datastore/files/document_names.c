/*
 * datastore/files/document_names.c - the file names of documents, ours and those of older programs (room: datastore).
 */
#include "datastore/files/document_names.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

#define SUFFIX ".json"

const char *document_directory(int32_t kind)
{
    static const char *const directories[] = { "market_data/ohlcv", "market_data/indicators",
        "results/backtests", "results/performance", "results" };
    assert(kind >= 0 && (size_t)kind < ARRAY_SIZE(directories));
    return directories[kind];
}

int document_name_format(char to[DOCUMENT_NAME_SIZE], const struct shoal_data_document *document,
    int64_t time_s, uint64_t sequence)
{
    char part[FILES_ESCAPED_SIZE];
    size_t used = 0;
    int err = 0;
    to[0] = '\0';
    if (document->symbol != NULL) {
        files_escape(part, document->symbol, false);
        err = text_append(to, DOCUMENT_NAME_SIZE, &used, "%s_%s_", part, document->timeframe);
    }
    if (err == 0 && document->name != NULL) {
        files_escape(part, document->name, document->symbol != NULL);
        err = text_append(to, DOCUMENT_NAME_SIZE, &used, "%s_", part);
    }
    if (err == 0)
        err = text_append(to, DOCUMENT_NAME_SIZE, &used, "%" PRId64, time_s);
    if (err == 0 && sequence != 0)
        err = text_append(to, DOCUMENT_NAME_SIZE, &used, "-%" PRIu64, sequence);
    if (err == 0)
        err = text_append(to, DOCUMENT_NAME_SIZE, &used, SUFFIX);
    return err < 0 ? -ENAMETOOLONG : 0;
}

/* Digits only, of 1 to `size_max` bytes. */
static bool take_number(const char **at, size_t size_max, uint64_t *out_value)
{
    uint64_t value = 0;
    size_t size = 0;
    for (; isdigit((unsigned char)(*at)[size]) && size < size_max; size++)
        value = value * 10 + (uint64_t)((*at)[size] - '0');
    *at += size;
    *out_value = value;
    return size > 0;
}

/* EPOCH, EPOCH.FRACTION (of older programs) or EPOCH-SEQUENCE. */
static bool parse_epoch(const char *text, struct document_name *name)
{
    uint64_t seconds;
    if (!take_number(&text, 12, &seconds) || seconds > (uint64_t)DATA_TIME_S_MAX)
        return false;
    name->time_s = (int64_t)seconds;
    name->sequence = 0;
    if (*text == '-' || *text == '.') {
        text++;
        if (!take_number(&text, 17, &name->sequence))
            return false;
    }
    return *text == '\0';
}

/* Takes the part after the last '_' off the stem of *size bytes; NULL: there is none. */
static const char *last_part(const char *stem, size_t *size)
{
    for (size_t i = *size; i > 0; i--) {
        if (stem[i - 1] == '_') {
            *size = i - 1;
            return stem + i;
        }
    }
    return NULL;
}

static bool is_timeframe(const char *part, size_t size)
{
    char text[DATA_TIMEFRAME_SIZE_MAX + 1];
    if (size == 0 || size > DATA_TIMEFRAME_SIZE_MAX)
        return false;
    memcpy(text, part, size);
    text[size] = '\0';
    return data_check_timeframe(text, NULL) == SHOAL_DATA_OK;
}

/* A name as it was escaped, or as an older program wrote it. */
static int take_name(char *to, const char *part, size_t size)
{
    if (files_unescape(to, part, size) == 0)
        return 0;
    if (size == 0 || size > DATA_NAME_SIZE_MAX)
        return -EINVAL;
    memcpy(to, part, size);
    to[size] = '\0';
    return data_check_name("name", to, NULL) == SHOAL_DATA_OK ? 0 : -EINVAL;
}

/* SYMBOL_TIMEFRAME of `size` bytes. */
static int parse_series(const char *stem, size_t size, struct document_name *name)
{
    size_t symbol_size = size;
    const char *timeframe = last_part(stem, &symbol_size);
    size_t timeframe_size = timeframe == NULL ? 0 : size - symbol_size - 1;
    if (timeframe == NULL || !is_timeframe(timeframe, timeframe_size))
        return -EINVAL;
    memcpy(name->timeframe, timeframe, timeframe_size);
    name->timeframe[timeframe_size] = '\0';
    return take_name(name->symbol, stem, symbol_size);
}

/* SYMBOL_TIMEFRAME_NAME: ours has no '_' in the name; an older program's may, or there is no name at all. */
static int parse_indicator(const char *stem, size_t size, struct document_name *name)
{
    size_t before = size;
    const char *part = last_part(stem, &before);
    if (part == NULL)
        return -EINVAL;
    if (parse_series(stem, before, name) == 0)
        return take_name(name->name, part, size - before - 1);
    while (last_part(stem, &before) != NULL) {
        if (parse_series(stem, before, name) == 0)
            return take_name(name->name, stem + before + 1, size - before - 1);
    }
    return parse_series(stem, size, name);
}

int document_name_parse(int32_t kind, const char *file, struct document_name *out_name)
{
    size_t size = strlen(file);
    size_t suffix = sizeof SUFFIX - 1;
    if (file[0] == '.' || size <= suffix || size >= DOCUMENT_NAME_SIZE ||
        strcmp(file + size - suffix, SUFFIX) != 0)
        return -EINVAL;
    char stem[DOCUMENT_NAME_SIZE];
    size -= suffix;
    memcpy(stem, file, size);
    stem[size] = '\0';
    *out_name = (struct document_name){ .time_s = -1 };
    size_t before = size;
    const char *epoch = last_part(stem, &before);
    bool has_epoch = epoch != NULL && parse_epoch(epoch, out_name);
    if (kind == SHOAL_DATA_MARKET_DATA)
        return has_epoch ? parse_series(stem, before, out_name) : -EINVAL;
    if (kind == SHOAL_DATA_INDICATOR)
        return has_epoch ? parse_indicator(stem, before, out_name) : -EINVAL;
    return take_name(out_name->name, stem, has_epoch ? before : size);
}

int64_t document_generation(const char *directory)
{
    uint64_t number;
    const char *digits = directory + 4;
    if (strncmp(directory, "gen_", 4) != 0 || !take_number(&digits, 18, &number) || *digits != '\0')
        return -1;
    return (int64_t)number;
}
