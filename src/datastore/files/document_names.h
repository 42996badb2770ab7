/*
 * datastore/files/document_names.h - the file names of documents: SYMBOL_TIMEFRAME_EPOCH.json, and so on.
 * A second document of the same second has "-" and the microseconds at which it was written after the epoch.
 */
#pragma once

#include "datastore/files/files.h"

#define DOCUMENT_NAME_SIZE 256 /* NAME_MAX and a NUL */

/* What a file's name says. */
struct document_name {
    char symbol[DATA_NAME_SIZE_MAX + 1];
    char timeframe[DATA_TIMEFRAME_SIZE_MAX + 1];
    char name[DATA_NAME_SIZE_MAX + 1];
    int64_t time_s;    /* -1: the name has none, the file's time counts */
    uint64_t sequence; /* later ones of the same second are larger */
};

/* The directory of a kind, in which generations have theirs: "market_data/ohlcv", "results". */
const char *document_directory(int32_t kind);
/* Writes the file's name, of a document of this time; sequence 0: none. Errors: -ENAMETOOLONG. */
MUST_CHECK int document_name_format(char to[DOCUMENT_NAME_SIZE],
    const struct shoal_data_document *document, int64_t time_s, uint64_t sequence);
/* Reads a file's name. Errors: -EINVAL: it is not the name of a document of that kind. */
MUST_CHECK int document_name_parse(int32_t kind, const char *file, struct document_name *out_name);
/* The number in "gen_N"; -1: it is none. */
int64_t document_generation(const char *directory);
