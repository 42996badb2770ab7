/* mount/explain.h - what an error of mount(2) means here: the cause, and what mends it. */
#pragma once

#include "mount/resolve.h"

struct explain {
    int err;
    const struct target *target;
    const struct mount_options *options;
    const struct service *service;
    const char *source;
    const char *point;
    uint64_t limit_ms;
};

/* Writes the sentence; may ask the API. Gives err. */
int explain_mount(const struct explain *explain, struct problem *problem);
