/* tests/unit/dns/test_zone.c - which mount targets a name means, over a real catalog. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/text.h"
#include "catalog/records.h"
#include "dns/zone.h"

#define FS "fs-0123456789abcdef0"

struct fixture {
    char directory[64];
    struct catalog *catalog;
    struct dns_zone zone;
    struct dns_source source;
    unsigned down; /* bits: the target of zone i does not serve */
    struct dns_addresses found;
};

/* The mount target of zone i has the fifth address of its subnet. */
static struct in_addr target_address(const struct fixture *f, unsigned i)
{
    return (
        struct in_addr){ htonl(ntohl(catalog_network(f->catalog)->subnets[i].base.s_addr) + 4) };
}

static bool serves(void *context, struct in_addr address)
{
    const struct fixture *f = context;
    for (unsigned i = 0; i < catalog_network(f->catalog)->zone_count; i++) {
        if (target_address(f, i).s_addr == address.s_addr)
            return (f->down >> i & 1u) == 0;
    }
    fail_msg("asked for an address that is no target's");
    return false;
}

struct wish {
    const struct fixture *f;
    unsigned zone;
    enum catalog_state state;
};

static int make_target(struct catalog_change *change, void *context)
{
    const struct wish *wish = context;
    struct catalog_mount_target *target;
    int err = catalog_add_mount_target(change, &target);
    if (err < 0)
        return err;
    (void)snprintf(target->id, sizeof target->id, "fsmt-%u", wish->zone);
    assert_int_equal(text_copy(target->fs_id, sizeof target->fs_id, FS), 0);
    assert_int_equal(text_copy(target->subnet_id, sizeof target->subnet_id,
                         catalog_network(wish->f->catalog)->subnets[wish->zone].id),
        0);
    target->address = target_address(wish->f, wish->zone);
    target->state = wish->state;
    return 0;
}

static int remove_target(struct catalog_change *change, void *context)
{
    return catalog_remove_mount_target(change, context);
}

static void add_target(struct fixture *f, unsigned zone, enum catalog_state state)
{
    struct wish wish = { f, zone, state };
    assert_int_equal(catalog_change(f->catalog, make_target, &wish), 0);
}

static int make_fs(struct catalog_change *change, void *context)
{
    struct catalog_fs *fs;
    int err = catalog_add_fs(change, &fs);
    (void)context;
    if (err < 0)
        return err;
    fs->state = CATALOG_AVAILABLE;
    assert_int_equal(text_copy(fs->creation_token, sizeof fs->creation_token, "token"), 0);
    return text_copy(fs->id, sizeof fs->id, FS);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[96];
    char reason[CATALOG_REASON_SIZE];
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-zone-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(path, sizeof path, "%s/catalog", f->directory);
    struct catalog_options options = {
        .path = path, .region = "us-east-1", .account_id = "000000000000"
    };
    assert_int_equal(catalog_open(&options, reason, &f->catalog), 0);
    assert_int_equal(catalog_change(f->catalog, make_fs, NULL), 0);
    f->zone.options =
        (struct dns_zone_options){ .catalog = f->catalog, .serves = serves, .context = f };
    f->source = dns_zone_source(&f->zone);
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

/* Looks for `label`, or `left`.`label`, for an asker at `address` (NULL: IPv6). */
static enum dns_found look(
    struct fixture *f, const char *left, const char *label, const char *address)
{
    struct dns_name name = { .label_count = left != NULL ? 2 : 1 };
    struct in_addr asker;
    if (address != NULL)
        assert_int_equal(inet_pton(AF_INET, address, &asker), 1);
    if (left != NULL)
        assert_int_equal(text_copy(name.labels[0], DNS_LABEL_SIZE, left), 0);
    assert_int_equal(text_copy(name.labels[name.label_count - 1], DNS_LABEL_SIZE, label), 0);
    f->found = (struct dns_addresses){ 0 };
    return f->source.find(f->source.context, &name, address != NULL ? &asker : NULL, &f->found);
}

/* The zone whose target was answered at `index`. */
static unsigned zone_at(const struct fixture *f, unsigned index)
{
    assert_true(index < f->found.count);
    for (unsigned i = 0;; i++) {
        if (target_address(f, i).s_addr == f->found.items[index].s_addr)
            return i;
    }
}

static void add_targets(struct fixture *f)
{
    for (unsigned i = 0; i < catalog_network(f->catalog)->zone_count; i++)
        add_target(f, i, CATALOG_AVAILABLE);
}

static void an_asker_in_a_zone_gets_the_target_of_its_zone(void **state)
{
    struct fixture *f = *state;
    add_targets(f);
    static const char *const askers[] = { "127.16.0.200", "127.16.16.200", "127.16.47.255" };
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(look(f, NULL, FS, askers[i]), DNS_HOSTS);
        assert_int_equal(f->found.count, 1);
        assert_int_equal(zone_at(f, 0), i);
    }
}

static void others_get_all_and_each_time_another_one_first(void **state)
{
    struct fixture *f = *state;
    add_targets(f);
    static const char *const askers[] = { "127.0.0.1", "10.0.0.1", NULL };
    unsigned firsts = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(look(f, NULL, FS, askers[i]), DNS_HOSTS);
        assert_int_equal(f->found.count, 3);
        assert_int_equal(zone_at(f, 0) + zone_at(f, 1) + zone_at(f, 2), 3);
        firsts |= 1u << zone_at(f, 0);
    }
    assert_int_equal(firsts, 7);
}

static void a_zone_may_be_named_by_name_or_id(void **state)
{
    struct fixture *f = *state;
    add_targets(f);
    const struct catalog_network *network = catalog_network(f->catalog);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(look(f, network->zones[i].name, FS, "127.16.0.200"), DNS_HOSTS);
        assert_int_equal(f->found.count, 1);
        assert_int_equal(zone_at(f, 0), i);
        assert_int_equal(look(f, network->zones[i].id, FS, NULL), DNS_HOSTS);
        assert_int_equal(zone_at(f, 0), i);
    }
    assert_int_equal(look(f, "us-east-1z", FS, NULL), DNS_NO_NAME);
}

static void a_name_moves_when_its_target_does_not_serve(void **state)
{
    struct fixture *f = *state;
    add_targets(f);
    f->down = 1;
    assert_int_equal(look(f, NULL, FS, "127.16.0.200"), DNS_HOSTS);
    assert_int_equal(f->found.count, 2);
    assert_int_equal(zone_at(f, 0) + zone_at(f, 1), 3);
    assert_int_equal(look(f, "us-east-1a", FS, "127.16.0.200"), DNS_DOWN);
    f->down = 7;
    assert_int_equal(look(f, NULL, FS, "127.16.0.200"), DNS_DOWN);
    f->down = 0;
    assert_int_equal(look(f, NULL, FS, "127.16.0.200"), DNS_HOSTS);
    assert_int_equal(zone_at(f, 0), 0);
}

static void only_available_targets_have_names(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(look(f, NULL, FS, NULL), DNS_NO_NAME);
    add_target(f, 0, CATALOG_CREATING);
    assert_int_equal(look(f, NULL, FS, NULL), DNS_NO_NAME);
    uint32_t before = f->source.serial(f->source.context);
    add_target(f, 1, CATALOG_AVAILABLE);
    assert_true(f->source.serial(f->source.context) > before);
    assert_int_equal(look(f, NULL, FS, "127.16.0.200"), DNS_HOSTS);
    assert_int_equal(f->found.count, 1);
    assert_int_equal(zone_at(f, 0), 1);
    assert_int_equal(look(f, "us-east-1a", FS, NULL), DNS_NO_NAME);
    char id[] = "fsmt-1";
    assert_int_equal(catalog_change(f->catalog, remove_target, id), 0);
    assert_int_equal(look(f, NULL, FS, NULL), DNS_NO_NAME);
}

static void what_is_no_file_system_has_no_name(void **state)
{
    struct fixture *f = *state;
    add_targets(f);
    static const char *const names[] = { "fs-0123456789abcdef1", "fs-", "fs", "", "fsmt-0",
        "FS-0123456789abcdef0", "fs-0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(look(f, NULL, names[i], NULL), DNS_NO_NAME);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_asker_in_a_zone_gets_the_target_of_its_zone),
        CASE(others_get_all_and_each_time_another_one_first),
        CASE(a_zone_may_be_named_by_name_or_id),
        CASE(a_name_moves_when_its_target_does_not_serve),
        CASE(only_available_targets_have_names),
        CASE(what_is_no_file_system_has_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
