/*
 * nfs/pseudo.c - the root above all file systems (room: NFS).
 *
 * RFC 8881 section 7: file systems are joined by a read-only name space of the server's; the fsid changes at each
 * junction. Cookies are hashes of the ids, so an entry keeps its cookie when others come and go.
 */
#include "nfs/pseudo.h"

#include <stdlib.h>

#include "nfs/grant.h"

#define PSEUDO_MODE 0555u

uint64_t pseudo_junction_fileid(uint64_t fs_tag)
{
    uint64_t fileid = fs_tag >> 1;
    return fileid >= FS_COOKIE_FIRST ? fileid : fileid + FS_COOKIE_FIRST;
}

void pseudo_attr(const struct nfs_server *server, struct fs_attr *out_attr)
{
    *out_attr = (struct fs_attr){ .node = { .inode = PSEUDO_ROOT_FILEID },
        .type = FS_DIRECTORY,
        .mode = PSEUDO_MODE,
        .link_count = 2,
        .change = catalog_generation(server->options.catalog),
        .atime = server->started,
        .mtime = server->started,
        .ctime = server->started,
        .btime = server->started };
}

/* The file system whose entry is `name`, kept by the compound. */
static enum nfsstat4 find_volume(
    struct compound *compound, const char *fs_id, struct nfs_volume **out_volume)
{
    struct nfs_volume *volume;
    int err = view_get_volume(compound->server, fs_id, &volume);
    if (err == -ESTALE)
        return NFS4ERR_NOENT;
    if (err < 0)
        return nfs_status(err);
    enum nfsstat4 status = compound_keep_volume(compound, volume);
    if (status == NFS4_OK)
        *out_volume = volume;
    return status;
}

/* To the root of a file system, or what an access point of it shows as the root. */
static enum nfsstat4 enter_volume(
    struct compound *compound, struct nfs_volume *volume, uint64_t access_tag)
{
    struct fs_node root;
    enum nfsstat4 status = compound_enter(compound, volume, access_tag);
    if (status == NFS4_OK)
        status = nfs_grant_root(compound->conn, volume, access_tag, true, &root);
    if (status != NFS4_OK)
        return status;
    struct fs_attr attr;
    int err = fs_getattr(volume->fs, root, &attr);
    if (err == 0)
        compound_set_node(compound, volume, &attr);
    return nfs_status(err);
}

enum nfsstat4 pseudo_lookup(struct compound *compound, struct slice name)
{
    char id[CATALOG_ID_SIZE];
    struct catalog_access access;
    struct nfs_volume *volume = NULL;
    const char *fs_id = id;
    if (name.size >= sizeof id)
        return NFS4ERR_NOENT;
    memcpy(id, name.data, name.size);
    id[name.size] = '\0';
    uint64_t access_tag = catalog_access_tag(id);
    if (access_tag != 0) {
        if (catalog_find_access(compound->server->options.catalog, access_tag, &access) < 0 ||
            strcmp(access.id, id) != 0)
            return NFS4ERR_NOENT;
        fs_id = access.fs_id;
    }
    enum nfsstat4 status = find_volume(compound, fs_id, &volume);
    if (status != NFS4_OK)
        return status;
    assert(volume != NULL);
    return enter_volume(compound, volume, access_tag);
}

struct junction {
    uint64_t cookie;
    char fs_id[FS_ID_SIZE];
};

struct junction_list {
    struct arena *arena;
    struct junction *items;
    size_t count;
    size_t capacity;
    bool no_memory;
};

static bool add_junction(void *context, const char *fs_id)
{
    struct junction_list *list = context;
    if (strlen(fs_id) >= FS_ID_SIZE)
        return true;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct junction *grown = arena_alloc(list->arena, capacity * sizeof *grown);
        if (grown == NULL) {
            list->no_memory = true;
            return false;
        }
        if (list->count > 0)
            memcpy(grown, list->items, list->count * sizeof *grown);
        list->items = grown;
        list->capacity = capacity;
    }
    struct junction *junction = &list->items[list->count++];
    junction->cookie = pseudo_junction_fileid(fh_fs_tag(fs_id));
    memcpy(junction->fs_id, fs_id, strlen(fs_id) + 1);
    return true;
}

static int compare_junctions(const void *a, const void *b)
{
    const struct junction *first = a;
    const struct junction *second = b;
    return first->cookie < second->cookie ? -1 : first->cookie > second->cookie;
}

int pseudo_readdir(struct compound *compound, uint64_t cookie, fs_emit *emit, void *context)
{
    struct junction_list list = { .arena = compound->arena };
    catalog_each_fs(compound->server->options.catalog, add_junction, &list);
    if (list.no_memory)
        return -ENOMEM;
    if (list.count > 0)
        qsort(list.items, list.count, sizeof *list.items, compare_junctions);
    for (size_t i = 0; i < list.count; i++) {
        const struct junction *junction = &list.items[i];
        if (junction->cookie <= cookie)
            continue;
        struct fs_dirent entry = { .name = slice_str(junction->fs_id), .cookie = junction->cookie };
        struct nfs_volume *volume = NULL;
        enum nfsstat4 status = find_volume(compound, junction->fs_id, &volume);
        if (status == NFS4ERR_NOENT)
            continue; /* deleted since it was listed */
        if (volume != NULL)
            entry.attr_error = fs_getattr(volume->fs, volume->root, &entry.attr);
        else
            entry.attr_error = -EIO;
        if (!emit(context, &entry))
            return 0;
    }
    return 1;
}
