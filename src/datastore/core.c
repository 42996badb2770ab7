/*
 * datastore/core.c - the public functions on stores, documents, bars and upkeep: arguments are checked, defaults filled in, and
 * the backend does the rest (room: datastore). Checkpoints: core_checkpoints.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/sys.h"
#include "datastore/store.h"

#define THREADS_MAX      64u
#define POOL_MAX         1000u
#define MANY_MAX         (UINT64_C(1) << 24) /* documents, series or symbols of one call */
#define RULES_MAX        1000u
#define DAYS_MAX         INT64_C(1000000)
#define OPTION_BYTES_MAX 4096u

const char *shoal_data_version(void)
{
    return SHOAL_VERSION;
}

int32_t store_take_options(void *to, size_t size, size_t size_min, const void *from,
    const char *what, struct shoal_data_error *error)
{
    memset(to, 0, size);
    if (from == NULL)
        return SHOAL_DATA_OK;
    uint32_t given;
    memcpy(&given, from, sizeof given);
    if (given < size_min || given > OPTION_BYTES_MAX)
        return data_fail(error, SHOAL_DATA_INVALID,
            "struct_size of the %s is %u: set it to its sizeof.", what, given);
    memcpy(to, from, min_size(size, given));
    return SHOAL_DATA_OK;
}

/* ---- Opening ---- */

static int32_t fill_options(const struct shoal_data_options *given,
    struct shoal_data_options *options, struct shoal_data_error *error)
{
    int32_t status =
        store_take_options(options, sizeof *options, sizeof(uint32_t), given, "options", error);
    if (status != SHOAL_DATA_OK)
        return status;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = processors > 2 ? (uint32_t)processors * 2 : 4;
    options->struct_size = sizeof *options;
    options->threads = min_u32(options->threads == 0 ? threads : options->threads, THREADS_MAX);
    options->timeout_ms = options->timeout_ms == 0 ? DATA_TIMEOUT_MS : options->timeout_ms;
    options->pool_min = options->pool_min == 0 ? 10 : options->pool_min;
    options->pool_max = options->pool_max == 0 ? 50 : options->pool_max;
    if (options->pool_max > POOL_MAX)
        return data_fail(error, SHOAL_DATA_INVALID, "pool_max is %u; the most is %u.",
            options->pool_max, POOL_MAX);
    if (options->pool_min > options->pool_max)
        options->pool_min = options->pool_max; /* a small pool_max, and the default for the other */
    return SHOAL_DATA_OK;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The backend for a URL, and what it is to open. */
static int32_t choose_backend(
    const char **url, const struct datastore_ops **out_ops, struct shoal_data_error *error)
{
    if (strcmp(*url, "neon") == 0) {
        *url = getenv("NEON_CONNECTION_STRING"); /* NOLINT(concurrency-mt-unsafe): read only */
        if (*url == NULL || **url == '\0')
            return data_fail(error, SHOAL_DATA_INVALID,
                "The URL \"neon\" needs NEON_CONNECTION_STRING in the environment.");
    }
    if (begins_with(*url, "postgres://") || begins_with(*url, "postgresql://")) {
#ifdef SHOAL_DATA_POSTGRES
        *out_ops = &postgres_ops;
        return SHOAL_DATA_OK;
#else
        return data_fail(error, SHOAL_DATA_UNSUPPORTED,
            "This library was built without the PostgreSQL backend (libpq).");
#endif
    }
    if (begins_with(*url, "file://")) {
        *url += strlen("file://");
        if (**url != '/')
            return data_fail(error, SHOAL_DATA_INVALID,
                "The URL file://%.200s does not have an absolute path: file:///path.", *url);
    } else if (strstr(*url, "://") != NULL) {
        return data_fail(error, SHOAL_DATA_INVALID,
            "The URL does not begin with file:// or postgresql://, and is no path.");
    }
    *out_ops = &files_ops;
    return SHOAL_DATA_OK;
}

int32_t shoal_data_open(const char *url, const struct shoal_data_options *options,
    struct shoal_data **out_store, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    struct shoal_data_options full;
    int32_t status = fill_options(options, &full, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (url == NULL || url[0] == '\0')
        return data_fail(error, SHOAL_DATA_INVALID, "The URL of the store is missing.");
    struct shoal_data *store = calloc(1, sizeof *store);
    if (store == NULL)
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    store->threads = full.threads;
    status = choose_backend(&url, &store->ops, error);
    assert(status != SHOAL_DATA_OK || store->ops != NULL);
    if (status == SHOAL_DATA_OK)
        status = store->ops->open(url, &full, &store->backend, error);
    if (status != SHOAL_DATA_OK) {
        free(store);
        return status;
    }
    *out_store = store;
    return SHOAL_DATA_OK;
}

void shoal_data_close(struct shoal_data *store)
{
    if (store == NULL)
        return;
    store->ops->close(store->backend);
    free(store);
}

const char *shoal_data_backend(const struct shoal_data *store)
{
    return store->ops->name;
}

/* ---- Documents ---- */

static int32_t check_kind(int32_t kind, struct shoal_data_error *error)
{
    if (kind < SHOAL_DATA_MARKET_DATA || kind > SHOAL_DATA_GENERATION)
        return data_fail(error, SHOAL_DATA_INVALID, "There is no kind %d of documents.", kind);
    return SHOAL_DATA_OK;
}

static bool has_symbol(int32_t kind)
{
    return kind == SHOAL_DATA_MARKET_DATA || kind == SHOAL_DATA_INDICATOR;
}

static int32_t check_document(
    const struct shoal_data_document *document, struct shoal_data_error *error)
{
    int32_t status = check_kind(document->kind, error);
    if (status == SHOAL_DATA_OK && has_symbol(document->kind))
        status = data_check_name("symbol", document->symbol, error);
    if (status == SHOAL_DATA_OK && has_symbol(document->kind))
        status = data_check_timeframe(document->timeframe, error);
    if (status == SHOAL_DATA_OK && document->kind != SHOAL_DATA_MARKET_DATA)
        status = data_check_name("name", document->name, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (document->kind == SHOAL_DATA_GENERATION && document->generation < 0)
        return data_fail(error, SHOAL_DATA_INVALID, "The generation %lld is less than 0.",
            (long long)document->generation);
    if (document->time_s < 0 || document->time_s > DATA_TIME_S_MAX)
        return data_fail(error, SHOAL_DATA_INVALID,
            "The time %lld is not in seconds since 1970 up to year 9999.",
            (long long)document->time_s);
    return data_check_json(document->json, document->json_size, error);
}

static int32_t save_document(struct shoal_data *store, const struct shoal_data_document *given,
    char *out_id, struct shoal_data_error *error)
{
    struct shoal_data_document document;
    int32_t status =
        store_take_options(&document, sizeof document, sizeof document, given, "document", error);
    if (status == SHOAL_DATA_OK)
        status = check_document(&document, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (!has_symbol(document.kind))
        document.symbol = document.timeframe = NULL;
    if (document.kind == SHOAL_DATA_MARKET_DATA)
        document.name = NULL;
    if (document.kind != SHOAL_DATA_GENERATION)
        document.generation = -1;
    return store->ops->save_document(store->backend, &document, out_id, error);
}

int32_t shoal_data_save_document(struct shoal_data *store,
    const struct shoal_data_document *document, char *out_id, uint64_t out_id_size,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    if (document == NULL)
        return data_fail(error, SHOAL_DATA_INVALID, "The document is missing.");
    char id[DATA_ID_SIZE_MAX] = "";
    if (out_id != NULL && out_id_size < sizeof id)
        return data_fail(error, SHOAL_DATA_INVALID,
            "The buffer for the id has %llu bytes; 512 are needed.",
            (unsigned long long)out_id_size);
    int32_t status = save_document(store, document, id, error);
    if (status == SHOAL_DATA_OK && out_id != NULL)
        memcpy(out_id, id, strlen(id) + 1);
    return status;
}

/* What calls on many things share: the first failure, and how many succeeded. */
struct many {
    struct shoal_data *store;
    const void *items;
    struct mutex lock;
    struct shoal_data_error *error; /* under `lock`, as the next two */
    uint64_t failed_index;          /* UINT64_MAX: none */
    uint64_t succeeded;
    /* for bars */
    const char *timeframe;
    int64_t from_ns, to_ns;
    uint32_t columns;
    struct shoal_data_frame **frames;
};

static void many_report(
    struct many *many, uint64_t index, int32_t status, struct shoal_data_error *error)
{
    mutex_lock(&many->lock);
    many->succeeded += status == SHOAL_DATA_OK;
    if (status != SHOAL_DATA_OK && index < many->failed_index) {
        many->failed_index = index;
        *many->error = *error;
    }
    mutex_unlock(&many->lock);
}

static int32_t many_run(struct many *many, uint64_t count,
    void (*run)(void *context, uint64_t index), uint64_t *out_succeeded)
{
    many->failed_index = UINT64_MAX;
    (void)pthread_mutex_init(&many->lock.pthread, NULL); /* cannot fail without attributes */
    data_parallel(many->store->threads, count, run, many);
    (void)pthread_mutex_destroy(&many->lock.pthread); /* nobody holds it */
    if (out_succeeded != NULL)
        *out_succeeded = many->succeeded;
    return many->failed_index == UINT64_MAX ? SHOAL_DATA_OK : many->error->status;
}

static int32_t check_many(const void *items, uint64_t count, const char *what,
    uint64_t *out_succeeded, struct shoal_data_error *error)
{
    if (out_succeeded != NULL)
        *out_succeeded = 0;
    if ((items == NULL && count > 0) || count > MANY_MAX)
        return data_fail(error, SHOAL_DATA_INVALID, "%llu %s are too many, or NULL.",
            (unsigned long long)count, what);
    return SHOAL_DATA_OK;
}

static void save_one(void *context, uint64_t index)
{
    struct many *many = context;
    const struct shoal_data_document *documents = many->items;
    struct shoal_data_error error;
    char id[DATA_ID_SIZE_MAX];
    int32_t status = save_document(many->store, &documents[index], id, &error);
    many_report(many, index, status, &error);
}

int32_t shoal_data_save_documents(struct shoal_data *store,
    const struct shoal_data_document *documents, uint64_t count, uint64_t *out_saved,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = check_many(documents, count, "documents", out_saved, error);
    if (status != SHOAL_DATA_OK)
        return status;
    struct many many = { .store = store, .items = documents, .error = error };
    return many_run(&many, count, save_one, out_saved);
}

static int32_t check_query(struct shoal_data_query *query, struct shoal_data_error *error)
{
    int32_t status = check_kind(query->kind, error);
    if (status == SHOAL_DATA_OK && query->symbol != NULL)
        status = data_check_name("symbol", query->symbol, error);
    if (status == SHOAL_DATA_OK && query->timeframe != NULL)
        status = data_check_timeframe(query->timeframe, error);
    if (status == SHOAL_DATA_OK && query->name != NULL)
        status = data_check_name("name", query->name, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (query->from_s < 0 || query->to_s < 0 || (query->to_s != 0 && query->to_s < query->from_s))
        return data_fail(error, SHOAL_DATA_INVALID, "The range of time %lld to %lld is none.",
            (long long)query->from_s, (long long)query->to_s);
    if (query->generation < SHOAL_DATA_ANY_GENERATION)
        return data_fail(error, SHOAL_DATA_INVALID, "The generation %lld is less than 0.",
            (long long)query->generation);
    return SHOAL_DATA_OK;
}

int32_t shoal_data_load_documents(struct shoal_data *store, const struct shoal_data_query *given,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    if (given == NULL)
        return data_fail(error, SHOAL_DATA_INVALID, "The query is missing.");
    struct shoal_data_query query;
    int32_t status = store_take_options(&query, sizeof query, sizeof query, given, "query", error);
    if (status == SHOAL_DATA_OK)
        status = check_query(&query, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (!has_symbol(query.kind))
        query.symbol = query.timeframe = NULL;
    if (query.kind == SHOAL_DATA_MARKET_DATA)
        query.name = NULL;
    if (query.kind != SHOAL_DATA_GENERATION)
        query.generation = SHOAL_DATA_ANY_GENERATION;
    if (query.limit == 0)
        query.limit = SHOAL_DATA_LIMIT_DEFAULT;
    if (query.to_s == 0)
        query.to_s = INT64_MAX;
    return store->ops->load_documents(store->backend, &query, out_list, error);
}

static int32_t check_id(int32_t kind, const char *id, struct shoal_data_error *error)
{
    int32_t status = check_kind(kind, error);
    if (status == SHOAL_DATA_OK &&
        (id == NULL || id[0] == '\0' || strnlen(id, DATA_ID_SIZE_MAX) >= DATA_ID_SIZE_MAX))
        status = data_fail(
            error, SHOAL_DATA_INVALID, "The id of the document is missing or has over 511 bytes.");
    return status;
}

int32_t shoal_data_load_document(struct shoal_data *store, int32_t kind, const char *id,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = check_id(kind, id, error);
    if (status != SHOAL_DATA_OK)
        return status;
    return store->ops->load_document(store->backend, kind, id, out_list, error);
}

int32_t shoal_data_delete_document(
    struct shoal_data *store, int32_t kind, const char *id, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = check_id(kind, id, error);
    if (status != SHOAL_DATA_OK)
        return status;
    return store->ops->delete_document(store->backend, kind, id, error);
}

/* ---- Bars ---- */

static int32_t check_bars(const struct shoal_data_bars *bars, struct shoal_data_error *error)
{
    if (bars == NULL)
        return data_fail(error, SHOAL_DATA_INVALID, "The bars are missing.");
    if (bars->count > (UINT64_C(1) << 32))
        return data_fail(error, SHOAL_DATA_INVALID,
            "%llu bars are more than one call takes (2^32).", (unsigned long long)bars->count);
    const void *const columns[] = { bars->timestamp_ns, bars->open, bars->high, bars->low,
        bars->close, bars->volume };
    static const char *const names[] = { "timestamp", "open", "high", "low", "close", "volume" };
    for (size_t i = 0; bars->count > 0 && i < ARRAY_SIZE(columns); i++) {
        if (columns[i] == NULL)
            return data_fail(
                error, SHOAL_DATA_SCHEMA_MISMATCH, "The column %s is missing.", names[i]);
    }
    return SHOAL_DATA_OK;
}

int32_t shoal_data_append_bars(struct shoal_data *store, const char *symbol, const char *timeframe,
    const struct shoal_data_bars *bars, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = data_check_name("symbol", symbol, error);
    if (status == SHOAL_DATA_OK)
        status = data_check_timeframe(timeframe, error);
    if (status == SHOAL_DATA_OK)
        status = check_bars(bars, error);
    if (status != SHOAL_DATA_OK || bars->count == 0)
        return status;
    return store->ops->append_bars(store->backend, symbol, timeframe, bars, error);
}

static void append_one(void *context, uint64_t index)
{
    struct many *many = context;
    const struct shoal_data_series *series =
        &((const struct shoal_data_series *)many->items)[index];
    struct shoal_data_error error;
    int32_t status = shoal_data_append_bars(
        many->store, series->symbol, series->timeframe, &series->bars, &error);
    many_report(many, index, status, &error);
}

int32_t shoal_data_append_bars_many(struct shoal_data *store,
    const struct shoal_data_series *series, uint64_t count, uint64_t *out_appended,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = check_many(series, count, "series", out_appended, error);
    if (status != SHOAL_DATA_OK)
        return status;
    struct many many = { .store = store, .items = series, .error = error };
    return many_run(&many, count, append_one, out_appended);
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are those of the interface */
int32_t shoal_data_load_bars(struct shoal_data *store, const char *symbol, const char *timeframe,
    int64_t from_ns, int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frame,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = data_check_name("symbol", symbol, error);
    if (status == SHOAL_DATA_OK)
        status = data_check_timeframe(timeframe, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (to_ns < from_ns)
        return data_fail(error, SHOAL_DATA_INVALID, "The range of time %lld to %lld ns is none.",
            (long long)from_ns, (long long)to_ns);
    if ((columns & ~(uint32_t)SHOAL_DATA_ALL_COLUMNS) != 0)
        return data_fail(
            error, SHOAL_DATA_SCHEMA_MISMATCH, "There is no column of bit 0x%x.", columns);
    if (columns == 0)
        columns = SHOAL_DATA_ALL_COLUMNS;
    return store->ops->load_bars(
        store->backend, symbol, timeframe, from_ns, to_ns, columns, out_frame, error);
}

static void load_one(void *context, uint64_t index)
{
    struct many *many = context;
    const char *const *symbols = many->items;
    struct shoal_data_error error;
    int32_t status = shoal_data_load_bars(many->store, symbols[index], many->timeframe,
        many->from_ns, many->to_ns, many->columns, &many->frames[index], &error);
    many_report(many, index, status, &error);
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are those of the interface */
int32_t shoal_data_load_bars_many(struct shoal_data *store, const char *const *symbols,
    uint64_t count, const char *timeframe, int64_t from_ns, int64_t to_ns, uint32_t columns,
    struct shoal_data_frame **out_frames, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = check_many(symbols, count, "symbols", NULL, error);
    if (status != SHOAL_DATA_OK)
        return status;
    for (uint64_t i = 0; i < count; i++)
        out_frames[i] = NULL;
    struct many many = { .store = store,
        .items = symbols,
        .error = error,
        .timeframe = timeframe,
        .from_ns = from_ns,
        .to_ns = to_ns,
        .columns = columns,
        .frames = out_frames };
    return many_run(&many, count, load_one, NULL);
}

int32_t shoal_data_list_series(struct shoal_data *store, const char *timeframe,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = timeframe == NULL ? SHOAL_DATA_OK : data_check_timeframe(timeframe, error);
    if (status != SHOAL_DATA_OK)
        return status;
    return store->ops->list_series(store->backend, timeframe, out_list, error);
}

int32_t shoal_data_compact_bars(struct shoal_data *store, const char *symbol, const char *timeframe,
    struct shoal_data_compaction *out_report, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = SHOAL_DATA_OK;
    if (symbol != NULL)
        status = data_check_name("symbol", symbol, error);
    if (status == SHOAL_DATA_OK && timeframe != NULL)
        status = data_check_timeframe(timeframe, error);
    if (status != SHOAL_DATA_OK)
        return status;
    struct shoal_data_compaction report = { 0 };
    status = store->ops->compact_bars(store->backend, symbol, timeframe, &report, error);
    if (status == SHOAL_DATA_OK && out_report != NULL)
        *out_report = report;
    return status;
}

/* ---- Upkeep ---- */

static int32_t check_clean(struct shoal_data_clean_options *options, struct shoal_data_error *error)
{
    if (options->days == 0)
        options->days = 7;
    if (options->days < -1 || options->days > DAYS_MAX)
        return data_fail(
            error, SHOAL_DATA_INVALID, "%lld days are none.", (long long)options->days);
    if (options->rule_count > RULES_MAX || (options->rule_count > 0 && options->rules == NULL))
        return data_fail(error, SHOAL_DATA_INVALID, "There may be %u rules at most.", RULES_MAX);
    for (uint64_t i = 0; i < options->rule_count; i++) {
        const struct shoal_data_clean_rule *rule = &options->rules[i];
        if (rule->directory == NULL || rule->directory[0] == '\0' ||
            !data_is_clean_directory(rule->directory))
            return data_fail(error, SHOAL_DATA_INVALID,
                "\"%.200s\" is not market_data, results, logs or a directory in one of them.",
                rule->directory == NULL ? "" : rule->directory);
        if (rule->days < -1 || rule->days > DAYS_MAX)
            return data_fail(error, SHOAL_DATA_INVALID, "%lld days for %.200s are none.",
                (long long)rule->days, rule->directory);
    }
    return SHOAL_DATA_OK;
}

int32_t shoal_data_clean(struct shoal_data *store, const struct shoal_data_clean_options *given,
    struct shoal_data_report **out_report, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    struct shoal_data_clean_options options;
    int32_t status =
        store_take_options(&options, sizeof options, sizeof options, given, "options", error);
    if (status == SHOAL_DATA_OK)
        status = check_clean(&options, error);
    if (status != SHOAL_DATA_OK)
        return status;
    return store->ops->clean(store->backend, &options, out_report, error);
}

int32_t shoal_data_usage(
    struct shoal_data *store, struct shoal_data_report **out_report, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    return store->ops->usage(store->backend, out_report, error_or(error, &own));
}

int32_t shoal_data_health(
    struct shoal_data *store, struct shoal_data_health *out_health, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    struct shoal_data_health health = { .free_bytes = UINT64_MAX };
    int32_t status = store->ops->health(store->backend, &health, error_or(error, &own));
    if (status == SHOAL_DATA_OK)
        *out_health = health;
    return status;
}
