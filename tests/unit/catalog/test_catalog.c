/* tests/unit/catalog/test_catalog.c - records, tables, what the data plane sees, and what opening
 * refuses. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/text.h"
#include "catalog/nets.h"
#include "catalog/store.h"

struct fixture {
    char directory[64];
    char path[96];
    char reason[CATALOG_REASON_SIZE];
    struct catalog *catalog;
};

static struct catalog_options options_of(const struct fixture *f)
{
    return (struct catalog_options){
        .path = f->path, .region = "us-east-1", .account_id = "000000000000"
    };
}

static int open_catalog(struct fixture *f)
{
    struct catalog_options options = options_of(f);
    return catalog_open(&options, f->reason, &f->catalog);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-catalog-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->path, sizeof f->path, "%s/catalog", f->directory);
    assert_int_equal(open_catalog(f), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    catalog_close(f->catalog);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    catalog_close(f->catalog);
    f->catalog = NULL;
    assert_int_equal(open_catalog(f), 0);
}

/* One change of each kind, as small functions for catalog_change(). */

struct fs_wish {
    const char *id;
    const char *token;
    enum catalog_state state;
};

static int make_fs(struct catalog_change *change, void *context)
{
    const struct fs_wish *wish = context;
    struct catalog_fs *fs;
    int err = catalog_add_fs(change, &fs);
    if (err < 0)
        return err;
    assert_int_equal(text_copy(fs->id, sizeof fs->id, wish->id), 0);
    assert_int_equal(text_copy(fs->creation_token, sizeof fs->creation_token, wish->token), 0);
    fs->state = wish->state;
    fs->throughput = CATALOG_PROVISIONED;
    fs->provisioned_mibps = 12.5;
    fs->created_ms = 1234567890123;
    return catalog_tags_set(&fs->tags, "Name", "first \"quoted\" \xc3\xa9");
}

static void add_fs(struct fixture *f, const char *id, const char *token, enum catalog_state state)
{
    struct fs_wish wish = { id, token, state };
    assert_int_equal(catalog_change(f->catalog, make_fs, &wish), 0);
}

struct target_wish {
    const char *id;
    const char *fs_id;
    const char *address;
    enum catalog_state state;
};

static int make_target(struct catalog_change *change, void *context)
{
    const struct target_wish *wish = context;
    struct catalog_mount_target *target;
    int err = catalog_add_mount_target(change, &target);
    if (err < 0)
        return err;
    assert_int_equal(text_copy(target->id, sizeof target->id, wish->id), 0);
    assert_int_equal(text_copy(target->fs_id, sizeof target->fs_id, wish->fs_id), 0);
    target->state = wish->state;
    target->security_group_count = 2;
    assert_int_equal(text_copy(target->security_groups[1], CATALOG_ID_SIZE, "sg-2"), 0);
    assert_int_equal(inet_pton(AF_INET, wish->address, &target->address), 1);
    return 0;
}

static void add_target(struct fixture *f, const char *id, const char *fs_id, const char *address)
{
    struct target_wish wish = { id, fs_id, address, CATALOG_AVAILABLE };
    assert_int_equal(catalog_change(f->catalog, make_target, &wish), 0);
}

static struct in_addr address_of(const char *text)
{
    struct in_addr address;
    assert_int_equal(inet_pton(AF_INET, text, &address), 1);
    return address;
}

static void a_record_survives_closing(void **state)
{
    struct fixture *f = *state;
    add_fs(f, "fs-1", "token/1", CATALOG_AVAILABLE);
    add_target(f, "fsmt-1", "fs-1", "127.16.0.9");
    reopen(f);
    const struct catalog_fs *fs = catalog_fs_get_by_token(f->catalog, "token/1");
    assert_non_null(fs);
    assert_string_equal(fs->id, "fs-1");
    assert_int_equal(fs->state, CATALOG_AVAILABLE);
    assert_int_equal(fs->throughput, CATALOG_PROVISIONED);
    assert_true(fs->provisioned_mibps == 12.5);
    assert_int_equal(fs->created_ms, 1234567890123);
    assert_string_equal(catalog_tags_find(&fs->tags, "Name"), "first \"quoted\" \xc3\xa9");
    catalog_fs_put(fs);
    const struct catalog_mount_target *target = catalog_mount_target_get(f->catalog, "fsmt-1");
    assert_non_null(target);
    assert_int_equal(target->address.s_addr, address_of("127.16.0.9").s_addr);
    assert_string_equal(target->security_groups[1], "sg-2");
    catalog_mount_target_put(target);
}

static void the_data_plane_sees_available_targets_only(void **state)
{
    struct fixture *f = *state;
    struct catalog_export export;
    uint64_t before = catalog_generation(f->catalog);
    assert_int_equal(catalog_find_export(f->catalog, address_of("127.16.0.4"), &export), -ENOENT);
    add_fs(f, "fs-1", "t", CATALOG_AVAILABLE);
    struct target_wish wish = { "fsmt-1", "fs-1", "127.16.0.4", CATALOG_CREATING };
    assert_int_equal(catalog_change(f->catalog, make_target, &wish), 0);
    assert_int_equal(catalog_find_export(f->catalog, address_of("127.16.0.4"), &export), -ENOENT);
    add_target(f, "fsmt-2", "fs-1", "127.16.16.4");
    assert_int_equal(catalog_find_export(f->catalog, address_of("127.16.16.4"), &export), 0);
    assert_string_equal(export.fs_id, "fs-1");
    assert_string_equal(export.mount_target_id, "fsmt-2");
    assert_true(catalog_generation(f->catalog) > before);
    assert_int_equal(catalog_mount_target_count(f->catalog, "fs-1"), 2);
}

static int tag_profile(struct catalog_change *change, void *context)
{
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, "fs-1", &fs);
    return err < 0 ? err : catalog_tags_set(&fs->tags, CATALOG_PROFILE_TAG, context);
}

static void a_tag_is_the_profile_of_a_file_system(void **state)
{
    struct fixture *f = *state;
    char strict[] = "strict";
    char later[] = "of-a-later-release";
    add_fs(f, "fs-1", "t", CATALOG_AVAILABLE);
    uint64_t before = catalog_generation(f->catalog);
    assert_int_equal(catalog_fs_profile(f->catalog, "fs-1"), CATALOG_PROFILE_DEFAULT);
    assert_int_equal(catalog_fs_profile(f->catalog, "fs-2"), CATALOG_PROFILE_DEFAULT);
    assert_int_equal(catalog_change(f->catalog, tag_profile, strict), 0);
    assert_int_equal(catalog_fs_profile(f->catalog, "fs-1"), CATALOG_PROFILE_STRICT);
    assert_true(catalog_generation(f->catalog) > before);
    assert_int_equal(catalog_change(f->catalog, tag_profile, later), 0);
    assert_int_equal(catalog_fs_profile(f->catalog, "fs-1"), CATALOG_PROFILE_DEFAULT);
}

static bool collect(void *context, const char *fs_id)
{
    char *text = context;
    strncat(text, fs_id, 8);
    return strlen(text) < 12;
}

static void each_fs_goes_through_the_available_ones_in_order_until_told_to_stop(void **state)
{
    struct fixture *f = *state;
    add_fs(f, "fs-3", "3", CATALOG_AVAILABLE);
    add_fs(f, "fs-1", "1", CATALOG_AVAILABLE);
    add_fs(f, "fs-2", "2", CATALOG_CREATING);
    add_fs(f, "fs-4", "4", CATALOG_UPDATING);
    add_fs(f, "fs-5", "5", CATALOG_AVAILABLE);
    char seen[64] = "";
    catalog_each_fs(f->catalog, collect, seen);
    assert_string_equal(seen, "fs-1fs-3fs-4");
    assert_int_equal(catalog_check_fs(f->catalog, "fs-4"), 0);
    assert_int_equal(catalog_check_fs(f->catalog, "fs-2"), -ENOENT);
    assert_int_equal(catalog_check_fs(f->catalog, "fs-9"), -ENOENT);
}

static int edit_and_fail(struct catalog_change *change, void *context)
{
    struct catalog_fs *fs;
    assert_int_equal(catalog_edit_fs(change, context, &fs), 0);
    fs->state = CATALOG_ERROR;
    return -ECANCELED;
}

static int edit_tag(struct catalog_change *change, void *context)
{
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, context, &fs);
    return err < 0 ? err : catalog_tags_set(&fs->tags, "Name", "second");
}

static void a_reader_keeps_the_record_it_has(void **state)
{
    struct fixture *f = *state;
    char id[] = "fs-1";
    add_fs(f, id, "1", CATALOG_AVAILABLE);
    const struct catalog_fs *old = catalog_fs_get(f->catalog, id);
    assert_int_equal(catalog_change(f->catalog, edit_and_fail, id), -ECANCELED);
    assert_int_equal(catalog_change(f->catalog, edit_tag, id), 0);
    const struct catalog_fs *new = catalog_fs_get(f->catalog, id);
    assert_string_equal(catalog_tags_find(&old->tags, "Name"), "first \"quoted\" \xc3\xa9");
    assert_string_equal(catalog_tags_find(&new->tags, "Name"), "second");
    assert_int_equal(new->state, CATALOG_AVAILABLE);
    catalog_fs_put(old);
    catalog_fs_put(new);
    char missing[] = "fs-2";
    assert_int_equal(catalog_change(f->catalog, edit_tag, missing), -ENOENT);
}

#define POINT_COUNT 10000

static int make_points(struct catalog_change *change, void *context)
{
    for (unsigned i = 0; i < POINT_COUNT; i++) {
        struct catalog_access_point *point;
        int err = catalog_add_access_point(change, &point);
        if (err < 0)
            return err;
        (void)snprintf(point->id, sizeof point->id, "fsap-%017x", i * 7);
        (void)snprintf(point->client_token, sizeof point->client_token, "pvc-%u", i);
        assert_int_equal(text_copy(point->fs_id, sizeof point->fs_id, context), 0);
        point->has_posix_user = true;
        point->gid = i;
        point->secondary_gid_count = 1;
        point->secondary_gids[0] = UINT32_MAX;
    }
    return 0;
}

static int remove_point(struct catalog_change *change, void *context)
{
    return catalog_remove_access_point(change, context);
}

static void ten_thousand_access_points_are_paged_in_order(void **state)
{
    struct fixture *f = *state;
    char fs_id[] = "fs-1";
    char other[] = "fs-2";
    add_fs(f, fs_id, "1", CATALOG_AVAILABLE);
    add_fs(f, other, "2", CATALOG_AVAILABLE);
    assert_int_equal(catalog_change(f->catalog, make_points, fs_id), 0);
    reopen(f);
    assert_int_equal(catalog_access_point_count(f->catalog, fs_id), POINT_COUNT);
    assert_int_equal(catalog_access_point_count(f->catalog, other), 0);
    static const struct catalog_access_point *page[999];
    char after[CATALOG_ID_SIZE] = "";
    size_t total = 0;
    size_t count;
    do {
        count = catalog_access_point_list(f->catalog, fs_id, after, ARRAY_SIZE(page), page);
        for (size_t i = 0; i < count; i++) {
            assert_true(strcmp(after, page[i]->id) < 0);
            assert_int_equal(page[i]->gid, total++);
            memcpy(after, page[i]->id, sizeof after);
            catalog_access_point_put(page[i]);
        }
    } while (count == ARRAY_SIZE(page));
    assert_int_equal(total, POINT_COUNT);
    assert_int_equal(catalog_access_point_list(f->catalog, other, "", 9, page), 0);
    const struct catalog_access_point *point =
        catalog_access_point_get_by_token(f->catalog, fs_id, "pvc-77");
    assert_int_equal(point->gid, 77);
    assert_int_equal(point->secondary_gids[0], UINT32_MAX);
    char id[CATALOG_ID_SIZE];
    memcpy(id, point->id, sizeof id);
    catalog_access_point_put(point);
    assert_null(catalog_access_point_get_by_token(f->catalog, other, "pvc-77"));
    assert_int_equal(catalog_change(f->catalog, remove_point, id), 0);
    assert_int_equal(catalog_access_point_count(f->catalog, fs_id), POINT_COUNT - 1);
    assert_null(catalog_access_point_get(f->catalog, id));
}

static void the_default_network_is_the_same_at_every_start(void **state)
{
    struct fixture *f = *state;
    const struct catalog_network *network = catalog_network(f->catalog);
    struct catalog_network first = *network;
    assert_int_equal(network->zone_count, 3);
    assert_string_equal(network->zones[0].name, "us-east-1a");
    assert_string_equal(network->zones[2].id, "use1-az3");
    assert_int_equal(network->subnets[1].base.s_addr, address_of("127.16.16.0").s_addr);
    assert_int_equal(strlen(network->vpc_id), strlen("vpc-") + 17);
    reopen(f);
    network = catalog_network(f->catalog);
    assert_string_equal(network->vpc_id, first.vpc_id);
    assert_string_equal(network->subnets[2].id, first.subnets[2].id);
    assert_ptr_equal(network->subnets[2].zone, &network->zones[2]);
    struct catalog_subnet subnet;
    assert_int_equal(catalog_subnet_get(f->catalog, first.subnets[1].id, &subnet), 0);
    assert_int_equal(subnet.base.s_addr, network->subnets[1].base.s_addr);
    assert_ptr_equal(subnet.zone, &network->zones[1]);
    assert_string_equal(subnet.vpc_id, network->vpc_id);
    assert_int_equal(catalog_subnet_get(f->catalog, "subnet-0", &subnet), -ENOENT);
}

static void addresses_are_given_from_the_first_gap(void **state)
{
    struct fixture *f = *state;
    const struct catalog_subnet *subnet = &catalog_network(f->catalog)->subnets[0];
    struct in_addr address;
    assert_int_equal(catalog_subnet_free_count(f->catalog, subnet), 4091);
    assert_int_equal(catalog_subnet_pick(f->catalog, subnet, &address), 0);
    assert_string_equal(inet_ntoa(address), "127.16.0.4"); /* the first four are reserved */
    add_target(f, "fsmt-1", "fs-1", "127.16.0.4");
    add_target(f, "fsmt-2", "fs-2", "127.16.0.5");
    add_target(f, "fsmt-3", "fs-3", "127.16.0.7");
    add_target(f, "fsmt-4", "fs-4", "127.16.16.4");
    assert_int_equal(catalog_subnet_pick(f->catalog, subnet, &address), 0);
    assert_string_equal(inet_ntoa(address), "127.16.0.6");
    assert_int_equal(catalog_subnet_free_count(f->catalog, subnet), 4088);
    assert_false(catalog_subnet_has(subnet, address_of("127.16.0.3")));
    assert_true(catalog_subnet_has(subnet, address_of("127.16.15.254")));
    assert_false(catalog_subnet_has(subnet, address_of("127.16.15.255")));
    struct catalog_subnet tiny = *subnet;
    tiny.prefix_bits = 28; /* .4 to .14; all but .6 and .8 to .14 are taken */
    assert_int_equal(catalog_subnet_free_count(f->catalog, &tiny), 8);
}

static void a_full_subnet_has_no_address_to_give(void **state)
{
    struct fixture *f = *state;
    struct catalog_subnet tiny = catalog_network(f->catalog)->subnets[0];
    tiny.prefix_bits = 28;
    for (unsigned i = 4; i <= 14; i++) {
        char id[32];
        char address[32];
        (void)snprintf(id, sizeof id, "fsmt-%u", i);
        (void)snprintf(address, sizeof address, "127.16.0.%u", i);
        add_target(f, id, "fs-1", address);
    }
    struct in_addr address;
    assert_int_equal(catalog_subnet_pick(f->catalog, &tiny, &address), -ENOSPC);
    assert_int_equal(catalog_subnet_free_count(f->catalog, &tiny), 0);
}

static void a_second_owner_is_refused(void **state)
{
    struct fixture *f = *state;
    struct catalog_options options = options_of(f);
    struct catalog *second = NULL;
    assert_int_equal(catalog_open(&options, f->reason, &second), -EBUSY);
    assert_non_null(strstr(f->reason, "in use by another process"));
}

static void another_region_is_refused(void **state)
{
    struct fixture *f = *state;
    catalog_close(f->catalog);
    f->catalog = NULL;
    struct catalog_options options = options_of(f);
    options.region = "eu-west-1";
    assert_int_equal(catalog_open(&options, f->reason, &f->catalog), -EINVAL);
    assert_non_null(strstr(f->reason, "made for region us-east-1"));
}

/* Writes one raw record and gives what opening then says. */
static int open_with(struct fixture *f, const char *key, const char *value)
{
    catalog_close(f->catalog);
    f->catalog = NULL;
    struct catalog_store *store;
    assert_int_equal(catalog_store_open(f->path, f->reason, sizeof f->reason, &store), 0);
    struct catalog_batch *batch = catalog_batch_new();
    catalog_batch_put(batch, slice_str(key), slice_str(value));
    assert_int_equal(catalog_store_write(store, batch), 0);
    catalog_batch_free(batch);
    catalog_store_close(store);
    return open_catalog(f);
}

static void a_newer_format_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_with(f, "V", "{\"format\":4}"), -EPROTO);
    assert_non_null(strstr(f->reason, "has format 4"));
}

static void damaged_records_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *key;
        const char *value;
    } cases[] = {
        { "ffs-1", "" },
        { "ffs-1", "[]" },
        { "ffs-1", "{}" },
        { "ffs-1", "{\"id\":\"fs-1\",\"state\":77}" },
        { "ffs-1", "{\"id\":\"fs-1\",\"state\":\"available\"}" },
        { "ffs-1", "{\"id\":\"fs-1\",\"tags\":[[\"a\"]]}" },
        { "ffs-1", "{\"id\":\"fs-1\"}" }, /* sound again, but then: */
        { "zz", "{}" },
        { "V", "{\"format\":0}" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int expected = i == 6 ? 0 : -EBADMSG;
        assert_int_equal(open_with(f, cases[i].key, cases[i].value), expected);
    }
}

static void a_failed_write_stops_all_changes_but_not_reading(void **state)
{
    struct fixture *f = *state;
    char id[] = "fs-1";
    add_fs(f, id, "1", CATALOG_AVAILABLE);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = before.rlim_max };
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0); /* as a disk that takes nothing more */
    int failed = catalog_change(f->catalog, edit_tag, id);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(failed, -EIO);
    assert_int_equal(catalog_change(f->catalog, edit_tag, id), -EROFS);
    const struct catalog_fs *fs = catalog_fs_get(f->catalog, id);
    assert_string_equal(catalog_tags_find(&fs->tags, "Name"), "first \"quoted\" \xc3\xa9");
    catalog_fs_put(fs);
    reopen(f);
    assert_int_equal(catalog_change(f->catalog, edit_tag, id), 0);
}

struct reader {
    const struct catalog *catalog;
    _Atomic bool stop;
    _Atomic unsigned reads;
};

static int set_both(struct catalog_change *change, void *context)
{
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, "fs-1", &fs);
    if (err < 0)
        return err;
    fs->size_bytes = *(const uint64_t *)context;
    fs->size_sampled_ms = (int64_t)fs->size_bytes;
    return 0;
}

static void *read_until_told(void *context)
{
    struct reader *reader = context;
    while (!reader->stop) {
        const struct catalog_fs *fs = catalog_fs_get(reader->catalog, "fs-1");
        assert_int_equal(fs->size_bytes, fs->size_sampled_ms);
        catalog_fs_put(fs);
        struct catalog_export export;
        assert_int_equal(
            catalog_find_export(reader->catalog, address_of("127.16.0.4"), &export), 0);
        assert_int_equal(catalog_check_fs(reader->catalog, "fs-1"), 0);
        reader->reads++;
    }
    return NULL;
}

static void readers_see_whole_records_while_changes_run(void **state)
{
    struct fixture *f = *state;
    add_fs(f, "fs-1", "1", CATALOG_AVAILABLE);
    add_target(f, "fsmt-1", "fs-1", "127.16.0.4");
    struct reader reader = { .catalog = f->catalog };
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_told, &reader), 0);
    for (uint64_t value = 1; value <= 500; value++)
        assert_int_equal(catalog_change(f->catalog, set_both, &value), 0);
    reader.stop = true;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(reader.reads > 0);
}

/* ---- many changes at once ------------------------------------------------------------------------------ */

#define CALLERS       8
#define CALLER_TOKENS 60

struct caller {
    struct catalog *catalog;
    unsigned number;
    unsigned token;
    unsigned won;
};

/* Adds a file system unless its token is used: what the API does, and all callers use the same tokens. */
static int add_unless_used(struct catalog_change *change, void *context)
{
    const struct caller *caller = context;
    char token[32];
    (void)snprintf(token, sizeof token, "token-%u", caller->token);
    const struct catalog_fs *existing = catalog_fs_get_by_token(catalog_changing(change), token);
    catalog_fs_put(existing);
    if (existing != NULL)
        return -EEXIST;
    struct catalog_fs *fs;
    int err = catalog_add_fs(change, &fs);
    if (err < 0)
        return err;
    (void)snprintf(fs->id, sizeof fs->id, "fs-%u-%u", caller->number, caller->token);
    return text_copy(fs->creation_token, sizeof fs->creation_token, token);
}

static void *add_all_tokens(void *context)
{
    struct caller *caller = context;
    for (caller->token = 0; caller->token < CALLER_TOKENS; caller->token++) {
        char token[32];
        int err = catalog_change(caller->catalog, add_unless_used, caller);
        assert_true(err == 0 || err == -EEXIST);
        caller->won += err == 0;
        /* Whoever it was that added it: after either answer it is there to be seen. */
        (void)snprintf(token, sizeof token, "token-%u", caller->token);
        const struct catalog_fs *fs = catalog_fs_get_by_token(caller->catalog, token);
        assert_non_null(fs);
        catalog_fs_put(fs);
    }
    return NULL;
}

static void run_callers(
    struct fixture *f, void *(*work)(void *context), struct caller callers[CALLERS])
{
    pthread_t threads[CALLERS];
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i].catalog = f->catalog;
        callers[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &callers[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void changes_that_share_a_write_see_each_other(void **state)
{
    struct fixture *f = *state;
    struct caller callers[CALLERS] = { 0 };
    unsigned won = 0;
    run_callers(f, add_all_tokens, callers);
    for (unsigned i = 0; i < CALLERS; i++)
        won += callers[i].won;
    assert_int_equal(won, CALLER_TOKENS);
    assert_int_equal(catalog_fs_count(f->catalog), CALLER_TOKENS);
    reopen(f);
    assert_int_equal(catalog_fs_count(f->catalog), CALLER_TOKENS);
}

static void *fail_to_add(void *context)
{
    struct caller *caller = context;
    for (caller->token = 0; caller->token < CALLER_TOKENS; caller->token++) {
        int err = catalog_change(caller->catalog, add_unless_used, caller);
        assert_true(err == -EIO || err == -EROFS);
    }
    return NULL;
}

static void a_failed_write_fails_all_changes_that_share_it(void **state)
{
    struct fixture *f = *state;
    struct caller callers[CALLERS] = { 0 };
    struct rlimit before;
    add_fs(f, "fs-1", "1", CATALOG_AVAILABLE);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = before.rlim_max };
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    run_callers(f, fail_to_add, callers);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(catalog_fs_count(f->catalog), 1); /* nothing is shown that is not durable */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_survives_closing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_data_plane_sees_available_targets_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tag_is_the_profile_of_a_file_system, setup, teardown),
        cmocka_unit_test_setup_teardown(
            each_fs_goes_through_the_available_ones_in_order_until_told_to_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_keeps_the_record_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(
            ten_thousand_access_points_are_paged_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_default_network_is_the_same_at_every_start, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_are_given_from_the_first_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_subnet_has_no_address_to_give, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_owner_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_region_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_format_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_records_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_failed_write_stops_all_changes_but_not_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(
            readers_see_whole_records_while_changes_run, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_that_share_a_write_see_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_failed_write_fails_all_changes_that_share_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
