/*
 * catalog/internal.h - what the files of this room share; no other room includes it.
 *
 * An entry is one record with its place in the indexes. Entries are counted: each tables hold one
 * reference, each reader one. An entry in the tables is never changed, only replaced;
 * `access_point_counts` is the exception.
 *
 * There are two tables. LAYER_DURABLE has what is on the disk: readers see it. LAYER_AHEAD has what was decided, also when
 * its write still runs: changes see it while they decide, so that many can share one write (commit.c).
 */
#pragma once

#include <jansson.h>

#include "base/lock.h"
#include "catalog/identities.h"
#include "catalog/index.h"
#include "catalog/nets.h"
#include "catalog/records.h"
#include "catalog/store.h"

#define ENTRY_NODES_MAX 3

enum layer { LAYER_DURABLE, LAYER_AHEAD, LAYER_COUNT };

enum entry_kind {
    ENTRY_FS,
    ENTRY_MOUNT_TARGET,
    ENTRY_ACCESS_POINT,
    ENTRY_KEY,
    ENTRY_IDENTITY,
    ENTRY_NET,
    ENTRY_KIND_COUNT
};

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
    TABLE_KEY_USER, /* user id, id */
    TABLE_IDENTITY,
    TABLE_IDENTITY_NAME, /* word of its kind, name in lower case */
    TABLE_NET,
    TABLE_NET_KIND, /* word of its kind, id */
    TABLE_COUNT
};

struct entry {
    _Atomic uint32_t refs;
    enum entry_kind kind;
    uint32_t access_point_counts[LAYER_COUNT]; /* ENTRY_FS: each guarded by its tables' lock */
    char address_key[9]; /* ENTRY_MOUNT_TARGET: the address in hexadecimal, so that order is numeric
                          */
    struct catalog_index_node nodes[LAYER_COUNT * ENTRY_NODES_MAX]; /* those of a layer together */
    union {
        struct catalog_fs fs;
        struct catalog_mount_target mount_target;
        struct catalog_access_point access_point;
        struct catalog_key key;
        struct catalog_identity identity;
        struct catalog_net net;
    };
};

/* Apart from struct catalog so that readers, who hold that const, can take the lock. */
struct tables {
    enum layer layer;
    struct rwlock lock; /* guards all below */
    struct catalog_index indexes[TABLE_COUNT];
    size_t counts[ENTRY_KIND_COUNT];
};

/* One record of a change. */
struct staged {
    struct entry
        *before; /* NULL: added. Borrowed from LAYER_AHEAD, owned once commit_add() took it */
    struct entry *after; /* owned; NULL: removed */
    char *text;          /* owned; `after` as it is stored */
};

struct staged_list {
    size_t count;
    size_t capacity;
    struct staged *items;
};

struct commit_group;

struct catalog {
    struct catalog_store *store;
    struct tables *tables;
    struct catalog *ahead; /* what changes read: the same, of LAYER_AHEAD; NULL in that itself */
    const struct catalog *whole; /* itself; of `ahead` the one that has all below */
    struct catalog_network network;
    char region[CATALOG_NAME_SIZE];
    char account_id[CATALOG_NAME_SIZE];
    uint8_t session_secret[CATALOG_SESSION_SECRET_SIZE];
    bool has_session_secret; /* catalogs of format 1 have none until they are opened */
    _Atomic uint64_t generation;
    struct mutex change_lock;  /* held by the one change that decides; taken before tables->lock */
    pthread_cond_t committed;  /* with change_lock: a group is done */
    _Atomic pthread_t decider; /* the thread that decides, while `deciding` */
    _Atomic bool deciding;
    /* Guarded by change_lock: */
    bool broken;                    /* a write failed, so memory and disk may differ */
    struct commit_group *gathering; /* of changes whose write has not begun; NULL: none */
    struct commit_group *writing;   /* NULL: none */
};

/* entry.c */
MUST_CHECK int entry_new(enum entry_kind kind, struct entry **out_entry);
/* The entry whose node `slot` of this layer's this is. */
struct entry *entry_of_node(const struct catalog_index_node *node, enum layer layer, unsigned slot);
/* Fills in the keys that it is found by; before it is shown, and never again. */
void entry_set_keys(struct entry *entry);
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
/* Adds an entry and takes over the caller's reference; its keys must be set, and free. */
void tables_insert(struct tables *tables, struct entry *entry) REQUIRES(tables->lock);
/* Takes an entry out; the caller then owns the reference. */
void tables_remove(struct tables *tables, struct entry *entry) REQUIRES(tables->lock);

/* records.c */
/* Which entries of a table: those whose first key is `major` and whose second is greater than `after`; with `major`
 * NULL those whose first key is greater. */
struct range {
    enum table table;
    unsigned slot; /* of that table's node in an entry */
    const char *major;
    const char *after;
};
/* The entry whose node `slot` has this key in `table`, with a reference, or NULL. */
struct entry *tables_get(const struct catalog *catalog, enum table table, unsigned slot,
    const char *major, const char *minor);
/* Calls `add` with each entry of the range, at most `max`, each with a reference. Gives how many. */
size_t tables_list(const struct catalog *catalog, const struct range *range, size_t max,
    void (*add)(void *out_list, size_t i, const struct entry *entry), void *out_list);
/* The entry around a record that was given out, which is const only for those who got it. */
struct entry *entry_around(const void *record, size_t offset);

/* commit.c: groups of changes that are written together, and then shown. */
void staged_list_fini(struct staged_list *staged);
/* Errors: -ENOMEM. */
MUST_CHECK int staged_list_add(
    struct staged_list *staged, struct entry *before, struct entry *after);
/* Puts a change, whose records are encoded, into the group that gathers and into LAYER_AHEAD; takes what is in `staged`.
 * Errors: -ENOMEM, and nothing is changed. */
MUST_CHECK int commit_add(struct catalog *catalog, struct staged_list *staged)
    REQUIRES(catalog->change_lock);
/* Waits until all that was added is durable and shown, or has failed; the lock is let go of meanwhile. This thread may be
 * the one that writes. Errors: -EIO: the write failed; -EROFS: one before it did. */
MUST_CHECK int commit_wait(struct catalog *catalog) REQUIRES(catalog->change_lock);

/* identities.c */
const char *identity_kind_word(enum catalog_identity_kind kind);
MUST_CHECK int identity_kind_parse(const char *word, enum catalog_identity_kind *out_kind);
void identity_fold(const char *name, char out_folded[CATALOG_IAM_NAME_SIZE]);
/* Copies what it owns, too. Errors: -ENOMEM; identity_fini() is due all the same. */
MUST_CHECK int identity_copy(const struct catalog_identity *from, struct catalog_identity *to);
void identity_fini(struct catalog_identity *identity);

/* nets.c */
const char *net_kind_word(enum catalog_net_kind kind);
MUST_CHECK int net_kind_parse(const char *word, enum catalog_net_kind *out_kind);
/* Copies what it owns but the tags. Errors: -ENOMEM; net_fini() is due all the same. */
MUST_CHECK int net_copy(const struct catalog_net *from, struct catalog_net *to);
void net_fini(struct catalog_net *net);

/* codec_net.c */
/* NULL: no memory. */
json_t *net_pack(const struct catalog_net *net);
void net_unpack(const json_t *object, struct catalog_net *net, bool *ok);

/* codec_identity.c */
/* NULL: no memory. */
json_t *identity_pack(const struct catalog_identity *identity);
void identity_unpack(const json_t *object, struct catalog_identity *identity, bool *ok);

/* codec.c */
/* Taking fields: one that is missing leaves what was there; damage is noted in *ok. */
void codec_take_text(const json_t *object, const char *name, char *to, size_t size, bool *ok);
int64_t codec_take_int(const json_t *object, const char *name, int64_t min, int64_t max, bool *ok);
/* Tags, as a list of [key, value], which keeps their order. */
json_t *codec_pack_tags(const struct catalog_tags *tags);
void codec_take_tags(const json_t *object, const char *name, struct catalog_tags *tags, bool *ok);
/* The letter that the keys of this kind begin with on disk. */
char codec_letter(enum entry_kind kind);
/* The record as JSON; the caller frees *out_text. Errors: -ENOMEM. */
MUST_CHECK int codec_encode(const struct entry *entry, char **out_text);
/* Errors: -EBADMSG: not a record of this kind; -ENOMEM. */
MUST_CHECK int codec_decode(enum entry_kind kind, struct slice text, struct entry **out_entry);
MUST_CHECK int codec_encode_network(const struct catalog *catalog, char **out_text);
MUST_CHECK int codec_encode_session_secret(const struct catalog *catalog, char **out_text);
MUST_CHECK int codec_decode_session_secret(struct slice text, struct catalog *catalog);
/* Fills in network, region and account. Errors: -EBADMSG. */
MUST_CHECK int codec_decode_network(struct slice text, struct catalog *catalog);

/* network.c */
/* The network of a first start; its ids follow from region and account. */
void network_make(const char *region, const char *account_id, struct catalog_network *out_network);
/* The records of the default network: VPC, subnets, group, and the host 127.0.0.1 in it; calls `add` with each, which
 * takes it. Errors: -ENOMEM, and what `add` gives. */
MUST_CHECK int network_make_records(const struct catalog_network *network,
    int (*add)(void *context, struct entry *entry), void *context);
