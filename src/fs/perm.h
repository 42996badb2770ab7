/*
 * fs/perm.h - who may do what with a file, by its mode bits: pure functions, used by every backend
 * and by the protocols. Source: POSIX.1-2017, "File Access Permissions"; chown_restricted as EFS
 * has it.
 */
#pragma once

#include "fs/fs.h"

enum { PERM_READ = 4, PERM_WRITE = 2, PERM_EXECUTE = 1 };

bool perm_is_in_group(const struct fs_cred *cred, uint32_t gid);

/* The subset of `wanted` (PERM_ bits) that `cred` has on `attr`. NULL and uid 0 have all, except
 * PERM_EXECUTE of a regular file that nobody may execute. */
unsigned perm_granted(const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted);

/* 0, or -EACCES when any of `wanted` is missing. */
MUST_CHECK int perm_check(const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted);
/* As perm_check(), of a file's data. Who may execute the file may read it: a client has no other way to execute it (RFC
 * 8881 section 6.2.1.3.1, ACE4_EXECUTE). The client keeps its programs from reading it, by what ACCESS says. */
MUST_CHECK int perm_check_data(
    const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted);

/* Whether `cred` may take the name of `victim` out of `dir`: write and search permission, and in a
 * sticky directory the ownership of either. Errors: -EACCES, -EPERM. */
MUST_CHECK int perm_check_remove(
    const struct fs_cred *cred, const struct fs_attr *dir, const struct fs_attr *victim);

/* Whether `cred` may make `change` to `attr`; may narrow it: a non-member's setgid bit is taken out
 * of `change->mode`, and a chown by others than root clears setuid and setgid (sets change->mode).
 * Errors: -EPERM, -EACCES. */
MUST_CHECK int perm_check_setattr(
    const struct fs_cred *cred, const struct fs_attr *attr, struct fs_setattr *change);

/* The mode after data was written or truncated by `cred`: setuid and (if executable by the group)
 * setgid are gone unless it is root. */
uint32_t perm_mode_after_write(const struct fs_cred *cred, const struct fs_attr *attr);

/* Whether `cred` may read or list (PERM_READ), or change (PERM_WRITE), the extended attributes of a file, by the rules
 * of Linux for "user." (xattr(7)): only regular files and directories have them, and those of a sticky directory are
 * changed by its owner only. Errors: -EACCES; -EPERM; -ENODATA: such a file has none to read. */
MUST_CHECK int perm_check_xattr(
    const struct fs_cred *cred, const struct fs_attr *attr, unsigned wanted);
