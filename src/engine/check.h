/*
 * engine/check.h - whether all records of a file system agree with each other: every name has its inode, every
 * link, entry, attribute and byte is counted where it must be, every mapped block is live, every live block is mapped as often
 * as its record says, and the segments' files are there.
 *
 * A finding is a text "what=KIND key=value ...": docs/verification.md lists the kinds. Nothing is repaired.
 */
#pragma once

#include "base/base.h"

struct inspection;
struct volume;

/* Where findings go; called on the checker's thread. */
struct check_sink {
    void *context;
    void (*finding)(void *context, const char *text);
    bool (*is_stopping)(void *context); /* asked now and then; true ends the check with -EINTR */
};

/* Findings on their way. */
struct findings {
    const struct check_sink *sink;
    uint64_t count;
};

void findings_add(struct findings *findings, const char *format, ...) PRINTF_LIKE(2, 3);

struct check_report {
    uint64_t wrong_count; /* of findings */
    uint64_t inodes;
    uint64_t names;
    uint64_t segment_blocks; /* mapped, a shared one once */
    uint64_t small_blocks;
    uint64_t segments;
};

/* Checks what an inspection shows. On a thread with a deep stack. Memory: some 110 bytes for each inode, 60 for each directory,
 * two bits for each block of the segments. Errors: -ENOMEM; -EINTR: it was stopped; -EIO: the database cannot be
 * read. Records that are damaged are findings, as all that is wrong. */
MUST_CHECK int check_run(
    struct inspection *inspection, const struct check_sink *sink, struct check_report *out_report);

/* Deletes what is half deleted, checks an open volume that nobody changes meanwhile and that has no uncommitted data, and
 * compares what is in its memory, too; logs what is wrong. On a thread with a deep stack. Errors: as check_run(). */
MUST_CHECK int volume_check(struct volume *volume, uint64_t *out_error_count);
