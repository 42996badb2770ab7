/*
 * daemon/options_load.c - options from the file, the environment and the command line (room:
 * daemon).
 */
#include <ini.h>

#include "base/text.h"
#include "daemon/options.h"

#define ENVIRONMENT_PREFIX "SHOAL_"

struct loader {
    struct options *options;
    struct problem *problem;
    enum options_action action;
    const char *config_path; /* of --config, or NULL */
    FILE *file;
    unsigned line;
    bool failed;
    uint64_t given_lines[64]; /* of the file: at which line each row's value was, or 0 */
};

/* inih's callback for one value; the first problem of the file is the one that is told. */
static int take_from_file(void *user, const char *section, const char *key, const char *value)
{
    struct loader *loader = user;
    if (loader->failed)
        return 0;
    loader->failed = true;
    if (section[0] == '\0') {
        problem_set(loader->problem, "%s stands before the first [section].", key);
        return 0;
    }
    const struct option_row *row = option_find(section, key, loader->problem);
    if (row == NULL)
        return 0;
    size_t index = (size_t)(row - option_at(0));
    assert(index < ARRAY_SIZE(loader->given_lines));
    if (loader->given_lines[index] != 0) {
        problem_set(loader->problem, "%s.%s is given a second time.", section, key);
        return 0;
    }
    if (option_parse(row, value, loader->options, loader->problem) < 0)
        return 0;
    loader->given_lines[index] = loader->line;
    loader->failed = false;
    return 1;
}

/* inih's reader: as fgets(), but counts lines and refuses one that does not fit. */
static char *read_line(char *buffer, int size, void *stream)
{
    struct loader *loader = stream;
    if (loader->failed || fgets(buffer, size, loader->file) == NULL)
        return NULL;
    loader->line++;
    size_t length = strlen(buffer);
    if (length + 1 == (size_t)size && buffer[length - 1] != '\n') {
        problem_set(loader->problem, "The line is longer than %d bytes.", size - 2);
        loader->failed = true;
        return NULL;
    }
    return buffer;
}

static int load_file(struct loader *loader)
{
    loader->file = fopen(loader->config_path, "re");
    if (loader->file == NULL) {
        problem_set(loader->problem, "Cannot read the configuration file %s: %s.",
            loader->config_path, strerrordesc_np(errno));
        return -EINVAL;
    }
    int bad_line = ini_parse_stream(read_line, loader, take_from_file, loader);
    bool unreadable = ferror(loader->file) != 0;
    (void)fclose(loader->file); /* opened for reading: nothing can be lost */
    if (unreadable) {
        problem_set(loader->problem, "Cannot read the configuration file %s.", loader->config_path);
        return -EINVAL;
    }
    if (bad_line > 0 && (!loader->failed || (unsigned)bad_line < loader->line)) {
        loader->line = (unsigned)bad_line;
        problem_set(loader->problem, "This is neither [section], key = value nor a comment.");
        loader->failed = true;
    }
    if (!loader->failed)
        return 0;
    problem_prefix(loader->problem, "%s:%u", loader->config_path, loader->line);
    return -EINVAL;
}

/* Option names are ASCII, and so is what they are compared with, whatever the locale. */
static const char upper_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char lower_letters[] = "abcdefghijklmnopqrstuvwxyz";

static char upper_case(char c)
{
    if (c >= 'a' && c <= 'z')
        return upper_letters[c - 'a'];
    return c;
}

static char lower_case(char c)
{
    if (c >= 'A' && c <= 'Z')
        return lower_letters[c - 'A'];
    return c;
}

/* Whether "NFS_PORT" begins with the section's name; then *out_key is the rest. */
static bool name_is_in_section(const char *name, const char *section, const char **out_key)
{
    for (; *section != '\0'; section++, name++) {
        if (*name != upper_case(*section))
            return false;
    }
    *out_key = name + 1;
    return *name == '_';
}

/* The row whose section the variable's name begins with; NULL when it is none of ours. */
static const struct option_row *row_of_section(const char *name, const char **out_key)
{
    for (unsigned i = 0; i < option_count(); i++) {
        if (name_is_in_section(name, option_at(i)->section, out_key))
            return option_at(i);
    }
    return NULL;
}

/* SHOAL_NFS_PORT=2049. Names that begin with no section (SHOAL_DATA, used by the CLI) are not ours.
 */
static int load_variable(struct loader *loader, const char *variable)
{
    const char *name = variable + strlen(ENVIRONMENT_PREFIX);
    const char *value = strchr(name, '=');
    const char *key_upper;
    const struct option_row *row = row_of_section(name, &key_upper);
    if (value == NULL || row == NULL || key_upper > value)
        return 0;
    char key[64];
    size_t size = (size_t)(value - key_upper);
    if (size >= sizeof key)
        size = sizeof key - 1; /* longer than any key: it will not be found */
    for (size_t i = 0; i < size; i++)
        key[i] = lower_case(key_upper[i]);
    key[size] = '\0';
    row = option_find(row->section, key, loader->problem);
    if (row != NULL && option_parse(row, value + 1, loader->options, loader->problem) == 0)
        return 0;
    problem_prefix(loader->problem, "Environment variable %.*s", (int)(value - variable), variable);
    return -EINVAL;
}

/* --set section.key=value */
static int load_setting(struct loader *loader, const char *setting)
{
    char name[96];
    const char *value = strchr(setting, '=');
    const char *dot = strchr(setting, '.');
    if (value == NULL || dot == NULL || dot > value || (size_t)(value - setting) >= sizeof name) {
        problem_set(loader->problem, "--set takes section.key=value, such as nfs.port=2049.");
        return -EINVAL;
    }
    memcpy(name, setting, (size_t)(value - setting));
    name[value - setting] = '\0';
    name[dot - setting] = '\0';
    const struct option_row *row = option_find(name, name + (dot - setting) + 1, loader->problem);
    if (row != NULL && option_parse(row, value + 1, loader->options, loader->problem) == 0)
        return 0;
    problem_prefix(loader->problem, "--set");
    return -EINVAL;
}

static const struct {
    const char *flag;
    enum options_action action;
} actions[] = {
    { "--check-config", OPTIONS_CHECK },
    { "--print-config", OPTIONS_PRINT },
    { "--help", OPTIONS_HELP },
    { "-h", OPTIONS_HELP },
    { "--version", OPTIONS_VERSION },
};

static void explain_unknown_flag(struct loader *loader, const char *flag)
{
    const char *words[ARRAY_SIZE(loader->given_lines) + ARRAY_SIZE(actions) + 2];
    size_t count = 0;
    words[count++] = "--config";
    words[count++] = "--set";
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        words[count++] = actions[i].flag;
    for (unsigned i = 0; i < option_count(); i++) {
        if (option_at(i)->flag != NULL)
            words[count++] = option_at(i)->flag;
    }
    int nearest = flag[0] == '-' ? text_nearest(flag, words, count) : -1;
    if (nearest >= 0)
        problem_set(loader->problem, "shoald knows no %s; did you mean %s?", flag, words[nearest]);
    else
        problem_set(
            loader->problem, "shoald knows no %s; shoald --help lists what it knows.", flag);
}

/* A flag with a value. With `only_config` just --config is looked at: the file must be read first.
 */
static int load_flag(struct loader *loader, const char *flag, const char *value, bool only_config)
{
    if (strcmp(flag, "--config") == 0) {
        loader->config_path = value;
        return 0;
    }
    if (only_config)
        return 0;
    if (strcmp(flag, "--set") == 0)
        return load_setting(loader, value);
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option_row *row = option_at(i);
        if (row->flag == NULL || strcmp(row->flag, flag) != 0)
            continue;
        if (option_parse(row, value, loader->options, loader->problem) == 0)
            return 0;
        problem_prefix(loader->problem, "%s", flag);
        return -EINVAL;
    }
    assert(false); /* flag_takes_value() knows only these */
    return -EINVAL;
}

static bool flag_takes_value(const char *flag)
{
    if (strcmp(flag, "--config") == 0 || strcmp(flag, "--set") == 0)
        return true;
    for (unsigned i = 0; i < option_count(); i++) {
        if (option_at(i)->flag != NULL && strcmp(option_at(i)->flag, flag) == 0)
            return true;
    }
    return false;
}

static bool take_action(struct loader *loader, const char *flag)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (strcmp(flag, actions[i].flag) == 0) {
            loader->action = actions[i].action;
            return true;
        }
    }
    return false;
}

static int load_command_line(
    struct loader *loader, const struct options_source *source, bool only_config)
{
    for (int i = 1; i < source->argc; i++) {
        char flag[64];
        const char *word = source->argv[i];
        const char *equals = strchr(word, '=');
        size_t size = equals != NULL ? (size_t)(equals - word) : strlen(word);
        (void)snprintf(flag, sizeof flag, "%.*s", (int)min_size(size, sizeof flag - 1), word);
        if (equals == NULL && take_action(loader, flag))
            continue;
        if (!flag_takes_value(flag)) {
            explain_unknown_flag(loader, flag);
            return -EINVAL;
        }
        if (equals == NULL && i + 1 == source->argc) {
            problem_set(loader->problem, "%s needs a value after it.", flag);
            return -EINVAL;
        }
        const char *value = equals != NULL ? equals + 1 : source->argv[++i];
        if (load_flag(loader, flag, value, only_config) < 0)
            return -EINVAL;
    }
    return 0;
}

/* What no default can give, and what one value alone does not show. */
static int check_whole(struct loader *loader)
{
    bool is_needed = loader->action == OPTIONS_RUN || loader->action == OPTIONS_CHECK;
    if (is_needed && loader->options->node_data[0] == '\0') {
        problem_set(loader->problem,
            "No data directory is given: add --data DIR (it is made when it is missing).");
        return -EINVAL;
    }
    return 0;
}

int options_load(const struct options_source *source, struct options *out_options,
    enum options_action *out_action, struct problem *out_problem)
{
    struct options options;
    struct loader loader = { .options = &options, .problem = out_problem, .action = OPTIONS_RUN };
    assert(option_count() <= ARRAY_SIZE(loader.given_lines));
    options_init(&options);
    out_problem->text[0] = '\0';
    int err = load_command_line(&loader, source, true);
    if (err == 0 && loader.config_path != NULL)
        err = load_file(&loader);
    for (char **variable = source->environment; err == 0 && *variable != NULL; variable++) {
        if (strncmp(*variable, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)) == 0)
            err = load_variable(&loader, *variable);
    }
    if (err == 0)
        err = load_command_line(&loader, source, false);
    if (err == 0)
        err = check_whole(&loader);
    if (err < 0)
        return err;
    *out_options = options;
    *out_action = loader.action;
    return 0;
}
