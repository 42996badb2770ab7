/*
 * mount/tunnel.h - TLS for a mount whose kernel has none: a local port whose connections are carried on over TLS.
 *
 * One tunnel per (file system, access point, identity), shared by all mounts that are the same to the server, since Linux merges
 * those into one connection. It is two processes:
 *   supervisor  holds the listening socket on 127.0.0.1 (20049 to 21049), starts the worker, and starts it again on the same
 *               socket when it ends or shows no sign of life for 10 s; ends when no mount and no connection needs it
 *   worker      accepts, connects to the target, handshakes, carries bytes; a thread per connection
 * A connection that breaks is closed on the other side, too: the kernel then connects again, and nothing acknowledged is lost.
 * While the target is away, a connection waits for it up to 30 s.
 * State: /run/shoal/tunnels/PORT.json, locked by the supervisor while it lives; PORT.log. No secrets in either.
 * The file system's name and the certificate of the server are checked as efs-utils does: by fs-ID.efs.REGION.SUFFIX, or by the
 * address when that is all that is known.
 */
#pragma once

#include "mount/options.h"
#include "mount/resolve.h"

#define TUNNEL_ADDRESS   "127.0.0.1"
#define TUNNEL_PORT_LOW  20049
#define TUNNEL_PORT_HIGH 21049

struct tunnel_spec {
    const struct mount_options *options;
    const struct service *service;
    const struct target *target;
    char ca_file[OPTIONS_PATH_SIZE]; /* filled in by tunnel_prepare() */
    char key[1600];                  /* what it is shared by */
};

/* Finds the CA file and reads it, checks that the keys for iam are there, and says by what the tunnel is shared. Errors with the
 * sentence: -EINVAL, -ENOENT: no CA is known. */
MUST_CHECK int tunnel_prepare(const struct mount_options *options, const struct service *service,
    const struct target *target, struct tunnel_spec *out_spec, struct problem *problem);
/* Handshakes with the target once, in a child, so that what is wrong is known before the kernel waits for it. Errors with the
 * sentence: -EACCES: the certificate of the server is refused (or it refused ours); -EPROTO: no TLS there; those of connecting. */
MUST_CHECK int tunnel_try(
    const struct tunnel_spec *spec, uint64_t limit_ms, struct problem *problem);
/* Starts a tunnel, or finds the one that serves the same. *out_started: it was started now. Errors with the sentence. */
MUST_CHECK int tunnel_start(
    const struct tunnel_spec *spec, uint16_t *out_port, bool *out_started, struct problem *problem);
/* Asks the tunnel at this port to end: it does as soon as no mount needs it. */
void tunnel_end(uint16_t port);
/* Whether a supervisor lives for this port. */
bool tunnel_is_alive(uint16_t port);

/* A tunnel of this process alone, for a check: gone when it is given back, or when the process ends. */
struct tunnel_loan {
    pid_t pid; /* 0: none */
    uint16_t port;
};
/* Errors: the system's. `spec` and what it points to must live until it is given back. */
MUST_CHECK int tunnel_borrow(const struct tunnel_spec *spec, struct tunnel_loan *out_loan);
void tunnel_give_back(struct tunnel_loan *loan);
