/*
 * tests/sim/disk.h - a disk that remembers: what may be on it after a power cut, at any moment of a run.
 *
 * A process records: every change that it (and every library in it) makes below one directory goes into a log, in
 * one total order, with the moments at which the test was told that something is done. Another process plays the
 * log and builds the directory as a power cut at any event could have left it.
 *
 * What a cut may do, after POSIX, which is less than file systems keep:
 *  - Data of a file that are not followed by a sync of that file are there or not, each write for itself, in any
 *    order, and of a write any of its sectors of 512 bytes. So are changes of its size and holes.
 *  - Names of a directory that were made, changed or removed after its last sync: the first k changes are there, for
 *    any k. A sync of a file is not one of its name.
 * What a sync that has returned covers is there.
 *
 * The recorder is calls of libc's names, which the program that links it overrides (for shared libraries too). It
 * holds one lock over each call, so no sync overlaps a write. Not seen: mmap, stdio's own writes, io_uring.
 */
#pragma once

#include "base/base.h"

#define DISK_THREADS_MAX 16u

struct disk_log;

/* Memory for a recording, shared with the processes that are forked. NULL: none. */
struct disk_log *disk_log_new(size_t capacity_bytes);
void disk_log_free(struct disk_log *log);
/* The number of events in it; false in `out_is_whole` when it was too small for the run. */
uint64_t disk_log_events(const struct disk_log *log, bool *out_is_whole);

/* From now on every change below `directory`, in this process, is recorded; what is there now counts as durable. */
void disk_record(struct disk_log *log, const char *directory);
/* An operation of `thread` was acknowledged. */
void disk_acknowledge(unsigned thread);

/* The call with number `number` (from 1) of those that change or sync something below the directory fails with
 * `error`, and if `is_for_ever` all after it. Counts what was called, with number 0 too. */
void disk_fail(uint64_t number, int error, bool is_for_ever);
uint64_t disk_calls(void);

struct disk;

enum disk_choice {
    DISK_NOTHING, /* only what a sync covers is there */
    DISK_ALL,     /* all is there */
    DISK_SOME,    /* each write and name by chance */
    DISK_TORN,    /* and of each write some sectors */
    DISK_CHOICES,
};

/* Plays `log`, recorded in a directory of which `original` is a copy from before. `scratch` is an empty directory
 * for its own use. */
MUST_CHECK struct disk *disk_new(
    const struct disk_log *log, const char *original, const char *scratch);
void disk_free(struct disk *disk);
/* Goes on to just after event `event`; `acknowledged` hears of each acknowledgement on the way. */
void disk_advance(struct disk *disk, uint64_t event,
    void (*acknowledged)(void *context, unsigned thread), void *context);
/* Builds a state after a cut at this moment in `directory`, which exists and is empty. */
void disk_build(
    const struct disk *disk, enum disk_choice choice, uint64_t *random, const char *directory);
