/* Tests of engine/keys.c: what is encoded comes back, and what is cut or newer is refused. */
#include "engine/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct inode_record example(void)
{
    struct inode_record record = { .parent = 7,
        .entry_count = 8,
        .map_id = 9,
        .segment_blocks = 10,
        .small_blocks = 11,
        .has_verifier = true,
        .verifier = "verifie" };
    record.attr = (struct fs_attr){ .node = { 5, 6 },
        .type = FS_SYMLINK,
        .mode = 07654,
        .link_count = 3,
        .uid = UINT32_MAX,
        .gid = 100,
        .device_major = 1,
        .device_minor = 2,
        .size_bytes = FS_FILE_SIZE_MAX,
        .space_used_bytes = 21 * 4096,
        .change = UINT64_MAX,
        .atime = { -1, 999999999 },
        .mtime = { 2, 3 },
        .ctime = { 4, 5 },
        .btime = { 6, 7 } };
    return record;
}

static void an_inode_comes_back_and_its_beginnings_do_not(void **state)
{
    (void)state;
    struct inode_record record = example();
    struct inode_record decoded;
    struct slice symlink;
    uint8_t value[INODE_BYTES_MAX];
    size_t size = inode_record_encode(&record, slice_str("target"), value);
    assert_int_equal(inode_record_decode(slice_of(value, size), 5, &decoded, &symlink), 0);
    assert_memory_equal(&decoded.attr, &record.attr, sizeof record.attr);
    assert_int_equal(decoded.parent, record.parent);
    assert_int_equal(decoded.entry_count, record.entry_count);
    assert_int_equal(decoded.map_id, record.map_id);
    assert_int_equal(decoded.segment_blocks, record.segment_blocks);
    assert_int_equal(decoded.small_blocks, record.small_blocks);
    assert_memory_equal(decoded.verifier, record.verifier, FS_VERIFIER_SIZE);
    assert_true(slice_equal(symlink, slice_str("target")));
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(
            inode_record_decode(slice_of(value, cut), 5, &decoded, &symlink), -EBADMSG);
    value[0]++;
    assert_int_equal(inode_record_decode(slice_of(value, size), 5, &decoded, &symlink), -EPROTO);
}

static void names_of_one_hash_stand_one_after_the_other(void **state)
{
    (void)state;
    uint8_t value[3 * NAME_ENTRY_BYTES_MAX];
    char longest[FS_NAME_SIZE_MAX];
    memset(longest, 'x', sizeof longest);
    struct name_entry first = { 0, 1, slice_str("a") };
    struct name_entry second = { 255, UINT64_MAX, slice_of(longest, sizeof longest) };
    size_t size = name_entry_encode(&first, value);
    size += name_entry_encode(&second, value + size);
    struct slice left = slice_of(value, size);
    struct name_entry decoded;
    assert_int_equal(name_entry_decode(&left, &decoded), 0);
    assert_true(decoded.slot == 0 && decoded.inode == 1 && slice_equal(decoded.name, first.name));
    struct slice cut = slice_of(left.data, left.size - 1);
    assert_int_equal(name_entry_decode(&cut, &decoded), -EBADMSG);
    assert_int_equal(name_entry_decode(&left, &decoded), 0);
    assert_true(decoded.slot == 255 && slice_equal(decoded.name, second.name));
    assert_int_equal(left.size, 0);
}

static void a_group_keeps_its_segment_blocks_only(void **state)
{
    (void)state;
    struct block blocks[GROUP_BLOCKS] = { 0 };
    struct block decoded[GROUP_BLOCKS] = { 0 };
    uint8_t value[GROUP_BYTES_MAX];
    assert_int_equal(group_encode(blocks, value), 0);
    for (unsigned i = 0; i < GROUP_BLOCKS; i++) {
        if (i % 5 == 4)
            continue;
        blocks[i] = (struct block){ .kind = BLOCK_SEGMENT,
            .address = (ADDRESS_MAX - 100 + i + (i > 10 ? 50 : 0)) & ADDRESS_MAX,
            .checksum = i * UINT64_C(0x123456789abcdef) };
    }
    size_t size = group_encode(blocks, value);
    assert_int_equal(group_decode(slice_of(value, size), decoded), 0);
    for (unsigned i = 0; i < GROUP_BLOCKS; i++)
        assert_true(block_equal(blocks[i], decoded[i]));
    assert_int_equal(group_decode(slice_of(value, size - 1), decoded), -EBADMSG);
    for (unsigned i = 0; i < GROUP_BLOCKS; i += 2)
        blocks[i] = (struct block){ .kind = BLOCK_SMALL };
    assert_true(group_encode(blocks, value) <= GROUP_BYTES_MAX);
}

static void random_bytes_are_refused_or_decoded_but_do_no_harm(void **state)
{
    (void)state;
    uint8_t value[600];
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = (size_t)rand() % sizeof value;
        for (size_t at = 0; at < size; at++)
            value[at] = (uint8_t)rand();
        value[0] = 1;
        struct block blocks[GROUP_BLOCKS] = { 0 };
        struct inode_record record;
        struct volume_state volume;
        struct name_entry entry;
        struct slice rest = slice_of(value, size);
        (void)!group_decode(slice_of(value, size), blocks);
        (void)!inode_record_decode(slice_of(value, size), 1, &record, &rest);
        (void)!volume_state_decode(slice_of(value, size), &volume);
        rest = slice_of(value, size);
        while (rest.size > 0 && name_entry_decode(&rest, &entry) == 0)
            assert_true(entry.name.size > 0);
    }
}

static void keys_sort_as_their_numbers(void **state)
{
    (void)state;
    struct key a;
    struct key b;
    uint64_t numbers[2];
    key_make2(&a, KEY_GROUP, 1, UINT64_MAX);
    key_make2(&b, KEY_GROUP, 2, 0);
    assert_true(memcmp(a.bytes, b.bytes, a.size) < 0);
    assert_true(key_parse(key_slice(&a), KEY_GROUP, 2, numbers));
    assert_true(numbers[0] == 1 && numbers[1] == UINT64_MAX);
    assert_false(key_parse(key_slice(&a), KEY_GROUP, 1, numbers));
    assert_false(key_parse(key_slice(&a), KEY_SMALL, 2, numbers));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inode_comes_back_and_its_beginnings_do_not),
        cmocka_unit_test(names_of_one_hash_stand_one_after_the_other),
        cmocka_unit_test(a_group_keeps_its_segment_blocks_only),
        cmocka_unit_test(random_bytes_are_refused_or_decoded_but_do_no_harm),
        cmocka_unit_test(keys_sort_as_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
