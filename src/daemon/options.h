/*
 * daemon/options.h - the options of shoald: rows in daemon/options.def, values from four places.
 *
 * Precedence, lowest first: the row's default, the file of --config, the environment
 * (SHOAL_SECTION_KEY), the command line. What is unknown or out of range is an error with a
 * sentence, never ignored.
 */
#pragma once

#include <stdio.h>

#include "base/log.h"
#include "catalog/catalog.h"
#include "daemon/address.h"
#include "daemon/problem.h"

#define OPTION_TEXT_SIZE 256u

/* The C type of each type of option. */
#define OPTION_MEMBER_TEXT(name)      char name[OPTION_TEXT_SIZE];
#define OPTION_MEMBER_WORD(name)      char name[OPTION_TEXT_SIZE];
#define OPTION_MEMBER_DIGITS(name)    char name[OPTION_TEXT_SIZE];
#define OPTION_MEMBER_NUMBER(name)    uint64_t name;
#define OPTION_MEMBER_BYTES(name)     uint64_t name;
#define OPTION_MEMBER_LEVEL(name)     enum log_level name;
#define OPTION_MEMBER_PROFILE(name)   enum catalog_profile name;
#define OPTION_MEMBER_ADDRESS(name)   struct sockaddr_in name;
#define OPTION_MEMBER_CIDRS(name)     struct cidr_list name;
#define OPTION_MEMBER_DOMAIN(name)    char name[OPTION_TEXT_SIZE];
#define OPTION_MEMBER_ENDPOINTS(name) struct endpoint_list name;

/* One member per row, `section_key`. */
struct options {
#define OPTION(section, key, flag, type, unit, fallback, low, high, when, help) \
    OPTION_MEMBER_##type(section##_##key)
#include "daemon/options.def"
#undef OPTION
};

enum option_type {
    OPTION_TEXT,
    OPTION_WORD,
    OPTION_DIGITS,
    OPTION_DOMAIN,
    OPTION_NUMBER,
    OPTION_BYTES,
    OPTION_LEVEL,
    OPTION_PROFILE,
    OPTION_ADDRESS,
    OPTION_CIDRS,
    OPTION_ENDPOINTS,
};

enum option_when { OPTION_START, OPTION_RELOAD };

struct option_row {
    const char *section;
    const char *key;
    const char *flag; /* NULL: it has none */
    const char *unit;
    const char *fallback; /* the default, as text; empty: it has to be given */
    const char *help;
    uint64_t low;
    uint64_t high;
    size_t offset; /* of its member in struct options */
    enum option_type type;
    enum option_when when;
};

unsigned option_count(void);
/* The row at `index`; NULL beyond the last. */
const struct option_row *option_at(unsigned index);
/* The row by its names. Errors: NULL, and a suggestion in `out_problem`. */
const struct option_row *option_find(
    const char *section, const char *key, struct problem *out_problem);

/* Every option at its default. */
void options_init(struct options *options);
/* Parses `text` into the row's member. Errors: -EINVAL, the member stays. */
MUST_CHECK int option_parse(const struct option_row *row, const char *text, struct options *options,
    struct problem *out_problem);
/* The value as option_parse() reads it. */
void option_format(
    const struct option_row *row, const struct options *options, char *out_text, size_t size);
/* Takes the RELOAD options over from `fresh`; gives the first row that differs but needs a start,
 * else NULL. */
const struct option_row *options_reload(struct options *options, const struct options *fresh);

/* What the command line asks shoald to do. */
enum options_action {
    OPTIONS_RUN,
    OPTIONS_CHECK,
    OPTIONS_PRINT,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

/* Where the values come from; borrowed. */
struct options_source {
    int argc;
    char **argv;
    char **environment; /* NULL-terminated, "NAME=value" */
};

/* Collects all values (daemon/options_load.c). Errors: -EINVAL, with the problem. */
MUST_CHECK int options_load(const struct options_source *source, struct options *out_options,
    enum options_action *out_action, struct problem *out_problem);

/* Prints a configuration file that gives these values; those at their default as comments. */
void options_print(const struct options *options, FILE *to);
/* Prints the text of --help. */
void options_print_help(FILE *to);
