/* Files as a model, and what a crash may leave of them. */
#include "crash_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

struct model *models_new(unsigned count)
{
    size_t contents = MODEL_NAMES * (MODEL_VERSIONS + 1) * (size_t)MODEL_FILE_BYTES;
    size_t size = count * (sizeof(struct model) + contents);
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    struct model *models = (struct model *)(void *)memory;
    uint8_t *next = memory + count * sizeof(struct model);
    for (unsigned i = 0; i < count * MODEL_NAMES * MODEL_VERSIONS; i++) {
        struct model *model = &models[i / (MODEL_NAMES * MODEL_VERSIONS)];
        model->files[i / MODEL_VERSIONS % MODEL_NAMES].content[i % MODEL_VERSIONS] = next;
        next += MODEL_FILE_BYTES;
    }
    for (unsigned i = 0; i < count * MODEL_NAMES; i++, next += MODEL_FILE_BYTES)
        models[i / MODEL_NAMES].kept[i % MODEL_NAMES].content[0] = next;
    return models;
}

/* What OP_QUOTA sets: none, one that is soon met, one that is met at times, one that never is. */
static uint32_t quota_of(const struct op *op)
{
    static const uint32_t limits[] = { 0, 3, MODEL_NAMES - 1, 100 };
    return limits[op->fill % ARRAY_SIZE(limits)];
}

static uint32_t count_files(const struct model *model)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < MODEL_NAMES; i++)
        count += model->files[i].exists;
    return count;
}

struct op model_next_op(struct model *model)
{
    uint64_t *random = &model->random;
    struct op op = { .file = (uint32_t)(fixture_random(random) % MODEL_NAMES) };
    struct model_file *file = &model->files[op.file];
    uint64_t dice = fixture_random(random) % 100;
    op.other = (uint32_t)(fixture_random(random) % MODEL_NAMES);
    op.offset = fixture_random(random) % MODEL_FILE_BYTES;
    if (dice % 3 == 0)
        op.offset &= ~(uint64_t)4095;
    op.size = fixture_random(random) % (dice % 2 == 0 ? 100000 : 6000) + 1;
    op.size = min_u64(op.size, MODEL_FILE_BYTES - op.offset);
    op.stability = (enum fs_stability)(dice % 3);
    op.fill = (uint8_t)fixture_random(random);
    if (dice >= 96) {
        op.kind = OP_SNAPSHOT;
        op.fill = model->has_snapshot;
    } else if (!file->exists)
        op.kind = OP_CREATE;
    else if (dice < 4)
        op.kind = OP_REMOVE;
    else if (dice < 10 && op.other != op.file)
        op.kind = OP_RENAME;
    else if (file->version + 1 == MODEL_VERSIONS || dice < 20)
        op.kind = OP_COMMIT; /* the model remembers so many versions only */
    else if (dice < 28)
        op.kind = OP_TRUNCATE;
    else if (dice < 38)
        op.kind = OP_PUNCH;
    else if (dice < 44)
        op.kind = OP_XATTR;
    else if (dice < 47)
        op.kind = OP_QUOTA;
    else if (dice < 54 && model->files[op.other].exists && op.other != op.file &&
             model->files[op.other].size >= file->size)
        op.kind = OP_CLONE;
    else
        op.kind = OP_WRITE;
    op.is_refused =
        op.kind == OP_CREATE && model->entries_max > 0 && count_files(model) >= model->entries_max;
    return op;
}

static void fill_data(const struct op *op, uint8_t *bytes)
{
    for (uint64_t i = 0; i < op->size; i++)
        bytes[i] = (uint8_t)(op->fill + i % 251);
}

static void apply_write(struct model_file *file, const struct op *op)
{
    uint8_t *old = file->content[file->version];
    uint8_t *new = file->content[++file->version];
    memcpy(new, old, MODEL_FILE_BYTES);
    fill_data(op, new + op->offset);
    uint64_t end = op->offset + op->size;
    file->size = max_u64(file->size, end);
    file->size_most = max_u64(file->size_most, file->size);
    if (op->stability == FS_UNSTABLE)
        return;
    file->size_least = max_u64(file->size_least, end);
    for (uint64_t block = op->offset / 4096; block <= (end - 1) / 4096; block++)
        file->least[block] = file->version;
}

static void apply_commit(struct model_file *file)
{
    uint8_t *newest = file->content[file->version];
    file->content[file->version] = file->content[0];
    file->content[0] = newest;
    file->version = 0;
    file->size_least = file->size_most = file->size;
    memset(file->least, 0, sizeof file->least);
}

static void apply_truncate(struct model_file *file, const struct op *op)
{
    uint8_t *old = file->content[file->version];
    uint8_t *new = file->content[++file->version];
    memcpy(new, old, MODEL_FILE_BYTES);
    if (op->offset < file->size)
        memset(new + op->offset, 0, MODEL_FILE_BYTES - op->offset);
    bool is_cut = op->offset < file->size;
    file->size = file->size_least = file->size_most = op->offset;
    for (uint64_t block = op->offset / 4096; is_cut && block < MODEL_FILE_BLOCKS; block++)
        file->least[block] = file->version;
}

/* Durable and whole at once, with all that was written before, of both files. */
static void apply_clone(struct model_file *file, struct model_file *source)
{
    if (source->size == 0)
        return; /* nothing to clone; nothing is committed for anybody to see */
    apply_commit(source);
    apply_commit(file);
    memcpy(file->content[0], source->content[0], MODEL_FILE_BYTES);
    file->size = file->size_least = file->size_most = source->size;
}

/* Makes all durable that was written before, unless it is about nothing. */
static void apply_punch(struct model_file *file, const struct op *op)
{
    apply_commit(file);
    memset(file->content[0] + op->offset, 0, op->size);
}

static void keep_file(struct model_file *kept, const struct model_file *file)
{
    uint8_t *content = kept->content[0];
    *kept = *file;
    kept->content[0] = content;
    memcpy(content, file->content[0], MODEL_FILE_BYTES);
}

/* One that is made has all that was written before, which is durable then. */
static void apply_snapshot(struct model *model, const struct op *op)
{
    model->has_snapshot = op->fill == 0;
    for (uint32_t i = 0; i < MODEL_NAMES && model->has_snapshot; i++) {
        if (model->files[i].exists)
            apply_commit(&model->files[i]);
        keep_file(&model->kept[i], &model->files[i]);
    }
}

void model_apply(struct model *model, const struct op *op)
{
    struct model_file *file = &model->files[op->file];
    struct model_file moved;
    switch (op->kind) {
    case OP_CREATE:
        if (op->is_refused)
            break;
        memset(file->content[0], 0, MODEL_FILE_BYTES);
        file->exists = true;
        file->version = 0;
        file->xattr = 0;
        file->size = file->size_least = file->size_most = 0;
        memset(file->least, 0, sizeof file->least);
        break;
    case OP_REMOVE:
        file->exists = false;
        break;
    case OP_RENAME:
        moved = model->files[op->other];
        model->files[op->other] = *file;
        moved.exists = false;
        *file = moved;
        break;
    case OP_WRITE:
        apply_write(file, op);
        break;
    case OP_COMMIT:
        apply_commit(file);
        break;
    case OP_TRUNCATE:
        apply_truncate(file, op);
        break;
    case OP_PUNCH:
        apply_punch(file, op);
        break;
    case OP_CLONE:
        apply_clone(file, &model->files[op->other]);
        break;
    case OP_XATTR:
        file->xattr = op->fill;
        break;
    case OP_QUOTA:
        model->entries_max = quota_of(op);
        break;
    case OP_SNAPSHOT:
        apply_snapshot(model, op);
        break;
    }
}

static void name_of(uint32_t file, char out_name[16])
{
    (void)snprintf(out_name, 16, "file%u", file);
}

static int perform_named(struct fs *fs, struct fs_node dir, const struct op *op, struct slice name)
{
    char other[16];
    struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0600 } };
    struct fs_created created;
    struct fs_change change;
    struct fs_renamed renamed;
    name_of(op->other, other);
    struct fs_rename rename = { dir, name, dir, slice_str(other) };
    if (op->kind == OP_CREATE) {
        int err = fs_create(fs, NULL, dir, name, &how, &created);
        if (op->is_refused)
            return err == -EDQUOT ? 0 : (err < 0 ? err : -EEXIST);
        return err;
    }
    if (op->kind == OP_REMOVE)
        return fs_remove(fs, NULL, dir, name, &change);
    if (op->kind == OP_CLONE) {
        struct fs_attr source;
        struct fs_attr target;
        int err = fs_lookup(fs, NULL, dir, slice_str(other), &source);
        if (err == 0)
            err = fs_lookup(fs, NULL, dir, name, &target);
        struct fs_clone clone = { .source = source.node, .target = target.node };
        return err < 0 ? err : fs_clone(fs, NULL, &clone, &target);
    }
    return fs_rename(fs, NULL, &rename, &renamed);
}

/* 0 removes. */
static int perform_xattr(struct fs *fs, struct fs_node node, uint8_t fill)
{
    const struct fs_setxattr set = { slice_str("model"), slice_of(&fill, 1), FS_XATTR_EITHER };
    struct fs_change change;
    if (fill != 0)
        return fs_setxattr(fs, NULL, node, &set, &change);
    int err = fs_removexattr(fs, NULL, node, set.name, &change);
    return err == -ENODATA ? 0 : err;
}

static int read_xattr(struct fs *fs, struct fs_node node, uint8_t *out_fill)
{
    struct fs_buffer buffer = { .bytes = out_fill, .capacity = 1 };
    *out_fill = 0;
    int err = fs_getxattr(fs, NULL, node, slice_str("model"), &buffer);
    return err == -ENODATA ? 0 : err;
}

static void snapshot_name_of(struct fs_node dir, char out_name[32])
{
    (void)snprintf(out_name, 32, "of-%llu", (unsigned long long)dir.inode);
}

static int perform_snapshot(struct fs *fs, struct fs_node dir, bool is_there)
{
    struct fs_snapshot snapshot;
    char name[32];
    snapshot_name_of(dir, name);
    return is_there ? fs_snapshot_delete(fs, slice_str(name))
                    : fs_snapshot_create(fs, slice_str(name), &snapshot);
}

/* The directory as it is in its snapshot. */
static int find_snapshot(struct fs *fs, struct fs_node dir, struct fs_node *out_node)
{
    struct fs_attr attr = { 0 };
    char name[32];
    snapshot_name_of(dir, name);
    int err = fs_snapshot_dir(fs, NULL, dir, &attr);
    if (err == 0)
        err = fs_lookup(fs, NULL, attr.node, slice_str(name), &attr);
    if (err == 0)
        *out_node = attr.node;
    return err;
}

int model_perform(struct fs *fs, struct fs_node dir, const struct op *op, uint8_t *bytes)
{
    char name[16];
    name_of(op->file, name);
    if (op->kind == OP_QUOTA) {
        const struct fs_quota_limits limits = { .hard_entries = quota_of(op) };
        return fs_quota_set(fs, dir, &limits);
    }
    if (op->kind == OP_SNAPSHOT)
        return perform_snapshot(fs, dir, op->fill != 0);
    if (op->kind <= OP_CLONE)
        return perform_named(fs, dir, op, slice_str(name));
    struct fs_attr attr;
    int err = fs_lookup(fs, NULL, dir, slice_str(name), &attr);
    if (err < 0)
        return err;
    if (op->kind == OP_COMMIT)
        return fs_commit(fs, attr.node, 0, 0);
    if (op->kind == OP_PUNCH)
        return fs_deallocate(fs, NULL, attr.node, op->offset, op->size, &attr);
    if (op->kind == OP_XATTR)
        return perform_xattr(fs, attr.node, op->fill);
    if (op->kind == OP_TRUNCATE) {
        struct fs_setattr change = { .set_size = true, .size_bytes = op->offset };
        return fs_setattr(fs, NULL, attr.node, &change, &attr);
    }
    fill_data(op, bytes);
    struct fs_write write = {
        .offset = op->offset, .data = slice_of(bytes, op->size), .stability = op->stability
    };
    struct fs_written written;
    return fs_write(fs, attr.node, &write, &written);
}

void model_copy(struct model *to, const struct model *from)
{
    to->random = from->random;
    to->entries_max = from->entries_max;
    to->has_snapshot = from->has_snapshot;
    for (unsigned i = 0; i < MODEL_NAMES; i++)
        keep_file(&to->kept[i], &from->kept[i]);
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        struct model_file arrays = to->files[i];
        to->files[i] = from->files[i];
        for (unsigned v = 0; v < MODEL_VERSIONS; v++) {
            to->files[i].content[v] = arrays.content[v];
            memcpy(to->files[i].content[v], from->files[i].content[v], MODEL_FILE_BYTES);
        }
    }
}

/* Why the file is not what the model allows; NULL: it is. */
static const char *judge_file(
    struct fs *fs, struct fs_node dir, uint32_t number, const struct model_file *file)
{
    static uint8_t bytes[MODEL_FILE_BYTES + 4096];
    char name[16];
    name_of(number, name);
    struct fs_attr attr;
    int err = fs_lookup(fs, NULL, dir, slice_str(name), &attr);
    if (!file->exists)
        return err == -ENOENT ? NULL : "exists";
    if (err != 0)
        return "is missing";
    if (attr.size_bytes < file->size_least || attr.size_bytes > file->size_most)
        return "has a wrong size";
    uint8_t xattr;
    if (read_xattr(fs, attr.node, &xattr) != 0 || xattr != file->xattr)
        return "has a wrong extended attribute";
    struct fs_read got;
    if (fs_read(fs, attr.node, 0, bytes, MODEL_FILE_BYTES, &got) != 0 ||
        got.size != attr.size_bytes)
        return "cannot be read";
    for (uint64_t block = 0; block * 4096 < got.size; block++) {
        size_t size = (size_t)min_u64(4096, got.size - block * 4096);
        bool is_known = false;
        for (uint32_t v = file->least[block]; v <= file->version && !is_known; v++)
            is_known = memcmp(file->content[v] + block * 4096, bytes + block * 4096, size) == 0;
        if (!is_known)
            return "has wrong content";
    }
    return NULL;
}

/* The quota is what was set, and counts what is there. */
static const char *judge_quota(struct fs *fs, struct fs_node dir, const struct model *model)
{
    struct fs_quota quota = { 0 };
    int err = fs_quota_get(fs, dir, &quota);
    if (model->entries_max == 0)
        return err == -ENODATA ? NULL : "has a quota in its directory";
    if (err != 0 || quota.limits.hard_entries != model->entries_max)
        return "has no quota, or a wrong one, in its directory";
    return quota.used_entries == count_files(model) ? NULL : "is not counted by the quota";
}

const char *model_judge(struct fs *fs, struct fs_node dir, const struct model *model)
{
    const char *quota = judge_quota(fs, dir, model);
    if (quota != NULL)
        return quota;
    for (uint32_t i = 0; i < MODEL_NAMES; i++) {
        const char *why = judge_file(fs, dir, i, &model->files[i]);
        if (why != NULL)
            return why;
    }
    struct fs_node kept = { 0 };
    int err = find_snapshot(fs, dir, &kept);
    if (err != (model->has_snapshot ? 0 : -ENOENT))
        return "is missing with its snapshot, or has one that was deleted";
    for (uint32_t i = 0; i < MODEL_NAMES && model->has_snapshot; i++) {
        if (judge_file(fs, kept, i, &model->kept[i]) != NULL)
            return "is not in the snapshot what it was";
    }
    return NULL;
}

/* A write under way may have any of its blocks in place, as each can become visible alone to a crash when it is
 * UNSTABLE; a stable one was not acknowledged, so its blocks may be old or new. */
static void allow_partial(struct model *model, const struct model *before, const struct op *op)
{
    const struct model_file *old = &before->files[op->file];
    struct model_file *file = &model->files[op->file];
    if (op->kind != OP_WRITE && op->kind != OP_COMMIT)
        return;
    if (op->kind == OP_COMMIT) { /* what it would have made durable may be so or not */
        model_copy(model, before);
        return;
    }
    memcpy(file->least, old->least, sizeof file->least);
    file->size_least = old->size_least;
}

static void adopt_files(struct fs *fs, struct fs_node dir, struct model_file *files)
{
    for (uint32_t i = 0; i < MODEL_NAMES; i++) {
        struct model_file *file = &files[i];
        char name[16];
        name_of(i, name);
        struct fs_attr attr;
        struct fs_read got = { 0 };
        file->exists = fs_lookup(fs, NULL, dir, slice_str(name), &attr) == 0;
        file->xattr = 0;
        if (file->exists)
            assert_int_equal(read_xattr(fs, attr.node, &file->xattr), 0);
        memset(file->content[0], 0, MODEL_FILE_BYTES);
        if (file->exists)
            assert_int_equal(
                fs_read(fs, attr.node, 0, file->content[0], MODEL_FILE_BYTES, &got), 0);
        memset(file->content[0] + got.size, 0, MODEL_FILE_BYTES - got.size);
        file->version = 0;
        file->size = file->size_least = file->size_most = got.size;
        memset(file->least, 0, sizeof file->least);
    }
}

void model_adopt(struct fs *fs, struct fs_node dir, struct model *model)
{
    struct fs_node kept = { 0 };
    struct fs_quota quota = { 0 };
    int err = fs_quota_get(fs, dir, &quota);
    assert_true(err == 0 || err == -ENODATA);
    model->entries_max = err == 0 ? (uint32_t)quota.limits.hard_entries : 0;
    adopt_files(fs, dir, model->files);
    model->has_snapshot = find_snapshot(fs, dir, &kept) == 0;
    if (model->has_snapshot)
        adopt_files(fs, kept, model->kept);
}

struct fs_node model_directory(struct fixture *f, unsigned thread)
{
    char name[16];
    (void)snprintf(name, sizeof name, "thread%u", thread);
    struct fs_attr attr;
    if (fs_lookup(f->fs, NULL, f->root, slice_str(name), &attr) == 0)
        return attr.node;
    struct fs_create how = { .type = FS_DIRECTORY, .attr = { .set_mode = true, .mode = 0700 } };
    struct fs_created out;
    assert_int_equal(fs_create(f->fs, NULL, f->root, slice_str(name), &how, &out), 0);
    return out.attr.node;
}

const char *model_judge_crash(
    struct fs *fs, struct fs_node dir, const struct model *model, struct model *ahead)
{
    static char text[128];
    const char *why = model_judge(fs, dir, model);
    if (why == NULL)
        return NULL;
    model_copy(ahead, model); /* then the next operation was done too, or in part */
    struct op op = model_next_op(ahead);
    model_apply(ahead, &op);
    allow_partial(ahead, model, &op);
    const char *why_ahead = model_judge(fs, dir, ahead);
    if (why_ahead == NULL)
        return NULL;
    (void)snprintf(
        text, sizeof text, "a file %s; with operation %d: %s", why, (int)op.kind, why_ahead);
    return text;
}

void model_settle(struct model *model)
{
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        if (model->files[i].exists)
            apply_commit(&model->files[i]);
    }
}

bool model_after_failure(
    struct fs *fs, struct fs_node dir, struct model *model, const struct op *op)
{
    static uint8_t bytes[MODEL_FILE_BYTES];
    struct model_file *file = &model->files[op->file];
    struct fs_attr attr;
    struct fs_read got;
    char name[16];
    if (op->kind != OP_WRITE)
        return true;
    name_of(op->file, name);
    memset(bytes, 0, sizeof bytes);
    if (fs_lookup(fs, NULL, dir, slice_str(name), &attr) != 0 ||
        fs_read(fs, attr.node, 0, bytes, sizeof bytes, &got) != 0)
        return true; /* nothing more can be read; the end is judged all the same */
    uint64_t least = file->size_least;
    struct op unstable = *op;
    unstable.stability = FS_UNSTABLE;
    apply_write(file, &unstable);
    const uint8_t *old = file->content[file->version - 1];
    uint8_t *new = file->content[file->version];
    bool is_known = true;
    for (uint64_t at = 0; at < MODEL_FILE_BYTES; at += 4096)
        is_known = is_known && (memcmp(bytes + at, old + at, 4096) == 0 ||
                                   memcmp(bytes + at, new + at, 4096) == 0);
    memcpy(new, bytes, MODEL_FILE_BYTES);
    file->size = attr.size_bytes;
    file->size_least = least;
    return is_known;
}
