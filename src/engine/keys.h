/*
 * engine/keys.h - what stands in the database of a file system: keys, values, and their codecs.
 *
 * Keys are a letter and big-endian numbers, so that they sort by what they name. Every value but
 * the protocol's own records begins with its format version. Format: docs/formats/engine.md. Pure
 * functions; decoders trust nothing and give -EBADMSG for what cannot have been written.
 */
#pragma once

#include "base/base.h"
#include "fs/fs.h"

#define BLOCK_BYTES     4096u
#define BLOCK_SHIFT     12u
#define GROUP_BLOCKS    32u /* of file blocks, one `x` record */
#define KEY_BYTES_MAX   136u
#define INODE_BYTES_MAX (256u + FS_SYMLINK_SIZE_MAX)
#define GROUP_BYTES_MAX (1u + GROUP_BLOCKS * (2u + 6u + 16u))
#define STATE_BYTES     82u
#define ROOT_INODE      UINT64_C(2)
#define INODE_FIRST     UINT64_C(16)
#define ADDRESS_MAX     ((UINT64_C(1) << 48) - 1)
#define NAME_HASH_BITS  55u /* with a slot of 8 bits below it: a cookie of 63 bits */

enum key_kind {
    KEY_STATE = 'm',    /* m */
    KEY_INODE = 'i',    /* i inode */
    KEY_NAME = 'd',     /* d directory name-hash */
    KEY_GROUP = 'x',    /* x map group */
    KEY_SMALL = 's',    /* s map block */
    KEY_ORPHAN = 'o',   /* o inode */
    KEY_OLD_MAP = 'p',  /* p map */
    KEY_CUT = 't',      /* t inode */
    KEY_XATTR = 'a',    /* a inode name-hash */
    KEY_SHARED = 'r',   /* r block-address / REF_PAGE_BLOCKS */
    KEY_SEGMENT = 'g',  /* g segment */
    KEY_FREED = 'f',    /* f batch */
    KEY_USAGE = 'u',    /* u directory */
    KEY_LINK = 'l',     /* l inode directory */
    KEY_QUOTA = 'q',    /* q directory */
    KEY_SNAPSHOT = 'n', /* n snapshot */
    KEY_VERSION = 'v',  /* v, another key as it is, snapshot */
    KEY_KEPT = 'w',     /* w snapshot, another key as it is */
    KEY_RECORD = 'c',   /* c, then the protocol's own key */
};

struct key {
    size_t size;
    uint8_t bytes[KEY_BYTES_MAX];
};

static inline struct slice key_slice(const struct key *key)
{
    return slice_of(key->bytes, key->size);
}

void key_make0(struct key *out_key, enum key_kind kind);
void key_make1(struct key *out_key, enum key_kind kind, uint64_t a);
void key_make2(struct key *out_key, enum key_kind kind, uint64_t a, uint64_t b);
/* `name` is at most 128 bytes. */
void key_make_record(struct key *out_key, struct slice name);
/* What a snapshot keeps of the record `key`; and where all that is kept of `key`, or of what begins with it, begins. */
void key_make_version(struct key *out_key, struct slice key, uint64_t snapshot);
void key_make_versions(struct key *out_key, struct slice key);
/* What says so, by snapshot. */
void key_make_kept(struct key *out_key, uint64_t snapshot, struct slice key);
/* Take them apart; false: it is none. `out_key` points into `key`. */
MUST_CHECK bool key_parse_version(struct slice key, struct slice *out_key, uint64_t *out_snapshot);
MUST_CHECK bool key_parse_kept(struct slice key, uint64_t *out_snapshot, struct slice *out_key);
/* Whether `key` is of `kind` with `count` numbers; then they are in `out_numbers`. */
MUST_CHECK bool key_parse(
    struct slice key, enum key_kind kind, unsigned count, uint64_t *out_numbers);

/* An inode as it is stored. Of a regular file, attr.size_bytes is its durable size here. */
struct inode_record {
    struct fs_attr attr;
    uint64_t parent;      /* the directory it is in; of a file with several names: engine/links.h */
    uint64_t entry_count; /* of a directory */
    uint64_t map_id;      /* of a regular file: names its x and s records */
    uint64_t segment_blocks; /* of a regular file: mapped in x records */
    uint64_t small_blocks;   /* of a regular file: s records */
    uint32_t xattr_count;
    uint32_t xattr_bytes; /* of their names and values */
    bool has_verifier;    /* made by FS_CREATE_EXCLUSIVE */
    uint8_t verifier[FS_VERIFIER_SIZE];
};

/* Encodes into `out`, of INODE_BYTES_MAX; gives the size. `symlink` is empty unless it is one. */
size_t inode_record_encode(const struct inode_record *record, struct slice symlink, uint8_t *out);
/* `inode` comes from the key. `out_symlink` points into `value`. Errors: -EBADMSG, -EPROTO. */
MUST_CHECK int inode_record_decode(
    struct slice value, uint64_t inode, struct inode_record *out_record, struct slice *out_symlink);

/* One name in the value of a `d` record, which holds all names of one hash. */
struct name_entry {
    uint8_t slot;
    uint64_t inode;
    struct slice name;
};

/* One extended attribute in the value of an `a` record, which holds all of one hash. */
struct xattr_entry {
    uint8_t slot;
    struct slice name;
    struct slice value;
};

#define XATTR_ENTRY_BYTES 6u /* besides name and value */

size_t xattr_entry_encode(const struct xattr_entry *entry, uint8_t *out);
/* As name_entry_decode(). */
MUST_CHECK int xattr_entry_decode(struct slice *value, struct xattr_entry *out_entry);

#define NAME_ENTRY_BYTES_MAX (10u + FS_NAME_SIZE_MAX)

size_t name_entry_encode(const struct name_entry *entry, uint8_t *out);
/* Takes the first entry off `value`, which begins behind the version byte. Errors: -EBADMSG. */
MUST_CHECK int name_entry_decode(struct slice *value, struct name_entry *out_entry);
/* Takes the version byte off. Errors: -EBADMSG, -EPROTO. */
MUST_CHECK int value_open(struct slice *value);

/* Where a block of a file is. */
enum block_kind {
    BLOCK_HOLE,
    BLOCK_SEGMENT, /* `address` */
    BLOCK_SMALL,   /* in its s record, not in memory */
    BLOCK_BUFFER,  /* in memory; durable, if at all, in its s record */
};

struct block_buffer;

struct block {
    uint64_t kind : 8;
    uint64_t address : 56; /* of BLOCK_SEGMENT; of BLOCK_BUFFER: its pointer */
    uint64_t
        checksum; /* XXH3 of the block's bytes (of a hole: 0); in a segment of an encrypted file system
                            * the first half of its tag, */
    uint64_t tag_rest; /* and this is the other half; else 0 */
};

static inline bool block_equal(struct block a, struct block b)
{
    return a.kind == b.kind && a.address == b.address && a.checksum == b.checksum &&
           a.tag_rest == b.tag_rest;
}

/* Encodes the segment blocks among `blocks` (GROUP_BLOCKS of them); 0 when there are none. */
size_t group_encode(const struct block *blocks, uint8_t *out);
/* Sets those of `blocks` that the record maps; leaves the others. Errors: -EBADMSG, -EPROTO. */
MUST_CHECK int group_decode(struct slice value, struct block *blocks);

/* What is known of the whole file system; rewritten with every batch. */
struct volume_state {
    uint64_t batch;           /* number of the last batch */
    uint64_t inode_ceiling;   /* no inode number at or above it was ever used */
    uint64_t change_ceiling;  /* nor a change counter */
    uint64_t change_floor;    /* files' counters below it read as it */
    uint64_t segment_ceiling; /* nor a segment id */
    uint64_t used_bytes;
    uint64_t used_files;
    uint64_t freed_from; /* f records below it are folded into g records */
    uint64_t
        number_ceiling; /* no value was sealed under a number at or above it; 0: not encrypted */
    uint64_t usage_version; /* 1: there are u and l records; 0: made by a release that had none */
    bool is_clean;          /* closed in order */
};

void volume_state_encode(const struct volume_state *state, uint8_t out[STATE_BYTES]);
MUST_CHECK int volume_state_decode(struct slice value, struct volume_state *out_state);

/* A range of blocks of segments that became live or dead in a batch. */
struct block_range {
    uint64_t address;
    uint32_t count;
    bool is_live;
};

#define BLOCK_RANGE_BYTES 10u

void block_range_encode(const struct block_range *range, uint8_t out[BLOCK_RANGE_BYTES]);
MUST_CHECK int block_range_decode(struct slice *value, struct block_range *out_range);
