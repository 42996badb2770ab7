/*
 * catalog/catalog.h - the records of the control plane: file systems, mount targets, access points,
 * keys.
 *
 * Every change is one atomic batch, durable on return. Reads answer from memory. Thread-safe. The
 * NFS server reads it to learn which file system an address serves; it learns of changes by
 * catalog_generation().
 */
#pragma once

#include <netinet/in.h>
#include <stdlib.h>

#include "base/base.h"
#include "fs/volumes.h"

#define CATALOG_TOKEN_SIZE_MAX 64
#define CATALOG_TAGS_MAX       50
#define CATALOG_ID_SIZE        48 /* any resource id, with the NUL */

struct catalog;

/* What the data plane needs to know of a mount target. */
struct catalog_export {
    char fs_id[FS_ID_SIZE];
    char mount_target_id[CATALOG_ID_SIZE];
};

/* The `available` mount target at this local address. Errors: -ENOENT. Takes no lock for long: a
 * few hundred ns. */
MUST_CHECK int catalog_find_export(
    const struct catalog *catalog, struct in_addr address, struct catalog_export *out_export);
/* Whether the security groups of the mount target at `local` let this peer in (guard.c); an address without a mount
 * target has none that could refuse. A microsecond or two. */
bool catalog_admits(
    const struct catalog *catalog, struct in_addr local, const struct sockaddr_storage *from);
/* Whether the file system exists and is `available`: 0, or -ENOENT. */
MUST_CHECK int catalog_check_fs(const struct catalog *catalog, const char *fs_id);
/* How a file system behaves over NFS. */
enum catalog_profile {
    CATALOG_PROFILE_DEFAULT,  /* its record says nothing: what option nfs.profile says */
    CATALOG_PROFILE_EXTENDED, /* all that the server can do */
    CATALOG_PROFILE_STRICT,   /* exactly what EFS does, with its limits */
};

/* The tag of a file system that says so: "extended" or "strict". The API refuses other values. */
#define CATALOG_PROFILE_TAG   "shoal:profile"
/* Which snapshots of a file system are made and kept: fs/retention.h. */
#define CATALOG_SNAPSHOTS_TAG "shoal:snapshots"

const char *catalog_profile_name(enum catalog_profile profile);
/* "extended" or "strict". Errors: -EINVAL. */
MUST_CHECK int catalog_profile_parse(const char *name, enum catalog_profile *out_profile);
/* What the file system's record says; CATALOG_PROFILE_DEFAULT also when there is none. */
enum catalog_profile catalog_fs_profile(const struct catalog *catalog, const char *fs_id);

/* Whether nobody may write to it, because it is the destination of a replication. */
bool catalog_fs_is_read_only(const struct catalog *catalog, const char *fs_id);

/* The file system's policy, a copy that the caller frees; NULL: it has none. Errors: -ENOMEM. */
MUST_CHECK int catalog_fs_policy(
    const struct catalog *catalog, const char *fs_id, char **out_policy);

/* The ARN of one of our resources: `kind` is "file-system" or "access-point". */
#define CATALOG_ARN_SIZE 256
void catalog_arn(const struct catalog *catalog, const char *kind, const char *id,
    char out_arn[CATALOG_ARN_SIZE]);

#define CATALOG_ROOT_PATH_BYTES    (4 * 100 + 1) /* 100 characters */
#define CATALOG_SECONDARY_GIDS_MAX 16

/* What the data plane needs to know of an access point. */
struct catalog_access {
    char id[CATALOG_ID_SIZE];
    char fs_id[FS_ID_SIZE];
    bool has_user; /* uid, gid and groups take the place of the client's */
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count;
    uint32_t groups[CATALOG_SECONDARY_GIDS_MAX];
    char root_path[CATALOG_ROOT_PATH_BYTES]; /* from "/" */
    bool has_creation_info; /* how directories of the path are made that are missing */
    uint32_t owner_uid;
    uint32_t owner_gid;
    uint32_t mode;
    bool has_quota; /* tags ask for one on its root directory */
    struct fs_quota_limits quota;
};

/* The number that stands for an access point in filehandles: the first 16 of the 17 hex digits of its id. 0: `id` is
 * not that of an access point. */
static inline uint64_t catalog_access_tag(const char *id)
{
    char digits[17];
    if (strncmp(id, "fsap-", 5) != 0 || strlen(id) != 5 + 17 ||
        strspn(id + 5, "0123456789abcdef") != 17)
        return 0;
    memcpy(digits, id + 5, 16);
    digits[16] = '\0';
    return strtoull(digits, NULL, 16);
}

/* The available access point with this tag. Errors: -ENOENT. Takes no lock for long. O(log n). */
MUST_CHECK int catalog_find_access(
    const struct catalog *catalog, uint64_t tag, struct catalog_access *out_access);

/* Calls `emit` with the id of each available file system, in the order of ids. */
void catalog_each_fs(
    const struct catalog *catalog, bool (*emit)(void *context, const char *fs_id), void *context);
/* Grows with every change of what the functions above answer. */
uint64_t catalog_generation(const struct catalog *catalog);

/* The control plane's half of this interface stands in catalog/records.h. */
