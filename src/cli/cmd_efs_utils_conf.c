/*
 * cli/cmd_efs_utils_conf.c - shoal efs-utils-conf: makes unmodified amazon-efs-utils mount from this service (room: cli).
 *
 * Three values of its configuration are enough: the end of DNS names, the region, and the authority to trust. They are
 * set in [mount], and in [mount.REGION] where the file has such a section, which would count more. The file is replaced
 * whole or not at all, keeps its mode, and is kept once as it was; saying it again changes nothing.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "auth/ca.h"
#include "base/sys.h"
#include "cli/cli.h"
#include "cli/efs_conf.h"
#include "cli/instance.h"

#define DIRECTORY     "/etc/amazon/efs"
#define CONF_NAME     "efs-utils.conf"
#define BACKUP_NAME   "efs-utils.conf.before-shoal"
#define CA_NAME       "shoal-ca.pem"
#define CA_PATH       DIRECTORY "/" CA_NAME
#define FILE_SIZE_MAX (1u << 20)
#define SETTINGS_MAX  5

struct setting {
    const char *key;
    const char *value;
};

static void print_settings(const struct instance *instance, const struct setting settings[])
{
    (void)printf("# For %s/%s; shoal efs-utils-conf --install puts it there.\n[mount]\n", DIRECTORY,
        CONF_NAME);
    for (size_t i = 0; settings[i].key != NULL; i++)
        (void)printf("%s = %s\n", settings[i].key, settings[i].value);
    (void)printf("# %s is a copy of %s/" CA_CERTIFICATE_FILE_NAME " (shoal ca export).\n"
                 "# Then: mount -t efs -o tls FILE_SYSTEM_ID /mnt, where DNS knows "
                 "FILE_SYSTEM_ID.efs.%s.%s (shoal hosts),\n"
                 "# or with -o tls,mounttargetip=ADDRESS. For -o iam, the keys of `shoal env` "
                 "belong into ~/.aws/credentials.\n",
        CA_PATH, instance->data, instance->region, instance->suffix);
}

/* All settings, in [mount] and, where it is there, in the region's section. */
static int change_text(
    const char *text, const char *region, const struct setting settings[], char **out_text)
{
    char of_region[128];
    (void)snprintf(of_region, sizeof of_region, "mount.%s", region);
    const char *sections[] = { "mount", of_region };
    char *now = strdup(text);
    int err = now == NULL ? -ENOMEM : 0;
    for (size_t s = 0; err == 0 && s < ARRAY_SIZE(sections); s++) {
        if (s > 0 && !efs_conf_has_section(now, sections[s]))
            continue;
        for (size_t i = 0; err == 0 && settings[i].key != NULL; i++) {
            char *next = NULL;
            err = efs_conf_set(now, sections[s], settings[i].key, settings[i].value, &next);
            if (err == 0) {
                free(now);
                now = next;
            }
        }
    }
    if (err < 0)
        free(now);
    else
        *out_text = now;
    return err;
}

/* Replaces the file when it differs, after it was kept once. *out_changed: whether it did. */
static int replace(int dir_fd, const char *before, const char *after, bool *out_changed)
{
    struct stat info;
    *out_changed = strcmp(before, after) != 0;
    if (!*out_changed)
        return 0;
    if (fstatat(dir_fd, CONF_NAME, &info, 0) < 0)
        return -errno;
    unsigned mode = info.st_mode & 07777;
    int err = 0;
    if (faccessat(dir_fd, BACKUP_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        err = sys_replace_file(dir_fd, BACKUP_NAME, before, strlen(before), mode);
    return err < 0 ? err : sys_replace_file(dir_fd, CONF_NAME, after, strlen(after), mode);
}

static int put_ca(const struct instance *instance, int dir_fd, bool *changed)
{
    char *wanted = NULL;
    char *found = NULL;
    int err = sys_read_file(instance->dir_fd, CA_CERTIFICATE_FILE_NAME, FILE_SIZE_MAX, &wanted);
    if (err == 0 &&
        (sys_read_file(dir_fd, CA_NAME, FILE_SIZE_MAX, &found) < 0 || strcmp(wanted, found) != 0)) {
        err = sys_replace_file(dir_fd, CA_NAME, wanted, strlen(wanted), 0644);
        *changed = true;
    }
    free(wanted);
    free(found);
    return err;
}

static int install(
    const struct instance *instance, const char *directory, const struct setting settings[])
{
    char *before = NULL;
    char *after = NULL;
    bool changed = false;
    int dir_fd = sys_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
    int err = dir_fd < 0 ? dir_fd : sys_read_file(dir_fd, CONF_NAME, FILE_SIZE_MAX, &before);
    if (err == -ENOENT) {
        (void)cli_fail("There is no %s/" CONF_NAME ": install amazon-efs-utils first.", directory);
        goto out;
    }
    if (err == 0)
        err = change_text(before, instance->region, settings, &after);
    if (err == 0)
        err = replace(dir_fd, before, after, &changed);
    if (err == 0)
        err = put_ca(instance, dir_fd, &changed);
    if (err < 0)
        (void)cli_fail("Cannot change %s/" CONF_NAME ": %s.", directory, strerrordesc_np(-err));
    else
        (void)printf(changed ? "%s/" CONF_NAME
                               " is for this service now; as it was, it is " BACKUP_NAME ".\n"
                             : "%s/" CONF_NAME " is for this service already.\n",
            directory);
out:
    if (dir_fd >= 0)
        (void)close(dir_fd); /* a directory: nothing can be lost */
    free(before);
    free(after);
    return err < 0 ? CLI_FAILED : CLI_OK;
}

int cmd_efs_utils_conf(int argc, char **argv)
{
    const char *data = NULL;
    const char *directory = DIRECTORY;
    bool installs = false;
    const struct cli_option options[] = { { "--data", &data, NULL },
        { "--install", NULL, &installs }, { "--directory", &directory, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc > 1)
        return cli_usage(
            "`efs-utils-conf` takes no word %s; see shoal efs-utils-conf --help.", argv[1]);
    struct instance instance;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = instance_require(&instance);
    if (status == CLI_OK) {
        const struct setting settings[SETTINGS_MAX] = { { "dns_name_suffix", instance.suffix },
            { "region", instance.region }, { "stunnel_cafile", CA_PATH } };
        if (installs)
            status = install(&instance, directory, settings);
        else
            print_settings(&instance, settings);
        if (fflush(stdout) != 0)
            status = cli_fail("Cannot write to the output.");
    }
    instance_close(&instance);
    return status;
}
