/*
 * engine/volume.c - making, opening, closing and destroying one file system (room: engine).
 *
 * DIR/<fs_id>/format says what it is; it is written last when a file system is made, so that a
 * directory without it is the rest of an attempt.
 */
#include "engine/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sys.h"
#include "engine/data_remap.h"
#include "engine/format.h"
#include "engine/reclaim.h"
#include "engine/usage.h"
#include "engine/verify.h"
#include "engine/volume_key.h"

#define SPACE_CHECK_MS    200u
#define SEGMENT_FDS_MAX   256u
#define INODE_CEILING_NEW (INODE_FIRST + 65536)
#define NUMBER_FIRST      1024u /* the first records are sealed under smaller ones */
#define PATH_SIZE_MAX     4096u

struct fs_time volume_now(void)
{
    struct clock_time now = clock_wall();
    return (struct fs_time){ now.seconds, now.nanoseconds };
}

void volume_fail(struct volume *volume, const char *what, int err)
{
    if (atomic_exchange(&volume->is_failed, true))
        return;
    volume->writeverf = random_u64();
    LOG_ERROR("file system is read-only now: the disk did not take what it was given",
        "fs=%s doing=\"%s\" error=%d", volume->fs_id, what, err);
}

bool volume_is_nearly_full(struct volume *volume)
{
    uint64_t now_ms = clock_coarse_ms();
    uint64_t checked_ms = volume->space_checked_ms;
    if (LIKELY(now_ms - checked_ms < SPACE_CHECK_MS) ||
        !atomic_compare_exchange_strong(&volume->space_checked_ms, &checked_ms, now_ms))
        return volume->is_nearly_full;
    struct statvfs st;
    if (fstatvfs(volume->dir_fd, &st) < 0)
        return volume->is_nearly_full;
    bool is_full = (uint64_t)st.f_bavail * st.f_frsize < volume->engine->options.reserve_bytes;
    if (is_full && !volume->is_nearly_full)
        LOG_WARN("disk is nearly full: only deletions are taken", "fs=%s", volume->fs_id);
    volume->is_nearly_full = is_full;
    return is_full;
}

bool volume_id_is_safe(const char *fs_id)
{
    size_t size = strlen(fs_id);
    return size > 0 && size < FS_ID_SIZE && fs_id[0] != '.' && strchr(fs_id, '/') == NULL;
}

static int store_path(const struct engine *engine, const char *fs_id, char *out_path, size_t size)
{
    int written = snprintf(out_path, size, "%s/%s/meta", engine->directory, fs_id);
    return written < 0 || (size_t)written >= size ? -ENAMETOOLONG : 0;
}

/* The root directory and the state of an empty file system. */
static int write_first_records(struct store *store, bool is_encrypted)
{
    struct fs_time now = volume_now();
    struct inode_record root = { .parent = ROOT_INODE };
    root.attr = (struct fs_attr){ .node = { ROOT_INODE, random_u64() },
        .type = FS_DIRECTORY,
        .mode = 0755,
        .link_count = 2,
        .change = 1,
        .atime = now,
        .mtime = now,
        .ctime = now,
        .btime = now };
    struct volume_state state = { .inode_ceiling = INODE_FIRST,
        .change_ceiling = 2,
        .change_floor = 1,
        .segment_ceiling = 1,
        .used_files = 1,
        .freed_from = 1,
        .number_ceiling = is_encrypted ? NUMBER_FIRST : 0,
        .usage_version = 1,
        .is_clean = true };
    struct store_batch *batch;
    int err = store_batch_new(store, &batch);
    if (err < 0)
        return err;
    uint8_t value[INODE_BYTES_MAX];
    struct key key;
    key_make1(&key, KEY_INODE, ROOT_INODE);
    size_t size = inode_record_encode(&root, slice_of(NULL, 0), value);
    store_batch_put(batch, &key, slice_of(value, size));
    uint8_t encoded[STATE_BYTES];
    volume_state_encode(&state, encoded);
    key_make0(&key, KEY_STATE);
    store_batch_put(batch, &key, slice_of(encoded, sizeof encoded));
    err = store_apply(store, batch);
    if (err == 0)
        err = store_flush(store);
    store_batch_free(batch);
    return err;
}

static int make_database(struct engine *engine, const char *fs_id, struct crypt *crypt)
{
    char path[PATH_SIZE_MAX];
    int err = store_path(engine, fs_id, path, sizeof path);
    if (err < 0)
        return err;
    struct store *store;
    const struct store_place place = {
        .path = path, .name = fs_id, .crypt = crypt, .create = true
    };
    err = store_open(engine->stores, &place, &store);
    if (err < 0)
        return err;
    err = write_first_records(store, crypt != NULL);
    store_close(store);
    return err;
}

/* In the empty directory `fd`; the format file comes last. */
static int make_files(struct engine *engine, const char *fs_id, const char *key_id, int fd)
{
    struct format format = { .segment_blocks = engine->options.segment_blocks,
        .is_encrypted = key_id != NULL };
    struct crypt *crypt = NULL;
    random_bytes(format.uuid, sizeof format.uuid);
    if (!format.is_encrypted)
        random_bytes(&format.name_key, sizeof format.name_key);
    const struct key_place place = {
        .engine = engine, .fs_id = fs_id, .dir_fd = fd, .uuid = format.uuid
    };
    int err = sys_mkdirat(fd, "data", 0700);
    if (err == 0 && format.is_encrypted)
        err = volume_key_make(&place, key_id, &crypt);
    if (err == 0)
        err = make_database(engine, fs_id, crypt);
    crypt_free(crypt);
    return err < 0 ? err : format_write(fd, &format);
}

int volume_create(struct engine *engine, const char *fs_id, const char *key_id)
{
    if (!volume_id_is_safe(fs_id))
        return -EINVAL;
    struct format format;
    int fd = sys_openat(engine->dir_fd, fs_id, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        int err = format_read(fd, &format);
        (void)close(fd);
        if (err != -ENOENT)
            return err; /* it exists, or is something better left alone */
        err = sys_remove_tree(engine->dir_fd, fs_id);
        if (err < 0)
            return err;
    }
    int err = sys_mkdirat(engine->dir_fd, fs_id, 0700);
    if (err < 0)
        return err;
    fd = sys_openat(engine->dir_fd, fs_id, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    err = make_files(engine, fs_id, key_id, fd);
    if (err == 0)
        err = sys_fsync(engine->dir_fd);
    (void)close(fd);
    return err;
}

int volume_destroy(struct engine *engine, const char *fs_id)
{
    if (!volume_id_is_safe(fs_id))
        return -EINVAL;
    int fd = sys_openat(engine->dir_fd, fs_id, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ENOENT)
        return 0;
    if (fd >= 0) { /* without it, what a crash leaves of the rest is no file system any more */
        (void)unlinkat(fd, "format", 0);
        int err = sys_fsync(fd);
        (void)close(fd);
        if (err < 0)
            return err;
    }
    int err = sys_remove_tree(engine->dir_fd, fs_id);
    return err < 0 ? err : sys_fsync(engine->dir_fd);
}

static int flush_store(void *context)
{
    struct volume *volume = context;
    return store_flush(volume->store);
}

static int apply_journal(void *context, struct slice batch)
{
    struct volume *volume = context;
    return store_apply_bytes(volume->store, batch);
}

int volume_read_state(struct volume *volume, struct volume_state *out_state)
{
    struct key key;
    key_make0(&key, KEY_STATE);
    struct store_value value;
    int err = store_get(volume->store, &key, &value);
    if (err < 0)
        return err == -ENOENT ? -EBADMSG : err;
    err = volume_state_decode(value.data, out_state);
    store_value_release(&value);
    return err;
}

/* Opens directories, format file and database. */
static int open_files(struct volume *volume)
{
    struct engine *engine = volume->engine;
    char path[PATH_SIZE_MAX];
    int err = store_path(engine, volume->fs_id, path, sizeof path);
    if (err < 0)
        return err;
    volume->dir_fd = sys_openat(engine->dir_fd, volume->fs_id, O_RDONLY | O_DIRECTORY, 0);
    if (volume->dir_fd < 0)
        return volume->dir_fd;
    struct format format;
    err = format_read(volume->dir_fd, &format);
    if (err == -EBADMSG)
        LOG_ERROR("the file `format` is damaged: put it back from a backup of the file system's "
                  "directory",
            "fs=%s", volume->fs_id);
    /* What an older program made is read as it is, and from now on refused by that program. */
    if (err == 0 && format.version < FORMAT_VERSION)
        err = format_write(volume->dir_fd, &format);
    if (err < 0)
        return err;
    volume->name_key = format.name_key;
    volume->segment_blocks = format.segment_blocks;
    memcpy(volume->uuid, format.uuid, UUID_BYTES);
    if (format.is_encrypted) {
        const struct key_place place = {
            .engine = engine, .fs_id = volume->fs_id, .dir_fd = volume->dir_fd, .uuid = volume->uuid
        };
        err = volume_key_open(&place, &volume->crypt);
        if (err < 0)
            return err;
        volume->name_key = crypt_name_key(volume->crypt);
    }
    const struct store_place place = {
        .path = path, .name = volume->fs_id, .crypt = volume->crypt
    };
    err = store_open(engine->stores, &place, &volume->store);
    if (err < 0)
        return err == -ENOENT ? -EBADMSG : err;
    volume->data_fd = sys_openat(volume->dir_fd, "data", O_RDONLY | O_DIRECTORY, 0);
    return volume->data_fd == -ENOENT ? -EBADMSG : min_int(volume->data_fd, 0);
}

/* Applies the batches that the database has not in tables. */
static int replay_journal(struct volume *volume, struct volume_state *state)
{
    struct journal_options options = { .dir_fd = volume->dir_fd,
        .salt = load_be64(volume->uuid),
        .fs_id = volume->fs_id,
        .pool = volume->engine->sync_pool,
        .file_bytes = volume->engine->options.journal_file_bytes,
        .flush = flush_store,
        .context = volume };
    int err = journal_open(&options, &volume->journal);
    uint64_t last = 0;
    if (err == 0)
        err = journal_replay(volume->journal, state->batch, apply_journal, &last);
    if (err == 0 && last > state->batch)
        err = volume_read_state(volume, state);
    if (err == 0 && state->batch < last)
        err = -EBADMSG;
    if (err == -EBADMSG)
        LOG_ERROR(
            "the files in `journal` are damaged, or of another time than those in `meta`: put "
            "both back from one backup",
            "fs=%s batch=%" PRIu64, volume->fs_id, state->batch);
    return err;
}

/* Numbers go on above all that the last run may have used. */
static void start_numbers(struct volume *volume, struct volume_state *state)
{
    volume->inode_next = max_u64(state->inode_ceiling, INODE_FIRST);
    volume->change_next = state->change_ceiling;
    if (!state->is_clean)
        state->change_floor = state->change_ceiling;
    volume->change_floor = state->change_floor;
    volume->generation = random_u64();
    volume->writeverf = random_u64();
    volume->used_bytes = state->used_bytes;
    volume->used_files = state->used_files;
    volume->batch_number = state->batch;
    volume->background.checkpoint_batch = state->batch;
    state->is_clean = false;
    if (volume->crypt != NULL)
        crypt_start_numbers(volume->crypt, state->number_ceiling);
}

static int find_root(struct volume *volume)
{
    struct inode *inode;
    int err = inode_acquire(volume, ROOT_INODE, &inode);
    if (err < 0)
        return err == -ESTALE ? -EBADMSG : err;
    volume->root = inode->record.attr.node;
    inode_unpin(&volume->inodes, inode);
    return 0;
}

static int start(struct volume *volume, struct volume_state *state)
{
    struct engine *engine = volume->engine;
    struct segments_options options = { .dir_fd = volume->data_fd,
        .segment_blocks = volume->segment_blocks,
        .uuid = volume->uuid,
        .fs_id = volume->fs_id,
        .pool = engine->pool,
        .crypt = volume->crypt,
        .fd_max = SEGMENT_FDS_MAX,
        .spare_bytes = engine->options.reserve_bytes / 2,
        .next_id = max_u64(state->segment_ceiling, 1) };
    start_numbers(volume, state);
    int err = segments_init(&volume->segments, &options);
    if (err == 0)
        err = refs_init(&volume->refs);
    if (err == 0)
        err = inode_cache_init(&volume->inodes, &engine->cached_bytes, engine->options.cache_bytes);
    if (err == 0)
        err = usage_tree_new(&volume->usage);
    if (err == 0)
        err = usage_count_first(volume, state);
    if (err == 0)
        err = quotas_init(&volume->quotas);
    if (err == 0)
        err = quotas_load(volume);
    if (err == 0)
        err = snapshots_init(&volume->snapshots);
    if (err == 0)
        err = snapshots_load(volume, state->batch);
    if (err == 0)
        err = reclaim_load_segments(volume, state);
    if (err == 0)
        err = reclaim_load_orphans(volume);
    if (err == 0)
        err = find_root(volume);
    if (err == 0)
        err = cut_load(volume);
    if (err == 0)
        err = committer_start(&volume->committer, volume, state);
    /* Folds the log of freed blocks, and with the first batch the new ceilings are on the disk
     * before any of the numbers is used. */
    if (err == 0)
        err = reclaim_checkpoint(volume, false);
    return err;
}

/* Undoes what there is of a volume, also a half-opened one. */
static void teardown(struct volume *volume)
{
    committer_stop(&volume->committer);
    background_fini(volume);
    if (volume->inodes.bytes != NULL)
        inode_cache_fini(&volume->inodes);
    segments_fini(&volume->segments);
    refs_fini(&volume->refs);
    usage_tree_free(volume->usage);
    quotas_fini(&volume->quotas);
    snapshots_fini(&volume->snapshots);
    journal_close(volume->journal);
    store_close(volume->store);
    crypt_free(volume->crypt);
    verifier_free(volume->verifier);
    if (volume->data_fd >= 0)
        (void)close(volume->data_fd);
    if (volume->dir_fd >= 0)
        (void)close(volume->dir_fd);
    free(volume);
}

static void log_refusal(const char *fs_id, int err)
{
    const char *reason = "see error";
    if (err == -EBUSY)
        reason = "another process has it open";
    else if (err == -EPROTO)
        reason = "its format is newer than this program";
    else if (err == -EBADMSG)
        reason = "it is damaged; the lines above say where, shoal fsck says more";
    else if (err == -ENOKEY || err == -EKEYREVOKED)
        reason = "its key cannot be used";
    LOG_ERROR("file system cannot be opened", "fs=%s error=%d reason=\"%s\"", fs_id, err, reason);
}

int volume_open(struct engine *engine, const char *fs_id, struct volume **out_volume)
{
    if (!volume_id_is_safe(fs_id))
        return -ENOENT;
    struct volume *volume = aligned_alloc(64, round_up(sizeof *volume, 64));
    if (volume == NULL)
        return -ENOMEM;
    memset(volume, 0, sizeof *volume);
    volume->fs.ops = &engine_ops;
    volume->engine = engine;
    volume->dir_fd = -1;
    volume->data_fd = -1;
    memcpy(volume->fs_id, fs_id, strlen(fs_id));
    background_init(volume);
    struct volume_state state = { 0 };
    int err = verifier_new(volume, &volume->verifier);
    if (err == 0)
        err = open_files(volume);
    if (err == 0)
        err = volume_read_state(volume, &state);
    if (err == 0)
        err = replay_journal(volume, &state);
    bool was_clean = state.is_clean;
    if (err == 0)
        err = start(volume, &state);
    if (err < 0) {
        if (err != -ENOENT)
            log_refusal(fs_id, err);
        background_stop(volume);
        teardown(volume);
        return err == -EKEYREVOKED ? -ENOKEY : err;
    }
    background_start(volume);
    verifier_resume(volume->verifier);
    LOG_INFO("file system opened", "fs=%s inodes=%" PRIu64 " bytes=%" PRIu64 " recovered=%s", fs_id,
        state.used_files, state.used_bytes, was_clean ? "no" : "yes");
    *out_volume = volume;
    return 0;
}

int volume_rekey(struct engine *engine, const char *fs_id, struct volume *volume)
{
    struct format format;
    int fd = sys_openat(engine->dir_fd, fs_id, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int err = format_read(fd, &format);
    if (err == 0 && format.is_encrypted) {
        const struct key_place place = {
            .engine = engine, .fs_id = fs_id, .dir_fd = fd, .uuid = format.uuid
        };
        err = volume_key_renew(&place);
    }
    (void)close(fd);
    if (volume != NULL && volume->is_locked != (err < 0)) {
        volume->is_locked = err < 0;
        if (err < 0)
            LOG_ERROR(
                "encrypted file system answers every call with an error: its key cannot be used",
                "fs=%s error=%d", fs_id, err);
        else
            LOG_INFO("encrypted file system serves again: its key can be used", "fs=%s", fs_id);
    }
    return err;
}

/* The last batch says so, and nothing is left for the journal to replay. */
static int close_in_order(struct volume *volume)
{
    int err = reclaim_checkpoint(volume, true);
    if (err == 0)
        err = store_flush(volume->store);
    if (err == 0)
        journal_seal(volume->journal, volume->batch_number);
    return err;
}

void volume_close(struct volume *volume)
{
    if (volume == NULL)
        return;
    verifier_stop(volume->verifier);
    background_stop(volume);
    /* Files without a name that were held have their o records: the next opening deletes them. */
    uint32_t held = inode_cache_drop_holds(&volume->inodes);
    if (held > 0)
        LOG_WARN(
            "file system is closed while files are held", "fs=%s files=%u", volume->fs_id, held);
    if (!volume->is_failed && close_in_order(volume) < 0)
        LOG_WARN(
            "file system was not closed in order; it recovers when opened", "fs=%s", volume->fs_id);
    LOG_INFO("file system closed", "fs=%s", volume->fs_id);
    teardown(volume);
}
