/*
 * control/server.h - the AWS APIs over HTTP: EFS (REST, JSON), and of EC2 and STS what users of EFS need.
 *
 * Every request but GET /health and GET /metrics must be signed; the signature's credential scope names the service.
 * Thread-safe but for new and free.
 */
#pragma once

#include <stdio.h>
#include <sys/socket.h>

#include "auth/audit.h"
#include "catalog/records.h"
#include "control/worker.h"
#include "fs/volumes.h"

struct key_store;
struct refusals;

struct control_options {
    struct catalog *catalog;         /* borrowed */
    struct audit *audit;             /* borrowed; NULL: no audit log is kept */
    struct refusals *refusals;       /* borrowed: what the data plane refused */
    struct fs_volumes *volumes;      /* borrowed */
    struct key_store *keys;          /* borrowed */
    struct sockaddr_storage address; /* of the HTTP port; port 0: any, see control_server_port() */
    unsigned thread_count;           /* 0: the default, 16 */
    unsigned connection_count_max;   /* 0: the default, 1024; half of them from one address */
    struct worker_hooks hooks;
    /* Writes all metrics as Prometheus text; `metrics_context` is its own. NULL: metrics_write(). */
    int (*write_metrics)(void *context, FILE *to);
    void *metrics_context;
};

struct control_server;

/* Prepares all and listens to nothing yet. Errors: -ENOMEM. */
MUST_CHECK int control_server_new(
    const struct control_options *options, struct control_server **out_server);
/* Starts the worker, which first goes on where a crash stopped, and listens. On failure `reason` (of
 * CATALOG_REASON_SIZE bytes) says in a sentence why, and what to do. Errors: as http_server_new(). */
MUST_CHECK int control_server_start(struct control_server *server, char *reason);
/* What time does to keys: called now and then. */
void control_server_tick(struct control_server *server, int64_t now_ms);
uint16_t control_server_port(const struct control_server *server);
/* Accepts no more; waits, at most `timeout_ms`, until the running requests are answered. */
void control_server_drain(struct control_server *server, uint64_t timeout_ms);
/* NULL is allowed. */
void control_server_free(struct control_server *server);
