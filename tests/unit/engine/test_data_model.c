/* Random writes, truncations, commits and reopenings of files, compared with arrays of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

#include <cmocka.h>

#define FILES     4u
#define SIZE_MAX_ (3u << 20)
#define STEPS     1500u
#define IO_MAX    (300u << 10)

struct model {
    struct fs_node node;
    uint8_t *bytes;
    uint64_t size;
    uint64_t change;
};

static uint8_t scratch[SIZE_MAX_ + IO_MAX];

/* Mostly small, sometimes large, sometimes aligned. */
static uint64_t pick(uint64_t *random, uint64_t below)
{
    uint64_t value = fixture_random(random);
    switch (fixture_random(random) % 4) {
    case 0:
        return value % (below / 16 + 1);
    case 1:
        return value % (below / 4096 + 1) * 4096;
    case 2:
        return value % 10000 % (below + 1);
    default:
        return value % (below + 1);
    }
}

static void check_whole(struct fixture *f, struct model *model)
{
    struct fs_attr attr;
    assert_int_equal(fs_getattr(f->fs, model->node, &attr), 0);
    assert_int_equal(attr.size_bytes, model->size);
    assert_true(attr.change >= model->change);
    model->change = attr.change;
    uint64_t done = 0;
    while (done < model->size) {
        struct fs_read read;
        assert_int_equal(fs_read(f->fs, model->node, done, scratch, FS_IO_SIZE_MAX, &read), 0);
        assert_int_equal(read.size, min_u64(FS_IO_SIZE_MAX, model->size - done));
        assert_memory_equal(scratch, model->bytes + done, read.size);
        done += read.size;
        assert_int_equal(read.at_end, done == model->size);
    }
}

static void step_write(struct fixture *f, struct model *model, uint64_t *random)
{
    uint64_t offset = pick(random, SIZE_MAX_ - 1);
    size_t size = (size_t)min_u64(pick(random, IO_MAX - 1) + 1, SIZE_MAX_ - offset);
    uint8_t fill = (uint8_t)fixture_random(random);
    for (size_t i = 0; i < size; i++)
        scratch[i] = (uint8_t)(fill + i * 7 + i / 4096);
    struct fs_write write = { .offset = offset,
        .data = slice_of(scratch, size),
        .stability = (enum fs_stability)(fixture_random(random) % 3) };
    struct fs_written written;
    assert_int_equal(fs_write(f->fs, model->node, &write, &written), 0);
    memcpy(model->bytes + offset, scratch, size);
    model->size = max_u64(model->size, offset + size);
    assert_int_equal(written.attr.size_bytes, model->size);
    assert_true(written.attr.change > model->change);
    model->change = written.attr.change;
}

static void step_truncate(struct fixture *f, struct model *model, uint64_t *random)
{
    uint64_t size = fixture_random(random) % 8 == 0 ? 0 : pick(random, SIZE_MAX_);
    struct fs_setattr change = { .set_size = true, .size_bytes = size };
    struct fs_attr attr;
    assert_int_equal(fs_setattr(f->fs, NULL, model->node, &change, &attr), 0);
    assert_int_equal(attr.size_bytes, size);
    assert_true(attr.space_used_bytes <= round_up(SIZE_MAX_, 4096));
    if (size < model->size)
        memset(model->bytes + size, 0, model->size - size);
    model->size = size;
}

static void step_read(struct fixture *f, struct model *model, uint64_t *random)
{
    uint64_t offset = pick(random, SIZE_MAX_);
    size_t size = (size_t)pick(random, IO_MAX);
    struct fs_read read;
    assert_int_equal(fs_read(f->fs, model->node, offset, scratch, size, &read), 0);
    size_t inside = offset < model->size ? (size_t)min_u64(size, model->size - offset) : 0;
    assert_int_equal(read.size, inside);
    assert_memory_equal(scratch, model->bytes + offset, inside);
}

static void step(struct fixture *f, struct model *models, uint64_t *random)
{
    struct model *model = &models[fixture_random(random) % FILES];
    uint64_t kind = fixture_random(random) % 100;
    if (kind < 50) {
        step_write(f, model, random);
    } else if (kind < 75) {
        step_read(f, model, random);
    } else if (kind < 85) {
        step_truncate(f, model, random);
    } else if (kind < 95) {
        assert_int_equal(fs_commit(f->fs, model->node, 0, 0), 0);
    } else if (kind < 98) {
        check_whole(f, model);
    } else {
        fixture_reopen(f); /* closing in order commits everything */
        for (unsigned i = 0; i < FILES; i++)
            check_whole(f, &models[i]);
    }
}

static void run(const struct engine_options *options)
{
    struct fixture fixture;
    struct model models[FILES] = { 0 };
    uint64_t random = fixture_seed();
    fixture_init(&fixture, options);
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "file%u", i);
        models[i].node = fixture_file(&fixture, name);
        models[i].bytes = calloc(1, SIZE_MAX_ + IO_MAX);
        assert_non_null(models[i].bytes);
    }
    for (unsigned i = 0; i < STEPS; i++)
        step(&fixture, models, &random);
    for (unsigned i = 0; i < FILES; i++) {
        check_whole(&fixture, &models[i]);
        free(models[i].bytes);
    }
    fixture_fini(&fixture);
}

static void files_are_what_was_written(void **state)
{
    (void)state;
    run(NULL);
}

static void files_in_tiny_segments_are_what_was_written(void **state)
{
    (void)state;
    struct engine_options options = { .segment_blocks = 256, .cache_bytes = 1 };
    run(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_what_was_written),
        cmocka_unit_test(files_in_tiny_segments_are_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
