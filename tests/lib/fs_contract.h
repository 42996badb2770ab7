/*
 * tests/lib/fs_contract.h - what fs/fs.h promises, as tests that every backend must pass.
 *
 * A backend's test program gives a file system and runs the groups; each test works in a directory of its own
 * below the root, so one file system serves them all.
 */
#pragma once

#include "fs/fs.h"

struct CMUnitTest;

struct fs_contract {
    struct fs *fs;
    void *context; /* the backend's own */
    /* Closes the file system in order and opens it again, replacing `fs`; NULL: the backend keeps nothing. */
    int (*reopen)(struct fs_contract *contract);
    uint64_t seed; /* of the random tests; they print it */
};

/* Tests of names, directories and attributes; of data; of holes and clones; of extended attributes. Their cmocka state is the struct fs_contract. */
const struct CMUnitTest *fs_contract_name_tests(size_t *out_count);
const struct CMUnitTest *fs_contract_data_tests(size_t *out_count);
const struct CMUnitTest *fs_contract_extra_tests(size_t *out_count);
const struct CMUnitTest *fs_contract_xattr_tests(size_t *out_count);

/* For the tests: a fresh directory in the root; its node. */
struct fs_node fs_contract_directory(struct fs_contract *contract);
/* Makes a file, directory, ...; fails the test on error. Mode 0644 (0755 for directories), root's. */
struct fs_attr fs_contract_make(
    struct fs_contract *contract, struct fs_node dir, const char *name, enum fs_type type);
