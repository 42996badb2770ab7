/*
 * mount/mountinfo.c - parsing /proc/self/mountinfo (room: mount).
 */
#include "mount/mountinfo.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/text.h"

#define FILE_SIZE_MAX ((size_t)16 << 20)
#define READ_STEP     ((size_t)64 << 10)

/* Reads to the end of the file; *text grows. */
static int read_to_end(int fd, char **text)
{
    size_t size = 0;
    for (;;) {
        if (size + READ_STEP + 1 > FILE_SIZE_MAX)
            return -EFBIG;
        char *longer = realloc(*text, size + READ_STEP + 1);
        if (longer == NULL)
            return -ENOMEM;
        *text = longer;
        ssize_t got = read(fd, *text + size, READ_STEP);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        size += (size_t)got;
        (*text)[size] = '\0';
        if (got == 0)
            return 0;
    }
}

int mountinfo_read_proc(const char *path, char **out_text)
{
    char *text = NULL;
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int err = read_to_end(fd, &text);
    (void)close(fd); /* opened for reading */
    if (err == 0) {
        *out_text = text;
        text = NULL;
    }
    free(text);
    return err;
}

int mountinfo_read(char **out_text)
{
    return mountinfo_read_proc("/proc/self/mountinfo", out_text);
}

static bool is_octal(const char *at)
{
    return at[0] >= '0' && at[0] <= '3' && at[1] >= '0' && at[1] <= '7' && at[2] >= '0' &&
           at[2] <= '7';
}

/* Copies one word; the kernel writes blanks and backslashes as \ooo. Gives where the next word begins, NULL at the end of
 * the line or when it does not fit. `out` may be NULL. */
static const char *take_word(const char *at, char *out, size_t size)
{
    size_t used = 0;
    if (*at == ' ' || *at == '\n' || *at == '\0')
        return NULL;
    while (*at != ' ' && *at != '\n' && *at != '\0') {
        char byte = *at++;
        if (byte == '\\' && is_octal(at)) {
            byte = (char)((at[0] - '0') * 64 + (at[1] - '0') * 8 + (at[2] - '0'));
            at += 3;
        }
        if (out != NULL && used + 1 >= size)
            return NULL;
        if (out != NULL)
            out[used++] = byte;
    }
    if (out != NULL)
        out[used] = '\0';
    return *at == ' ' ? at + 1 : at;
}

/* 36 35 98:0 /root /point rw,noatime master:1 - type source super_options */
int mountinfo_parse(const char *line, struct mountinfo *out_mount)
{
    char device[32];
    char word[256];
    const char *at = take_word(line, NULL, 0);
    at = at != NULL ? take_word(at, NULL, 0) : NULL;
    at = at != NULL ? take_word(at, device, sizeof device) : NULL;
    at = at != NULL ? take_word(at, NULL, 0) : NULL;
    at = at != NULL ? take_word(at, out_mount->point, sizeof out_mount->point) : NULL;
    at = at != NULL ? take_word(at, out_mount->options, sizeof out_mount->options) : NULL;
    do
        at = at != NULL ? take_word(at, word, sizeof word) : NULL;
    while (at != NULL && strcmp(word, "-") != 0);
    at = at != NULL ? take_word(at, out_mount->type, sizeof out_mount->type) : NULL;
    at = at != NULL ? take_word(at, out_mount->source, sizeof out_mount->source) : NULL;
    if (at == NULL)
        return -EINVAL;
    out_mount->super_options[0] = '\0';
    if (*at != '\n' && *at != '\0' &&
        take_word(at, out_mount->super_options, sizeof out_mount->super_options) == NULL)
        return -EINVAL;
    uint64_t numbers[2];
    char *colon = strchr(device, ':');
    if (colon == NULL)
        return -EINVAL;
    *colon = '\0';
    if (text_parse_u64(device, UINT32_MAX, &numbers[0]) < 0 ||
        text_parse_u64(colon + 1, UINT32_MAX, &numbers[1]) < 0)
        return -EINVAL;
    out_mount->major = (unsigned)numbers[0];
    out_mount->minor = (unsigned)numbers[1];
    return 0;
}

int mountinfo_each(const char *text, mountinfo_visit *visit, void *context)
{
    struct mountinfo mount;
    int result = 0;
    while (*text != '\0' && result == 0) {
        if (mountinfo_parse(text, &mount) == 0) /* a line that is none is passed over */
            result = visit(context, &mount);
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return result;
}

struct search {
    const char *path;
    bool exact;
    size_t best_size;
    struct mountinfo *out;
};

static int look_at(void *context, const struct mountinfo *mount)
{
    struct search *search = context;
    size_t size = strlen(mount->point);
    bool is_same = strcmp(mount->point, search->path) == 0;
    bool is_above = strcmp(mount->point, "/") == 0 ||
                    (strncmp(mount->point, search->path, size) == 0 && search->path[size] == '/');
    if ((is_same || (is_above && !search->exact)) && size >= search->best_size) {
        search->best_size = size; /* the later one hides the earlier one of the same size */
        *search->out = *mount;
    }
    return 0;
}

int mountinfo_at(const char *text, const char *path, struct mountinfo *out_mount)
{
    struct search search = { .path = path, .exact = true, .out = out_mount };
    (void)mountinfo_each(text, look_at, &search); /* always 0 */
    return search.best_size > 0 ? 0 : -ENOENT;
}

int mountinfo_of(const char *text, const char *path, struct mountinfo *out_mount)
{
    struct search search = { .path = path, .out = out_mount };
    (void)mountinfo_each(text, look_at, &search); /* always 0 */
    return search.best_size > 0 ? 0 : -ENOENT;
}

bool mountinfo_is_nfs(const struct mountinfo *mount)
{
    return strcmp(mount->type, "nfs4") == 0 || strcmp(mount->type, "nfs") == 0;
}

int mountinfo_option(const char *list, const char *name, char *out_value, size_t size)
{
    size_t name_size = strlen(name);
    while (*list != '\0') {
        size_t word_size = strcspn(list, ",");
        if (word_size >= name_size && strncmp(list, name, name_size) == 0 &&
            (word_size == name_size || list[name_size] == '=')) {
            size_t skip = word_size == name_size ? name_size : name_size + 1;
            if (word_size - skip >= size)
                return -ENOSPC;
            memcpy(out_value, list + skip, word_size - skip);
            out_value[word_size - skip] = '\0';
            return 0;
        }
        list += word_size;
        list += *list == ',';
    }
    return -ENOENT;
}

/* Adds the parts of `path` to the absolute path in `out`. */
static int add_parts(const char *path, char *out, size_t *used)
{
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        if (size == 2 && path[0] == '.' && path[1] == '.') {
            while (*used > 0 && out[--*used] != '/')
                ;
        } else if (size > 0 && !(size == 1 && path[0] == '.')) {
            if (*used + size + 2 > MOUNTINFO_PATH_SIZE)
                return -ENAMETOOLONG;
            out[(*used)++] = '/';
            memcpy(out + *used, path, size);
            *used += size;
        }
        path += size;
        path += *path == '/';
    }
    return 0;
}

int mountinfo_clean_path(const char *directory, const char *path, char *out_path)
{
    size_t used = 0;
    int err = path[0] == '/' ? 0 : add_parts(directory, out_path, &used);
    if (err == 0)
        err = add_parts(path, out_path, &used);
    if (used == 0)
        out_path[used++] = '/';
    out_path[used] = '\0';
    return err;
}
