/*
 * catalog/internal.h - what the files of this room share; no other room includes it.
 *
 * An entry is one record with its place in the indexes. Entries are counted: the tables hold one
 * reference, each reader one. An entry in the tables is never changed, only replaced;
 * `access_point_count` is the exception.
 */
#pragma once

#include "base/lock.h"
#include "catalog/index.h"
#include "catalog/records.h"
#include "catalog/store.h"

#define ENTRY_NODES_MAX 3

enum entry_kind { ENTRY_FS, ENTRY_MOUNT_TARGET, ENTRY_ACCESS_POINT, ENTRY_KEY, ENTRY_KIND_COUNT };

/* The indexes; those of one kind stand together, the one by id first. */
enum table {
    TABLE_FS,
    TABLE_FS_TOKEN,
    TABLE_MOUNT_TARGET,
    TABLE_MOUNT_TARGET_FS, /* file system, id */
    TABLE_MOUNT_TARGET_ADDRESS,
    TABLE_ACCESS_POINT,
    TABLE_ACCESS_POINT_FS,    /* file system, id */
    TABLE_ACCESS_POINT_TOKEN, /* file system, token */
    TABLE_KEY,
    TABLE_COUNT
};

struct entry {
    _Atomic uint32_t refs;
    enum entry_kind kind;
    uint32_t access_point_count; /* ENTRY_FS: guarded by the tables' lock */
    char address_key[9]; /* ENTRY_MOUNT_TARGET: the address in hexadecimal, so that order is numeric
                          */
    struct catalog_index_node nodes[ENTRY_NODES_MAX];
    union {
        struct catalog_fs fs;
        struct catalog_mount_target mount_target;
        struct catalog_access_point access_point;
        struct catalog_key key;
    };
};

/* Apart from struct catalog so that readers, who hold that const, can take the lock. */
struct tables {
    struct rwlock lock; /* guards all below */
    struct catalog_index indexes[TABLE_COUNT];
    size_t counts[ENTRY_KIND_COUNT];
};

struct catalog {
    struct catalog_store *store;
    struct tables *tables;
    struct catalog_network network;
    char region[CATALOG_NAME_SIZE];
    char account_id[CATALOG_NAME_SIZE];
    _Atomic uint64_t generation;
    struct mutex change_lock; /* held by the one change that runs; taken before tables->lock */
    bool broken; /* guarded by change_lock; a write failed, so memory and disk may differ */
};

/* entry.c */
MUST_CHECK int entry_new(enum entry_kind kind, struct entry **out_entry);
/* A copy of the record, in no table. */
MUST_CHECK int entry_clone(const struct entry *entry, struct entry **out_entry);
void entry_ref(struct entry *entry);
void entry_unref(struct entry *entry); /* NULL is allowed */
const char *entry_id(const struct entry *entry);
struct catalog_tags *entry_tags(struct entry *entry); /* NULL when its kind has none */
void address_to_key(struct in_addr address, char out_key[9]);
/* The record in the table of ids, borrowed while the lock is held, or NULL. */
struct entry *tables_find(const struct tables *tables, enum entry_kind kind, const char *id)
    REQUIRES_SHARED(tables->lock);
/* Adds an entry and takes over the caller's reference; its keys must be free. */
void tables_insert(struct tables *tables, struct entry *entry) REQUIRES(tables->lock);
/* Takes an entry out; the caller then owns the reference. */
void tables_remove(struct tables *tables, struct entry *entry) REQUIRES(tables->lock);

/* codec.c */
/* The letter that the keys of this kind begin with on disk. */
char codec_letter(enum entry_kind kind);
/* The record as JSON; the caller frees *out_text. Errors: -ENOMEM. */
MUST_CHECK int codec_encode(const struct entry *entry, char **out_text);
/* Errors: -EBADMSG: not a record of this kind; -ENOMEM. */
MUST_CHECK int codec_decode(enum entry_kind kind, struct slice text, struct entry **out_entry);
MUST_CHECK int codec_encode_network(const struct catalog *catalog, char **out_text);
/* Fills in network, region and account. Errors: -EBADMSG. */
MUST_CHECK int codec_decode_network(struct slice text, struct catalog *catalog);

/* network.c */
/* The network of a first start; its ids follow from region and account. */
void network_make(const char *region, const char *account_id, struct catalog_network *out_network);
