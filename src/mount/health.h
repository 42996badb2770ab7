/*
 * mount/health.h - does a directory work: a probe file is written, made durable, read back from the server, removed.
 *
 * All of it in a child with a time limit, so that a mount that hangs is reported and not joined. Of the path the parent
 * knows the words only. A child that is killed may leave its file, .shoal-health-PID-RANDOM; the next probe that works
 * removes those that are older than ten minutes.
 */
#pragma once

#include "mount/child.h"
#include "mount/mountinfo.h"

#define HEALTH_SIZE_MAX (1u << 20)

struct health_request {
    const char *path; /* as given */
    uint32_t size;    /* of the probe file: 1 to HEALTH_SIZE_MAX */
    bool read_only;   /* lists the directory only */
};

struct health_result {
    int err; /* 0, or -errno of `step`; -ETIMEDOUT: it hangs; -EBADMSG: other data was read than written */
    char step
        [16]; /* "open", "create", "write", "fsync", "read", "remove"; what was being done when it failed */
    bool readable;
    bool writable;
    bool is_stuck;     /* the child could not even be killed */
    uint64_t write_ns; /* create, write, fsync, close; 0: not done */
    uint64_t read_ns;  /* open, read, past this machine's cache */
    uint64_t total_bytes;
    uint64_t free_bytes;
};

/* One probe that runs; several may at one time. */
struct health {
    struct child child;
    struct health_request request;
    char clean_path[MOUNTINFO_PATH_SIZE]; /* absolute, by its words */
    struct mountinfo mount;               /* that it lies in; type "" when not known */
};

/* Errors: -EINVAL: the path is empty; of child_start(). */
MUST_CHECK int health_start(struct health *health, const struct health_request *request);
/* Waits until the deadline of the monotonic clock; kills what has not ended then. Always fills the result. */
void health_finish(struct health *health, uint64_t deadline_ms, struct health_result *out_result);
/* Takes the end of a child that was stuck; gives whether it is gone. Until then no other probe of this path may start. */
bool health_is_free(struct health *health);
