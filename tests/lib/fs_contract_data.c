/*
 * tests/lib/fs_contract_data.c - what fs/fs.h promises of the bytes of files.
 */
#include "tests/lib/fs_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MODEL_BYTES (512u * 1024)

static const struct fs_cred alice = { .uid = 1000, .gid = 1000 };

static struct fs_node new_file(struct fs_contract *c)
{
    return fs_contract_make(c, fs_contract_directory(c), "file", FS_REGULAR).node;
}

static struct fs_attr attr_of(struct fs_contract *c, struct fs_node node)
{
    struct fs_attr attr;
    assert_int_equal(fs_getattr(c->fs, node, &attr), 0);
    return attr;
}

static struct fs_written put(struct fs_contract *c, struct fs_node node, uint64_t offset,
    const void *data, size_t size, enum fs_stability stability)
{
    const struct fs_write write = {
        .offset = offset, .data = slice_of(data, size), .stability = stability
    };
    struct fs_written out;
    assert_int_equal(fs_write(c->fs, node, &write, &out), 0);
    assert_true(out.stability >= stability);
    return out;
}

/* Reads exactly what should be there. */
static void expect(struct fs_contract *c, struct fs_node node, uint64_t offset, const void *data,
    size_t size, bool at_end)
{
    uint8_t *buffer = malloc(size + 1);
    assert_non_null(buffer);
    struct fs_read out;
    assert_int_equal(fs_read(c->fs, node, offset, buffer, size, &out), 0);
    assert_int_equal(out.size, size);
    assert_int_equal(out.at_end, at_end);
    assert_memory_equal(buffer, data, size);
    free(buffer);
}

static void truncate_to(struct fs_contract *c, struct fs_node node, uint64_t size)
{
    const struct fs_setattr change = { .set_size = true, .size_bytes = size };
    struct fs_attr out;
    assert_int_equal(fs_setattr(c->fs, NULL, node, &change, &out), 0);
    assert_int_equal(out.size_bytes, size);
}

static void what_is_written_is_read_whatever_its_stability(void **state)
{
    struct fs_contract *c = *state;
    static const enum fs_stability kinds[] = { FS_UNSTABLE, FS_DATA_SYNC, FS_FILE_SYNC };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct fs_node node = new_file(c);
        struct fs_attr before = attr_of(c, node);
        struct fs_written out = put(c, node, 0, "hello", 5, kinds[i]);
        assert_int_equal(out.attr.size_bytes, 5);
        assert_true(out.attr.change > before.change);
        expect(c, node, 0, "hello", 5, true);
        put(c, node, 3, "p!", 2, kinds[i]);
        expect(c, node, 0, "help!", 5, true);
        expect(c, node, 1, "elp", 3, false);
        assert_int_equal(attr_of(c, node).size_bytes, 5);
        assert_int_equal(fs_commit(c->fs, node, 0, 0), 0);
        if (c->reopen != NULL)
            assert_int_equal(c->reopen(c), 0);
        expect(c, node, 0, "help!", 5, true);
    }
}

static void reads_at_and_beyond_the_end_are_empty_and_say_so(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node node = new_file(c);
    expect(c, node, 0, "", 0, true);
    put(c, node, 0, "abc", 3, FS_UNSTABLE);
    uint8_t buffer[8];
    struct fs_read out;
    const uint64_t offsets[] = { 3, 4, 1u << 20, FS_FILE_SIZE_MAX, INT64_MAX, UINT64_MAX };
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_int_equal(fs_read(c->fs, node, offsets[i], buffer, sizeof buffer, &out), 0);
        assert_int_equal(out.size, 0);
        assert_true(out.at_end);
    }
    assert_int_equal(fs_read(c->fs, node, 2, buffer, sizeof buffer, &out), 0);
    assert_int_equal(out.size, 1);
    assert_true(out.at_end);
}

static void holes_read_as_zeros_and_take_no_space(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node node = new_file(c);
    static const uint8_t zeros[4096];
    put(c, node, 10u << 20, "end", 3, FS_UNSTABLE);
    expect(c, node, 5u << 20, zeros, sizeof zeros, false);
    expect(c, node, (10u << 20) - 4096, zeros, sizeof zeros, false);
    expect(c, node, 10u << 20, "end", 3, true);
    assert_int_equal(fs_commit(c->fs, node, 0, 0), 0);
    struct fs_attr attr = attr_of(c, node);
    assert_int_equal(attr.size_bytes, (10u << 20) + 3);
    assert_true(attr.space_used_bytes < 1u << 20);
    truncate_to(c, node, 1u << 30);
    expect(c, node, (1u << 30) - 4096, zeros, sizeof zeros, true);
}

static void what_is_cut_off_does_not_come_back(void **state)
{
    struct fs_contract *c = *state;
    static const enum fs_stability kinds[] = { FS_UNSTABLE, FS_FILE_SYNC };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct fs_node node = new_file(c);
        uint8_t data[20000];
        memset(data, 'x', sizeof data);
        put(c, node, 0, data, sizeof data, kinds[i]);
        truncate_to(c, node, 5001);
        truncate_to(c, node, 20000);
        memset(data + 5001, 0, sizeof data - 5001);
        expect(c, node, 0, data, sizeof data, true);
        if (c->reopen != NULL)
            assert_int_equal(c->reopen(c), 0);
        expect(c, node, 0, data, sizeof data, true);
    }
}

static void files_end_at_the_published_size(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node node = new_file(c);
    put(c, node, FS_FILE_SIZE_MAX - 1, "z", 1, FS_UNSTABLE);
    expect(c, node, FS_FILE_SIZE_MAX - 1, "z", 1, true);
    const uint64_t offsets[] = { FS_FILE_SIZE_MAX, INT64_MAX, UINT64_MAX };
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        const struct fs_write write = { .offset = offsets[i], .data = slice_str("z") };
        struct fs_written out;
        assert_int_equal(fs_write(c->fs, node, &write, &out), -EFBIG);
        const struct fs_setattr change = { .set_size = true,
            .size_bytes = max_u64(offsets[i], FS_FILE_SIZE_MAX + 1) };
        struct fs_attr attr;
        assert_int_equal(fs_setattr(c->fs, NULL, node, &change, &attr), -EFBIG);
    }
    assert_int_equal(attr_of(c, node).size_bytes, FS_FILE_SIZE_MAX);
}

static void only_files_have_bytes(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node fifo = fs_contract_make(c, dir, "fifo", FS_FIFO).node;
    uint8_t byte = 0;
    struct fs_read read;
    struct fs_written written;
    const struct fs_write write = { .data = slice_of(&byte, 1) };
    assert_int_equal(fs_read(c->fs, dir, 0, &byte, 1, &read), -EISDIR);
    assert_int_equal(fs_write(c->fs, dir, &write, &written), -EISDIR);
    assert_int_equal(fs_read(c->fs, fifo, 0, &byte, 1, &read), -EINVAL);
    assert_int_equal(fs_write(c->fs, fifo, &write, &written), -EINVAL);
}

static void a_held_file_lives_on_without_a_name(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node node = fs_contract_make(c, dir, "f", FS_REGULAR).node;
    put(c, node, 0, "first", 5, FS_UNSTABLE);
    assert_int_equal(fs_hold(c->fs, node), 0);
    assert_int_equal(fs_hold(c->fs, node), 0);
    struct fs_change change;
    assert_int_equal(fs_remove(c->fs, NULL, dir, slice_str("f"), &change), 0);
    assert_int_equal(attr_of(c, node).link_count, 0);
    put(c, node, 5, " second", 7, FS_FILE_SYNC);
    expect(c, node, 0, "first second", 12, true);
    fs_release(c->fs, node);
    expect(c, node, 0, "first second", 12, true);
    fs_release(c->fs, node);
    struct fs_attr attr;
    assert_int_equal(fs_getattr(c->fs, node, &attr), -ESTALE);
    assert_int_equal(fs_hold(c->fs, node), -ESTALE);
}

static void writing_by_others_than_root_clears_setuid(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node node = new_file(c);
    const struct fs_setattr change = { .set_mode = true, .mode = 06755 };
    struct fs_attr attr;
    assert_int_equal(fs_setattr(c->fs, NULL, node, &change, &attr), 0);
    struct fs_write write = { .data = slice_str("x"), .stability = FS_FILE_SYNC };
    struct fs_written out;
    assert_int_equal(fs_write(c->fs, node, &write, &out), 0);
    assert_int_equal(attr_of(c, node).mode, 06755);
    write.cred = &alice;
    assert_int_equal(fs_write(c->fs, node, &write, &out), 0);
    assert_int_equal(attr_of(c, node).mode, 0755);
}

static void the_change_counter_never_goes_back(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node node = new_file(c);
    uint64_t last = attr_of(c, node).change;
    for (int i = 0; i < 50; i++) {
        put(c, node, (uint64_t)i * 100, "data", 4, i % 3 == 0 ? FS_FILE_SYNC : FS_UNSTABLE);
        uint64_t change = attr_of(c, node).change;
        assert_true(change > last);
        last = change;
        if (i % 7 == 0)
            assert_int_equal(fs_commit(c->fs, node, 0, 0), 0);
        if (i % 20 == 10 && c->reopen != NULL)
            assert_int_equal(c->reopen(c), 0);
        assert_true(attr_of(c, node).change >= last);
        last = attr_of(c, node).change;
    }
}

static void used_space_follows_what_is_kept(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_space before;
    struct fs_space after;
    assert_int_equal(fs_space(c->fs, &before), 0);
    struct fs_node node = fs_contract_make(c, dir, "f", FS_REGULAR).node;
    uint8_t *data = malloc(1u << 20);
    assert_non_null(data);
    memset(data, 7, 1u << 20);
    put(c, node, 0, data, 1u << 20, FS_FILE_SYNC);
    free(data);
    assert_int_equal(fs_space(c->fs, &after), 0);
    assert_true(after.used_bytes >= before.used_bytes + (1u << 20));
    assert_int_equal(after.used_files, before.used_files + 1);
    assert_true(attr_of(c, node).space_used_bytes >= 1u << 20);
    struct fs_change change;
    assert_int_equal(fs_remove(c->fs, NULL, dir, slice_str("f"), &change), 0);
    assert_int_equal(fs_space(c->fs, &after), 0);
    assert_int_equal(after.used_files, before.used_files);
}

/* ---- random work against a byte array --------------------------------------------------------------- */

struct model {
    uint8_t bytes[MODEL_BYTES];
    uint64_t size;
    uint64_t random;
};

static uint64_t next_random(struct model *model)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return model->random;
}

static void random_write(struct fs_contract *c, struct fs_node node, struct model *model)
{
    static uint8_t data[MODEL_BYTES];
    uint64_t offset = next_random(model) % MODEL_BYTES;
    uint64_t limit = next_random(model) % 4 == 0 ? MODEL_BYTES - offset : 9000;
    uint64_t size = 1 + next_random(model) % min_u64(limit, MODEL_BYTES - offset);
    if (next_random(model) % 3 == 0) {
        offset = round_down(offset, 4096);
        size = min_u64(round_up(size, 4096), MODEL_BYTES - offset);
    }
    uint8_t start = (uint8_t)next_random(model);
    for (uint64_t i = 0; i < size; i++)
        data[i] = (uint8_t)(start + i * 3);
    put(c, node, offset, data, size, (enum fs_stability)(next_random(model) % 3));
    memcpy(model->bytes + offset, data, size);
    model->size = max_u64(model->size, offset + size);
}

static void random_truncate(struct fs_contract *c, struct fs_node node, struct model *model)
{
    uint64_t size = next_random(model) % (MODEL_BYTES + 1);
    truncate_to(c, node, size);
    if (size < model->size)
        memset(model->bytes + size, 0, model->size - size);
    model->size = size;
}

static void random_read(struct fs_contract *c, struct fs_node node, struct model *model)
{
    assert_int_equal(attr_of(c, node).size_bytes, model->size);
    if (model->size == 0)
        return;
    uint64_t offset = next_random(model) % model->size;
    uint64_t size = 1 + next_random(model) % (model->size - offset);
    expect(c, node, offset, model->bytes + offset, size, offset + size == model->size);
}

static void random_work_leaves_what_a_byte_array_would_hold(void **state)
{
    struct fs_contract *c = *state;
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->random = c->seed | 1;
    print_message("seed %llu\n", (unsigned long long)c->seed);
    struct fs_node node = new_file(c);
    for (int i = 0; i < 1500; i++) {
        uint64_t kind = next_random(model) % 100;
        if (kind < 50)
            random_write(c, node, model);
        else if (kind < 85)
            random_read(c, node, model);
        else if (kind < 92)
            random_truncate(c, node, model);
        else if (kind < 97)
            assert_int_equal(fs_commit(c->fs, node, 0, 0), 0);
        else if (c->reopen != NULL && kind == 99)
            assert_int_equal(c->reopen(c), 0);
    }
    expect(c, node, 0, model->bytes, model->size, true);
    free(model);
}

const struct CMUnitTest *fs_contract_data_tests(size_t *out_count)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_whatever_its_stability),
        cmocka_unit_test(reads_at_and_beyond_the_end_are_empty_and_say_so),
        cmocka_unit_test(holes_read_as_zeros_and_take_no_space),
        cmocka_unit_test(what_is_cut_off_does_not_come_back),
        cmocka_unit_test(files_end_at_the_published_size),
        cmocka_unit_test(only_files_have_bytes),
        cmocka_unit_test(a_held_file_lives_on_without_a_name),
        cmocka_unit_test(writing_by_others_than_root_clears_setuid),
        cmocka_unit_test(the_change_counter_never_goes_back),
        cmocka_unit_test(used_space_follows_what_is_kept),
        cmocka_unit_test(random_work_leaves_what_a_byte_array_would_hold),
    };
    *out_count = ARRAY_SIZE(tests);
    return tests;
}
