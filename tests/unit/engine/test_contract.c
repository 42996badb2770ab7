/* The contract of fs.h over the engine, as it comes, and with everything small: names that collide, directories
 * that do not fit into memory, caches that hold nothing, segments of 1 MiB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "engine/check.h"
#include "engine/volume.h"
#include "fixture.h"
#include "tests/lib/fs_contract.h"

#include <cmocka.h>

static struct fixture fixture;
static struct fs_contract contract;

static int reopen(struct fs_contract *it)
{
    fixture_reopen(&fixture);
    it->fs = fixture.fs;
    return 0;
}

static int setup_state(void **state)
{
    *state = &contract;
    return 0;
}

static int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest *copy = malloc(count * sizeof *copy);
    if (copy == NULL)
        return 1;
    memcpy(copy, tests, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        if (copy[i].setup_func == NULL)
            copy[i].setup_func = setup_state;
    }
    int failed = _cmocka_run_group_tests(name, copy, count, NULL, NULL);
    free(copy);
    return failed;
}

static void check_records(void)
{
    uint64_t wrong = 1;
    if (volume_check(volume_of(fixture.fs), &wrong) < 0 || wrong > 0)
        abort();
}

static int run_all(const char *name, const struct engine_options *options)
{
    fixture_init(&fixture, options);
    contract = (struct fs_contract){ .fs = fixture.fs, .reopen = reopen, .seed = fixture_seed() };
    size_t count;
    const struct CMUnitTest *tests = fs_contract_name_tests(&count);
    int failed = run_group(name, tests, count);
    tests = fs_contract_data_tests(&count);
    failed += run_group(name, tests, count);
    tests = fs_contract_extra_tests(&count);
    failed += run_group(name, tests, count);
    tests = fs_contract_xattr_tests(&count);
    failed += run_group(name, tests, count);
    check_records();
    fixture_fini(&fixture);
    return failed;
}

int main(void)
{
    const struct engine_options small = { .segment_blocks = 256,
        .cache_bytes = 1,
        .dir_names_max = 16,
        .name_hash_mask = 255,
        .small_file_bytes = 1,
        .step_blocks = 40 };
    int failed = run_all("engine", NULL);
    failed += run_all("engine with everything small", &small);
    return failed;
}
