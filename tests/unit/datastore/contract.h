/*
 * tests/unit/datastore/contract.h - what shoal_data.h promises, asked of a backend. Each backend's test program opens a new,
 * empty store for each test and runs the same list.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "datastore/shoal_data.h"

/* What a backend's program gives: the URL of an empty store, malloc'd, and its removal. */
struct contract_backend {
    char *(*make)(void);
    void (*destroy)(const char *url);
    bool without_bars; /* not built yet */
};

/* Runs all parts over the backend. Gives the number of failed tests. */
int contract_run(const struct contract_backend *backend);

/* For the parts: *state is this. */
struct contract {
    const struct contract_backend *backend;
    char *url;
    struct shoal_data *store;
    struct shoal_data_error error;
};
/* The backend of the tests that follow; contract_run() says it itself. */
void contract_use(const struct contract_backend *backend);
/* A new directory, in SHOAL_TEST_DIRECTORY or /tmp, for backends that are one; and its removal. */
char *contract_make_directory(void);
void contract_remove_directory(const char *path);
int contract_setup(void **state);
int contract_teardown(void **state);
#define CONTRACT_TEST(function) \
    cmocka_unit_test_setup_teardown(function, contract_setup, contract_teardown)

/* Fails the test with the message when the status is another. */
#define assert_status(contract, expected, call)                                       \
    do {                                                                              \
        int32_t got_ = (call);                                                        \
        if (got_ != (expected))                                                       \
            fail_msg("%s: %s instead of %s: %s", #call, shoal_data_status_name(got_), \
                shoal_data_status_name(expected), (contract)->error.message);         \
    } while (0)

int contract_documents(void);
int contract_bars(void);
int contract_checkpoints(void);
