/*
 * engine/names.h - finding names: in memory, else in the database.
 */
#pragma once

#include "engine/dir.h"
#include "engine/inode.h"

struct volume;

uint64_t names_hash(struct volume *volume, struct slice name);
/* The names of a pinned directory inode; made when missing. Errors: -ENOMEM. */
MUST_CHECK int names_dir(struct volume *volume, struct inode *inode, struct dir **out_dir);
/* The inode that `name` means for readers. May wait. Errors: -ENOENT. */
MUST_CHECK int names_find(struct volume *volume, struct inode *inode, struct slice name,
    uint64_t hash, uint64_t *out_inode);
/* The same for the committer, on its thread: the name, or NULL; its whole bucket is in memory then.
 * Errors: -EIO, -ENOMEM; that there is none is success. */
MUST_CHECK int names_find_pending(struct volume *volume, struct inode *inode, struct slice name,
    uint64_t hash, struct name **out_name);
/* Makes the directory complete in memory if it is not too large: 1; 0: it is. May wait. */
MUST_CHECK int names_complete(struct volume *volume, struct inode *inode);
