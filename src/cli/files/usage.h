/*
 * cli/files/usage.h - what the server has counted of directories, so that nothing needs to be walked.
 */
#pragma once

#include "client/node.h"

struct usage {
    uint64_t space_bytes;
    uint64_t entries; /* below the directory */
};

/* Asks for the usage of one directory. Errors: a server that does not count gives one, too. */
MUST_CHECK int usage_get(
    struct nfs_client *client, const struct nfs_fh *directory, struct usage *out_usage);

/* Takes one directory; `path` is below the first ("" is itself). */
typedef void usage_emit(void *context, const char *path, const struct usage *usage);

/* Emits the directory and those at most `depth_max` levels below it, deepest first. Errors: those of the server;
 * -ENOMEM. Nothing was emitted then. */
MUST_CHECK int usage_list(struct nfs_client *client, const struct nfs_fh *directory,
    uint64_t depth_max, usage_emit *emit, void *context);
