/*
 * mount/manager.h - mounting, remounting and unmounting, whole: the order of steps, and the sentence when one fails.
 *
 * A mount is: read words, find the target, look what is there, ask the target, mount, look whether it answers. What
 * cannot work fails within the time limit with its cause; nothing stays half done. Saying it again is success.
 * One thread; children do what may hang.
 */
#pragma once

#include "mount/kernel.h"
#include "mount/persist.h"
#include "mount/resolve.h"
#include "mount/state.h"

#define MANAGER_LIMIT_MS 30000u /* of mounting, unless timeout= says otherwise */

struct manager_request {
    const char *source;
    const char *point;
    const char *options; /* after -o; NULL: none */
    bool only_check;     /* everything but mounting itself */
    enum persist_kind persist;
    const char *etc; /* where to; NULL: /etc */
};

/* What was done, for a person. */
struct manager_result {
    char point[MOUNTINFO_PATH_SIZE];
    char label[MOUNTINFO_PATH_SIZE]; /* label:/path */
    struct target target;
    bool was_mounted; /* already, the same */
    uint64_t took_ms;
    struct problem remarks; /* sentences, or empty */
};

/* Errors with the sentence: -EINVAL (words), -EPERM (not root), -EBUSY (something else is there), -ETIMEDOUT, others. */
MUST_CHECK int manager_mount(const struct manager_request *request,
    struct manager_result *out_result, struct problem *problem);

struct manager_unmounted {
    char point[MOUNTINFO_PATH_SIZE];
    enum kernel_unmount_way way;
    bool was_mounted;
};
/* Nothing mounted there is success (was_mounted false). Errors: -EBUSY: in use. */
MUST_CHECK int manager_unmount(const char *point, bool may_be_lazy, uint64_t limit_ms,
    struct manager_unmounted *out_done, struct problem *problem);
/* With the words of the mount that is, or was last, at `point`, and with `options` instead when they are not NULL. One that
 * answers is only given its flags (ro, noexec...) when nothing else changes; else it is unmounted and mounted again. */
MUST_CHECK int manager_remount(const char *point, const char *options,
    struct manager_result *out_result, struct problem *problem);
