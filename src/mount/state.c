/*
 * mount/state.c - the files below /run/shoal (room: mount).
 */
#include "mount/state.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/text.h"
#include "mount/persist.h"

#define FILE_SIZE_MAX ((size_t)64 << 10)
#define RUN_DIR       "/run/shoal"
#define MOUNTS_DIR    "mounts"

const char *state_dir(void)
{
    const char *dir = getenv("SHOAL_RUN_DIR"); // NOLINT(concurrency-mt-unsafe): one thread
    return dir != NULL && dir[0] != '\0' ? dir : RUN_DIR;
}

int state_open_dir(const char *sub, int *out_fd)
{
    int err = sys_mkdirat(AT_FDCWD, state_dir(), 0755);
    int fd = err < 0 ? err : sys_openat(AT_FDCWD, state_dir(), O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    err = sys_mkdirat(fd, sub, 0755);
    if (err == 0)
        err = sys_openat(fd, sub, O_RDONLY | O_DIRECTORY, 0);
    (void)close(fd); /* a directory: nothing can be lost */
    if (err >= 0)
        *out_fd = err;
    return err < 0 ? err : 0;
}

/* Writes NAME.json, which has to fit a file's name. */
static int file_name(const char *point, char *out_name, size_t size)
{
    size_t used = 0;
    int err = persist_escape(point, out_name, size);
    used = err < 0 ? 0 : strlen(out_name);
    if (err == 0)
        err = text_append(out_name, size, &used, ".json");
    return err < 0 ? -ENAMETOOLONG : 0;
}

int state_read(const char *point, struct state_mount *out_state)
{
    char name[NAME_MAX + 1];
    char *text = NULL;
    int dir_fd = -1;
    int err = file_name(point, name, sizeof name);
    if (err == 0)
        err = state_open_dir(MOUNTS_DIR, &dir_fd);
    if (err < 0)
        return err;
    err = sys_read_file(dir_fd, name, FILE_SIZE_MAX, &text);
    (void)close(dir_fd); /* a directory: nothing can be lost */
    if (err < 0)
        return err;
    json_t *json = json_loads(text, 0, NULL);
    free(text);
    *out_state = (struct state_mount){ 0 };
    const struct {
        const char *name;
        char *to;
        size_t size;
    } texts[] = { { "source", out_state->source, sizeof out_state->source },
        { "options", out_state->options, sizeof out_state->options },
        { "label", out_state->label, sizeof out_state->label } };
    err = json != NULL ? 0 : -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(texts) && err == 0; i++) {
        const char *value = json_string_value(json_object_get(json, texts[i].name));
        if (value == NULL || text_copy(texts[i].to, texts[i].size, value) < 0)
            err = -EINVAL;
    }
    json_int_t port = json_integer_value(json_object_get(json, "tunnel_port"));
    out_state->tunnel_port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
    json_decref(json);
    return err;
}

int state_write(const char *point, const struct state_mount *state)
{
    char name[NAME_MAX + 1];
    int dir_fd = -1;
    int err = file_name(point, name, sizeof name);
    if (err == 0)
        err = state_open_dir(MOUNTS_DIR, &dir_fd);
    if (err < 0)
        return err;
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:i}", "mount_point", point, "source",
        state->source, "options", state->options, "label", state->label, "tunnel_port",
        (int)state->tunnel_port);
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;
    err = text != NULL ? sys_replace_file(dir_fd, name, text, strlen(text), 0644) : -ENOMEM;
    free(text);
    json_decref(json);
    (void)close(dir_fd); /* a directory: nothing can be lost */
    return err;
}

void state_remove(const char *point)
{
    char name[NAME_MAX + 1];
    int dir_fd = -1;
    if (file_name(point, name, sizeof name) < 0 || state_open_dir(MOUNTS_DIR, &dir_fd) < 0)
        return;
    (void)unlinkat(dir_fd, name, 0); /* one that stays does no harm: mountinfo decides */
    (void)close(dir_fd);             /* a directory: nothing can be lost */
}
