/*
 * catalog/records.h - the control plane's half of the catalog: reading and changing records.
 *
 * A record that was read never changes: a change puts a new one in its place. So a reader holds a
 * reference, not a lock, and sees one consistent record. A change is made by a function that the
 * catalog calls while no other change runs; what it staged is written as one atomic batch, durable
 * before anyone can see it. Thread-safe. Reads answer from memory in O(log n). On-disk format:
 * docs/formats/catalog.md.
 */
#pragma once

#include "catalog/catalog.h"

#define CATALOG_TOKEN_BYTES         (4 * CATALOG_TOKEN_SIZE_MAX + 1) /* that many characters of UTF-8 */
#define CATALOG_NAME_SIZE           64
#define CATALOG_SECURITY_GROUPS_MAX 5
#define CATALOG_ZONES_MAX           6
#define CATALOG_REASON_SIZE         512
#define CATALOG_ROLE_ARN_SIZE       128
#define CATALOG_POLICY_SIZE_MAX     20000 /* EFS: "File system policy size limit" */

/* One enum for all kinds, as in the API: LifeCycleState. */
enum catalog_state {
    CATALOG_CREATING,
    CATALOG_AVAILABLE,
    CATALOG_UPDATING,
    CATALOG_DELETING,
    CATALOG_ERROR,
};

enum catalog_performance { CATALOG_GENERAL_PURPOSE, CATALOG_MAX_IO };
enum catalog_throughput { CATALOG_BURSTING, CATALOG_PROVISIONED, CATALOG_ELASTIC };

/* The names that the API uses. */
const char *catalog_state_name(enum catalog_state state);
const char *catalog_performance_name(enum catalog_performance mode);
const char *catalog_throughput_name(enum catalog_throughput mode);
/* Errors: -EINVAL. */
MUST_CHECK int catalog_performance_parse(const char *name, enum catalog_performance *out_mode);
MUST_CHECK int catalog_throughput_parse(const char *name, enum catalog_throughput *out_mode);

struct catalog_tag {
    char *key;
    char *value;
};

struct catalog_tags {
    size_t count;
    struct catalog_tag *items; /* in the order in which they were first set */
};

/* The value, or NULL. */
const char *catalog_tags_find(const struct catalog_tags *tags, const char *key);
/* Adds or replaces one. Errors: -ENOMEM, and nothing is changed. */
MUST_CHECK int catalog_tags_set(struct catalog_tags *tags, const char *key, const char *value);
/* Whether there was one. */
bool catalog_tags_remove(struct catalog_tags *tags, const char *key);
void catalog_tags_fini(struct catalog_tags *tags);
/* How many count towards CATALOG_TAGS_MAX: all but the system's, which begin with "aws:". */
size_t catalog_tags_user_count(const struct catalog_tags *tags);
/* What CATALOG_PROFILE_TAG says. */
enum catalog_profile catalog_tags_profile(const struct catalog_tags *tags);
/* The quota that the tags of an access point ask for, for its root directory: shoal:quota-bytes, shoal:quota-entries,
 * shoal:quota-soft-bytes, shoal:quota-soft-entries (numbers as text_parse_size() takes them) and shoal:quota-grace-days; a
 * '.' may stand for the ':'. Gives 1; or 0: there are none. Errors: -EINVAL: a value is no such number. */
MUST_CHECK int catalog_tags_quota(
    const struct catalog_tags *tags, struct fs_quota_limits *out_limits);
/* Whether this is the key of such a tag. */
bool catalog_tags_is_quota(const char *key);

/* One policy of a lifecycle configuration. */
enum catalog_transition { CATALOG_TO_IA, CATALOG_TO_ARCHIVE, CATALOG_TO_PRIMARY };
#define CATALOG_TRANSITIONS_MAX 3

struct catalog_lifecycle {
    size_t count;
    struct {
        enum catalog_transition transition;
        uint32_t days; /* without access; 0 for CATALOG_TO_PRIMARY, which the first access makes */
    } policies[CATALOG_TRANSITIONS_MAX]; /* in the order in which they were put */
};

/* The automatic backup of a file system. A record of what was asked for: no backup is made yet. */
enum catalog_backup {
    CATALOG_BACKUP_NONE, /* never set */
    CATALOG_BACKUP_ENABLING,
    CATALOG_BACKUP_ENABLED,
    CATALOG_BACKUP_DISABLING,
    CATALOG_BACKUP_DISABLED,
};
#define CATALOG_BACKUP_TAG "aws:elasticfilesystem:default-backup" /* "enabled" while it is */

/* A file system's side of a replication, of which it is in one at most. Nothing is copied yet: CATALOG_REPLICATION_ERROR
 * is what it comes to. */
enum catalog_replication_status {
    CATALOG_REPLICATION_NONE,
    CATALOG_REPLICATION_ENABLING,
    CATALOG_REPLICATION_ERROR,
    CATALOG_REPLICATION_DELETING,
};

struct catalog_replication {
    enum catalog_replication_status status; /* the same on both sides */
    bool is_destination;                    /* read-only for as long as it is one */
    char peer_id[CATALOG_ID_SIZE];          /* the file system on the other side */
    char original_id[CATALOG_ID_SIZE];      /* OriginalSourceFileSystemArn: the first source */
    char role_arn[CATALOG_ROLE_ARN_SIZE];   /* as given; empty: none */
    int64_t created_ms;
};

#define CATALOG_KMS_KEY_SIZE 37 /* a UUID, with the NUL */

struct catalog_fs {
    char id[CATALOG_ID_SIZE];
    char creation_token[CATALOG_TOKEN_BYTES];
    char zone_name[CATALOG_NAME_SIZE]; /* of a One Zone file system; else empty */
    enum catalog_state state;
    enum catalog_performance performance;
    enum catalog_throughput throughput;
    double provisioned_mibps;  /* in CATALOG_PROVISIONED only; else 0 */
    int64_t provisioned_at_ms; /* when that mode was entered or its amount changed; 0: never */
    bool overwrite_protected;  /* ReplicationOverwriteProtection */
    enum catalog_backup backup;
    struct catalog_lifecycle lifecycle;
    struct catalog_replication replication;
    char kms_key[CATALOG_KMS_KEY_SIZE]; /* the key that encrypts it; "": it is not encrypted */
    int64_t created_ms;                 /* since 1970, as all times here */
    uint64_t size_bytes;                /* metered size at the last sample */
    int64_t size_sampled_ms;
    char *policy; /* the file system policy, as it was put: JSON; NULL: none. Owned by the record */
    struct catalog_tags tags;
};

struct catalog_mount_target {
    char id[CATALOG_ID_SIZE];
    char fs_id[CATALOG_ID_SIZE];
    char subnet_id[CATALOG_ID_SIZE];
    char interface_id[CATALOG_ID_SIZE];
    enum catalog_state state;
    struct in_addr address;
    int64_t created_ms;
    size_t security_group_count;
    char security_groups[CATALOG_SECURITY_GROUPS_MAX][CATALOG_ID_SIZE];
};

struct catalog_access_point {
    char id[CATALOG_ID_SIZE];
    char fs_id[CATALOG_ID_SIZE];
    char client_token[CATALOG_TOKEN_BYTES];
    enum catalog_state state;
    int64_t created_ms;
    bool has_posix_user;
    uint32_t uid;
    uint32_t gid;
    size_t secondary_gid_count;
    uint32_t secondary_gids[CATALOG_SECONDARY_GIDS_MAX];
    char root_path[CATALOG_ROOT_PATH_BYTES];
    bool has_creation_info;
    uint32_t owner_uid;
    uint32_t owner_gid;
    char permissions[5]; /* octal digits, as given */
    struct catalog_tags tags;
};

struct catalog_key {
    char id[CATALOG_ID_SIZE];
    char secret[CATALOG_NAME_SIZE];
    char user_id
        [CATALOG_ID_SIZE]; /* catalog/identities.h; "": the account's root, the administrator */
    bool is_inactive;
    int64_t created_ms;
    int64_t used_ms; /* last use, to about a quarter of an hour; 0: never */
    char used_service[CATALOG_NAME_SIZE];
};

/* The default network. Made at the first start; never changes while the catalog is open, so it is
 * borrowed. It and what is made later stands in records (catalog/nets.h), too. */
struct catalog_zone {
    char name[CATALOG_NAME_SIZE]; /* us-east-1a */
    char id[CATALOG_NAME_SIZE];   /* use1-az1 */
};

struct catalog_subnet {
    char id[CATALOG_ID_SIZE];
    char vpc_id[CATALOG_ID_SIZE];
    struct in_addr base;
    unsigned prefix_bits;
    const struct catalog_zone *zone;
};

struct catalog_network {
    char vpc_id[CATALOG_ID_SIZE];
    char security_group_id[CATALOG_ID_SIZE]; /* the VPC's default group */
    struct in_addr base;
    unsigned prefix_bits;
    size_t zone_count; /* one subnet in each */
    struct catalog_zone zones[CATALOG_ZONES_MAX];
    struct catalog_subnet subnets[CATALOG_ZONES_MAX];
};

struct catalog_options {
    const char *path;       /* the directory; made when it is missing */
    const char *region;     /* the catalog keeps what it was made with and refuses another */
    const char *account_id; /* likewise; 12 digits */
};

/* Opens or makes the catalog. On failure `reason` (of CATALOG_REASON_SIZE bytes) says in a sentence
 * why, and what to do. Errors: -EBUSY: another process has it; -EPROTO: written by a newer release;
 * -EBADMSG: damaged; -EINVAL: made for another region or account; -EIO. */
MUST_CHECK int catalog_open(
    const struct catalog_options *options, char *reason, struct catalog **out_catalog);
/* No reference may be held any more. NULL is allowed. */
void catalog_close(struct catalog *catalog);
/* As given to catalog_open(). */
const char *catalog_region(const struct catalog *catalog);
const char *catalog_account_id(const struct catalog *catalog);

const struct catalog_network *catalog_network(const struct catalog *catalog);
/* NULL when there is none. */
const struct catalog_zone *catalog_zone_find(
    const struct catalog_network *network, const char *name);
/* Whether the address is one that a target in the subnet may have: the first four and the last are
 * reserved, as in every VPC. */
bool catalog_subnet_has(const struct catalog_subnet *subnet, struct in_addr address);
/* How many addresses of the subnet are neither reserved nor taken. */
unsigned catalog_subnet_free_count(
    const struct catalog *catalog, const struct catalog_subnet *subnet);
/* The lowest free address. Errors: -ENOSPC. */
MUST_CHECK int catalog_subnet_pick(const struct catalog *catalog,
    const struct catalog_subnet *subnet, struct in_addr *out_address);

/* Each gives a reference, or NULL when there is none; give it back with the _put of its kind (NULL
 * is allowed). */
const struct catalog_fs *catalog_fs_get(const struct catalog *catalog, const char *id);
const struct catalog_fs *catalog_fs_get_by_token(const struct catalog *catalog, const char *token);
void catalog_fs_put(const struct catalog_fs *fs);
const struct catalog_mount_target *catalog_mount_target_get(
    const struct catalog *catalog, const char *id);
const struct catalog_mount_target *catalog_mount_target_get_by_address(
    const struct catalog *catalog, struct in_addr address);
void catalog_mount_target_put(const struct catalog_mount_target *target);
const struct catalog_access_point *catalog_access_point_get(
    const struct catalog *catalog, const char *id);
const struct catalog_access_point *catalog_access_point_get_by_token(
    const struct catalog *catalog, const char *fs_id, const char *token);
void catalog_access_point_put(const struct catalog_access_point *point);
const struct catalog_key *catalog_key_get(const struct catalog *catalog, const char *id);
void catalog_key_put(const struct catalog_key *key);

/* Lists: references to up to `max` records whose id is greater than `after_id` ("": from the
 * first), in the order of ids. `fs_id` NULL: of all file systems. Gives how many. */
size_t catalog_fs_list(const struct catalog *catalog, const char *after_id, size_t max,
    const struct catalog_fs **out_list);
size_t catalog_mount_target_list(const struct catalog *catalog, const char *fs_id,
    const char *after_id, size_t max, const struct catalog_mount_target **out_list);
size_t catalog_access_point_list(const struct catalog *catalog, const char *fs_id,
    const char *after_id, size_t max, const struct catalog_access_point **out_list);
size_t catalog_key_list(const struct catalog *catalog, const char *after_id, size_t max,
    const struct catalog_key **out_list);

/* Call `visit` with each record, in the order of ids, until it gives false. `fs_id` as above. No lock is held meanwhile. */
void catalog_fs_each(const struct catalog *catalog,
    bool (*visit)(void *context, const struct catalog_fs *fs), void *context);
void catalog_mount_target_each(const struct catalog *catalog, const char *fs_id,
    bool (*visit)(void *context, const struct catalog_mount_target *target), void *context);
void catalog_access_point_each(const struct catalog *catalog, const char *fs_id,
    bool (*visit)(void *context, const struct catalog_access_point *point), void *context);

size_t catalog_fs_count(const struct catalog *catalog);
/* Of one file system; NULL: of all. */
size_t catalog_mount_target_count(const struct catalog *catalog, const char *fs_id);
/* Of one file system; O(log n). */
size_t catalog_access_point_count(const struct catalog *catalog, const char *fs_id);

struct catalog_change;

/* Makes a change: calls `make`, and when that gives 0 writes what it staged, as one batch, perhaps together with other
 * changes; it is durable on return. While `make` runs, no other change decides. It reads catalog_changing(), which shows
 * what was decided before it and not what it stages itself; it may neither wait nor begin another change. Errors: what
 * `make` gave, and nothing is changed; -ENOMEM; -EIO: the disk failed, and the catalog refuses all further changes (-EROFS). */
MUST_CHECK int catalog_change(struct catalog *catalog,
    int (*make)(struct catalog_change *change, void *context), void *context);

/* For use by `make`: the catalog to read, also where the caller has another at hand, which does not show yet what is being
 * written. Borrowed for the change. */
struct catalog *catalog_changing(const struct catalog_change *change);

/* For use by `make`: replaces the policy of a record that is staged; NULL: none from now on.
 * Errors: -ENOMEM, and nothing is changed. */
MUST_CHECK int catalog_fs_set_policy(struct catalog_fs *fs, const char *policy);

/* For use by `make` only, at most one of add, edit and remove per record.
 * Add: stages a new record, all zero, that `make` fills in; its keys (id, token, address) must be
 * free. Edit: stages a copy of a record, whose fields (but not the id and file system) `make` may
 * change. Errors: -ENOENT, -ENOMEM. */
MUST_CHECK int catalog_add_fs(struct catalog_change *change, struct catalog_fs **out_fs);
MUST_CHECK int catalog_edit_fs(
    struct catalog_change *change, const char *id, struct catalog_fs **out_fs);
MUST_CHECK int catalog_remove_fs(struct catalog_change *change, const char *id);
MUST_CHECK int catalog_add_mount_target(
    struct catalog_change *change, struct catalog_mount_target **out_target);
MUST_CHECK int catalog_edit_mount_target(
    struct catalog_change *change, const char *id, struct catalog_mount_target **out_target);
MUST_CHECK int catalog_remove_mount_target(struct catalog_change *change, const char *id);
MUST_CHECK int catalog_add_access_point(
    struct catalog_change *change, struct catalog_access_point **out_point);
MUST_CHECK int catalog_edit_access_point(
    struct catalog_change *change, const char *id, struct catalog_access_point **out_point);
MUST_CHECK int catalog_remove_access_point(struct catalog_change *change, const char *id);
MUST_CHECK int catalog_add_key(struct catalog_change *change, struct catalog_key **out_key);
MUST_CHECK int catalog_remove_key(struct catalog_change *change, const char *id);
