/*
 * io/tls.h - TLS 1.2 and 1.3 on a non-blocking socket, as a server.
 *
 * A struct tls_certificate is what the server shows; which one is chosen per connection, so certificates can be made,
 * changed and renewed while it runs. A struct tls is one connection: it handshakes, receives and sends, and says
 * -EAGAIN where the socket has to become ready first. The client's certificate is asked for, never demanded, and any
 * self-signed one passes the handshake, which proves that the client has its key: what it means is for others to judge
 * (auth/). There is no renegotiation and no resumption: each connection shows its certificate anew.
 *
 * When the kernel knows TLS (module `tls`), it takes over encryption once the handshake is done (kTLS).
 *
 * Threads: certificates are shared by any; a struct tls belongs to one. Source: RFC 5246, 8446, 7301 (ALPN).
 */
#pragma once

#include <sys/socket.h>

#include "base/base.h"

#define TLS_PEER_CERTIFICATE_SIZE_MAX \
    (16u * 1024) /* all certificates that a client may show together */
#define TLS_REASON_SIZE 128

struct tls_certificate;

/* Reads a certificate, what stands between it and its root, and its private key, from PEM; the key is checked against
 * the certificate. The caller owns the first reference. Errors: -EINVAL: not PEM, too few parts, or they do not belong
 * together; -ENOMEM. */
MUST_CHECK int tls_certificate_new(
    struct slice chain_pem, struct slice key_pem, struct tls_certificate **out_certificate);
void tls_certificate_ref(struct tls_certificate *certificate);
/* NULL is allowed. */
void tls_certificate_unref(struct tls_certificate *certificate);

/* Gives the certificate, with a reference for the caller, that a server shows at its address `local`; NULL: none, the
 * handshake fails. Called from any thread; does not wait. */
typedef struct tls_certificate *tls_choose_function(
    void *context, const struct sockaddr_storage *local);

struct tls_server; /* what all connections of a server have in common */

struct tls_server_options {
    tls_choose_function *choose;
    void *choose_context;
    /* The protocol that clients ask for by ALPN, e.g. "sunrpc"; up to 255 bytes, borrowed. */
    const char *protocol;
};

/* Errors: -ENOMEM. */
MUST_CHECK int tls_server_new(
    const struct tls_server_options *options, struct tls_server **out_server);
/* After the last of its connections. NULL is allowed. */
void tls_server_free(struct tls_server *server);

struct tls;

/* Begins TLS on `fd`, which is non-blocking and stays the caller's. `needs_protocol`: a client that names protocols by ALPN must
 * name ours (RFC 9289 section 5); otherwise it may name something else, which is passed over. One that names none is taken in
 * both cases: so is Linux's, whose tlshd (ktls-utils 1.4.0) sends no ALPN with a certificate, seen on 2026-11-28. */
MUST_CHECK int tls_new(struct tls_server *server, int fd, const struct sockaddr_storage *local,
    bool needs_protocol, struct tls **out_tls);
/* Tells the client that nothing more comes, as far as the socket takes it now. NULL is allowed. */
void tls_free(struct tls *tls);

/* Goes on with the handshake. 0: done. Errors: -EAGAIN; -EPROTO: failed, tls_reason() says why; -ECONNRESET. */
MUST_CHECK int tls_handshake(struct tls *tls);
/* Gives how many bytes came, 0 at the end. Errors: -EAGAIN; -EPROTO; the socket's. Until it says -EAGAIN there may be
 * more that the socket does not show as ready. */
MUST_CHECK ssize_t tls_receive(struct tls *tls, void *buffer, size_t size);
/* Gives how many bytes were taken, at least one. Errors: as tls_receive(). After -EAGAIN the next call must begin with
 * the same bytes; they may lie elsewhere, and more may follow them. */
MUST_CHECK ssize_t tls_send(struct tls *tls, const void *bytes, size_t size);
/* After -EAGAIN: the socket must be writable, not readable, for it to go on. */
bool tls_wants_write(const struct tls *tls);
/* Whether the kernel encrypts what is sent: then sendmsg() on the socket does the same as tls_send(). */
bool tls_kernel_sends(const struct tls *tls);

/* After the handshake. The client's certificate in DER; an empty slice: it showed none. Valid as long as `tls`. */
struct slice tls_peer_certificate(const struct tls *tls);
/* "TLSv1.3", and the name of the cipher. */
const char *tls_version(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);
/* Why the last call failed, in a few words of ours or OpenSSL's. */
const char *tls_reason(const struct tls *tls);
