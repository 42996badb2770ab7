/*
 * nfs/own_xattr.c - extended attributes that the server makes itself (room: NFS).
 */
#include "nfs/own_xattr.h"

#include <inttypes.h>

#include "base/text.h"

#define PREFIX         "shoal."
#define VALUE_SIZE_MAX 256u

bool own_xattr_is(struct slice name)
{
    struct slice prefix = slice_str(PREFIX);
    return name.size >= prefix.size && memcmp(name.data, prefix.data, prefix.size) == 0;
}

/* What lies below a directory. */
static enum nfsstat4 get_usage(struct compound *compound, char *text, size_t *used)
{
    const struct place *place = &compound->current;
    struct fs *fs = place->volume->fs;
    struct fs_usage usage;
    if ((fs->ops->caps & FS_CAP_USAGE) == 0)
        return NFS4ERR_NOXATTR;
    int err = fs_usage(fs, &compound->cred, place->node, &usage);
    if (err == -ENOTDIR || err == -EOPNOTSUPP) /* of a directory in a snapshot it is not known */
        return NFS4ERR_NOXATTR;
    if (err == 0)
        err = text_append(text, VALUE_SIZE_MAX, used,
            "bytes=%" PRIu64 " size=%" PRIu64 " files=%" PRIu64 " directories=%" PRIu64
            " others=%" PRIu64,
            usage.space_bytes, usage.size_bytes, usage.files, usage.directories, usage.others);
    return nfs_status(err);
}

enum nfsstat4 own_xattr_get(struct compound *compound, struct slice name, struct slice *out_value)
{
    char *text = arena_alloc(compound->arena, VALUE_SIZE_MAX);
    size_t used = 0;
    if (text == NULL)
        return NFS4ERR_DELAY;
    enum nfsstat4 status = NFS4ERR_NOXATTR;
    if (slice_equal(name, slice_str(PREFIX "usage")))
        status = get_usage(compound, text, &used);
    if (status == NFS4_OK)
        *out_value = slice_of(text, used);
    return status;
}
