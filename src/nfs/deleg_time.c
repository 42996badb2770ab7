/*
 * nfs/deleg_time.c - which delegated times count (room: NFS).
 */
#include "nfs/deleg_time.h"

static bool is_later(struct state_time a, struct state_time b)
{
    return a.seconds != b.seconds ? a.seconds > b.seconds : a.nanoseconds > b.nanoseconds;
}

static bool time_counts(
    struct state_time told, struct state_time original, struct fs_time now, struct fs_time *out)
{
    if (!is_later(told, original))
        return false;
    *out = (struct fs_time){ .seconds = told.seconds, .nanoseconds = told.nanoseconds };
    if (is_later(told, deleg_time_of(now)))
        *out = now;
    return true;
}

bool deleg_times_to_set(
    const struct state_deleg_writer *writer, struct fs_time now, struct fs_setattr *set)
{
    bool has_atime = time_counts(writer->said_atime, writer->atime, now, &set->atime);
    bool has_mtime = time_counts(writer->said_mtime, writer->mtime, now, &set->mtime);
    set->atime_how = has_atime ? FS_TIME_CLIENT : FS_TIME_KEEP;
    set->mtime_how = has_mtime ? FS_TIME_CLIENT : FS_TIME_KEEP;
    return has_atime || has_mtime;
}
