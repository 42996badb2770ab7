/*
 * engine/inspect.c - a file system to be looked at, not to be changed (room: engine).
 */
#include "engine/inspect.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"
#include "engine/format.h"
#include "engine/reclaim.h"
#include "engine/volume_key.h"

#define FDS_MAX        64u
#define PATH_SIZE_MAX  4096u
#define COPY_BYTES_MAX (UINT64_C(64) * MIB) /* of a MANIFEST */
#define DEPTH_MAX      128u                 /* of a path that is told */

static int new_inspection(
    struct engine *engine, const char *fs_id, struct inspection **out_inspection)
{
    struct inspection *inspection = calloc(1, sizeof *inspection);
    struct volume *volume = aligned_alloc(64, round_up(sizeof *volume, 64));
    if (inspection == NULL || volume == NULL) {
        free(inspection);
        free(volume);
        return -ENOMEM;
    }
    memset(volume, 0, sizeof *volume);
    volume->engine = engine;
    volume->dir_fd = -1;
    volume->data_fd = -1;
    (void)text_copy(volume->fs_id, sizeof volume->fs_id, fs_id); /* it is safe: it fits */
    inspection->volume = volume;
    inspection->lock_fd = -1;
    *out_inspection = inspection;
    return 0;
}

/* What is live and shared, by the records. */
static int load_space(struct inspection *inspection)
{
    struct volume *volume = inspection->volume;
    struct segments_options options = { .dir_fd = volume->data_fd,
        .segment_blocks = volume->segment_blocks,
        .uuid = volume->uuid,
        .fs_id = volume->fs_id,
        .pool = volume->engine->pool,
        .crypt = volume->crypt,
        .fd_max = FDS_MAX,
        .next_id = 1 };
    volume->used_bytes = inspection->state.used_bytes;
    volume->used_files = inspection->state.used_files;
    int err = segments_init(&volume->segments, &options);
    if (err == 0)
        err = refs_init(&volume->refs);
    if (err == 0)
        err = snapshots_init(&volume->snapshots);
    if (err == 0)
        err = snapshots_load(volume, inspection->state.batch);
    return err < 0 ? err : reclaim_load_space(volume, &inspection->state);
}

int inspect_live(struct volume *live, struct inspection **out_inspection)
{
    struct inspection *inspection;
    int err = new_inspection(live->engine, live->fs_id, &inspection);
    if (err < 0)
        return err;
    struct volume *volume = inspection->volume;
    inspection->live = live;
    volume->dir_fd = live->dir_fd;
    volume->data_fd = live->data_fd;
    volume->name_key = live->name_key;
    volume->segment_blocks = live->segment_blocks;
    volume->crypt = live->crypt;
    memcpy(volume->uuid, live->uuid, UUID_BYTES);
    err = store_view_new(live->store, &volume->store);
    if (err == 0)
        err = volume_read_state(volume, &inspection->state);
    if (err == 0)
        err = load_space(inspection);
    if (err < 0) {
        inspect_close(inspection);
        return err;
    }
    *out_inspection = inspection;
    return 0;
}

/* RocksDB's own lock, so that neither it nor we come in between. */
static int take_lock(struct inspection *inspection)
{
    int fd = sys_openat(inspection->volume->dir_fd, "meta/LOCK", O_RDWR, 0);
    if (fd == -ENOENT || fd == -EROFS)
        return 0; /* nobody can have it open for writing */
    if (fd < 0)
        return fd;
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        int err = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
        (void)close(fd);
        return err;
    }
    inspection->lock_fd = fd;
    return 0;
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

/* A file of the list of tables; tables are never changed and stay where they are. */
static int copy_one(int from_fd, int to_fd, const char *path, const char *name)
{
    if (ends_with(name, ".sst") || ends_with(name, ".blob")) {
        char target[PATH_SIZE_MAX];
        int size = snprintf(target, sizeof target, "%s/%s", path, name);
        if (size < 0 || (size_t)size >= sizeof target)
            return -ENAMETOOLONG;
        return symlinkat(target, to_fd, name) < 0 ? -errno : 0;
    }
    if (strcmp(name, "CURRENT") != 0 && strncmp(name, "MANIFEST-", 9) != 0 &&
        strncmp(name, "OPTIONS-", 8) != 0 && strcmp(name, "IDENTITY") != 0)
        return 0;
    int from = sys_openat(from_fd, name, O_RDONLY, 0);
    if (from < 0)
        return from;
    int to = sys_openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    int err = min_int(to, 0);
    uint8_t piece[16384];
    uint64_t done = 0;
    ssize_t got = 1;
    while (err == 0 && got > 0 && done < COPY_BYTES_MAX) {
        got = pread(from, piece, sizeof piece, (int64_t)done);
        err = got < 0 ? -errno : sys_pwrite_all(to, piece, (size_t)got, done);
        done += got > 0 ? (uint64_t)got : 0;
    }
    (void)close(from);
    if (to >= 0)
        (void)close(to);
    return err;
}

static int copy_all(int from_fd, int to_fd, const char *path)
{
    DIR *dir = fdopendir(dup(from_fd));
    if (dir == NULL)
        return -errno;
    int err = 0;
    const struct dirent *entry;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while (err == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            err = copy_one(from_fd, to_fd, path, entry->d_name);
    }
    (void)closedir(dir);
    return err;
}

/* Makes the copy of the database. */
static int copy_database(struct inspection *inspection, const char *scratch)
{
    const struct volume *volume = inspection->volume;
    char path[PATH_SIZE_MAX];
    char *whole = realpath(volume->engine->directory, NULL);
    if (whole == NULL)
        return -errno;
    int size = snprintf(path, sizeof path, "%s/%s/meta", whole, volume->fs_id);
    free(whole);
    if (size < 0 || (size_t)size >= sizeof path)
        return -ENAMETOOLONG;
    char copy[sizeof inspection->copy];
    size = snprintf(copy, sizeof copy, "%s/shoal-inspect-XXXXXX", scratch);
    if (size < 0 || (size_t)size >= sizeof copy)
        return -ENAMETOOLONG;
    if (mkdtemp(copy) == NULL)
        return -errno;
    memcpy(inspection->copy, copy, sizeof copy);
    int from_fd = sys_openat(volume->dir_fd, "meta", O_RDONLY | O_DIRECTORY, 0);
    int to_fd = sys_openat(AT_FDCWD, copy, O_RDONLY | O_DIRECTORY, 0);
    int err = from_fd < 0 ? from_fd : min_int(to_fd, 0);
    if (err == 0)
        err = copy_all(from_fd, to_fd, path);
    if (from_fd >= 0)
        (void)close(from_fd);
    if (to_fd >= 0)
        (void)close(to_fd);
    return err == -ENOENT ? -EBADMSG : err;
}

static int open_key(struct volume *volume, bool is_encrypted)
{
    if (!is_encrypted)
        return 0;
    const struct key_place place = { .engine = volume->engine,
        .fs_id = volume->fs_id,
        .dir_fd = volume->dir_fd,
        .uuid = volume->uuid,
        .is_read_only = true };
    int err = volume_key_open(&place, &volume->crypt);
    if (err == 0)
        volume->name_key = crypt_name_key(volume->crypt);
    return err;
}

static int apply_batch(void *context, struct slice batch)
{
    struct volume *volume = context;
    return store_apply_bytes(volume->store, batch);
}

static int flush_copy(void *context)
{
    struct volume *volume = context;
    return store_flush(volume->store);
}

/* Applies to the copy what only the journal has. */
static int replay(struct inspection *inspection)
{
    struct volume *volume = inspection->volume;
    struct journal_options options = { .dir_fd = volume->dir_fd,
        .salt = load_be64(volume->uuid),
        .fs_id = volume->fs_id,
        .pool = volume->engine->sync_pool,
        .flush = flush_copy,
        .context = volume,
        .is_read_only = true };
    struct journal *journal = NULL;
    uint64_t last = 0;
    int err = journal_open(&options, &journal);
    if (err == 0)
        err = journal_replay(journal, inspection->state.batch, apply_batch, &last);
    if (err == 0 && last > inspection->state.batch)
        err = volume_read_state(volume, &inspection->state);
    journal_close(journal);
    return err == 0 && inspection->state.batch < last ? -EBADMSG : err;
}

static int open_directory(struct inspection *inspection, const char *scratch)
{
    struct volume *volume = inspection->volume;
    struct engine *engine = volume->engine;
    volume->dir_fd = sys_openat(engine->dir_fd, volume->fs_id, O_RDONLY | O_DIRECTORY, 0);
    if (volume->dir_fd < 0)
        return volume->dir_fd;
    int err = take_lock(inspection);
    struct format format = { 0 };
    if (err == 0)
        err = format_read(volume->dir_fd, &format);
    if (err < 0)
        return err;
    volume->name_key = format.name_key;
    volume->segment_blocks = format.segment_blocks;
    memcpy(volume->uuid, format.uuid, UUID_BYTES);
    err = open_key(volume, format.is_encrypted);
    if (err == 0)
        err = copy_database(inspection, scratch);
    const struct store_place place = {
        .path = inspection->copy, .name = volume->fs_id, .crypt = volume->crypt, .is_copy = true
    };
    if (err == 0)
        err = store_open(engine->stores, &place, &volume->store);
    if (err == 0)
        volume->data_fd = sys_openat(volume->dir_fd, "data", O_RDONLY | O_DIRECTORY, 0);
    if (err < 0 || volume->data_fd < 0) /* without one of its parts it is damaged */
        return err == 0 && volume->data_fd != -ENOENT ? volume->data_fd
               : err == -ENOENT || err == 0           ? -EBADMSG
                                                      : err;
    err = volume_read_state(volume, &inspection->state);
    if (err == 0)
        err = replay(inspection);
    return err < 0 ? err : load_space(inspection);
}

int inspect_directory(struct engine *engine, const char *fs_id, const char *scratch,
    struct inspection **out_inspection)
{
    struct inspection *inspection;
    if (!volume_id_is_safe(fs_id))
        return -ENOENT;
    int err = new_inspection(engine, fs_id, &inspection);
    if (err < 0)
        return err;
    err = open_directory(inspection, scratch);
    if (err < 0) {
        inspect_close(inspection);
        return err;
    }
    *out_inspection = inspection;
    return 0;
}

void inspect_close(struct inspection *inspection)
{
    if (inspection == NULL)
        return;
    struct volume *volume = inspection->volume;
    segments_fini(&volume->segments);
    refs_fini(&volume->refs);
    snapshots_fini(&volume->snapshots);
    store_close(volume->store);
    if (inspection->live == NULL) {
        crypt_free(volume->crypt);
        if (volume->data_fd >= 0)
            (void)close(volume->data_fd);
        if (volume->dir_fd >= 0)
            (void)close(volume->dir_fd);
    }
    if (inspection->copy[0] != '\0' && sys_remove_tree(AT_FDCWD, inspection->copy) < 0)
        LOG_WARN("a copy cannot be removed", "path=%s", inspection->copy);
    if (inspection->lock_fd >= 0)
        (void)close(inspection->lock_fd); /* and with it the lock */
    free(volume);
    free(inspection);
}

/* The name of an inode in a directory; "" when it has none there. */
static int find_name(
    const struct volume *volume, uint64_t dir, uint64_t inode, char out_name[FS_NAME_SIZE_MAX + 1])
{
    struct key from;
    struct key end;
    struct store_iterator *iterator;
    key_make2(&from, KEY_NAME, dir, 0);
    key_make1(&end, KEY_NAME, dir + 1);
    out_name[0] = '\0';
    int err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    while (err == 0 && out_name[0] == '\0' && store_scan_next(iterator, &key, &value) == 1) {
        err = value_open(&value);
        while (err == 0 && value.size > 0) {
            struct name_entry entry;
            err = name_entry_decode(&value, &entry);
            if (err < 0 || entry.inode != inode)
                continue;
            memcpy(out_name, entry.name.data, entry.name.size);
            out_name[entry.name.size] = '\0';
            break;
        }
    }
    store_scan_end(iterator);
    return err;
}

static int read_parent(const struct volume *volume, uint64_t inode, uint64_t *out_parent)
{
    struct key key;
    struct store_value value;
    struct inode_record record;
    struct slice symlink;
    key_make1(&key, KEY_INODE, inode);
    int err = store_get(volume->store, &key, &value);
    if (err < 0)
        return err;
    err = inode_record_decode(value.data, inode, &record, &symlink);
    if (err == 0)
        *out_parent = record.parent;
    store_value_release(&value);
    return err;
}

void inspect_path(const struct volume *volume, uint64_t inode, char *out_path, size_t size)
{
    /* Written from its end to its beginning. */
    size_t at = size - 1;
    out_path[at] = '\0';
    bool is_lost = false;
    for (unsigned depth = 0; inode != ROOT_INODE; depth++) {
        char name[FS_NAME_SIZE_MAX + 1];
        uint64_t parent = 0;
        size_t length = 0;
        is_lost = depth == DEPTH_MAX || read_parent(volume, inode, &parent) < 0 ||
                  find_name(volume, parent, inode, name) < 0 || name[0] == '\0';
        if (!is_lost) {
            length = strlen(name);
            is_lost = length + 2 > at;
        }
        if (is_lost)
            break;
        at -= length;
        memcpy(out_path + at, name, length);
        out_path[--at] = '/';
        inode = parent;
    }
    if (is_lost || at == size - 1)
        out_path[--at] = is_lost ? '?' : '/';
    memmove(out_path, out_path + at, size - at);
}
