/* The contract of shoal_data.h: checkpoints. */
#include "contract.h"

#include <pthread.h>
#include <stdio.h>

#define MIB_SIZE ((size_t)1 << 20)

/* Bytes that are different at each place and for each seed. */
static uint8_t *make_bytes(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    uint32_t value = seed * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        value = value * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(value >> 24);
    }
    return bytes;
}

static uint64_t save(
    struct contract *contract, const char *id, const void *data, size_t size, const char *metadata)
{
    uint64_t version = 0;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_save_checkpoint(
            contract->store, id, data, size, metadata, &version, &contract->error));
    return version;
}

/* Opens a version and compares all of it; gives the handle. */
static struct shoal_data_checkpoint *open_and_compare(
    struct contract *contract, const char *id, uint64_t version, const uint8_t *data, size_t size)
{
    struct shoal_data_checkpoint *checkpoint = NULL;
    struct shoal_data_checkpoint_info info;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_checkpoint_open(contract->store, id, version, &checkpoint, &contract->error));
    shoal_data_checkpoint_info(checkpoint, &info);
    assert_int_equal(info.size_bytes, size);
    assert_int_equal(info.is_verified, 1);
    uint8_t *read = malloc(size + 1);
    assert_non_null(read);
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_checkpoint_read(checkpoint, 0, read, size, &contract->error));
    assert_memory_equal(read, data, size);
    free(read);
    return checkpoint;
}

static void sizes_of_all_kinds_come_back(void **state)
{
    struct contract *contract = *state;
    static const size_t sizes[] = { 0, 1, 1024, MIB_SIZE - 1, MIB_SIZE, MIB_SIZE + 1,
        9 * MIB_SIZE + 7 };
    for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint8_t *data = make_bytes(sizes[i] + 3, i);
        uint64_t version =
            save(contract, "net", data + 3, sizes[i], "{\"epoch\": 3}"); /* not aligned */
        assert_int_equal(version, i + 1);
        struct shoal_data_checkpoint *checkpoint =
            open_and_compare(contract, "net", 0, data + 3, sizes[i]);
        struct shoal_data_checkpoint_info info;
        shoal_data_checkpoint_info(checkpoint, &info);
        assert_int_equal(info.version, version);
        assert_int_equal(info.shard_count, 1);
        assert_true(info.saved_s > 1700000000);
        assert_non_null(strstr(info.metadata_json, "\"saved_at\""));
        assert_non_null(strstr(info.metadata_json, "\"checkpoint_path\""));
        assert_non_null(strstr(info.metadata_json, "\"epoch\": 3"));
        shoal_data_checkpoint_close(checkpoint);
        free(data);
    }
    struct shoal_data_list *list = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_list_versions(contract->store, "net", &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), ARRAY_SIZE(sizes));
    assert_int_equal(shoal_data_list_item(list, 0)->version, ARRAY_SIZE(sizes));
    assert_int_equal(shoal_data_list_item(list, 1)->size_bytes, MIB_SIZE + 1);
    shoal_data_list_free(list);
}

static void ranges_are_read(void **state)
{
    struct contract *contract = *state;
    size_t size = 3 * MIB_SIZE + 100;
    uint8_t *data = make_bytes(size, 1);
    (void)save(contract, "BTC/USD net", data, size, NULL);
    struct shoal_data_checkpoint *checkpoint =
        open_and_compare(contract, "BTC/USD net", 1, data, size);
    static const size_t ranges[][2] = { { 0, 1 }, { MIB_SIZE - 1, 2 }, { 100, 2 * MIB_SIZE },
        { 3 * MIB_SIZE + 99, 1 }, { 0, 0 }, { MIB_SIZE, MIB_SIZE } };
    uint8_t *read = malloc(size);
    assert_non_null(read);
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_checkpoint_read(
                checkpoint, ranges[i][0], read, ranges[i][1], &contract->error));
        assert_memory_equal(read, data + ranges[i][0], ranges[i][1]);
    }
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_checkpoint_read(checkpoint, size, read, 1, &contract->error));
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_checkpoint_read(checkpoint, UINT64_MAX, read, 2, &contract->error));
    free(read);
    shoal_data_checkpoint_close(checkpoint);
    free(data);
}

static void what_is_not_there_is_told(void **state)
{
    struct contract *contract = *state;
    struct shoal_data_checkpoint *checkpoint;
    struct shoal_data_list *list = NULL;
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_checkpoint_open(contract->store, "none", 0, &checkpoint, &contract->error));
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_list_versions(contract->store, "none", &list, &contract->error));
    (void)save(contract, "a", "x", 1, NULL);
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_checkpoint_open(contract->store, "a", 2, &checkpoint, &contract->error));
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_checkpoint_open(contract->store, "../a", 0, &checkpoint, &contract->error));
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_save_checkpoint(contract->store, "a", "x", 1, "[1]", NULL, &contract->error));
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_save_checkpoint(contract->store, "a", "x", 1, "{", NULL, &contract->error));
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_delete_checkpoint(contract->store, "none", 0, &contract->error));
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_delete_checkpoint(contract->store, "a", 0, &contract->error));
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_checkpoint_open(contract->store, "a", 0, &checkpoint, &contract->error));
}

static void checkpoints_are_listed(void **state)
{
    struct contract *contract = *state;
    struct shoal_data_list *list = NULL;
    (void)save(contract, "b", "xy", 2, "{\"loss\": 1.5}");
    (void)save(contract, "a/b", "x", 1, NULL);
    (void)save(contract, "b", "xyz", 3, "{\"loss\": 2.5}");
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_list_checkpoints(contract->store, &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), 2);
    assert_string_equal(shoal_data_list_item(list, 0)->id, "a/b");
    const struct shoal_data_item *item = shoal_data_list_item(list, 1);
    assert_string_equal(item->id, "b");
    assert_int_equal(item->version, 2);
    assert_int_equal(item->size_bytes, 3);
    assert_non_null(strstr(item->text, "2.5"));
    shoal_data_list_free(list);
}

static void retention_keeps_the_last_and_the_best(void **state)
{
    struct contract *contract = *state;
    static const char *const metadata[] = { "{\"loss\": 5}", "{\"loss\": 1}",
        "{\"metrics\": {\"loss\": 2}}", "{}", "{\"loss\": 9}", "{\"loss\": 8}" };
    for (size_t i = 0; i < ARRAY_SIZE(metadata); i++)
        (void)save(contract, "m", "x", 1, metadata[i]);
    struct shoal_data_retention retention = { .struct_size = sizeof retention,
        .minimize = 1,
        .keep_last = 2,
        .keep_best = 2,
        .metric = "loss",
        .dry_run = 1 };
    uint64_t removed = 0;
    uint64_t bytes = 0;
    for (int round = 0; round < 2; round++) { /* first dry, then in earnest */
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_retain_checkpoints(
                contract->store, "m", &retention, &removed, &bytes, &contract->error));
        assert_int_equal(removed, 2);
        assert_int_equal(bytes, 2);
        retention.dry_run = 0;
    }
    struct shoal_data_list *list = NULL;
    static const uint64_t kept[] = { 6, 5, 3, 2 };
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_list_versions(contract->store, "m", &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), ARRAY_SIZE(kept));
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        assert_int_equal(shoal_data_list_item(list, i)->version, kept[i]);
    shoal_data_list_free(list);
    retention.keep_last = 0;
    retention.keep_best = 0;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_retain_checkpoints(contract->store, "m", &retention, &removed, NULL, NULL));
    assert_int_equal(removed, 3);
    shoal_data_checkpoint_close(open_and_compare(contract, "m", 0, (const uint8_t *)"x", 1));
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_delete_checkpoint(contract->store, "m", 6, &contract->error));
    struct shoal_data_checkpoint *checkpoint;
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_checkpoint_open(contract->store, "m", 0, &checkpoint, &contract->error));
}

/* ---- Shards ---- */

static struct shoal_data_writer *begin(
    struct contract *contract, const char *session, uint32_t index, uint32_t count)
{
    struct shoal_data_writer_options options = { .struct_size = sizeof options,
        .shard_index = index,
        .shard_count = count,
        .session = session };
    struct shoal_data_writer *writer = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_writer_begin(contract->store, "big", &options, &writer, &contract->error));
    return writer;
}

static void write_range(struct contract *contract, struct shoal_data_writer *writer,
    const uint8_t *data, size_t from, size_t to)
{
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_writer_write(writer, from, data + from, to - from, &contract->error));
}

static void ranks_write_shards_and_one_commits(void **state)
{
    struct contract *contract = *state;
    static const size_t sizes[3] = { 2 * MIB_SIZE + 5, 0, MIB_SIZE / 2 };
    uint8_t *whole = make_bytes(3 * MIB_SIZE, 7);
    uint64_t version = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct shoal_data_writer *writer = begin(contract, "run/step 7", i, 3);
        size_t half = sizes[i] / 2 + sizes[i] % 2;
        write_range(contract, writer, whole + at, half, sizes[i]); /* the end first */
        write_range(contract, writer, whole + at, 0, half);
        if (i == 2) { /* before the last is finished nothing can be committed */
            assert_status(contract, SHOAL_DATA_NOT_FOUND,
                shoal_data_commit_checkpoint(
                    contract->store, "big", "run/step 7", 3, NULL, &version, &contract->error));
            assert_non_null(strstr(contract->error.message, "2"));
        }
        assert_status(contract, SHOAL_DATA_OK, shoal_data_writer_finish(writer, &contract->error));
        at += sizes[i];
    }
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_commit_checkpoint(
            contract->store, "big", "run/step 7", 3, "{\"step\": 7}", &version, &contract->error));
    assert_int_equal(version, 1);
    struct shoal_data_checkpoint *checkpoint = open_and_compare(contract, "big", 0, whole, at);
    uint64_t offset = 0;
    uint64_t size = 0;
    for (uint32_t i = 0; i < 3; i++) {
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_checkpoint_shard(checkpoint, i, &offset, &size, &contract->error));
        assert_int_equal(size, sizes[i]);
    }
    assert_int_equal(offset, at - sizes[2]);
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_checkpoint_shard(checkpoint, 3, &offset, &size, &contract->error));
    uint8_t part[64]; /* over the edge of two shards */
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_checkpoint_read(checkpoint, sizes[0] - 32, part, 64, &contract->error));
    assert_memory_equal(part, whole + sizes[0] - 32, 64);
    shoal_data_checkpoint_close(checkpoint);
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_commit_checkpoint(
            contract->store, "big", "run/step 7", 3, NULL, &version, &contract->error));
    free(whole);
}

static void a_shard_begun_again_starts_over(void **state)
{
    struct contract *contract = *state;
    uint8_t *data = make_bytes(100, 3);
    struct shoal_data_writer *writer = begin(contract, "s", 0, 1);
    write_range(contract, writer, data, 0, 100);
    assert_status(contract, SHOAL_DATA_OK, shoal_data_writer_finish(writer, &contract->error));
    writer = begin(contract, "s", 0, 1);
    uint64_t version;
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_commit_checkpoint(
            contract->store, "big", "s", 1, NULL, &version, &contract->error));
    write_range(contract, writer, data, 0, 50);
    assert_status(contract, SHOAL_DATA_OK, shoal_data_writer_finish(writer, &contract->error));
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_commit_checkpoint(
            contract->store, "big", "s", 1, NULL, &version, &contract->error));
    shoal_data_checkpoint_close(open_and_compare(contract, "big", version, data, 50));

    writer = begin(contract, "t", 0, 1);
    write_range(contract, writer, data, 50, 100); /* a gap */
    assert_status(contract, SHOAL_DATA_INVALID, shoal_data_writer_finish(writer, &contract->error));
    writer = begin(contract, "t", 0, 1);
    write_range(contract, writer, data, 0, 10);
    shoal_data_writer_abort(writer);
    assert_status(contract, SHOAL_DATA_NOT_FOUND,
        shoal_data_commit_checkpoint(
            contract->store, "big", "t", 1, NULL, &version, &contract->error));
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_abort_checkpoint(contract->store, "big", "t", &contract->error));
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_abort_checkpoint(contract->store, "big", "t", &contract->error));
    free(data);
}

/* ---- Many at once ---- */

#define SAVERS 4
#define SAVES  8

static void *save_many(void *argument)
{
    struct contract *contract = argument;
    for (int i = 0; i < SAVES; i++) {
        uint8_t data[4096];
        memset(data, i, sizeof data);
        if (shoal_data_save_checkpoint(
                contract->store, "shared", data, sizeof data, NULL, NULL, NULL) != SHOAL_DATA_OK)
            return argument;
        struct shoal_data_checkpoint *checkpoint = NULL;
        if (shoal_data_checkpoint_open(contract->store, "shared", 0, &checkpoint, NULL) !=
                SHOAL_DATA_OK ||
            shoal_data_checkpoint_read(checkpoint, 0, data, sizeof data, NULL) != SHOAL_DATA_OK)
            return argument;
        shoal_data_checkpoint_close(checkpoint);
        for (size_t j = 1; j < sizeof data; j++) {
            if (data[j] != data[0])
                return argument;
        }
    }
    return NULL;
}

static void savers_of_one_id_make_a_version_each(void **state)
{
    struct contract *contract = *state;
    pthread_t threads[SAVERS];
    for (size_t i = 0; i < SAVERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, save_many, contract), 0);
    for (size_t i = 0; i < SAVERS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    struct shoal_data_list *list = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_list_versions(contract->store, "shared", &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), SAVERS * SAVES);
    assert_int_equal(shoal_data_list_item(list, 0)->version, SAVERS * SAVES);
    shoal_data_list_free(list);
}

int contract_checkpoints(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(sizes_of_all_kinds_come_back),
        CONTRACT_TEST(ranges_are_read),
        CONTRACT_TEST(what_is_not_there_is_told),
        CONTRACT_TEST(checkpoints_are_listed),
        CONTRACT_TEST(retention_keeps_the_last_and_the_best),
        CONTRACT_TEST(ranks_write_shards_and_one_commits),
        CONTRACT_TEST(a_shard_begun_again_starts_over),
        CONTRACT_TEST(savers_of_one_id_make_a_version_each),
    };
    return cmocka_run_group_tests_name("checkpoints", tests, NULL, NULL);
}
