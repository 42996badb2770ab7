/*
 * io/tls.c - TLS by OpenSSL on a non-blocking socket (room: waiting).
 *
 * OpenSSL reads and writes the socket itself, so that it can hand encryption over to the kernel. SSL_write() may come
 * back with fewer bytes and with a buffer that has moved, as the caller's queue does.
 */
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CHAIN_MAX         8u            /* certificates between ours and its root */
#define READ_BUFFER_BYTES (64u * 1024u) /* several TLS records in one system call */

struct tls_certificate {
    _Atomic unsigned refs;
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct tls_server {
    struct tls_server_options options;
    SSL_CTX *context;
};

struct tls {
    struct tls_server *server;
    struct sockaddr_storage local;
    SSL *ssl;
    bool needs_protocol;
    bool wants_write;
    bool is_broken; /* nothing may be sent any more, not even an alert */
    uint8_t *peer;  /* DER; freed by OpenSSL's allocator */
    size_t peer_size;
    char reason[TLS_REASON_SIZE];
};

/* ---- certificates ---- */

void tls_certificate_ref(struct tls_certificate *certificate)
{
    atomic_fetch_add_explicit(&certificate->refs, 1, memory_order_relaxed);
}

void tls_certificate_unref(struct tls_certificate *certificate)
{
    if (certificate == NULL ||
        atomic_fetch_sub_explicit(&certificate->refs, 1, memory_order_acq_rel) != 1)
        return;
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    free(certificate);
}

/* Certificates after the first, as far as there are any. */
static int read_chain(BIO *pem, STACK_OF(X509) * *out_chain)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *next = NULL;
    int err = chain == NULL ? -ENOMEM : 0;
    while (err == 0 && (next = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL) {
        if ((unsigned)sk_X509_num(chain) >= CHAIN_MAX)
            err = -EINVAL;
        else if (sk_X509_push(chain, next) == 0)
            err = -ENOMEM;
        else
            next = NULL; /* the chain's now */
    }
    X509_free(next);
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    if (err == 0) {
        *out_chain = chain;
        chain = NULL;
    }
    sk_X509_pop_free(chain, X509_free);
    return err;
}

int tls_certificate_new(
    struct slice chain_pem, struct slice key_pem, struct tls_certificate **out_certificate)
{
    if (chain_pem.size > INT32_MAX || key_pem.size > INT32_MAX)
        return -EINVAL;
    struct tls_certificate *certificate = calloc(1, sizeof *certificate);
    BIO *chain = BIO_new_mem_buf(chain_pem.data, (int)chain_pem.size);
    BIO *key = BIO_new_mem_buf(key_pem.data, (int)key_pem.size);
    int err = -ENOMEM;
    if (certificate != NULL)
        certificate->refs = 1;
    if (certificate == NULL || chain == NULL || key == NULL)
        goto out;
    err = -EINVAL;
    certificate->leaf = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    /* An empty pass phrase, so that OpenSSL never asks for one at a terminal. */
    static char no_phrase[] = "";
    certificate->key = PEM_read_bio_PrivateKey(key, NULL, NULL, no_phrase);
    if (certificate->leaf == NULL || certificate->key == NULL ||
        X509_check_private_key(certificate->leaf, certificate->key) != 1)
        goto out;
    err = read_chain(chain, &certificate->chain);
    if (err < 0)
        goto out;
    *out_certificate = certificate;
    certificate = NULL; /* the caller owns it now */
out:
    ERR_clear_error();
    BIO_free(chain);
    BIO_free(key);
    tls_certificate_unref(certificate);
    return err;
}

/* ---- the server ---- */

/* The handshake proves that the client has the key of whatever certificate it shows. */
static int accept_any_certificate(X509_STORE_CTX *store, void *context)
{
    (void)context;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static int choose_certificate(SSL *ssl, void *context)
{
    (void)context;
    const struct tls *tls = SSL_get_app_data(ssl);
    const struct tls_server_options *options = &tls->server->options;
    struct tls_certificate *certificate = options->choose(options->choose_context, &tls->local);
    if (certificate == NULL)
        return 0;
    int ok = SSL_use_cert_and_key(ssl, certificate->leaf, certificate->key, certificate->chain, 1);
    tls_certificate_unref(certificate);
    return ok;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
    const unsigned char *offered, unsigned offered_size, void *context)
{
    (void)context;
    const struct tls *tls = SSL_get_app_data(ssl);
    const char *protocol = tls->server->options.protocol;
    size_t size = strlen(protocol);
    for (unsigned at = 0; at < offered_size && offered[at] < offered_size - at;
         at += offered[at] + 1u) {
        if (offered[at] == size && memcmp(offered + at + 1, protocol, size) == 0) {
            *out = offered + at + 1;
            *out_size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return tls->needs_protocol ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

int tls_server_new(const struct tls_server_options *options, struct tls_server **out_server)
{
    assert(strlen(options->protocol) > 0 && strlen(options->protocol) <= UINT8_MAX);
    struct tls_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->options = *options;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_num_tickets(context, 0) != 1) {
        SSL_CTX_free(context);
        free(server);
        ERR_clear_error();
        return -ENOMEM;
    }
    (void)SSL_CTX_set_options(context,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_ENABLE_KTLS |
            SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, TLS_PEER_CERTIFICATE_SIZE_MAX);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_BUFFER_BYTES);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, accept_any_certificate, NULL);
    SSL_CTX_set_cert_cb(context, choose_certificate, NULL);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    server->context = context;
    *out_server = server;
    return 0;
}

void tls_server_free(struct tls_server *server)
{
    if (server == NULL)
        return;
    SSL_CTX_free(server->context);
    free(server);
}

/* ---- a connection ---- */

int tls_new(struct tls_server *server, int fd, const struct sockaddr_storage *local,
    bool needs_protocol, struct tls **out_tls)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return -ENOMEM;
    tls->server = server;
    tls->local = *local;
    tls->needs_protocol = needs_protocol;
    tls->ssl = SSL_new(server->context);
    if (tls->ssl == NULL || SSL_set_app_data(tls->ssl, tls) != 1 || SSL_set_fd(tls->ssl, fd) != 1) {
        SSL_free(tls->ssl);
        free(tls);
        ERR_clear_error();
        return -ENOMEM;
    }
    SSL_set_accept_state(tls->ssl);
    *out_tls = tls;
    return 0;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    ERR_clear_error();
    if (!tls->is_broken && SSL_is_init_finished(tls->ssl))
        (void)SSL_shutdown(tls->ssl); /* one that does not get through looks like a broken line */
    ERR_clear_error();
    OPENSSL_free(tls->peer);
    SSL_free(tls->ssl);
    free(tls);
}

static void explain(struct tls *tls, const char *fallback)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    (void)snprintf(tls->reason, sizeof tls->reason, "%s", text != NULL ? text : fallback);
}

/* What a call of OpenSSL that gave `result`, a failure, means. 0: the end. */
static int failure(struct tls *tls, int result)
{
    int err = -errno;
    tls->wants_write = false;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        tls->wants_write = true;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        tls->is_broken = true;
        explain(tls, "the connection broke");
        return err == 0 ? -ECONNRESET : err;
    default:
        tls->is_broken = true;
        explain(tls, "a protocol error");
        return -EPROTO;
    }
}

static int keep_peer_certificate(struct tls *tls)
{
    const X509 *peer = SSL_get0_peer_certificate(tls->ssl);
    if (peer == NULL)
        return 0;
    int size = i2d_X509(peer, &tls->peer);
    if (size <= 0)
        return -ENOMEM;
    tls->peer_size = (size_t)size;
    return 0;
}

int tls_handshake(struct tls *tls)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1) {
        int err = failure(tls, result);
        return err == 0 ? -ECONNRESET : err;
    }
    return keep_peer_certificate(tls);
}

ssize_t tls_receive(struct tls *tls, void *buffer, size_t size)
{
    size_t received = 0;
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(tls->ssl, buffer, size, &received);
    return result == 1 ? (ssize_t)received : failure(tls, result);
}

ssize_t tls_send(struct tls *tls, const void *bytes, size_t size)
{
    size_t sent = 0;
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(tls->ssl, bytes, size, &sent);
    if (result == 1)
        return (ssize_t)sent;
    int err = failure(tls, result);
    return err == 0 ? -EPIPE : err;
}

bool tls_wants_write(const struct tls *tls)
{
    return tls->wants_write;
}

bool tls_kernel_sends(const struct tls *tls)
{
    return BIO_get_ktls_send(SSL_get_wbio(tls->ssl)) != 0;
}

struct slice tls_peer_certificate(const struct tls *tls)
{
    return slice_of(tls->peer, tls->peer_size);
}

const char *tls_version(const struct tls *tls)
{
    return SSL_get_version(tls->ssl);
}

const char *tls_cipher(const struct tls *tls)
{
    return SSL_get_cipher_name(tls->ssl);
}

const char *tls_reason(const struct tls *tls)
{
    return tls->reason;
}
