/* Tests of engine/journal.c: what was appended comes back, in order, to the last whole batch, and damage is not taken
 * for the end. */
#include "engine/journal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/pool.h"

#include <cmocka.h>

#define RECORD_HEADER 40u

struct fixture {
    char directory[64];
    int dir_fd;
    struct pool *pool;
    struct journal *journal;
    uint64_t applied; /* the number of the last batch that was replayed */
    unsigned wrong;
    unsigned flushes;
};

static int flush(void *context)
{
    ((struct fixture *)context)->flushes++;
    return 0;
}

/* A batch that tells its number, of a size that follows from it. */
static size_t make_batch(uint64_t number, uint8_t *bytes)
{
    size_t size = 8 + number * 37 % 3000;
    memset(bytes, (int)number, size);
    memcpy(bytes, &number, sizeof number);
    return size;
}

static int apply(void *context, struct slice batch)
{
    struct fixture *f = context;
    uint8_t expected[4096];
    size_t size = make_batch(f->applied + 1, expected);
    f->wrong += !slice_equal(batch, slice_of(expected, size));
    f->applied++;
    return 0;
}

static void open_journal(struct fixture *f)
{
    struct journal_options options = { .dir_fd = f->dir_fd,
        .salt = 42,
        .fs_id = "fs-test",
        .pool = f->pool,
        .file_bytes = 64 << 10,
        .flush = flush,
        .context = f };
    assert_int_equal(journal_open(&options, &f->journal), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-journal-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->dir_fd = open(f->directory, O_RDONLY | O_DIRECTORY);
    assert_true(f->dir_fd >= 0);
    assert_int_equal(pool_new(2, &f->pool), 0);
    open_journal(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_close(f->journal);
    pool_free(f->pool);
    (void)close(f->dir_fd);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    free(f);
    return 0;
}

static void append(struct fixture *f, uint64_t from, uint64_t to)
{
    uint8_t bytes[4096];
    for (uint64_t number = from; number <= to; number++) {
        size_t size = make_batch(number, bytes);
        assert_int_equal(journal_append(f->journal, number, slice_of(bytes, size)), 0);
    }
}

/* Opens again and replays what is behind `after`. */
static int replay(struct fixture *f, uint64_t after, uint64_t *out_last)
{
    journal_close(f->journal);
    open_journal(f);
    f->applied = after;
    f->wrong = 0;
    int err = journal_replay(f->journal, after, apply, out_last);
    if (err == 0)
        assert_int_equal(*out_last, f->applied);
    assert_int_equal(f->wrong, 0);
    return err;
}

static void overwrite(struct fixture *f, const char *name, uint64_t offset, const char *text)
{
    int fd = openat(f->dir_fd, name, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(sys_pwrite_all(fd, text, strlen(text), offset), 0);
    (void)close(fd);
}

static void batches_come_back_in_order(void **state)
{
    struct fixture *f = *state;
    uint64_t last;
    append(f, 1, 20);
    assert_int_equal(replay(f, 0, &last), 0);
    assert_int_equal(last, 20);
    assert_int_equal(f->flushes, 1);
    append(f, 21, 25);
    assert_int_equal(replay(f, 22, &last), 0);
    assert_int_equal(last, 25);
    assert_int_equal(replay(f, 25, &last), 0);
    assert_int_equal(last, 25);
}

static void files_are_used_again_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t last;
    append(f, 1, 1000); /* about 1.5 MiB through files of 64 KiB */
    assert_true(f->flushes > 10);
    /* What is not flushed is at least what the last file holds. */
    assert_int_equal(replay(f, 990, &last), 0);
    assert_int_equal(last, 1000);
    append(f, 1001, 1500);
    assert_int_equal(replay(f, 1490, &last), 0);
    assert_int_equal(last, 1500);
}

static void a_torn_last_batch_was_never_there(void **state)
{
    struct fixture *f = *state;
    uint64_t last;
    append(f, 1, 3);
    uint64_t end = 0;
    for (uint64_t number = 1; number <= 3; number++) {
        uint8_t bytes[4096];
        end += round_up(RECORD_HEADER + make_batch(number, bytes), 64);
    }
    overwrite(f, "journal/0", end - 70, "torn");
    assert_int_equal(replay(f, 0, &last), 0);
    assert_int_equal(last, 2);
    append(f, 3, 10); /* and its number is given again */
    assert_int_equal(replay(f, 2, &last), 0);
    assert_int_equal(last, 10);
}

static void damage_before_the_end_is_noticed(void **state)
{
    struct fixture *f = *state;
    uint64_t last;
    append(f, 1, 10);
    overwrite(f, "journal/0", RECORD_HEADER + 2, "damage");
    assert_int_equal(replay(f, 0, &last), -EBADMSG);
}

static void missing_batches_are_noticed(void **state)
{
    struct fixture *f = *state;
    uint64_t last;
    append(f, 1, 10);
    assert_int_equal(replay(f, 10, &last), 0);
    append(f, 13, 15);
    assert_int_equal(replay(f, 10, &last), -EBADMSG);
}

static void a_sealed_journal_is_not_read_again(void **state)
{
    struct fixture *f = *state;
    uint64_t last;
    append(f, 1, 10);
    journal_seal(f->journal, 10);
    overwrite(f, "journal/0", 4000, "whatever stands behind the seal");
    assert_int_equal(replay(f, 10, &last), 0);
    assert_int_equal(last, 10);
    append(f, 11, 12);
    assert_int_equal(replay(f, 10, &last), 0);
    assert_int_equal(last, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_come_back_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_used_again_and_nothing_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_last_batch_was_never_there, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_before_the_end_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_batches_are_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sealed_journal_is_not_read_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
