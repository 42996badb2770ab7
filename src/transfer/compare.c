/*
 * transfer/compare.c - two trees side by side (room: transfer).
 *
 * The first tree is walked; each entry is looked up in the second. Names that only the second has are looked for
 * when a directory of it has more entries than were found.
 */
#include "transfer/compare.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/lock.h"
#include "transfer/chunks.h"
#include "transfer/links.h"
#include "transfer/walk.h"

struct compare {
    struct compare_options options;
    struct mutex links_lock;
    struct links *from_links; /* file of `from` -> the file it was found to be in `to`; and back */
    struct links *to_links;
};

/* In struct walk_dir, `count` is how many of the entries were found in `to`. */

/* A pair of large files. */
struct pair {
    struct chunks chunks;
    struct compare *compare;
    struct walk_dir *dir;
    struct tree_file *from;
    struct tree_file *to;
    _Atomic uint64_t differs_at; /* UINT64_MAX: nowhere */
    char *name;
};

static void differs(const struct compare *compare, const char *dir, const char *name,
    const char *format, ...) PRINTF_LIKE(4, 5);
static void differs(
    const struct compare *compare, const char *dir, const char *name, const char *format, ...)
{
    char what[128];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(what, sizeof what, format, values); /* cut at most */
    va_end(values);
    char *path = tree_join(dir, name);
    transfer_problem(&compare->options.report, path == NULL ? name : path, what, 0);
    free(path);
}

static void failed_at(const struct compare *compare, const struct walk_dir *dir, const char *name,
    const char *what, int error)
{
    char *path = tree_join(dir->at.path, name);
    transfer_problem(&compare->options.report, path == NULL ? name : path, what, error);
    free(path);
}

static const char *name_in_to(
    const struct compare *compare, const struct walk_dir *dir, const char *name)
{
    return dir->parent == NULL && compare->options.to_name != NULL ? compare->options.to_name
                                                                   : name;
}

/* Type, mode, owner, size, time. `path` and `name` are for the message. */
static bool compare_attr(const struct compare *compare, const char *path, const char *name,
    const struct tree_attr *a, const struct tree_attr *b)
{
    static const char *const types[] = { "?", "file", "directory", "symbolic link", "FIFO",
        "socket", "block device", "character device" };
    if (a->type != b->type)
        differs(compare, path, name, "is a %s, the copy a %s", types[a->type], types[b->type]);
    else if (a->type != TREE_SYMLINK && a->mode != b->mode)
        differs(compare, path, name, "has mode %04o, the copy %04o", a->mode, b->mode);
    else if (compare->options.owners && (a->uid != b->uid || a->gid != b->gid))
        differs(compare, path, name, "belongs to %u:%u, the copy to %u:%u", a->uid, a->gid, b->uid,
            b->gid);
    else if (a->type == TREE_REGULAR && a->size_bytes != b->size_bytes)
        differs(compare, path, name, "has %" PRIu64 " bytes, the copy %" PRIu64, a->size_bytes,
            b->size_bytes);
    else if ((a->type != TREE_SYMLINK || compare->options.link_times) &&
             (a->mtime.seconds != b->mtime.seconds || a->mtime.nanoseconds != b->mtime.nanoseconds))
        differs(compare, path, name,
            "was modified at %" PRId64 ".%09u, the copy at %" PRId64 ".%09u", a->mtime.seconds,
            a->mtime.nanoseconds, b->mtime.seconds, b->mtime.nanoseconds);
    else if ((a->type == TREE_BLOCK || a->type == TREE_CHARACTER) &&
             (a->device_major != b->device_major || a->device_minor != b->device_minor))
        differs(compare, path, name, "is another device");
    else
        return true;
    return false;
}

/* Notes in `table` that the file `key` is the file `other` on the other side; false: it was another before. */
static bool note_link_locked(
    struct links *table, struct links_key key, const struct tree_attr *other)
{
    char text[64];
    (void)snprintf(
        text, sizeof text, "%" PRIx64 ":%" PRIx64, other->filesystem, other->inode); /* fits */
    struct tree_dir target = { .path = text };
    struct links_found found;
    enum links_answer answer;
    if (links_meet(table, key, UINT32_MAX, NULL, &answer, &found) < 0)
        return true; /* no memory for a check of links; the data are compared all the same */
    if (answer == LINKS_FIRST)
        (void)links_publish(table, key, &target, 0); /* nobody waits: the lock is held */
    if (answer != LINKS_READY)
        return true;
    bool same = strcmp(found.target.path, text) == 0;
    free(found.target.path);
    return same;
}

/* Names of one file here must be names of one file there, and the other way round. */
static bool compare_links(struct compare *compare, const struct walk_dir *dir, const char *name,
    const struct tree_attr *a, const struct tree_attr *b)
{
    if (a->link_count < 2 && b->link_count < 2)
        return true;
    struct links_key key_a = { a->filesystem, a->inode };
    struct links_key key_b = { b->filesystem, b->inode };
    mutex_lock(&compare->links_lock);
    bool same = note_link_locked(compare->from_links, key_a, b) &&
                note_link_locked(compare->to_links, key_b, a);
    mutex_unlock(&compare->links_lock);
    if (!same)
        differs(compare, dir->at.path, name, "is a hard link to other files than in the copy");
    return same;
}

static void count_equal(struct compare *compare, const struct tree_attr *attr)
{
    struct transfer_stats *stats = compare->options.report.stats;
    if (attr->type == TREE_REGULAR) {
        transfer_count(&stats->files, 1);
        transfer_count(&stats->bytes, attr->size_bytes);
    } else if (attr->type == TREE_SYMLINK) {
        transfer_count(&stats->symlinks, 1);
    } else {
        transfer_count(&stats->others, 1);
    }
}

/* Compares up to `size` bytes at `offset`; *out_same counts the equal bytes at the start. */
static int compare_piece(struct pair *pair, uint64_t offset, uint32_t size, size_t *out_same)
{
    struct tree_piece a = { .kind = PIECE_NONE };
    struct tree_piece b = { .kind = PIECE_NONE };
    int err = pair->from->tree->ops->read(pair->from, offset, size, &a);
    if (err < 0)
        return err;
    err = pair->to->tree->ops->read(pair->to, offset, size, &b);
    if (err == 0) {
        size_t common = min_size(a.data.size, b.data.size);
        size_t same = 0;
        if (memcmp(a.data.data, b.data.data, common) == 0)
            same = common;
        while (same < common && a.data.data[same] == b.data.data[same])
            same++;
        *out_same = same;
        tree_piece_end(&b);
    }
    tree_piece_end(&a);
    return err;
}

static int compare_chunk(struct chunks *chunks, uint64_t offset, uint64_t size)
{
    struct pair *pair = CONTAINER_OF(chunks, struct pair, chunks);
    uint32_t piece_bytes = min_u32(pair->from->tree->piece_bytes, pair->to->tree->piece_bytes);
    uint64_t end = offset + size;
    while (offset < end) {
        uint32_t want = (uint32_t)min_u64(piece_bytes, end - offset);
        size_t same = 0;
        if (walk_is_stopped(pair->dir))
            return -ECANCELED;
        int err = compare_piece(pair, offset, want, &same);
        if (err < 0)
            return err;
        offset += same;
        if (same < want) {
            uint64_t known = atomic_load(&pair->differs_at);
            while (
                offset < known && !atomic_compare_exchange_weak(&pair->differs_at, &known, offset))
                continue;
            return -EILSEQ; /* ends the other chunks too; large_done() tells where */
        }
    }
    return 0;
}

static void pair_free(struct pair *pair)
{
    if (pair->from != NULL)
        (void)pair->from->tree->ops->close(pair->from); /* only read */
    if (pair->to != NULL)
        (void)pair->to->tree->ops->close(pair->to); /* only read */
    free(pair->name);
    free(pair);
}

static void pair_done(struct chunks *chunks)
{
    struct pair *pair = CONTAINER_OF(chunks, struct pair, chunks);
    struct walk_dir *dir = pair->dir;
    int err = atomic_load(&chunks->error);
    if (err == -EILSEQ)
        differs(pair->compare, dir->at.path, pair->name, "differs from byte %" PRIu64 " on",
            atomic_load(&pair->differs_at));
    else if (err < 0 && err != -ECANCELED)
        failed_at(pair->compare, dir, pair->name, "cannot be compared", err);
    else if (err == 0)
        count_equal(pair->compare,
            &(struct tree_attr){ .type = TREE_REGULAR, .size_bytes = chunks->size_bytes });
    pair_free(pair);
    walk_release(dir);
}

/* The data of two files of one size. */
static void compare_large(struct compare *compare, struct walk_dir *dir, const char *name,
    const struct tree_attr *a, const struct tree_attr *b)
{
    struct tree *from = compare->options.from;
    struct tree *to = compare->options.to;
    struct pair *pair = calloc(1, sizeof *pair);
    int err = pair == NULL ? -ENOMEM : 0;
    if (err == 0) {
        pair->chunks = (struct chunks){
            .work = compare_chunk, .done = pair_done, .size_bytes = a->size_bytes
        };
        pair->compare = compare;
        pair->dir = dir;
        pair->differs_at = UINT64_MAX;
        pair->name = strdup(name);
        err = pair->name == NULL ? -ENOMEM : 0;
    }
    if (err == 0)
        err = from->ops->open(from, &dir->at, name, a, &pair->from);
    if (err == 0)
        err = to->ops->open(to, dir->user, name_in_to(compare, dir, name), b, &pair->to);
    if (err == 0) {
        walk_hold(dir);
        err = chunks_start(&pair->chunks, walk_crew(dir));
        if (err == 0)
            return; /* pair_done() ends it */
        walk_release(dir);
    }
    if (pair != NULL)
        pair_free(pair);
    failed_at(compare, dir, name, "cannot be compared", err);
}

static bool compare_link_targets(struct compare *compare, struct walk_dir *dir, const char *name,
    const struct tree_attr *a, const struct tree_attr *b)
{
    char target_a[TREE_LINK_SIZE_MAX + 1];
    char target_b[TREE_LINK_SIZE_MAX + 1];
    struct tree *from = compare->options.from;
    struct tree *to = compare->options.to;
    int err = from->ops->readlink(from, &dir->at, name, a, target_a);
    if (err == 0)
        err = to->ops->readlink(to, dir->user, name_in_to(compare, dir, name), b, target_b);
    if (err < 0)
        failed_at(compare, dir, name, "cannot be compared", err);
    else if (strcmp(target_a, target_b) != 0)
        differs(compare, dir->at.path, name, "points elsewhere than the copy");
    else
        return true;
    return false;
}

/* Both sides were fetched: all that is left to compare. */
static void compare_fetched(struct compare *compare, struct walk_dir *dir, const char *name,
    const struct tree_piece pieces[2], const struct tree_attr attrs[2])
{
    const struct tree_attr *a = &attrs[0];
    const struct tree_attr *b = &attrs[1];
    uint32_t small_max =
        min_u32(compare->options.from->piece_bytes, compare->options.to->piece_bytes);
    if (!compare_attr(compare, dir->at.path, name, a, b))
        return;
    if (a->type == TREE_REGULAR && !compare_links(compare, dir, name, a, b))
        return;
    if (a->type == TREE_SYMLINK && !compare_link_targets(compare, dir, name, a, b))
        return;
    if (a->type == TREE_REGULAR && a->size_bytes > small_max) {
        compare_large(compare, dir, name, a, b);
        return;
    }
    if (a->type == TREE_REGULAR && a->size_bytes > 0) {
        const struct slice *data_a = &pieces[0].data;
        const struct slice *data_b = &pieces[1].data;
        if (data_a->size != a->size_bytes || data_b->size != a->size_bytes) {
            failed_at(compare, dir, name, "cannot be compared", -EACCES);
            return;
        }
        if (memcmp(data_a->data, data_b->data, data_a->size) != 0) {
            differs(compare, dir->at.path, name, "has other data than the copy");
            return;
        }
    }
    count_equal(compare, a);
}

static void visit(
    void *context, struct walk_dir *dir, const char *name, const struct tree_attr *attr)
{
    struct compare *compare = context;
    struct tree *from = compare->options.from;
    struct tree *to = compare->options.to;
    struct tree_piece pieces[2] = { { .kind = PIECE_NONE }, { .kind = PIECE_NONE } };
    struct tree_attr attrs[2] = { *attr };
    uint32_t small_max = min_u32(from->piece_bytes, to->piece_bytes);
    uint32_t size = attr->type == TREE_REGULAR && attr->size_bytes <= small_max
                        ? (uint32_t)attr->size_bytes
                        : 0;
    int err = 0;
    if (size > 0)
        err = from->ops->fetch(from, &dir->at, name, size, &pieces[0], &attrs[0]);
    if (err < 0) {
        failed_at(compare, dir, name, "cannot be read", err);
        return;
    }
    err =
        to->ops->fetch(to, dir->user, name_in_to(compare, dir, name), size, &pieces[1], &attrs[1]);
    if (err == -ENOENT)
        differs(compare, dir->at.path, name, "is missing in the copy");
    else if (err < 0)
        failed_at(compare, dir, name, "cannot be read in the copy", err);
    else
        compare_fetched(compare, dir, name, pieces, attrs);
    tree_piece_end(&pieces[0]);
    tree_piece_end(&pieces[1]);
}

static int enter(void *context, struct walk_dir *dir)
{
    struct compare *compare = context;
    struct tree *to = compare->options.to;
    const struct tree_dir *parent = dir->parent->user;
    const char *name = name_in_to(compare, dir->parent, dir->name);
    bool at_root = dir->parent->parent == NULL && compare->options.to_name == NULL;
    struct tree_attr found;
    int err = at_root ? to->ops->root(to, &found) : to->ops->lookup(to, parent, name, &found);
    if (err == -ENOENT) {
        differs(compare, dir->at.path, "", "is missing in the copy");
        return err;
    }
    transfer_count(&dir->parent->count, 1);
    struct tree_dir *at = calloc(1, sizeof *at);
    if (err == 0 && at != NULL) {
        at->fh = found.fh;
        at->path = at_root ? strdup("") : tree_join(parent->path, name);
    }
    if (err == 0 && (at == NULL || at->path == NULL))
        err = -ENOMEM;
    if (err < 0) {
        transfer_problem(&compare->options.report, dir->at.path, "cannot be read in the copy", err);
    } else if (compare_attr(compare, dir->at.path, "", &dir->attr, &found) ||
               found.type == TREE_DIRECTORY) {
        dir->user = at;
        return 0;
    }
    if (at != NULL)
        free(at->path);
    free(at);
    return -ENOTDIR;
}

struct extras {
    struct compare *compare;
    struct walk_dir *dir;
    uint64_t count;
    bool name_them;
};

static int note_extra(void *context, struct slice name, const struct tree_attr *attr, int error)
{
    struct extras *extras = context;
    struct tree *from = extras->compare->options.from;
    (void)error;
    (void)attr;
    extras->count++;
    if (!extras->name_them || name.size > TREE_NAME_SIZE_MAX)
        return 0;
    char text[TREE_NAME_SIZE_MAX + 1];
    struct tree_attr found;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    if (from->ops->lookup(from, &extras->dir->at, text, &found) == -ENOENT)
        differs(extras->compare, extras->dir->at.path, text, "is only in the copy");
    return 0;
}

static void find_extras(struct compare *compare, struct walk_dir *dir)
{
    struct tree *to = compare->options.to;
    struct extras extras = { .compare = compare, .dir = dir };
    int err = to->ops->list(to, dir->user, note_extra, &extras);
    if (err == 0 && extras.count > atomic_load(&dir->count)) {
        extras.name_them = true;
        err = to->ops->list(to, dir->user, note_extra, &extras);
    }
    if (err < 0)
        transfer_problem(&compare->options.report, dir->at.path, "cannot be read in the copy", err);
}

static void leave(void *context, struct walk_dir *dir)
{
    struct compare *compare = context;
    struct tree_dir *at = dir->user;
    if (!compare->options.allow_extra && !walk_is_stopped(dir))
        find_extras(compare, dir);
    transfer_count(&compare->options.report.stats->directories, 1);
    free(at->path);
    free(at);
}

static void failed(void *context, const char *path, int error)
{
    const struct compare *compare = context;
    transfer_problem(&compare->options.report, path, "cannot be read", error);
}

int compare_run(const struct compare_options *options)
{
    static const struct walk_ops ops = {
        .enter = enter, .visit = visit, .leave = leave, .failed = failed
    };
    struct compare compare = { .options = *options };
    struct tree_attr root;
    char top_path[] = "";
    struct tree_dir top = { .path = top_path };
    (void)pthread_mutex_init(
        &compare.links_lock.pthread, NULL); /* cannot fail without attributes */
    int err = options->to->ops->root(options->to, &root);
    top.fh = root.fh;
    if (err == 0)
        err = links_new(&compare.from_links);
    if (err == 0)
        err = links_new(&compare.to_links);
    struct walk_options walk = { .tree = options->from,
        .start = options->from_name,
        .ops = &ops,
        .context = &compare,
        .top_user = &top,
        .worker_count = options->worker_count,
        .stop = options->stop };
    if (err == 0)
        err = walk_run(&walk);
    links_free(compare.from_links);
    links_free(compare.to_links);
    (void)pthread_mutex_destroy(&compare.links_lock.pthread); /* nobody holds it */
    return err;
}
