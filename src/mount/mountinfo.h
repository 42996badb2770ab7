/*
 * mount/mountinfo.h - /proc/self/mountinfo: which mounts there are. Reading it asks no server, so it never hangs.
 *
 * Source: proc(5). Lists are in the order of mounting: of two mounts at one place the later one is seen.
 */
#pragma once

#include "base/base.h"

#define MOUNTINFO_PATH_SIZE    4096
#define MOUNTINFO_OPTIONS_SIZE 4096

struct mountinfo {
    unsigned major;
    unsigned minor;
    char point[MOUNTINFO_PATH_SIZE];
    char options[MOUNTINFO_OPTIONS_SIZE]; /* of the mount: "rw,relatime" */
    char type[64];
    char source[MOUNTINFO_PATH_SIZE];
    char super_options[MOUNTINFO_OPTIONS_SIZE]; /* of the file system: "rw,vers=4.1,addr=..." */
};

/* The whole of /proc/self/mountinfo as heap text, the caller's. Errors: the system's, -EFBIG over 16 MiB. */
MUST_CHECK int mountinfo_read(char **out_text);
/* The same of any file in /proc, whose size is only known when it was read. */
MUST_CHECK int mountinfo_read_proc(const char *path, char **out_text);
/* Parses one line, which ends at '\n' or NUL. Errors: -EINVAL: it is not one. */
MUST_CHECK int mountinfo_parse(const char *line, struct mountinfo *out_mount);
/* What is mounted exactly at the absolute `path`. Errors: -ENOENT. */
MUST_CHECK int mountinfo_at(const char *text, const char *path, struct mountinfo *out_mount);
/* The mount that the absolute `path` lies in, by its name only. Errors: -ENOENT. */
MUST_CHECK int mountinfo_of(const char *text, const char *path, struct mountinfo *out_mount);
/* Calls `visit` for each mount until it gives other than 0, which is then given. */
typedef int mountinfo_visit(void *context, const struct mountinfo *mount);
int mountinfo_each(const char *text, mountinfo_visit *visit, void *context);

bool mountinfo_is_nfs(const struct mountinfo *mount);
/* Copies the value of `name` in a list "a,b=c"; the empty text for one without a value. Errors: -ENOENT, -ENOSPC. */
MUST_CHECK int mountinfo_option(const char *list, const char *name, char *out_value, size_t size);
/* Makes a path absolute (below `directory` when it is relative) and free of ".", ".." and double slashes, by its words
 * only: symbolic links are not looked at. `out_path` has MOUNTINFO_PATH_SIZE bytes. Errors: -ENAMETOOLONG. */
MUST_CHECK int mountinfo_clean_path(const char *directory, const char *path, char *out_path);
