/* Tests of auth/key_store.c: what keys do, what their states allow, and what is on the disk. */
#include "auth/key_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"

#include <cmocka.h>

#define NOW_MS INT64_C(1700000000000)
#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct fixture {
    char directory[64];
    char master_path[96]; /* "": in the directory */
    int dir_fd;
    struct key_store *store;
};

static void open_store(struct fixture *f)
{
    char reason[KEY_STORE_REASON] = "";
    assert_int_equal(key_store_open(f->dir_fd, f->master_path, reason, &f->store), 0);
}

static void reopen(struct fixture *f)
{
    key_store_close(f->store);
    open_store(f);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    log_set_level(LOG_LEVEL_ERROR);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-keys-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->dir_fd = sys_openat(AT_FDCWD, f->directory, O_RDONLY | O_DIRECTORY, 0);
    assert_true(f->dir_fd >= 0);
    open_store(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    key_store_close(f->store);
    (void)close(f->dir_fd);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    free(f);
    return 0;
}

static const uint8_t data_key[FS_DATA_KEY_BYTES] = { 1, 2, 3, 4, 5 };

static void put_file(struct fixture *f, const char *name, const char *text)
{
    int fd = sys_openat(f->dir_fd, "keys", O_RDONLY | O_DIRECTORY, 0);
    assert_true(fd >= 0);
    assert_int_equal(sys_replace_file(fd, name, text, strlen(text), 0600), 0);
    (void)close(fd);
}

static void create(struct fixture *f, char id[KEY_ID_SIZE])
{
    const struct key_create how = { .description = "mine" };
    assert_int_equal(key_store_create(f->store, &how, NOW_MS, id), 0);
}

static int wrap(struct fixture *f, const char *id, uint8_t *out)
{
    const struct fs_keeper *keeper = key_store_keeper(f->store);
    return keeper->wrap(keeper->context, id, slice_str("fs"), data_key, out);
}

static int unwrap(struct fixture *f, const uint8_t *wrapped, int size, const char *binding)
{
    const struct fs_keeper *keeper = key_store_keeper(f->store);
    char id[FS_KEY_ID_SIZE];
    uint8_t got[FS_DATA_KEY_BYTES] = { 0 };
    int result = keeper->unwrap(
        keeper->context, slice_of(wrapped, (size_t)size), slice_str(binding), id, got);
    if (result >= 0)
        assert_memory_equal(got, data_key, sizeof got);
    return result;
}

static void nothing_is_made_before_the_first_key(void **state)
{
    struct fixture *f = *state;
    struct key_info info;
    assert_int_equal(faccessat(f->dir_fd, "keys", F_OK, 0), -1);
    assert_int_equal(key_store_list(f->store, "", 1, &info), 0);
    char id[KEY_ID_SIZE];
    create(f, id);
    struct stat st;
    assert_int_equal(fstatat(f->dir_fd, "keys/master-key", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fstatat(f->dir_fd, "keys/store", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_data_key_comes_back_only_as_it_was_wrapped(void **state)
{
    struct fixture *f = *state;
    char id[KEY_ID_SIZE];
    uint8_t wrapped[FS_WRAPPED_KEY_BYTES];
    create(f, id);
    int size = wrap(f, id, wrapped);
    assert_true(size > (int)FS_DATA_KEY_BYTES);
    assert_null(memmem(wrapped, (size_t)size, data_key, 5));
    assert_int_equal(unwrap(f, wrapped, size, "fs"), 0);
    assert_int_equal(unwrap(f, wrapped, size, "other"), -EBADMSG);
    for (int i = 0; i < size; i++) {
        wrapped[i] ^= 1;
        assert_true(unwrap(f, wrapped, size, "fs") < 0);
        wrapped[i] ^= 1;
    }
    reopen(f);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), 0);
    assert_int_equal(wrap(f, "no-such-key", wrapped), -ENOKEY);
}

static void states_decide_what_a_key_does(void **state)
{
    struct fixture *f = *state;
    char id[KEY_ID_SIZE];
    uint8_t wrapped[FS_WRAPPED_KEY_BYTES];
    struct key_info info;
    create(f, id);
    int size = wrap(f, id, wrapped);
    assert_int_equal(key_store_enable(f->store, id, false), 0);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), -EKEYREVOKED);
    assert_int_equal(key_store_rotate(f->store, id, NOW_MS), -EKEYREVOKED);
    reopen(f);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), -EKEYREVOKED);
    assert_int_equal(key_store_enable(f->store, id, true), 0);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), 0);
    assert_int_equal(key_store_cancel_deletion(f->store, id), -EKEYREVOKED);
    assert_int_equal(key_store_schedule_deletion(f->store, id, NOW_MS + 7 * DAY_MS), 0);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), -EKEYREVOKED);
    assert_int_equal(key_store_enable(f->store, id, true), -EKEYREVOKED);
    assert_int_equal(key_store_cancel_deletion(f->store, id), 0);
    assert_int_equal(key_store_get(f->store, id, &info), 0);
    assert_int_equal(info.state, KEY_DISABLED);
    assert_int_equal(key_store_schedule_deletion(f->store, id, NOW_MS + 7 * DAY_MS), 0);
    assert_false(key_store_tick(f->store, NOW_MS + 7 * DAY_MS - 1));
    assert_true(key_store_tick(f->store, NOW_MS + 7 * DAY_MS));
    assert_int_equal(key_store_get(f->store, id, &info), -ENOENT);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), -ENOKEY);
}

static void older_versions_unwrap_and_the_newest_wraps(void **state)
{
    struct fixture *f = *state;
    char id[KEY_ID_SIZE];
    uint8_t first[FS_WRAPPED_KEY_BYTES];
    uint8_t second[FS_WRAPPED_KEY_BYTES];
    create(f, id);
    int size = wrap(f, id, first);
    assert_int_equal(key_store_rotate(f->store, id, NOW_MS + 1), 0);
    assert_int_equal(unwrap(f, first, size, "fs"), 1);
    assert_int_equal(wrap(f, id, second), size);
    assert_int_equal(unwrap(f, second, size, "fs"), 0);
    assert_int_equal(key_store_set_rotation(f->store, id, true, 90), 0);
    assert_false(key_store_tick(f->store, NOW_MS + 89 * DAY_MS));
    assert_true(key_store_tick(f->store, NOW_MS + 91 * DAY_MS));
    reopen(f);
    assert_int_equal(unwrap(f, first, size, "fs"), 1);
    assert_int_equal(unwrap(f, second, size, "fs"), 1);
    struct key_info info;
    assert_int_equal(key_store_get(f->store, id, &info), 0);
    assert_int_equal(info.version_count, 3);
}

static void aliases_name_keys(void **state)
{
    struct fixture *f = *state;
    char a[KEY_ID_SIZE];
    char b[KEY_ID_SIZE];
    char id[KEY_ID_SIZE];
    struct key_alias aliases[4];
    create(f, a);
    create(f, b);
    assert_int_equal(key_store_alias_create(f->store, "alias/x", a, NOW_MS), 0);
    assert_int_equal(key_store_alias_create(f->store, "alias/x", b, NOW_MS), -EEXIST);
    assert_int_equal(key_store_alias_create(f->store, "alias/aws/x", a, NOW_MS), -EPERM);
    assert_int_equal(key_store_alias_update(f->store, "alias/y", a, NOW_MS), -ENOENT);
    assert_int_equal(key_store_resolve(f->store, "alias/x", id), 0);
    assert_string_equal(id, a);
    assert_int_equal(key_store_alias_update(f->store, "alias/x", b, NOW_MS + 5), 0);
    reopen(f);
    assert_int_equal(key_store_resolve(f->store, "alias/x", id), 0);
    assert_string_equal(id, b);
    assert_int_equal(key_store_list_aliases(f->store, a, "", 4, aliases), 0);
    assert_int_equal(key_store_list_aliases(f->store, NULL, "", 4, aliases), 1);
    assert_int_equal(aliases[0].updated_ms, NOW_MS + 5);
    assert_int_equal(key_store_alias_delete(f->store, "alias/x"), 0);
    assert_int_equal(key_store_resolve(f->store, "alias/x", id), -ENOENT);
}

static void the_default_key_is_made_once_and_belongs_to_the_service(void **state)
{
    struct fixture *f = *state;
    char a[KEY_ID_SIZE];
    char b[KEY_ID_SIZE];
    assert_int_equal(key_store_provide_default(f->store, NOW_MS, a), 0);
    assert_int_equal(key_store_provide_default(f->store, NOW_MS, b), 0);
    assert_string_equal(a, b);
    assert_int_equal(key_store_resolve(f->store, KEY_ALIAS_EFS, b), 0);
    assert_string_equal(a, b);
    assert_int_equal(key_store_schedule_deletion(f->store, a, NOW_MS), -EPERM);
    assert_int_equal(key_store_alias_delete(f->store, KEY_ALIAS_EFS), -EPERM);
}

static void tags_and_descriptions_are_kept(void **state)
{
    struct fixture *f = *state;
    char id[KEY_ID_SIZE];
    static struct key_tag tags[KEY_TAGS_MAX];
    const char *const gone[] = { "b" };
    char *text;
    create(f, id);
    const struct key_tag two[] = { { "a", "1" }, { "b", "2" } };
    const struct key_tag again[] = { { "a", "3" } };
    assert_int_equal(key_store_tag(f->store, id, two, 2), 0);
    assert_int_equal(key_store_tag(f->store, id, again, 1), 0);
    assert_int_equal(key_store_untag(f->store, id, gone, 1), 0);
    assert_int_equal(key_store_describe_as(f->store, id, "yours"), 0);
    reopen(f);
    assert_int_equal(key_store_tags(f->store, id, tags), 1);
    assert_string_equal(tags[0].value, "3");
    assert_int_equal(key_store_description(f->store, id, &text), 0);
    assert_string_equal(text, "yours");
    free(text);
}

static void a_missing_or_wrong_master_key_makes_keys_unusable_and_is_never_replaced(void **state)
{
    struct fixture *f = *state;
    char id[KEY_ID_SIZE];
    uint8_t wrapped[FS_WRAPPED_KEY_BYTES];
    struct key_info info;
    create(f, id);
    int size = wrap(f, id, wrapped);
    assert_int_equal(renameat(f->dir_fd, "keys/master-key", f->dir_fd, "elsewhere"), 0);
    reopen(f);
    assert_int_equal(key_store_get(f->store, id, &info), 0);
    assert_false(info.is_usable);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), -EKEYREVOKED);
    const struct key_create how = { .description = "" };
    char other[KEY_ID_SIZE];
    assert_int_equal(key_store_create(f->store, &how, NOW_MS, other), -EKEYREVOKED);
    assert_int_equal(faccessat(f->dir_fd, "keys/master-key", F_OK, 0), -1);
    put_file(f, "master-key", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    reopen(f);
    assert_int_equal(unwrap(f, wrapped, size, "fs"), -EKEYREVOKED);
    (void)snprintf(f->master_path, sizeof f->master_path, "%s/elsewhere", f->directory);
    reopen(f); /* where the operator says it is */
    assert_int_equal(unwrap(f, wrapped, size, "fs"), 0);
}

static void damage_is_refused(void **state)
{
    struct fixture *f = *state;
    char id[KEY_ID_SIZE];
    char reason[KEY_STORE_REASON] = "";
    struct key_store *store;
    static const struct {
        const char *text;
        int error;
    } cases[] = { { "", -EBADMSG }, { "{}", -EBADMSG }, { "{\"format\": 2}", -EPROTO },
        { "{\"format\": 1, \"check\": \"\", \"keys\": [{}], \"aliases\": []}", -EBADMSG },
        { "{\"format\": 1, \"check\": \"zz\", \"keys\": [], \"aliases\": []}", -EBADMSG } };
    create(f, id);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put_file(f, "store", cases[i].text);
        assert_int_equal(key_store_open(f->dir_fd, NULL, reason, &store), cases[i].error);
        assert_non_null(strstr(reason, "keys/store"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_made_before_the_first_key, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_data_key_comes_back_only_as_it_was_wrapped, setup, teardown),
        cmocka_unit_test_setup_teardown(states_decide_what_a_key_does, setup, teardown),
        cmocka_unit_test_setup_teardown(
            older_versions_unwrap_and_the_newest_wraps, setup, teardown),
        cmocka_unit_test_setup_teardown(aliases_name_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_default_key_is_made_once_and_belongs_to_the_service, setup, teardown),
        cmocka_unit_test_setup_teardown(tags_and_descriptions_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_missing_or_wrong_master_key_makes_keys_unusable_and_is_never_replaced, setup,
            teardown),
        cmocka_unit_test_setup_teardown(damage_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
