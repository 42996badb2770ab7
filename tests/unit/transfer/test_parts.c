/* tests/unit/transfer/test_parts.c - the crew, the chunks of a large file, the table of hard links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transfer/chunks.h"
#include "transfer/links.h"

struct job {
    struct crew_task task;
    struct crew *crew;
    _Atomic unsigned *done;
    unsigned children;
};

static void run_job(struct crew_task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);
    for (unsigned i = 0; i < job->children; i++) {
        struct job *child = calloc(1, sizeof *child);
        *child = (struct job){ { .run = run_job }, job->crew, job->done, job->children - 1 };
        crew_add(job->crew, (enum crew_queue)(i % CREW_QUEUES), &child->task);
    }
    atomic_fetch_add(job->done, 1);
    free(job);
}

static void a_crew_waits_for_tasks_that_tasks_add(void **state)
{
    (void)state;
    struct crew *crew;
    _Atomic unsigned done = 0;
    assert_int_equal(crew_new(4, &crew), 0);
    struct job *job = calloc(1, sizeof *job);
    *job = (struct job){ { .run = run_job }, crew, &done, 6 };
    crew_add(crew, CREW_FILES, &job->task);
    crew_wait(crew);
    assert_int_equal(done, 1957); /* 6! (1/0! + 1/1! + ... + 1/6!) */
    crew_wait(crew);
    crew_free(crew);
}

struct counted {
    struct chunks chunks;
    _Atomic uint64_t bytes;
    _Atomic unsigned done;
    uint64_t fail_at;
    uint8_t *touched; /* a byte per MiB */
};

static int count_chunk(struct chunks *chunks, uint64_t offset, uint64_t size)
{
    struct counted *counted = CONTAINER_OF(chunks, struct counted, chunks);
    assert_true(size > 0 && size <= CHUNK_BYTES_MAX && offset + size <= chunks->size_bytes);
    atomic_fetch_add(&counted->bytes, size);
    if (counted->fail_at >= offset && counted->fail_at < offset + size)
        return -ENOSPC;
    for (uint64_t at = offset; at < offset + size; at += MIB)
        counted->touched[at / MIB]++;
    return 0;
}

static void note_done(struct chunks *chunks)
{
    atomic_fetch_add(&CONTAINER_OF(chunks, struct counted, chunks)->done, 1);
}

static void run_chunks(uint64_t size, uint64_t fail_at, struct counted *out_counted)
{
    struct crew *crew;
    assert_int_equal(crew_new(5, &crew), 0);
    *out_counted =
        (struct counted){ .chunks = { .work = count_chunk, .done = note_done, .size_bytes = size },
            .fail_at = fail_at,
            .touched = calloc(size / MIB + 1, 1) };
    assert_int_equal(chunks_start(&out_counted->chunks, crew), 0);
    crew_wait(crew);
    crew_free(crew);
}

static void chunks_cover_a_file_once(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 1, MIB, MIB + 1, 5 * MIB, 333 * MIB + 7 };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct counted counted;
        run_chunks(sizes[i], UINT64_MAX, &counted);
        assert_int_equal(counted.bytes, sizes[i]);
        assert_int_equal(counted.done, 1);
        assert_int_equal(counted.chunks.error, 0);
        for (uint64_t at = 0; at < sizes[i]; at += MIB)
            assert_int_equal(counted.touched[at / MIB], 1);
        free(counted.touched);
    }
}

static void the_first_failure_ends_all_chunks(void **state)
{
    (void)state;
    struct counted counted;
    run_chunks(400 * MIB, 3, &counted);
    assert_int_equal(counted.done, 1);
    assert_int_equal(counted.chunks.error, -ENOSPC);
    free(counted.touched);
}

static void names_that_come_during_the_copy_wait_for_it(void **state)
{
    (void)state;
    struct links *links;
    struct links_key key = { 1, 2 };
    struct links_note notes[2];
    struct links_found found;
    enum links_answer answer;
    char path[] = "dir/first";
    struct tree_dir target = { .path = path, .fh = { .size = 1, .data = { 9 } } };
    assert_int_equal(links_new(&links), 0);
    assert_int_equal(links_meet(links, key, 5, NULL, &answer, &found), 0);
    assert_int_equal(answer, LINKS_FIRST);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(links_meet(links, key, 5, &notes[i], &answer, &found), 0);
        assert_int_equal(answer, LINKS_WAITING);
    }
    struct links_note *waiting = links_publish(links, key, &target, 0);
    assert_ptr_equal(waiting, &notes[1]);
    assert_ptr_equal(waiting->next, &notes[0]);
    assert_null(waiting->next->next);
    for (int i = 0; i < 2; i++) { /* the last two of the five names */
        assert_int_equal(links_meet(links, key, 5, NULL, &answer, &found), 0);
        assert_int_equal(answer, LINKS_READY);
        assert_string_equal(found.target.path, path);
        assert_true(nfs_fh_equal(&found.target.fh, &target.fh));
        free(found.target.path);
    }
    assert_int_equal(links_meet(links, key, 5, NULL, &answer, &found), 0);
    assert_int_equal(answer, LINKS_FIRST); /* all names were met: it was forgotten */
    links_free(links);
}

static void names_of_a_file_that_failed_fail_too(void **state)
{
    (void)state;
    struct links *links;
    struct links_key key = { 3, 4 };
    struct links_found found;
    enum links_answer answer;
    assert_int_equal(links_new(&links), 0);
    assert_int_equal(links_meet(links, key, 3, NULL, &answer, &found), 0);
    assert_null(links_publish(links, key, &(struct tree_dir){ .path = NULL }, -ENOSPC));
    assert_int_equal(links_meet(links, key, 3, NULL, &answer, &found), 0);
    assert_int_equal(answer, LINKS_FAILED);
    assert_int_equal(found.error, -ENOSPC);
    key.filesystem = 4; /* another file */
    assert_int_equal(links_meet(links, key, 3, NULL, &answer, &found), 0);
    assert_int_equal(answer, LINKS_FIRST);
    links_free(links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crew_waits_for_tasks_that_tasks_add),
        cmocka_unit_test(chunks_cover_a_file_once),
        cmocka_unit_test(the_first_failure_ends_all_chunks),
        cmocka_unit_test(names_that_come_during_the_copy_wait_for_it),
        cmocka_unit_test(names_of_a_file_that_failed_fail_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
