/*
 * nfs/fh.c - filehandles to bytes and back (room: NFS).
 */
#include "nfs/fh.h"

#include "base/bytes.h"

#define FH_VERSION 1

enum {
    AT_VERSION = 0,
    AT_KIND = 1,
    AT_FS_TAG = 4,
    AT_INODE = 12,
    AT_GENERATION = 20,
    AT_ACCESS_POINT = 28,
    AT_MAC = 36,
};
static_assert(AT_MAC + 8 == FH_SIZE, "the MAC is what a handle ends with");

uint64_t fh_fs_tag(const char *fs_id)
{
    /* No secret: a tag must be the same on every node that serves the file system. */
    static const struct hash_key key = { .k0 = UINT64_C(0x66732d7461672d31), .k1 = 1 };
    uint64_t tag = hash_keyed(&key, fs_id, strlen(fs_id));
    return tag != 0 ? tag : 1;
}

void fh_encode(const struct hash_key *key, const struct fh *fh, uint8_t out_bytes[FH_SIZE])
{
    store_be32(out_bytes, 0);
    out_bytes[AT_VERSION] = FH_VERSION;
    out_bytes[AT_KIND] = (uint8_t)fh->kind;
    store_be64(out_bytes + AT_FS_TAG, fh->fs_tag);
    store_be64(out_bytes + AT_INODE, fh->node.inode);
    store_be64(out_bytes + AT_GENERATION, fh->node.generation);
    store_be64(out_bytes + AT_ACCESS_POINT, fh->access_point);
    store_be64(out_bytes + AT_MAC, hash_keyed(key, out_bytes, AT_MAC));
}

int fh_decode(const struct hash_key *key, struct slice bytes, struct fh *out_fh)
{
    const uint8_t *data = bytes.data;
    if (bytes.size != FH_SIZE || data[AT_VERSION] != FH_VERSION)
        return -EBADMSG;
    if (load_be64(data + AT_MAC) != hash_keyed(key, data, AT_MAC))
        return -EBADMSG;
    assert(data[AT_KIND] == FH_PSEUDO || data[AT_KIND] == FH_NODE); /* the MAC says we made it */
    *out_fh = (struct fh){ .kind = data[AT_KIND],
        .fs_tag = load_be64(data + AT_FS_TAG),
        .node = { .inode = load_be64(data + AT_INODE),
            .generation = load_be64(data + AT_GENERATION) },
        .access_point = load_be64(data + AT_ACCESS_POINT) };
    return 0;
}
