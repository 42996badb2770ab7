/*
 * cli/instance.c - looking at the lock and the run file of a data directory (room: cli).
 */
#include "cli/instance.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/text.h"
#include "cli/cli.h"

#define FILE_SIZE_MAX  65536u
#define SUFFIX_DEFAULT "shoal.internal" /* of daemons that do not say theirs */

const char *instance_data_name(const char *data)
{
    if (data == NULL)
        data = getenv("SHOAL_DATA"); // NOLINT(concurrency-mt-unsafe): one thread
    return data != NULL && data[0] != '\0' ? data : NULL;
}

/* Whether somebody holds the lock. */
static int look_at_lock(int dir_fd, bool *out_held)
{
    int fd = sys_openat(dir_fd, "lock", O_RDONLY, 0);
    *out_held = false;
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    int err = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : 0;
    (void)close(fd); /* opened for reading */
    *out_held = err == 0 && lock.l_type != F_UNLCK;
    return err;
}

/* The pid in the lock file; 0 when the owner has not written it yet. */
static pid_t lock_pid(int dir_fd)
{
    char *text = NULL;
    uint64_t pid = 0;
    if (sys_read_file(dir_fd, "lock", FILE_SIZE_MAX, &text) < 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "pid=", 4) != 0 || text_parse_u64(text + 4, INT32_MAX, &pid) < 0)
        pid = 0;
    free(text);
    return (pid_t)pid;
}

/* Copies a text member; false when it is missing or too long. */
static bool take_text(const json_t *json, const char *name, char *out_text, size_t size)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL && text_copy(out_text, size, text) == 0;
}

static bool take_subnets(const json_t *list, struct instance *instance)
{
    instance->subnet_count = json_array_size(list);
    if (instance->subnet_count == 0 || instance->subnet_count > INSTANCE_SUBNETS_MAX)
        return false;
    for (size_t i = 0; i < instance->subnet_count; i++) {
        struct instance_subnet *subnet = &instance->subnets[i];
        const json_t *item = json_array_get(list, i);
        if (!take_text(item, "id", subnet->id, sizeof subnet->id) ||
            !take_text(item, "zone", subnet->zone, sizeof subnet->zone))
            return false;
    }
    return true;
}

static int parse_run_file(const char *text, struct instance *instance)
{
    json_t *json = json_loads(text, 0, NULL);
    int err = -EIO;
    if (json == NULL)
        return err;
    json_int_t pid = json_integer_value(json_object_get(json, "pid"));
    json_int_t port = json_integer_value(json_object_get(json, "nfs_port"));
    if (!take_text(json, "endpoint", instance->endpoint, sizeof instance->endpoint) ||
        !take_text(json, "region", instance->region, sizeof instance->region) ||
        !take_text(json, "account_id", instance->account_id, sizeof instance->account_id) ||
        !take_text(json, "version", instance->version, sizeof instance->version) ||
        !take_subnets(json_object_get(json, "subnets"), instance) || port <= 0 || port > UINT16_MAX)
        goto out;
    if (!take_text(json, "suffix", instance->suffix, sizeof instance->suffix))
        (void)snprintf(instance->suffix, sizeof instance->suffix, "%s", SUFFIX_DEFAULT);
    instance->nfs_port = (uint16_t)port;
    instance->is_serving = pid == instance->pid; /* else it is left over from a crash */
    err = 0;
out:
    json_decref(json);
    return err;
}

int instance_look(struct instance *instance)
{
    instance->is_serving = false;
    instance->pid = 0;
    int err = look_at_lock(instance->dir_fd, &instance->is_running);
    if (err < 0 || !instance->is_running)
        return err;
    instance->pid = lock_pid(instance->dir_fd);
    char *text = NULL;
    err = sys_read_file(instance->dir_fd, "run/shoald.json", FILE_SIZE_MAX, &text);
    if (err == -ENOENT)
        return 0; /* it starts or ends */
    if (err < 0)
        return err;
    err = parse_run_file(text, instance);
    free(text);
    return err;
}

int instance_open(const char *data, struct instance *out_instance)
{
    const char *name = instance_data_name(data);
    if (name == NULL)
        return cli_usage("No data directory is given: add --data DIR, or set SHOAL_DATA.");
    struct instance *instance = out_instance;
    memset(instance, 0, sizeof *instance);
    instance->dir_fd = sys_openat(AT_FDCWD, name, O_RDONLY | O_DIRECTORY, 0);
    if (instance->dir_fd == -ENOENT)
        return cli_fail("There is no data directory %s; shoal up --data %s makes it.", name, name);
    if (instance->dir_fd < 0)
        return cli_fail(
            "Cannot open the data directory %s: %s.", name, strerrordesc_np(-instance->dir_fd));
    if (realpath(name, instance->data) == NULL) {
        instance_close(instance);
        return cli_fail("Cannot find the path of %s: %s.", name, strerrordesc_np(errno));
    }
    int err = instance_look(instance);
    if (err == 0)
        return CLI_OK;
    instance_close(instance);
    if (err == -EIO)
        return cli_fail(
            "%s/run/shoald.json is not one that shoald wrote; stop the service and start it again.",
            name);
    return cli_fail(
        "Cannot look into the data directory %s: %s. It belongs to the user that runs shoald.",
        name, strerrordesc_np(-err));
}

void instance_close(struct instance *instance)
{
    if (instance->dir_fd >= 0)
        (void)close(instance->dir_fd); /* a directory: nothing can be lost */
    instance->dir_fd = -1;
}

int instance_require(struct instance *instance)
{
    int err = instance_look(instance);
    if (err < 0)
        return cli_fail("Cannot look into %s: %s.", instance->data, strerrordesc_np(-err));
    if (instance->is_serving)
        return CLI_OK;
    if (instance->is_running)
        (void)cli_fail("The service on %s runs but does not serve yet; its log is %s/shoald.log.",
            instance->data, instance->data);
    else
        (void)cli_fail("No service runs on %s; start it with: shoal up --data %s", instance->data,
            instance->data);
    return CLI_NOT_RUNNING;
}
