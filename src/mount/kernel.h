/*
 * mount/kernel.h - the system calls that mount, look at and unmount, each in a child with a time limit.
 *
 * mount(2) is called directly, with what mount.nfs4 would pass (addr=, clientaddr=): so nothing of nfs-common is needed, the
 * error is a number and not a text of a helper, and the one process that may hang is ours to kill.
 */
#pragma once

#include "mount/mountinfo.h"
#include "mount/problem.h"

struct kernel_mount {
    char source[MOUNTINFO_PATH_SIZE]; /* label:/path */
    char point[MOUNTINFO_PATH_SIZE];
    char data[4096]; /* of the file system */
    unsigned long flags;
};

/* The address that packets to `address` come from: clientaddr=. Errors: of connect(2). */
MUST_CHECK int kernel_own_address(const char *address, char *out_address, size_t size);
/* Mounts. Errors: of mount(2); -ETIMEDOUT: not within the limit; then nothing is mounted, or it is taken away again. */
MUST_CHECK int kernel_mount(const struct kernel_mount *mount, uint64_t limit_ms);
/* Remounts with other flags; the rest stays. */
MUST_CHECK int kernel_remount(const char *point, unsigned long flags, uint64_t limit_ms);
/* Makes the directory with what is missing above it, mode 0755. Errors: the system's; -ENOTDIR: something else has its name;
 * -ETIMEDOUT: it lies in a mount that hangs. */
MUST_CHECK int kernel_make_directory(const char *path, uint64_t limit_ms);
/* The path without symbolic links; `out_path` has MOUNTINFO_PATH_SIZE bytes. Errors: the system's, -ETIMEDOUT. */
MUST_CHECK int kernel_real_path(const char *path, uint64_t limit_ms, char *out_path);
/* Asks the file system itself (statfs). Gives 0 when it answers; -ETIMEDOUT: it hangs. */
struct kernel_space {
    uint64_t total_bytes;
    uint64_t free_bytes; /* for who is not root */
    uint64_t type;
};
MUST_CHECK int kernel_space(const char *path, uint64_t limit_ms, struct kernel_space *out_space);

enum kernel_unmount_way { UNMOUNT_PLAIN, UNMOUNT_FORCED, UNMOUNT_LAZY };
/* Unmounts: plainly; when that hangs, or the mount `is_dead` and in use, with MNT_FORCE, which fails
 * what waits for the server; then lazily, which only takes the name away. One that lives and is in
 * use is -EBUSY unless `may_be_lazy`. Never waits longer than three times the limit. */
struct kernel_unmount {
    const char *point;
    bool may_be_lazy;
    bool is_dead;
    uint64_t limit_ms;
};
MUST_CHECK int kernel_unmount(
    const struct kernel_unmount *request, enum kernel_unmount_way *out_way);
/* Whether this process may mount: CAP_SYS_ADMIN. */
bool kernel_may_mount(void);
