/*
 * fs/restore.h - bringing back a file or a tree out of a snapshot, by the calls of fs.h alone.
 *
 * What is brought back is made beside its place under a name of its own, shares its blocks with the snapshot (fs_clone()),
 * and takes its place with one rename: so it is there whole or not at all. Owner, mode, times, extended attributes and
 * hard links within the tree are as they were.
 */
#pragma once

#include "fs/fs.h"

struct fs_restore {
    const char *snapshot;
    const char *from; /* a path from the root as it was */
    const char *to;   /* a path from the root as it is: its directory is there */
};

struct fs_restored {
    uint64_t entries;
    uint64_t size_bytes; /* of regular files */
};

/* Whether there is the snapshot. Errors: -ENOENT, -EOPNOTSUPP. */
MUST_CHECK int fs_restore_check(struct fs *fs, const struct fs_restore *how);
/* Needs FS_CAP_CLONE and FS_CAP_SNAPSHOTS. A file takes the place of a file that is there; a tree needs a place where nothing
 * is. Blocks; may take long. What a crash leaves is a name that begins with ".shoal-restore-". Errors: -ENOENT, -ENOTDIR,
 * -EINVAL: a path has "..", or is the root; -EEXIST: something is in the way; -EOPNOTSUPP; those of the calls. */
MUST_CHECK int fs_restore(
    struct fs *fs, const struct fs_restore *how, struct fs_restored *out_restored);
