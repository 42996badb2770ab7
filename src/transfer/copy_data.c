/*
 * transfer/copy_data.c - the data of one regular file (room: transfer).
 *
 * A small file is read whole and stored whole, in one request on either side. A larger one is divided among the
 * crew; each chunk is committed, and written once more from the source when the server lost it meanwhile (a
 * restart changes the write verifier, RFC 8881 section 18.32). So nothing of a file is kept in memory but the
 * pieces on their way.
 */
#include <stdlib.h>

#include "transfer/chunks.h"
#include "transfer/copy_internal.h"

#define SPARSE_SIZE_MIN     (64u * 1024) /* below, a hole saves nothing worth two more requests */
#define HOLE_BYTES          (32u * 1024) /* zeros that are left out */
#define COMMIT_ATTEMPTS_MAX 10

struct large {
    struct chunks chunks;
    struct copy_entry *entry;
    struct tree_file *from;
    struct tree_file *to;
    bool is_sparse;
};

static bool is_sparse(const struct tree_attr *attr)
{
    return attr->size_bytes >= SPARSE_SIZE_MIN &&
           attr->space_used_bytes < round_down(attr->size_bytes, 4096);
}

static bool is_zero(struct slice data)
{
    return data.size > 0 && data.data[0] == 0 &&
           memcmp(data.data, data.data + 1, data.size - 1) == 0;
}

/* Writes a piece; of a sparse file only what is not zero. */
static int write_piece(
    struct large *large, uint64_t offset, struct slice data, struct nfs_unstable *unstable)
{
    const struct tree_ops *ops = large->to->tree->ops;
    if (!large->is_sparse)
        return ops->write(large->to, offset, data, unstable);
    int err = 0;
    for (size_t at = 0; at < data.size && err == 0;) {
        size_t end = at;
        while (end < data.size) { /* as far as there is something to write */
            struct slice block = slice_of(data.data + end, min_size(HOLE_BYTES, data.size - end));
            if (is_zero(block))
                break;
            end += block.size;
        }
        if (end > at)
            err = ops->write(large->to, offset + at, slice_of(data.data + at, end - at), unstable);
        at = end + (end < data.size ? min_size(HOLE_BYTES, data.size - end) : 0);
    }
    return err;
}

static int copy_stretch(
    struct large *large, uint64_t start, uint64_t end, struct nfs_unstable *unstable)
{
    const struct tree_ops *ops = large->from->tree->ops;
    uint32_t piece_bytes = min_u32(large->from->tree->piece_bytes, large->to->tree->piece_bytes);
    int err = 0;
    while (start < end && err == 0) {
        struct tree_piece piece = { .kind = PIECE_NONE };
        if (walk_is_stopped(large->entry->dir))
            return -ECANCELED;
        err = ops->read(large->from, start, (uint32_t)min_u64(piece_bytes, end - start), &piece);
        if (err < 0)
            return err;
        if (piece.data.size == 0)
            err = -ENODATA; /* it became shorter meanwhile */
        else
            err = write_piece(large, start, piece.data, unstable);
        start += piece.data.size;
        tree_piece_end(&piece);
    }
    return err;
}

/* Copies what is no hole between the two offsets. */
static int copy_range(
    struct large *large, uint64_t offset, uint64_t end, struct nfs_unstable *unstable)
{
    const struct tree_ops *ops = large->from->tree->ops;
    while (offset < end) {
        uint64_t start;
        uint64_t stop;
        int err = ops->next_data(large->from, offset, &start, &stop);
        if (err == -ENXIO)
            return 0;
        if (err == 0 && start < end)
            err = copy_stretch(large, start, min_u64(stop, end), unstable);
        if (err < 0)
            return err;
        offset = stop;
    }
    return 0;
}

static int copy_chunk(struct chunks *chunks, uint64_t offset, uint64_t size)
{
    struct large *large = CONTAINER_OF(chunks, struct large, chunks);
    for (int attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
        struct nfs_unstable unstable = { 0 };
        int err = copy_range(large, offset, offset + size, &unstable);
        if (err == 0)
            err = large->to->tree->ops->commit(large->to, &unstable);
        if (err == 0)
            transfer_count(&large->entry->copy->options.report.stats->bytes, size);
        if (err <= 0)
            return err;
    }
    return -EIO; /* the server loses what it is given, again and again */
}

static int finish_large(struct large *large, struct nfs_fh *out_fh)
{
    struct copy_entry *entry = large->entry;
    struct tree_set set;
    int err = atomic_load(&large->chunks.error);
    if (err < 0)
        return err;
    do {
        set = copy_set_of(entry->copy, &entry->attr);
        set.set_size = true; /* a hole at the end was not written */
        set.size_bytes = entry->attr.size_bytes;
        err = large->to->tree->ops->finish(large->to, &set, out_fh);
    } while (copy_gave_up_owner(entry->copy, &set, err));
    return err;
}

static void large_done(struct chunks *chunks)
{
    struct large *large = CONTAINER_OF(chunks, struct large, chunks);
    struct copy_entry *entry = large->entry;
    struct nfs_fh fh = { 0 };
    int err = finish_large(large, &fh);
    int close_err = large->to->tree->ops->close(large->to);
    (void)large->from->tree->ops->close(large->from); /* only read */
    err = err < 0 ? err : close_err;
    if (err == 0)
        transfer_count(&entry->copy->options.report.stats->files, 1);
    free(large);
    copy_entry_done(entry, &fh, "cannot be copied", err);
}

static int open_large(struct large *large)
{
    struct copy_entry *entry = large->entry;
    struct tree *from = entry->copy->options.from;
    struct tree *to = entry->copy->options.to;
    unsigned attempt = 0;
    int err = from->ops->open(from, &entry->dir->at, entry->name, &entry->attr, &large->from);
    if (err < 0)
        return err;
    do {
        err = to->ops->create(to, entry->to, entry->to_name, &large->to);
    } while (copy_made_way(entry, err, &attempt));
    if (err < 0)
        (void)from->ops->close(large->from); /* only read */
    return err;
}

static void copy_large(struct copy_entry *entry)
{
    struct large *large = calloc(1, sizeof *large);
    int err = large == NULL ? -ENOMEM : 0;
    if (err == 0) {
        large->entry = entry;
        large->is_sparse = is_sparse(&entry->attr);
        large->chunks = (struct chunks){
            .work = copy_chunk, .done = large_done, .size_bytes = entry->attr.size_bytes
        };
        err = open_large(large);
    }
    if (err == 0) {
        err = chunks_start(&large->chunks, walk_crew(entry->dir));
        if (err == 0)
            return;                                       /* large_done() ends it */
        (void)large->to->tree->ops->close(large->to);     /* nothing was written */
        (void)large->from->tree->ops->close(large->from); /* nor read */
    }
    free(large);
    copy_entry_done(entry, NULL, "cannot be copied", err);
}

/* Stores what was read. */
static int store_small(struct copy_entry *entry, struct slice data, struct nfs_fh *out_fh)
{
    struct copy *copy = entry->copy;
    struct tree *to = copy->options.to;
    struct tree_store store = { .data = data, .out_fh = out_fh };
    unsigned attempt = 0;
    int err;
    do {
        store.set = copy_set_of(copy, &entry->attr);
        err = to->ops->store(to, entry->to, entry->to_name, &store);
    } while (copy_gave_up_owner(copy, &store.set, err) || copy_made_way(entry, err, &attempt));
    if (err == 0) {
        transfer_count(&copy->options.report.stats->files, 1);
        transfer_count(&copy->options.report.stats->bytes, data.size);
    }
    return err;
}

void copy_regular(struct copy_entry *entry)
{
    struct tree *from = entry->copy->options.from;
    uint32_t small_max = min_u32(from->piece_bytes, entry->copy->options.to->piece_bytes);
    struct tree_piece piece = { .kind = PIECE_NONE };
    struct nfs_fh fh = { 0 };
    if (entry->attr.size_bytes > small_max || is_sparse(&entry->attr)) {
        copy_large(entry);
        return;
    }
    struct tree_attr now;
    int err = from->ops->fetch(from, &entry->dir->at, entry->name, small_max, &piece, &now);
    if (err == 0 && (now.type != TREE_REGULAR || now.inode != entry->attr.inode))
        err = -ESTALE; /* replaced since it was listed */
    if (err == 0)
        entry->attr = now;
    if (err == 0 && now.size_bytes > small_max) { /* it grew */
        tree_piece_end(&piece);
        copy_large(entry);
        return;
    }
    if (err == 0 && piece.data.size != now.size_bytes)
        err = piece.kind == PIECE_NONE ? -EACCES : -ENODATA;
    if (err == 0)
        err = store_small(entry, piece.data, &fh);
    tree_piece_end(&piece);
    copy_entry_done(entry, &fh, "cannot be copied", err);
}
