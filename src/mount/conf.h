/*
 * mount/conf.h - /etc/amazon/efs/efs-utils.conf: what its owner has set up for `mount -t efs` counts for us, too.
 *
 * Read are dns_name_suffix, dns_name_format, region and stunnel_cafile of [mount], and of [mount.REGION], which count more.
 * Source: amazon-efs-utils 3.2.0, dist/efs-utils.conf and src/efs_utils_common/config_utils.py.
 */
#pragma once

#include "base/base.h"

#define CONF_PATH      "/etc/amazon/efs/efs-utils.conf"
#define CONF_TEXT_SIZE 1024

struct efs_conf {
    char region[CONF_TEXT_SIZE];
    char suffix[CONF_TEXT_SIZE];
    char name_format[CONF_TEXT_SIZE]; /* "{az}.{fs_id}.efs.{region}.{dns_name_suffix}" */
    char ca_file[CONF_TEXT_SIZE];
};

/* Parses the text for a region ("": that of the file itself). Errors: -EINVAL: not of that form; -ENOMEM. */
MUST_CHECK int conf_parse(const char *text, const char *region, struct efs_conf *out_conf);
/* The same of a file. Errors also: the system's (-ENOENT: efs-utils is not set up here), -EFBIG. */
MUST_CHECK int conf_read(const char *path, const char *region, struct efs_conf *out_conf);
/* The name in DNS of a file system, by the format of efs-utils ("": its default); `az` may be "". Errors: -ENOSPC, -EINVAL. */
MUST_CHECK int conf_dns_name(const struct efs_conf *conf, const char *az, const char *file_system,
    char *out_name, size_t size);
