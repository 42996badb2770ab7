/*
 * cli/data/cmd_data.c - shoal data: the verbs on a store of market data, checkpoints and results (room: cli).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/sys.h"
#include "base/text.h"
#include "cli/data/data.h"

static const struct data_verb verbs[] = {
    { "init", data_init, 0, 0, true, true, "shoal data init --store /mnt/shared/data" },
    { "put", data_put, 2, 5, true, true, "shoal data put market AAPL 1m quotes.json" },
    { "get", data_get, 2, 3, false, true, "shoal data get checkpoint net -o model.pkl" },
    { "ls", data_ls, 1, 2, false, true, "shoal data ls market --symbol AAPL --limit 10" },
    { "rm", data_rm, 2, 2, false, true, "shoal data rm backtest mean_reversion_1700000000" },
    { "retain", data_retain, 1, 1, false, true, "shoal data retain net --keep-last 3" },
    { "clean", data_clean, 0, 0, false, true, "shoal data clean --days 7 --dry-run" },
    { "health", data_health, 0, 0, false, true, "shoal data health" },
    { "usage", data_usage, 0, 0, false, true, "shoal data usage" },
    { "compact", data_compact, 0, 2, false, true, "shoal data compact AAPL 1m" },
    { "migrate", data_migrate, 0, 0, false, false, "shoal data migrate --from DIR --to URL" },
};

int data_say(const struct data_call *call)
{
    if (call->error.status == SHOAL_DATA_INVALID)
        return cli_usage("%s", call->error.message);
    return cli_fail("%s", call->error.message);
}

int32_t data_kind(const char *word)
{
    static const char *const kinds[] = { "market", "indicator", "backtest", "performance",
        "generation" };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(word, kinds[i]) == 0)
            return (int32_t)i;
    }
    return -1;
}

int data_number(const char *option, const char *text, uint64_t max, uint64_t *out_value)
{
    if (text == NULL || text_parse_u64(text, max, out_value) == 0)
        return CLI_OK;
    return cli_usage("%s takes a number up to %" PRIu64 ", not %s.", option, max, text);
}

int data_time(const char *option, const char *text, int64_t *out_seconds)
{
    struct tm parts = { 0 };
    uint64_t seconds;
    if (text == NULL)
        return CLI_OK;
    if (text_parse_u64(text, UINT64_C(253402300799), &seconds) == 0) {
        *out_seconds = (int64_t)seconds;
        return CLI_OK;
    }
    const char *end = strptime(text, "%Y-%m-%d", &parts);
    if (end != NULL && *end == 'T')
        end = strptime(end, "T%H:%M:%S", &parts);
    if (end == NULL || (*end != '\0' && strcmp(end, "Z") != 0))
        return cli_usage("%s takes seconds since 1970, or a time such as 2026-01-02 or "
                         "2026-01-02T03:04:05, not %s.",
            option, text);
    *out_seconds = timegm(&parts);
    return CLI_OK;
}

const char *data_show_time(char *buffer, int64_t seconds)
{
    struct tm parts;
    time_t value = (time_t)seconds;
    if (gmtime_r(&value, &parts) == NULL || strftime(buffer, 48, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        (void)snprintf(buffer, 48, "%" PRId64, seconds); /* fits */
    return buffer;
}

int data_read_file(const char *path, char **out_text, size_t *out_size)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    if (file == NULL)
        return cli_fail("Cannot open %s: %s.", path, strerrordesc_np(errno));
    char *text = NULL;
    size_t size = 0;
    size_t room = 0;
    int status = CLI_OK;
    while (status == CLI_OK && !feof(file) && !ferror(file)) {
        if (size + 1 >= room) {
            room = room == 0 ? 65536 : room * 2;
            char *more = room > 2 * SHOAL_DATA_JSON_SIZE_MAX ? NULL : realloc(text, room);
            if (more == NULL)
                status = cli_fail("%s is larger than 256 MiB, or there is no memory left.", path);
            text = more != NULL ? more : text;
        }
        if (status == CLI_OK)
            size += fread(text + size, 1, room - size - 1, file);
    }
    if (status == CLI_OK && (text == NULL || ferror(file)))
        status = cli_fail("Cannot read %s.", path);
    if (!is_input)
        (void)fclose(file); /* read only */
    if (status != CLI_OK) {
        free(text);
        return status;
    }
    assert(text != NULL);
    text[size] = '\0';
    *out_text = text;
    *out_size = size;
    return CLI_OK;
}

void data_say_problems(const void *handle, const char *(*at)(const void *handle, uint64_t index))
{
    for (uint64_t i = 0; at(handle, i) != NULL; i++)
        (void)cli_fail("%s", at(handle, i));
}

int data_init(struct data_call *call)
{
    (void)call; /* opening with `create` has done it */
    return CLI_OK;
}

/* ---- The command ---- */

static const struct data_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static int explain_unknown(const char *word)
{
    const char *names[ARRAY_SIZE(verbs)];
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        names[i] = verbs[i].name;
    int nearest = text_nearest(word, names, ARRAY_SIZE(verbs));
    if (nearest >= 0)
        return cli_usage("`data` cannot %s; did you mean %s?", word, names[nearest]);
    return cli_usage("`data` cannot %s; shoal data --help lists what it can.", word);
}

static int parse_options(struct data_options *options, int *argc, char **argv)
{
    struct cli_option rows[] = { { "--store", &options->store, NULL },
        { "--symbol", &options->symbol, NULL }, { "--timeframe", &options->timeframe, NULL },
        { "--name", &options->name, NULL }, { "--generation", &options->generation, NULL },
        { "--from", &options->from, NULL }, { "--to", &options->to, NULL },
        { "--limit", &options->limit, NULL }, { "--time", &options->time, NULL },
        { "--version", &options->version, NULL }, { "--metadata", &options->metadata, NULL },
        { "-o", &options->output, NULL }, { "--keep-last", &options->keep_last, NULL },
        { "--keep-best", &options->keep_best, NULL }, { "--metric", &options->metric, NULL },
        { "--days", &options->days, NULL }, { "--rules", &options->rules, NULL },
        { "--threads", &options->threads, NULL }, { "--json", NULL, &options->as_json },
        { "-q", NULL, &options->is_quiet }, { "--dry-run", NULL, &options->is_dry_run },
        { "--minimize", NULL, &options->is_minimum } };
    return cli_parse(rows, ARRAY_SIZE(rows), argc, argv);
}

static int open_store(struct data_call *call, const struct data_verb *verb)
{
    struct shoal_data_options options = {
        .struct_size = sizeof options, .create = verb->creates, .pool_min = 1
    };
    uint64_t threads = 0;
    int status = data_number("--threads", call->options.threads, 64, &threads);
    if (status != CLI_OK)
        return status;
    options.threads = (uint32_t)threads;
    const char *url = call->options.store;
    if (url == NULL)
        url = getenv("SHOAL_STORE"); /* NOLINT(concurrency-mt-unsafe): one thread yet */
    if (url == NULL || url[0] == '\0')
        return cli_usage(
            "Which store? Give --store DIR or a postgresql:// URL, or set SHOAL_STORE.");
    if (shoal_data_open(url, &options, &call->store, &call->error) != SHOAL_DATA_OK)
        return data_say(call);
    return CLI_OK;
}

int cmd_data(int argc, char **argv)
{
    struct data_call call = { 0 };
    int status = parse_options(&call.options, &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 2)
        return cli_usage("What with the data? For example: shoal data ls checkpoint --store DIR");
    const struct data_verb *verb = find_verb(argv[1]);
    if (verb == NULL)
        return explain_unknown(argv[1]);
    call.word_count = argc - 2;
    call.words = argv + 2;
    if (call.word_count < verb->words_min || call.word_count > verb->words_max)
        return cli_usage("`data %s` is used as: %s", verb->name, verb->example);
    if (verb->needs_store)
        status = open_store(&call, verb);
    if (status == CLI_OK)
        status = verb->run(&call);
    shoal_data_close(call.store);
    if (fflush(stdout) != 0 && status == CLI_OK)
        status = cli_fail("Cannot write to standard output.");
    return status;
}
