/*
 * auth/key_store.h - the node's store of KMS keys: what wraps the data keys of encrypted file systems.
 *
 * A key has versions of 256 random bits, of which the newest wraps; all of them unwrap. Their material is kept wrapped by
 * the master key, a file of mode 0600 that may lie elsewhere, and is in clear only while it is used. Everything is one
 * file, replaced as a whole: a change is there or not. Format: docs/formats/key-store.md.
 *
 * Nothing is made before the first key is. Thread-safe; changes wait for the disk. Sources: KMS API 2014-11-01.
 */
#pragma once

#include "base/base.h"
#include "fs/volumes.h"

#define KEY_ID_SIZE         37u /* a UUID, with the NUL */
#define KEY_ALIAS_SIZE      257u
#define KEY_DESCRIPTION_MAX 8192u
#define KEY_TAGS_MAX        50u
#define KEY_TAG_KEY_SIZE    (4 * 128u + 1)
#define KEY_TAG_VALUE_SIZE  (4 * 256u + 1)
#define KEY_STORE_KEYS_MAX  1000u
#define KEY_STORE_REASON    512u
#define KEY_VERSIONS_MAX    256u
#define KEY_ALIAS_EFS       "alias/aws/elasticfilesystem"
#define KEY_DELETION_DAYS   30 /* until a key is deleted, if nobody says otherwise */
#define KEY_ROTATION_DAYS   365

enum key_state { KEY_ENABLED, KEY_DISABLED, KEY_PENDING_DELETION };

struct key_info {
    char id[KEY_ID_SIZE];
    enum key_state state;
    bool is_managed; /* made by the service itself, for its default alias */
    bool is_usable;  /* enabled, and the master key is there */
    bool rotates;    /* by itself, every rotation_days */
    uint32_t rotation_days;
    uint32_t version_count;
    uint32_t tag_count;
    int64_t created_ms;
    int64_t rotated_ms;  /* the last time, or made */
    int64_t deletion_ms; /* pending: when it goes */
};

struct key_alias {
    char name[KEY_ALIAS_SIZE]; /* "alias/..." */
    char key_id[KEY_ID_SIZE];
    int64_t created_ms;
    int64_t updated_ms;
};

struct key_tag {
    char key[KEY_TAG_KEY_SIZE];
    char value[KEY_TAG_VALUE_SIZE];
};

struct key_store;

/* `data_fd`: the data directory (borrowed), where the store is `keys/store`. `master_path`: where the master key is; NULL or
 * "": `keys/master-key`. A master key that is missing or another one is no error: it is logged, and no key is usable. Errors, with
 * `reason`: -EBADMSG: the store is damaged; -EPROTO: newer; or the system's. */
MUST_CHECK int key_store_open(
    int data_fd, const char *master_path, char *reason, struct key_store **out_store);
/* NULL is allowed. */
void key_store_close(struct key_store *store);
/* What backends wrap and unwrap with; valid as long as the store. */
const struct fs_keeper *key_store_keeper(struct key_store *store);

/* Errors of all that follows: -ENOENT: no such key or alias; -EKEYREVOKED: its state does not allow it, or the master key is
 * not there; -EPERM: not with a key of the service; -EEXIST; -ENOSPC: there are too many; the system's: nothing was
 * changed. */

struct key_create {
    const char *description;
    const struct key_tag *tags;
    uint32_t tag_count;
};
MUST_CHECK int key_store_create(struct key_store *store, const struct key_create *how,
    int64_t now_ms, char out_id[KEY_ID_SIZE]);
/* The key of the alias KEY_ALIAS_EFS, made now if need be. */
MUST_CHECK int key_store_provide_default(
    struct key_store *store, int64_t now_ms, char out_id[KEY_ID_SIZE]);
/* What an id or "alias/..." names. Errors: -ENOENT. */
MUST_CHECK int key_store_resolve(
    struct key_store *store, const char *name, char out_id[KEY_ID_SIZE]);
MUST_CHECK int key_store_get(struct key_store *store, const char *id, struct key_info *out_info);
/* The caller frees *out_text. */
MUST_CHECK int key_store_description(struct key_store *store, const char *id, char **out_text);
/* Up to `count` keys with ids above `after`, in order. */
size_t key_store_list(
    struct key_store *store, const char *after, size_t count, struct key_info *out_infos);
/* Up to `count` aliases with names above `after`, of one key or (NULL) all. */
size_t key_store_list_aliases(struct key_store *store, const char *key_id, const char *after,
    size_t count, struct key_alias *out_aliases);

/* Enabled, or disabled. */
MUST_CHECK int key_store_enable(struct key_store *store, const char *id, bool is_enabled);
MUST_CHECK int key_store_schedule_deletion(
    struct key_store *store, const char *id, int64_t deletion_ms);
/* Leaves it disabled. */
MUST_CHECK int key_store_cancel_deletion(struct key_store *store, const char *id);
/* A new version, that wraps from now on. */
MUST_CHECK int key_store_rotate(struct key_store *store, const char *id, int64_t now_ms);
MUST_CHECK int key_store_set_rotation(
    struct key_store *store, const char *id, bool rotates, uint32_t days);
MUST_CHECK int key_store_describe_as(struct key_store *store, const char *id, const char *text);
MUST_CHECK int key_store_alias_create(
    struct key_store *store, const char *name, const char *id, int64_t now_ms);
MUST_CHECK int key_store_alias_update(
    struct key_store *store, const char *name, const char *id, int64_t now_ms);
MUST_CHECK int key_store_alias_delete(struct key_store *store, const char *name);
/* Copies up to KEY_TAGS_MAX tags; gives how many. */
MUST_CHECK int key_store_tags(struct key_store *store, const char *id, struct key_tag *out_tags);
/* Adds or replaces; removes those whose key is listed. */
MUST_CHECK int key_store_tag(
    struct key_store *store, const char *id, const struct key_tag *tags, uint32_t count);
MUST_CHECK int key_store_untag(
    struct key_store *store, const char *id, const char *const *keys, uint32_t count);

/* Deletes what was pending long enough, rotates what is due. Gives whether something changed; then file systems are to
 * be told (fs_volumes_rekey). */
bool key_store_tick(struct key_store *store, int64_t now_ms);
