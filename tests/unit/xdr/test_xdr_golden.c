/* Bytes written by hand from the RFCs, against the generated codec, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "flatten.h"
#include "xdr/nfs4_xdr.h"

#define BYTES(...) \
    slice_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define U32(value) 0, 0, 0, (value)
#define U64(value) 0, 0, 0, 0, 0, 0, 0, (value)
#define TWELVE(value) \
    value, value, value, value, value, value, value, value, value, value, value, value
#define SIXTEEN(value) TWELVE(value), value, value, value, value

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 8 * MIB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* `bytes` are the arguments of `opcode`: decodes all of them, and checks that they encode to the same. */
static union nfs_argop4 decode_args(uint32_t opcode, struct slice bytes)
{
    union nfs_argop4 args;
    struct xdr_decoder dec = xdr_decoder_of(bytes, &arena);
    assert_true(nfs_argop4_decode(&dec, opcode, &args));
    assert_int_equal(xdr_left(&dec), 0);
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &arena, MIB);
    nfs_argop4_encode(&enc, opcode, &args);
    assert_true(slice_equal(flatten(&enc, &arena), bytes));
    return args;
}

static union nfs_resop4 decode_result(uint32_t opcode, struct slice bytes)
{
    union nfs_resop4 result;
    struct xdr_decoder dec = xdr_decoder_of(bytes, &arena);
    assert_true(nfs_resop4_decode(&dec, opcode, &result));
    assert_int_equal(xdr_left(&dec), 0);
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &arena, MIB);
    nfs_resop4_encode(&enc, opcode, &result);
    assert_true(slice_equal(flatten(&enc, &arena), bytes));
    return result;
}

static void sequence(void **state)
{
    (void)state;
    struct SEQUENCE4args args =
        decode_args(OP_SEQUENCE, BYTES(SIXTEEN(0x11), U32(5), U32(2), U32(63), U32(1))).opsequence;
    assert_int_equal(args.sa_sessionid[15], 0x11);
    assert_int_equal(args.sa_sequenceid, 5);
    assert_int_equal(args.sa_slotid, 2);
    assert_int_equal(args.sa_highest_slotid, 63);
    assert_true(args.sa_cachethis);

    struct SEQUENCE4res res = decode_result(
        OP_SEQUENCE, BYTES(U32(0), SIXTEEN(0x11), U32(5), U32(2), U32(63), U32(62), 0, 0, 1, 0))
                                  .opsequence;
    assert_int_equal(res.sr_resok4.sr_target_highest_slotid, 62);
    assert_int_equal(res.sr_resok4.sr_status_flags, SEQ4_STATUS_RESTART_RECLAIM_NEEDED);
}

static void operations_without_arguments_take_no_bytes(void **state)
{
    (void)state;
    const uint32_t opcodes[] = { OP_GETFH, OP_LOOKUPP, OP_PUTPUBFH, OP_PUTROOTFH, OP_READLINK,
        OP_RESTOREFH, OP_SAVEFH, OP_ILLEGAL };
    for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++)
        (void)decode_args(opcodes[i], slice_of("", 0));
}

static void unknown_operations_are_not_decoded(void **state)
{
    (void)state;
    const uint32_t opcodes[] = { 0, 1, 2, 76, 10045, UINT32_MAX };
    for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
        struct xdr_decoder dec = xdr_decoder_of(BYTES(SIXTEEN(0)), &arena);
        union nfs_argop4 args;
        assert_false(nfs_argop4_decode(&dec, opcodes[i], &args));
        assert_int_equal(xdr_left(&dec), 16);
    }
}

static void getattr(void **state)
{
    (void)state;
    struct GETATTR4args args =
        decode_args(OP_GETATTR, BYTES(U32(2), U32(0x18), 0, 0x30, 0, 0)).opgetattr;
    assert_int_equal(args.attr_request.count, 2);
    assert_int_equal(args.attr_request.items[0], 1 << FATTR4_CHANGE | 1 << FATTR4_SIZE);
    assert_int_equal(args.attr_request.items[1],
        1 << (FATTR4_TIME_METADATA - 32) | 1 << (FATTR4_TIME_MODIFY - 32));

    struct GETATTR4res res =
        decode_result(OP_GETATTR, BYTES(U32(0), U32(1), U32(0x10), U32(8), U64(77))).opgetattr;
    assert_int_equal(res.resok4.obj_attributes.attr_vals.size, 8);
    assert_int_equal(load_be64(res.resok4.obj_attributes.attr_vals.data), 77);
}

static void a_bitmap_has_a_maximum(void **state)
{
    (void)state;
    static const uint8_t bytes[4 + 4 * (NFS4_BITMAP_WORDS_MAX + 1)] = { U32(
        NFS4_BITMAP_WORDS_MAX + 1) };
    struct xdr_decoder dec = xdr_decoder_of(slice_of(bytes, sizeof bytes), &arena);
    struct bitmap4 bitmap;
    assert_false(xdr_get_bitmap4(&dec, &bitmap));
}

static void open_that_creates(void **state)
{
    (void)state;
    /* RFC 8881 section 18.16.1: UNCHECKED4 with a mode, claimed by name. */
    struct OPEN4args args =
        decode_args(OP_OPEN, BYTES(U32(0), U32(3), U32(0), U64(9), U32(5), 'o', 'w', 'n', 'e', 'r',
                                 0, 0, 0, U32(1), U32(0), U32(2), U32(0), U32(2), U32(4), 0, 0, 1,
                                 0xa4, U32(0), U32(3), 'a', '.', 'b', 0))
            .opopen;
    assert_int_equal(args.share_access, OPEN4_SHARE_ACCESS_BOTH);
    assert_int_equal(args.owner.clientid, 9);
    assert_true(slice_equal(args.owner.owner, slice_str("owner")));
    assert_int_equal(args.openhow.opentype, OPEN4_CREATE);
    assert_int_equal(args.openhow.how.mode, UNCHECKED4);
    assert_int_equal(args.openhow.how.createattrs.attrmask.items[1], 1 << (FATTR4_MODE - 32));
    assert_int_equal(load_be32(args.openhow.how.createattrs.attr_vals.data), 0644);
    assert_int_equal(args.claim.claim, CLAIM_NULL);
    assert_true(slice_equal(args.claim.file, slice_str("a.b")));
}

static void lock_by_a_new_owner_and_its_denial(void **state)
{
    (void)state;
    struct LOCK4args args =
        decode_args(OP_LOCK, BYTES(U32(2), U32(0), U64(16), U64(32), U32(1), U32(0), U32(1),
                                 TWELVE(0x22), U32(0), U64(9), U32(2), 'l', 'o', 0, 0))
            .oplock;
    assert_int_equal(args.locktype, WRITE_LT);
    assert_true(args.locker.new_lock_owner);
    assert_int_equal(args.locker.open_owner.open_stateid.seqid, 1);
    assert_int_equal(args.locker.open_owner.open_stateid.other[11], 0x22);
    assert_true(slice_equal(args.locker.open_owner.lock_owner.owner, slice_str("lo")));

    struct LOCK4res res = decode_result(
        OP_LOCK, BYTES(0, 0, 0x27, 0x1a, U64(0), U64(100), U32(1), U64(8), U32(1), 'x', 0, 0, 0))
                              .oplock;
    assert_int_equal(res.status, NFS4ERR_DENIED);
    assert_int_equal(res.denied.locktype, READ_LT);
    assert_int_equal(res.denied.owner.clientid, 8);
}

static void a_failed_operation_is_its_status_alone(void **state)
{
    (void)state;
    struct READ4res res = decode_result(OP_READ, BYTES(U32(13))).opread;
    assert_int_equal(res.status, NFS4ERR_ACCESS);
}

static void setattr_answers_a_bitmap_with_an_error_too(void **state)
{
    (void)state;
    struct SETATTR4res res = decode_result(OP_SETATTR, BYTES(U32(22), U32(0))).opsetattr;
    assert_int_equal(res.status, NFS4ERR_INVAL);
    assert_int_equal(res.attrsset.count, 0);
}

static void write(void **state)
{
    (void)state;
    struct WRITE4args args = decode_args(OP_WRITE,
        BYTES(U32(1), TWELVE(0x33), U64(7), U32(2), U32(5), 'h', 'e', 'l', 'l', 'o', 0, 0, 0))
                                 .opwrite;
    assert_int_equal(args.stateid.other[0], 0x33);
    assert_int_equal(args.offset, 7);
    assert_int_equal(args.stable, FILE_SYNC4);
    assert_true(slice_equal(args.data, slice_str("hello")));
}

static void read_data_is_not_copied(void **state)
{
    (void)state;
    static const uint8_t data[1001] = { 5 };
    const union nfs_resop4 result = {
        .opread = { .status = NFS4_OK,
            .resok4 = { .eof = true, .data = slice_of(data, sizeof data) } }
    };
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &arena, 4096);
    nfs_resop4_encode(&enc, OP_READ, &result);
    assert_int_equal(enc.reference_count, 1);
    assert_ptr_equal(enc.references[0].bytes.data, data);
    struct slice bytes = flatten(&enc, &arena);
    assert_int_equal(bytes.size, 4 + 4 + 4 + 1004);
    struct READ4res back = decode_result(OP_READ, bytes).opread;
    assert_true(back.resok4.eof);
    assert_true(slice_equal(back.resok4.data, slice_of(data, sizeof data)));
}

static void readdir_entries_are_a_list(void **state)
{
    (void)state;
    struct READDIR4res res = decode_result(OP_READDIR,
        BYTES(U32(0), U64(0), U32(1), U64(3), U32(1), 'a', 0, 0, 0, U32(0), U32(0), U32(1), U64(4),
            U32(2), 'b', 'c', 0, 0, U32(1), U32(2), U32(4), U32(1), U32(0), U32(1)))
                                 .opreaddir;
    const struct entry4 *entry = res.resok4.reply.entries;
    assert_int_equal(entry->cookie, 3);
    assert_true(slice_equal(entry->name, slice_str("a")));
    entry = entry->nextentry;
    assert_int_equal(entry->cookie, 4);
    assert_int_equal(entry->attrs.attr_vals.size, 4);
    assert_null(entry->nextentry);
    assert_true(res.resok4.reply.eof);
}

static void exchange_id(void **state)
{
    (void)state;
    struct EXCHANGE_ID4args args = decode_args(OP_EXCHANGE_ID,
        BYTES(U64(1), U32(2), 'm', 'e', 0, 0, U32(1), U32(0), U32(1), U32(1), 'd', 0, 0, 0, U32(1),
            'n', 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, U32(9)))
                                       .opexchange_id;
    assert_int_equal(args.eia_state_protect.spa_how, SP4_NONE);
    assert_int_equal(args.eia_client_impl_id.count, 1);
    assert_int_equal(args.eia_client_impl_id.items[0].nii_date.seconds, -1);
}

static void a_protection_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    struct xdr_decoder dec = xdr_decoder_of(BYTES(U64(1), U32(0), U32(0), U32(3), U32(0)), &arena);
    union nfs_argop4 args;
    assert_false(nfs_argop4_decode(&dec, OP_EXCHANGE_ID, &args));
}

static void callbacks(void **state)
{
    (void)state;
    struct xdr_decoder dec =
        xdr_decoder_of(BYTES(U32(1), TWELVE(0x44), U32(0), U32(4), 'f', 'h', '0', '1'), &arena);
    union nfs_cb_argop4 args;
    assert_true(nfs_cb_argop4_decode(&dec, OP_CB_RECALL, &args));
    assert_int_equal(xdr_left(&dec), 0);
    assert_true(slice_equal(args.opcbrecall.fh, slice_str("fh01")));
    const union nfs_cb_resop4 result = { .opcbrecall = { .status = NFS4ERR_BADHANDLE } };
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &arena, 64);
    nfs_cb_resop4_encode(&enc, OP_CB_RECALL, &result);
    assert_true(slice_equal(flatten(&enc, &arena), BYTES(0, 0, 0x27, 0x11)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sequence),
        TEST(operations_without_arguments_take_no_bytes),
        TEST(unknown_operations_are_not_decoded),
        TEST(getattr),
        TEST(a_bitmap_has_a_maximum),
        TEST(open_that_creates),
        TEST(lock_by_a_new_owner_and_its_denial),
        TEST(a_failed_operation_is_its_status_alone),
        TEST(setattr_answers_a_bitmap_with_an_error_too),
        TEST(write),
        TEST(read_data_is_not_copied),
        TEST(readdir_entries_are_a_list),
        TEST(exchange_id),
        TEST(a_protection_that_does_not_exist_is_refused),
        TEST(callbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
