/* The contract of shoal_data.h: documents, results, health, usage. */
#include "contract.h"

#include <pthread.h>
#include <stdio.h>

static struct shoal_data_document market(const char *symbol, int64_t time_s, const char *json)
{
    return (struct shoal_data_document){ .struct_size = sizeof(struct shoal_data_document),
        .kind = SHOAL_DATA_MARKET_DATA,
        .symbol = symbol,
        .timeframe = "1m",
        .time_s = time_s,
        .json = json,
        .json_size = strlen(json) };
}

static struct shoal_data_query all_of(int32_t kind)
{
    return (struct shoal_data_query){ .struct_size = sizeof(struct shoal_data_query),
        .kind = kind,
        .generation = SHOAL_DATA_ANY_GENERATION };
}

static void save(struct contract *contract, const struct shoal_data_document *document, char *id)
{
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_save_document(contract->store, document, id, 512, &contract->error));
}

static struct shoal_data_list *load(
    struct contract *contract, const struct shoal_data_query *query, uint64_t count)
{
    struct shoal_data_list *list = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_load_documents(contract->store, query, &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), count);
    assert_int_equal(shoal_data_list_problem_count(list), 0);
    assert_null(shoal_data_list_item(list, count));
    return list;
}

static void documents_come_back_newest_first(void **state)
{
    struct contract *contract = *state;
    char id[512];
    for (int64_t i = 1; i <= 20; i++) {
        char json[64];
        int size = snprintf(json, sizeof json, "{\"n\": %d}", (int)i);
        assert_in_range(size, 1, sizeof json - 1);
        struct shoal_data_document document = market("AAPL", 1700000000 + (i * 7) % 20, json);
        save(contract, &document, id);
        assert_true(id[0] != '\0');
    }
    struct shoal_data_query query = all_of(SHOAL_DATA_MARKET_DATA);
    struct shoal_data_list *list = load(contract, &query, 20);
    for (uint64_t i = 0; i + 1 < 20; i++)
        assert_true(
            shoal_data_list_item(list, i)->time_s > shoal_data_list_item(list, i + 1)->time_s);
    const struct shoal_data_item *item = shoal_data_list_item(list, 0);
    assert_string_equal(item->symbol, "AAPL");
    assert_string_equal(item->timeframe, "1m");
    assert_int_equal(item->size_bytes, strlen(item->text));
    shoal_data_list_free(list);

    query.limit = 3;
    list = load(contract, &query, 3);
    assert_int_equal(shoal_data_list_item(list, 0)->time_s, 1700000019);
    shoal_data_list_free(list);
    query.from_s = 1700000005; /* half open */
    query.to_s = 1700000007;
    list = load(contract, &query, 2);
    assert_int_equal(shoal_data_list_item(list, 0)->time_s, 1700000006);
    assert_ptr_equal(shoal_data_list_item(list, 1), shoal_data_list_item(list, 0) + 1);
    char joined[64];
    uint64_t size = 0;
    (void)snprintf(joined, sizeof joined, "[%s,%s]", shoal_data_list_item(list, 0)->text,
        shoal_data_list_item(list, 1)->text);
    assert_string_equal(shoal_data_list_json(list, &size), joined);
    assert_int_equal(size, strlen(joined));
    shoal_data_list_free(list);
    query.flags = SHOAL_DATA_WITHOUT_TEXT;
    list = load(contract, &query, 2);
    assert_null(shoal_data_list_item(list, 0)->text);
    assert_string_equal(shoal_data_list_json(list, NULL), "[null,null]");
    shoal_data_list_free(list);
    assert_null(shoal_data_list_json(NULL, &size));
}

static void the_default_limit_is_1000(void **state)
{
    struct contract *contract = *state;
    struct shoal_data_document *documents = calloc(1003, sizeof *documents);
    assert_non_null(documents);
    for (int i = 0; i < 1003; i++)
        documents[i] = market("AAPL", 1700000000 + i, "[]");
    uint64_t saved = 0;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_save_documents(contract->store, documents, 1003, &saved, &contract->error));
    assert_int_equal(saved, 1003);
    free(documents);
    struct shoal_data_query query = all_of(SHOAL_DATA_MARKET_DATA);
    shoal_data_list_free(load(contract, &query, 1000));
    query.limit = 2000;
    shoal_data_list_free(load(contract, &query, 1003));
}

static void odd_symbols_are_kept_apart(void **state)
{
    struct contract *contract = *state;
    static const char *const symbols[] = { "BRK.B", "BTC/USD", "BTC%2FUSD", "ES_F", "ES", "日経225",
        "a b", "^X" };
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        struct shoal_data_document document = market(symbols[i], 1700000000, "{}");
        save(contract, &document, NULL);
    }
    struct shoal_data_query query = all_of(SHOAL_DATA_MARKET_DATA);
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        query.symbol = symbols[i];
        struct shoal_data_list *list = load(contract, &query, 1);
        assert_string_equal(shoal_data_list_item(list, 0)->symbol, symbols[i]);
        shoal_data_list_free(list);
    }
    query.symbol = NULL;
    shoal_data_list_free(load(contract, &query, ARRAY_SIZE(symbols)));
    query.timeframe = "5m";
    shoal_data_list_free(load(contract, &query, 0));
}

static void bad_input_is_refused(void **state)
{
    struct contract *contract = *state;
    static const char *const bad[] = { "", "../../etc/passwd", "/abs", "a/../../b", ".x", "x\n",
        "\xff" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct shoal_data_document document = market(bad[i], 0, "{}");
        assert_status(contract, SHOAL_DATA_INVALID,
            shoal_data_save_document(contract->store, &document, NULL, 0, &contract->error));
    }
    struct shoal_data_document document = market("AAPL", 0, "{\"a\": }");
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_save_document(contract->store, &document, NULL, 0, &contract->error));
    assert_non_null(strstr(contract->error.message, "line 1 column"));
    document = market("AAPL", -1, "{}");
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_save_document(contract->store, &document, NULL, 0, &contract->error));
    document = market("AAPL", 0, "{}");
    document.struct_size = 0;
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_save_document(contract->store, &document, NULL, 0, NULL));
    document = market("AAPL", 0, "{}");
    document.timeframe = "1/m";
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_save_document(contract->store, &document, NULL, 0, &contract->error));
    assert_non_null(strstr(contract->error.message, "1/m"));
    struct shoal_data_list *list;
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_load_document(contract->store, SHOAL_DATA_MARKET_DATA, "AAPL_1m_1700000000",
            &list, &contract->error));
}

/* ---- Many writers of one second ---- */

#define WRITERS    4
#define PER_WRITER 25

static void *write_same_second(void *argument)
{
    struct contract *contract = argument;
    for (int i = 0; i < PER_WRITER; i++) {
        struct shoal_data_document document = market("AAPL", 1700000000, "{\"same\": true}");
        if (shoal_data_save_document(contract->store, &document, NULL, 0, NULL) != SHOAL_DATA_OK)
            return argument;
    }
    return NULL;
}

static void writers_of_one_second_do_not_collide(void **state)
{
    struct contract *contract = *state;
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_same_second, contract), 0);
    for (size_t i = 0; i < WRITERS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    struct shoal_data_document document = market("AAPL", 1700000000, "{\"last\": true}");
    save(contract, &document, NULL);
    struct shoal_data_query query = all_of(SHOAL_DATA_MARKET_DATA);
    struct shoal_data_list *list = load(contract, &query, WRITERS * PER_WRITER + 1);
    assert_non_null(strstr(shoal_data_list_item(list, 0)->text, "last"));
    shoal_data_list_free(list);
}

/* ---- Indicators and results ---- */

static void results_are_found_by_name_and_generation(void **state)
{
    struct contract *contract = *state;
    struct shoal_data_document document = { .struct_size = sizeof document,
        .kind = SHOAL_DATA_INDICATOR,
        .symbol = "ES_F",
        .timeframe = "1h",
        .name = "rsi_14",
        .time_s = 1700000000,
        .json = "[1.5]",
        .json_size = 5 };
    save(contract, &document, NULL);
    document.name = "ema";
    save(contract, &document, NULL);
    document.kind = SHOAL_DATA_BACKTEST;
    document.name = "mean_reversion/v2";
    save(contract, &document, NULL);
    document.kind = SHOAL_DATA_PERFORMANCE;
    save(contract, &document, NULL);
    document.kind = SHOAL_DATA_GENERATION;
    document.name = "best";
    char id[512];
    for (document.generation = 0; document.generation < 12; document.generation++)
        save(contract, &document, id);

    struct shoal_data_query query = all_of(SHOAL_DATA_INDICATOR);
    query.symbol = "ES_F";
    query.name = "rsi_14";
    struct shoal_data_list *list = load(contract, &query, 1);
    assert_string_equal(shoal_data_list_item(list, 0)->name, "rsi_14");
    assert_string_equal(shoal_data_list_item(list, 0)->timeframe, "1h");
    shoal_data_list_free(list);
    query = all_of(SHOAL_DATA_BACKTEST);
    query.name = "mean_reversion/v2";
    list = load(contract, &query, 1);
    assert_string_equal(shoal_data_list_item(list, 0)->name, "mean_reversion/v2");
    assert_string_equal(shoal_data_list_item(list, 0)->text, "[1.5]");
    assert_int_equal(shoal_data_list_item(list, 0)->generation, -1);
    shoal_data_list_free(list);
    query.kind = SHOAL_DATA_PERFORMANCE;
    shoal_data_list_free(load(contract, &query, 1));
    query = all_of(SHOAL_DATA_GENERATION);
    shoal_data_list_free(load(contract, &query, 12));
    query.generation = 7;
    list = load(contract, &query, 1);
    assert_int_equal(shoal_data_list_item(list, 0)->generation, 7);
    assert_string_equal(shoal_data_list_item(list, 0)->name, "best");
    shoal_data_list_free(list);

    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_load_document(
            contract->store, SHOAL_DATA_GENERATION, id, &list, &contract->error));
    assert_int_equal(shoal_data_list_item(list, 0)->generation, 11);
    assert_string_equal(shoal_data_list_item(list, 0)->id, id);
    shoal_data_list_free(list);
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_delete_document(contract->store, SHOAL_DATA_GENERATION, id, &contract->error));
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_delete_document(contract->store, SHOAL_DATA_GENERATION, id, &contract->error));
    query.generation = SHOAL_DATA_ANY_GENERATION;
    shoal_data_list_free(load(contract, &query, 11));
}

static void one_bad_of_many_is_told_and_the_others_saved(void **state)
{
    struct contract *contract = *state;
    struct shoal_data_document documents[3] = { market("A", 1, "{}"), market("B", 1, "{"),
        market("C", 1, "{}") };
    uint64_t saved = 99;
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_save_documents(contract->store, documents, 3, &saved, &contract->error));
    assert_int_equal(saved, 2);
    struct shoal_data_query query = all_of(SHOAL_DATA_MARKET_DATA);
    shoal_data_list_free(load(contract, &query, 2));
}

static void health_and_usage_tell_the_truth(void **state)
{
    struct contract *contract = *state;
    struct shoal_data_health health;
    assert_status(
        contract, SHOAL_DATA_OK, shoal_data_health(contract->store, &health, &contract->error));
    if (!health.is_ok)
        fail_msg("not healthy: %s", health.detail);
    assert_string_equal(health.backend, shoal_data_backend(contract->store));
    struct shoal_data_document document = market("AAPL", 1700000000, "{\"a\": 1}");
    save(contract, &document, NULL);
    struct shoal_data_report *report = NULL;
    struct shoal_data_report_row total;
    assert_status(
        contract, SHOAL_DATA_OK, shoal_data_usage(contract->store, &report, &contract->error));
    shoal_data_report_total(report, &total);
    assert_int_equal(total.files, 1);
    assert_true(total.bytes >= 8);
    shoal_data_report_free(report);
}

int contract_documents(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(documents_come_back_newest_first),
        CONTRACT_TEST(the_default_limit_is_1000),
        CONTRACT_TEST(odd_symbols_are_kept_apart),
        CONTRACT_TEST(bad_input_is_refused),
        CONTRACT_TEST(writers_of_one_second_do_not_collide),
        CONTRACT_TEST(results_are_found_by_name_and_generation),
        CONTRACT_TEST(one_bad_of_many_is_told_and_the_others_saved),
        CONTRACT_TEST(health_and_usage_tell_the_truth),
    };
    return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
