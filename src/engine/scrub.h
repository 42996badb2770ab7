/*
 * engine/scrub.h - reading everything a file system has, in the order of its keys, at a bounded rate: tables of the database by
 * reading every record, file data by reading every mapped block from the disk and comparing it with its checksum.
 *
 * Goes in small steps, each on the state of its moment, while others read and write; what moved meanwhile is looked at where it
 * is now. A block is damaged if the database still says it is there when it does not match.
 */
#pragma once

#include "engine/keys.h"

struct inspection;
struct volume;

/* A block that is not what was written, or a record that cannot be read. */
struct scrub_damage {
    uint64_t inode;  /* 0: not of a file: `what` says */
    uint64_t offset; /* in the file */
    uint32_t size_bytes;
    uint64_t segment, block; /* where it is; segment 0: in the database */
    char kind;               /* of the record */
};

struct scrub {
    struct volume *volume; /* an open one, or the stand-in of one that nobody has open */
    uint64_t bytes_per_s;  /* 0: as fast as it goes */
    struct key position;   /* everything below it was read; size 0: nothing yet */
    uint64_t done_bytes;   /* of file data */
    uint64_t done_records;
    void *context;
    void (*damaged)(void *context, const struct scrub_damage *damage);
    /* After each step; true: it is to stop, with -EINTR. */
    bool (*stepped)(void *context);
};

/* Goes on from `position` to the end. On a thread with a deep stack. Errors: -EINTR; -ENOMEM; damage is none. */
MUST_CHECK int scrub_run(struct scrub *scrub);
