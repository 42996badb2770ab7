/*
 * auth/ca.c - making and reading the node's certificate authority, and signing with it (room: auth).
 */
#include "auth/ca.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/text.h"

#define FILE_SIZE_MAX 65536u
#define DAY_S         INT64_C(86400)
#define CA_BACK_S     DAY_S /* clocks of clients may be behind */
#define CA_LIFE_S     (20 * 365 * DAY_S)
#define SERIAL_BYTES  16

struct ca {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_pem;
};

void ca_close(struct ca *ca)
{
    if (ca == NULL)
        return;
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    free(ca->certificate_pem);
    free(ca);
}

const char *ca_certificate(const struct ca *ca)
{
    return ca->certificate_pem;
}

/* ---- parts of a certificate; each gives false when OpenSSL fails ---- */

static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_times(X509 *certificate, int64_t not_before_s, int64_t not_after_s)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)not_before_s) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)not_after_s) != NULL;
}

static bool set_subject(X509 *certificate, const char *common_name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_txt(
               subject, "O", MBSTRING_ASC, (const unsigned char *)"Shoal", -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(
               subject, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0) == 1;
}

static bool add_extension(X509 *certificate, const X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    /* OpenSSL reads the issuer only, but does not say so. */
    X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, certificate, NULL, NULL, 0); /* NOLINT */
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

/* ---- the authority itself ---- */

static char *to_pem(X509 *certificate, EVP_PKEY *key)
{
    char *text = NULL;
    char *data;
    BIO *out = BIO_new(BIO_s_mem());
    bool ok = out != NULL && (certificate != NULL ? PEM_write_bio_X509(out, certificate)
                                                  : PEM_write_bio_PrivateKey(
                                                        out, key, NULL, NULL, 0, NULL, NULL)) == 1;
    long size = ok ? BIO_get_mem_data(out, &data) : 0;
    if (size > 0)
        text = strndup(data, (size_t)size);
    if (size > 0 && certificate == NULL)
        explicit_bzero(data, (size_t)size);
    BIO_free(out);
    return text;
}

static int make(struct ca *ca, const char *node_name, int64_t now_s)
{
    char name[CA_NAME_SIZE];
    (void)snprintf(name, sizeof name, "Shoal node CA %.32s", node_name);
    ca->key = EVP_EC_gen("P-256");
    ca->certificate = X509_new();
    if (ca->key == NULL || ca->certificate == NULL ||
        X509_set_version(ca->certificate, X509_VERSION_3) != 1 || !set_serial(ca->certificate) ||
        !set_times(ca->certificate, now_s - CA_BACK_S, now_s + CA_LIFE_S) ||
        !set_subject(ca->certificate, name) ||
        X509_set_issuer_name(ca->certificate, X509_get_subject_name(ca->certificate)) != 1 ||
        X509_set_pubkey(ca->certificate, ca->key) != 1 ||
        !add_extension(ca->certificate, ca->certificate, NID_basic_constraints,
            "critical,CA:TRUE,pathlen:0") ||
        !add_extension(
            ca->certificate, ca->certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(ca->certificate, ca->certificate, NID_subject_key_identifier, "hash") ||
        X509_sign(ca->certificate, ca->key, EVP_sha256()) == 0)
        return -ENOMEM;
    ca->certificate_pem = to_pem(ca->certificate, NULL);
    return ca->certificate_pem == NULL ? -ENOMEM : 0;
}

/* The key first: a crash between the two leaves a key without certificate, which the next start replaces. */
static int save(const struct ca *ca, int dir_fd)
{
    char *key_pem = to_pem(NULL, ca->key);
    if (key_pem == NULL)
        return -ENOMEM;
    int err = sys_replace_file(dir_fd, CA_KEY_FILE_NAME, key_pem, strlen(key_pem), 0600);
    explicit_bzero(key_pem, strlen(key_pem));
    free(key_pem);
    if (err == 0)
        err = sys_replace_file(dir_fd, CA_CERTIFICATE_FILE_NAME, ca->certificate_pem,
            strlen(ca->certificate_pem), 0644);
    return err;
}

static int load(struct ca *ca, int dir_fd)
{
    char *key_pem = NULL;
    int err = sys_read_file(dir_fd, CA_CERTIFICATE_FILE_NAME, FILE_SIZE_MAX, &ca->certificate_pem);
    if (err < 0)
        return err;
    err = sys_read_file(dir_fd, CA_KEY_FILE_NAME, FILE_SIZE_MAX, &key_pem);
    if (err < 0)
        return err == -ENOENT ? -EINVAL : err; /* a certificate whose key was lost */
    static char no_phrase[] = "";              /* so that OpenSSL does not ask for one */
    BIO *certificate = BIO_new_mem_buf(ca->certificate_pem, -1);
    BIO *key = BIO_new_mem_buf(key_pem, -1);
    if (certificate == NULL || key == NULL) {
        err = -ENOMEM;
    } else {
        ca->certificate = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
        ca->key = PEM_read_bio_PrivateKey(key, NULL, NULL, no_phrase);
        if (ca->certificate == NULL || ca->key == NULL ||
            X509_check_private_key(ca->certificate, ca->key) != 1)
            err = -EINVAL;
    }
    BIO_free(certificate);
    BIO_free(key);
    explicit_bzero(key_pem, strlen(key_pem));
    free(key_pem);
    return err;
}

int ca_open(int dir_fd, const char *node_name, int64_t now_s, struct ca **out_ca)
{
    struct ca *ca = calloc(1, sizeof *ca);
    if (ca == NULL)
        return -ENOMEM;
    int err = load(ca, dir_fd);
    if (err == -ENOENT) {
        err = make(ca, node_name, now_s);
        if (err == 0)
            err = save(ca, dir_fd);
    }
    ERR_clear_error();
    if (err < 0) {
        ca_close(ca);
        return err;
    }
    *out_ca = ca;
    return 0;
}

/* ---- issuing ---- */

static bool add_names(X509 *certificate, const struct ca_request *request)
{
    char names[CA_NAMES_MAX * (CA_DNS_NAME_SIZE + 5) + INET_ADDRSTRLEN + 4] = "";
    char address[INET_ADDRSTRLEN];
    size_t used = 0;
    bool ok = request->name_count <= CA_NAMES_MAX;
    for (size_t i = 0; ok && i < request->name_count; i++)
        ok = text_append(names, sizeof names, &used, "%sDNS:%s", used > 0 ? "," : "",
                 request->names[i]) == 0;
    if (ok && request->has_address)
        ok = inet_ntop(AF_INET, &request->address, address, sizeof address) != NULL &&
             text_append(names, sizeof names, &used, "%sIP:%s", used > 0 ? "," : "", address) == 0;
    return ok && used > 0 && add_extension(certificate, NULL, NID_subject_alt_name, names);
}

static bool fill(struct ca *ca, X509 *certificate, EVP_PKEY *key, const struct ca_request *request)
{
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           set_times(certificate, request->not_before_s, request->not_after_s) &&
           set_subject(certificate, "Shoal NFS server") &&
           X509_set_issuer_name(certificate, X509_get_subject_name(ca->certificate)) == 1 &&
           X509_set_pubkey(certificate, key) == 1 && add_names(certificate, request) &&
           add_extension(certificate, NULL, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NULL, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, NULL, NID_ext_key_usage, "serverAuth") &&
           add_extension(certificate, ca->certificate, NID_authority_key_identifier, "keyid") &&
           X509_sign(certificate, ca->key, EVP_sha256()) != 0;
}

int ca_issue(
    struct ca *ca, const struct ca_request *request, char **out_certificate_pem, char **out_key_pem)
{
    char *certificate_pem = NULL;
    char *key_pem = NULL;
    int err = -ENOMEM;
    X509 *certificate = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (certificate != NULL && key != NULL && fill(ca, certificate, key, request)) {
        certificate_pem = to_pem(certificate, NULL);
        key_pem = to_pem(NULL, key);
        err = certificate_pem == NULL || key_pem == NULL ? -ENOMEM : 0;
    }
    if (err == 0) {
        *out_certificate_pem = certificate_pem;
        *out_key_pem = key_pem;
    } else {
        free(certificate_pem);
        free(key_pem);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}
