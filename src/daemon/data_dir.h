/*
 * daemon/data_dir.h - the data directory: one owner at a time, a known format, an identity that
 * stays.
 *
 *   format        "shoal data directory" and its version; the last file that a first start makes
 *   lock          locked while a daemon runs (an OFD lock of fcntl()); tells its pid and epoch
 *   epoch         how often a daemon has started here: ids of an earlier run are told apart by it
 *   identity      the node's name and the secret that signs file handles; mode 0600
 *   catalog/ fs/  the records of the control plane, and a directory per file system
 *   run/          shoald.json while the daemon serves
 * Format: docs/formats/data-directory.md. Used by the main thread only.
 */
#pragma once

#include "base/base.h"
#include "base/hash.h"
#include "daemon/problem.h"

#define DATA_DIR_VERSION     1u
#define DATA_DIR_NODE_DIGITS 16u

struct data_dir {
    int fd;
    int lock_fd;
    uint32_t epoch; /* of this start; from 1 */
    char node_id[DATA_DIR_NODE_DIGITS + 1];
    struct hash_key fh_key;
};

/* Opens the directory, makes it when it is missing or empty, and takes its lock. Errors, each with
 * a sentence: -EBUSY: another daemon has it; -EPROTO: of a newer release; -EBADMSG: damaged, or
 * other files are in it; or the system's. */
MUST_CHECK int data_dir_open(
    const char *path, struct data_dir **out_dir, struct problem *out_problem);
/* Whether nobody has taken the directory over since: false when its epoch is a later one, which should not happen while the
 * lock is held, but does on disks that are shared, or when somebody removes the lock file. */
bool data_dir_is_ours(const struct data_dir *dir);
/* Holds a directory that no daemon has open, for a tool that changes nothing in it: its lock is taken, its format is known,
 * and nothing is written. Errors: as data_dir_open(); -ENOENT: it is no data directory. */
MUST_CHECK int data_dir_hold(
    const char *path, struct data_dir **out_dir, struct problem *out_problem);
/* Gives the lock back. NULL is allowed. */
void data_dir_close(struct data_dir *dir);
