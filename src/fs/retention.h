/*
 * fs/retention.h - snapshots by schedule: "hourly=24,daily=7".
 *
 * Each kind makes one snapshot for each of its periods (in UTC), named by the kind and the beginning of the period, such as
 * hourly-2026-01-31T08:00Z, and keeps the newest N. Others' snapshots are never touched. The time is an argument.
 */
#pragma once

#include "fs/fs.h"

enum retention_kind { RETAIN_HOURLY, RETAIN_DAILY, RETAIN_WEEKLY, RETAIN_MONTHLY, RETAIN_KINDS };

#define RETENTION_KEEP_MAX 200u /* of each kind: all of them together fit into FS_SNAPSHOTS_MAX */

struct retention {
    uint32_t keep[RETAIN_KINDS]; /* 0: none is made, and those that were made are left */
};

/* Kinds are divided by commas or, where these are not allowed, single spaces. Errors: -EINVAL: an unknown kind, one twice, or no number from 1 to RETENTION_KEEP_MAX. */
MUST_CHECK int retention_parse(struct slice text, struct retention *out_retention);

/* The name of the kind's snapshot at a time, in seconds since 1970. */
#define RETENTION_NAME_SIZE 32u
void retention_name(enum retention_kind kind, int64_t now_s, char out_name[RETENTION_NAME_SIZE]);
/* Whether a snapshot was made by the schedule, for this kind. */
bool retention_is_own(enum retention_kind kind, const char *name);

/* Makes what is due and deletes what is too many; cheap when nothing is. Called again and again, by one thread for a file
 * system. What is due and was missed is not made up for, but for the running period. Errors: those of the calls; what
 * was done is done. */
MUST_CHECK int retention_run(struct fs *fs, const struct retention *retention, int64_t now_s);
