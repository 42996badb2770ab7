/* tests/unit/nfs/test_dir.c - names in directories: CREATE, LOOKUP(P), LINK, REMOVE, RENAME, READLINK, READDIR. */
#include "harness.h"

#include <stdio.h>

static enum nfsstat4 create(struct harness *h, const char *name, struct createtype4 type)
{
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){ .opcreate = { .objtype = type, .objname = slice_str(name) } });
    return compound_run(h);
}

static void create_makes_all_but_files(void **state)
{
    struct harness *h = *state;
    struct createtype4 link = { .type = NF4LNK, .linkdata = slice_str("target") };
    assert_int_equal(create(h, "dir", (struct createtype4){ .type = NF4DIR }), NFS4_OK);
    const struct CREATE4resok *made = &result(h, 1, OP_CREATE)->opcreate.resok4;
    assert_true(made->cinfo.atomic);
    assert_true(made->cinfo.after > made->cinfo.before);
    assert_int_equal(create(h, "link", link), NFS4_OK);
    assert_int_equal(create(h, "fifo", (struct createtype4){ .type = NF4FIFO }), NFS4_OK);
    assert_int_equal(create(h, "sock", (struct createtype4){ .type = NF4SOCK }), NFS4_OK);
    struct createtype4 device = { .type = NF4CHR, .devdata = { 1, 3 } };
    assert_int_equal(create(h, "chr", device), NFS4_OK);
    device.type = NF4BLK;
    assert_int_equal(create(h, "blk", device), NFS4_OK);
    h->first.cred.uid = 1000;
    assert_int_equal(create(h, "blk2", device), NFS4ERR_PERM);
    h->first.cred.uid = 0;
    assert_int_equal(create(h, "reg", (struct createtype4){ .type = NF4REG }), NFS4ERR_BADTYPE);
    assert_int_equal(create(h, "dir", (struct createtype4){ .type = NF4DIR }), NFS4ERR_EXIST);
    assert_int_equal(create(h, "a/b", (struct createtype4){ .type = NF4DIR }), NFS4ERR_BADCHAR);
    link.linkdata = slice_str("");
    assert_int_equal(create(h, "empty", link), NFS4ERR_INVAL);
}

static void a_link_is_read(void **state)
{
    struct harness *h = *state;
    struct createtype4 link = { .type = NF4LNK, .linkdata = slice_str("../somewhere") };
    assert_int_equal(create(h, "link", link), NFS4_OK);
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "link");
    add_op(h, OP_READLINK, NULL);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_true(
        slice_equal(result(h, 2, OP_READLINK)->opreadlink.resok4.link, slice_str("../somewhere")));
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_READLINK, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_WRONG_TYPE);
    compound_begin(h); /* a name below a link */
    add_putrootfh(h);
    add_lookup(h, "link");
    add_lookup(h, "x");
    assert_int_equal(compound_run(h), NFS4ERR_SYMLINK);
}

static void lookup_goes_down_and_lookupp_up(void **state)
{
    struct harness *h = *state;
    struct slice dir = make_dir(h, "dir");
    compound_begin(h);
    add_putfh(h, dir);
    add_create_dir(h, "sub");
    add_op(h, OP_LOOKUPP, NULL);
    add_getfh(h);
    add_op(h, OP_LOOKUPP, NULL);
    add_op(h, OP_LOOKUPP, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_NOENT); /* above the root */
    assert_true(slice_equal(result(h, 3, OP_GETFH)->opgetfh.resok4.object, dir));
    assert_int_equal(h->result_count, 6);
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "..");
    assert_int_equal(compound_run(h), NFS4ERR_BADNAME);
}

static enum nfsstat4 link_to(struct harness *h, struct slice fh, const char *name)
{
    compound_begin(h);
    add_putfh(h, fh);
    add_savefh(h);
    add_putrootfh(h);
    add_op(h, OP_LINK, &(union nfs_argop4){ .oplink = { .newname = slice_str(name) } });
    return compound_run(h);
}

static void a_file_gets_more_names(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    assert_int_equal(link_to(h, fh, "second"), NFS4_OK);
    assert_true(result(h, 3, OP_LINK)->oplink.resok4.cinfo.atomic);
    assert_true(slice_equal(look_up(h, "second"), fh));
    assert_int_equal(link_to(h, fh, "second"), NFS4ERR_EXIST);
    assert_int_equal(link_to(h, make_dir(h, "dir"), "other"), NFS4ERR_ISDIR);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_LINK, &(union nfs_argop4){ .oplink = { .newname = slice_str("x") } });
    assert_int_equal(compound_run(h), NFS4ERR_NOFILEHANDLE);
}

static enum nfsstat4 remove_name(struct harness *h, const char *name)
{
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_REMOVE, &(union nfs_argop4){ .opremove = { .target = slice_str(name) } });
    return compound_run(h);
}

static void names_are_removed(void **state)
{
    struct harness *h = *state;
    (void)make_file(h, "file");
    struct slice dir = make_dir(h, "dir");
    compound_begin(h);
    add_putfh(h, dir);
    add_create_dir(h, "sub");
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(remove_name(h, "file"), NFS4_OK);
    assert_int_equal(remove_name(h, "file"), NFS4ERR_NOENT);
    assert_int_equal(remove_name(h, "dir"), NFS4ERR_NOTEMPTY);
    assert_int_equal(remove_name(h, "."), NFS4ERR_BADNAME);
}

static enum nfsstat4 rename_in_root(struct harness *h, const char *from, const char *to)
{
    compound_begin(h);
    add_putrootfh(h);
    add_savefh(h);
    add_op(h, OP_RENAME,
        &(union nfs_argop4){
            .oprename = { .oldname = slice_str(from), .newname = slice_str(to) } });
    return compound_run(h);
}

static void names_are_changed(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "a");
    (void)make_dir(h, "dir");
    assert_int_equal(rename_in_root(h, "a", "b"), NFS4_OK);
    const struct RENAME4resok *renamed = &result(h, 2, OP_RENAME)->oprename.resok4;
    assert_true(renamed->source_cinfo.atomic && renamed->target_cinfo.atomic);
    assert_true(renamed->source_cinfo.after > renamed->source_cinfo.before);
    assert_true(slice_equal(look_up(h, "b"), fh));
    assert_int_equal(rename_in_root(h, "b", "b"), NFS4_OK);
    renamed = &result(h, 2, OP_RENAME)->oprename.resok4;
    assert_int_equal(renamed->source_cinfo.after, renamed->source_cinfo.before);
    assert_int_equal(rename_in_root(h, "none", "x"), NFS4ERR_NOENT);
    assert_int_equal(rename_in_root(h, "b", "dir"), NFS4ERR_ISDIR);
    assert_int_equal(rename_in_root(h, "dir", "b"), NFS4ERR_NOTDIR);
    assert_int_equal(rename_in_root(h, "b", ""), NFS4ERR_INVAL);
}

/* ---- READDIR ---- */

static enum nfsstat4 read_directory(
    struct harness *h, uint64_t cookie, uint32_t maxcount, struct bitmap4 attrs)
{
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_READDIR,
        &(union nfs_argop4){ .opreaddir = { .cookie = cookie,
                                 .dircount = maxcount,
                                 .maxcount = maxcount,
                                 .attr_request = attrs } });
    return compound_run(h);
}

static void make_files(struct harness *h, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%03u", i);
        (void)make_file(h, name);
    }
}

static void a_directory_is_read_in_pieces(void **state)
{
    struct harness *h = *state;
    make_files(h, 50);
    struct bitmap4 attrs = bitmap(h, 1u << FATTR4_FILEID | 1u << FATTR4_FILEHANDLE, 0, 0);
    uint64_t cookie = 0;
    unsigned seen = 0;
    for (bool eof = false; !eof;) {
        assert_int_equal(read_directory(h, cookie, 512, attrs), NFS4_OK);
        assert_true(h->raw.size < 512 + 100);
        const struct dirlist4 *list = &result(h, 1, OP_READDIR)->opreaddir.resok4.reply;
        eof = list->eof;
        assert_true(eof || list->entries != NULL);
        for (const struct entry4 *entry = list->entries; entry != NULL; entry = entry->nextentry) {
            char name[16];
            (void)snprintf(name, sizeof name, "f%03u", seen++);
            assert_true(slice_equal(entry->name, slice_str(name)));
            assert_true(entry->cookie > cookie && entry->cookie < INT64_MAX);
            cookie = entry->cookie;
            assert_int_equal(entry->attrs.attr_vals.size, 8 + 4 + 44);
        }
    }
    assert_int_equal(seen, 50);
}

static void an_empty_directory_is_at_its_end(void **state)
{
    struct harness *h = *state;
    assert_int_equal(read_directory(h, 0, 4096, bitmap(h, 0, 0, 0)), NFS4_OK);
    const struct dirlist4 *list = &result(h, 1, OP_READDIR)->opreaddir.resok4.reply;
    assert_null(list->entries);
    assert_true(list->eof);
}

static void readdir_refuses_what_it_cannot_answer(void **state)
{
    struct harness *h = *state;
    make_files(h, 2);
    struct bitmap4 none = bitmap(h, 0, 0, 0);
    assert_int_equal(read_directory(h, 1, 4096, none), NFS4ERR_BAD_COOKIE);
    assert_int_equal(read_directory(h, 2, 4096, none), NFS4ERR_BAD_COOKIE);
    assert_int_equal(read_directory(h, 0, 0, none), NFS4ERR_TOOSMALL);
    assert_int_equal(read_directory(h, 0, 30, none), NFS4ERR_TOOSMALL);
    struct bitmap4 unreadable = bitmap(h, 0, 1u << (FATTR4_TIME_MODIFY_SET - 32), 0);
    assert_int_equal(read_directory(h, 0, 4096, unreadable), NFS4ERR_INVAL);
    union nfs_argop4 arg = {
        .opreaddir = { .cookie = 5, .cookieverf = "x", .dircount = 100, .maxcount = 100 }
    };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_READDIR, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_NOT_SAME);
}

static void an_entry_without_attributes_is_told_or_ends_the_list(void **state)
{
    struct harness *h = *state;
    make_files(h, 3);
    struct bitmap4 with = bitmap(h, 1u << FATTR4_RDATTR_ERROR | 1u << FATTR4_FILEID, 0, 0);
    fake_fs_fail(h->fs_a, "dirent", 2, -EIO);
    assert_int_equal(read_directory(h, 0, 4096, with), NFS4_OK);
    const struct entry4 *entry =
        result(h, 1, OP_READDIR)->opreaddir.resok4.reply.entries->nextentry;
    assert_int_equal(entry->attrs.attr_vals.size, 4);
    assert_int_equal(load_be32(entry->attrs.attr_vals.data), NFS4ERR_IO);
    assert_non_null(entry->nextentry);

    struct bitmap4 without = bitmap(h, 1u << FATTR4_FILEID, 0, 0);
    fake_fs_fail(h->fs_a, "dirent", 1, -EIO);
    assert_int_equal(read_directory(h, 0, 4096, without), NFS4ERR_IO);
    fake_fs_fail(h->fs_a, "dirent", 2, -ESTALE); /* removed meanwhile: skipped */
    assert_int_equal(read_directory(h, 0, 4096, without), NFS4_OK);
    entry = result(h, 1, OP_READDIR)->opreaddir.resok4.reply.entries->nextentry;
    assert_true(slice_equal(entry->name, slice_str("f002")));
}

static void dircount_limits_names_but_never_to_nothing(void **state)
{
    struct harness *h = *state;
    make_files(h, 5);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_READDIR, &(union nfs_argop4){ .opreaddir = { .dircount = 1, .maxcount = 4096 } });
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct dirlist4 *list = &result(h, 1, OP_READDIR)->opreaddir.resok4.reply;
    assert_non_null(list->entries);
    assert_null(list->entries->nextentry);
    assert_false(list->eof);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        TEST(create_makes_all_but_files),
        TEST(a_link_is_read),
        TEST(lookup_goes_down_and_lookupp_up),
        TEST(a_file_gets_more_names),
        TEST(names_are_removed),
        TEST(names_are_changed),
        TEST(a_directory_is_read_in_pieces),
        TEST(an_empty_directory_is_at_its_end),
        TEST(readdir_refuses_what_it_cannot_answer),
        TEST(an_entry_without_attributes_is_told_or_ends_the_list),
        TEST(dircount_limits_names_but_never_to_nothing),
    };
    return cmocka_run_group_tests_name("nfs: directories", tests, NULL, NULL);
}
