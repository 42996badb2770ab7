/*
 * cli/data/data.h - what the verbs of `shoal data` share: options, the open store, kinds of documents, sentences for errors.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"
#include "datastore/shoal_data.h"

/* All options of all verbs; a verb refuses none that it does not need. */
struct data_options {
    const char *store; /* --store, or SHOAL_STORE */
    const char *symbol, *timeframe, *name, *generation, *from, *to, *limit, *time;
    const char *version, *metadata, *output;
    const char *keep_last, *keep_best, *metric, *days, *rules;
    const char *threads;
    bool as_json, is_quiet, is_dry_run, is_minimum;
};

/* The words after the verb are words[0 .. word_count - 1]. */
struct data_call {
    struct data_options options;
    struct shoal_data *store;
    int word_count;
    char **words;
    struct shoal_data_error error;
};

struct data_verb {
    const char *name;
    int (*run)(struct data_call *call);
    int words_min, words_max;
    bool creates;     /* makes what is missing in the store */
    bool needs_store; /* --store is opened before it runs */
    const char *example;
};

int data_init(struct data_call *call);
int data_put(struct data_call *call);
int data_get(struct data_call *call);
int data_ls(struct data_call *call);
int data_rm(struct data_call *call);
int data_retain(struct data_call *call);
int data_clean(struct data_call *call);
int data_health(struct data_call *call);
int data_usage(struct data_call *call);
int data_compact(struct data_call *call);
int data_migrate(struct data_call *call);

/* Says what is in call->error. Gives CLI_FAILED, or CLI_USAGE for SHOAL_DATA_INVALID. */
int data_say(const struct data_call *call);
/* -1: the word is no kind of documents (market, indicator, backtest, performance, generation). */
int32_t data_kind(const char *word);
/* Reads a number. Gives CLI_OK, or CLI_USAGE having said that `option` is wrong. NULL leaves *out_value. */
MUST_CHECK int data_number(const char *option, const char *text, uint64_t max, uint64_t *out_value);
/* Reads a time: seconds since 1970, or 2026-01-02, or 2026-01-02T03:04:05 (UTC). As data_number(). */
MUST_CHECK int data_time(const char *option, const char *text, int64_t *out_seconds);
/* "2026-01-02T03:04:05Z" into a buffer of 48 bytes, which it gives. */
const char *data_show_time(char *buffer, int64_t seconds);
/* Reads a file ("-": standard input) whole, of SHOAL_DATA_JSON_SIZE_MAX bytes at most. CLI_OK or having said why not. */
MUST_CHECK int data_read_file(const char *path, char **out_text, size_t *out_size);
/* Says the problems of a list or report, `at` giving them, on standard error. */
void data_say_problems(const void *handle, const char *(*at)(const void *handle, uint64_t index));

/* data_bars.c: CSV files with a line of headings. */
int data_put_bars(struct data_call *call);
int data_get_bars(struct data_call *call);
/* data_checkpoint.c */
int data_put_checkpoint(struct data_call *call);
int data_get_checkpoint(struct data_call *call);
