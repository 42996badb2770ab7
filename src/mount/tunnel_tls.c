/*
 * mount/tunnel_tls.c - the client's side of TLS: trust, names, our certificate (room: mount).
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/client_certificate.h"
#include "base/clock.h"
#include "base/text.h"
#include "mount/child.h"
#include "mount/tunnel_internal.h"

#define RENEW_S 3600 /* as the watchdog of efs-utils */

struct tunnel_tls {
    const struct tunnel_spec *spec;
    SSL_CTX *context;
    char *key_pem;
    EVP_PKEY *key;
    pthread_mutex_t lock; /* of all below */
    X509 *certificate;
    int64_t made_s;
};

static bool is_numeric(const char *name)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

void tunnel_tls_free(struct tunnel_tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->key_pem != NULL)
        explicit_bzero(tls->key_pem, strlen(tls->key_pem));
    free(tls->key_pem);
    EVP_PKEY_free(tls->key);
    X509_free(tls->certificate);
    SSL_CTX_free(tls->context);
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls);
}

static int set_trust(struct tunnel_tls *tls, struct problem *problem)
{
    const struct tunnel_spec *spec = tls->spec;
    SSL_CTX *context = tls->context;
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_verify(context, spec->options->no_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (spec->options->no_verify)
        return 0;
    if (SSL_CTX_load_verify_file(context, spec->ca_file) == 1)
        return 0;
    return problem_say(problem, -EINVAL,
        "%s holds no certificate of an authority that can be read. Give the right file with "
        "cafile=FILE.",
        spec->ca_file);
}

static int read_key(struct tunnel_tls *tls)
{
    int err = client_certificate_make_key(&tls->key_pem);
    if (err < 0)
        return err;
    BIO *bio = BIO_new_mem_buf(tls->key_pem, -1);
    tls->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return tls->key != NULL ? 0 : -ENOMEM;
}

int tunnel_tls_new(
    const struct tunnel_spec *spec, struct tunnel_tls **out_tls, struct problem *problem)
{
    struct tunnel_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return problem_say(problem, -ENOMEM, "There is no memory left.");
    tls->spec = spec;
    (void)pthread_mutex_init(&tls->lock, NULL); /* cannot fail without attributes */
    tls->context = SSL_CTX_new(TLS_client_method());
    int err = tls->context == NULL ? problem_say(problem, -ENOMEM, "OpenSSL does not start.")
                                   : set_trust(tls, problem);
    if (err == 0 && (err = read_key(tls)) < 0)
        err = problem_say(problem, err, "A key for TLS cannot be made.");
    if (err == 0) {
        *out_tls = tls;
        tls = NULL;
    }
    tunnel_tls_free(tls);
    return err;
}

static X509 *parse_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

/* A certificate of the present hour. Keys are looked up anew each time, as temporary ones change. */
static int renew_locked(struct tunnel_tls *tls)
{
    const struct tunnel_spec *spec = tls->spec;
    int64_t now_s = clock_wall().seconds;
    char host[256] = "";
    char *pem = NULL;
    struct problem ignored;
    if (tls->certificate != NULL && now_s >= tls->made_s && now_s - tls->made_s < RENEW_S)
        return 0;
    struct service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return -ENOMEM;
    int err = spec->options->iam ? service_find(spec->options, service, &ignored) : 0;
    if (gethostname(host, sizeof host - 1) < 0 || host[0] == '\0')
        (void)text_copy(host, sizeof host, "localhost"); /* fits */
    bool has_keys = spec->options->iam && service->key_id[0] != '\0';
    const struct client_certificate_request request = { .key_pem = tls->key_pem,
        .host_name = host,
        .file_system = spec->target->file_system,
        .access_point = spec->options->access_point,
        .source = "shoal",
        .version = SHOAL_VERSION,
        .now_s = now_s,
        .key_id = has_keys ? service->key_id : NULL,
        .secret = service->secret,
        .token = service->token,
        .region = spec->service->conf.region };
    if (err == 0)
        err = spec->options->iam && !has_keys ? -EACCES : client_certificate_make(&request, &pem);
    service_fini(service);
    free(service);
    X509 *certificate = err == 0 ? parse_certificate(pem) : NULL;
    free(pem);
    if (certificate == NULL)
        return tls->certificate != NULL ? 0 : -EACCES; /* the old one may still do */
    X509_free(tls->certificate);
    tls->certificate = certificate;
    tls->made_s = now_s;
    return 0;
}

/* Our certificate, when there is a file system to name in it. */
static bool show_certificate(struct tunnel_tls *tls, SSL *ssl)
{
    if (tls->spec->target->file_system[0] == '\0')
        return true;
    (void)pthread_mutex_lock(&tls->lock); /* cannot fail for a plain mutex */
    bool done = renew_locked(tls) == 0 && SSL_use_certificate(ssl, tls->certificate) == 1;
    (void)pthread_mutex_unlock(&tls->lock);
    return done && SSL_use_PrivateKey(ssl, tls->key) == 1;
}

SSL *tunnel_tls_connection(struct tunnel_tls *tls, int fd)
{
    assert(tls != NULL);
    const char *name = tls->spec->target->name;
    char own_name[RESOLVE_NAME_SIZE]; /* OpenSSL wants one that is not constant */
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL)
        return NULL;
    bool done = text_copy(own_name, sizeof own_name, name) == 0 && SSL_set_fd(ssl, fd) == 1 &&
                show_certificate(tls, ssl);
    if (done && is_numeric(name))
        done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    else if (done)
        done = SSL_set1_host(ssl, name) == 1 && SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
                                                    TLSEXT_NAMETYPE_host_name, own_name) == 1;
    if (done)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

/* The names that a certificate has, for a sentence. */
static void list_names(X509 *certificate, char *out, size_t size)
{
    size_t used = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[INET6_ADDRSTRLEN] = "";
        int err = 0;
        if (name->type == GEN_DNS)
            err = text_append(out, size, &used, "%s%.*s", used > 0 ? ", " : "",
                ASN1_STRING_length(name->d.dNSName),
                (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        else if (name->type == GEN_IPADD &&
                 inet_ntop(ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6,
                     ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text) != NULL)
            err = text_append(out, size, &used, "%s%s", used > 0 ? ", " : "", text);
        if (err < 0)
            break;
    }
    GENERAL_NAMES_free(names);
}

int tunnel_tls_explain(
    const struct tunnel_spec *spec, SSL *ssl, int ssl_result, struct problem *problem)
{
    long verified = SSL_get_verify_result(ssl);
    unsigned long code = ERR_peek_last_error();
    const struct target *target = spec->target;
    char names[512] = "";
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (certificate != NULL)
        list_names(certificate, names, sizeof names);
    X509_free(certificate);
    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        return problem_say(problem, -EACCES,
            "The certificate of %s is for %s, not for %s: check region= and suffix=, or whether "
            "this "
            "is the right server.",
            target->address, names, target->name);
    }
    if (verified == X509_V_ERR_CERT_HAS_EXPIRED || verified == X509_V_ERR_CERT_NOT_YET_VALID)
        return problem_say(problem, -EACCES,
            "The certificate of %s is %s: compare the clocks of both machines, or renew it.",
            target->address,
            verified == X509_V_ERR_CERT_HAS_EXPIRED ? "out of date" : "not valid yet");
    if (verified != X509_V_OK)
        return problem_say(problem, -EACCES,
            "The certificate of %s is not signed by an authority in %s (%s). Take the authority's "
            "certificate from the server (its ca.pem) and name it with cafile=FILE.",
            target->address, spec->ca_file, X509_verify_cert_error_string(verified));
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
        return problem_say(problem, -EPROTO,
            "%s port %u does not speak TLS: it is another service, or an NFS server without TLS. "
            "Mount without tls, or check the port.",
            target->address, target->port);
    if (SSL_get_error(ssl, ssl_result) == SSL_ERROR_SSL && code != 0)
        return problem_say(problem, -EPROTO, "TLS with %s port %u fails: %s.", target->address,
            target->port, ERR_reason_error_string(code));
    return problem_say(problem, -ECONNRESET,
        "%s port %u ends the connection while TLS begins: it does not speak TLS, is no mount "
        "target, "
        "or a security group does not let this machine in.",
        target->address, target->port);
}

struct attempt {
    const struct tunnel_spec *spec;
    uint64_t limit_ms;
};

static int try_work(void *context, void *result)
{
    const struct attempt *attempt = context;
    const struct target *target = attempt->spec->target;
    struct problem *problem = result;
    struct tunnel_tls *tls = NULL;
    int err = tunnel_tls_new(attempt->spec, &tls, problem);
    int fd = err < 0 ? -1 : probe_connect(target->address, target->port, attempt->limit_ms);
    if (err == 0 && fd < 0)
        err = probe_explain(fd, false, target->address, target->port, problem);
    SSL *ssl = err == 0 && fd >= 0 ? tunnel_tls_connection(tls, fd) : NULL;
    if (err == 0 && ssl == NULL)
        err = problem_say(problem, -EINVAL, "The certificate for this mount cannot be made.");
    if (err == 0) {
        int status = SSL_connect(ssl);
        if (status != 1)
            err = tunnel_tls_explain(attempt->spec, ssl, status, problem);
    }
    SSL_free(ssl);
    if (fd >= 0)
        (void)close(fd); /* nothing was sent */
    tunnel_tls_free(tls);
    return err;
}

int tunnel_try(const struct tunnel_spec *spec, uint64_t limit_ms, struct problem *problem)
{
    struct attempt attempt = { .spec = spec, .limit_ms = limit_ms };
    struct problem told = { "" };
    int err = child_run(try_work, &attempt, limit_ms, &told, sizeof told, NULL);
    if (err == -ETIMEDOUT)
        return problem_say(problem, err,
            "%s port %u takes the connection but does not answer TLS within the limit.",
            spec->target->address, spec->target->port);
    if (err < 0)
        *problem = told;
    return err;
}
