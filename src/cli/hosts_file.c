/*
 * cli/hosts_file.c - a block of lines in a file of others (room: cli).
 *
 * The file is replaced whole, by renaming, so that no reader sees half of it. Where that cannot be (in containers /etc/hosts is a
 * mount of its own) it is written in place.
 */
#include "cli/hosts_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "base/text.h"

#define FILE_SIZE_MAX (4u << 20)
#define MARK_SIZE     256

struct span {
    const char *begin;
    const char *end;
};

/* The line `mark`, with its newline, in `text`; or NULLs. */
static struct span find_line(const char *text, const char *mark)
{
    size_t size = strlen(mark);
    for (const char *at = text; (at = strstr(at, mark)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && (at[size] == '\n' || at[size] == '\0'))
            return (struct span){ at, at + size + (at[size] == '\n') };
    }
    return (struct span){ NULL, NULL };
}

int hosts_file_edit(const char *old, const char *name, const char *lines, char **out_new)
{
    char begin_mark[MARK_SIZE];
    char end_mark[MARK_SIZE];
    (void)snprintf(begin_mark, sizeof begin_mark, "# begin of %s, written by shoal hosts", name);
    (void)snprintf(end_mark, sizeof end_mark, "# end of %s", name);
    struct span begin = find_line(old, begin_mark);
    struct span end = find_line(old, end_mark);
    if ((begin.begin == NULL) != (end.begin == NULL) ||
        (begin.begin != NULL && end.begin < begin.end))
        return -EBADMSG;
    if (begin.begin != NULL && (find_line(begin.end, begin_mark).begin != NULL ||
                                   find_line(end.end, end_mark).begin != NULL))
        return -EBADMSG;
    size_t old_size = strlen(old);
    const char *before_end = begin.begin != NULL ? begin.begin : old + old_size;
    const char *after = begin.begin != NULL ? end.end : old + old_size;
    size_t size = old_size + strlen(lines) + 2 * MARK_SIZE + 4;
    char *text = malloc(size);
    if (text == NULL)
        return -ENOMEM;
    bool needs_newline = before_end > old && before_end[-1] != '\n' && lines[0] != '\0';
    if (lines[0] == '\0')
        (void)snprintf(text, size, "%.*s%s", (int)(before_end - old), old, after);
    else
        (void)snprintf(text, size, "%.*s%s%s\n%s%s\n%s", (int)(before_end - old), old,
            needs_newline ? "\n" : "", begin_mark, lines, end_mark, after);
    *out_new = text;
    return 0;
}

static int write_in_place(const char *path, const char *text)
{
    int fd = sys_openat(AT_FDCWD, path, O_WRONLY, 0);
    if (fd < 0)
        return fd;
    int err = sys_pwrite_all(fd, text, strlen(text), 0);
    if (err == 0 && ftruncate(fd, (off_t)strlen(text)) < 0)
        err = -errno;
    if (err == 0)
        err = sys_fsync(fd);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    return err;
}

/* Replaces the file by one of the same mode and owner. */
static int replace(const char *path, const struct stat *was, const char *text)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.shoal-%d", path, (int)getpid()) >=
        (int)sizeof temporary)
        return -ENAMETOOLONG;
    int fd = sys_openat(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_EXCL, was->st_mode & 0777);
    if (fd < 0)
        return fd;
    int err = sys_pwrite_all(fd, text, strlen(text), 0);
    if (err == 0 && (fchmod(fd, was->st_mode & 0777) < 0 ||
                        ((was->st_uid != geteuid() || was->st_gid != getegid()) &&
                            fchown(fd, was->st_uid, was->st_gid) < 0)))
        err = -errno;
    if (err == 0)
        err = sys_fsync(fd);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    if (err == 0 && rename(temporary, path) < 0)
        err = -errno;
    if (err < 0)
        (void)unlink(temporary); /* it has a name of its own: nobody else's is lost */
    return err;
}

int hosts_file_write(const char *path, const char *name, const char *lines, bool *out_changed)
{
    char *old = NULL;
    char *text = NULL;
    struct stat was = { .st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid() };
    int err = sys_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &old);
    if (err == -ENOENT)
        err = (old = strdup("")) != NULL ? 0 : -ENOMEM;
    else if (err == 0 && stat(path, &was) < 0)
        err = -errno;
    if (err >= 0)
        err = hosts_file_edit(old, name, lines, &text);
    if (err < 0)
        goto out;
    *out_changed = strcmp(old, text) != 0;
    if (*out_changed)
        err = replace(path, &was, text);
    if (err == -EBUSY || err == -EXDEV)
        err = write_in_place(path, text);
out:
    free(old);
    free(text);
    return err;
}
