/*
 * cli/nouns/noun.h - what the verbs of all nouns share: options, the service, names of things, results.
 *
 * A verb gets a struct noun_call that nobody has opened yet, reads its own options by noun_open(), which also connects,
 * and gives a CLI_ exit code. cli/nouns/noun.c closes what was opened.
 */
#pragma once

#include <jansson.h>

#include "cli/api_query.h"
#include "cli/cli.h"

#define NOUN_ID_SIZE     129
#define NOUN_COLUMNS_MAX 10
#define EC2_VERSION      "2016-11-15"

struct noun_call;

struct noun_verb {
    const char *noun;
    const char *verb;
    int (*run)(struct noun_call *call);
    const char *arguments;
    const char *summary;
    const char *details;
};

enum noun_format {
    NOUN_TABLE, /* for people: lists as tables, single things as YAML */
    NOUN_JSON,
    NOUN_YAML,
};

struct noun_call {
    const struct noun_verb *verb;
    int argc;
    char **argv; /* argv[0] is the verb; after noun_open() the words that are no options follow */
    enum noun_format format;
    bool is_dry_run;
    bool is_open; /* then the rest is set */
    struct instance instance;
    struct api api;
};

#define VERB(noun, verb, arguments, summary, details) \
    int noun_##noun##_##verb(struct noun_call *call);
#include "cli/nouns/nouns.def"
#undef VERB

unsigned noun_verb_count(void);
/* NULL beyond the last. */
const struct noun_verb *noun_verb_at(unsigned index);
/* Whether the word is a noun: then help is each verb's own. */
bool noun_exists(const char *word);
/* A line for each verb of the noun; nothing when the word is no noun. */
void noun_print_verbs(const char *noun, FILE *stream);
/* Finds the verb and runs it; what each `cmd_<noun>` is made of. argv[0] is the noun. */
int noun_run(int argc, char **argv);

/* Reads the verb's own options and those of all verbs (--data, -o, and --dry-run where the verb's arguments name it),
 * wants `words_min` to `words_max` further words, and connects to the service. Gives CLI_OK, or the exit code after the
 * sentence. */
MUST_CHECK int noun_open(struct noun_call *call, const struct cli_option *options,
    size_t option_count, int words_min, int words_max);

/* One call of the EFS API; `body` (NULL for none) is taken. `doing` is for the sentence: "the mount target". On success
 * *out_body (may be NULL: not wanted) is a new reference, NULL when the answer was empty. */
MUST_CHECK int noun_efs(
    struct noun_call *call, const struct api_call *what, const char *doing, json_t **out_body);
/* All pages of a list. `path` without a query; `filter` is "" or "Name=value" of an id. *out_list is a new reference. */
MUST_CHECK int noun_efs_list(struct noun_call *call, const char *path, const char *filter,
    const char *list_name, json_t **out_list);
/* One call of a query service; `form` is taken. *out_body (may be NULL) is a new reference. */
MUST_CHECK int noun_query(struct noun_call *call, const char *service, struct api_form *form,
    const char *doing, json_t **out_body);

/* One call of EC2 with up to three words, NULL where there are fewer; what noun_query() gives. */
MUST_CHECK int noun_ec2(struct noun_call *call, const char *action, const char *const words[][2],
    size_t word_count, const char *doing, json_t **out_body);
/* The network that is meant: `vpc`, or the default one, into NOUN_ID_SIZE bytes. */
MUST_CHECK int noun_vpc_id(struct noun_call *call, const char *vpc, char *out_id);

/* The file system that the person means by an id or name: its description, a new reference. */
MUST_CHECK int noun_find_fs(struct noun_call *call, const char *word, json_t **out_fs);
/* As noun_find_fs(), but only its id, into NOUN_ID_SIZE bytes. */
MUST_CHECK int noun_fs_id(struct noun_call *call, const char *word, char *out_id);
/* Whether `word` is an id of that kind ("fsmt-" and hexadecimal digits); if not, says so and gives CLI_USAGE. */
MUST_CHECK int noun_want_id(const char *word, const char *prefix, const char *what);
/* Adds "K=V,K=V" to `body` as Tags; NULL adds nothing. Gives CLI_OK, or CLI_USAGE after the sentence. */
MUST_CHECK int noun_add_tags(json_t *body, const char *tags);
/* One K=V as an element of Tags; a new reference, or NULL: no '=', or no memory. */
json_t *noun_tag_json(const char *text, size_t size);
/* A number that fits 32 bits, such as a user id. Gives CLI_OK, or CLI_USAGE after the sentence. */
MUST_CHECK int noun_number(
    const char *word, const char *option, uint64_t max, json_int_t *out_number);

/* Asks `describe` every 20 ms, for up to a minute, until it says *out_done; `what` is for the sentence when it does not. */
MUST_CHECK int noun_wait(struct noun_call *call, const char *what, const void *subject,
    int (*describe)(struct noun_call *call, const void *subject, bool *out_done));

enum noun_column_kind { COLUMN_TEXT, COLUMN_BYTES, COLUMN_TIME };

/* A column of a table: a title and where its value stands, as "SizeInBytes.Value". */
struct noun_column {
    const char *title;
    const char *path;
    enum noun_column_kind kind;
};

/* Both release `json`; NULL for it is "no memory". */
int noun_show_list(
    const struct noun_call *call, json_t *json, const struct noun_column *columns, size_t count);
int noun_show(const struct noun_call *call, json_t *json);
/* Says in a sentence what was done, or, in the other formats, shows `json`, which is released. */
int noun_done(const struct noun_call *call, json_t *json, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The text at a path of names with dots between, "" when there is none. Numbers and others: see noun_value(). */
const char *noun_text(const json_t *json, const char *path);
/* The value at a path; NULL when there is none; borrowed. */
const json_t *noun_value(const json_t *json, const char *path);
