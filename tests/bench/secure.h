/* tests/bench/secure.h - TLS for the connections of the load generator. */
#pragma once

#include <openssl/ssl.h>
#include <sys/uio.h>

#include "base/base.h"

struct conn;

/* What all connections begin with; NULL: no memory. The caller owns it. */
SSL_CTX *secure_context(void);
/* The handshake, on conn->fd, which blocks until then and not after. Errors: -EPROTO: it failed; -ENOMEM. */
MUST_CHECK int secure_open(struct conn *conn);
void secure_close(struct conn *conn);
/* As sendmsg() and recv() on a socket that does not block, with -errno; 0: the end. Sets conn->has_unread. */
MUST_CHECK ssize_t secure_send(struct conn *conn, const struct iovec *pieces, size_t count);
MUST_CHECK ssize_t secure_receive(struct conn *conn, uint8_t *buffer, size_t size);
