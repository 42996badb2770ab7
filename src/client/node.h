/*
 * client/node.h - names and attributes: everything that is done to a file without opening it.
 *
 * All calls wait; any thread may make them. Errors are the server's as -errno, and those of
 * nfs_call_finish(). Names may hold any bytes but NUL and '/'.
 */
#pragma once

#include "client/attr.h"

/* The root of what the address serves. */
MUST_CHECK int nfs_node_root(struct nfs_client *client, struct nfs_attr *out_attr);
MUST_CHECK int nfs_node_lookup(struct nfs_client *client, const struct nfs_fh *dir,
    struct slice name, struct nfs_attr *out_attr);
/* Walks `path` from the directory `from` (NULL: the root); "", "/" and repeated slashes are fine, ".." is not
 * resolved. Symbolic links are not followed: -ELOOP or -ENOTDIR when one is in the way. */
MUST_CHECK int nfs_node_lookup_path(struct nfs_client *client, const struct nfs_fh *from,
    struct slice path, struct nfs_attr *out_attr);
MUST_CHECK int nfs_node_getattr(
    struct nfs_client *client, const struct nfs_fh *fh, struct nfs_attr *out_attr);
MUST_CHECK int nfs_node_setattr(
    struct nfs_client *client, const struct nfs_fh *fh, const struct nfs_setattr *attr);

/* A node other than a regular file. */
struct nfs_make {
    enum nfs_ftype4 type;
    struct slice link_target; /* of NF4LNK */
    uint32_t device_major;    /* of NF4BLK and NF4CHR */
    uint32_t device_minor;
    struct nfs_setattr attr; /* without a mode for NF4LNK */
};
MUST_CHECK int nfs_node_make(struct nfs_client *client, const struct nfs_fh *dir, struct slice name,
    const struct nfs_make *make, struct nfs_attr *out_attr);
/* One more name for `fh`. */
MUST_CHECK int nfs_node_link(struct nfs_client *client, const struct nfs_fh *fh,
    const struct nfs_fh *dir, struct slice name);
MUST_CHECK int nfs_node_remove(
    struct nfs_client *client, const struct nfs_fh *dir, struct slice name);
MUST_CHECK int nfs_node_rename(struct nfs_client *client, const struct nfs_fh *from_dir,
    struct slice from_name, const struct nfs_fh *to_dir, struct slice to_name);
/* Writes the target and its size, without a NUL. Errors: -ENAMETOOLONG: longer than `size`; -EINVAL: not
 * a link. */
MUST_CHECK int nfs_node_readlink(struct nfs_client *client, const struct nfs_fh *fh, char *buffer,
    size_t size, size_t *out_size);
