/*
 * nfs/copier.h - copying a range of one file into another, piece by piece: what COPY does, at once or behind it.
 *
 * Whole blocks that lie alike in both files of one file system are shared, all else is read and written. A piece may
 * wait for storage. Who uses a copier keeps both volumes pinned, and it is used by one at a time.
 */
#pragma once

#include "fs/fs.h"

#define COPIER_BUFFER_SIZE FS_IO_SIZE_MAX

struct copier {
    struct fs *from_fs, *to_fs;
    struct fs_node from, to;
    uint64_t from_offset, to_offset; /* of the next piece */
    uint64_t left;                   /* bytes still to be copied */
    uint64_t done;
    struct fs_cred cred; /* `groups` is borrowed */
    bool is_unstable;    /* something was written that a crash may lose until COMMIT */
    uint8_t *buffer;     /* of COPIER_BUFFER_SIZE bytes, borrowed */
};

/* Copies the next piece: up to COPIER_BUFFER_SIZE bytes, or all blocks that can be shared; moves on. Errors: those of
 * fs_read(), fs_write() and fs_clone(); then nothing of the piece counts as done. A source that has become shorter
 * ends the copy: `left` is 0. */
MUST_CHECK int copier_step(struct copier *copier);
