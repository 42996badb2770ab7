/*
 * mount/state.h - /run/shoal: what was mounted by us, with which words, so that it can be mounted again and told apart.
 *
 * One file per mount point, DIR/mounts/NAME.json, NAME as systemd escapes paths. Nothing in it is secret. It is gone
 * after a reboot, as the mounts are. SHOAL_RUN_DIR names another directory (for tests).
 */
#pragma once

#include "mount/mountinfo.h"

#define STATE_WORD_SIZE    1536
#define STATE_OPTIONS_SIZE 4096

struct state_mount {
    char source[STATE_WORD_SIZE]; /* as it was given */
    char options[STATE_OPTIONS_SIZE];
    char label[MOUNTINFO_PATH_SIZE]; /* as mountinfo shows it */
    uint16_t tunnel_port;            /* 0: no tunnel */
};

/* The directory; made when it is missing. Errors: the system's. */
MUST_CHECK int state_open_dir(const char *sub, int *out_fd);
const char *state_dir(void);
/* Errors: -ENOENT: none; -EINVAL: not readable as one; the system's. */
MUST_CHECK int state_read(const char *point, struct state_mount *out_state);
MUST_CHECK int state_write(const char *point, const struct state_mount *state);
/* A missing one is fine. */
void state_remove(const char *point);
