/*
 * engine/calls_snapshot.c - the directory `.snapshot` of each directory (room: engine).
 *
 * No record says anything of it: it is made up from the directory it belongs to, whose owner and, but for writing, mode
 * it has, and from the table of snapshots.
 */
#include "engine/calls.h"
#include "engine/snapshot.h"
#include "engine/volume.h"
#include "fs/perm.h"

#define LIST_MIX   UINT64_C(0x5a8f3bd1c96e2b47) /* of its generation */
#define LIST_MODE  0555u
#define LIST_LINKS 2u

enum fs_place call_place_of(struct fs *fs, struct fs_node node)
{
    (void)fs;
    switch (id_slot(node.inode)) {
    case 0:
        return FS_LIVE;
    case SNAPSHOT_SLOT_LIST:
        return FS_SNAPSHOT_LIST;
    default:
        return FS_IN_SNAPSHOT;
    }
}

/* The attributes of `.snapshot` from those of its directory. */
static void make_attr(struct volume *volume, const struct fs_attr *dir, struct fs_attr *out_attr)
{
    struct snapshots *snapshots = &volume->snapshots;
    struct fs_attr attr = *dir;
    attr.node.inode = id_in_slot(SNAPSHOT_SLOT_LIST, dir->node.inode);
    attr.node.generation = dir->node.generation ^ LIST_MIX;
    attr.mode &= LIST_MODE;
    attr.link_count = LIST_LINKS;
    attr.size_bytes = BLOCK_BYTES;
    attr.space_used_bytes = 0;
    mutex_lock(&snapshots->lock);
    attr.change += snapshots->change; /* grows with each of both */
    attr.mtime = snapshots->changed_at;
    mutex_unlock(&snapshots->lock);
    attr.ctime = fs_time_is_before(attr.ctime, attr.mtime) ? attr.mtime : attr.ctime;
    *out_attr = attr;
}

/* The attributes of the directory that a `.snapshot` belongs to. Errors: -ESTALE. */
static int dir_of(struct volume *volume, struct fs_node node, struct fs_attr *out_attr)
{
    struct fs_attr attr;
    if (UNLIKELY(volume->is_locked))
        return -EIO;
    int err = calls_attr(volume, id_number(node.inode), &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_DIRECTORY || (attr.node.generation ^ LIST_MIX) != node.generation)
        return -ESTALE;
    *out_attr = attr;
    return 0;
}

int call_snapshot_dir(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    struct fs_attr attr;
    int err = id_slot(dir.inode) != 0 ? -ENOENT : fs_getattr(fs, dir, &attr);
    if (err == 0 && attr.type != FS_DIRECTORY)
        err = -ENOTDIR;
    if (err == 0)
        err = perm_check(cred, &attr, PERM_EXECUTE);
    if (err == 0)
        make_attr(volume, &attr, out_attr);
    return err;
}

int list_getattr(struct volume *volume, struct fs_node node, struct fs_attr *out_attr)
{
    struct fs_attr dir;
    int err = dir_of(volume, node, &dir);
    if (err == 0)
        make_attr(volume, &dir, out_attr);
    return err;
}

int list_lookup(struct volume *volume, const struct fs_cred *cred, struct fs_node node,
    struct slice name, struct fs_attr *out_attr)
{
    struct snapshot snapshot;
    struct fs_attr dir;
    int err = dir_of(volume, node, &dir);
    if (err == 0)
        err = perm_check(cred, &dir, PERM_EXECUTE);
    if (err == 0 && !snapshot_find(volume, name, &snapshot))
        err = -ENOENT;
    if (err == 0)
        err = calls_attr(volume, id_in_slot(snapshot.slot, dir.node.inode), out_attr);
    return err == -ESTALE ? -ENOENT : err; /* the directory is younger than the snapshot */
}

int list_parent(struct volume *volume, const struct fs_cred *cred, struct fs_node node,
    struct fs_attr *out_attr)
{
    struct fs_attr dir;
    int err = dir_of(volume, node, &dir);
    if (err == 0)
        err = perm_check(cred, &dir, PERM_EXECUTE);
    if (err == 0)
        *out_attr = dir;
    return err;
}

/* A cookie is the snapshot's number, above those that are NFSv4's own. */
int list_readdir(struct volume *volume, const struct fs_cred *cred, struct fs_node node,
    uint64_t cookie, fs_emit *emit, void *context)
{
    struct snapshot snapshot = { .number = cookie - min_u64(cookie, FS_COOKIE_FIRST) };
    struct fs_attr dir;
    int err = dir_of(volume, node, &dir);
    if (err == 0)
        err = perm_check(cred, &dir, PERM_READ);
    bool goes_on = true;
    while (err == 0 && goes_on && snapshot_after(volume, snapshot.number, &snapshot)) {
        struct fs_dirent entry = { .name = slice_str(snapshot.shown.name),
            .cookie = snapshot.number + FS_COOKIE_FIRST };
        if (snapshot.shown.is_going)
            continue;
        err = calls_attr(volume, id_in_slot(snapshot.slot, dir.node.inode), &entry.attr);
        if (err == 0)
            goes_on = emit(context, &entry);
        else if (err == -ESTALE)
            err = 0; /* younger than the snapshot, or the snapshot goes */
    }
    return err < 0 ? err : goes_on;
}
