/*
 * auth/key_store_internal.h - the key store in memory; shared by key_store.c, key_store_file.c and key_store_read.c.
 */
#pragma once

#include "auth/key_store.h"
#include "auth/key_wrap.h"
#include "base/lock.h"

struct key_version {
    int64_t created_ms;
    uint8_t wrapped[KEY_WRAP_BYTES];
};

struct key_record {
    struct key_info info; /* without is_usable */
    char *description;
    struct key_tag *tags;         /* info.tag_count */
    struct key_version *versions; /* info.version_count; the newest last */
};

/* Everything; keys by id, aliases by name, both in order. */
struct key_table {
    struct key_record *keys;
    struct key_alias *aliases;
    size_t key_count;
    size_t alias_count;
    bool has_check; /* made with a master key: */
    uint8_t check[KEY_WRAP_BYTES];
};

struct key_store {
    struct fs_keeper keeper;
    struct mutex lock; /* of all that follows */
    int dir_fd;        /* of keys/; -1: not made yet */
    int data_fd;
    char *master_path; /* NULL: in keys/ */
    struct key_table table;
    bool has_master;
    uint8_t master[KEY_BYTES];
};

/* key_store_file.c: reading and writing. */

void key_table_fini(struct key_table *table);
/* A copy that shares nothing. Errors: -ENOMEM. */
MUST_CHECK int key_table_copy(const struct key_table *from, struct key_table *out_table);
void key_record_fini(struct key_record *record);
/* Errors: -ENOENT: there is none; -EBADMSG, -EPROTO. */
MUST_CHECK int key_table_read(int dir_fd, struct key_table *out_table);
MUST_CHECK int key_table_write(int dir_fd, const struct key_table *table);
/* Reads the master key, or makes it. Errors: -ENOENT; -EBADMSG: it is of another form. */
MUST_CHECK int key_master_read(const struct key_store *store, uint8_t out_master[KEY_BYTES]);
MUST_CHECK int key_master_make(const struct key_store *store, uint8_t out_master[KEY_BYTES]);

/* NULL: no such key, alias. */
struct key_record *key_table_find(const struct key_table *table, const char *id);
struct key_alias *key_table_find_alias(const struct key_table *table, const char *name);
/* What the master key wraps a version of a key with. */
struct slice key_binding(const char *id, uint32_t version, char buffer[96]);

/* key_store.c: makes a change in a copy of the table, which takes the table's place once it is on the disk; what `make`
 * gives below 0 changes nothing. */
typedef int key_store_make(struct key_store *store, struct key_table *table, void *context);
MUST_CHECK int key_store_change(struct key_store *store, key_store_make *make, void *context);
/* Adds a version, which wraps from now on. Within a change. */
MUST_CHECK int key_record_add_version(
    struct key_store *store, struct key_record *record, int64_t now_ms);
/* In its place. Errors: -ENOSPC, -ENOMEM. */
MUST_CHECK int key_table_add_alias(struct key_table *table, const struct key_alias *alias);
