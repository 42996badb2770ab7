/*
 * engine/inspect.h - a file system to be looked at, not to be changed: what checking and scrubbing read.
 *
 * It is a stand-in of a volume, with database, keys, segments and counts, and nothing that runs. Either the state of an
 * open one at a moment (of its last batch), while that one goes on; or what is in a directory that nobody has open: then its
 * database is opened as a copy, of which only names and the list of tables are really copied, and the journal is applied
 * to the copy. Nothing in the directory is written.
 */
#pragma once

#include "engine/volume.h"

struct inspection {
    struct volume *volume;     /* the stand-in */
    struct volume_state state; /* as stored */
    struct volume *live;       /* the open one; NULL: nobody has it open */
    int lock_fd;               /* of the database of the directory; -1 */
    char copy[256];            /* the directory of the copy; "" */
};

/* The state of an open volume now. On a thread with a deep stack. Errors: -ENOMEM, -EIO, -EBADMSG. */
MUST_CHECK int inspect_live(struct volume *live, struct inspection **out_inspection);
/* A directory. Errors, beside those of opening: -EBUSY: another process has it open. The copy goes into `scratch`, which needs
 * room for what is in the journal. */
MUST_CHECK int inspect_directory(struct engine *engine, const char *fs_id, const char *scratch,
    struct inspection **out_inspection);
/* NULL is allowed. */
void inspect_close(struct inspection *inspection);

/* The path from the root that leads to an inode by its home, for people; "?" in front where the way up is lost. */
void inspect_path(const struct volume *volume, uint64_t inode, char *out_path, size_t size);
