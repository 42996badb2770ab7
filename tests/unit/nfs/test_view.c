/* tests/unit/nfs/test_view.c - what a connection sees: mount targets, the pseudo root, deletion, restarts. */
#include <stdio.h>

#include "harness.h"

#include "tests/lib/fake_catalog.h"

static uint64_t value64(struct harness *h, uint32_t index, size_t at)
{
    const struct fattr4 *attrs = &result(h, index, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_true(attrs->attr_vals.size >= at + 8);
    return load_be64(attrs->attr_vals.data + at);
}

static void the_pseudo_root_leads_to_every_file_system(void **state)
{
    struct harness *h = *state;
    uint32_t mounted_on = 1u << (FATTR4_MOUNTED_ON_FILEID - 32);
    compound_begin(h);
    add_putrootfh(h);
    add_getattr(h, 1u << FATTR4_FSID | 1u << FATTR4_FILEID, mounted_on, 0);
    add_lookup(h, "fs-a");
    add_getattr(h, 1u << FATTR4_FSID | 1u << FATTR4_FILEID, mounted_on, 0);
    add_op(h, OP_LOOKUPP, NULL);
    add_getattr(h, 1u << FATTR4_FSID | 1u << FATTR4_FILEID, mounted_on, 0);
    add_lookup(h, "fs-b");
    add_getattr(h, 1u << FATTR4_FSID, 0, 0);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_true(value64(h, 1, 0) == 0); /* fsid of the pseudo root */
    assert_true(value64(h, 3, 0) != 0);
    assert_true(value64(h, 3, 0) != value64(h, 7, 0));
    assert_true(value64(h, 3, 16) != value64(h, 3, 24)); /* the root covers its junction */
    assert_true(value64(h, 5, 0) == 0);
    assert_true(value64(h, 5, 16) == value64(h, 1, 16));
}

static void the_pseudo_root_lists_its_file_systems(void **state)
{
    struct harness *h = *state;
    fake_catalog_add("fs-x-broken", NULL); /* available, but cannot be opened */
    uint32_t attrs = 1u << FATTR4_FSID | 1u << FATTR4_RDATTR_ERROR | 1u << FATTR4_FILEHANDLE;
    union nfs_argop4 arg = {
        .opreaddir = { .dircount = 4096, .maxcount = 4096, .attr_request = bitmap(h, attrs, 0, 0) }
    };
    unsigned seen = 0;
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_READDIR, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct dirlist4 *list = &result(h, 1, OP_READDIR)->opreaddir.resok4.reply;
    assert_true(list->eof);
    struct slice first_name = list->entries->name;
    struct slice first_fh = { 0 };
    uint64_t cookie = list->entries->cookie;
    for (const struct entry4 *entry = list->entries; entry != NULL; entry = entry->nextentry) {
        if (entry == list->entries)
            first_fh = slice_of(entry->attrs.attr_vals.data + 24, 44);
        seen++;
    }
    assert_true(seen >= 2);
    arg.opreaddir.cookie = cookie; /* goes on after it */
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_READDIR, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    list = &result(h, 1, OP_READDIR)->opreaddir.resok4.reply;
    assert_false(slice_equal(list->entries->name, first_name));
    compound_begin(h); /* the handle shown is that of the file system's root */
    add_putfh(h, first_fh);
    add_op(h, OP_LOOKUPP, NULL);
    assert_int_equal(compound_run(h), NFS4_OK);
}

static void nothing_can_be_changed_in_the_pseudo_root(void **state)
{
    struct harness *h = *state;
    struct createhow4 how = { .mode = UNCHECKED4 };
    union nfs_argop4 rename = { .oprename = {
                                    .oldname = slice_str("a"), .newname = slice_str("b") } };
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, "dir");
    assert_int_equal(compound_run(h), NFS4ERR_ROFS);
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    assert_int_equal(compound_run(h), NFS4ERR_ROFS);
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, "fs-a", OPEN4_SHARE_ACCESS_READ, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_ISDIR);
    compound_begin(h);
    add_putrootfh(h);
    add_savefh(h);
    add_lookup(h, "fs-a");
    add_op(h, OP_RENAME, &rename);
    assert_int_equal(compound_run(h), NFS4ERR_XDEV);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CLOSE, &(union nfs_argop4){ 0 });
    assert_int_equal(compound_run(h), NFS4ERR_BAD_STATEID);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_LOOKUPP, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_ACCESS, &(union nfs_argop4){ .opaccess = { .access = 0x3f } });
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(
        result(h, 1, OP_ACCESS)->opaccess.resok4.access, ACCESS4_READ | ACCESS4_LOOKUP);
}

static void files_are_opened_and_written_through_the_pseudo_root(void **state)
{
    struct harness *h = *state;
    struct createhow4 how = { .mode = UNCHECKED4, .createattrs = fattr_mode(h, 0644) };
    struct stateid4 current = { .seqid = 1 };
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "fs-b");
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    add_op(h, OP_WRITE,
        &(union nfs_argop4){ .opwrite = { .stateid = current, .data = slice_str("text") } });
    add_op(h, OP_CLOSE, &(union nfs_argop4){ .opclose = { .open_stateid = current } });
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "fs-a");
    add_lookup(h, "file");
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
}

static void a_mount_target_shows_its_file_system_only(void **state)
{
    struct harness *h = *state;
    struct slice fh_a = make_file(h, "file");
    client_disconnect(h, &h->first);
    client_connect(h, &h->first, "127.0.0.2");
    client_start_session(h, &h->first, "other client", 1);
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "file");
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
    compound_begin(h);
    add_putfh(h, fh_a);
    assert_int_equal(compound_run(h), NFS4ERR_STALE);
    client_disconnect(h, &h->first);
    client_connect(h, &h->first, "127.0.0.9");
    client_start_session(h, &h->first, "third client", 1);
    compound_begin(h);
    add_putfh(h, fh_a);
    assert_int_equal(compound_run(h), NFS4_OK); /* from above, all are seen */
}

static void a_session_belongs_to_its_view(void **state)
{
    struct harness *h = *state;
    uint8_t sessionid[NFS4_SESSIONID_SIZE];
    memcpy(sessionid, h->first.sessionid, sizeof sessionid);
    client_disconnect(h, &h->first);
    client_connect(h, &h->first, "127.0.0.2");
    memcpy(h->first.sessionid, sessionid, sizeof sessionid);
    h->first.has_session = true;
    h->first.seqid = 1;
    compound_begin(h);
    assert_int_equal(compound_run(h), NFS4ERR_BADSESSION);
}

static void a_deleted_mount_target_closes_its_connections(void **state)
{
    struct harness *h = *state;
    enum nfsstat4 status;
    fake_catalog_remove("fs-a");
    compound_begin(h);
    assert_int_equal(compound_run_rpc(h, &status), RPC_SERVER_DROP);
    assert_true(h->first.was_closed);
}

static void a_change_elsewhere_closes_nothing(void **state)
{
    struct harness *h = *state;
    fake_catalog_remove("fs-b");
    compound_begin(h);
    add_putrootfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
}

static void a_forgotten_file_system_is_given_back(void **state)
{
    struct harness *h = *state;
    enum nfsstat4 status;
    (void)open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, NULL);
    fake_catalog_remove("fs-a");
    nfs_server_forget_fs(h->server, "fs-a");
    assert_true(h->first.was_closed);
    assert_int_equal(fs_volumes_destroy(h->volumes, "fs-a"), 0); /* would wait for the last user */
    compound_begin(h);
    assert_int_equal(compound_run_rpc(h, &status), RPC_SERVER_DROP);
    nfs_server_forget_fs(h->server, "fs-a");
    nfs_server_forget_fs(h->server, "fs-none");
}

static void from_above_a_forgotten_file_system_is_stale(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "fs-a");
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    struct slice fh = result(h, 2, OP_GETFH)->opgetfh.resok4.object;
    fake_catalog_remove("fs-a");
    nfs_server_forget_fs(h->server, "fs-a");
    compound_begin(h);
    add_putfh(h, fh);
    assert_int_equal(compound_run(h), NFS4ERR_STALE);
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "fs-a");
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
}

static void what_was_open_from_above_is_released_before_the_file_system_goes(void **state)
{
    struct harness *h = *state;
    struct createhow4 how = { .mode = UNCHECKED4, .createattrs = fattr_mode(h, 0644) };
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "fs-b");
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(fake_fs_hold_count(h->fs_b), 1);
    fake_catalog_remove("fs-b");
    nfs_server_forget_fs(h->server, "fs-b");
    assert_int_equal(fake_fs_hold_count(h->fs_b), 0);
}

static void opens_are_reclaimed_after_a_restart(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    (void)open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh);
    uint8_t sessionid[NFS4_SESSIONID_SIZE];
    memcpy(sessionid, h->first.sessionid, sizeof sessionid);
    harness_restart(h, 60000);
    memcpy(h->first.sessionid, sessionid, sizeof sessionid);
    h->first.has_session = true;
    compound_begin(h); /* the session is of an earlier run */
    assert_int_equal(compound_run(h), NFS4ERR_BADSESSION);

    union nfs_argop4 arg = { .opopen = { .share_access = OPEN4_SHARE_ACCESS_BOTH,
                                 .owner = { .owner = slice_str("owner") },
                                 .claim = { .claim = CLAIM_PREVIOUS } } };
    client_make_session(h, &h->first, "first client", 2);
    compound_begin(h); /* nothing new while others may reclaim */
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_READ, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_GRACE);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_OPEN, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    union nfs_argop4 complete = { .opreclaim_complete = { .rca_one_fs = false } };
    compound_begin(h);
    add_op(h, OP_RECLAIM_COMPLETE, &complete);
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h); /* all have come back: grace is over */
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_READ, NULL);
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_OPEN, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_NO_GRACE);
}

/* A client of fs-a that comes after the profile was set. */
static void set_profile(struct harness *h, enum catalog_profile profile)
{
    fake_catalog_set_profile("fs-a", profile);
    client_disconnect(h, &h->first);
    client_connect(h, &h->first, "127.0.0.1");
    client_start_session(
        h, &h->first, profile == CATALOG_PROFILE_STRICT ? "strict" : "extended", 7);
}

static enum nfsstat4 run_open_deny(struct harness *h)
{
    union nfs_argop4 arg = { .opopen = { .share_access = OPEN4_SHARE_ACCESS_READ,
                                 .share_deny = OPEN4_SHARE_DENY_WRITE,
                                 .owner = { .owner = slice_str("owner") },
                                 .claim = { .claim = CLAIM_NULL, .file = slice_str("file") } } };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_OPEN, &arg);
    return compound_run(h);
}

static enum nfsstat4 run_create_device(struct harness *h)
{
    h->client->cred = (struct rpc_cred){ .flavor = RPC_AUTH_SYS };
    union nfs_argop4 arg = { .opcreate = { .objtype = { .type = NF4CHR },
                                 .objname = slice_str("device"),
                                 .createattrs = fattr_mode(h, 0600) } };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE, &arg);
    return compound_run(h);
}

static void the_strict_profile_refuses_what_efs_refuses(void **state)
{
    struct harness *h = *state;
    set_profile(h, CATALOG_PROFILE_STRICT);
    make_file(h, "file");
    assert_int_equal(run_open_deny(h), NFS4ERR_NOTSUPP);
    assert_int_equal(run_create_device(h), NFS4ERR_BADTYPE);
    h->first.minor = 2;
    compound_begin(h);
    add_putrootfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_MINOR_VERS_MISMATCH);
    h->first.minor = 1;
    set_profile(h, CATALOG_PROFILE_EXTENDED);
    assert_int_equal(run_open_deny(h), NFS4_OK);
    assert_int_equal(run_create_device(h), NFS4_OK);
}

static void the_strict_profile_has_the_attributes_of_efs(void **state)
{
    struct harness *h = *state;
    set_profile(h, CATALOG_PROFILE_STRICT);
    make_file(h, "file");
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "file");
    add_getattr(
        h, 1u << FATTR4_FILES_FREE | 1u << FATTR4_MAXLINK, 1u << (FATTR4_SPACE_USED - 32), 0);
    add_getattr(h, 1u << FATTR4_SUPPORTED_ATTRS, 0, 0);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct fattr4 *attrs = &result(h, 2, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_int_equal(attrs->attrmask.items[0], 1u << FATTR4_MAXLINK);
    assert_int_equal(load_be32(attrs->attr_vals.data), 177);
    assert_int_equal(value64(h, 2, 4), 4096); /* of an empty file */
    attrs = &result(h, 3, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_int_equal(load_be32(attrs->attr_vals.data + 4) & 7u << FATTR4_FILES_AVAIL, 0);
}

static void the_strict_profile_allows_177_links(void **state)
{
    struct harness *h = *state;
    set_profile(h, CATALOG_PROFILE_STRICT);
    struct slice fh = make_file(h, "file");
    for (unsigned count = 1; count <= 177; count++) {
        char name[8];
        (void)snprintf(name, sizeof name, "l%u", count);
        union nfs_argop4 arg = { .oplink = { .newname = slice_str(name) } };
        compound_begin(h);
        add_putfh(h, fh);
        add_savefh(h);
        add_putrootfh(h);
        add_op(h, OP_LINK, &arg);
        assert_int_equal(compound_run(h), count < 177 ? NFS4_OK : NFS4ERR_MLINK);
    }
}

static void a_connection_keeps_the_profile_it_began_with(void **state)
{
    struct harness *h = *state;
    make_file(h, "file");
    fake_catalog_set_profile("fs-a", CATALOG_PROFILE_STRICT);
    assert_int_equal(run_open_deny(h), NFS4_OK);
}

static void from_above_a_profile_is_that_of_the_catalog(void **state)
{
    struct harness *h = *state;
    for (int strict = 0; strict <= 1; strict++) {
        fake_catalog_set_profile(
            "fs-a", strict != 0 ? CATALOG_PROFILE_STRICT : CATALOG_PROFILE_EXTENDED);
        compound_begin(h);
        add_putrootfh(h);
        add_lookup(h, "fs-a");
        add_getattr(h, 1u << FATTR4_MAXLINK, 0, 0);
        assert_int_equal(compound_run(h), NFS4_OK);
        const struct fattr4 *attrs = &result(h, 2, OP_GETATTR)->opgetattr.resok4.obj_attributes;
        assert_int_equal(load_be32(attrs->attr_vals.data), strict != 0 ? 177 : 32000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)   cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
#define PSEUDO(name) cmocka_unit_test_setup_teardown(name, harness_setup_pseudo, harness_teardown)
        PSEUDO(the_pseudo_root_leads_to_every_file_system),
        PSEUDO(the_pseudo_root_lists_its_file_systems),
        PSEUDO(nothing_can_be_changed_in_the_pseudo_root),
        PSEUDO(files_are_opened_and_written_through_the_pseudo_root),
        TEST(a_mount_target_shows_its_file_system_only),
        TEST(a_session_belongs_to_its_view),
        TEST(a_deleted_mount_target_closes_its_connections),
        TEST(a_change_elsewhere_closes_nothing),
        TEST(a_forgotten_file_system_is_given_back),
        PSEUDO(from_above_a_forgotten_file_system_is_stale),
        PSEUDO(what_was_open_from_above_is_released_before_the_file_system_goes),
        TEST(opens_are_reclaimed_after_a_restart),
        TEST(the_strict_profile_refuses_what_efs_refuses),
        TEST(the_strict_profile_has_the_attributes_of_efs),
        TEST(the_strict_profile_allows_177_links),
        TEST(a_connection_keeps_the_profile_it_began_with),
        PSEUDO(from_above_a_profile_is_that_of_the_catalog),
    };
    return cmocka_run_group_tests_name("nfs: views", tests, NULL, NULL);
}
