/* The files backend on a disk that gets full: a small tmpfs, in a mount namespace of this process. Skipped without root. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/sys.h"
#include "contract.h"

#define DISK_OPTIONS "size=8m"
#define MIB_SIZE     (1u << 20)

static char mount_point[] = "/tmp/shoal-test-space-XXXXXX";

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(mount_point));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)umount2(mount_point, MNT_DETACH); /* not mounted when the test was skipped */
    return rmdir(mount_point);
}

static bool mount_small(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("shoal-test", mount_point, "tmpfs", 0, DISK_OPTIONS) == 0;
}

static void a_full_disk_leaves_the_old_intact(void **state)
{
    (void)state;
    if (!mount_small())
        skip();
    struct shoal_data *store = NULL;
    struct shoal_data_error error;
    struct shoal_data_options options = { .struct_size = sizeof options, .create = 1 };
    assert_int_equal(shoal_data_open(mount_point, &options, &store, &error), SHOAL_DATA_OK);
    char *data = malloc(20 * MIB_SIZE);
    assert_non_null(data);
    memset(data, 'a', 20 * MIB_SIZE);
    assert_int_equal(
        shoal_data_save_checkpoint(store, "net", data, 2 * MIB_SIZE, NULL, NULL, &error),
        SHOAL_DATA_OK);
    for (int i = 0; i < 3; i++) { /* what the failures leave behind would fill it soon */
        assert_int_equal(
            shoal_data_save_checkpoint(store, "net", data, 20 * MIB_SIZE, NULL, NULL, &error),
            SHOAL_DATA_NO_SPACE);
        assert_non_null(strstr(error.message, "models/checkpoints/net"));
    }
    struct shoal_data_writer *writer = NULL;
    struct shoal_data_writer_options shard = { .struct_size = sizeof shard, .session = "s" };
    assert_int_equal(shoal_data_writer_begin(store, "net", &shard, &writer, &error), SHOAL_DATA_OK);
    assert_int_equal(
        shoal_data_writer_write(writer, 0, data, 20 * MIB_SIZE, &error), SHOAL_DATA_NO_SPACE);
    shoal_data_writer_abort(writer);
    assert_int_equal(shoal_data_abort_checkpoint(store, "net", "s", &error), SHOAL_DATA_OK);
    assert_int_equal(
        shoal_data_save_checkpoint(store, "net", data, 2 * MIB_SIZE, NULL, NULL, &error),
        SHOAL_DATA_OK);

    struct shoal_data_document document = { .struct_size = sizeof document,
        .symbol = "A",
        .timeframe = "1m",
        .time_s = 1700000000,
        .json = "[1]",
        .json_size = 3 };
    char *json = malloc(MIB_SIZE);
    assert_non_null(json);
    memset(json, ' ', MIB_SIZE);
    memcpy(json, "[1]", 3);
    document.json = json;
    document.json_size = MIB_SIZE;
    uint64_t saved = 0;
    int32_t status = SHOAL_DATA_OK;
    for (; status == SHOAL_DATA_OK; saved += status == SHOAL_DATA_OK)
        status = shoal_data_save_document(store, &document, NULL, 0, &error);
    assert_int_equal(status, SHOAL_DATA_NO_SPACE);
    assert_in_range(saved, 1, 6);
    struct shoal_data_list *list = NULL;
    struct shoal_data_query query = { .struct_size = sizeof query };
    assert_int_equal(shoal_data_load_documents(store, &query, &list, &error), SHOAL_DATA_OK);
    assert_int_equal(shoal_data_list_count(list), saved);
    shoal_data_list_free(list);
    struct shoal_data_checkpoint *checkpoint = NULL;
    assert_int_equal(
        shoal_data_checkpoint_open(store, "net", 0, &checkpoint, &error), SHOAL_DATA_OK);
    assert_int_equal(
        shoal_data_checkpoint_read(checkpoint, 0, json, MIB_SIZE, &error), SHOAL_DATA_OK);
    assert_memory_equal(json, data, MIB_SIZE);
    shoal_data_checkpoint_close(checkpoint);
    struct shoal_data_health health;
    assert_int_equal(shoal_data_health(store, &health, &error), SHOAL_DATA_OK);
    free(json);
    free(data);
    shoal_data_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_old_intact, setup, teardown),
    };
    return cmocka_run_group_tests_name("files: no space", tests, NULL, NULL);
}
