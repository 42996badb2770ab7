/* mount/tunnel_internal.h - between the parts of the tunnel: supervisor, worker, one connection, TLS. */
#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "mount/tunnel.h"

/* Shared memory of supervisor and worker. */
struct tunnel_shared {
    _Atomic uint64_t beat_ms; /* when the worker's accepting loop last went round */
    _Atomic uint32_t connection_count;
};

/* What a connection is made with. Thread-safe. */
struct tunnel_tls;
MUST_CHECK int tunnel_tls_new(
    const struct tunnel_spec *spec, struct tunnel_tls **out_tls, struct problem *problem);
void tunnel_tls_free(struct tunnel_tls *tls);
/* A connection object on the connected socket, with a fresh client certificate; NULL: no memory or no keys. */
SSL *tunnel_tls_connection(struct tunnel_tls *tls, int fd);
/* The sentence about a handshake that failed. */
int tunnel_tls_explain(
    const struct tunnel_spec *spec, SSL *ssl, int ssl_result, struct problem *problem);

/* Carries one accepted connection until either side ends; closes it. */
void tunnel_carry(const struct tunnel_spec *spec, struct tunnel_tls *tls, int local_fd);
/* The worker: never returns. */
__attribute__((noreturn)) void tunnel_work(
    const struct tunnel_spec *spec, int listen_fd, struct tunnel_shared *shared);
/* The supervisor: never returns. `state_fd` is locked and stays open. */
__attribute__((noreturn)) void tunnel_supervise(
    const struct tunnel_spec *spec, int listen_fd, uint16_t port, int state_fd);
