/* The files backend: the contract, and what is true of a directory only. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "contract.h"

static void put_file(const struct contract *contract, const char *path, const char *text)
{
    char full[512];
    assert_in_range(snprintf(full, sizeof full, "%s/%s", contract->url, path), 1, 511);
    FILE *file = fopen(full, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct shoal_data_list *load(
    struct contract *contract, int32_t kind, int32_t expected, uint64_t count)
{
    struct shoal_data_list *list = NULL;
    struct shoal_data_query query = {
        .struct_size = sizeof query, .kind = kind, .generation = SHOAL_DATA_ANY_GENERATION
    };
    assert_status(contract, expected,
        shoal_data_load_documents(contract->store, &query, &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), count);
    return list;
}

static void the_layout_is_what_people_have(void **state)
{
    struct contract *contract = *state;
    static const char *const directories[] = { "market_data/ohlcv", "market_data/indicators",
        "models/trained", "models/checkpoints", "results/backtests", "results/performance",
        "logs" };
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        char full[512];
        struct stat st;
        assert_in_range(
            snprintf(full, sizeof full, "%s/%s", contract->url, directories[i]), 1, 511);
        assert_int_equal(stat(full, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0755);
    }
    struct shoal_data_document document = { .struct_size = sizeof document,
        .symbol = "BTC/USD",
        .timeframe = "1m",
        .time_s = 1700000000,
        .json = "{}",
        .json_size = 2 };
    char id[512];
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_save_document(contract->store, &document, id, sizeof id, &contract->error));
    assert_string_equal(id, "BTC%2FUSD_1m_1700000000");
    char full[512];
    assert_in_range(
        snprintf(full, sizeof full, "%s/market_data/ohlcv/%s.json", contract->url, id), 1, 511);
    assert_int_equal(access(full, R_OK), 0);
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_save_document(contract->store, &document, id, sizeof id, &contract->error));
    assert_int_equal(
        strncmp(id, "BTC%2FUSD_1m_1700000000-", 24), 0); /* SYMBOL_TIMEFRAME_*.json finds it */
}

static void files_of_older_programs_are_read(void **state)
{
    struct contract *contract = *state;
    put_file(contract, "market_data/ohlcv/AAPL_1Min_1700000000.json", "{\"close\": NaN}");
    put_file(contract, "market_data/ohlcv/ES_F_1m_1700000001.25.json", "{}");
    put_file(contract, "market_data/indicators/AAPL_1h_rsi_14_1700000000.json", "{}");
    put_file(contract, "market_data/indicators/AAPL_1h_1700000000.json", "{}");
    put_file(contract, "results/backtests/mean_reversion_1700000000.json", "{}");
    put_file(contract, "results/backtests/summary.json", "{}");
    put_file(contract, "market_data/ohlcv/README.json", "not of the layout");
    put_file(contract, "market_data/ohlcv/.tmp-0123456789abcdef", "half of somethi");
    struct shoal_data_list *list = load(contract, SHOAL_DATA_MARKET_DATA, SHOAL_DATA_OK, 2);
    assert_string_equal(shoal_data_list_item(list, 0)->symbol, "ES_F");
    assert_string_equal(shoal_data_list_item(list, 1)->timeframe, "1Min");
    shoal_data_list_free(list);
    list = load(contract, SHOAL_DATA_INDICATOR, SHOAL_DATA_OK, 2);
    for (uint64_t i = 0; i < 2; i++) {
        const struct shoal_data_item *item = shoal_data_list_item(list, i);
        assert_string_equal(item->symbol, "AAPL");
        assert_true(strcmp(item->name, "rsi_14") == 0 || strcmp(item->name, "") == 0);
    }
    shoal_data_list_free(list);
    list = load(contract, SHOAL_DATA_BACKTEST, SHOAL_DATA_OK, 2);
    assert_string_equal(
        shoal_data_list_item(list, 0)->name, "summary"); /* its time is the file's */
    assert_string_equal(shoal_data_list_item(list, 1)->name, "mean_reversion");
    shoal_data_list_free(list);
}

static void damaged_files_are_named_and_others_load(void **state)
{
    struct contract *contract = *state;
    put_file(contract, "market_data/ohlcv/A_1m_1700000000.json", "{}");
    put_file(contract, "market_data/ohlcv/B_1m_1700000001.json", "{\"cut\": ");
    put_file(contract, "market_data/ohlcv/C_1m_1700000002.json", "");
    char full[512];
    assert_in_range(
        snprintf(full, sizeof full, "%s/market_data/ohlcv/D_1m_1700000003.json", contract->url), 1,
        511);
    assert_int_equal(symlink("/etc/hostname", full), 0);
    assert_in_range(
        snprintf(full, sizeof full, "%s/market_data/ohlcv/E_1m_1700000004.json", contract->url), 1,
        511);
    assert_int_equal(mkfifo(full, 0644), 0);
    struct shoal_data_list *list = load(contract, SHOAL_DATA_MARKET_DATA, SHOAL_DATA_DAMAGED, 1);
    assert_int_equal(shoal_data_list_problem_count(list), 4);
    assert_non_null(strstr(shoal_data_list_problem(list, 0), "E_1m_1700000004.json"));
    assert_non_null(strstr(shoal_data_list_problem(list, 3), "B_1m_1700000001.json"));
    assert_non_null(strstr(contract->error.message, "3 more"));
    shoal_data_list_free(list);
    assert_status(contract, SHOAL_DATA_DAMAGED,
        shoal_data_load_document(
            contract->store, SHOAL_DATA_MARKET_DATA, "B_1m_1700000001", &list, &contract->error));
}

static void ids_do_not_lead_out(void **state)
{
    struct contract *contract = *state;
    static const char *const bad[] = { "../../../etc/passwd", "/etc/passwd", "..", "gen_1/../x_1",
        "x/y_1m_1", ".tmp-1_1m_1" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        for (int32_t kind = SHOAL_DATA_MARKET_DATA; kind <= SHOAL_DATA_GENERATION; kind++) {
            struct shoal_data_list *list;
            assert_status(contract, SHOAL_DATA_INVALID,
                shoal_data_load_document(contract->store, kind, bad[i], &list, &contract->error));
            assert_status(contract, SHOAL_DATA_INVALID,
                shoal_data_delete_document(contract->store, kind, bad[i], &contract->error));
        }
    }
}

static void directories_that_are_links_are_refused(void **state)
{
    struct contract *contract = *state;
    char full[512];
    assert_in_range(snprintf(full, sizeof full, "%s/results/gen_4", contract->url), 1, 511);
    assert_int_equal(symlink("/tmp", full), 0);
    struct shoal_data_document document = { .struct_size = sizeof document,
        .kind = SHOAL_DATA_GENERATION,
        .name = "x",
        .generation = 4,
        .json = "{}",
        .json_size = 2 };
    int32_t status =
        shoal_data_save_document(contract->store, &document, NULL, 0, &contract->error);
    assert_int_not_equal(status, SHOAL_DATA_OK);
    assert_non_null(strstr(contract->error.message, "gen_4"));
    shoal_data_list_free(load(contract, SHOAL_DATA_GENERATION, SHOAL_DATA_OK, 0));
}

static void what_cannot_be_opened_is_told(void **state)
{
    (void)state;
    struct shoal_data *store;
    struct shoal_data_error error;
    assert_int_equal(
        shoal_data_open("/no/such/directory", NULL, &store, &error), SHOAL_DATA_NOT_FOUND);
    assert_non_null(strstr(error.message, "/no/such/directory"));
    assert_int_equal(shoal_data_open("", NULL, &store, &error), SHOAL_DATA_INVALID);
    assert_int_equal(shoal_data_open("file://relative", NULL, &store, &error), SHOAL_DATA_INVALID);
    assert_int_equal(shoal_data_open("http://x/", NULL, &store, &error), SHOAL_DATA_INVALID);
    struct shoal_data_options options = { .struct_size = sizeof options, .pool_max = 5000 };
    assert_int_equal(shoal_data_open("/tmp", &options, &store, &error), SHOAL_DATA_INVALID);
}

int main(void)
{
    const struct contract_backend backend = { contract_make_directory, contract_remove_directory,
        .without_bars = false };
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(the_layout_is_what_people_have),
        CONTRACT_TEST(files_of_older_programs_are_read),
        CONTRACT_TEST(damaged_files_are_named_and_others_load),
        CONTRACT_TEST(ids_do_not_lead_out),
        CONTRACT_TEST(directories_that_are_links_are_refused),
        cmocka_unit_test(what_cannot_be_opened_is_told),
    };
    int failed = contract_run(&backend);
    return failed + cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
