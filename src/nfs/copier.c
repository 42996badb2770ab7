/* nfs/copier.c - copying a range of one file into another, piece by piece (room: NFS). */
#include "nfs/copier.h"

static void move_on(struct copier *copier, uint64_t size)
{
    copier->from_offset += size;
    copier->to_offset += size;
    copier->left -= size;
    copier->done += size;
}

/* How many bytes from here on are whole blocks that both files can share; 0: none. */
static uint64_t shareable(const struct copier *copier, uint64_t block)
{
    if (copier->from_fs != copier->to_fs || block == 0 || copier->from_offset % block != 0 ||
        copier->to_offset % block != 0)
        return 0;
    return copier->left - copier->left % block;
}

/* How many bytes to read and write next: up to where sharing can begin, if it can. */
static uint64_t piece_size(const struct copier *copier, uint64_t block)
{
    uint64_t size = min_u64(copier->left, COPIER_BUFFER_SIZE);
    bool lies_alike = copier->from_fs == copier->to_fs && block != 0 &&
                      copier->from_offset % block == copier->to_offset % block;
    if (lies_alike && copier->from_offset % block != 0)
        size = min_u64(size, block - copier->from_offset % block);
    return size;
}

static int share(struct copier *copier, uint64_t size)
{
    struct fs_clone clone = { .source = copier->from,
        .source_offset = copier->from_offset,
        .target = copier->to,
        .target_offset = copier->to_offset,
        .size_bytes = size };
    struct fs_attr attr;
    int err = fs_clone(copier->to_fs, &copier->cred, &clone, &attr);
    if (err == 0)
        move_on(copier, size);
    return err;
}

static int read_and_write(struct copier *copier, uint64_t size)
{
    struct fs_read got;
    int err = fs_read(
        copier->from_fs, copier->from, copier->from_offset, copier->buffer, (size_t)size, &got);
    if (err < 0)
        return err;
    if (got.size == 0) {
        copier->left = 0;
        return 0;
    }
    struct fs_write write = { .offset = copier->to_offset,
        .data = slice_of(copier->buffer, got.size),
        .stability = FS_UNSTABLE,
        .cred = &copier->cred };
    struct fs_written written;
    err = fs_write(copier->to_fs, copier->to, &write, &written);
    if (err < 0)
        return err;
    if (written.stability == FS_UNSTABLE)
        copier->is_unstable = true;
    move_on(copier, got.size);
    return 0;
}

int copier_step(struct copier *copier)
{
    bool can_share = (copier->to_fs->ops->caps & FS_CAP_CLONE) != 0;
    uint64_t block = can_share ? FS_CLONE_BLOCK_BYTES : 0;
    uint64_t size = shareable(copier, block);
    if (size > 0)
        return share(copier, size);
    return read_and_write(copier, piece_size(copier, block));
}
