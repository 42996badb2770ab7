/* tests/unit/mount/test_child.c - work in children: results, limits, deaths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "mount/child.h"

static int answer(void *context, void *result)
{
    *(int *)result = *(const int *)context + 1;
    return 7;
}

static int fail_so(void *context, void *result)
{
    (void)context;
    (void)result;
    return -EROFS;
}

static int die(void *context, void *result)
{
    (void)context;
    (void)result;
    _exit(3);
}

static int hang(void *context, void *result)
{
    (void)context;
    (void)result;
    for (;;)
        (void)pause();
    return 0;
}

static void the_result_comes_back(void **state)
{
    (void)state;
    int number = 41;
    int result = 0;
    assert_int_equal(child_run(answer, &number, 60000, &result, sizeof result, NULL), 7);
    assert_int_equal(result, 42);
    assert_int_equal(child_run(fail_so, NULL, 60000, NULL, 0, NULL), -EROFS);
}

static void a_child_that_dies_is_told(void **state)
{
    (void)state;
    int result = 5;
    assert_int_equal(child_run(die, NULL, 60000, &result, sizeof result, NULL), -ECHILD);
    assert_int_equal(result, 5);
}

static void a_child_that_hangs_is_killed_and_not_joined(void **state)
{
    (void)state;
    bool stuck = true;
    assert_int_equal(child_run(hang, NULL, 50, NULL, 0, &stuck), -ETIMEDOUT);
    assert_false(stuck);
}

static void several_run_at_one_time(void **state)
{
    (void)state;
    struct child children[3];
    int number = 1;
    int result = 0;
    assert_int_equal(child_start(&children[0], hang, NULL, 0), 0);
    assert_int_equal(child_start(&children[1], answer, &number, sizeof number), 0);
    assert_int_equal(child_start(&children[2], hang, NULL, 0), 0);
    assert_int_equal(child_result(&children[1], child_now_ms() + 60000, &result), 7);
    assert_int_equal(result, 2);
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(child_result(&children[i], 0, NULL), -EINPROGRESS);
        assert_true(child_kill(&children[i]));
        assert_true(child_reap(&children[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_result_comes_back),
        cmocka_unit_test(a_child_that_dies_is_told),
        cmocka_unit_test(a_child_that_hangs_is_killed_and_not_joined),
        cmocka_unit_test(several_run_at_one_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
