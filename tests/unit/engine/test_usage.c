/* Usage of directories: exact after every change, at the right home, through crashes, and for older images. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "engine/check.h"
#include "engine/volume.h"
#include "fixture.h"

#include <cmocka.h>

#define THREADS       4u
#define OPERATIONS    400u
#define ROUNDS        6u
#define KILL_AFTER_MS 200u
#define DIRS          12u
#define NAMES         5u
#define BLOCK         4096u

static void check_records(struct fixture *f)
{
    uint64_t wrong;
    assert_int_equal(volume_check(volume_of(f->fs), &wrong), 0);
    assert_int_equal(wrong, 0);
}

static struct fs_node make(
    struct fixture *f, struct fs_node dir, const char *name, enum fs_type type)
{
    const struct fs_create how = {
        .type = type, .attr = { .set_mode = true, .mode = 0755 }, .symlink = slice_str("target")
    };
    struct fs_created out;
    assert_int_equal(fs_create(f->fs, NULL, dir, slice_str(name), &how, &out), 0);
    return out.attr.node;
}

static struct fs_node look(struct fixture *f, struct fs_node dir, const char *name)
{
    struct fs_attr attr;
    assert_int_equal(fs_lookup(f->fs, NULL, dir, slice_str(name), &attr), 0);
    return attr.node;
}

static void fill(struct fixture *f, struct fs_node node, uint64_t offset, size_t size)
{
    static const uint8_t bytes[64 * BLOCK] = { 1 };
    fixture_write(f, node, offset, bytes, size, FS_FILE_SYNC);
}

static void link_to(struct fixture *f, struct fs_node node, struct fs_node dir, const char *name)
{
    struct fs_change change;
    assert_int_equal(fs_link(f->fs, NULL, node, dir, slice_str(name), &change), 0);
}

static void drop(struct fixture *f, struct fs_node dir, const char *name)
{
    struct fs_change change;
    assert_int_equal(fs_remove(f->fs, NULL, dir, slice_str(name), &change), 0);
}

static void move(struct fixture *f, struct fs_node from, const char *name, struct fs_node to,
    const char *new_name)
{
    const struct fs_rename how = { from, slice_str(name), to, slice_str(new_name) };
    struct fs_renamed out;
    assert_int_equal(fs_rename(f->fs, NULL, &how, &out), 0);
}

/* Blocks, size, files, directories, others. */
static void expect(struct fixture *f, struct fs_node dir, const uint64_t wanted[5])
{
    struct fs_usage usage;
    assert_int_equal(fs_usage(f->fs, NULL, dir, &usage), 0);
    assert_int_equal(usage.space_bytes, wanted[0] * BLOCK);
    assert_int_equal(usage.size_bytes, wanted[1]);
    assert_int_equal(usage.files, wanted[2]);
    assert_int_equal(usage.directories, wanted[3]);
    assert_int_equal(usage.others, wanted[4]);
}

#define EXPECT(f, dir, ...) expect((f), (dir), (const uint64_t[5]){ __VA_ARGS__ })

static int setup(void **state)
{
    const struct engine_options options = { .segment_blocks = 256, .step_blocks = 8 };
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    fixture_init(f, &options);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->fs != NULL)
        check_records(f);
    fixture_fini(f);
    free(f);
    return 0;
}

static void every_change_shows_in_all_directories_above(void **state)
{
    struct fixture *f = *state;
    struct fs_node a = make(f, f->root, "a", FS_DIRECTORY);
    struct fs_node b = make(f, a, "b", FS_DIRECTORY);
    struct fs_node file = make(f, b, "file", FS_REGULAR);
    (void)make(f, b, "link", FS_SYMLINK);
    EXPECT(f, b, 0, 0, 1, 0, 1);
    fill(f, file, 0, 20 * BLOCK);
    EXPECT(f, b, 20, 20 * BLOCK, 1, 0, 1);
    EXPECT(f, a, 20, 20 * BLOCK, 1, 1, 1);
    EXPECT(f, f->root, 20, 20 * BLOCK, 1, 2, 1);
    fill(f, file, 100 * BLOCK, 10); /* a hole takes none */
    EXPECT(f, a, 21, 100 * BLOCK + 10, 1, 1, 1);
    struct fs_attr attr;
    assert_int_equal(fs_deallocate(f->fs, NULL, file, BLOCK, 4 * BLOCK, &attr), 0);
    EXPECT(f, a, 17, 100 * BLOCK + 10, 1, 1, 1);
    const struct fs_setattr shorter = { .set_size = true, .size_bytes = 10 * BLOCK + 1 };
    assert_int_equal(fs_setattr(f->fs, NULL, file, &shorter, &attr), 0);
    check_records(f); /* with the reaper through: it frees many blocks in steps */
    EXPECT(f, a, 7, 10 * BLOCK + 1, 1, 1, 1);
    drop(f, b, "file");
    drop(f, b, "link");
    EXPECT(f, a, 0, 0, 0, 1, 0);
    drop(f, a, "b");
    EXPECT(f, f->root, 0, 0, 0, 1, 0);
}

static void data_counts_when_it_is_durable_and_a_clone_as_much_as_its_source(void **state)
{
    struct fixture *f = *state;
    struct fs_node a = make(f, f->root, "a", FS_DIRECTORY);
    struct fs_node file = make(f, a, "file", FS_REGULAR);
    static const uint8_t bytes[4 * BLOCK];
    fixture_write(f, file, 0, bytes, sizeof bytes, FS_UNSTABLE);
    EXPECT(f, a, 0, 0, 1, 0, 0);
    assert_int_equal(fs_commit(f->fs, file, 0, 0), 0);
    EXPECT(f, a, 4, 4 * BLOCK, 1, 0, 0);
    const struct fs_clone clone = { .source = file, .target = make(f, a, "clone", FS_REGULAR) };
    struct fs_attr attr;
    assert_int_equal(fs_clone(f->fs, NULL, &clone, &attr), 0);
    EXPECT(f, a, 8, 8 * BLOCK, 2, 0, 0);
}

static void a_renamed_tree_takes_its_usage_along(void **state)
{
    struct fixture *f = *state;
    struct fs_node a = make(f, f->root, "a", FS_DIRECTORY);
    struct fs_node b = make(f, f->root, "b", FS_DIRECTORY);
    struct fs_node c = make(f, b, "c", FS_DIRECTORY);
    struct fs_node tree = make(f, a, "tree", FS_DIRECTORY);
    struct fs_node inner = make(f, tree, "inner", FS_DIRECTORY);
    fill(f, make(f, inner, "x", FS_REGULAR), 0, 3 * BLOCK);
    EXPECT(f, a, 3, 3 * BLOCK, 1, 2, 0);
    move(f, a, "tree", c, "tree2");
    EXPECT(f, a, 0, 0, 0, 0, 0);
    EXPECT(f, c, 3, 3 * BLOCK, 1, 2, 0);
    EXPECT(f, b, 3, 3 * BLOCK, 1, 3, 0);
    EXPECT(f, f->root, 3, 3 * BLOCK, 1, 5, 0);
    /* Over an empty directory, and a file over a file. */
    (void)make(f, a, "empty", FS_DIRECTORY);
    move(f, c, "tree2", a, "empty");
    EXPECT(f, b, 0, 0, 0, 1, 0);
    EXPECT(f, a, 3, 3 * BLOCK, 1, 2, 0);
    fill(f, make(f, b, "y", FS_REGULAR), 0, BLOCK);
    move(f, b, "y", inner, "x");
    EXPECT(f, a, 1, BLOCK, 1, 2, 0);
    fixture_reopen(f);
    EXPECT(f, a, 1, BLOCK, 1, 2, 0);
    EXPECT(f, b, 0, 0, 0, 1, 0);
}

static void a_file_with_several_names_counts_at_one_of_them(void **state)
{
    struct fixture *f = *state;
    struct fs_node a = make(f, f->root, "a", FS_DIRECTORY);
    struct fs_node b = make(f, f->root, "b", FS_DIRECTORY);
    struct fs_node c = make(f, f->root, "c", FS_DIRECTORY);
    struct fs_node file = make(f, a, "file", FS_REGULAR);
    fill(f, file, 0, 2 * BLOCK);
    link_to(f, file, c, "c1");
    link_to(f, file, b, "b1");
    link_to(f, file, b, "b2");
    EXPECT(f, a, 2, 2 * BLOCK, 1, 0, 0);
    EXPECT(f, b, 0, 0, 0, 0, 0);
    check_records(f);
    fill(f, file, 2 * BLOCK, BLOCK); /* through whatever name */
    EXPECT(f, a, 3, 3 * BLOCK, 1, 0, 0);
    move(f, a, "file", a, "same");
    EXPECT(f, a, 3, 3 * BLOCK, 1, 0, 0);
    drop(f, a, "same"); /* of the others, the lowest */
    EXPECT(f, a, 0, 0, 0, 0, 0);
    EXPECT(f, b, 3, 3 * BLOCK, 1, 0, 0);
    drop(f, b, "b1");
    EXPECT(f, b, 3, 3 * BLOCK, 1, 0, 0);
    check_records(f);
    move(f, b, "b2", a, "moved"); /* the last one of its home */
    EXPECT(f, b, 0, 0, 0, 0, 0);
    EXPECT(f, a, 3, 3 * BLOCK, 1, 0, 0);
    fixture_reopen(f);
    drop(f, a, "moved");
    EXPECT(f, c, 3, 3 * BLOCK, 1, 0, 0);
    check_records(f);
    link_to(f, file, c, "c2");
    drop(f, c, "c1");
    EXPECT(f, c, 3, 3 * BLOCK, 1, 0, 0);
    move(f, c, "c2", b, "b");
    EXPECT(f, c, 0, 0, 0, 0, 0);
    EXPECT(f, b, 3, 3 * BLOCK, 1, 0, 0);
}

static void what_has_no_name_counts_nowhere(void **state)
{
    struct fixture *f = *state;
    struct fs_node a = make(f, f->root, "a", FS_DIRECTORY);
    struct fs_node file = make(f, a, "file", FS_REGULAR);
    fill(f, file, 0, 2 * BLOCK);
    assert_int_equal(fs_hold(f->fs, file), 0);
    drop(f, a, "file");
    EXPECT(f, a, 0, 0, 0, 0, 0);
    fill(f, file, 2 * BLOCK, 8 * BLOCK);
    EXPECT(f, a, 0, 0, 0, 0, 0);
    fs_release(f->fs, file);
    check_records(f);
    EXPECT(f, a, 0, 0, 0, 0, 0);
}

static void who_may_not_read_a_directory_is_told_nothing(void **state)
{
    struct fixture *f = *state;
    struct fs_node a = make(f, f->root, "a", FS_DIRECTORY);
    struct fs_node file = make(f, a, "file", FS_REGULAR);
    const struct fs_setattr closed = { .set_mode = true, .mode = 0711 };
    const struct fs_cred other = { .uid = 1000, .gid = 1000 };
    struct fs_attr attr;
    struct fs_usage usage;
    assert_int_equal(fs_usage(f->fs, &other, a, &usage), 0);
    assert_int_equal(fs_setattr(f->fs, NULL, a, &closed, &attr), 0);
    assert_int_equal(fs_usage(f->fs, &other, a, &usage), -EACCES);
    assert_int_equal(fs_usage(f->fs, NULL, file, &usage), -ENOTDIR);
}

static void a_deep_tree_counts_too(void **state)
{
    struct fixture *f = *state;
    struct fs_node dir = f->root;
    for (unsigned i = 0; i < 300; i++)
        dir = make(f, dir, "d", FS_DIRECTORY);
    fixture_reopen(f); /* so that nothing of the way up is in memory */
    fill(f, make(f, dir, "x", FS_REGULAR), 0, 1);
    EXPECT(f, f->root, 1, 1, 1, 300, 0);
}

/* It was made by the release before, and killed: part of it is in the log. Homes there are where a file was made. */
static void an_image_of_the_second_format_is_counted_when_it_is_opened(void **state)
{
    (void)state;
    char directory[] = "/tmp/shoal-image-XXXXXX";
    char command[512];
    assert_non_null(mkdtemp(directory));
    (void)snprintf(command, sizeof command,
        "tar -xzf '%s' -C '%s' && mv '%s/fs-image' '%s/fs-0123456789abcdef0'", IMAGE_2, directory,
        directory, directory);
    // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): our own words only; one thread
    assert_int_equal(system(command), 0);
    struct fixture f;
    fixture_attach(&f, NULL, directory);
    assert_int_equal(fixture_open(&f), 0);
    check_records(&f);
    struct fs_node c = look(&f, f.root, "c");
    struct fs_node d = look(&f, c, "d");
    EXPECT(&f, look(&f, f.root, "a"), 0, 0, 0, 1, 0);
    EXPECT(&f, c, 35, 134000, 4, 2, 1);
    EXPECT(&f, d, 30, 114000, 3, 1, 1);
    EXPECT(&f, f.root, 37, 5137000, 5, 5, 1);
    drop(&f, c, "h2");
    EXPECT(&f, d, 35, 134000, 4, 1, 1);
    fixture_reopen(&f);
    check_records(&f);
    fixture_detach(&f);
    assert_int_equal(sys_remove_tree(AT_FDCWD, directory), 0);
}

/* ---- at random ------------------------------------------------------------------------------------------ */

/* Directories that the threads work in; where they are changes all the time. */
struct playground {
    struct fs *fs;
    struct fs_node dirs[DIRS];
};

struct worker {
    const struct playground *ground;
    uint64_t random;
    unsigned operations; /* 0: until killed */
    pthread_t thread;
    int failed;
};

static uint64_t below(struct worker *worker, uint64_t limit)
{
    return fixture_random(&worker->random) % limit;
}

static struct fs_node any_dir(struct worker *worker)
{
    return worker->ground->dirs[below(worker, DIRS)];
}

static const char *any_name(struct worker *worker)
{
    static const char *const names[NAMES] = { "n0", "n1", "n2", "n3", "n4" };
    return names[below(worker, NAMES)];
}

static int change_data(struct worker *worker, struct fs_node node)
{
    static const uint8_t bytes[40 * BLOCK] = { 7 };
    struct fs *fs = worker->ground->fs;
    uint64_t offset = below(worker, 100 * BLOCK);
    uint64_t size = 1 + below(worker, sizeof bytes - 1);
    struct fs_attr attr;
    switch (below(worker, 6)) {
    case 0: {
        const struct fs_setattr change = { .set_size = true, .size_bytes = offset };
        return fs_setattr(fs, NULL, node, &change, &attr);
    }
    case 1:
        return fs_deallocate(fs, NULL, node, offset, size, &attr);
    case 2:
        return fs_commit(fs, node, 0, 0);
    default: {
        const struct fs_write how = { .offset = offset,
            .data = slice_of(bytes, size),
            .stability = below(worker, 2) == 0 ? FS_UNSTABLE : FS_FILE_SYNC };
        struct fs_written out;
        return fs_write(fs, node, &how, &out);
    }
    }
}

static int with_a_file(struct worker *worker, struct fs_node node)
{
    struct fs *fs = worker->ground->fs;
    struct fs_change change;
    struct fs_attr attr;
    uint64_t what = below(worker, 8);
    if (what == 0)
        return fs_link(fs, NULL, node, any_dir(worker), slice_str(any_name(worker)), &change);
    if (what > 1)
        return change_data(worker, node);
    struct fs_attr target;
    int err = fs_lookup(fs, NULL, any_dir(worker), slice_str(any_name(worker)), &target);
    const struct fs_clone clone = { .source = node, .target = target.node };
    return err < 0 ? err : fs_clone(fs, NULL, &clone, &attr);
}

static int step(struct worker *worker)
{
    struct fs *fs = worker->ground->fs;
    struct fs_node dir = any_dir(worker);
    struct slice name = slice_str(any_name(worker));
    struct fs_change change;
    struct fs_attr attr;
    switch (below(worker, 8)) {
    case 0: {
        static const enum fs_type types[] = { FS_REGULAR, FS_REGULAR, FS_DIRECTORY, FS_SYMLINK };
        const struct fs_create how = { .type = types[below(worker, 4)],
            .attr = { .set_size = true, .size_bytes = below(worker, 9000) },
            .symlink = slice_str("x") };
        struct fs_created out;
        return fs_create(fs, NULL, dir, name, &how, &out);
    }
    case 1:
        return fs_remove(fs, NULL, dir, name, &change);
    case 2:
    case 3: {
        const struct fs_rename how = { dir, name, any_dir(worker), slice_str(any_name(worker)) };
        struct fs_renamed out;
        return fs_rename(fs, NULL, &how, &out);
    }
    default: {
        int err = fs_lookup(fs, NULL, dir, name, &attr);
        return err < 0 || attr.type != FS_REGULAR ? err : with_a_file(worker, attr.node);
    }
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (unsigned i = 0; worker->operations == 0 || i < worker->operations; i++) {
        int err = step(worker);
        if (err == -EIO || err == -EROFS || err == -EAGAIN || err == -EBADMSG)
            worker->failed = err; /* all else others may have caused */
    }
    return NULL;
}

/* "top/d<i>"; all of them can be moved into each other. */
static void find_ground(struct fixture *f, struct playground *ground)
{
    struct fs_node top = f->root;
    ground->fs = f->fs;
    for (unsigned i = 0; i < DIRS; i++) {
        struct fs_attr attr;
        const char name[] = { 'n', (char)('0' + i % NAMES), '\0' };
        if (i % NAMES == 0 && i > 0)
            top = ground->dirs[i - 1];
        if (fs_lookup(f->fs, NULL, top, slice_str(name), &attr) < 0 || attr.type != FS_DIRECTORY) {
            struct fs_change change;
            (void)fs_remove(f->fs, NULL, top, slice_str(name), &change);
            attr.node = make(f, top, name, FS_DIRECTORY);
        }
        ground->dirs[i] = attr.node;
    }
}

static void play(struct fixture *f, uint64_t *random, unsigned operations)
{
    struct playground ground;
    struct worker workers[THREADS];
    find_ground(f, &ground);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){
            .ground = &ground, .random = fixture_random(random), .operations = operations
        };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failed, 0);
    }
}

static void counts_are_exact_whatever_many_do_at_once(void **state)
{
    struct fixture *f = *state;
    uint64_t random = fixture_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        play(f, &random, OPERATIONS);
        check_records(f);
        if (round % 2 == 1)
            fixture_reopen(f);
    }
}

/* ---- and after a kill ------------------------------------------------------------------------------------ */

struct run {
    char directory[64];
    uint64_t random;
};

static void kill_child(void *argument)
{
    struct run *run = argument;
    struct fixture f;
    const struct engine_options options = {
        .segment_blocks = 256, .step_blocks = 8, .dirty_age_ms = 20
    };
    if (run->directory[0] == '\0') {
        fixture_init(&f, &options);
        memcpy(run->directory, f.directory, sizeof run->directory);
    } else {
        fixture_attach(&f, &options, run->directory);
        if (fixture_open(&f) < 0)
            _exit(2);
        check_records(&f);
    }
    uint64_t random = run->random;
    play(&f, &random, 0);
}

static void counts_are_exact_after_a_kill(void **state)
{
    (void)state;
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(run != MAP_FAILED);
    uint64_t random = fixture_seed();
    for (unsigned round = 0; round <= ROUNDS; round++) {
        run->random = fixture_random(&random);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            kill_child(run);
            _exit(0);
        }
        do /* it is at work, or at least it was opened */
            (void)usleep((useconds_t)(1000 * (50 + fixture_random(&random) % KILL_AFTER_MS)));
        while (*(volatile char *)run->directory == '\0');
        int status;
        if (waitpid(pid, &status, WNOHANG) == 0) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            assert_int_equal(waitpid(pid, &status, 0), pid);
        }
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    struct fixture f;
    fixture_attach(&f, NULL, run->directory);
    assert_int_equal(fixture_open(&f), 0);
    check_records(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_exact_after_a_kill),
        cmocka_unit_test_setup_teardown(
            every_change_shows_in_all_directories_above, setup, teardown),
        cmocka_unit_test_setup_teardown(
            data_counts_when_it_is_durable_and_a_clone_as_much_as_its_source, setup, teardown),
        cmocka_unit_test_setup_teardown(a_renamed_tree_takes_its_usage_along, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_file_with_several_names_counts_at_one_of_them, setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_no_name_counts_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(
            who_may_not_read_a_directory_is_told_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deep_tree_counts_too, setup, teardown),
        cmocka_unit_test(an_image_of_the_second_format_is_counted_when_it_is_opened),
        cmocka_unit_test_setup_teardown(counts_are_exact_whatever_many_do_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
