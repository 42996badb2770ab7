/*
 * daemon/offline.h - tools on a data directory while no daemon runs on it: `shoald fsck ...`, which `shoal fsck` runs.
 *
 * They are part of shoald because it is the one program that knows engine and keys. They hold the directory's lock.
 */
#pragma once

#include "daemon/data_dir.h"
#include "engine/engine.h"

/* As of fsck(8). */
enum {
    OFFLINE_GOOD = 0,
    OFFLINE_WRONG = 4,  /* something is damaged */
    OFFLINE_FAILED = 8, /* it could not be done */
    OFFLINE_USAGE = 16,
};

typedef int offline_tool(int argc, char **argv);

offline_tool offline_fsck;

/* The tool of this name; NULL: there is none, so the word is for the daemon. */
offline_tool *offline_find(const char *name);

#define OFFLINE_FS_MAX 4096u

/* A data directory, or the directory of one file system, and what opens it. */
struct offline {
    struct data_dir *dir; /* NULL: `path` is one file system's, outside of a data directory */
    struct key_store *keys;
    struct pool *pool;
    struct engine *engine;
    char *fs_ids[OFFLINE_FS_MAX]; /* those in it */
    unsigned fs_count;
};

struct offline_place {
    const char *path;
    const char *master_path; /* of the keys; NULL: where it is by default */
};

/* Opens; says what is wrong on stderr. The caller calls offline_close() whatever comes out. */
MUST_CHECK int offline_open(const struct offline_place *place, struct offline *out);
void offline_close(struct offline *offline);
/* Where temporary files go. */
const char *offline_scratch(void);
