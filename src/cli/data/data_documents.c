/*
 * cli/data/data_documents.c - shoal data put, get, ls and rm: documents, and who does the rest (room: cli).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/data/data.h"
#include "cli/files/format.h"

#define KINDS "market, indicator, backtest, performance, generation, bars or checkpoint"

/* ---- put ---- */

/* How many words say which document it is, before the file. */
static int name_words(int32_t kind)
{
    static const int words[] = { 2, 3, 1, 1, 2 };
    return words[kind];
}

static int fill_document(struct data_call *call, int32_t kind, struct shoal_data_document *document)
{
    char **words = call->words + 1;
    uint64_t generation = 0;
    document->struct_size = sizeof *document;
    document->kind = kind;
    if (kind == SHOAL_DATA_MARKET_DATA || kind == SHOAL_DATA_INDICATOR) {
        document->symbol = words[0];
        document->timeframe = words[1];
    }
    if (kind != SHOAL_DATA_MARKET_DATA)
        document->name = words[name_words(kind) - 1];
    if (kind == SHOAL_DATA_GENERATION) {
        int status = data_number("generation", words[0], INT64_MAX, &generation);
        if (status != CLI_OK)
            return status;
        document->generation = (int64_t)generation;
    }
    return data_time("--time", call->options.time, &document->time_s);
}

static int put_document(struct data_call *call, int32_t kind)
{
    struct shoal_data_document document = { 0 };
    char id[512];
    char *text = NULL;
    size_t size = 0;
    if (call->word_count != name_words(kind) + 2)
        return cli_usage("`data put %s` takes %d names and a file, or - for standard input.",
            call->words[0], name_words(kind));
    int status = fill_document(call, kind, &document);
    if (status == CLI_OK)
        status = data_read_file(call->words[call->word_count - 1], &text, &size);
    if (status != CLI_OK)
        return status;
    document.json = text;
    document.json_size = size;
    if (shoal_data_save_document(call->store, &document, id, sizeof id, &call->error) !=
        SHOAL_DATA_OK)
        status = data_say(call);
    else if (call->options.as_json)
        status =
            format_print_json(json_pack("{s:s, s:I}", "id", id, "size_bytes", (json_int_t)size));
    else
        (void)printf("%s\n", id);
    free(text);
    return status;
}

int data_put(struct data_call *call)
{
    const char *kind = call->words[0];
    if (strcmp(kind, "bars") == 0)
        return data_put_bars(call);
    if (strcmp(kind, "checkpoint") == 0)
        return data_put_checkpoint(call);
    if (data_kind(kind) < 0)
        return cli_usage("`data put` takes " KINDS ", not %s.", kind);
    return put_document(call, data_kind(kind));
}

/* ---- get ---- */

int data_get(struct data_call *call)
{
    const char *kind = call->words[0];
    struct shoal_data_list *list = NULL;
    if (strcmp(kind, "bars") == 0)
        return data_get_bars(call);
    if (strcmp(kind, "checkpoint") == 0)
        return data_get_checkpoint(call);
    if (data_kind(kind) < 0)
        return cli_usage("`data get` takes " KINDS ", not %s.", kind);
    if (shoal_data_load_document(
            call->store, data_kind(kind), call->words[1], &list, &call->error) != SHOAL_DATA_OK)
        return data_say(call);
    const struct shoal_data_item *item = shoal_data_list_item(list, 0);
    size_t written = fwrite(item->text, 1, item->size_bytes, stdout);
    int status =
        written == item->size_bytes ? CLI_OK : cli_fail("Cannot write to standard output.");
    shoal_data_list_free(list);
    return status;
}

/* ---- ls ---- */

static const char *problem_at(const void *handle, uint64_t index)
{
    return shoal_data_list_problem(handle, index);
}

static json_t *item_json(const struct shoal_data_item *item)
{
    json_t *json =
        json_pack("{s:s, s:I}", "id", item->id, "size_bytes", (json_int_t)item->size_bytes);
    if (json == NULL)
        return NULL;
    if (item->time_s != 0)
        (void)json_object_set_new(json, "time", json_integer(item->time_s)); /* or it is left out */
    if (item->symbol[0] != '\0')
        (void)json_object_set_new(json, "symbol", json_string(item->symbol));
    if (item->timeframe[0] != '\0')
        (void)json_object_set_new(json, "timeframe", json_string(item->timeframe));
    if (item->name[0] != '\0')
        (void)json_object_set_new(json, "name", json_string(item->name));
    if (item->generation >= 0)
        (void)json_object_set_new(json, "generation", json_integer(item->generation));
    if (item->version > 0)
        (void)json_object_set_new(json, "version", json_integer((json_int_t)item->version));
    if (item->version > 0 && item->text != NULL)
        (void)json_object_set_new(json, "metadata", json_loads(item->text, JSON_ALLOW_NUL, NULL));
    return json;
}

static int print_list_json(const struct shoal_data_list *list)
{
    json_t *array = json_array();
    for (uint64_t i = 0; i < shoal_data_list_count(list); i++) {
        json_t *json = item_json(shoal_data_list_item(list, i));
        if (array == NULL || json == NULL || json_array_append_new(array, json) < 0) {
            json_decref(array);
            return cli_fail("There is no memory left.");
        }
    }
    return format_print_json(array);
}

static void print_row(const struct shoal_data_item *item)
{
    char time[48] = "-";
    char size[FORMAT_SIZE];
    char version[24] = "";
    if (item->time_s != 0)
        (void)data_show_time(time, item->time_s);
    if (item->version > 0)
        (void)snprintf(version, sizeof version, "v%" PRIu64, item->version); /* fits */
    (void)printf("%-20s %10s %6s  ", time, format_bytes(size, item->size_bytes), version);
    if (item->time_s == 0 && item->symbol[0] != '\0') {
        format_print_name(item->symbol);
        (void)printf(" %s\n", item->timeframe);
    } else {
        format_print_name(item->id);
        (void)putchar('\n');
    }
}

static int print_list(const struct data_call *call, const struct shoal_data_list *list)
{
    if (call->options.as_json)
        return print_list_json(list);
    uint64_t count = shoal_data_list_count(list);
    if (count > 0)
        (void)printf("%-20s %10s %6s  %s\n", "TIME (UTC)", "SIZE", "", "NAME");
    for (uint64_t i = 0; i < count; i++)
        print_row(shoal_data_list_item(list, i));
    return CLI_OK;
}

static int fill_query(const struct data_options *options, struct shoal_data_query *query)
{
    uint64_t generation = 0;
    query->struct_size = sizeof *query;
    query->symbol = options->symbol;
    query->timeframe = options->timeframe;
    query->name = options->name;
    query->generation = SHOAL_DATA_ANY_GENERATION;
    query->flags = SHOAL_DATA_WITHOUT_TEXT;
    int status = data_number("--generation", options->generation, INT64_MAX, &generation);
    if (options->generation != NULL)
        query->generation = (int64_t)generation;
    if (status == CLI_OK)
        status = data_number("--limit", options->limit, UINT64_MAX, &query->limit);
    if (status == CLI_OK)
        status = data_time("--from", options->from, &query->from_s);
    return status == CLI_OK ? data_time("--to", options->to, &query->to_s) : status;
}

/* Gives the status of the store, or -1 when a sentence has been said. */
static int32_t load_list(struct data_call *call, struct shoal_data_list **out_list)
{
    const char *kind = call->words[0];
    if (strcmp(kind, "bars") == 0)
        return shoal_data_list_series(call->store, call->options.timeframe, out_list, &call->error);
    if (strcmp(kind, "checkpoint") == 0)
        return call->word_count == 1
                   ? shoal_data_list_checkpoints(call->store, out_list, &call->error)
                   : shoal_data_list_versions(call->store, call->words[1], out_list, &call->error);
    struct shoal_data_query query = { .kind = data_kind(kind) };
    if (query.kind < 0) {
        (void)cli_usage("`data ls` takes " KINDS ", not %s.", kind);
        return -1;
    }
    if (fill_query(&call->options, &query) != CLI_OK)
        return -1;
    return shoal_data_load_documents(call->store, &query, out_list, &call->error);
}

int data_ls(struct data_call *call)
{
    struct shoal_data_list *list = NULL;
    int32_t loaded = load_list(call, &list);
    if (loaded < 0)
        return CLI_USAGE;
    if (loaded != SHOAL_DATA_OK && loaded != SHOAL_DATA_DAMAGED)
        return data_say(call);
    int status = print_list(call, list);
    data_say_problems(list, problem_at);
    shoal_data_list_free(list);
    return loaded == SHOAL_DATA_OK ? status : CLI_FAILED;
}

/* ---- rm ---- */

int data_rm(struct data_call *call)
{
    const char *kind = call->words[0];
    uint64_t version = 0;
    int32_t removed;
    int status = data_number("--version", call->options.version, UINT64_MAX, &version);
    if (status != CLI_OK)
        return status;
    if (strcmp(kind, "checkpoint") == 0)
        removed = shoal_data_delete_checkpoint(call->store, call->words[1], version, &call->error);
    else if (data_kind(kind) >= 0)
        removed =
            shoal_data_delete_document(call->store, data_kind(kind), call->words[1], &call->error);
    else
        return cli_usage("`data rm` takes market, indicator, backtest, performance, generation or "
                         "checkpoint, not %s.",
            kind);
    return removed == SHOAL_DATA_OK ? CLI_OK : data_say(call);
}
