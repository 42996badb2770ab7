/*
 * engine/records.h - reading the records a tree consists of, live or as a snapshot has them.
 *
 * `id` is that of any inode (engine/snapshot.h): it says where to look; keys have plain numbers. Of live ones this is
 * store_get() and store_scan(). In a snapshot the live record is read first and its version then: had it been changed in
 * between, there would be a version. From any thread that may wait.
 */
#pragma once

#include "engine/store.h"

struct volume;
struct records; /* opaque: records.c */

/* As store_get(). Errors: also -ESTALE: the snapshot is gone. */
MUST_CHECK int records_get(
    struct volume *volume, uint64_t id, const struct key *key, struct store_value *out_value);
/* As store_scan(). Errors: also -ESTALE, from records_next() too. */
MUST_CHECK int records_scan(struct volume *volume, uint64_t id, const struct key *from,
    const struct key *end, struct records **out_records);
MUST_CHECK int records_next(
    struct records *records, struct slice *out_key, struct slice *out_value);
void records_end(struct records *records); /* NULL is allowed */
