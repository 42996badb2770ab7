/*
 * mount/conf.c - reading efs-utils.conf with libinih (room: mount).
 */
#include "mount/conf.h"

#include <ini.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/text.h"

#define FILE_SIZE_MAX  ((size_t)1 << 20)
#define DEFAULT_FORMAT "{az}.{fs_id}.efs.{region}.{dns_name_suffix}"

struct reading {
    const char *section;
    struct efs_conf *conf;
};

static int take(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    struct efs_conf *conf = reading->conf;
    const struct {
        const char *name;
        char *to;
    } keys[] = { { "region", conf->region }, { "dns_name_suffix", conf->suffix },
        { "dns_name_format", conf->name_format }, { "stunnel_cafile", conf->ca_file } };
    if (strcmp(section, reading->section) != 0)
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(name, keys[i].name) == 0 && text_copy(keys[i].to, CONF_TEXT_SIZE, value) < 0)
            return 0;
    }
    return 1;
}

static int parse_section(const char *text, const char *section, struct efs_conf *conf)
{
    struct reading reading = { .section = section, .conf = conf };
    int line = ini_parse_string(text, take, &reading);
    if (line == 0)
        return 0;
    return line < -1 ? -ENOMEM : -EINVAL;
}

int conf_parse(const char *text, const char *region, struct efs_conf *out_conf)
{
    char section[CONF_TEXT_SIZE + 8];
    size_t used = 0;
    *out_conf = (struct efs_conf){ 0 };
    int err = parse_section(text, "mount", out_conf);
    if (err == 0)
        err = text_append(section, sizeof section, &used, "mount.%s",
            region[0] != '\0' ? region : out_conf->region);
    return err < 0 ? err : parse_section(text, section, out_conf);
}

int conf_read(const char *path, const char *region, struct efs_conf *out_conf)
{
    char *text = NULL;
    int err = sys_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &text);
    if (err < 0)
        return err;
    err = conf_parse(text, region, out_conf);
    free(text);
    return err;
}

int conf_dns_name(const struct efs_conf *conf, const char *az, const char *file_system,
    char *out_name, size_t size)
{
    const struct {
        const char *name;
        const char *value;
    } places[] = { { "{az}.", az }, { "{az}", az }, { "{fs_id}", file_system },
        { "{region}", conf->region }, { "{dns_name_suffix}", conf->suffix } };
    const char *at = conf->name_format[0] != '\0' ? conf->name_format : DEFAULT_FORMAT;
    size_t used = 0;
    out_name[0] = '\0';
    while (*at != '\0') {
        size_t i = 0;
        while (i < ARRAY_SIZE(places) && strncmp(at, places[i].name, strlen(places[i].name)) != 0)
            i++;
        bool is_place = i < ARRAY_SIZE(places);
        if (!is_place && *at == '{')
            return -EINVAL;
        bool has_dot = i == 0 && az[0] != '\0';
        if (text_append(out_name, size, &used, "%.*s%s", is_place ? 512 : 1,
                is_place ? places[i].value : at, has_dot ? "." : "") < 0)
            return -ENOSPC;
        at += is_place ? strlen(places[i].name) : 1;
    }
    return 0;
}
