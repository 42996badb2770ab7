/* nfs/op_attr.h - what GETATTR and READDIR need besides a file's own attributes. */
#pragma once

#include "nfs/attr.h"
#include "nfs/compound.h"

/* Fills all but `attr`, `error` and `mounted_on_fileid`. `space` is where what attributes of attr_mask_space need
 * goes, when `mask` has one. May wait. */
MUST_CHECK enum nfsstat4 attr_source_init(struct compound *compound, struct place *place,
    const struct attr_mask *mask, struct fs_space *space, struct attr_source *out);

/* The file id of what is covered: differs from the inode at the root of a file system below the pseudo root, and of
 * an access point. May wait. */
uint64_t attr_mounted_on_fileid(struct compound *compound, const struct place *place);
