/*
 * cli/files/remote.h - from a place to files: which server has it, the connection, looking paths up.
 *
 * A name or an id is resolved through the EFS API of the service on a data directory, with the administrator's keys;
 * an address, or --server, is used as it is. Connections are kept until remotes_close(), one a file system.
 * Whoever holds the administrator's keys is root in the file systems of the service, whoever that is on this machine;
 * by address one is who one is; --as says otherwise.
 * All functions print a sentence when they fail and give the exit code.
 */
#pragma once

#include "cli/api.h"
#include "cli/cli.h"
#include "cli/files/place.h"
#include "client/dir.h"
#include "client/node.h"
#include "transfer/tree.h"

#define REMOTES_MAX 16

struct remote {
    char host[PLACE_HOST_SIZE];
    uint16_t port;
    struct nfs_client *client;
    struct nfs_attr root; /* of the file system */
    bool acts_as_root;    /* what is done there is done as user 0 */
};

/* What the options common to all file commands say; all may be NULL. */
struct remote_options {
    const char *data;        /* --data */
    const char *server;      /* --server */
    const char *connections; /* --connections */
    const char *as;          /* --as */
};
/* Their rows for cli_parse(). */
#define REMOTE_OPTIONS(options)                                       \
    { .name = "--data", .value = &(options).data },                   \
        { .name = "--server", .value = &(options).server },           \
        { .name = "--connections", .value = &(options).connections }, \
    {                                                                 \
        .name = "--as", .value = &(options).as                        \
    }

struct remotes {
    struct remote_options options;
    struct remote list[REMOTES_MAX];
    unsigned count;
    bool has_api;
    struct instance instance;
    struct api api;
    json_t *file_systems; /* as the API lists them; NULL: not asked yet */
};

void remotes_init(struct remotes *remotes, const struct remote_options *options);
void remotes_close(struct remotes *remotes);

/* The id of the file system that has the id or the name `host`; lives as long as `remotes`, which has its API open then. */
MUST_CHECK int remotes_file_system_id(
    struct remotes *remotes, const char *host, const char **out_id);
/* The connection to the file system of a remote place. */
MUST_CHECK int remotes_find(
    struct remotes *remotes, const struct place *place, struct remote **out_remote);

/* Looks the path up. Symbolic links on the way are followed inside the file system, one at the end is what is found. A
 * path that does not exist gets a sentence with the nearest name that does. */
MUST_CHECK int remote_lookup(
    struct remote *remote, const struct place *place, struct nfs_attr *out_attr);
/* As remote_lookup(), and follows a link at the end too. */
MUST_CHECK int remote_lookup_target(
    struct remote *remote, const struct place *place, struct nfs_attr *out_attr);
/* Opens the directory that holds the place's last name as a tree; for the root, the root itself and *out_name is
 * NULL. The name borrows from the place; the tree is the caller's. */
MUST_CHECK int remote_parent_tree(struct remote *remote, const struct place *place,
    struct tree **out_tree, const char **out_name);
/* Makes a sentence of a failure: "Cannot read default:/x: No space left on device." Gives CLI_FAILED. */
int remote_fail(const struct place *place, const char *doing, int error);
