/*
 * nfs/face.c - finding and making the faces of a volume (room: NFS).
 */
#include "nfs/face.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* "shoal/NODE/FS", and "/ACCESS-POINT/PRINCIPAL" where there is one of them. The principal is told apart by a keyed
 * hash: its name is nobody else's business, and may be longer than the protocol takes. */
static struct slice name_face(const struct nfs_volume *volume, const char *access_point_id,
    const char *principal, char name[VIEW_IDENTITY_SIZE])
{
    struct slice plain = view_identity(volume->server, volume->fs_id, name);
    if (access_point_id[0] == '\0' && principal[0] == '\0')
        return plain;
    uint64_t hash = principal[0] == '\0'
                        ? 0
                        : hash_keyed(&volume->server->options.fh_key, principal, strlen(principal));
    int size = snprintf(name + plain.size, VIEW_IDENTITY_SIZE - plain.size, "/%s/%016" PRIx64,
        access_point_id, hash);
    assert(size > 0 && (size_t)size < VIEW_IDENTITY_SIZE - plain.size);
    return slice_of(name, plain.size + (size_t)size);
}

static struct nfs_face *find_locked(struct nfs_volume *volume, struct slice name, uint64_t hash)
    REQUIRES(volume->faces_lock)
{
    struct state_table_node *node = state_table_first(&volume->faces_by_name, hash);
    for (; node != NULL; node = state_table_next(node)) {
        struct nfs_face *face = CONTAINER_OF(node, struct nfs_face, node);
        if (slice_equal(slice_of(face->name, face->name_size), name))
            return face;
    }
    return NULL;
}

static int make_locked(struct nfs_volume *volume, struct slice name, uint64_t hash,
    struct nfs_face **out_face) REQUIRES(volume->faces_lock)
{
    if (volume->face_count >= NFS_FACES_MAX)
        return -ENOSPC;
    struct nfs_face *face = calloc(1, sizeof *face + name.size);
    if (face == NULL)
        return -ENOMEM;
    memcpy(face->name, name.data, name.size);
    face->name_size = name.size;
    int err = state_server_new(volume->server->state, name, &face->state);
    if (err < 0) {
        free(face);
        return err;
    }
    list_add_tail(&volume->faces, &face->link);
    state_table_add(&volume->faces_by_name, &face->node, hash);
    volume->face_count++;
    *out_face = face;
    return 0;
}

int nfs_face_get(struct nfs_volume *volume, const char *access_point_id, const char *principal,
    struct nfs_face **out_face)
{
    char buffer[VIEW_IDENTITY_SIZE];
    struct slice name = name_face(volume, access_point_id, principal, buffer);
    uint64_t hash = hash_keyed(&volume->server->options.fh_key, name.data, name.size);
    int err = 0;
    mutex_lock(&volume->faces_lock);
    struct nfs_face *face = find_locked(volume, name, hash);
    if (face == NULL)
        err = make_locked(volume, name, hash, &face);
    mutex_unlock(&volume->faces_lock);
    if (err == 0)
        *out_face = face;
    return err;
}

void nfs_faces_free(struct nfs_volume *volume)
{
    while (!list_is_empty(&volume->faces)) {
        struct nfs_face *face = LIST_ENTRY(volume->faces.next, struct nfs_face, link);
        list_remove(&face->link);
        state_table_remove(&volume->faces_by_name, &face->node);
        state_server_free(face->state);
        free(face);
    }
    state_table_fini(&volume->faces_by_name);
    volume->face_count = 0;
    volume->plain = NULL;
}
