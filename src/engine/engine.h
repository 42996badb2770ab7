/*
 * engine/engine.h - the embedded backend: file systems in directories of one data directory.
 *
 * What it is made of, and why: docs/design/0002-engine.md. What is on the disk:
 * docs/formats/engine.md.
 */
#pragma once

#include "fs/volumes.h"
#include "io/pool.h"

struct engine_options {
    const char *directory;       /* exists; holds one directory per file system */
    struct pool *pool;           /* borrowed; 4 threads or more */
    uint64_t cache_bytes;        /* inodes, names and block maps of all file systems; 0: 256 MiB */
    uint64_t block_cache_bytes;  /* of the databases; 0: 128 MiB */
    uint64_t write_buffer_bytes; /* of each database; 0: 64 MiB */
    uint64_t journal_file_bytes; /* a longer file of the journal is not continued; 0: 32 MiB */
    uint64_t reserve_bytes;      /* of the disk: kept free for deletions; 0: 256 MiB */
    uint32_t segment_blocks;     /* of new file systems, a power of two; 0: 64 MiB */
    uint32_t small_file_bytes;   /* UNSTABLE files up to this size stay out of segments; 0: 8 KiB */
    uint32_t dir_names_max;      /* larger directories are not held whole in memory; 0: 262,144 */
    uint32_t dirty_age_ms;       /* UNSTABLE data is committed after this; 0: 30 s */
    uint32_t step_blocks;       /* a batch frees or shares this many at most; 0: 65,536 (256 MiB) */
    uint64_t scrub_bytes_per_s; /* that scrubbing reads; 0: as fast as it goes */
    const struct fs_keeper *keeper; /* borrowed; NULL: there are no encrypted file systems */
    uint64_t name_hash_mask;        /* for tests: makes names collide; 0: all bits */
};

struct engine;

/* Makes the provider of embedded file systems. Errors: -ENOENT, -ENOTDIR: `directory`; -ENOMEM. */
MUST_CHECK int engine_new(const struct engine_options *options, struct engine **out_engine);
/* All its file systems are closed. NULL is allowed. */
void engine_free(struct engine *engine);
/* What fs_volumes_new() wants; valid as long as the engine. Besides the errors of fs/volumes.h,
 * open gives -EBUSY when another process has the file system open. */
const struct fs_provider *engine_provider(struct engine *engine);
