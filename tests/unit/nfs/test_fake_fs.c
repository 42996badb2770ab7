/* tests/unit/nfs/test_fake_fs.c - the fake file system keeps the promises of fs/fs.h, so tests on it mean something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/fake_fs.h"
#include "tests/lib/fs_contract.h"

static struct fs_contract contract;

static int setup(void **state)
{
    contract = (struct fs_contract){ .fs = fake_fs_new(), .seed = 1 };
    *state = &contract;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_fs_free(contract.fs);
    return 0;
}

int main(void)
{
    size_t count;
    const struct CMUnitTest *tests = fs_contract_name_tests(&count);
    int failed = _cmocka_run_group_tests("fake_fs: names", tests, count, setup, teardown);
    tests = fs_contract_data_tests(&count);
    failed += _cmocka_run_group_tests("fake_fs: data", tests, count, setup, teardown);
    tests = fs_contract_extra_tests(&count);
    failed += _cmocka_run_group_tests("fake_fs: holes, clones", tests, count, setup, teardown);
    tests = fs_contract_xattr_tests(&count);
    return failed + _cmocka_run_group_tests("fake_fs: xattrs", tests, count, setup, teardown);
}
