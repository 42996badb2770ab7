/*
 * nfs/attr.c - the table of attributes, sets of them, and the walk over a set (room: NFS).
 *
 * The value of each attribute is in attr_encode.c and attr_decode.c. The table is reached through masks only,
 * whose bits are within it.
 */
#include "nfs/attr.h"

#include "nfs/attr_rows.h"

struct attr_row {
    attr_encoder *put;
    attr_decoder *get;
    uint8_t minors;
    uint8_t access;
};

static const struct attr_row rows[ATTR_NUMBER_MAX] = {
#define ATTR(number, row_minors, row_access, row_put, row_get)                             \
    [FATTR4_##number] = {                                                                  \
        .put = (row_put), .get = (row_get), .minors = (row_minors), .access = (row_access) \
    },
#include "nfs/attrs.def"
#undef ATTR
};

const struct attr_mask attr_mask_space = { {
    1u << FATTR4_FILES_AVAIL | 1u << FATTR4_FILES_FREE | 1u << FATTR4_FILES_TOTAL,
    1u << (FATTR4_SPACE_AVAIL - 32) | 1u << (FATTR4_SPACE_FREE - 32) |
        1u << (FATTR4_SPACE_TOTAL - 32),
    0,
} };

const struct attr_mask attr_mask_writer = { {
    1u << FATTR4_CHANGE | 1u << FATTR4_SIZE,
    1u << (FATTR4_SPACE_USED - 32) | 1u << (FATTR4_TIME_ACCESS - 32) |
        1u << (FATTR4_TIME_METADATA - 32) | 1u << (FATTR4_TIME_MODIFY - 32),
    0,
} };

struct attr_mask attr_mask_of(const struct bitmap4 *bitmap, bool *out_beyond)
{
    struct attr_mask mask = { { 0 } };
    bool beyond = false;
    for (uint32_t word = 0; word < bitmap->count; word++) {
        if (word < ATTR_WORDS)
            mask.words[word] = bitmap->items[word];
        else
            beyond |= bitmap->items[word] != 0;
    }
    if (out_beyond != NULL)
        *out_beyond = beyond;
    return mask;
}

struct bitmap4 attr_mask_bitmap(struct attr_mask *mask)
{
    uint32_t count = ATTR_WORDS;
    while (count > 0 && mask->words[count - 1] == 0)
        count--;
    return (struct bitmap4){ .count = count, .items = mask->words };
}

void attr_mask_put(struct xdr_encoder *enc, const struct attr_mask *mask)
{
    uint32_t count = ATTR_WORDS;
    while (count > 0 && mask->words[count - 1] == 0)
        count--;
    xdr_put_u32(enc, count);
    for (uint32_t word = 0; word < count; word++)
        xdr_put_u32(enc, mask->words[word]);
}

/* Takes the lowest number out of `*left`, the rest of word `word` of a set; false when none is left. */
static inline bool next_number(uint32_t *left, uint32_t word, uint32_t *out_number)
{
    if (*left == 0)
        return false;
    *out_number = word * 32 + (uint32_t)__builtin_ctz(*left);
    *left &= *left - 1;
    return true;
}

static bool row_allows(uint32_t number, unsigned versions, unsigned access)
{
    const struct attr_row *row = &rows[number];
    return (row->minors & versions & V_ANY) != 0 && (row->minors & ~V_ANY & ~versions) == 0 &&
           (row->access & access) != 0;
}

/* The attributes of `wanted` that `versions` have with one of the `access` bits. */
static struct attr_mask mask_narrow(
    const struct attr_mask *wanted, unsigned versions, unsigned access)
{
    struct attr_mask mask = { { 0 } };
    for (uint32_t word = 0; word < ATTR_WORDS; word++) {
        for (uint32_t left = wanted->words[word], number; next_number(&left, word, &number);) {
            if (row_allows(number, versions, access))
                attr_mask_add(&mask, number);
        }
    }
    return mask;
}

static const struct attr_mask mask_of_all = { { UINT32_MAX, UINT32_MAX, UINT32_MAX } };

struct attr_mask attr_supported(unsigned versions)
{
    return mask_narrow(&mask_of_all, versions, ATTR_READ_WRITE);
}

struct attr_mask attr_exclusive_create(unsigned versions)
{
    return mask_narrow(&mask_of_all, versions & ~(unsigned)DELEG_TIMES, ATTR_WRITE);
}

enum nfsstat4 attr_plan_init(
    struct attr_plan *plan, const struct attr_mask *wanted, unsigned versions)
{
    plan->mask = (struct attr_mask){ { 0 } };
    plan->count = 0;
    for (uint32_t word = 0; word < ATTR_WORDS; word++) {
        for (uint32_t left = wanted->words[word], number; next_number(&left, word, &number);) {
            if (row_allows(number, versions, ATTR_READ)) {
                attr_mask_add(&plan->mask, number);
                plan->numbers[plan->count++] = (uint8_t)number;
            } else if (row_allows(number, versions, ATTR_WRITE)) {
                return NFS4ERR_INVAL;
            }
        }
    }
    return NFS4_OK;
}

/* What is told of a file whose attributes cannot be had. */
static void put_error(
    struct xdr_encoder *enc, const struct attr_source *source, const struct attr_plan *plan)
{
    struct attr_mask mask = { { 0 } };
    bool is_wanted = attr_mask_has(&plan->mask, FATTR4_RDATTR_ERROR);
    if (is_wanted)
        attr_mask_add(&mask, FATTR4_RDATTR_ERROR);
    attr_mask_put(enc, &mask);
    xdr_put_u32(enc, is_wanted ? 4 : 0);
    if (is_wanted)
        attr_put_rdattr_error(enc, source);
}

void attr_put(
    struct xdr_encoder *enc, const struct attr_source *source, const struct attr_plan *plan)
{
    if (source->error != NFS4_OK) {
        put_error(enc, source, plan);
        return;
    }
    attr_mask_put(enc, &plan->mask);
    xdr_put_u32(enc, 0); /* the length of the values: known below */
    size_t start = enc->size;
    for (uint32_t i = 0; i < plan->count; i++)
        rows[plan->numbers[i]].put(enc, source);
    if (!enc->failed)
        store_be32(enc->data + start - 4, (uint32_t)(enc->size - start));
}

enum nfsstat4 attr_get(
    const struct fattr4 *fattr, unsigned versions, struct attr_change *out_change)
{
    bool beyond;
    struct attr_change change = { .mask = attr_mask_of(&fattr->attrmask, &beyond) };
    if (beyond)
        return NFS4ERR_ATTRNOTSUPP;
    enum nfsstat4 read_only = NFS4_OK;
    for (uint32_t word = 0; word < ATTR_WORDS; word++) {
        for (uint32_t left = change.mask.words[word], number; next_number(&left, word, &number);) {
            if (!row_allows(number, versions, ATTR_READ_WRITE))
                return NFS4ERR_ATTRNOTSUPP;
            if (!row_allows(number, versions, ATTR_WRITE))
                read_only = NFS4ERR_INVAL;
        }
    }
    if (read_only != NFS4_OK)
        return read_only;
    if (attr_mask_has(&change.mask, FATTR4_MODE) && attr_mask_has(&change.mask, FATTR4_MODE_UMASK))
        return NFS4ERR_INVAL; /* RFC 8275 section 4.2: one or the other */
    struct xdr_decoder dec = xdr_decoder_of(fattr->attr_vals, NULL);
    for (uint32_t word = 0; word < ATTR_WORDS; word++) {
        for (uint32_t left = change.mask.words[word], number; next_number(&left, word, &number);) {
            enum nfsstat4 status = rows[number].get(&dec, &change);
            if (status != NFS4_OK)
                return status;
        }
    }
    if (xdr_left(&dec) != 0)
        return NFS4ERR_BADXDR;
    *out_change = change;
    return NFS4_OK;
}
