/*
 * engine/links.h - where a file with several names is at home.
 *
 * A file with one name is at home in the directory of that name. One with more stays at home where it is while that
 * directory has a name of it; a rename of the last one there takes the home along; when it is removed, the home is
 * the directory with the lowest number among those that have one. So that this is found without a search, each
 * directory with names of such a file has an `l` record with their count. They go when one name is left.
 *
 * The home is the inode's `parent`. A batch changes the records of an inode once: a second change would not see the
 * first in the database, and comes again with the next batch (-EAGAIN).
 */
#pragma once

#include "engine/committer.h"

struct link_plan {
    bool has_records; /* it has, or will have, several names */
    uint64_t from, to;
    uint32_t from_count, to_count; /* of names, afterwards */
    uint64_t home;
    uint64_t first; /* gets its first record now: the only name so far; 0: none */
    uint64_t last;  /* holds the only name afterwards; 0: none */
};

/* A name goes from directory `from` (0: none does), one comes to `to` (0: none does). Changes nothing. Not for
 * directories, nor for a last name that goes. Errors: -EAGAIN: in the next batch; -EIO, -ENOMEM. */
MUST_CHECK int links_plan(struct batch *batch, const struct pending *pending, uint64_t from,
    uint64_t to, struct link_plan *out_plan);
/* Does it; `pending` is one of those that the batch writes. */
void links_apply(struct batch *batch, struct pending *pending, const struct link_plan *plan);

/* The value of an `l` record. */
#define LINK_BYTES 5u
void links_record_encode(uint32_t count, uint8_t out[LINK_BYTES]);
MUST_CHECK int links_record_decode(struct slice value, uint32_t *out_count);
