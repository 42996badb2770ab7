/*
 * datastore/migrate/migrate.h - copies one store into another, of the same kind or the other, while workers go on.
 *
 * A pass compares everything in the source with the destination and copies what is missing or different; passes follow until
 * one has found nothing to copy. So the destination itself is the state of progress (a migration that was killed goes on where
 * it was when it is run again), and the last pass is the proof: it has read both sides and found them the same. Nothing is
 * ever removed from the destination. Two migrations into one destination must not run at the same time.
 */
#pragma once

#include "datastore/datastore.h"

#define MIGRATE_PASSES_MAX 50u

/* Counted while it runs; any thread may look. An item is a series, a document or a version of a checkpoint. */
struct migrate_progress {
    _Atomic uint64_t items;       /* compared, over all passes */
    _Atomic uint64_t items_known; /* to compare, as far as known */
    _Atomic uint64_t bytes;       /* copied: of JSON texts and checkpoints; 48 for a bar */
    _Atomic uint64_t bars;        /* copied, as the next two */
    _Atomic uint64_t documents;
    _Atomic uint64_t versions;
    _Atomic uint64_t pass; /* from 1 */
};

struct migrate_options {
    unsigned threads;
    const _Atomic bool *stop; /* NULL allowed; true: end after the items in work, with BUSY */
    struct migrate_progress *progress;
};

/* What the last pass has found to be the same on both sides. */
struct migrate_result {
    uint64_t series;
    uint64_t documents;
    uint64_t versions;
};

/* Copies `from` into `to`. Errors: those of either store (the message names the item; a damaged item does not keep the others
 * from being copied, but fails the call); BUSY: stopped, or the source changed during every one of the passes. */
MUST_CHECK int32_t migrate_run(struct shoal_data *from, struct shoal_data *to,
    const struct migrate_options *options, struct migrate_result *out_result,
    struct shoal_data_error *error);
