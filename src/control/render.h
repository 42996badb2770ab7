/*
 * control/render.h - records as the API shows them. Each gives a new JSON object; NULL: out of memory.
 */
#pragma once

#include "control/api.h"

json_t *render_fs(const struct api_call *call, const struct catalog_fs *fs);
json_t *render_mount_target(const struct api_call *call, const struct catalog_mount_target *target);
json_t *render_access_point(const struct api_call *call, const struct catalog_access_point *point);
/* `count` tags from `first` on, as a list. */
json_t *render_tags(const struct catalog_tags *tags, size_t first, size_t count);

/* The metered size of a file system, EFS's way: 2 KiB for each object, 4 KiB for the root directory's data, and what
 * the files take (EFS: metering, "How Amazon EFS reports file system and object sizes"). */
uint64_t render_metered_bytes(const struct fs_space *space);
