/*
 * nfs/pseudo.h - the root above all file systems: a read-only directory with one entry per available file system.
 *
 * It exists in memory only. Its entries are named as the file systems' ids; looking one up leads to the root of that
 * file system. The id of an access point leads to what that shows as its root, though it is not listed: there may be
 * ten thousand. fsid 0.0, file id 1; its change attribute is the catalog's generation.
 */
#pragma once

#include "nfs/compound.h"

#define PSEUDO_ROOT_FILEID 1u

void pseudo_attr(const struct nfs_server *server, struct fs_attr *out_attr);
/* The file id that the entry of a file system has in the pseudo root: mounted_on_fileid of its root. */
uint64_t pseudo_junction_fileid(uint64_t fs_tag);

/* Makes the root of the file system or access point `name` the current filehandle. NFS4ERR_NOENT; NFS4ERR_ACCESS: its
 * policy, or no root directory. May wait. */
MUST_CHECK enum nfsstat4 pseudo_lookup(struct compound *compound, struct slice name);
/* As fs_readdir(), of the pseudo root; opens the file systems it shows. `emit` may set nothing it cannot. */
MUST_CHECK int pseudo_readdir(
    struct compound *compound, uint64_t cookie, fs_emit *emit, void *context);
