/* tests/unit/catalog/test_identities.c - users, groups, roles, managed policies and keys: what is kept, and found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/text.h"
#include "catalog/identities.h"
#include "catalog/store.h"

struct fixture {
    char directory[64];
    char path[96];
    char reason[CATALOG_REASON_SIZE];
    struct catalog *catalog;
};

static int open_catalog(struct fixture *f)
{
    struct catalog_options options = {
        .path = f->path, .region = "us-east-1", .account_id = "000000000000"
    };
    return catalog_open(&options, f->reason, &f->catalog);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-identities-XXXXXX");
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

struct wish {
    enum catalog_identity_kind kind;
    const char *id;
    const char *name;
};

/* Everything that a record may have. */
static int add_identity(struct catalog_change *change, void *context)
{
    const struct wish *wish = context;
    struct catalog_identity *identity;
    int err = catalog_add_identity(change, &identity);
    if (err < 0)
        return err;
    identity->kind = wish->kind;
    identity->created_ms = 12345;
    assert_int_equal(text_copy(identity->id, sizeof identity->id, wish->id), 0);
    assert_int_equal(text_copy(identity->name, sizeof identity->name, wish->name), 0);
    assert_int_equal(text_copy(identity->path, sizeof identity->path, "/a/"), 0);
    assert_int_equal(catalog_tags_set(&identity->tags, "Team", "x"), 0);
    assert_int_equal(catalog_tags_set(&identity->inline_policies, "p", "{\"q\": 1}"), 0);
    assert_int_equal(catalog_tags_set(&identity->attached, "arn:aws:iam::aws:policy/X", ""), 0);
    if (wish->kind == CATALOG_USER)
        assert_int_equal(catalog_tags_set(&identity->groups, "AGPA1", ""), 0);
    if (wish->kind == CATALOG_ROLE) {
        identity->session_seconds_max = 3600;
        assert_int_equal(catalog_text_set(&identity->trust_policy, "{}"), 0);
    }
    if (wish->kind == CATALOG_MANAGED_POLICY) {
        assert_int_equal(catalog_policy_add_version(identity, "one", 1), 0);
        assert_int_equal(catalog_policy_add_version(identity, "two", 2), 0);
        assert_int_equal(catalog_policy_add_version(identity, "three", 3), 0);
        catalog_policy_remove_version(identity, 1);
        identity->default_version = 3;
        assert_int_equal(catalog_text_set(&identity->description, "about"), 0);
    }
    return 0;
}

static void add(
    struct fixture *f, enum catalog_identity_kind kind, const char *id, const char *name)
{
    struct wish wish = { kind, id, name };
    assert_int_equal(catalog_change(f->catalog, add_identity, &wish), 0);
}

static int add_key(struct catalog_change *change, void *context)
{
    const struct wish *wish = context;
    struct catalog_key *key;
    int err = catalog_add_key(change, &key);
    if (err < 0)
        return err;
    assert_int_equal(text_copy(key->id, sizeof key->id, wish->id), 0);
    assert_int_equal(text_copy(key->user_id, sizeof key->user_id, wish->name), 0);
    return text_copy(key->secret, sizeof key->secret, "secret");
}

static int stop_key(struct catalog_change *change, void *context)
{
    struct catalog_key *key;
    int err = catalog_edit_key(change, context, &key);
    if (err < 0)
        return err;
    key->is_inactive = true;
    key->used_ms = 77;
    return text_copy(key->used_service, sizeof key->used_service, "iam");
}

static int use_key(struct catalog_change *change, void *context)
{
    struct catalog_key *key;
    int err = catalog_edit_key(change, context, &key);
    if (err == 0)
        key->used_ms++;
    return err;
}

static int rename_identity(struct catalog_change *change, void *context)
{
    const struct wish *wish = context;
    struct catalog_identity *identity;
    int err = catalog_edit_identity(change, wish->id, &identity);
    return err < 0 ? err : text_copy(identity->name, sizeof identity->name, wish->name);
}

static int remove_identity(struct catalog_change *change, void *context)
{
    return catalog_remove_identity(change, context);
}

static void a_record_has_all_its_fields_after_a_restart(void **state)
{
    struct fixture *f = *state;
    add(f, CATALOG_USER, "AIDA1", "Ada");
    add(f, CATALOG_ROLE, "AROA1", "Ada");
    add(f, CATALOG_MANAGED_POLICY, "ANPA1", "Ada");
    reopen(f);
    const struct catalog_identity *user = catalog_identity_get(f->catalog, "AIDA1");
    assert_non_null(user);
    assert_string_equal(user->name, "Ada");
    assert_string_equal(user->path, "/a/");
    assert_int_equal(user->created_ms, 12345);
    assert_string_equal(catalog_tags_find(&user->tags, "Team"), "x");
    assert_string_equal(catalog_tags_find(&user->inline_policies, "p"), "{\"q\": 1}");
    assert_non_null(catalog_tags_find(&user->attached, "arn:aws:iam::aws:policy/X"));
    assert_non_null(catalog_tags_find(&user->groups, "AGPA1"));
    catalog_identity_put(user);
    const struct catalog_identity *role = catalog_identity_find(f->catalog, CATALOG_ROLE, "Ada");
    assert_non_null(role);
    assert_string_equal(role->trust_policy, "{}");
    assert_int_equal(role->session_seconds_max, 3600);
    catalog_identity_put(role);
    const struct catalog_identity *policy = catalog_identity_get(f->catalog, "ANPA1");
    assert_non_null(policy);
    assert_int_equal(policy->version_count, 2);
    assert_int_equal(policy->last_version, 3);
    assert_string_equal(catalog_identity_document(policy), "three");
    assert_string_equal(policy->description, "about");
    catalog_identity_put(policy);
}

static void names_are_found_in_any_case_and_per_kind(void **state)
{
    struct fixture *f = *state;
    add(f, CATALOG_USER, "AIDA1", "Ada");
    add(f, CATALOG_GROUP, "AGPA1", "ops");
    const struct catalog_identity *user = catalog_identity_find(f->catalog, CATALOG_USER, "aDA");
    assert_non_null(user);
    assert_string_equal(user->name, "Ada");
    assert_null(catalog_identity_find(f->catalog, CATALOG_GROUP, "Ada"));
    assert_null(catalog_identity_find(f->catalog, CATALOG_USER, "Ad"));
    struct wish wish = { CATALOG_USER, "AIDA1", "Bea" };
    assert_int_equal(catalog_change(f->catalog, rename_identity, &wish), 0);
    assert_null(catalog_identity_find(f->catalog, CATALOG_USER, "Ada"));
    assert_string_equal(user->name, "Ada"); /* what was given out stays */
    catalog_identity_put(user);
    assert_int_equal(catalog_change(f->catalog, remove_identity, (char[]){ "AIDA1" }), 0);
    assert_null(catalog_identity_find(f->catalog, CATALOG_USER, "Bea"));
    assert_int_equal(catalog_change(f->catalog, remove_identity, (char[]){ "AIDA1" }), -ENOENT);
}

static void lists_are_sorted_and_go_on(void **state)
{
    struct fixture *f = *state;
    add(f, CATALOG_USER, "AIDA1", "beta");
    add(f, CATALOG_USER, "AIDA2", "Alpha");
    add(f, CATALOG_USER, "AIDA3", "Gamma");
    add(f, CATALOG_ROLE, "AROA1", "alpha");
    const struct catalog_identity *list[4];
    assert_int_equal(catalog_identity_count(f->catalog, CATALOG_USER), 3);
    assert_int_equal(catalog_identity_count(f->catalog, CATALOG_GROUP), 0);
    assert_int_equal(catalog_identity_list(f->catalog, CATALOG_USER, "", 2, list), 2);
    assert_string_equal(list[0]->name, "Alpha");
    assert_string_equal(list[1]->name, "beta");
    catalog_identity_put(list[0]);
    catalog_identity_put(list[1]);
    assert_int_equal(catalog_identity_list(f->catalog, CATALOG_USER, "BETA", 4, list), 1);
    assert_string_equal(list[0]->name, "Gamma");
    catalog_identity_put(list[0]);
}

static void keys_are_listed_by_user(void **state)
{
    struct fixture *f = *state;
    struct wish wishes[] = { { .id = "AKIA1", .name = "" }, { .id = "AKIA2", .name = "AIDA1" },
        { .id = "AKIA3", .name = "AIDA2" }, { .id = "AKIA4", .name = "AIDA1" } };
    for (size_t i = 0; i < ARRAY_SIZE(wishes); i++)
        assert_int_equal(catalog_change(f->catalog, add_key, &wishes[i]), 0);
    const struct catalog_key *keys[4];
    assert_int_equal(catalog_key_list_of(f->catalog, "AIDA1", "", 4, keys), 2);
    assert_string_equal(keys[0]->id, "AKIA2");
    assert_string_equal(keys[1]->id, "AKIA4");
    catalog_key_put(keys[0]);
    catalog_key_put(keys[1]);
    assert_int_equal(catalog_key_list_of(f->catalog, "", "", 4, keys), 1);
    assert_string_equal(keys[0]->id, "AKIA1");
    catalog_key_put(keys[0]);
    assert_int_equal(catalog_change(f->catalog, stop_key, (char[]){ "AKIA4" }), 0);
    reopen(f);
    const struct catalog_key *key = catalog_key_get(f->catalog, "AKIA4");
    assert_true(key->is_inactive);
    assert_int_equal(key->used_ms, 77);
    assert_string_equal(key->used_service, "iam");
    catalog_key_put(key);
}

static void the_data_plane_hears_of_what_may_change_its_decisions(void **state)
{
    struct fixture *f = *state;
    uint64_t before = catalog_generation(f->catalog);
    struct wish key = { .id = "AKIA1", .name = "AIDA1" };
    assert_int_equal(catalog_change(f->catalog, add_key, &key), 0);
    assert_int_equal(catalog_change(f->catalog, use_key, (char[]){ "AKIA1" }), 0);
    assert_true(catalog_generation(f->catalog) == before);
    assert_int_equal(catalog_change(f->catalog, stop_key, (char[]){ "AKIA1" }), 0);
    assert_true(catalog_generation(f->catalog) > before);
    before = catalog_generation(f->catalog);
    add(f, CATALOG_GROUP, "AGPA1", "ops");
    assert_true(catalog_generation(f->catalog) > before);
}

/* Writes raw records and gives what opening then says. */
static int open_with(struct fixture *f, const char *key, const char *value, bool drop_secret)
{
    catalog_close(f->catalog);
    f->catalog = NULL;
    struct catalog_store *store;
    assert_int_equal(catalog_store_open(f->path, f->reason, sizeof f->reason, &store), 0);
    struct catalog_batch *batch = catalog_batch_new();
    catalog_batch_put(batch, slice_str(key), slice_str(value));
    if (drop_secret)
        catalog_batch_delete(batch, slice_str("t"));
    assert_int_equal(catalog_store_write(store, batch), 0);
    catalog_batch_free(batch);
    catalog_store_close(store);
    return open_catalog(f);
}

static void the_first_format_is_brought_up(void **state)
{
    struct fixture *f = *state;
    uint8_t secret[CATALOG_SESSION_SECRET_SIZE];
    assert_int_equal(
        open_with(f, "kAKIAOLD",
            "{\"id\":\"AKIAOLD\",\"secret\":\"s\",\"user\":\"root\",\"created_ms\":5}", false),
        0);
    assert_int_equal(open_with(f, "V", "{\"format\":1}", true), 0);
    const struct catalog_key *key = catalog_key_get(f->catalog, "AKIAOLD");
    assert_string_equal(key->user_id, ""); /* the keys of that time are the administrator's */
    assert_int_equal(key->created_ms, 5);
    assert_false(key->is_inactive);
    catalog_key_put(key);
    memcpy(secret, catalog_session_secret(f->catalog), sizeof secret);
    reopen(f);
    assert_memory_equal(secret, catalog_session_secret(f->catalog), sizeof secret);
}

static void damaged_identities_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *key;
        const char *value;
    } cases[] = {
        { "iAIDA1", "{\"id\":\"AIDA1\",\"kind\":\"cat\",\"name\":\"a\",\"path\":\"/\"}" },
        { "iAIDA1", "{\"id\":\"AIDA1\",\"kind\":\"user\",\"path\":\"/\"}" },
        { "iAIDA1", "{\"id\":\"AIDA1\",\"kind\":\"policy\",\"name\":\"a\",\"path\":\"/\"}" },
        { "iAIDA1", "{\"id\":\"AIDA1\",\"kind\":\"user\",\"name\":\"a\",\"path\":\"/\"}" },
        { "t", "{\"secret\":\"00\"}" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(open_with(f, cases[i].key, cases[i].value, false), i == 3 ? 0 : -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_record_has_all_its_fields_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_found_in_any_case_and_per_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_sorted_and_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_listed_by_user, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_data_plane_hears_of_what_may_change_its_decisions, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_format_is_brought_up, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_identities_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
