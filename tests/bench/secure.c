/*
 * tests/bench/secure.c - the bytes of a connection through TLS, from the first one on. The certificate is not checked: this
 * measures.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>

#include "bench.h"
#include "secure.h"

SSL_CTX *secure_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION); /* a constant that is known */
    (void)SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 64 * KIB);
    return context;
}

int secure_open(struct conn *conn)
{
    SSL_CTX *context = secure_context();
    if (context == NULL)
        return -ENOMEM;
    conn->tls = SSL_new(context);
    SSL_CTX_free(context); /* the connection holds it */
    if (conn->tls == NULL || SSL_set_fd(conn->tls, conn->fd) != 1)
        return -ENOMEM;
    if (SSL_connect(conn->tls) != 1)
        return -EPROTO;
    int on = 1;
    return ioctl(conn->fd, FIONBIO, &on) < 0 ? -errno : 0;
}

void secure_close(struct conn *conn)
{
    SSL_free(conn->tls);
    conn->tls = NULL;
}

static ssize_t failure(const struct conn *conn, int result)
{
    int error = SSL_get_error(conn->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -EAGAIN
           : error == SSL_ERROR_ZERO_RETURN                              ? 0
                                                                         : -ECONNRESET;
}

ssize_t secure_send(struct conn *conn, const struct iovec *pieces, size_t count)
{
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < pieces[i].iov_len;) {
            size_t done = 0;
            ERR_clear_error();
            int result = SSL_write_ex(
                conn->tls, (const uint8_t *)pieces[i].iov_base + at, pieces[i].iov_len - at, &done);
            if (result != 1) {
                ssize_t err = failure(conn, result);
                return sent > 0 && err == -EAGAIN ? (ssize_t)sent : err == 0 ? -EPIPE : err;
            }
            at += done;
            sent += done;
        }
    }
    return (ssize_t)sent;
}

ssize_t secure_receive(struct conn *conn, uint8_t *buffer, size_t size)
{
    size_t received = 0;
    conn->has_unread = false;
    while (received < size) {
        size_t done = 0;
        ERR_clear_error();
        int result = SSL_read_ex(conn->tls, buffer + received, size - received, &done);
        if (result != 1) {
            ssize_t err = failure(conn, result);
            return received > 0 ? (ssize_t)received : err;
        }
        received += done;
    }
    conn->has_unread = true; /* the socket does not show what TLS has read ahead */
    return (ssize_t)received;
}
