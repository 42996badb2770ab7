/*
 * daemon/announce.h - telling others that the daemon serves: DIR/run/shoald.json, and the service
 * manager.
 */
#pragma once

#include "catalog/records.h"
#include "daemon/address.h"

struct announcement {
    const char *endpoint; /* "http://127.0.0.1:8049" */
    const char *region;
    const char *account_id;
    uint16_t control_port;
    uint16_t nfs_port;
    const struct catalog_network *network; /* whose subnets take mount targets */
    const char *suffix;                    /* of DNS names */
    const struct endpoint_list *dns;       /* where they are answered */
};

/* Writes run/shoald.json below `dir_fd`, whole or not at all. */
MUST_CHECK int announce_write(int dir_fd, const struct announcement *announcement);
/* Removes it. */
void announce_remove(int dir_fd);
/* Sends `state`, such as "READY=1", to the service manager named by NOTIFY_SOCKET; without one does
 * nothing. */
void announce_notify(const char *state);
/* Tells a manager that watches us (WATCHDOG_USEC) that the main thread goes on; call it at least twice in that time. Without one
 * does nothing. */
void announce_alive(void);
