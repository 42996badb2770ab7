/*
 * datastore/files/shard.h - one shard of a checkpoint being written: stripes in parallel, past the page cache where that works,
 * with a checksum for each chunk. And its manifest: sizes and checksums as JSON.
 */
#pragma once

#include <jansson.h>

#include "datastore/files/files.h"

#define SHARD_CHUNK_SIZE UINT64_C(1048576)
#define SHARD_HASH_SIZE  16u /* XXH3, 128 bits, in its canonical byte order */

struct shard; /* opaque: shard.c */

/* Creates the file `name`, which must not exist, in `dir_fd` (borrowed until shard_free()). `size_bytes`: reserved, when
 * not 0. Errors: the system's. */
MUST_CHECK int shard_create(
    int dir_fd, const char *name, unsigned threads, uint64_t size_bytes, struct shard **out_shard);
/* Writes a range; from any number of threads, disjoint ranges. Errors: the system's. */
MUST_CHECK int shard_write(struct shard *shard, uint64_t offset, const void *data, uint64_t size);
/* Makes it durable. Errors: -ENODATA: bytes before `*out_gap_end` were never written; the system's. */
MUST_CHECK int shard_sync(struct shard *shard, uint64_t *out_gap_offset);
/* Size and checksums, after shard_sync(): {"size": N, "chunks": "hex..."}. NULL: no memory. */
json_t *shard_manifest(const struct shard *shard);
/* Closes the file. NULL is allowed. */
void shard_free(struct shard *shard);

/* One shard of a manifest, as it is read. */
struct shard_layout {
    uint64_t offset; /* in the whole */
    uint64_t size;
    uint64_t first_chunk; /* index in the whole's hashes */
};

struct manifest {
    uint64_t size;
    uint64_t chunk_size;
    uint64_t chunk_count;
    uint32_t shard_count;
    struct shard_layout *shards;
    uint8_t *hashes; /* SHARD_HASH_SIZE for each chunk */
};

/* Chunks that a shard of this size has. */
uint64_t manifest_chunks(uint64_t size, uint64_t chunk_size);
/* The text of a manifest of these shards (takes the reference); NULL: no memory. */
MUST_CHECK char *manifest_text(json_t *shards);
/* Errors: -EBADMSG: not a manifest, or of a newer format; -ENOMEM. */
MUST_CHECK int manifest_parse(const char *text, size_t size, struct manifest *out_manifest);
void manifest_fini(struct manifest *manifest);
/* The hash of a chunk's bytes. */
void chunk_hash(uint8_t out_hash[SHARD_HASH_SIZE], const void *data, size_t size);
