/*
 * control/quota.h - quotas of directories, for the operations of the service "shoal" and for tags of access points.
 */
#pragma once

#include "control/api.h"

#define QUOTA_TAG_MESSAGE                                                                  \
    "The value of a quota tag must be a number such as 1000, 5M or 50GiB; its key one of " \
    "shoal:quota-bytes, -entries, -soft-bytes, -soft-entries and -grace-days."

/* Gives the root directory of an access point the quota that its tags ask for, or none. A directory that is not there yet gets
 * it when the access point is first used (nfs/grant.c). What fails is logged: the tags are kept, and asked again then. */
void quota_follow_tags(struct api_call *call, const char *access_point_id);
