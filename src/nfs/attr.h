/*
 * nfs/attr.h - the attributes of files: which there are, to the wire and from the wire.
 *
 * attrs.def has a row for each. Values are encoded in the ascending order of attribute numbers, straight from a
 * struct fs_attr and a few facts about the server; nothing here waits or allocates.
 */
#pragma once

#include "base/base.h"
#include "base/hash.h"
#include "fs/fs.h"
#include "nfs/fh.h"
#include "nfs/minor.h"
#include "xdr/nfs4_xdr.h"

#define ATTR_WORDS      3u
#define ATTR_NUMBER_MAX (ATTR_WORDS * 32)

enum { ATTR_READ = 1 << 0, ATTR_WRITE = 1 << 1, ATTR_READ_WRITE = ATTR_READ | ATTR_WRITE };

/* A set of attributes by number. Clients may send longer bitmaps; what is beyond no version we know has defined. */
struct attr_mask {
    uint32_t words[ATTR_WORDS];
};

static inline bool attr_mask_has(const struct attr_mask *mask, uint32_t number)
{
    return (mask->words[number / 32] >> (number % 32) & 1) != 0;
}

static inline void attr_mask_add(struct attr_mask *mask, uint32_t number)
{
    mask->words[number / 32] |= UINT32_C(1) << (number % 32);
}

static inline void attr_mask_remove(struct attr_mask *mask, uint32_t number)
{
    mask->words[number / 32] &= ~(UINT32_C(1) << (number % 32));
}

static inline bool attr_mask_is_empty(const struct attr_mask *mask)
{
    return (mask->words[0] | mask->words[1] | mask->words[2]) == 0;
}

/* Whether any attribute is in both. */
static inline bool attr_mask_meets(const struct attr_mask *a, const struct attr_mask *b)
{
    return ((a->words[0] & b->words[0]) | (a->words[1] & b->words[1]) |
               (a->words[2] & b->words[2])) != 0;
}

/* The bits of `bitmap` that fit a mask; *out_beyond tells that there were others. `out_beyond` may be NULL. */
struct attr_mask attr_mask_of(const struct bitmap4 *bitmap, bool *out_beyond);
/* `bitmap` borrows from `mask`. */
struct bitmap4 attr_mask_bitmap(struct attr_mask *mask);
void attr_mask_put(struct xdr_encoder *enc, const struct attr_mask *mask);

/* All that a view supports, to read or to write. `versions`, here and below: the one minor version of the request,
 * and what the view has (nfs/minor.h). */
struct attr_mask attr_supported(unsigned versions);
/* Those whose value is in struct fs_space. */
extern const struct attr_mask attr_mask_space;
/* Those of a file that a client with a write delegation may know better than the server (RFC 8881 section 10.4.3). */
extern const struct attr_mask attr_mask_writer;

/* Which attributes to encode, in order: made once for a request, used for each file. */
struct attr_plan {
    struct attr_mask mask;
    uint32_t count;
    uint8_t numbers[ATTR_NUMBER_MAX];
};

/* Those of `wanted` that there are. NFS4ERR_INVAL: one can only be written. */
MUST_CHECK enum nfsstat4 attr_plan_init(
    struct attr_plan *plan, const struct attr_mask *wanted, unsigned versions);

/* What the values of one file's attributes come from. Borrowed for the call. */
struct attr_source {
    const struct fs_attr *attr; /* may be NULL when `error` is set */
    enum nfsstat4 error;        /* why `attr` is missing: only rdattr_error is then encoded */
    unsigned versions;
    struct fh fh;
    const struct hash_key *fh_key;
    const struct fs_space *space; /* not NULL when an attribute of attr_mask_space is asked for */
    uint64_t mounted_on_fileid;   /* differs from the fileid at the root of a file system */
    uint32_t lease_s;
};

/* Writes an fattr4: bitmap, length, values. */
void attr_put(
    struct xdr_encoder *enc, const struct attr_source *source, const struct attr_plan *plan);

/* Attributes to set, as a client sent them. */
struct attr_change {
    struct fs_setattr set;
    struct attr_mask mask; /* which they are */
    struct fs_time deleg_atime, deleg_mtime;
};

/* Whether it sets times that the holder of a delegation keeps (RFC 9754), which only SETATTR can. */
static inline bool attr_change_has_deleg_times(const struct attr_change *change)
{
    return attr_mask_has(&change->mask, FATTR4_TIME_DELEG_ACCESS) ||
           attr_mask_has(&change->mask, FATTR4_TIME_DELEG_MODIFY);
}

/* Decodes what SETATTR, CREATE and OPEN set. NFS4ERR_ATTRNOTSUPP; NFS4ERR_INVAL: read-only, no valid value, or two modes;
 * NFS4ERR_BADOWNER; NFS4ERR_BADXDR. */
MUST_CHECK enum nfsstat4 attr_get(
    const struct fattr4 *fattr, unsigned versions, struct attr_change *out_change);

/* What OPEN with EXCLUSIVE4_1 can set: all that can be written. */
struct attr_mask attr_exclusive_create(unsigned versions);
