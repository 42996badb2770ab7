/* tests/unit/nfs/test_open.c - OPEN in all its ways, and the end of opens. */
#include "harness.h"

static const struct createhow4 no_how;

static struct createhow4 unchecked(struct harness *h)
{
    return (struct createhow4){ .mode = UNCHECKED4, .createattrs = fattr_mode(h, 0640) };
}

static void a_file_is_made_with_its_attributes(void **state)
{
    struct harness *h = *state;
    struct createhow4 how = unchecked(h);
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    add_getattr(h, 0, 1u << (FATTR4_MODE - 32), 0);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct OPEN4resok *opened = &result(h, 1, OP_OPEN)->opopen.resok4;
    assert_true(opened->cinfo.atomic);
    assert_int_equal(opened->cinfo.after, opened->cinfo.before + 1);
    /* This client can be called back, at least in principle. */
    assert_int_equal(opened->rflags & ~OPEN4_RESULT_MAY_NOTIFY_LOCK,
        OPEN4_RESULT_LOCKTYPE_POSIX | OPEN4_RESULT_PRESERVE_UNLINKED);
    assert_int_equal(opened->attrset.count, 2);
    assert_int_equal(opened->attrset.items[1], 1u << (FATTR4_MODE - 32));
    assert_int_equal(opened->delegation.delegation_type, OPEN_DELEGATE_NONE);
    const struct fattr4 *attrs = &result(h, 2, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_int_equal(load_be32(attrs->attr_vals.data), 0640);
    assert_int_equal(fake_fs_hold_count(h->fs_a), 1);
    assert_int_equal(fake_fs_record_count(h->fs_a), 1);
}

static void what_nobody_has_is_not_returned(void **state)
{
    struct harness *h = *state;
    struct createhow4 how = unchecked(h);
    union nfs_argop4 arg = { .opdelegreturn = { .deleg_stateid = { .seqid = 1, .other = { 7 } } } };
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_READ, &how);
    add_op(h, OP_DELEGRETURN, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_BAD_STATEID);
    union nfs_argop4 dir = { .opget_dir_delegation = { .gdda_signal_deleg_avail = false } };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_GET_DIR_DELEGATION, &dir);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(
        result(h, 1, OP_GET_DIR_DELEGATION)->opget_dir_delegation.gddr_res_non_fatal4.gddrnf_status,
        GDD4_UNAVAIL);
}

static void a_client_that_says_what_it_wants_learns_why_not(void **state)
{
    static const struct {
        uint32_t want;
        enum why_no_delegation4 why;
    } wants[] = { { OPEN4_SHARE_ACCESS_WANT_READ_DELEG, WND4_RESOURCE },
        { OPEN4_SHARE_ACCESS_WANT_NO_DELEG, WND4_NOT_WANTED },
        { OPEN4_SHARE_ACCESS_WANT_CANCEL, WND4_CANCELLED } };
    struct harness *h = *state;
    (void)make_file(h, "file");
    for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
        compound_begin(h);
        add_putrootfh(h);
        add_open(h, "file", OPEN4_SHARE_ACCESS_READ | wants[i].want, NULL);
        assert_int_equal(compound_run(h), NFS4_OK);
        const struct open_delegation4 *delegation =
            &result(h, 1, OP_OPEN)->opopen.resok4.delegation;
        assert_int_equal(delegation->delegation_type, OPEN_DELEGATE_NONE_EXT);
        assert_int_equal(delegation->od_whynone.ond_why, wants[i].why);
    }
}

static enum nfsstat4 try_open(
    struct harness *h, const char *name, uint32_t access, const struct createhow4 *how)
{
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, name, access, how);
    return compound_run(h);
}

static void create_modes_differ_when_the_file_exists(void **state)
{
    struct harness *h = *state;
    write_file(h, "file", "text");
    struct createhow4 guarded = { .mode = GUARDED4, .createattrs = fattr_mode(h, 0644) };
    assert_int_equal(try_open(h, "file", 1, &guarded), NFS4ERR_EXIST);
    struct createhow4 how = unchecked(h);
    assert_int_equal(try_open(h, "file", 1, &how), NFS4_OK);
    assert_int_equal(result(h, 1, OP_OPEN)->opopen.resok4.attrset.count, 0);
    struct createhow4 exclusive = { .mode = EXCLUSIVE4, .createverf = "1234567" };
    assert_int_equal(try_open(h, "file", 1, &exclusive), NFS4ERR_EXIST);
}

static void an_exclusive_create_can_be_repeated(void **state)
{
    struct harness *h = *state;
    struct createhow4 exclusive = { .mode = EXCLUSIVE4, .createverf = "1234567" };
    assert_int_equal(try_open(h, "file", 3, &exclusive), NFS4_OK);
    assert_int_equal(try_open(h, "file", 3, &exclusive), NFS4_OK);
    exclusive.createverf[0]++;
    assert_int_equal(try_open(h, "file", 3, &exclusive), NFS4ERR_EXIST);
    struct createhow4 both = { .mode = EXCLUSIVE4_1,
        .ch_createboth = { .cva_verf = "abcdefg", .cva_attrs = fattr_mode(h, 0600) } };
    assert_int_equal(try_open(h, "other", 3, &both), NFS4_OK);
    assert_int_equal(try_open(h, "other", 3, &both), NFS4_OK);
}

static void unchecked_create_truncates_what_is_there(void **state)
{
    struct harness *h = *state;
    write_file(h, "file", "text");
    struct createhow4 how = { .mode = UNCHECKED4, .createattrs = fattr_size(h, 0) };
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    add_getattr(h, 1u << FATTR4_SIZE, 0, 0);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct bitmap4 *set = &result(h, 1, OP_OPEN)->opopen.resok4.attrset;
    assert_int_equal(set->count, 1);
    assert_int_equal(set->items[0], 1u << FATTR4_SIZE);
    const struct fattr4 *attrs = &result(h, 2, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_int_equal(load_be64(attrs->attr_vals.data), 0);
}

static void a_truncation_that_fails_leaves_nothing_open(void **state)
{
    struct harness *h = *state;
    write_file(h, "file", "text");
    unsigned held = fake_fs_hold_count(h->fs_a);
    struct createhow4 how = { .mode = UNCHECKED4, .createattrs = fattr_size(h, 0) };
    fake_fs_fail(h->fs_a, "setattr", 1, -ENOSPC);
    assert_int_equal(try_open(h, "file", 3, &how), NFS4ERR_NOSPC);
    assert_int_equal(fake_fs_hold_count(h->fs_a), held);
}

static void wrong_arguments_are_told_apart(void **state)
{
    struct harness *h = *state;
    (void)make_dir(h, "dir");
    assert_int_equal(try_open(h, "dir", 1, NULL), NFS4ERR_ISDIR);
    assert_int_equal(try_open(h, "none", 1, NULL), NFS4ERR_NOENT);
    assert_int_equal(try_open(h, "", 1, NULL), NFS4ERR_INVAL);
    assert_int_equal(try_open(h, "..", 1, NULL), NFS4ERR_BADNAME);
    assert_int_equal(try_open(h, "a/b", 1, NULL), NFS4ERR_BADCHAR);
    assert_int_equal(try_open(h, "file", 0, &no_how), NFS4ERR_INVAL);
    assert_int_equal(try_open(h, "file", 0x40000001, &no_how), NFS4ERR_INVAL);
    struct createhow4 how = { .mode = UNCHECKED4,
        .createattrs = { .attrmask = bitmap(h, 1u << FATTR4_ACL, 0, 0) } };
    assert_int_equal(try_open(h, "file", 1, &how), NFS4ERR_ATTRNOTSUPP);
    how.createattrs.attrmask = bitmap(h, 1u << FATTR4_TYPE, 0, 0);
    assert_int_equal(try_open(h, "file", 1, &how), NFS4ERR_INVAL);
}

static void a_symbolic_link_or_fifo_is_not_opened(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4LNK, .linkdata = slice_str("x") },
                .objname = slice_str("link") } });
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4FIFO }, .objname = slice_str("fifo") } });
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(try_open(h, "link", 1, NULL), NFS4ERR_SYMLINK);
    assert_int_equal(try_open(h, "fifo", 1, NULL), NFS4ERR_WRONG_TYPE);
}

static void opening_needs_permission_but_a_new_file_is_its_makers(void **state)
{
    struct harness *h = *state;
    (void)make_file(h, "roots");
    h->first.cred.uid = 1000;
    assert_int_equal(try_open(h, "roots", OPEN4_SHARE_ACCESS_READ, NULL), NFS4_OK);
    assert_int_equal(try_open(h, "roots", OPEN4_SHARE_ACCESS_WRITE, NULL), NFS4ERR_ACCESS);
    struct createhow4 how = { .mode = UNCHECKED4, .createattrs = fattr_size(h, 0) };
    assert_int_equal(try_open(h, "roots", OPEN4_SHARE_ACCESS_READ, &how), NFS4ERR_ACCESS);
    how.createattrs = fattr_mode(h, 0);
    assert_int_equal(try_open(h, "mine", OPEN4_SHARE_ACCESS_BOTH, &how), NFS4ERR_ACCESS);
    h->first.cred.uid = 0;
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_SETATTR,
        &(union nfs_argop4){ .opsetattr = { .obj_attributes = fattr_mode(h, 0777) } });
    assert_int_equal(compound_run(h), NFS4_OK);
    h->first.cred.uid = 1000;
    assert_int_equal(try_open(h, "mine", OPEN4_SHARE_ACCESS_BOTH, &how), NFS4_OK);
}

static void a_file_is_opened_by_its_handle(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    union nfs_argop4 arg = { .opopen = { .share_access = OPEN4_SHARE_ACCESS_READ,
                                 .owner = { .owner = slice_str("o") },
                                 .claim = { .claim = CLAIM_FH } } };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_OPEN, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    arg.opopen.openhow.opentype = OPEN4_CREATE;
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_OPEN, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
    arg.opopen.openhow.opentype = OPEN4_NOCREATE;
    arg.opopen.claim.claim = CLAIM_DELEG_PREV_FH;
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_OPEN, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_NOTSUPP);
}

static void share_reservations_are_kept(void **state)
{
    struct harness *h = *state;
    (void)make_file(h, "file");
    union nfs_argop4 arg = { .opopen = { .share_access = OPEN4_SHARE_ACCESS_READ,
                                 .share_deny = OPEN4_SHARE_DENY_WRITE,
                                 .owner = { .owner = slice_str("denier") },
                                 .claim = { .claim = CLAIM_NULL, .file = slice_str("file") } } };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_OPEN, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(try_open(h, "file", OPEN4_SHARE_ACCESS_WRITE, NULL), NFS4ERR_SHARE_DENIED);
    assert_int_equal(try_open(h, "file", OPEN4_SHARE_ACCESS_READ, NULL), NFS4_OK);
}

static void closing_ends_the_open_and_the_hold(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh);
    union nfs_argop4 close = { .opclose = { .open_stateid = stateid } };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_CLOSE, &close);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct stateid4 *closed = &result(h, 1, OP_CLOSE)->opclose.open_stateid;
    assert_int_equal(closed->seqid, UINT32_MAX); /* RFC 8881 section 8.2.3: the invalid stateid */
    assert_int_equal(fake_fs_hold_count(h->fs_a), 0);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_CLOSE, &close);
    assert_int_equal(compound_run(h), NFS4ERR_BAD_STATEID);
}

static void the_current_stateid_is_that_of_the_open(void **state)
{
    struct harness *h = *state;
    struct stateid4 current = { .seqid = 1 };
    struct createhow4 how = unchecked(h);
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    add_op(h, OP_WRITE,
        &(union nfs_argop4){ .opwrite = { .stateid = current, .data = slice_str("text") } });
    add_op(h, OP_CLOSE, &(union nfs_argop4){ .opclose = { .open_stateid = current } });
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(fake_fs_hold_count(h->fs_a), 0);
    compound_begin(h); /* another filehandle has no stateid */
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    add_putrootfh(h);
    add_lookup(h, "file");
    add_op(h, OP_CLOSE, &(union nfs_argop4){ .opclose = { .open_stateid = current } });
    assert_int_equal(compound_run(h), NFS4ERR_BAD_STATEID);
}

static void an_open_is_downgraded_to_what_was_opened(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    (void)open_file(h, "file", OPEN4_SHARE_ACCESS_READ, NULL);
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh);
    union nfs_argop4 arg = { .opopen_downgrade = { .open_stateid = stateid,
                                 .share_access = OPEN4_SHARE_ACCESS_READ } };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_OPEN_DOWNGRADE, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    arg.opopen_downgrade.open_stateid =
        result(h, 1, OP_OPEN_DOWNGRADE)->opopen_downgrade.resok4.open_stateid;
    arg.opopen_downgrade.share_access = OPEN4_SHARE_ACCESS_WRITE;
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_OPEN_DOWNGRADE, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
}

static void stateids_are_tested_and_freed(void **state)
{
    struct harness *h = *state;
    struct stateid4 stateids[2] = { open_file(h, "file", OPEN4_SHARE_ACCESS_READ, NULL) };
    memset(&stateids[1], 0x5a, sizeof stateids[1]);
    union nfs_argop4 test = { .optest_stateid = { .ts_stateids = { 2, stateids } } };
    compound_begin(h);
    add_op(h, OP_TEST_STATEID, &test);
    add_op(h, OP_FREE_STATEID,
        &(union nfs_argop4){ .opfree_stateid = { .fsa_stateid = stateids[0] } });
    assert_int_equal(compound_run(h), NFS4ERR_LOCKS_HELD);
    const struct TEST_STATEID4resok *tested =
        &result(h, 0, OP_TEST_STATEID)->optest_stateid.tsr_resok4;
    assert_int_equal(tested->tsr_status_codes.count, 2);
    assert_int_equal(tested->tsr_status_codes.items[0], NFS4_OK);
    assert_int_equal(tested->tsr_status_codes.items[1], NFS4ERR_BAD_STATEID);
}

static void a_removed_file_lives_while_it_is_open(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_REMOVE, &(union nfs_argop4){ .opremove = { .target = slice_str("file") } });
    add_putfh(h, fh);
    add_op(h, OP_WRITE,
        &(union nfs_argop4){ .opwrite = { .stateid = stateid, .data = slice_str("text") } });
    add_op(h, OP_CLOSE, &(union nfs_argop4){ .opclose = { .open_stateid = stateid } });
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_putfh(h, fh);
    assert_int_equal(compound_run(h), NFS4ERR_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        TEST(a_file_is_made_with_its_attributes),
        TEST(what_nobody_has_is_not_returned),
        TEST(a_client_that_says_what_it_wants_learns_why_not),
        TEST(create_modes_differ_when_the_file_exists),
        TEST(an_exclusive_create_can_be_repeated),
        TEST(unchecked_create_truncates_what_is_there),
        TEST(a_truncation_that_fails_leaves_nothing_open),
        TEST(wrong_arguments_are_told_apart),
        TEST(a_symbolic_link_or_fifo_is_not_opened),
        TEST(opening_needs_permission_but_a_new_file_is_its_makers),
        TEST(a_file_is_opened_by_its_handle),
        TEST(share_reservations_are_kept),
        TEST(closing_ends_the_open_and_the_hold),
        TEST(the_current_stateid_is_that_of_the_open),
        TEST(an_open_is_downgraded_to_what_was_opened),
        TEST(stateids_are_tested_and_freed),
        TEST(a_removed_file_lives_while_it_is_open),
    };
    return cmocka_run_group_tests_name("nfs: OPEN and CLOSE", tests, NULL, NULL);
}
