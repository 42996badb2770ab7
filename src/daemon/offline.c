/*
 * daemon/offline.c - tools on a data directory while no daemon runs on it (room: daemon).
 */
#include "daemon/offline.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/key_store.h"
#include "base/log.h"
#include "base/sys.h"
#include "io/pool.h"

#define THREADS         4u
#define FORMAT_SIZE_MAX 4096u
#define CACHE_BYTES     (UINT64_C(64) * MIB)

static const struct {
    const char *name;
    offline_tool *tool;
} tools[] = {
    { "fsck", offline_fsck },
};

offline_tool *offline_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        if (strcmp(tools[i].name, name) == 0)
            return tools[i].tool;
    }
    return NULL;
}

const char *offline_scratch(void)
{
    const char *path = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): nobody changes it
    return path != NULL && path[0] != '\0' ? path : "/tmp";
}

/* Whether the file `format` in the directory begins so. */
static bool has_format(const char *directory, const char *title)
{
    char *text;
    int fd = sys_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return false;
    int err = sys_read_file(fd, "format", FORMAT_SIZE_MAX, &text);
    (void)close(fd); /* opened for reading */
    if (err < 0)
        return false;
    bool has = strncmp(text, title, strlen(title)) == 0;
    free(text);
    return has;
}

static int add_fs(struct offline *offline, const char *name)
{
    if (offline->fs_count == OFFLINE_FS_MAX) {
        (void)fprintf(stderr, "shoald: There are more than %u file systems: name some of them.\n",
            OFFLINE_FS_MAX);
        return -EMFILE;
    }
    offline->fs_ids[offline->fs_count] = strdup(name);
    if (offline->fs_ids[offline->fs_count] == NULL)
        return -ENOMEM;
    offline->fs_count++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All file systems in the directory `fs`. */
static int list_fs(struct offline *offline, const char *directory)
{
    DIR *list = opendir(directory);
    if (list == NULL)
        return errno == ENOENT ? 0 : -errno; /* none was made yet */
    int err = 0;
    const struct dirent *entry;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while (err == 0 && (entry = readdir(list)) != NULL) {
        if (entry->d_name[0] != '.')
            err = add_fs(offline, entry->d_name);
    }
    (void)closedir(list);
    qsort(offline->fs_ids, offline->fs_count, sizeof(char *), compare_names);
    return err;
}

/* Cuts the last part off a path; gives it. */
static char *cut_name(char *path)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    return slash + 1;
}

/* The directory of the engine into `parent`; what is in it into the list. */
static int find_fs(const struct offline_place *place, struct offline *offline, char **out_parent)
{
    char path[PATH_MAX];
    char above[PATH_MAX];
    struct problem problem = { "" };
    if (realpath(place->path, path) == NULL) {
        (void)fprintf(stderr, "shoald: Cannot open %s: %s.\n", place->path, strerrordesc_np(errno));
        return -ENOENT;
    }
    memcpy(above, path, sizeof above);
    bool is_one = !has_format(path, "shoal data directory") && strcmp(path, "/") != 0 &&
                  has_format(path, "shoal-engine ");
    char *name = NULL;
    int err = 0;
    if (is_one) {
        name = cut_name(path);
        memcpy(above, path, sizeof above);
        (void)cut_name(above);
    }
    if (!is_one || has_format(above, "shoal data directory"))
        err = data_dir_hold(above, &offline->dir, &problem);
    if (err < 0) {
        (void)fprintf(stderr, "shoald: %s\n",
            problem.text[0] != '\0' ? problem.text : "This is no data directory of shoald.");
        return err;
    }
    err = is_one ? add_fs(offline, name) : 0;
    if (err == 0 && asprintf(out_parent, "%s%s", path, is_one ? "" : "/fs") < 0)
        err = -ENOMEM;
    return err < 0 || is_one ? err : list_fs(offline, *out_parent);
}

int offline_open(const struct offline_place *place, struct offline *out)
{
    char reason[KEY_STORE_REASON] = "";
    char *parent = NULL;
    *out = (struct offline){ 0 };
    log_set_level(LOG_LEVEL_ERROR);
    int err = find_fs(place, out, &parent);
    if (err < 0)
        goto out;
    if (out->dir != NULL)
        err = key_store_open(out->dir->fd, place->master_path, reason, &out->keys);
    if (err == 0)
        err = pool_new(THREADS, &out->pool);
    if (err == 0) {
        err = engine_new(&(struct engine_options){ .directory = parent,
                             .pool = out->pool,
                             .cache_bytes = CACHE_BYTES,
                             .block_cache_bytes = CACHE_BYTES,
                             .keeper = out->keys != NULL ? key_store_keeper(out->keys) : NULL },
            &out->engine);
    }
    if (err < 0 && !(err == -ENOENT && out->fs_count == 0))
        (void)fprintf(
            stderr, "shoald: Cannot open %s: %s%s\n", place->path, strerrordesc_np(-err), reason);
    if (err == -ENOENT && out->fs_count == 0)
        err = 0; /* a data directory without any */
out:
    free(parent);
    return err;
}

void offline_close(struct offline *offline)
{
    engine_free(offline->engine);
    pool_free(offline->pool);
    key_store_close(offline->keys);
    for (unsigned i = 0; i < offline->fs_count; i++)
        free(offline->fs_ids[i]);
    data_dir_close(offline->dir);
}
