/*
 * datastore/files/manifest.c - the manifest of a checkpoint: its shards and their checksums, as JSON (room: datastore).
 * Format: docs/formats/datastore.md.
 */
#include <stdlib.h>

#include "datastore/files/shard.h"

#define FORMAT         1
#define CHUNK_SIZE_MIN 4096
#define CHUNK_SIZE_MAX (64 << 20)

char *manifest_text(json_t *shards)
{
    json_t *root = json_pack("{s:i, s:s, s:I, s:o}", "format", FORMAT, "hash", "xxh3-128",
        "chunk_size", (json_int_t)SHARD_CHUNK_SIZE, "shards", shards);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

void manifest_fini(struct manifest *manifest)
{
    free(manifest->shards);
    free(manifest->hashes);
    *manifest = (struct manifest){ 0 };
}

/* Sizes and places of the shards. */
static int parse_shards(const json_t *shards, struct manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->shard_count; i++) {
        const json_t *size = json_object_get(json_array_get(shards, i), "size");
        if (!json_is_integer(size) || json_integer_value(size) < 0 ||
            (uint64_t)json_integer_value(size) > SHOAL_DATA_CHECKPOINT_SIZE_MAX - manifest->size)
            return -EBADMSG;
        manifest->shards[i] = (struct shard_layout){ .offset = manifest->size,
            .size = (uint64_t)json_integer_value(size),
            .first_chunk = manifest->chunk_count };
        manifest->size += manifest->shards[i].size;
        manifest->chunk_count += manifest_chunks(manifest->shards[i].size, manifest->chunk_size);
    }
    return 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_hashes(const json_t *shard, uint64_t size, uint8_t *to)
{
    const json_t *chunks = json_object_get(shard, "chunks");
    const char *hex = json_string_value(chunks);
    if (hex == NULL || json_string_length(chunks) != size * 2)
        return -EBADMSG;
    for (uint64_t i = 0; i < size; i++) {
        int high = digit_of(hex[2 * i]);
        int low = digit_of(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EBADMSG;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static int parse_root(const json_t *root, struct manifest *manifest)
{
    const json_t *shards = json_object_get(root, "shards");
    const char *hash = json_string_value(json_object_get(root, "hash"));
    json_int_t chunk_size = json_integer_value(json_object_get(root, "chunk_size"));
    size_t count = json_array_size(shards);
    if (json_integer_value(json_object_get(root, "format")) != FORMAT || hash == NULL ||
        strcmp(hash, "xxh3-128") != 0 || chunk_size < CHUNK_SIZE_MIN ||
        chunk_size > CHUNK_SIZE_MAX || count == 0 || count > SHOAL_DATA_SHARDS_MAX)
        return -EBADMSG;
    manifest->chunk_size = (uint64_t)chunk_size;
    manifest->shard_count = (uint32_t)count;
    manifest->shards = calloc(count, sizeof *manifest->shards);
    if (manifest->shards == NULL)
        return -ENOMEM;
    int err = parse_shards(shards, manifest);
    if (err < 0)
        return err;
    manifest->hashes = malloc((size_t)manifest->chunk_count * SHARD_HASH_SIZE + 1);
    if (manifest->hashes == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count && err == 0; i++) {
        const struct shard_layout *shard = &manifest->shards[i];
        err = parse_hashes(json_array_get(shards, i),
            manifest_chunks(shard->size, manifest->chunk_size) * SHARD_HASH_SIZE,
            manifest->hashes + shard->first_chunk * SHARD_HASH_SIZE);
    }
    return err;
}

int manifest_parse(const char *text, size_t size, struct manifest *out_manifest)
{
    struct manifest manifest = { 0 };
    json_t *root = json_loadb(text, size, 0, NULL);
    int err = root == NULL ? -EBADMSG : parse_root(root, &manifest);
    json_decref(root);
    if (err < 0) {
        manifest_fini(&manifest);
        return err;
    }
    *out_manifest = manifest;
    return 0;
}
