/*
 * cli/cli.h - what all commands of `shoal` share: the table, words of the command line, failing with a sentence.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

/* Exit codes; also in man/shoal.1. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_NOT_RUNNING = 3,
};

struct cli_command {
    char name[32];
    int (*run)(int argc, char **argv);
    const char *arguments;
    const char *summary;
    const char *details;
};

#define COMMAND(name, arguments, summary, details) int cmd_##name(int argc, char **argv);
#include "cli/commands.def"
#undef COMMAND

unsigned cli_command_count(void);
/* NULL beyond the last. For one thread. */
const struct cli_command *cli_command_at(unsigned index);

/* Prints "shoal: ", the sentence and a newline on stderr. */
int cli_fail(const char *format, ...) PRINTF_LIKE(1, 2);  /* gives CLI_FAILED */
int cli_usage(const char *format, ...) PRINTF_LIKE(1, 2); /* gives CLI_USAGE */

/* One option of a command: with a value, or a switch. */
struct cli_option {
    const char *name;   /* "--data" */
    const char **value; /* where the value goes, or NULL */
    bool *is_given;     /* where `true` goes, or NULL */
};

/* Reads the options, which may stand anywhere; what is left in argv[1..*argc-1] are the other words. "--" ends the
 * options; switches of one letter may stand together (-rf). Gives CLI_OK or, having said why, CLI_USAGE. */
MUST_CHECK int cli_parse(
    const struct cli_option *options, size_t option_count, int *argc, char **argv);
/* As cli_parse(), but leaves words that begin with '-' and are not in the list where they are. */
void cli_take_known(const struct cli_option *options, size_t option_count, int *argc, char **argv);
/* The value of the option `name` as a number from `low` to `high`; NULL for `word` leaves *out_value as it is. Gives CLI_OK,
 * or CLI_USAGE after the sentence. */
MUST_CHECK int cli_number(
    const char *name, const char *word, uint64_t low, uint64_t high, uint64_t *out_value);
