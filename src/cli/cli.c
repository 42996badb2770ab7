/*
 * cli/cli.c - the table of commands, options of a command, failing with a sentence (room: cli).
 */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/text.h"

#define OPTIONS_MAX 32

static struct cli_command commands[] = {
#define COMMAND(name, arguments, summary, details) \
    { #name, cmd_##name, arguments, summary, details },
#include "cli/commands.def"
#undef COMMAND
};

unsigned cli_command_count(void)
{
    return ARRAY_SIZE(commands);
}

const struct cli_command *cli_command_at(unsigned index)
{
    if (index >= ARRAY_SIZE(commands))
        return NULL;
    for (char *at = commands[index].name; *at != '\0'; at++) {
        if (*at == '_')
            *at = '-'; /* a row's name is part of a function's, a command's is not */
    }
    return &commands[index];
}

static void complain(const char *format, va_list args) PRINTF_LIKE(1, 0);
static void complain(const char *format, va_list args)
{
    (void)fflush(stdout); /* so that both streams stand in order */
    (void)fputs("shoal: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
}

int cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    return CLI_FAILED;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    return CLI_USAGE;
}

static const struct cli_option *find_option(
    const struct cli_option *options, size_t count, const char *word)
{
    size_t size = strcspn(word, "=");
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == size && strncmp(options[i].name, word, size) == 0)
            return &options[i];
    }
    return NULL;
}

/* Takes the option at argv[at]; gives how many words it used, or 0 when its value is missing or too much. */
static int take_option(const struct cli_option *option, int argc, char **argv, int at)
{
    const char *equals = strchr(argv[at], '=');
    if (option->value == NULL) {
        *option->is_given = equals == NULL;
        return equals == NULL ? 1 : 0;
    }
    if (equals == NULL && at + 1 >= argc)
        return 0;
    *option->value = equals != NULL ? equals + 1 : argv[at + 1];
    if (option->is_given != NULL)
        *option->is_given = true;
    return equals != NULL ? 1 : 2;
}

/* Takes "-rf" when -r and -f are switches. */
static bool take_letters(const struct cli_option *options, size_t count, const char *word)
{
    const struct cli_option *found[16];
    size_t letters = strlen(word + 1);
    if (word[1] == '-' || letters < 2 || letters > ARRAY_SIZE(found))
        return false;
    for (size_t i = 0; i < letters; i++) {
        char name[3] = { '-', word[1 + i], '\0' };
        found[i] = find_option(options, count, name);
        if (found[i] == NULL || found[i]->value != NULL)
            return false;
    }
    for (size_t i = 0; i < letters; i++)
        *found[i]->is_given = true;
    return true;
}

static int explain_unknown(
    const struct cli_option *options, size_t count, const char *command, const char *word)
{
    const char *names[OPTIONS_MAX];
    assert(count <= OPTIONS_MAX);
    for (size_t i = 0; i < count; i++)
        names[i] = options[i].name;
    int nearest = text_nearest(word, names, count);
    if (nearest >= 0)
        return cli_usage("`%s` has no option %s; did you mean %s?", command, word, names[nearest]);
    return cli_usage("`%s` has no option %s; see shoal %s --help.", command, word, command);
}

int cli_parse(const struct cli_option *options, size_t option_count, int *argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < *argc;) {
        if (strcmp(argv[i], "--") == 0) {
            while (++i < *argc)
                argv[kept++] = argv[i];
            break;
        }
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[kept++] = argv[i++];
            continue;
        }
        const struct cli_option *option = find_option(options, option_count, argv[i]);
        if (option == NULL && take_letters(options, option_count, argv[i])) {
            i++;
            continue;
        }
        if (option == NULL)
            return explain_unknown(options, option_count, argv[0], argv[i]);
        int used = take_option(option, *argc, argv, i);
        if (used == 0)
            return cli_usage("%s %s.", option->name,
                option->value != NULL ? "needs a value after it" : "takes no value");
        i += used;
    }
    *argc = kept;
    argv[kept] = NULL;
    return CLI_OK;
}

void cli_take_known(const struct cli_option *options, size_t option_count, int *argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < *argc;) {
        const struct cli_option *option = find_option(options, option_count, argv[i]);
        int used = option != NULL ? take_option(option, *argc, argv, i) : 0;
        if (used == 0)
            argv[kept++] = argv[i++];
        else
            i += used;
    }
    *argc = kept;
    argv[kept] = NULL;
}

int cli_number(const char *name, const char *word, uint64_t low, uint64_t high, uint64_t *out_value)
{
    if (word == NULL)
        return CLI_OK;
    if (text_parse_u64(word, high, out_value) < 0 || *out_value < low)
        return cli_usage(
            "%s takes a number from %" PRIu64 " to %" PRIu64 ", not %s.", name, low, high, word);
    return CLI_OK;
}
