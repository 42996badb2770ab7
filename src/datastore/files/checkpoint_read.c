/*
 * datastore/files/checkpoint_read.c - reading a version, every byte verified (room: datastore).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "datastore/files/checkpoints.h"

#define OPEN_TRIES_MAX 100u

struct files_checkpoint {
    int fd;
    unsigned threads;
    uint64_t version;
    int64_t saved_s;
    bool is_verified;
    char *metadata;
    struct manifest manifest; /* without a manifest: one shard, no hashes */
    char path[CHECKPOINT_PATH_SIZE + CHECKPOINT_VERSION_SIZE]; /* of the directory, for messages */
};

void files_checkpoint_close(void *checkpoint)
{
    struct files_checkpoint *self = checkpoint;
    if (self == NULL)
        return;
    if (self->fd >= 0)
        (void)close(self->fd); /* read only */
    free(self->metadata);
    manifest_fini(&self->manifest);
    free(self);
}

/* ---- Opening ---- */

/* The metadata's text, which is an object; "{}" when another program wrote none. */
static int read_metadata(struct files_checkpoint *self, int dir_fd)
{
    size_t size;
    int err = files_read_whole(
        dir_fd, CHECKPOINT_METADATA, 2 * SHOAL_DATA_METADATA_SIZE_MAX, &self->metadata, &size);
    if (err == -ENOENT && !self->is_verified) {
        self->metadata = strdup("{}");
        return self->metadata == NULL ? -ENOMEM : 0;
    }
    if (err < 0)
        return err;
    json_t *root = json_loadb(self->metadata, size, JSON_ALLOW_NUL, NULL);
    bool is_object = json_is_object(root);
    json_decref(root);
    return is_object || !self->is_verified ? 0 : -EBADMSG;
}

static int read_manifest(struct files_checkpoint *self, int dir_fd, uint64_t file_size)
{
    char *text = NULL;
    size_t size;
    if (!self->is_verified) {
        self->manifest = (struct manifest){ .size = file_size,
            .chunk_size = SHARD_CHUNK_SIZE,
            .chunk_count = manifest_chunks(file_size, SHARD_CHUNK_SIZE),
            .shard_count = 1,
            .shards = calloc(1, sizeof *self->manifest.shards) };
        if (self->manifest.shards == NULL)
            return -ENOMEM;
        self->manifest.shards[0].size = file_size;
        return 0;
    }
    int err = files_read_whole(dir_fd, CHECKPOINT_MANIFEST, MANIFEST_SIZE_MAX, &text, &size);
    if (err == 0)
        err = manifest_parse(text, size, &self->manifest);
    free(text);
    return err;
}

static int32_t fail_open(
    const struct files_checkpoint *self, int err, const char *file, struct shoal_data_error *error)
{
    char path[sizeof self->path + 32];
    (void)snprintf(path, sizeof path, "%s/%s", self->path, file); /* fits */
    if (err == -EBADMSG || (err == -ENOENT && self->is_verified))
        return data_fail(error, SHOAL_DATA_DAMAGED, "The file %s is damaged or missing.", path);
    return data_fail_errno(error, err, "Cannot read", path);
}

/* Opens what is in the version's directory, or in the checkpoint's own when another program wrote it. */
static int32_t open_in(struct files_checkpoint *self, int dir_fd, struct shoal_data_error *error)
{
    struct stat st;
    self->fd = files_open_beneath(dir_fd, CHECKPOINT_DATA, O_RDONLY | O_NONBLOCK);
    int err = self->fd < 0 ? self->fd : fstat(self->fd, &st) < 0 ? -errno : 0;
    if (err == 0 && !S_ISREG(st.st_mode))
        err = -EBADMSG;
    if (err < 0)
        return fail_open(self, err, CHECKPOINT_DATA, error);
    err = read_manifest(self, dir_fd, (uint64_t)st.st_size);
    if (err < 0)
        return fail_open(self, err, CHECKPOINT_MANIFEST, error);
    if (self->manifest.size != (uint64_t)st.st_size)
        return data_fail(error, SHOAL_DATA_DAMAGED,
            "The file %s/" CHECKPOINT_DATA " has %" PRIu64 " bytes instead of %" PRIu64 ".",
            self->path, (uint64_t)st.st_size, self->manifest.size);
    err = read_metadata(self, dir_fd);
    if (err < 0)
        return fail_open(self, err, CHECKPOINT_METADATA, error);
    self->saved_s = checkpoint_saved_s(self->metadata, st.st_mtim.tv_sec);
    return SHOAL_DATA_OK;
}

static int32_t open_version(struct files_checkpoint *self, int id_fd, const char *id,
    uint64_t version, struct shoal_data_error *error)
{
    char path[CHECKPOINT_VERSION_SIZE] = ".";
    char base[CHECKPOINT_PATH_SIZE];
    checkpoint_path(base, id);
    if (version > 0)
        checkpoint_version_path(path, version);
    (void)snprintf(self->path, sizeof self->path, "%s%s%s", base, version > 0 ? "/" : "",
        version > 0 ? path : ""); /* fits */
    self->version = version;
    self->is_verified = version > 0;
    int dir_fd = files_open_beneath(id_fd, path, O_RDONLY | O_DIRECTORY);
    if (dir_fd == -ENOENT)
        return data_fail(error, SHOAL_DATA_NOT_FOUND, "There is no %s.", self->path);
    if (dir_fd < 0)
        return data_fail_errno(error, dir_fd, "Cannot open", self->path);
    int32_t status = open_in(self, dir_fd, error);
    (void)close(dir_fd); /* read only */
    return status;
}

/* One try. *out_again: the latest version was removed between being found and being opened. */
static int32_t try_open(const struct files_store *store, const char *id, uint64_t version,
    struct files_checkpoint **out_checkpoint, bool *out_again, struct shoal_data_error *error)
{
    char path[CHECKPOINT_PATH_SIZE];
    checkpoint_path(path, id);
    struct files_checkpoint *self = calloc(1, sizeof *self);
    if (self == NULL)
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    self->fd = -1;
    self->threads = store->threads;
    uint64_t wanted = version;
    int32_t status = SHOAL_DATA_OK;
    int id_fd = checkpoint_open_directory(store, id, false);
    int err = id_fd < 0 ? id_fd : 0;
    if (err == 0 && version == 0)
        err = checkpoint_latest(id_fd, &wanted);
    if (err == -ENOENT)
        status = data_fail(error, SHOAL_DATA_NOT_FOUND, "There is no checkpoint %s.", path);
    else if (err < 0)
        status = data_fail_errno(error, err, "Cannot open the checkpoint", path);
    if (status == SHOAL_DATA_OK)
        status = open_version(self, id_fd, id, wanted, error);
    if (status != SHOAL_DATA_OK && version == 0 && wanted > 0) {
        uint64_t now = 0;
        *out_again = checkpoint_latest(id_fd, &now) == 0 && now != wanted;
    }
    if (id_fd >= 0)
        (void)close(id_fd); /* read only */
    if (status != SHOAL_DATA_OK) {
        files_checkpoint_close(self);
        return status;
    }
    *out_checkpoint = self;
    return SHOAL_DATA_OK;
}

int32_t files_checkpoint_open(void *backend, const char *id, uint64_t version,
    void **out_checkpoint, struct shoal_data_error *error)
{
    struct files_checkpoint *checkpoint = NULL;
    int32_t status = SHOAL_DATA_BUSY;
    bool again = true;
    for (unsigned i = 0; i < OPEN_TRIES_MAX && again; i++) {
        again = false;
        status = try_open(backend, id, version, &checkpoint, &again, error);
    }
    if (status == SHOAL_DATA_OK)
        *out_checkpoint = checkpoint;
    return status;
}

void files_checkpoint_info(const void *checkpoint, struct shoal_data_checkpoint_info *out_info)
{
    const struct files_checkpoint *self = checkpoint;
    *out_info = (struct shoal_data_checkpoint_info){ .version = self->version,
        .size_bytes = self->manifest.size,
        .saved_s = self->saved_s,
        .metadata_json = self->metadata,
        .shard_count = self->manifest.shard_count,
        .is_verified = self->is_verified };
}

int32_t files_checkpoint_shard(const void *checkpoint, uint32_t shard_index, uint64_t *out_offset,
    uint64_t *out_size_bytes, struct shoal_data_error *error)
{
    const struct files_checkpoint *self = checkpoint;
    if (shard_index >= self->manifest.shard_count)
        return data_fail(error, SHOAL_DATA_INVALID, "%s has %u shards: there is none of index %u.",
            self->path, self->manifest.shard_count, shard_index);
    *out_offset = self->manifest.shards[shard_index].offset;
    *out_size_bytes = self->manifest.shards[shard_index].size;
    return SHOAL_DATA_OK;
}

/* ---- Reading ---- */

struct reading {
    const struct files_checkpoint *checkpoint;
    uint64_t offset;
    uint8_t *buffer;
    uint64_t size;
    uint64_t first_chunk;
    _Atomic int err;
    _Atomic uint64_t bad_offset; /* of a chunk whose checksum is wrong */
};

/* The last shard that begins at the chunk, or before it, and has chunks. */
static const struct shard_layout *shard_of_chunk(const struct manifest *manifest, uint64_t chunk)
{
    uint32_t low = 0;
    uint32_t high = manifest->shard_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (manifest->shards[middle].first_chunk <= chunk)
            low = middle;
        else
            high = middle;
    }
    return &manifest->shards[low];
}

/* The chunk that holds the byte at `offset`, which is below the size. */
static uint64_t chunk_at(const struct manifest *manifest, uint64_t offset)
{
    uint32_t low = 0;
    uint32_t high = manifest->shard_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (manifest->shards[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    const struct shard_layout *shard = &manifest->shards[low];
    return shard->first_chunk + (offset - shard->offset) / manifest->chunk_size;
}

/* Reads and verifies a whole chunk. */
static int read_chunk(
    struct reading *reading, uint64_t number, uint64_t start, void *to, size_t size)
{
    const struct files_checkpoint *checkpoint = reading->checkpoint;
    uint8_t hash[SHARD_HASH_SIZE];
    int err = sys_pread_all(checkpoint->fd, to, size, start);
    if (err < 0 || !checkpoint->is_verified)
        return err;
    chunk_hash(hash, to, size);
    if (memcmp(hash, checkpoint->manifest.hashes + number * SHARD_HASH_SIZE, sizeof hash) == 0)
        return 0;
    reading->bad_offset = start;
    return -EBADMSG;
}

/* Reads the part of the range that lies in one chunk. */
static void read_piece(void *context, uint64_t index)
{
    struct reading *reading = context;
    const struct manifest *manifest = &reading->checkpoint->manifest;
    uint64_t number = reading->first_chunk + index;
    const struct shard_layout *shard = shard_of_chunk(manifest, number);
    uint64_t within = (number - shard->first_chunk) * manifest->chunk_size;
    uint64_t start = shard->offset + within;
    uint64_t end = start + min_u64(manifest->chunk_size, shard->size - within);
    uint64_t from = max_u64(start, reading->offset);
    uint64_t to = min_u64(end, reading->offset + reading->size);
    if (reading->err != 0)
        return;
    uint8_t *target = reading->buffer + (from - reading->offset);
    int err;
    if (from == start && to == end) {
        err = read_chunk(reading, number, start, target, (size_t)(end - start));
    } else {
        uint8_t *chunk = malloc((size_t)(end - start));
        err = chunk == NULL ? -ENOMEM
                            : read_chunk(reading, number, start, chunk, (size_t)(end - start));
        if (err == 0)
            memcpy(target, chunk + (from - start), (size_t)(to - from));
        free(chunk);
    }
    if (err < 0)
        reading->err = err;
}

int32_t files_checkpoint_read(void *checkpoint, uint64_t offset, void *buffer, uint64_t size_bytes,
    struct shoal_data_error *error)
{
    const struct files_checkpoint *self = checkpoint;
    struct reading reading = { .checkpoint = self,
        .offset = offset,
        .buffer = buffer,
        .size = size_bytes,
        .first_chunk = chunk_at(&self->manifest, offset) };
    uint64_t last = chunk_at(&self->manifest, offset + size_bytes - 1);
    data_parallel(self->threads, last - reading.first_chunk + 1, read_piece, &reading);
    if (reading.err == -EBADMSG)
        return data_fail(error, SHOAL_DATA_CHECKSUM,
            "The checksum of %s/" CHECKPOINT_DATA " is wrong at offset %" PRIu64 ".", self->path,
            reading.bad_offset);
    if (reading.err == -ENODATA)
        return data_fail(
            error, SHOAL_DATA_DAMAGED, "The file %s/" CHECKPOINT_DATA " was cut.", self->path);
    if (reading.err < 0)
        return data_fail_errno(error, reading.err, "Cannot read", self->path);
    return SHOAL_DATA_OK;
}
