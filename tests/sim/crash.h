/*
 * tests/sim/crash.h - a backend is killed in the middle of work, again and again, and must not have lost anything
 * that it had acknowledged.
 *
 * Worker processes change files of their own directories from several threads and tell each intention and each
 * acknowledgement through a pipe; they are ended by SIGKILL at a random moment. Another process then opens the file
 * system and compares it with what the pipe said: each file is as acknowledged, and what was in progress is done
 * or not done, never in between.
 */
#pragma once

#include "fs/fs.h"

struct crash_backend {
    void *context;
    /* Opens the one file system, made if need be; called in a fresh process. */
    int (*open)(void *context, struct fs **out_fs);
    /* Closes it in order. */
    void (*close)(void *context, struct fs *fs);
};

struct crash_options {
    unsigned rounds;
    unsigned run_ms_max; /* a worker lives for a random time up to this */
    uint64_t seed;
};

/* 0, or the number of differences found; each is printed. */
MUST_CHECK int crash_run(const struct crash_backend *backend, const struct crash_options *options);
