/*
 * catalog/access.c - access points, as the data plane asks for them (room: catalog).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "catalog/records.h"

#define TAG_PREFIX_SIZE (sizeof "fsap-" - 1 + 16)

static void describe(const struct catalog_access_point *point, struct catalog_access *out)
{
    *out = (struct catalog_access){ .has_user = point->has_posix_user,
        .uid = point->uid,
        .gid = point->gid,
        .group_count = (uint32_t)point->secondary_gid_count,
        .has_creation_info = point->has_creation_info,
        .owner_uid = point->owner_uid,
        .owner_gid = point->owner_gid,
        .mode = (uint32_t)strtoul(point->permissions, NULL, 8) };
    out->has_quota = catalog_tags_quota(&point->tags, &out->quota) == 1;
    memcpy(out->groups, point->secondary_gids, sizeof out->groups);
    memcpy(out->id, point->id, sizeof out->id);
    memcpy(out->root_path, point->root_path, sizeof out->root_path);
    int err = text_copy(out->fs_id, sizeof out->fs_id, point->fs_id);
    assert(err == 0); /* ids of file systems are as long */
}

int catalog_find_access(
    const struct catalog *catalog, uint64_t tag, struct catalog_access *out_access)
{
    char prefix[CATALOG_ID_SIZE];
    const struct catalog_access_point *point = NULL;
    int err = -ENOENT;
    (void)snprintf(prefix, sizeof prefix, "fsap-%016llx", (unsigned long long)tag);
    /* One more digit follows, and everything that begins so comes right behind it in the order of ids. */
    if (catalog_access_point_list(catalog, NULL, prefix, 1, &point) == 0)
        return -ENOENT;
    if (strncmp(point->id, prefix, TAG_PREFIX_SIZE) == 0 && point->state == CATALOG_AVAILABLE) {
        describe(point, out_access);
        err = 0;
    }
    catalog_access_point_put(point);
    return err;
}
