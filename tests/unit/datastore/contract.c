/* The contract of shoal_data.h: the store of a test, and the list of the parts. */
#include "contract.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/sys.h"

static const struct contract_backend *backend_in_use;

void contract_use(const struct contract_backend *backend)
{
    backend_in_use = backend;
}

char *contract_make_directory(void)
{
    const char *parent = getenv("SHOAL_TEST_DIRECTORY");
    char *path = NULL;
    assert_true(asprintf(&path, "%s/shoal-test-data-XXXXXX", parent == NULL ? "/tmp" : parent) > 0);
    assert_non_null(mkdtemp(path));
    return path;
}

void contract_remove_directory(const char *path)
{
    assert_int_equal(sys_remove_tree(AT_FDCWD, path), 0);
}

int contract_setup(void **state)
{
    struct contract *contract = calloc(1, sizeof *contract);
    assert_non_null(contract);
    contract->backend = backend_in_use;
    contract->url = contract->backend->make();
    struct shoal_data_options options = { .struct_size = sizeof options, .create = 1 };
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_open(contract->url, &options, &contract->store, &contract->error));
    *state = contract;
    return 0;
}

int contract_teardown(void **state)
{
    struct contract *contract = *state;
    shoal_data_close(contract->store);
    contract->backend->destroy(contract->url);
    free(contract->url);
    free(contract);
    return 0;
}

int contract_run(const struct contract_backend *backend)
{
    contract_use(backend);
    int failed = backend->without_bars ? 0 : contract_bars();
    return failed + contract_documents() + contract_checkpoints();
}
