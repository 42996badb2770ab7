/*
 * nfs/face.h - what a file system looks like to one kind of client: an NFS server of its own for each access point and
 * each principal, and for who is anonymous over TLS.
 *
 * Linux takes two mounts for one server when server owner and client id are the same, and then sends the second mount's
 * requests down the first one's connection: through another access point, as somebody else. So each face has clients,
 * an owner and a scope of its own; opens and locks are the file's, in all faces (RFC 8881 section 2.10.4, 2.10.5). A face
 * is the same after a restart. It stays until its volume closes, so that sessions outlive connections and certificates.
 */
#pragma once

#include "nfs/view.h"

#define NFS_FACES_MAX 65536u /* of one volume; access points (at most 10,000) and principals */

/* The face for an access point ("": none) and a principal's name ("": anonymous); the plain one of a volume is
 * volume->plain. Valid as long as the volume. Errors: -ENOMEM; -ENOSPC: NFS_FACES_MAX. */
MUST_CHECK int nfs_face_get(struct nfs_volume *volume, const char *access_point_id,
    const char *principal, struct nfs_face **out_face);
/* Frees those of a volume that closes. */
void nfs_faces_free(struct nfs_volume *volume);
