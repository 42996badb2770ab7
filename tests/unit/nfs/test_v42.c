/* tests/unit/nfs/test_v42.c - version 4.2: holes, copies, clones, extended attributes, and its attributes. */
#include "harness.h"

#include "nfs/attr.h"
#include "tests/lib/fake_catalog.h"

#define BLOCK 4096u

static const struct stateid4 anonymous;

/* A session of version 4.2 on fs-a. */
static int setup_42(void **state)
{
    int failed = harness_setup(state);
    struct harness *h = *state;
    h->first.minor = 2;
    return failed;
}

/* A file of `count` blocks, of which those with a letter are data and those with '-' are holes. */
static struct slice make_blocks(struct harness *h, const char *name, const char *blocks)
{
    struct slice fh = make_file(h, name);
    uint8_t *data = arena_alloc(&h->arena, BLOCK);
    assert_non_null(data);
    for (size_t i = 0; blocks[i] != '\0'; i++) {
        if (blocks[i] == '-')
            continue;
        memset(data, blocks[i], BLOCK);
        union nfs_argop4 arg = {
            .opwrite = { .offset = i * BLOCK, .stable = FILE_SYNC4, .data = slice_of(data, BLOCK) }
        };
        compound_begin(h);
        add_putfh(h, fh);
        add_op(h, OP_WRITE, &arg);
        assert_int_equal(compound_run(h), NFS4_OK);
    }
    struct fattr4 size = fattr_size(h, strlen(blocks) * BLOCK);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_SETATTR, &(union nfs_argop4){ .opsetattr = { .obj_attributes = size } });
    assert_int_equal(compound_run(h), NFS4_OK);
    return fh;
}

static enum nfsstat4 run_on(
    struct harness *h, struct slice fh, uint32_t opcode, const union nfs_argop4 *arg)
{
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, opcode, arg);
    return compound_run(h);
}

/* With `from` as the saved filehandle. */
static enum nfsstat4 run_on_two(struct harness *h, struct slice from, struct slice to,
    uint32_t opcode, const union nfs_argop4 *arg)
{
    compound_begin(h);
    add_putfh(h, from);
    add_savefh(h);
    add_putfh(h, to);
    add_op(h, opcode, arg);
    return compound_run(h);
}

static void expect_blocks(struct harness *h, struct slice fh, const char *blocks)
{
    for (size_t i = 0; blocks[i] != '\0'; i++) {
        union nfs_argop4 arg = { .opread = { .offset = i * BLOCK, .count = BLOCK } };
        assert_int_equal(run_on(h, fh, OP_READ, &arg), NFS4_OK);
        const struct READ4resok *read = &result(h, 1, OP_READ)->opread.resok4;
        assert_int_equal(read->data.size, BLOCK);
        assert_int_equal(read->data.data[0], blocks[i] == '-' ? 0 : blocks[i]);
        assert_int_equal(read->data.data[BLOCK - 1], blocks[i] == '-' ? 0 : blocks[i]);
        assert_int_equal(read->eof, blocks[i + 1] == '\0');
    }
}

/* ---- holes ---- */

static void expect_seek(struct harness *h, struct slice fh, uint64_t from, enum data_content4 what,
    uint64_t offset, bool eof)
{
    union nfs_argop4 arg = { .opseek = { .sa_offset = from, .sa_what = what } };
    assert_int_equal(run_on(h, fh, OP_SEEK, &arg), NFS4_OK);
    assert_int_equal(result(h, 1, OP_SEEK)->opseek.resok4.sr_offset, offset);
    assert_int_equal(result(h, 1, OP_SEEK)->opseek.resok4.sr_eof, eof);
}

static void seek_finds_data_and_holes(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_blocks(h, "file", "-aa-b-");
    expect_seek(h, fh, 0, NFS4_CONTENT_DATA, BLOCK, false);
    expect_seek(h, fh, 0, NFS4_CONTENT_HOLE, 0, false);
    expect_seek(h, fh, BLOCK + 7, NFS4_CONTENT_DATA, BLOCK + 7, false);
    expect_seek(h, fh, BLOCK + 7, NFS4_CONTENT_HOLE, 3ul * BLOCK, false);
    expect_seek(h, fh, 5ul * BLOCK, NFS4_CONTENT_DATA, 6ul * BLOCK, true); /* none follows */
    fh = make_blocks(h, "full", "ab");
    expect_seek(h, fh, 0, NFS4_CONTENT_HOLE, 2ul * BLOCK, true); /* the one at the end */
}

static void seek_refuses_what_cannot_be(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_blocks(h, "file", "a");
    union nfs_argop4 arg = { .opseek = { .sa_offset = BLOCK, .sa_what = NFS4_CONTENT_DATA } };
    assert_int_equal(run_on(h, fh, OP_SEEK, &arg), NFS4ERR_NXIO);
    arg.opseek = (struct SEEK4args){ .sa_what = (enum data_content4)2 };
    assert_int_equal(run_on(h, fh, OP_SEEK, &arg), NFS4ERR_UNION_NOTSUPP);
    arg.opseek.sa_what = NFS4_CONTENT_DATA;
    assert_int_equal(run_on(h, make_dir(h, "dir"), OP_SEEK, &arg), NFS4ERR_WRONG_TYPE);
    arg.opseek.sa_stateid = (struct stateid4){ .seqid = 3, .other = "nonsense" };
    assert_int_equal(run_on(h, fh, OP_SEEK, &arg), NFS4ERR_BAD_STATEID);
}

static void allocated_space_is_zeros_and_the_file_grows(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_blocks(h, "file", "a-");
    union nfs_argop4 arg = { .opallocate = { .aa_offset = 0, .aa_length = 3ul * BLOCK } };
    assert_int_equal(run_on(h, fh, OP_ALLOCATE, &arg), NFS4_OK);
    expect_blocks(h, fh, "a--");
    arg.opallocate.aa_length = 0;
    assert_int_equal(run_on(h, fh, OP_ALLOCATE, &arg), NFS4ERR_INVAL);
    arg.opallocate = (struct ALLOCATE4args){ .aa_offset = UINT64_MAX, .aa_length = 2 };
    assert_int_equal(run_on(h, fh, OP_ALLOCATE, &arg), NFS4ERR_INVAL);
    arg.opallocate = (struct ALLOCATE4args){ .aa_offset = FS_FILE_SIZE_MAX, .aa_length = 1 };
    assert_int_equal(run_on(h, fh, OP_ALLOCATE, &arg), NFS4ERR_FBIG);
    arg.opallocate.aa_offset = 0;
    assert_int_equal(run_on(h, make_dir(h, "dir"), OP_ALLOCATE, &arg), NFS4ERR_WRONG_TYPE);
}

static void deallocated_ranges_are_holes(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_blocks(h, "file", "abcd");
    union nfs_argop4 arg = { .opdeallocate = { .da_offset = BLOCK, .da_length = 2ul * BLOCK } };
    assert_int_equal(run_on(h, fh, OP_DEALLOCATE, &arg), NFS4_OK);
    expect_blocks(h, fh, "a--d");
    expect_seek(h, fh, 0, NFS4_CONTENT_HOLE, BLOCK, false);
    arg.opdeallocate.da_length = UINT64_MAX - BLOCK; /* beyond the end is passed over */
    assert_int_equal(run_on(h, fh, OP_DEALLOCATE, &arg), NFS4_OK);
    expect_blocks(h, fh, "a---");
    arg.opdeallocate.da_length = 0;
    assert_int_equal(run_on(h, fh, OP_DEALLOCATE, &arg), NFS4ERR_INVAL);
    arg.opdeallocate.da_length = UINT64_MAX;
    assert_int_equal(run_on(h, fh, OP_DEALLOCATE, &arg), NFS4ERR_INVAL);
}

static void a_stateid_for_reading_changes_nothing(void **state)
{
    struct harness *h = *state;
    make_blocks(h, "file", "a");
    struct slice fh;
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_READ, &fh);
    union nfs_argop4 arg = { .opallocate = { .aa_stateid = stateid, .aa_length = 1 } };
    assert_int_equal(run_on(h, fh, OP_ALLOCATE, &arg), NFS4ERR_OPENMODE);
    arg = (union nfs_argop4){ .opdeallocate = { .da_stateid = stateid, .da_length = 1 } };
    assert_int_equal(run_on(h, fh, OP_DEALLOCATE, &arg), NFS4ERR_OPENMODE);
    arg = (union nfs_argop4){ .opclone = { .cl_dst_stateid = stateid } };
    struct slice other = make_blocks(h, "other", "a");
    assert_int_equal(run_on_two(h, other, fh, OP_CLONE, &arg), NFS4ERR_OPENMODE);
    arg = (union nfs_argop4){ .opcopy = { .ca_dst_stateid = stateid } };
    assert_int_equal(run_on_two(h, other, fh, OP_COPY, &arg), NFS4ERR_OPENMODE);
}

static void expect_part(const struct read_plus_content *part, enum data_content4 content,
    uint64_t offset, uint64_t size)
{
    assert_int_equal(part->rpc_content, content);
    if (content == NFS4_CONTENT_HOLE) {
        assert_int_equal(part->rpc_hole.di_offset, offset);
        assert_int_equal(part->rpc_hole.di_length, size);
    } else {
        assert_int_equal(part->rpc_data.d_offset, offset);
        assert_int_equal(part->rpc_data.d_data.size, size);
    }
}

static void read_plus_tells_holes(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_blocks(h, "file", "-ab--c-");
    union nfs_argop4 arg = { .opread_plus = { .rpa_offset = 100, .rpa_count = 6 * BLOCK } };
    assert_int_equal(run_on(h, fh, OP_READ_PLUS, &arg), NFS4_OK);
    const struct read_plus_res4 *read = &result(h, 1, OP_READ_PLUS)->opread_plus.rp_resok4;
    assert_int_equal(read->rpr_contents.count, 5);
    const struct read_plus_content *parts = read->rpr_contents.items;
    expect_part(&parts[0], NFS4_CONTENT_HOLE, 100, BLOCK - 100);
    expect_part(&parts[1], NFS4_CONTENT_DATA, BLOCK, 2ul * BLOCK);
    assert_int_equal(parts[1].rpc_data.d_data.data[BLOCK], 'b');
    expect_part(&parts[2], NFS4_CONTENT_HOLE, 3ul * BLOCK, 2ul * BLOCK);
    expect_part(&parts[3], NFS4_CONTENT_DATA, 5ul * BLOCK, BLOCK);
    expect_part(&parts[4], NFS4_CONTENT_HOLE, 6ul * BLOCK, 100);
    assert_false(read->rpr_eof);
    arg.opread_plus.rpa_count = 1u << 20;
    assert_int_equal(run_on(h, fh, OP_READ_PLUS, &arg), NFS4_OK);
    assert_true(result(h, 1, OP_READ_PLUS)->opread_plus.rp_resok4.rpr_eof);
    arg.opread_plus.rpa_offset = 7ul * BLOCK;
    assert_int_equal(run_on(h, fh, OP_READ_PLUS, &arg), NFS4_OK);
    read = &result(h, 1, OP_READ_PLUS)->opread_plus.rp_resok4;
    assert_true(read->rpr_eof);
    assert_int_equal(read->rpr_contents.count, 0);
    assert_int_equal(run_on(h, make_dir(h, "dir"), OP_READ_PLUS, &arg), NFS4ERR_WRONG_TYPE);
}

/* More parts than one answer has: it ends early, and not at the end. */
static void read_plus_of_many_holes_goes_on(void **state)
{
    struct harness *h = *state;
    char blocks[161];
    for (size_t i = 0; i < 160; i++)
        blocks[i] = i % 2 == 0 ? 'x' : '-';
    blocks[160] = '\0';
    struct slice fh = make_blocks(h, "file", blocks);
    uint64_t offset = 0;
    unsigned rounds = 0;
    for (bool eof = false; !eof; rounds++) {
        union nfs_argop4 arg = { .opread_plus = { .rpa_offset = offset, .rpa_count = 1u << 20 } };
        assert_int_equal(run_on(h, fh, OP_READ_PLUS, &arg), NFS4_OK);
        const struct read_plus_res4 *read = &result(h, 1, OP_READ_PLUS)->opread_plus.rp_resok4;
        assert_true(read->rpr_contents.count > 0);
        for (uint32_t i = 0; i < read->rpr_contents.count; i++, offset += BLOCK)
            expect_part(&read->rpr_contents.items[i],
                offset / BLOCK % 2 == 0 ? NFS4_CONTENT_DATA : NFS4_CONTENT_HOLE, offset, BLOCK);
        eof = read->rpr_eof;
    }
    assert_int_equal(offset, 160ul * BLOCK);
    assert_true(rounds > 1);
}

static void advice_is_heard(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_blocks(h, "file", "a");
    union nfs_argop4 arg = { .opio_advise = {
                                 .iaa_hints = bitmap(h, 1u << IO_ADVISE4_RANDOM, 0, 0) } };
    assert_int_equal(run_on(h, fh, OP_IO_ADVISE, &arg), NFS4_OK);
    assert_int_equal(result(h, 1, OP_IO_ADVISE)->opio_advise.resok4.ior_hints.count, 0);
    arg.opio_advise.iaa_offset = 1;
    arg.opio_advise.iaa_count = UINT64_MAX;
    assert_int_equal(run_on(h, fh, OP_IO_ADVISE, &arg), NFS4ERR_INVAL);
}

/* ---- copies ---- */

static void a_clone_has_the_same_bytes(void **state)
{
    struct harness *h = *state;
    struct slice from = make_blocks(h, "from", "ab-c");
    struct slice to = make_blocks(h, "to", "xyz");
    union nfs_argop4 arg = { .opclone = { .cl_src_offset = BLOCK, .cl_dst_offset = 2ul * BLOCK } };
    assert_int_equal(run_on_two(h, from, to, OP_CLONE, &arg), NFS4_OK); /* count 0: to the end */
    expect_blocks(h, to, "xyb-c");
    arg.opclone = (struct CLONE4args){ .cl_count = BLOCK };
    assert_int_equal(run_on_two(h, from, to, OP_CLONE, &arg), NFS4_OK);
    expect_blocks(h, to, "ayb-c");
    expect_blocks(h, from, "ab-c");
}

static void a_clone_that_cannot_be_is_refused(void **state)
{
    struct harness *h = *state;
    struct slice from = make_blocks(h, "from", "abcd");
    struct slice to = make_blocks(h, "to", "xyz");
    union nfs_argop4 arg = { .opclone = { .cl_src_offset = 1, .cl_count = BLOCK } };
    assert_int_equal(run_on_two(h, from, to, OP_CLONE, &arg), NFS4ERR_INVAL); /* alignment */
    arg.opclone = (struct CLONE4args){ .cl_count = 5ul * BLOCK };
    assert_int_equal(run_on_two(h, from, to, OP_CLONE, &arg), NFS4ERR_INVAL); /* too long */
    arg.opclone = (struct CLONE4args){ .cl_dst_offset = BLOCK, .cl_count = 2ul * BLOCK };
    assert_int_equal(run_on_two(h, from, from, OP_CLONE, &arg), NFS4ERR_INVAL); /* overlap */
    arg.opclone = (struct CLONE4args){ .cl_dst_offset = UINT64_MAX, .cl_count = BLOCK };
    assert_int_equal(run_on_two(h, from, to, OP_CLONE, &arg), NFS4ERR_FBIG);
    arg.opclone = (struct CLONE4args){ .cl_count = BLOCK };
    assert_int_equal(run_on_two(h, make_dir(h, "dir"), to, OP_CLONE, &arg), NFS4ERR_WRONG_TYPE);
    assert_int_equal(run_on(h, to, OP_CLONE, &arg), NFS4ERR_NOFILEHANDLE);
    expect_blocks(h, to, "xyz");
    arg.opclone = (struct CLONE4args){ .cl_dst_offset = 2ul * BLOCK, .cl_count = 2ul * BLOCK };
    assert_int_equal(run_on_two(h, from, from, OP_CLONE, &arg), NFS4_OK); /* within one file */
    expect_blocks(h, from, "abab");
}

static const struct COPY4resok *copied(const struct harness *h)
{
    return &result(h, 3, OP_COPY)->opcopy.cr_resok4;
}

static void a_copy_has_the_same_bytes(void **state)
{
    struct harness *h = *state;
    struct slice from = make_blocks(h, "from", "ab-c");
    struct slice to = make_file(h, "to");
    union nfs_argop4 arg = { .opcopy = { .ca_consecutive = true, .ca_synchronous = true } };
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4_OK);
    assert_int_equal(copied(h)->cr_response.wr_count, 4ul * BLOCK);
    assert_int_equal(copied(h)->cr_response.wr_callback_id.count, 0);
    assert_true(copied(h)->cr_requirements.cr_consecutive);
    assert_true(copied(h)->cr_requirements.cr_synchronous);
    expect_blocks(h, to, "ab-c");
    arg.opcopy.ca_src_offset = 1; /* not by blocks */
    arg.opcopy.ca_dst_offset = 4ul * BLOCK + 1;
    arg.opcopy.ca_count = BLOCK;
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4_OK);
    assert_int_equal(copied(h)->cr_response.wr_count, BLOCK);
    union nfs_argop4 read = { .opread = { .offset = 4ul * BLOCK, .count = 2 * BLOCK } };
    assert_int_equal(run_on(h, to, OP_READ, &read), NFS4_OK);
    struct slice data = result(h, 1, OP_READ)->opread.resok4.data;
    assert_int_equal(data.size, BLOCK + 1);
    assert_int_equal(data.data[0], 0);
    assert_int_equal(data.data[1], 'a');
    assert_int_equal(data.data[BLOCK - 1], 'a');
    assert_int_equal(data.data[BLOCK], 'b');
}

/* Heads and tails that are no whole blocks are written, what is between is shared. */
static void a_copy_shares_whole_blocks(void **state)
{
    struct harness *h = *state;
    struct slice from = make_blocks(h, "from", "abcd");
    struct slice to = make_blocks(h, "to", "wxyz");
    unsigned clones = fake_fs_call_count(h->fs_a, "clone");
    union nfs_argop4 arg = {
        .opcopy = { .ca_src_offset = 96, .ca_dst_offset = 96, .ca_count = 3ul * BLOCK }
    };
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4_OK);
    assert_int_equal(copied(h)->cr_response.wr_count, 3ul * BLOCK);
    assert_int_equal(fake_fs_call_count(h->fs_a, "clone"), clones + 1);
    for (unsigned i = 0; i < 4; i++) {
        union nfs_argop4 read = { .opread = { .offset = i * BLOCK, .count = BLOCK } };
        assert_int_equal(run_on(h, to, OP_READ, &read), NFS4_OK);
        struct slice data = result(h, 1, OP_READ)->opread.resok4.data;
        assert_int_equal(data.data[0], i == 0 ? 'w' : "abcd"[i]);
        assert_int_equal(data.data[96], i == 3 ? 'z' : "abcd"[i]);
    }
}

static void a_long_copy_is_answered_in_part(void **state)
{
    struct harness *h = *state;
    const uint64_t size = UINT64_C(40) << 20;
    struct slice from = make_file(h, "from");
    struct slice to = make_file(h, "to");
    struct fattr4 attrs = fattr_size(h, size + 1);
    union nfs_argop4 set = { .opsetattr = { .obj_attributes = attrs } };
    assert_int_equal(run_on(h, from, OP_SETATTR, &set), NFS4_OK);
    union nfs_argop4 arg = { .opcopy = { .ca_src_offset = 1, .ca_count = size } };
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4_OK);
    uint64_t count = copied(h)->cr_response.wr_count;
    assert_true(count > 0 && count < size);
    fake_fs_fail(h->fs_a, "write", 3, -ENOSPC); /* what was done before an error counts */
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4_OK);
    assert_int_equal(copied(h)->cr_response.wr_count, 2u << 20);
    fake_fs_fail(h->fs_a, "write", 1, -ENOSPC);
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4ERR_NOSPC);
}

static void a_copy_that_cannot_be_is_refused(void **state)
{
    struct harness *h = *state;
    struct slice from = make_blocks(h, "from", "ab");
    struct slice to = make_file(h, "to");
    union nfs_argop4 arg = { .opcopy = { .ca_count = 2ul * BLOCK + 1 } };
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4ERR_INVAL); /* too long */
    arg.opcopy = (struct COPY4args){ .ca_src_offset = 2ul * BLOCK + 1 };
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4ERR_INVAL);
    arg.opcopy = (struct COPY4args){ .ca_count = BLOCK, .ca_dst_offset = BLOCK };
    assert_int_equal(run_on_two(h, from, from, OP_COPY, &arg), NFS4ERR_INVAL); /* one file */
    arg.opcopy = (struct COPY4args){ .ca_dst_offset = FS_FILE_SIZE_MAX };
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4ERR_FBIG);
    struct netloc4 server = { .nl_type = NL4_NAME, .nl_name = slice_str("elsewhere") };
    arg.opcopy = (struct COPY4args){ .ca_source_server = { 1, &server } };
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4ERR_NOTSUPP);
    arg.opcopy = (struct COPY4args){ .ca_count = 0 };
    assert_int_equal(run_on_two(h, from, make_dir(h, "dir"), OP_COPY, &arg), NFS4ERR_WRONG_TYPE);
    arg.opcopy.ca_src_offset = 2ul * BLOCK; /* nothing is left there */
    assert_int_equal(run_on_two(h, from, to, OP_COPY, &arg), NFS4_OK);
    assert_int_equal(copied(h)->cr_response.wr_count, 0);
}

static void a_copy_that_nobody_makes_is_unknown(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    union nfs_argop4 arg = { .opoffload_status = { .osa_stateid = anonymous } };
    assert_int_equal(run_on(h, fh, OP_OFFLOAD_STATUS, &arg), NFS4ERR_BAD_STATEID);
    arg = (union nfs_argop4){ .opoffload_cancel = { .oca_stateid = anonymous } };
    assert_int_equal(run_on(h, fh, OP_OFFLOAD_CANCEL, &arg), NFS4ERR_BAD_STATEID);
}

/* ---- extended attributes ---- */

static enum nfsstat4 set_xattr(struct harness *h, struct slice fh, const char *name,
    struct slice value, enum setxattr_option4 option)
{
    union nfs_argop4 arg = {
        .opsetxattr = { .sxa_option = option, .sxa_key = slice_str(name), .sxa_value = value }
    };
    return run_on(h, fh, OP_SETXATTR, &arg);
}

static enum nfsstat4 get_xattr(struct harness *h, struct slice fh, const char *name)
{
    union nfs_argop4 arg = { .opgetxattr = { .gxa_name = slice_str(name) } };
    return run_on(h, fh, OP_GETXATTR, &arg);
}

static enum nfsstat4 remove_xattr(struct harness *h, struct slice fh, const char *name)
{
    union nfs_argop4 arg = { .opremovexattr = { .rxa_name = slice_str(name) } };
    return run_on(h, fh, OP_REMOVEXATTR, &arg);
}

static void expect_xattr(struct harness *h, struct slice fh, const char *name, const char *value)
{
    assert_int_equal(get_xattr(h, fh, name), NFS4_OK);
    struct slice got = result(h, 1, OP_GETXATTR)->opgetxattr.gxr_value;
    assert_true(slice_equal(got, slice_str(value)));
}

static void extended_attributes_are_kept(void **state)
{
    struct harness *h = *state;
    for (unsigned i = 0; i < 2; i++) {
        struct slice fh = i == 0 ? make_file(h, "file") : make_dir(h, "dir");
        assert_int_equal(set_xattr(h, fh, "a", slice_str("1"), SETXATTR4_CREATE), NFS4_OK);
        struct change_info4 info = result(h, 1, OP_SETXATTR)->opsetxattr.sxr_info;
        assert_true(info.atomic && info.after > info.before);
        expect_xattr(h, fh, "a", "1");
        assert_int_equal(set_xattr(h, fh, "a", slice_str("2"), SETXATTR4_CREATE), NFS4ERR_EXIST);
        assert_int_equal(set_xattr(h, fh, "a", slice_str(""), SETXATTR4_REPLACE), NFS4_OK);
        expect_xattr(h, fh, "a", "");
        assert_int_equal(set_xattr(h, fh, "b", slice_str("3"), SETXATTR4_REPLACE), NFS4ERR_NOXATTR);
        assert_int_equal(set_xattr(h, fh, "b", slice_str("3"), SETXATTR4_EITHER), NFS4_OK);
        assert_int_equal(remove_xattr(h, fh, "a"), NFS4_OK);
        assert_int_equal(remove_xattr(h, fh, "a"), NFS4ERR_NOXATTR);
        assert_int_equal(get_xattr(h, fh, "a"), NFS4ERR_NOXATTR);
        expect_xattr(h, fh, "b", "3");
    }
}

static void names_and_values_have_limits(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    char name[258];
    memset(name, 'n', sizeof name);
    name[257] = '\0';
    assert_int_equal(set_xattr(h, fh, name, slice_str(""), SETXATTR4_EITHER), NFS4ERR_NAMETOOLONG);
    assert_int_equal(get_xattr(h, fh, name), NFS4ERR_NAMETOOLONG);
    assert_int_equal(set_xattr(h, fh, "", slice_str(""), SETXATTR4_EITHER), NFS4ERR_INVAL);
    union nfs_argop4 arg = { .opgetxattr = { .gxa_name = slice_of("a\0b", 3) } };
    assert_int_equal(run_on(h, fh, OP_GETXATTR, &arg), NFS4ERR_BADCHAR);
    uint8_t *value = arena_alloc(&h->arena, 65537);
    assert_non_null(value);
    memset(value, 'v', 65537);
    assert_int_equal(
        set_xattr(h, fh, "big", slice_of(value, 65537), SETXATTR4_EITHER), NFS4ERR_XATTR2BIG);
    assert_int_equal(set_xattr(h, fh, "big", slice_of(value, 65536), SETXATTR4_EITHER), NFS4_OK);
    assert_int_equal(get_xattr(h, fh, "big"), NFS4_OK);
    assert_int_equal(result(h, 1, OP_GETXATTR)->opgetxattr.gxr_value.size, 65536);
    assert_int_equal(set_xattr(h, fh, "x", slice_str(""), (enum setxattr_option4)3), NFS4ERR_INVAL);
}

static void names_are_listed_in_pieces(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    union nfs_argop4 arg = { .oplistxattrs = { .lxa_maxcount = 16 } };
    assert_int_equal(run_on(h, fh, OP_LISTXATTRS, &arg), NFS4_OK); /* none: nothing needs room */
    assert_true(result(h, 1, OP_LISTXATTRS)->oplistxattrs.lxr_value.lxr_eof);
    for (char name[] = "aa"; name[1] < 'a' + 20; name[1]++)
        assert_int_equal(set_xattr(h, fh, name, slice_str(""), SETXATTR4_EITHER), NFS4_OK);
    assert_int_equal(run_on(h, fh, OP_LISTXATTRS, &arg), NFS4ERR_TOOSMALL);
    arg.oplistxattrs.lxa_maxcount = 15;
    assert_int_equal(run_on(h, fh, OP_LISTXATTRS, &arg), NFS4ERR_TOOSMALL);
    arg.oplistxattrs.lxa_maxcount = 16 + 3 * 8; /* three names */
    uint32_t seen = 0;
    for (bool eof = false; !eof;) {
        assert_int_equal(run_on(h, fh, OP_LISTXATTRS, &arg), NFS4_OK);
        const struct LISTXATTRS4resok *list = &result(h, 1, OP_LISTXATTRS)->oplistxattrs.lxr_value;
        assert_int_equal(list->lxr_names.count, seen == 18 ? 2 : 3);
        for (uint32_t i = 0; i < list->lxr_names.count; i++, seen++)
            assert_int_equal(list->lxr_names.items[i].data[1], 'a' + seen);
        arg.oplistxattrs.lxa_cookie = list->lxr_cookie;
        eof = list->lxr_eof;
    }
    assert_int_equal(seen, 20);
}

static void only_files_and_directories_have_extended_attributes(void **state)
{
    struct harness *h = *state;
    union nfs_argop4 fifo = { .opcreate = { .objtype = { .type = NF4FIFO },
                                  .objname = slice_str("fifo"),
                                  .createattrs = fattr_mode(h, 0644) } };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE, &fifo);
    assert_int_equal(compound_run(h), NFS4_OK);
    struct slice fh = look_up(h, "fifo");
    assert_int_equal(get_xattr(h, fh, "a"), NFS4ERR_WRONG_TYPE);
    assert_int_equal(set_xattr(h, fh, "a", slice_str("1"), SETXATTR4_EITHER), NFS4ERR_WRONG_TYPE);
}

static void rights_decide_about_extended_attributes(void **state)
{
    struct harness *h = *state;
    h->first.cred = (struct rpc_cred){ .flavor = RPC_AUTH_SYS };
    struct slice fh = make_file(h, "file"); /* mode 0644, root's */
    assert_int_equal(set_xattr(h, fh, "a", slice_str("1"), SETXATTR4_EITHER), NFS4_OK);
    h->first.cred.uid = 1000;
    expect_xattr(h, fh, "a", "1");
    assert_int_equal(set_xattr(h, fh, "a", slice_str("2"), SETXATTR4_EITHER), NFS4ERR_ACCESS);
    assert_int_equal(remove_xattr(h, fh, "a"), NFS4ERR_ACCESS);
    uint32_t asked = ACCESS4_XAREAD | ACCESS4_XAWRITE | ACCESS4_XALIST | ACCESS4_READ;
    union nfs_argop4 arg = { .opaccess = { .access = asked } };
    assert_int_equal(run_on(h, fh, OP_ACCESS, &arg), NFS4_OK);
    assert_int_equal(result(h, 1, OP_ACCESS)->opaccess.resok4.supported, asked);
    assert_int_equal(
        result(h, 1, OP_ACCESS)->opaccess.resok4.access, asked & ~(uint32_t)ACCESS4_XAWRITE);
    h->first.minor = 1;
    assert_int_equal(run_on(h, fh, OP_ACCESS, &arg), NFS4_OK);
    assert_int_equal(result(h, 1, OP_ACCESS)->opaccess.resok4.supported, ACCESS4_READ);
}

/* ---- attributes and versions ---- */

static void attributes_say_what_the_file_system_can(void **state)
{
    struct harness *h = *state;
    uint32_t wanted = 1u << (FATTR4_CLONE_BLKSIZE - 64) | 1u << (FATTR4_CHANGE_ATTR_TYPE - 64) |
                      1u << (FATTR4_XATTR_SUPPORT - 64);
    compound_begin(h);
    add_putrootfh(h);
    add_getattr(h, 0, 0, wanted);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct fattr4 *attrs = &result(h, 1, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_int_equal(attrs->attrmask.items[2], wanted);
    assert_int_equal(load_be32(attrs->attr_vals.data), BLOCK);
    assert_int_equal(
        load_be32(attrs->attr_vals.data + 4), NFS4_CHANGE_TYPE_IS_VERSION_COUNTER_NOPNFS);
    assert_int_equal(load_be32(attrs->attr_vals.data + 8), 1);
    h->first.minor = 1;
    compound_begin(h);
    add_putrootfh(h);
    add_getattr(h, 0, 0, wanted);
    assert_int_equal(compound_run(h), NFS4_OK);
    attrs = &result(h, 1, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_int_equal(attrs->attrmask.count, 0);
}

static void what_nobody_serves_is_not_supported(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    static const uint32_t refused[] = { OP_COPY_NOTIFY, OP_LAYOUTERROR, OP_LAYOUTSTATS,
        OP_WRITE_SAME };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        compound_begin(h);
        add_putfh(h, fh);
        add_op(h, refused[i], NULL);
        assert_int_equal(compound_run(h), NFS4ERR_NOTSUPP);
    }
    h->first.minor = 1; /* no operation of that version */
    union nfs_argop4 arg = { .opseek = { .sa_stateid = anonymous } };
    assert_int_equal(run_on(h, fh, OP_SEEK, &arg), NFS4ERR_OP_ILLEGAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST42(name) cmocka_unit_test_setup_teardown(name, setup_42, harness_teardown)
        TEST42(seek_finds_data_and_holes),
        TEST42(seek_refuses_what_cannot_be),
        TEST42(allocated_space_is_zeros_and_the_file_grows),
        TEST42(deallocated_ranges_are_holes),
        TEST42(a_stateid_for_reading_changes_nothing),
        TEST42(read_plus_tells_holes),
        TEST42(read_plus_of_many_holes_goes_on),
        TEST42(advice_is_heard),
        TEST42(a_clone_has_the_same_bytes),
        TEST42(a_clone_that_cannot_be_is_refused),
        TEST42(a_copy_has_the_same_bytes),
        TEST42(a_copy_shares_whole_blocks),
        TEST42(a_long_copy_is_answered_in_part),
        TEST42(a_copy_that_cannot_be_is_refused),
        TEST42(a_copy_that_nobody_makes_is_unknown),
        TEST42(extended_attributes_are_kept),
        TEST42(names_and_values_have_limits),
        TEST42(names_are_listed_in_pieces),
        TEST42(only_files_and_directories_have_extended_attributes),
        TEST42(rights_decide_about_extended_attributes),
        TEST42(attributes_say_what_the_file_system_can),
        TEST42(what_nobody_serves_is_not_supported),
    };
    return cmocka_run_group_tests_name("nfs: version 4.2", tests, NULL, NULL);
}
