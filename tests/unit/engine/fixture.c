/* A temporary file system of the embedded engine for tests. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"

#include <cmocka.h>

#define FS_NAME "fs-0123456789abcdef0"

int fixture_open(struct fixture *fixture)
{
    int err = fixture->provider->open(fixture->provider->context, FS_NAME, &fixture->fs);
    if (err == 0)
        err = fs_root(fixture->fs, &fixture->root);
    return err;
}

static void start(struct fixture *fixture, const struct engine_options *options)
{
    log_set_level(LOG_LEVEL_WARN);
    fixture->options = options != NULL ? *options : (struct engine_options){ 0 };
    assert_int_equal(pool_new(4, &fixture->pool), 0);
    fixture->options.directory = fixture->directory;
    fixture->options.pool = fixture->pool;
    fake_keeper_init(&fixture->keeper);
    fixture->options.keeper = &fixture->keeper.keeper;
    if (fixture->options.write_buffer_bytes == 0)
        fixture->options.write_buffer_bytes = 4 << 20;
    if (fixture->options.reserve_bytes == 0)
        fixture->options.reserve_bytes = 1 << 20;
    assert_int_equal(engine_new(&fixture->options, &fixture->engine), 0);
    fixture->provider = engine_provider(fixture->engine);
}

static void init(struct fixture *fixture, const struct engine_options *options, bool is_encrypted)
{
    *fixture = (struct fixture){ .is_encrypted = is_encrypted };
    /* In memory where there is such a place: syncs take most time, and no test cuts the power. */
    const char *parent = getenv("SHOAL_TEST_DIR");
    if (parent == NULL)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s/shoal-engine-XXXXXX", parent);
    assert_non_null(mkdtemp(fixture->directory));
    start(fixture, options);
    assert_int_equal(fixture->provider->create(
                         fixture->provider->context, FS_NAME, is_encrypted ? FAKE_KEY_ID : NULL),
        0);
    assert_int_equal(fixture_open(fixture), 0);
}

void fixture_init(struct fixture *fixture, const struct engine_options *options)
{
    init(fixture, options, getenv("SHOAL_ENCRYPTED") != NULL);
}

void fixture_init_encrypted(struct fixture *fixture, const struct engine_options *options)
{
    init(fixture, options, true);
}

void fixture_attach(
    struct fixture *fixture, const struct engine_options *options, const char *directory)
{
    *fixture = (struct fixture){ 0 };
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s", directory);
    start(fixture, options);
}

void fixture_close(struct fixture *fixture)
{
    if (fixture->fs != NULL)
        fixture->provider->close(fixture->provider->context, fixture->fs);
    fixture->fs = NULL;
}

void fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), 0);
}

void fixture_detach(struct fixture *fixture)
{
    fixture_close(fixture);
    engine_free(fixture->engine);
    pool_free(fixture->pool);
    fixture->engine = NULL;
    fixture->pool = NULL;
}

void fixture_fini(struct fixture *fixture)
{
    fixture_detach(fixture);
    assert_int_equal(sys_remove_tree(AT_FDCWD, fixture->directory), 0);
}

struct fs_node fixture_file(struct fixture *fixture, const char *name)
{
    struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0644 } };
    struct fs_created out;
    assert_int_equal(fs_create(fixture->fs, NULL, fixture->root, slice_str(name), &how, &out), 0);
    return out.attr.node;
}

void fixture_write(struct fixture *fixture, struct fs_node node, uint64_t offset, const void *bytes,
    size_t size, enum fs_stability stability)
{
    struct fs_write write = {
        .offset = offset, .data = slice_of(bytes, size), .stability = stability
    };
    struct fs_written written;
    assert_int_equal(fs_write(fixture->fs, node, &write, &written), 0);
}

uint64_t fixture_seed(void)
{
    const char *text = getenv("SHOAL_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
    print_message("SHOAL_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t fixture_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}
