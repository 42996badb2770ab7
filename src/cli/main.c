/*
 * cli/main.c - shoal: finds the command in cli/commands.def and runs it (room: cli).
 */
#include <stdlib.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/nouns/noun.h"

#define COMMANDS_MAX 64

static int print_overview(void)
{
    (void)printf("Usage: shoal COMMAND [arguments]\n\n");
    for (unsigned i = 0; i < cli_command_count(); i++)
        (void)printf("  %-8s %s\n", cli_command_at(i)->name, cli_command_at(i)->summary);
    (void)printf(
        "\nshoal COMMAND --help tells more. DIR may also be given as SHOAL_DATA in the "
        "environment.\n"
        "Exit codes: 0 done, 1 failed (a sentence says why), 2 wrong arguments, 3 not running.\n");
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static int print_help(const struct cli_command *command)
{
    (void)printf("Usage: shoal %s %s\n%s: %s.\n\n%s\n", command->name, command->arguments,
        command->name, command->summary, command->details);
    noun_print_verbs(command->name, stdout);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static const struct cli_command *find_command(const char *name)
{
    for (unsigned i = 0; i < cli_command_count(); i++) {
        if (strcmp(cli_command_at(i)->name, name) == 0)
            return cli_command_at(i);
    }
    return NULL;
}

static int explain_unknown(const char *word)
{
    const char *names[COMMANDS_MAX];
    assert(cli_command_count() <= COMMANDS_MAX);
    for (unsigned i = 0; i < cli_command_count(); i++)
        names[i] = cli_command_at(i)->name;
    int nearest = text_nearest(word, names, cli_command_count());
    if (nearest >= 0)
        return cli_usage("There is no command %s; did you mean %s?", word, names[nearest]);
    return cli_usage("There is no command %s; shoal --help lists all.", word);
}

/* --help may stand anywhere behind a command, up to `--`; -h only next to it, as it may be a value or an option elsewhere. */
static bool asks_behind(const struct cli_command *command, int argc, char **argv)
{
    int end = noun_exists(command->name) && argc > 3 ? 3 : argc; /* further on it is the verb's */
    for (int i = 2; i < end && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || (i == 2 && strcmp(argv[i], "-h") == 0))
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)print_overview();
        return CLI_USAGE;
    }
    if (asks_for_help(argv[1]) && argc == 2)
        return print_overview();
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("shoal %s\n", SHOAL_VERSION);
        return CLI_OK;
    }
    bool help_first = asks_for_help(argv[1]);
    const struct cli_command *command = find_command(help_first ? argv[2] : argv[1]);
    if (command == NULL)
        return explain_unknown(help_first ? argv[2] : argv[1]);
    if (help_first || asks_behind(command, argc, argv))
        return print_help(command);
    return command->run(argc - 1, argv + 1);
}
