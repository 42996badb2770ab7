/*
 * tests/lib/fs_contract_extra.c - what fs/fs.h promises of holes, of space asked for, and of clones.
 */
#include "tests/lib/fs_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BLOCK       FS_CLONE_BLOCK_BYTES
#define MODEL_FILES 3u
#define MODEL_BYTES (96u * 4096)

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

static void put(struct fs_contract *c, struct fs_node node, uint64_t offset, const void *data,
    size_t size, enum fs_stability stability)
{
    const struct fs_write write = {
        .offset = offset, .data = slice_of(data, size), .stability = stability
    };
    struct fs_written out;
    assert_int_equal(fs_write(c->fs, node, &write, &out), 0);
}

/* Writes `size` bytes that follow from `seed`. */
static void put_pattern(struct fs_contract *c, struct fs_node node, uint64_t offset, size_t size,
    uint8_t seed, enum fs_stability stability)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(seed + i * 7 + i / 4096);
    put(c, node, offset, data, size, stability);
    free(data);
}

static void expect_pattern(
    struct fs_contract *c, struct fs_node node, uint64_t offset, size_t size, uint8_t seed)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    struct fs_read out;
    assert_int_equal(fs_read(c->fs, node, offset, data, size, &out), 0);
    assert_int_equal(out.size, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], (uint8_t)(seed + i * 7 + i / 4096));
    free(data);
}

static void expect_zeros(struct fs_contract *c, struct fs_node node, uint64_t offset, size_t size)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    memset(data, 1, size);
    struct fs_read out;
    assert_int_equal(fs_read(c->fs, node, offset, data, size, &out), 0);
    assert_int_equal(out.size, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], 0);
    free(data);
}

static void reopen(struct fs_contract *c)
{
    if (c->reopen != NULL)
        assert_int_equal(c->reopen(c), 0);
}

static bool can(const struct fs_contract *c, uint32_t cap)
{
    return (c->fs->ops->caps & cap) != 0;
}

static uint64_t seek(
    struct fs_contract *c, struct fs_node node, uint64_t offset, enum fs_seek_what what)
{
    uint64_t found = UINT64_MAX;
    assert_int_equal(fs_seek(c->fs, node, offset, what, &found), 0);
    return found;
}

static void seeking_finds_where_data_and_holes_begin(void **state)
{
    struct fs_contract *c = *state;
    if (!can(c, FS_CAP_HOLES))
        skip();
    static const enum fs_stability kinds[] = { FS_UNSTABLE, FS_FILE_SYNC };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct fs_node node = new_file(c);
        uint64_t found;
        assert_int_equal(fs_seek(c->fs, node, 0, FS_SEEK_HOLE, &found), -ENXIO);
        assert_int_equal(fs_seek(c->fs, node, 0, FS_SEEK_DATA, &found), -ENXIO);
        const uint64_t far = UINT64_C(3) << 20;
        put_pattern(c, node, 5 * BLOCK, 2 * BLOCK, 1, kinds[i]);
        put_pattern(c, node, far, 100, 1, kinds[i]);
        for (int round = 0; round < 2; round++) {
            assert_int_equal(seek(c, node, 0, FS_SEEK_HOLE), 0);
            assert_int_equal(seek(c, node, 0, FS_SEEK_DATA), 5 * BLOCK);
            assert_int_equal(seek(c, node, 5 * BLOCK + 7, FS_SEEK_DATA), 5 * BLOCK + 7);
            assert_int_equal(seek(c, node, 5 * BLOCK + 7, FS_SEEK_HOLE), 7 * BLOCK);
            assert_int_equal(seek(c, node, 7 * BLOCK, FS_SEEK_DATA), far);
            assert_int_equal(seek(c, node, far, FS_SEEK_HOLE), far + 100);
            assert_int_equal(fs_seek(c->fs, node, far + 100, FS_SEEK_HOLE, &found), -ENXIO);
            assert_int_equal(fs_seek(c->fs, node, far + 100, FS_SEEK_DATA, &found), -ENXIO);
            assert_int_equal(fs_seek(c->fs, node, UINT64_MAX, FS_SEEK_DATA, &found), -ENXIO);
            assert_int_equal(fs_commit(c->fs, node, 0, 0), 0);
            reopen(c);
        }
        const struct fs_setattr grow = { .set_size = true, .size_bytes = UINT64_C(1) << 30 };
        struct fs_attr attr;
        assert_int_equal(fs_setattr(c->fs, NULL, node, &grow, &attr), 0);
        assert_int_equal(fs_seek(c->fs, node, far + BLOCK, FS_SEEK_DATA, &found), -ENXIO);
        assert_int_equal(seek(c, node, far + BLOCK, FS_SEEK_HOLE), far + BLOCK);
    }
    struct fs_node dir = fs_contract_directory(c);
    uint64_t found;
    assert_int_equal(fs_seek(c->fs, dir, 0, FS_SEEK_DATA, &found), -EISDIR);
}

static void reading_segments_tells_data_from_holes(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node node = new_file(c);
    put_pattern(c, node, 2 * BLOCK, BLOCK, 1, FS_UNSTABLE);
    put_pattern(c, node, 6 * BLOCK, 10, 2, FS_UNSTABLE);
    struct fs_segment segments[8];
    uint8_t buffer[8 * BLOCK];
    struct fs_read_segments read = { .offset = 100,
        .buffer = buffer,
        .size = sizeof buffer,
        .segments = segments,
        .segment_max = ARRAY_SIZE(segments) };
    memset(buffer, 1, sizeof buffer);
    assert_int_equal(fs_read_segments(c->fs, node, &read), 0);
    assert_int_equal(read.out.size, 6 * BLOCK + 10 - 100);
    assert_true(read.out.at_end);
    uint64_t at = 100;
    for (uint32_t i = 0; i < read.out_segment_count; i++) {
        const struct fs_segment *segment = &segments[i];
        assert_int_equal(segment->offset, at);
        assert_true(segment->size_bytes > 0);
        for (uint64_t byte = at; byte < at + segment->size_bytes; byte++) {
            bool is_data = (byte >= 2 * BLOCK && byte < 3 * BLOCK) || byte >= 6 * BLOCK;
            if (can(c, FS_CAP_HOLES))
                assert_int_equal(segment->is_hole, !is_data);
            if (!is_data)
                assert_int_equal(buffer[byte - 100], 0);
        }
        at += segment->size_bytes;
    }
    assert_int_equal(at, 6 * BLOCK + 10);
    assert_int_equal(buffer[2 * BLOCK - 100 + 1], 1 + 7);
    read.segment_max = 1; /* room for one only: it ends there */
    assert_int_equal(fs_read_segments(c->fs, node, &read), 0);
    assert_int_equal(read.out_segment_count, 1);
    assert_int_equal(read.out.size, segments[0].size_bytes);
    assert_int_equal(read.out.at_end, !can(c, FS_CAP_HOLES));
    read.offset = 7 * BLOCK;
    assert_int_equal(fs_read_segments(c->fs, node, &read), 0);
    assert_int_equal(read.out_segment_count, 0);
    assert_true(read.out.at_end && read.out.size == 0);
}

static void allocating_grows_and_never_shrinks(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node node = new_file(c);
    struct fs_attr attr;
    put_pattern(c, node, 0, 5000, 1, FS_UNSTABLE);
    uint64_t change = attr_of(c, node).change;
    assert_int_equal(fs_allocate(c->fs, NULL, node, 100000, 1000, &attr), 0);
    assert_int_equal(attr.size_bytes, 101000);
    assert_true(attr.change > change);
    assert_int_equal(fs_allocate(c->fs, NULL, node, 0, 10, &attr), 0);
    assert_int_equal(attr.size_bytes, 101000);
    reopen(c);
    assert_int_equal(attr_of(c, node).size_bytes, 101000);
    expect_pattern(c, node, 0, 5000, 1);
    expect_zeros(c, node, 5000, 96000);
    assert_int_equal(fs_allocate(c->fs, NULL, node, 0, 0, &attr), -EINVAL);
    assert_int_equal(fs_allocate(c->fs, NULL, node, FS_FILE_SIZE_MAX, 1, &attr), -EFBIG);
    assert_int_equal(fs_allocate(c->fs, NULL, node, UINT64_MAX, 1, &attr), -EFBIG);
    assert_int_equal(fs_allocate(c->fs, NULL, node, 1, UINT64_MAX, &attr), -EFBIG);
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node fifo = fs_contract_make(c, dir, "fifo", FS_FIFO).node;
    assert_int_equal(fs_allocate(c->fs, NULL, dir, 0, 1, &attr), -EISDIR);
    assert_int_equal(fs_allocate(c->fs, NULL, fifo, 0, 1, &attr), -EINVAL);
}

static void deallocating_makes_zeros_and_gives_space_back(void **state)
{
    struct fs_contract *c = *state;
    if (!can(c, FS_CAP_HOLES))
        skip();
    static const enum fs_stability kinds[] = { FS_UNSTABLE, FS_FILE_SYNC };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct fs_node node = new_file(c);
        struct fs_attr before;
        struct fs_attr attr;
        put_pattern(c, node, 0, 64 * BLOCK + 50, 3, kinds[i]);
        before = attr_of(c, node);
        assert_int_equal(fs_deallocate(c->fs, NULL, node, 1000, 40 * BLOCK, &attr), 0);
        assert_int_equal(attr.size_bytes, before.size_bytes);
        assert_true(attr.change > before.change);
        assert_true(attr.space_used_bytes <= before.space_used_bytes - 39 * BLOCK);
        for (int round = 0; round < 2; round++) {
            expect_pattern(c, node, 0, 1000, 3);
            expect_zeros(c, node, 1000, 40 * BLOCK);
            assert_int_equal(seek(c, node, BLOCK, FS_SEEK_HOLE), BLOCK);
            assert_int_equal(seek(c, node, BLOCK, FS_SEEK_DATA), 40 * BLOCK);
            reopen(c);
        }
        /* To the end and beyond: the size stays. */
        assert_int_equal(fs_deallocate(c->fs, NULL, node, 41 * BLOCK, 1u << 30, &attr), 0);
        assert_int_equal(attr.size_bytes, before.size_bytes);
        expect_zeros(c, node, 41 * BLOCK, 23 * BLOCK + 50);
        assert_int_equal(fs_deallocate(c->fs, NULL, node, 1u << 30, 1000, &attr), 0);
        /* What is written there again is there again. */
        put_pattern(c, node, 10 * BLOCK, 3 * BLOCK, 9, kinds[i]);
        expect_pattern(c, node, 10 * BLOCK, 3 * BLOCK, 9);
        expect_zeros(c, node, 13 * BLOCK, BLOCK);
        assert_int_equal(fs_deallocate(c->fs, NULL, node, 0, 0, &attr), -EINVAL);
        assert_int_equal(fs_deallocate(c->fs, NULL, node, 2, UINT64_MAX - 1, &attr), -EINVAL);
    }
    struct fs_attr attr;
    assert_int_equal(fs_deallocate(c->fs, NULL, fs_contract_directory(c), 0, 1, &attr), -EISDIR);
}

static void clones_share_until_one_is_changed(void **state)
{
    struct fs_contract *c = *state;
    if (!can(c, FS_CAP_CLONE))
        skip();
    static const enum fs_stability kinds[] = { FS_UNSTABLE, FS_FILE_SYNC };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct fs_node dir = fs_contract_directory(c);
        struct fs_node source = fs_contract_make(c, dir, "source", FS_REGULAR).node;
        struct fs_node target = fs_contract_make(c, dir, "target", FS_REGULAR).node;
        struct fs_attr attr;
        struct fs_change change;
        put_pattern(c, source, 0, 100 * BLOCK + 77, 5, kinds[i]);
        put_pattern(c, target, 0, 3 * BLOCK, 8, kinds[i]);
        const struct fs_clone whole = { .source = source, .target = target };
        assert_int_equal(fs_clone(c->fs, NULL, &whole, &attr), 0);
        assert_int_equal(attr.size_bytes, 100 * BLOCK + 77);
        assert_true(fs_node_equal(attr.node, target));
        reopen(c);
        expect_pattern(c, target, 0, 100 * BLOCK + 77, 5);
        /* Unaligned overwriting of one leaves the other alone, both ways. */
        put_pattern(c, source, 10 * BLOCK + 5, 10, 50, kinds[i]);
        put_pattern(c, target, 20 * BLOCK + 5, 10, 60, kinds[i]);
        expect_pattern(c, target, 0, 20 * BLOCK, 5);
        expect_pattern(c, target, 20 * BLOCK + 5, 10, 60);
        expect_pattern(c, source, 0, 10 * BLOCK, 5);
        expect_pattern(c, source, 10 * BLOCK + 5, 10, 50);
        assert_int_equal(fs_deallocate(c->fs, NULL, source, 30 * BLOCK, 5 * BLOCK, &attr), 0);
        assert_int_equal(fs_remove(c->fs, NULL, dir, slice_str("source"), &change), 0);
        reopen(c);
        expect_pattern(c, target, 0, 20 * BLOCK, 5);
        assert_int_equal(fs_remove(c->fs, NULL, dir, slice_str("target"), &change), 0);
    }
}

static void clones_of_ranges_keep_to_their_range(void **state)
{
    struct fs_contract *c = *state;
    if (!can(c, FS_CAP_CLONE))
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node source = fs_contract_make(c, dir, "source", FS_REGULAR).node;
    struct fs_node target = fs_contract_make(c, dir, "target", FS_REGULAR).node;
    struct fs_attr attr;
    put_pattern(c, source, 0, 10 * BLOCK, 5, FS_UNSTABLE);
    put_pattern(c, source, 20 * BLOCK, 10 * BLOCK, 6, FS_UNSTABLE); /* a hole between them */
    put_pattern(c, target, 0, 40 * BLOCK, 7, FS_FILE_SYNC);
    uint64_t before = attr_of(c, target).change;
    const struct fs_clone part = { source, 8 * BLOCK, target, 2 * BLOCK, 14 * BLOCK };
    assert_int_equal(fs_clone(c->fs, NULL, &part, &attr), 0);
    assert_true(attr.change > before);
    assert_int_equal(attr.size_bytes, 40 * BLOCK);
    expect_pattern(c, target, 0, 2 * BLOCK, 7);
    expect_zeros(c, target, 4 * BLOCK, 10 * BLOCK);
    expect_pattern(c, target, 14 * BLOCK, 2 * BLOCK, 6);
    /* Behind the end of the target: a hole comes between. */
    const struct fs_clone far = { source, 20 * BLOCK, target, 100 * BLOCK, 4 * BLOCK };
    assert_int_equal(fs_clone(c->fs, NULL, &far, &attr), 0);
    assert_int_equal(attr.size_bytes, 104 * BLOCK);
    expect_zeros(c, target, 40 * BLOCK, 60 * BLOCK);
    expect_pattern(c, target, 100 * BLOCK, 4 * BLOCK, 6);
    /* Within one file. */
    const struct fs_clone within = { source, 0, source, 12 * BLOCK, 4 * BLOCK };
    assert_int_equal(fs_clone(c->fs, NULL, &within, &attr), 0);
    reopen(c);
    expect_pattern(c, source, 12 * BLOCK, 4 * BLOCK, 5);
    expect_pattern(c, source, 0, 10 * BLOCK, 5);
}

static void clones_that_cannot_be_are_refused(void **state)
{
    struct fs_contract *c = *state;
    if (!can(c, FS_CAP_CLONE))
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node source = fs_contract_make(c, dir, "source", FS_REGULAR).node;
    struct fs_node target = fs_contract_make(c, dir, "target", FS_REGULAR).node;
    struct fs_attr attr;
    put_pattern(c, source, 0, 10 * BLOCK + 5, 5, FS_UNSTABLE);
    put_pattern(c, target, 0, 30 * BLOCK, 6, FS_UNSTABLE);
    const struct fs_clone wrong[] = {
        { source, 1, target, 0, BLOCK },
        { source, 0, target, 1, BLOCK },
        { source, 0, target, 0, BLOCK - 1 },
        { source, 0, target, 0, 11 * BLOCK },     /* beyond the end */
        { source, 20 * BLOCK, target, 0, 0 },     /* begins beyond it */
        { source, 0, target, 0, 10 * BLOCK + 5 }, /* would cut the target's block 10 */
        { source, 0, target, 0, UINT64_MAX },
        { source, 0, source, BLOCK, 2 * BLOCK }, /* overlap */
        { source, BLOCK, source, 0, 2 * BLOCK },
        { source, 0, source, 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(fs_clone(c->fs, NULL, &wrong[i], &attr), -EINVAL);
    const struct fs_clone large = { source, 0, target, round_down(FS_FILE_SIZE_MAX, BLOCK), BLOCK };
    assert_int_equal(fs_clone(c->fs, NULL, &large, &attr), -EFBIG);
    const struct fs_clone from_dir = { dir, 0, target, 0, 0 };
    const struct fs_clone to_dir = { source, 0, dir, 0, 0 };
    assert_int_equal(fs_clone(c->fs, NULL, &from_dir, &attr), -EISDIR);
    assert_int_equal(fs_clone(c->fs, NULL, &to_dir, &attr), -EISDIR);
    expect_pattern(c, target, 0, 30 * BLOCK, 6);
    /* The end of the source at or behind that of the target may be anywhere. */
    const struct fs_clone tail = { source, 8 * BLOCK, target, 28 * BLOCK, 0 };
    assert_int_equal(fs_clone(c->fs, NULL, &tail, &attr), 0);
    assert_int_equal(attr.size_bytes, 30 * BLOCK + 5);
}

static void changing_space_by_others_than_root_clears_setuid(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node source = new_file(c);
    struct fs_node node = new_file(c);
    put_pattern(c, source, 0, 2 * BLOCK, 1, FS_FILE_SYNC);
    const struct fs_clone clone = { .source = source, .target = node };
    const struct fs_setattr set = { .set_mode = true, .mode = 06755 };
    for (int i = 0; i < 6; i++) {
        const struct fs_cred *cred = i % 2 == 0 ? &alice : NULL;
        struct fs_attr attr;
        int err;
        assert_int_equal(fs_setattr(c->fs, NULL, node, &set, &attr), 0);
        if (i < 2)
            err = fs_allocate(c->fs, cred, node, 0, 10 * BLOCK, &attr);
        else if (i < 4)
            err = fs_deallocate(c->fs, cred, node, 0, BLOCK, &attr);
        else
            err = fs_clone(c->fs, cred, &clone, &attr);
        if (err == -EOPNOTSUPP)
            continue;
        assert_int_equal(err, 0);
        assert_int_equal(attr.mode, cred == NULL ? 06755 : 0755);
    }
}

/* ---- random work against byte arrays ------------------------------------------------------------------ */

struct model {
    uint8_t bytes[MODEL_FILES][MODEL_BYTES];
    uint64_t sizes[MODEL_FILES];
    struct fs_node nodes[MODEL_FILES];
    uint64_t random;
};

static uint64_t next_random(struct model *model)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return model->random;
}

static void model_write(struct fs_contract *c, struct model *model, unsigned file)
{
    uint64_t offset = next_random(model) % (MODEL_BYTES - 1);
    uint64_t size = 1 + next_random(model) % min_u64(20000, MODEL_BYTES - offset);
    uint8_t *bytes = model->bytes[file] + offset;
    uint8_t start = (uint8_t)next_random(model);
    for (uint64_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(start + i * 3);
    put(c, model->nodes[file], offset, bytes, size, (enum fs_stability)(next_random(model) % 3));
    model->sizes[file] = max_u64(model->sizes[file], offset + size);
}

static void model_deallocate(struct fs_contract *c, struct model *model, unsigned file)
{
    struct fs_attr attr;
    uint64_t offset = next_random(model) % MODEL_BYTES;
    uint64_t size = 1 + next_random(model) % 100000;
    assert_int_equal(fs_deallocate(c->fs, NULL, model->nodes[file], offset, size, &attr), 0);
    assert_int_equal(attr.size_bytes, model->sizes[file]);
    memset(model->bytes[file] + offset, 0, min_u64(size, MODEL_BYTES - offset));
}

static void model_truncate(struct fs_contract *c, struct model *model, unsigned file)
{
    uint64_t size = next_random(model) % MODEL_BYTES;
    const struct fs_setattr set = { .set_size = true, .size_bytes = size };
    struct fs_attr attr;
    assert_int_equal(fs_setattr(c->fs, NULL, model->nodes[file], &set, &attr), 0);
    memset(model->bytes[file] + size, 0, MODEL_BYTES - size);
    model->sizes[file] = size;
}

static void model_clone(struct fs_contract *c, struct model *model, unsigned file)
{
    unsigned from = (unsigned)(next_random(model) % MODEL_FILES);
    uint64_t blocks = model->sizes[from] / BLOCK;
    if (blocks == 0)
        return;
    uint64_t first = next_random(model) % blocks;
    uint64_t count = 1 + next_random(model) % (blocks - first);
    uint64_t to = next_random(model) % (MODEL_BYTES / BLOCK - count + 1);
    struct fs_clone how = { model->nodes[from], first * BLOCK, model->nodes[file], to * BLOCK,
        count * BLOCK };
    uint64_t rest = model->sizes[from] - first * BLOCK;
    if (next_random(model) % 3 == 0 && rest <= MODEL_BYTES - how.target_offset &&
        how.target_offset + rest >= model->sizes[file])
        how.size_bytes = rest;
    struct fs_attr attr;
    int err = fs_clone(c->fs, NULL, &how, &attr);
    bool overlaps = from == file && how.source_offset < how.target_offset + how.size_bytes &&
                    how.target_offset < how.source_offset + how.size_bytes;
    assert_int_equal(err, overlaps ? -EINVAL : 0);
    if (err < 0)
        return;
    memcpy(model->bytes[file] + how.target_offset, model->bytes[from] + how.source_offset,
        how.size_bytes);
    model->sizes[file] = max_u64(model->sizes[file], how.target_offset + how.size_bytes);
}

static void model_compare(struct fs_contract *c, struct model *model, unsigned file)
{
    static uint8_t buffer[MODEL_BYTES];
    static struct fs_segment segments[MODEL_BYTES / BLOCK + 2];
    struct fs_read_segments read = { .buffer = buffer,
        .size = MODEL_BYTES,
        .segments = segments,
        .segment_max = ARRAY_SIZE(segments) };
    assert_int_equal(fs_read_segments(c->fs, model->nodes[file], &read), 0);
    assert_int_equal(read.out.size, model->sizes[file]);
    assert_true(read.out.at_end);
    assert_memory_equal(buffer, model->bytes[file], model->sizes[file]);
    for (uint32_t i = 0; i < read.out_segment_count; i++) {
        if (!segments[i].is_hole)
            continue;
        for (uint64_t at = 0; at < segments[i].size_bytes; at++)
            assert_int_equal(model->bytes[file][segments[i].offset + at], 0);
        assert_int_equal(
            seek(c, model->nodes[file], segments[i].offset, FS_SEEK_HOLE), segments[i].offset);
    }
}

static void random_clones_and_holes_leave_what_byte_arrays_would_hold(void **state)
{
    struct fs_contract *c = *state;
    if (!can(c, FS_CAP_CLONE) || !can(c, FS_CAP_HOLES))
        skip();
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->random = c->seed | 1;
    print_message("seed %llu\n", (unsigned long long)c->seed);
    for (unsigned i = 0; i < MODEL_FILES; i++)
        model->nodes[i] = new_file(c);
    for (int i = 0; i < 1000; i++) {
        uint64_t kind = next_random(model) % 100;
        unsigned file = (unsigned)(next_random(model) % MODEL_FILES);
        if (kind < 35)
            model_write(c, model, file);
        else if (kind < 50)
            model_deallocate(c, model, file);
        else if (kind < 70)
            model_clone(c, model, file);
        else if (kind < 76)
            model_truncate(c, model, file);
        else if (kind < 80)
            assert_int_equal(fs_commit(c->fs, model->nodes[file], 0, 0), 0);
        else if (kind < 99)
            model_compare(c, model, file);
        else
            reopen(c);
    }
    for (unsigned i = 0; i < MODEL_FILES; i++)
        model_compare(c, model, i);
    free(model);
}

const struct CMUnitTest *fs_contract_extra_tests(size_t *out_count)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeking_finds_where_data_and_holes_begin),
        cmocka_unit_test(reading_segments_tells_data_from_holes),
        cmocka_unit_test(allocating_grows_and_never_shrinks),
        cmocka_unit_test(deallocating_makes_zeros_and_gives_space_back),
        cmocka_unit_test(clones_share_until_one_is_changed),
        cmocka_unit_test(clones_of_ranges_keep_to_their_range),
        cmocka_unit_test(clones_that_cannot_be_are_refused),
        cmocka_unit_test(changing_space_by_others_than_root_clears_setuid),
        cmocka_unit_test(random_clones_and_holes_leave_what_byte_arrays_would_hold),
    };
    *out_count = ARRAY_SIZE(tests);
    return tests;
}
