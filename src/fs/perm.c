/*
 * fs/perm.c - who may do what with a file, by its mode bits (room: fs). Pure functions.
 */
#include "fs/perm.h"

#define MODE_SETUID    04000u
#define MODE_SETGID    02000u
#define MODE_STICKY    01000u
#define MODE_GROUP_RUN 00010u
#define MODE_ANY_RUN   00111u

static bool is_superuser(const struct fs_cred *cred)
{
    return cred == NULL || cred->uid == 0;
}

bool perm_is_in_group(const struct fs_cred *cred, uint32_t gid)
{
    if (cred->gid == gid)
        return true;
    for (uint32_t i = 0; i < cred->group_count; i++) {
        if (cred->groups[i] == gid)
            return true;
    }
    return false;
}

unsigned perm_granted(const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted)
{
    if (is_superuser(cred)) {
        bool nobody_runs = attr->type == FS_REGULAR && (attr->mode & MODE_ANY_RUN) == 0;
        return nobody_runs ? wanted & ~(unsigned)PERM_EXECUTE : wanted;
    }
    /* The first class that matches decides alone: an owner without a bit does not get the group's.
     */
    unsigned bits = attr->mode;
    if (cred->uid == attr->uid)
        bits >>= 6;
    else if (perm_is_in_group(cred, attr->gid))
        bits >>= 3;
    return wanted & bits & 7u;
}

int perm_check(const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted)
{
    return perm_granted(cred, attr, wanted) == wanted ? 0 : -EACCES;
}

int perm_check_data(const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted)
{
    int err = perm_check(cred, attr, wanted);
    if (err < 0 && wanted == PERM_READ && attr->type == FS_REGULAR)
        err = perm_check(cred, attr, PERM_EXECUTE);
    return err;
}

int perm_check_remove(
    const struct fs_cred *cred, const struct fs_attr *dir, const struct fs_attr *victim)
{
    int err = perm_check(cred, dir, PERM_WRITE | PERM_EXECUTE);
    if (err < 0)
        return err;
    if ((dir->mode & MODE_STICKY) == 0 || is_superuser(cred))
        return 0;
    return cred->uid == dir->uid || cred->uid == victim->uid ? 0 : -EPERM;
}

/* Owner and group: chown_restricted. */
static int check_owners(
    const struct fs_cred *cred, const struct fs_attr *attr, const struct fs_setattr *change)
{
    if (is_superuser(cred))
        return 0;
    bool is_owner = cred->uid == attr->uid;
    if (change->set_uid && (!is_owner || change->uid != attr->uid))
        return -EPERM;
    if (change->set_gid &&
        (!is_owner || (change->gid != attr->gid && !perm_is_in_group(cred, change->gid))))
        return -EPERM;
    return 0;
}

static int check_times(
    const struct fs_cred *cred, const struct fs_attr *attr, const struct fs_setattr *change)
{
    if (is_superuser(cred) || cred->uid == attr->uid)
        return 0;
    if (change->atime_how == FS_TIME_CLIENT || change->mtime_how == FS_TIME_CLIENT ||
        change->set_btime)
        return -EPERM;
    if (change->atime_how == FS_TIME_SERVER || change->mtime_how == FS_TIME_SERVER)
        return perm_check(cred, attr, PERM_WRITE);
    return 0;
}

/* What becomes of the setuid and setgid bits. */
static void narrow_mode(
    const struct fs_cred *cred, const struct fs_attr *attr, struct fs_setattr *change)
{
    if (is_superuser(cred))
        return;
    if (change->set_mode) {
        uint32_t gid = change->set_gid ? change->gid : attr->gid;
        if (!perm_is_in_group(cred, gid))
            change->mode &= ~MODE_SETGID;
        return;
    }
    bool is_chown = change->set_uid || change->set_gid;
    if (is_chown && attr->type != FS_DIRECTORY) {
        uint32_t mode = perm_mode_after_write(cred, attr);
        change->set_mode = mode != attr->mode;
        change->mode = mode;
    }
}

int perm_check_setattr(
    const struct fs_cred *cred, const struct fs_attr *attr, struct fs_setattr *change)
{
    if (change->set_mode && !is_superuser(cred) && cred->uid != attr->uid)
        return -EPERM;
    int err = check_owners(cred, attr, change);
    if (err < 0)
        return err;
    err = check_times(cred, attr, change);
    if (err < 0)
        return err;
    if (change->set_size && !change->size_by_open_file) {
        err = perm_check(cred, attr, PERM_WRITE);
        if (err < 0)
            return err;
    }
    narrow_mode(cred, attr, change);
    return 0;
}

uint32_t perm_mode_after_write(const struct fs_cred *cred, const struct fs_attr *attr)
{
    if (is_superuser(cred) || attr->type == FS_DIRECTORY)
        return attr->mode;
    uint32_t gone = MODE_SETUID;
    /* setgid without group execute once meant mandatory locking; it is no privilege. */
    if ((attr->mode & MODE_GROUP_RUN) != 0)
        gone |= MODE_SETGID;
    return attr->mode & ~gone;
}

int perm_check_xattr(const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted)
{
    bool is_change = (wanted & PERM_WRITE) != 0;
    if (attr->type != FS_REGULAR && attr->type != FS_DIRECTORY)
        return is_change ? -EPERM : -ENODATA;
    bool is_sticky = attr->type == FS_DIRECTORY && (attr->mode & MODE_STICKY) != 0;
    if (is_change && is_sticky && !is_superuser(cred) && cred->uid != attr->uid)
        return -EPERM;
    return perm_check(cred, attr, wanted);
}
