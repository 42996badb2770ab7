/*
 * cli/instance.h - the shoald of a data directory, seen from outside: does it run, where does it serve.
 *
 * Whether it runs is told by the lock on DIR/lock, which is only looked at, never taken. Where it serves is told by
 * DIR/run/shoald.json.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "base/base.h"

#define INSTANCE_SUBNETS_MAX 16

struct instance_subnet {
    char id[64];
    char zone[64];
};

struct instance {
    char data[PATH_MAX]; /* absolute */
    int dir_fd;
    bool is_running;
    pid_t pid;       /* when it runs; 0 while it has only just begun to */
    bool is_serving; /* then the rest is known */
    char endpoint[64];
    char region[64];
    char account_id[16];
    char version[32];
    uint16_t nfs_port;
    char suffix[256];    /* of the DNS names of its file systems */
    size_t subnet_count; /* one a zone */
    struct instance_subnet subnets[INSTANCE_SUBNETS_MAX];
};

/* Opens the directory `data`, or that of SHOAL_DATA when it is NULL, and looks. Gives 0, or a CLI_ exit
 * code after the sentence was printed. */
MUST_CHECK int instance_open(const char *data, struct instance *out_instance);
void instance_close(struct instance *instance);
/* Looks again. Errors: -EIO: run/shoald.json cannot be read; or the system's. */
MUST_CHECK int instance_look(struct instance *instance);
/* As instance_look(), and makes of a failure, or of a service that does not serve, a sentence and an exit code. */
MUST_CHECK int instance_require(struct instance *instance);
/* The directory as the person named it or as SHOAL_DATA does; NULL when neither. */
const char *instance_data_name(const char *data);
