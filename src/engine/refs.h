/*
 * engine/refs.h - how many users blocks have that clones share.
 *
 * A live block has one user, and as many more as stand here: only blocks with more take memory, 4 bytes each and those
 * of their page. A user is a place in a map. The counts belong to the committer's thread (R1): clones add users when
 * they are executed, and of the blocks that a batch's maps give up those that have other users only lose one, when
 * the batch is written. What changed is written with the same batch, a record for each page.
 */
#pragma once

#include "base/list.h"
#include "engine/keys.h"

#define REF_PAGE_BLOCKS    256u
#define REF_PAGE_BYTES_MAX (1u + REF_PAGE_BLOCKS * 6u)

struct ref_page {
    struct ref_page *hash_next;
    struct list dirty_link; /* while it changed since its record was written */
    uint64_t index;         /* of its first block's address, divided by REF_PAGE_BLOCKS */
    uint32_t used;          /* blocks with more than one user */
    uint32_t more[REF_PAGE_BLOCKS];
};

struct refs {
    struct ref_page **table;
    uint32_t mask;
    uint32_t count;
    uint64_t total; /* of users beyond the first; 0: nothing is shared */
    struct list dirty;
};

MUST_CHECK int refs_init(struct refs *refs); /* Errors: -ENOMEM. */
void refs_fini(struct refs *refs);           /* of one that is all zeros, too */

/* Users beyond the first. */
uint32_t refs_more(const struct refs *refs, uint64_t address);
/* Makes room, so that refs_add() of the address cannot fail. Errors: -ENOMEM; -EMLINK: 2^32 users. */
MUST_CHECK int refs_reserve(struct refs *refs, uint64_t address);
void refs_add(struct refs *refs, uint64_t address);
/* One user less. False: it was the only one, and nothing changed. */
MUST_CHECK bool refs_drop(struct refs *refs, uint64_t address);

/* Encodes a page into `out`, of REF_PAGE_BYTES_MAX; 0: nothing is shared in it. */
size_t ref_page_encode(const struct ref_page *page, uint8_t *out);
/* Takes the next changed page off the list; NULL: none. */
struct ref_page *refs_take_dirty(struct refs *refs);
/* Forgets a page without shared blocks. */
void refs_forget(struct refs *refs, struct ref_page *page);
/* From a record, at opening. Errors: -EBADMSG, -EPROTO, -ENOMEM. */
MUST_CHECK int refs_load(struct refs *refs, uint64_t index, struct slice value);
