/* A temporary file system of the embedded engine, that can be closed and opened again. */
#pragma once

#include "engine/engine.h"
#include "fake_keeper.h"

struct fixture {
    char directory[128];
    struct engine_options options;
    struct fake_keeper keeper;
    bool is_encrypted; /* SHOAL_ENCRYPTED is set, or fixture_init_encrypted() */
    struct pool *pool;
    struct engine *engine;
    const struct fs_provider *provider;
    struct fs *fs; /* NULL: closed */
    struct fs_node root;
};

/* `options` may be NULL; directory, pool and keeper are filled in. */
void fixture_init(struct fixture *fixture, const struct engine_options *options);
void fixture_init_encrypted(struct fixture *fixture, const struct engine_options *options);
/* Opens it in `directory`, which exists (from another process, or after a crash). */
void fixture_attach(
    struct fixture *fixture, const struct engine_options *options, const char *directory);
void fixture_close(struct fixture *fixture);
/* Gives what open says. */
int fixture_open(struct fixture *fixture);
void fixture_reopen(struct fixture *fixture);
/* Closes what is open; removes the directory too. */
void fixture_fini(struct fixture *fixture);
/* Ends pool and engine, leaves the directory. */
void fixture_detach(struct fixture *fixture);

/* A new regular file of mode 0644 in the root. */
struct fs_node fixture_file(struct fixture *fixture, const char *name);
/* Writes, and fails the test when that fails. */
void fixture_write(struct fixture *fixture, struct fs_node node, uint64_t offset, const void *bytes,
    size_t size, enum fs_stability stability);
/* Small numbers from a seed that is printed: SHOAL_SEED, or the time. */
uint64_t fixture_seed(void);
uint64_t fixture_random(uint64_t *state);
