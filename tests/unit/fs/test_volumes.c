/* Tests of fs/volumes.c over a provider that only counts. */
#include "fs/volumes.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fake {
    _Atomic int open_count;
    _Atomic int close_count;
    _Atomic int destroy_count;
    _Atomic int rekey_count;
    struct fs *rekeyed;
    int open_error;
};

static int fake_create(void *context, const char *fs_id, const char *key_id)
{
    (void)context;
    (void)key_id;
    (void)fs_id;
    return 0;
}

static int fake_open(void *context, const char *fs_id, struct fs **out_fs)
{
    struct fake *fake = context;
    (void)fs_id;
    fake->open_count++;
    (void)usleep(2000); /* so that others come meanwhile */
    if (fake->open_error != 0)
        return fake->open_error;
    *out_fs = calloc(1, sizeof **out_fs);
    return 0;
}

static void fake_close(void *context, struct fs *fs)
{
    ((struct fake *)context)->close_count++;
    free(fs);
}

static int fake_destroy(void *context, const char *fs_id)
{
    (void)fs_id;
    ((struct fake *)context)->destroy_count++;
    return 0;
}

static int fake_rekey(void *context, const char *fs_id, struct fs *fs)
{
    struct fake *fake = context;
    (void)fs_id;
    fake->rekey_count++;
    fake->rekeyed = fs;
    return 0;
}

struct fixture {
    struct fake fake;
    struct fs_provider provider;
    struct fs_volumes *volumes;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->provider = (struct fs_provider){ "fake", &f->fake, fake_create, fake_open, fake_close,
        fake_destroy, fake_rekey };
    *state = f;
    return fs_volumes_new(&f->provider, &f->volumes);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fs_volumes_free(f->volumes);
    assert_int_equal(f->fake.open_error != 0 ? 0 : f->fake.open_count, f->fake.close_count);
    free(f);
    return 0;
}

static void *get_and_put(void *argument)
{
    struct fixture *f = argument;
    struct fs *fs = NULL;
    assert_int_equal(fs_volumes_get(f->volumes, "fs-1", &fs), 0);
    fs_volumes_put(f->volumes, fs);
    return fs;
}

static void many_users_at_once_open_it_once(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_and_put, f), 0);
    void *first = NULL;
    for (int i = 0; i < 8; i++) {
        void *fs;
        (void)pthread_join(threads[i], &fs);
        first = first == NULL ? fs : first;
        assert_ptr_equal(fs, first);
    }
    assert_int_equal(f->fake.open_count, 1);
}

static void a_failed_open_is_tried_again_by_the_next(void **state)
{
    struct fixture *f = *state;
    struct fs *fs = NULL;
    f->fake.open_error = -EBADMSG;
    assert_int_equal(fs_volumes_get(f->volumes, "fs-1", &fs), -EBADMSG);
    assert_int_equal(fs_volumes_get(f->volumes, "fs-1", &fs), -EBADMSG);
    assert_int_equal(f->fake.open_count, 2);
}

static void *destroy(void *argument)
{
    struct fixture *f = argument;
    assert_int_equal(fs_volumes_destroy(f->volumes, "fs-1"), 0);
    return NULL;
}

static void destroying_waits_for_the_last_user_and_refuses_new_ones(void **state)
{
    struct fixture *f = *state;
    struct fs *fs = NULL;
    assert_int_equal(fs_volumes_get(f->volumes, "fs-1", &fs), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, destroy, f), 0);
    struct fs *second = NULL;
    int err = 0;
    while (err == 0) { /* until the destroyer has come so far */
        err = fs_volumes_get(f->volumes, "fs-1", &second);
        if (err == 0)
            fs_volumes_put(f->volumes, second);
    }
    assert_int_equal(err, -ESTALE);
    assert_int_equal(f->fake.destroy_count, 0);
    fs_volumes_put(f->volumes, fs);
    (void)pthread_join(thread, NULL);
    assert_int_equal(f->fake.destroy_count, 1);
    assert_int_equal(f->fake.close_count, 1);
}

static void destroying_one_that_is_not_open_destroys_it(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fs_volumes_destroy(f->volumes, "fs-2"), 0);
    assert_int_equal(f->fake.destroy_count, 1);
    assert_int_equal(f->fake.open_count, 0);
}

static void get_open_opens_nothing(void **state)
{
    struct fixture *f = *state;
    struct fs *fs = NULL;
    struct fs *again = NULL;
    assert_int_equal(fs_volumes_get_open(f->volumes, "fs-1", &again), -ENOENT);
    assert_int_equal(f->fake.open_count, 0);
    assert_int_equal(fs_volumes_get(f->volumes, "fs-1", &fs), 0);
    fs_volumes_put(f->volumes, fs);
    assert_int_equal(fs_volumes_get_open(f->volumes, "fs-1", &again), 0);
    assert_ptr_equal(again, fs);
    fs_volumes_put(f->volumes, again);
}

static void keys_are_told_to_open_and_closed_file_systems(void **state)
{
    struct fixture *f = *state;
    struct fs *fs;
    assert_int_equal(fs_volumes_rekey(f->volumes, "fs-1"), 0);
    assert_int_equal(f->fake.rekey_count, 1);
    assert_null(f->fake.rekeyed);
    assert_int_equal(f->fake.open_count, 0);
    assert_int_equal(fs_volumes_get(f->volumes, "fs-1", &fs), 0);
    assert_int_equal(fs_volumes_rekey(f->volumes, "fs-1"), 0);
    assert_int_equal(f->fake.rekey_count, 2);
    assert_ptr_equal(f->fake.rekeyed, fs);
    fs_volumes_put(f->volumes, fs);
    assert_int_equal(fs_volumes_destroy(f->volumes, "fs-1"), 0);
    assert_int_equal(f->fake.close_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_users_at_once_open_it_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_open_is_tried_again_by_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(
            destroying_waits_for_the_last_user_and_refuses_new_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(
            destroying_one_that_is_not_open_destroys_it, setup, teardown),
        cmocka_unit_test_setup_teardown(get_open_opens_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            keys_are_told_to_open_and_closed_file_systems, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
