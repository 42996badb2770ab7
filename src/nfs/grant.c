/*
 * nfs/grant.c - asking the catalog about a connection: policies and access points (room: NFS).
 */
#include "nfs/grant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/audit.h"
#include "auth/decision.h"
#include "base/clock.h"
#include "base/log.h"
#include "nfs/status.h"

#define QUESTION_BYTES_MAX (256u * 1024u) /* texts of the conditions of one question */

static unsigned ask(struct auth_context *context, const struct policy *policy, const char *resource)
{
    static const struct {
        const char *action;
        enum nfs_right right;
    } actions[] = {
        { "elasticfilesystem:ClientMount", NFS_RIGHT_MOUNT },
        { "elasticfilesystem:ClientWrite", NFS_RIGHT_WRITE },
        { "elasticfilesystem:ClientRootAccess", NFS_RIGHT_ROOT },
    };
    unsigned rights = 0;
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        enum policy_verdict verdict = auth_decide(context, policy, actions[i].action, resource);
        /* EFS: without a policy every client may do everything, but for what its own policies deny. */
        if (verdict == POLICY_ALLOWS || (policy == NULL && verdict == POLICY_SILENT))
            rights |= actions[i].right;
    }
    return rights;
}

/* `access_arn` NULL: through no access point. */
static int find_context(struct auth_context *context, struct arena *arena,
    const struct nfs_conn *conn, const char *region, const char *access_arn)
{
    const struct mount_identity *identity = conn->identity;
    struct clock_time now = clock_wall();
    const struct auth_environment environment = { .peer = &conn->rpc->peer,
        .is_secure = conn->rpc->is_secure,
        .now_ms = now.seconds * 1000 + now.nanoseconds / 1000000,
        .region = region };
    int err = auth_context_init(
        context, arena, identity != NULL ? identity->principal : NULL, &environment);
    if (err == 0)
        err = auth_context_add(context, "elasticfilesystem:AccessedViaMountTarget",
            conn->at_target ? "true" : "false");
    if (err == 0 && access_arn != NULL)
        err = auth_context_add(context, "elasticfilesystem:AccessPointArn", access_arn);
    return err;
}

static unsigned ask_policy(const struct nfs_conn *conn, const struct nfs_volume *volume,
    const struct policy *policy, const struct catalog_access *access)
{
    const struct catalog *catalog = volume->server->options.catalog;
    struct auth_context context;
    struct arena arena;
    char resource[CATALOG_ARN_SIZE];
    char access_arn[CATALOG_ARN_SIZE];
    unsigned rights = 0;
    catalog_arn(catalog, "file-system", volume->fs_id, resource);
    if (access != NULL)
        catalog_arn(catalog, "access-point", access->id, access_arn);
    arena_init(&arena, QUESTION_BYTES_MAX);
    if (find_context(&context, &arena, conn, catalog_region(catalog),
            access != NULL ? access_arn : NULL) == 0)
        rights = ask(&context, policy, resource);
    arena_fini(&arena);
    return rights;
}

/* Looks again for who the client is. False: nobody any more. */
static bool refresh_identity(struct nfs_conn *conn, const struct catalog *catalog)
{
    struct mount_identity *identity = conn->identity;
    uint64_t generation = catalog_generation(catalog);
    if (identity == NULL || conn->identity_generation == generation)
        return !conn->is_revoked;
    int err = mount_identity_refresh(catalog, identity);
    if (err == -EACCES && !conn->is_revoked)
        LOG_WARN("a client's access key is not good any more, it gets in no longer",
            "conn=%" PRIu64 " fs=%s key=%s", conn->rpc->id, identity->fs_id, identity->key_id);
    conn->is_revoked = err < 0;
    if (err != -ENOMEM)
        conn->identity_generation = generation;
    return !conn->is_revoked;
}

static unsigned find_rights(
    struct nfs_conn *conn, const struct nfs_volume *volume, const struct catalog_access *access)
{
    const struct catalog *catalog = volume->server->options.catalog;
    char *json = NULL;
    struct policy *policy = NULL;
    char message[POLICY_MESSAGE_SIZE] = "no memory";
    if (!refresh_identity(conn, catalog))
        return 0;
    int err = catalog_fs_policy(catalog, volume->fs_id, &json);
    if (err == 0 && json != NULL)
        err = policy_parse(POLICY_OF_RESOURCE, slice_str(json), message, &policy);
    bool has_policy = json != NULL;
    free(json);
    if (err < 0) {
        LOG_ERROR("a file system's policy cannot be read, nobody gets in", "fs=%s reason=\"%s\"",
            volume->fs_id, message);
        return 0;
    }
    if (!has_policy && (conn->identity == NULL || conn->identity->principal == NULL))
        return NFS_RIGHT_ALL;
    unsigned rights = ask_policy(conn, volume, policy, access);
    policy_free(policy);
    return rights;
}

static int find_access(
    const struct nfs_volume *volume, uint64_t access_tag, struct catalog_access *out)
{
    int err = catalog_find_access(volume->server->options.catalog, access_tag, out);
    return err == 0 && strcmp(out->fs_id, volume->fs_id) != 0 ? -ENOENT : err;
}

static struct nfs_grant *grant_slot(
    struct nfs_conn *conn, const struct nfs_volume *volume, uint64_t access_tag)
{
    return &conn->grants[hash_u64(volume->tag ^ access_tag) % NFS_GRANTS];
}

static bool grant_is_for(const struct nfs_grant *grant, uint64_t fs_tag, uint64_t access_tag)
{
    return grant->fs_tag == fs_tag && grant->access_tag == access_tag;
}

/* Why a connection may not mount, in words that say what the policies were asked. */
static void note_refusal(struct nfs_conn *conn, const struct nfs_volume *volume,
    const char *principal, const char *access_point)
{
    char reason[REFUSAL_REASON_SIZE];
    if (conn->is_revoked) {
        (void)snprintf(reason, sizeof reason,
            "its certificate was refused, or its access key is not good any more");
    } else {
        (void)snprintf(reason, sizeof reason,
            "the policies do not allow elasticfilesystem:ClientMount to %.120s, %s TLS, through %s",
            principal != NULL ? principal : "an anonymous client",
            conn->rpc->is_secure ? "with" : "without",
            access_point != NULL ? access_point : "no access point");
    }
    view_note_refusal(volume->server, conn, REFUSED_MOUNT, volume->fs_id, reason);
}

/* Reports what a connection may do from now on. */
static void report_grant(struct nfs_conn *conn, const struct nfs_volume *volume,
    const struct nfs_grant *grant, const char *access_point)
{
    struct clock_time now = clock_wall();
    const struct principal *principal = conn->identity != NULL ? conn->identity->principal : NULL;
    audit_mount(volume->server->options.audit,
        &(struct audit_mount){ .now_ms = now.seconds * 1000 + now.nanoseconds / 1000000,
            .principal = principal != NULL ? principal->arn : NULL,
            .file_system = volume->fs_id,
            .access_point = access_point,
            .may_mount = (grant->rights & NFS_RIGHT_MOUNT) != 0,
            .may_write = (grant->rights & NFS_RIGHT_WRITE) != 0,
            .may_be_root = (grant->rights & NFS_RIGHT_ROOT) != 0,
            .reason = conn->is_revoked ? "the access key is not good any more" : "policies",
            .source = &conn->rpc->peer });
    if ((grant->rights & NFS_RIGHT_MOUNT) == 0)
        note_refusal(conn, volume, principal != NULL ? principal->arn : NULL, access_point);
}

/* Makes the grant anew. */
static const struct nfs_grant *grant_find(struct nfs_conn *conn, const struct nfs_volume *volume,
    uint64_t access_tag, uint64_t generation)
{
    struct nfs_grant *grant = grant_slot(conn, volume, access_tag);
    struct catalog_access access;
    bool is_known = grant_is_for(grant, volume->tag, access_tag);
    bool has_access = access_tag != 0;
    if (has_access && find_access(volume, access_tag, &access) < 0) {
        if (!is_known)
            return NULL;
        grant->generation = generation; /* EFS: connections that are there live on */
        return grant;
    }
    struct fs_node root = grant->root;
    bool has_root = is_known && grant->has_root;
    unsigned rights_before = is_known ? grant->rights : ~0u;
    *grant = (struct nfs_grant){ .fs_tag = volume->tag,
        .access_tag = access_tag,
        .generation = generation,
        .rights = find_rights(conn, volume, has_access ? &access : NULL),
        .has_root = has_root,
        .root = root };
    if (catalog_fs_is_read_only(volume->server->options.catalog, volume->fs_id))
        grant->rights &=
            ~(unsigned)NFS_RIGHT_WRITE; /* EFS: a replication's destination is read-only */
    if (!has_access) {
        grant->has_root = true;
        grant->root = volume->root;
    } else if (access.has_user) {
        grant->has_user = true;
        grant->uid = access.uid;
        grant->gid = access.gid;
        grant->group_count = access.group_count;
        memcpy(grant->groups, access.groups, sizeof grant->groups);
    }
    if (grant->rights != rights_before)
        report_grant(conn, volume, grant, has_access ? access.id : NULL);
    return grant;
}

const struct nfs_grant *nfs_grant(
    struct nfs_conn *conn, const struct nfs_volume *volume, uint64_t access_tag)
{
    const struct nfs_grant *grant = grant_slot(conn, volume, access_tag);
    uint64_t generation = catalog_generation(volume->server->options.catalog);
    if (LIKELY(grant->generation == generation && grant_is_for(grant, volume->tag, access_tag)))
        return grant;
    return grant_find(conn, volume, access_tag, generation);
}

/* ---- the root of an access point ---- */

/* The directory `name` of `dir`, made when it is missing and `access` says how. */
static int enter_directory(struct fs *fs, const struct catalog_access *access, bool may_make,
    struct slice name, struct fs_node *dir)
{
    const struct fs_cred root = { .uid = 0, .gid = 0 };
    struct fs_attr attr;
    int err = fs_lookup(fs, &root, *dir, name, &attr);
    if (err == -ENOENT && may_make && access->has_creation_info) {
        const struct fs_create how = { .type = FS_DIRECTORY,
            .attr = { .set_mode = true,
                .mode = access->mode,
                .set_uid = true,
                .uid = access->owner_uid,
                .set_gid = true,
                .gid = access->owner_gid } };
        struct fs_created created;
        err = fs_create(fs, &root, *dir, name, &how, &created);
        attr = created.attr;
        if (err == -EEXIST) /* another connection was faster */
            err = fs_lookup(fs, &root, *dir, name, &attr);
    }
    if (err == 0 && attr.type != FS_DIRECTORY)
        err = -ENOTDIR;
    if (err == 0)
        *dir = attr.node;
    return err;
}

static int walk_to_root(const struct nfs_volume *volume, const struct catalog_access *access,
    bool may_make, struct fs_node *out_root)
{
    struct fs_node dir = volume->root;
    int err = 0;
    for (const char *at = access->root_path; err == 0 && *at != '\0';) {
        size_t size = strcspn(at, "/");
        if (size > 0)
            err = enter_directory(volume->fs, access, may_make, slice_of(at, size), &dir);
        at += size;
        at += strspn(at, "/");
    }
    *out_root = dir;
    return err;
}

static bool limits_equal(const struct fs_quota_limits *a, const struct fs_quota_limits *b)
{
    return a->hard_bytes == b->hard_bytes && a->hard_entries == b->hard_entries &&
           a->soft_bytes == b->soft_bytes && a->soft_entries == b->soft_entries &&
           a->grace_s == b->grace_s;
}

/* The quota that the access point's tags ask for is on its root directory. */
static int see_to_quota(struct fs *fs, const struct catalog_access *access, struct fs_node root)
{
    struct fs_quota quota = { 0 };
    if (!access->has_quota || (fs->ops->caps & FS_CAP_QUOTAS) == 0)
        return 0;
    int err = fs_quota_get(fs, root, &quota);
    if (err == 0 && limits_equal(&quota.limits, &access->quota))
        return 0;
    return err < 0 && err != -ENODATA ? err : fs_quota_set(fs, root, &access->quota);
}

enum nfsstat4 nfs_grant_root(struct nfs_conn *conn, const struct nfs_volume *volume,
    uint64_t access_tag, bool may_make, struct fs_node *out_root)
{
    const struct nfs_grant *known = nfs_grant(conn, volume, access_tag);
    struct catalog_access access;
    if (known != NULL && known->has_root && (!may_make || access_tag == 0)) {
        *out_root = known->root;
        return NFS4_OK;
    }
    if (find_access(volume, access_tag, &access) < 0)
        return NFS4ERR_STALE;
    int err = walk_to_root(volume, &access, may_make, out_root);
    if (err == 0)
        err = see_to_quota(volume->fs, &access, *out_root);
    if (err == -ENOENT || err == -ENOTDIR) {
        LOG_WARN("an access point's root directory cannot be used",
            "fs=%s access_point=%s path=\"%s\" reason=\"%s\"", volume->fs_id, access.id,
            access.root_path,
            err == -ENOTDIR ? "it is no directory" : "it is missing, and there is no CreationInfo");
        view_note_refusal(volume->server, conn, REFUSED_MOUNT, volume->fs_id,
            err == -ENOTDIR ? "the access point's root is no directory"
                            : "the access point's root directory is missing, and it has no "
                              "CreationInfo to make it with");
        return NFS4ERR_ACCESS;
    }
    if (err < 0)
        return nfs_status(err);
    struct nfs_grant *grant =
        grant_slot(conn, volume, access_tag); /* another one may be there by now */
    if (grant_is_for(grant, volume->tag, access_tag)) {
        grant->has_root = true;
        grant->root = *out_root;
    }
    return NFS4_OK;
}
