/*
 * engine/versions.h - keeping what snapshots need of the records that a batch changes.
 *
 * While there is a snapshot, batch_put() and batch_delete() note the keys they are given. Before the batch is written,
 * the record of each as the database has it becomes its *version* for the newest snapshot, unless it has one: a `v`
 * record with the old value (none: "was not there"), found by key and then number, and a `w` record that lists it
 * by number. A reader of a snapshot takes the first version with that number or a higher one; without any, the live
 * record is what it was. Blocks of segments have a user more for each version of an `x` record that maps them.
 *
 * What has a number at or above the snapshot's horizon was made later: it costs nothing.
 */
#pragma once

#include "engine/keys.h"

struct batch;

/* What a version has to be written of, perhaps. */
struct version_note {
    uint64_t numbers[2];
    uint64_t snapshot;
    uint8_t kind;
    uint8_t number_count;
    bool is_put;
};

struct version_notes {
    struct version_note *items;
    uint32_t count;
    uint32_t capacity;
    int error; /* -ENOMEM: one is missing, so the batch cannot be written */
};

/* Notes a key that is put, or deleted. */
void versions_note(struct batch *batch, const struct key *key, bool is_put);
/* Puts into the batch what the snapshots need. Errors: -ENOMEM, -EIO, -EBADMSG; the batch is not to be written. */
MUST_CHECK int versions_write(struct batch *batch);
/* From here on, what the batch changes is kept for the newest snapshot before batch `before`: of what nobody could reach
 * any more after that batch. 0: for the newest, as it is at the beginning of each batch. */
void versions_keep_before(struct batch *batch, uint64_t before);
void versions_fini(struct version_notes *notes);

/* The first version of `key` for snapshot `from` or a younger one. 1: there is one, of *out_snapshot; 0: none. */
MUST_CHECK int version_find(
    struct batch *batch, struct slice key, uint64_t from, uint64_t *out_snapshot);
