/*
 * cli/default_fs.h - the file system that `shoal up` sees to: "default", with a mount target in each zone.
 */
#pragma once

#include "cli/api.h"

struct default_target {
    char id[64];
    char ip[16];
    char zone[64];
};

struct default_fs {
    char id[64];
    size_t target_count; /* in the order of zones */
    struct default_target targets[INSTANCE_SUBNETS_MAX];
};

/* Finds or makes it through the EFS API, and waits until all of it is available. Gives CLI_OK, or the exit code
 * after the sentence. */
MUST_CHECK int default_fs_ensure(const struct api *api, struct default_fs *out_fs);
