/*
 * engine/segment_crypt.c - blocks on their way to and from segments: their checksums, and in an encrypted file system
 * their sealing (room: engine).
 *
 * There a block's tag stands where its checksum stands else. The nonce is the block's address, which never comes
 * twice, and its segment's salt.
 */
#include "base/bytes.h"
#include "base/sys.h"
#include "engine/crypt.h"
#include "engine/file.h"
#include "engine/segment_internal.h"

static struct block segment_block(uint64_t address)
{
    return (struct block){ .kind = BLOCK_SEGMENT, .address = address & ADDRESS_MAX };
}

/* Seals block by block, and writes as many as the context has room for at once: they are in the processor's cache
 * then. */
static int write_sealed(struct segments *segments, const struct segment_place *place,
    const uint8_t *bytes, struct block *out_blocks)
{
    struct crypt_context *context;
    int err = crypt_context_get(segments->crypt, &context);
    if (err < 0)
        return err;
    uint8_t *bounce = crypt_context_bounce(context);
    uint32_t done = 0;
    while (err == 0 && done < place->count) {
        uint32_t count = min_u32(place->count - done, CRYPT_BOUNCE_BYTES / BLOCK_BYTES);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t address = place->address + done + i;
            uint8_t tag[CRYPT_TAG_BYTES];
            crypt_block_seal(context, address, place->segment->salt,
                bytes + (size_t)(done + i) * BLOCK_BYTES, bounce + (size_t)i * BLOCK_BYTES, tag);
            out_blocks[done + i] = segment_block(address);
            out_blocks[done + i].checksum = load_be64(tag);
            out_blocks[done + i].tag_rest = load_be64(tag + 8);
        }
        err = sys_pwrite_all(place->segment->fd, bounce, (size_t)count * BLOCK_BYTES,
            segment_offset(segments, place->address + done));
        done += count;
    }
    crypt_context_put(segments->crypt, context);
    return err;
}

int segment_write_blocks(struct segments *segments, const struct segment_place *place,
    const uint8_t *bytes, struct block *out_blocks)
{
    if (segments->crypt != NULL)
        return write_sealed(segments, place, bytes, out_blocks);
    int err = sys_pwrite_all(place->segment->fd, bytes, (size_t)place->count * BLOCK_BYTES,
        segment_offset(segments, place->address));
    for (uint32_t i = 0; err == 0 && i < place->count; i++) {
        out_blocks[i] = segment_block(place->address + i);
        out_blocks[i].checksum = block_checksum(bytes + (size_t)i * BLOCK_BYTES);
    }
    return err;
}

int segment_verify(struct segments *segments, const struct segment *segment,
    const struct block *blocks, uint32_t count, uint8_t *bytes)
{
    struct crypt_context *context = NULL;
    bool is_good = true;
    if (segments->crypt != NULL) {
        int err = crypt_context_get(segments->crypt, &context);
        if (err < 0)
            return err;
    }
    for (uint32_t i = 0; is_good && i < count; i++) {
        uint8_t *block = bytes + (size_t)i * BLOCK_BYTES;
        if (context == NULL) {
            is_good = block_checksum(block) == blocks[i].checksum;
            continue;
        }
        uint8_t tag[CRYPT_TAG_BYTES];
        store_be64(tag, blocks[i].checksum);
        store_be64(tag + 8, blocks[i].tag_rest);
        is_good = crypt_block_open(context, blocks[i].address, segment->salt, block, tag);
    }
    if (context != NULL)
        crypt_context_put(segments->crypt, context);
    return is_good ? 0 : -EBADMSG;
}
