/*
 * engine/journal.h - the log of a volume's batches: what makes them durable.
 *
 * RocksDB's own log is off. In the modes of recovery that notice damage it cannot use a log file again,
 * and an fdatasync of a file that grows takes half as long again as one of a file that was written before
 * (150 us against 100). These files are written once with zeros, then again and again.
 *
 * A batch is durable once journal_append() has returned. RocksDB holds all batches up to the one whose
 * number is in its `m` record; those behind are applied again at opening. A file is used again when RocksDB
 * has written all its batches to tables; journal asks for that (`flush`) when it goes on to the next file.
 *
 * Invariants:
 *  J1. Batches are numbered without gaps, and appended in that order.
 *  J2. A file is written from its beginning only when no batch in it is needed any more.
 *  J3. Nobody writes where zeros are being written.
 *
 * One thread appends. Format: docs/formats/engine.md.
 */
#pragma once

#include "base/base.h"

struct journal;
struct pool;

struct journal_options {
    int dir_fd;    /* of the volume; the files are in its directory `journal` */
    uint64_t salt; /* of this file system: records of others are no records */
    const char *fs_id;
    struct pool *pool;
    uint64_t file_bytes;         /* a file that is longer is not continued; 0: 32 MiB */
    int (*flush)(void *context); /* has RocksDB write all that was applied to tables; on the pool */
    void *context;
    bool is_read_only; /* nothing is made or changed: only replayed */
};

/* Opens the files, or makes the first. Errors: -EIO, -ENOSPC, -ENOMEM. */
MUST_CHECK int journal_open(const struct journal_options *options, struct journal **out_journal);
/* Waits for what runs on the pool. NULL is allowed. */
void journal_close(struct journal *journal);

/* Gives each batch after number `after` to `apply`, in order; *out_last is the last one's number. Then all is
 * flushed and the files are free. Errors: -EBADMSG: batches are missing or damaged before the end. */
typedef int journal_apply(void *context, struct slice batch);
MUST_CHECK int journal_replay(
    struct journal *journal, uint64_t after, journal_apply *apply, uint64_t *out_last);
/* All batches up to `number`, the last, are in tables: marks the files, so that the next opening need not read
 * them. Best effort. */
void journal_seal(struct journal *journal, uint64_t number);
/* Errors: -EIO, -ENOSPC; the journal must not be used any more then. */
MUST_CHECK int journal_append(struct journal *journal, uint64_t number, struct slice batch);
