/* The files backend: checkpoints as files, damage, clean-up. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "contract.h"

#define DAY 86400

static const struct contract_backend backend = { contract_make_directory, contract_remove_directory,
    .without_bars = true };

static int setup(void **state)
{
    contract_use(&backend);
    return contract_setup(state);
}
#define FILES_TEST(function) cmocka_unit_test_setup_teardown(function, setup, contract_teardown)

static void path_in(const struct contract *contract, char to[512], const char *path)
{
    assert_in_range(snprintf(to, 512, "%s/%s", contract->url, path), 1, 511);
}

static bool exists(const struct contract *contract, const char *path)
{
    char full[512];
    struct stat st;
    path_in(contract, full, path);
    return lstat(full, &st) == 0;
}

/* Makes a file of so many days ago. */
static void put(const struct contract *contract, const char *path, const char *text, int days)
{
    char full[512];
    path_in(contract, full, path);
    FILE *file = fopen(full, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct timespec times[2] = { { .tv_sec = time(NULL) - days * DAY },
        { .tv_sec = time(NULL) - days * DAY } };
    assert_int_equal(utimensat(AT_FDCWD, full, times, 0), 0);
}

static char *text_of(const struct contract *contract, const char *path)
{
    char full[512];
    char *text = NULL;
    path_in(contract, full, path);
    assert_int_equal(sys_read_file(AT_FDCWD, full, 1 << 20, &text), 0);
    return text;
}

/* ---- Checkpoints ---- */

static void save(struct contract *contract, const char *id, const char *text)
{
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_save_checkpoint(
            contract->store, id, text, strlen(text), "{\"a\": 1}", NULL, &contract->error));
}

static void older_programs_see_the_latest_version(void **state)
{
    struct contract *contract = *state;
    save(contract, "m", "one");
    save(contract, "m", "two");
    char *text = text_of(contract, "models/checkpoints/m/model.pkl");
    assert_string_equal(text, "two");
    free(text);
    text = text_of(contract, "models/checkpoints/m/metadata.json");
    assert_non_null(strstr(text, "\"version\": 2"));
    free(text);
    text = text_of(contract, "models/checkpoints/m/versions/00000001/model.pkl");
    assert_string_equal(text, "one");
    free(text);
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_delete_checkpoint(contract->store, "m", 2, &contract->error));
    text = text_of(contract, "models/checkpoints/m/model.pkl");
    assert_string_equal(text, "one");
    free(text);
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_delete_checkpoint(contract->store, "m", 1, &contract->error));
    assert_false(exists(contract, "models/checkpoints/m/model.pkl"));
}

static void checkpoints_of_older_programs_are_read(void **state)
{
    struct contract *contract = *state;
    char full[512];
    path_in(contract, full, "models/checkpoints/old");
    assert_int_equal(mkdir(full, 0755), 0);
    put(contract, "models/checkpoints/old/model.pkl", "pickle", 1);
    for (int with_metadata = 0; with_metadata < 2; with_metadata++) {
        if (with_metadata)
            put(contract, "models/checkpoints/old/metadata.json",
                "{\"saved_at\": \"2024-01-02T03:04:05.678\", \"nan\": 1}", 1);
        struct shoal_data_checkpoint *checkpoint = NULL;
        struct shoal_data_checkpoint_info info;
        char read[6];
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_checkpoint_open(contract->store, "old", 0, &checkpoint, &contract->error));
        shoal_data_checkpoint_info(checkpoint, &info);
        assert_int_equal(info.version, 0);
        assert_int_equal(info.is_verified, 0);
        if (with_metadata)
            assert_int_equal(info.saved_s, 1704164645);
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_checkpoint_read(checkpoint, 0, read, 6, &contract->error));
        assert_memory_equal(read, "pickle", 6);
        shoal_data_checkpoint_close(checkpoint);
    }
    struct shoal_data_list *list = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_list_checkpoints(contract->store, &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), 1);
    shoal_data_list_free(list);
    save(contract, "old", "versioned");
    char *text = text_of(contract, "models/checkpoints/old/model.pkl");
    assert_string_equal(text, "versioned");
    free(text);
}

/* Changes a byte of a file that may not be written. */
static void damage(const struct contract *contract, const char *path, long offset, char byte)
{
    char full[512];
    path_in(contract, full, path);
    assert_int_equal(chmod(full, 0644), 0);
    int fd = open(full, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    assert_int_equal(close(fd), 0);
}

static int32_t read_all(struct contract *contract, const char *id, uint64_t version)
{
    struct shoal_data_checkpoint *checkpoint = NULL;
    struct shoal_data_checkpoint_info info;
    char buffer[64];
    int32_t status =
        shoal_data_checkpoint_open(contract->store, id, version, &checkpoint, &contract->error);
    if (status != SHOAL_DATA_OK)
        return status;
    shoal_data_checkpoint_info(checkpoint, &info);
    status = shoal_data_checkpoint_read(
        checkpoint, 0, buffer, min_u64(sizeof buffer, info.size_bytes), &contract->error);
    shoal_data_checkpoint_close(checkpoint);
    return status;
}

static void damage_is_told(void **state)
{
    struct contract *contract = *state;
    for (int i = 0; i < 5; i++)
        save(contract, "m", "0123456789");
    damage(contract, "models/checkpoints/m/versions/00000005/model.pkl", 3, 'x');
    assert_status(contract, SHOAL_DATA_CHECKSUM, read_all(contract, "m", 0));
    assert_non_null(strstr(contract->error.message, "versions/00000005/model.pkl"));
    damage(contract, "models/checkpoints/m/versions/00000004/model.pkl", 10, 'x'); /* longer */
    assert_status(contract, SHOAL_DATA_DAMAGED, read_all(contract, "m", 4));
    assert_non_null(strstr(contract->error.message, "11 bytes instead of 10"));
    damage(contract, "models/checkpoints/m/versions/00000003/manifest.json", 0, 'x');
    assert_status(contract, SHOAL_DATA_DAMAGED, read_all(contract, "m", 3));
    damage(contract, "models/checkpoints/m/versions/00000002/metadata.json", 0, 'x');
    assert_status(contract, SHOAL_DATA_DAMAGED, read_all(contract, "m", 2));
    assert_non_null(strstr(contract->error.message, "metadata.json"));
    assert_status(contract, SHOAL_DATA_OK, read_all(contract, "m", 1));
    struct shoal_data_list *list = NULL;
    assert_status(contract, SHOAL_DATA_DAMAGED,
        shoal_data_list_versions(contract->store, "m", &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), 4);
    shoal_data_list_free(list);
    struct shoal_data_retention retention = {
        .struct_size = sizeof retention, .keep_best = 1, .metric = "a"
    };
    assert_status(contract, SHOAL_DATA_DAMAGED,
        shoal_data_retain_checkpoints(
            contract->store, "m", &retention, NULL, NULL, &contract->error));
    assert_status(contract, SHOAL_DATA_OK, /* what is damaged can be removed */
        shoal_data_delete_checkpoint(contract->store, "m", 2, &contract->error));
}

/* ---- Clean-up ---- */

static void put_old_and_new(const struct contract *contract)
{
    char full[512];
    path_in(contract, full, "results/gen_3");
    assert_int_equal(mkdir(full, 0755), 0);
    put(contract, "market_data/ohlcv/A_1m_1.json", "{}", 8);
    put(contract, "market_data/ohlcv/A_1m_2.json", "{}", 6);
    put(contract, "results/backtests/s_1.json", "[1]", 8);
    put(contract, "results/gen_3/best_1.json", "[12]", 20);
    put(contract, "logs/app.log", "old", 30);
    put(contract, "logs/.tmp-old", "left behind", 30);
    put(contract, "logs/.tmp-new", "being written", 0);
    put(contract, "logs/.keep", "somebody's", 30);
    put(contract, "models/trained/net.bin", "net", 100);
    path_in(contract, full, "logs/link");
    assert_int_equal(symlink("../models", full), 0);
    path_in(contract, full, "logs/file-link");
    assert_int_equal(symlink("../models/trained/net.bin", full), 0);
}

static void clean_removes_what_is_old(void **state)
{
    struct contract *contract = *state;
    put_old_and_new(contract);
    struct shoal_data_clean_rule rules[] = { { "results", -1 }, { "results/gen_3", 10 } };
    struct shoal_data_clean_options options = {
        .struct_size = sizeof options, .dry_run = 1, .rules = rules, .rule_count = 2
    };
    for (int round = 0; round < 2; round++) {
        struct shoal_data_report *report = NULL;
        struct shoal_data_report_row total;
        assert_true(exists(contract, "market_data/ohlcv/A_1m_1.json"));
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_clean(contract->store, &options, &report, &contract->error));
        shoal_data_report_total(report, &total);
        assert_int_equal(total.files, 4);
        assert_int_equal(total.bytes, 2 + 4 + 3 + 11);
        shoal_data_report_free(report);
        options.dry_run = 0;
    }
    assert_false(exists(contract, "market_data/ohlcv/A_1m_1.json"));
    assert_true(exists(contract, "market_data/ohlcv/A_1m_2.json"));
    assert_true(exists(contract, "results/backtests/s_1.json"));
    assert_false(exists(contract, "results/gen_3/best_1.json"));
    assert_false(exists(contract, "logs/app.log"));
    assert_false(exists(contract, "logs/.tmp-old"));
    assert_true(exists(contract, "logs/.tmp-new"));
    assert_true(exists(contract, "logs/.keep"));
    assert_true(exists(contract, "logs/link"));
    assert_true(exists(contract, "logs/file-link"));
    assert_true(exists(contract, "models/trained/net.bin"));
    struct shoal_data_clean_rule outside = { "models", 1 };
    options.rules = &outside;
    options.rule_count = 1;
    struct shoal_data_report *report = NULL;
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_clean(contract->store, &options, &report, &contract->error));
    assert_non_null(strstr(contract->error.message, "models"));
}

struct cleaner {
    struct contract *contract;
    uint64_t files;
    int32_t status;
};

static void *run_cleaner(void *argument)
{
    struct cleaner *cleaner = argument;
    struct shoal_data_report *report = NULL;
    struct shoal_data_report_row total;
    cleaner->status = shoal_data_clean(cleaner->contract->store, NULL, &report, NULL);
    if (cleaner->status == SHOAL_DATA_OK) {
        shoal_data_report_total(report, &total);
        cleaner->files = total.files;
    }
    shoal_data_report_free(report);
    return NULL;
}

static void cleaners_share_the_work(void **state)
{
    struct contract *contract = *state;
    for (int i = 0; i < 300; i++) {
        char name[64];
        assert_in_range(snprintf(name, sizeof name, "logs/%d.log", i), 1, 63);
        put(contract, name, "x", 10);
    }
    struct cleaner cleaners[3];
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        cleaners[i] = (struct cleaner){ .contract = contract };
        assert_int_equal(pthread_create(&threads[i], NULL, run_cleaner, &cleaners[i]), 0);
    }
    uint64_t files = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(cleaners[i].status, SHOAL_DATA_OK);
        files += cleaners[i].files;
    }
    assert_int_equal(files, 300); /* each is counted by the one who removed it */
}

static void usage_counts_a_checkpoint_once(void **state)
{
    struct contract *contract = *state;
    save(contract, "m", "0123456789");
    struct shoal_data_report *report = NULL;
    assert_status(
        contract, SHOAL_DATA_OK, shoal_data_usage(contract->store, &report, &contract->error));
    assert_int_equal(shoal_data_report_count(report), 1);
    const struct shoal_data_report_row *row = shoal_data_report_row(report, 0);
    assert_string_equal(row->directory, "models/checkpoints");
    assert_int_equal(row->files, 3); /* data, metadata, manifest */
    shoal_data_report_free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES_TEST(older_programs_see_the_latest_version),
        FILES_TEST(checkpoints_of_older_programs_are_read),
        FILES_TEST(damage_is_told),
        FILES_TEST(clean_removes_what_is_old),
        FILES_TEST(cleaners_share_the_work),
        FILES_TEST(usage_counts_a_checkpoint_once),
    };
    return cmocka_run_group_tests_name("files: upkeep", tests, NULL, NULL);
}
