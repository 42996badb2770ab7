/*
 * auth/client_certificate.c - making certificates of mounts with OpenSSL (room: auth).
 */
#include "auth/client_certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/sigv4.h"
#include "auth/text_builder.h"
#include "base/random.h"
#include "base/text.h"

#define HOST_NAME_MAX_CN 64
#define DER_SIZE         (4 * CLIENT_CERTIFICATE_TEXT_MAX)
#define HEX_DIGEST_SIZE  (2 * SHA_DIGEST_LENGTH + 1)

/* DER, written front to back; `failed` when something did not fit. Source: ITU-T X.690. */
struct der {
    uint8_t bytes[DER_SIZE];
    size_t size;
    bool failed;
};
enum {
    DER_OCTET_STRING = 0x04,
    DER_UTF8_STRING = 0x0c,
    DER_UTC_TIME = 0x17,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xa0,
};

static void der_put(struct der *der, uint8_t tag, const void *data, size_t size)
{
    if (size > UINT16_MAX || der->size + size + 4 > sizeof der->bytes) {
        der->failed = true;
        return;
    }
    der->bytes[der->size++] = tag;
    if (size >= 0x100) {
        der->bytes[der->size++] = 0x82;
        der->bytes[der->size++] = (uint8_t)(size >> 8);
    } else if (size >= 0x80) {
        der->bytes[der->size++] = 0x81;
    }
    der->bytes[der->size++] = (uint8_t)size;
    memcpy(der->bytes + der->size, data, size);
    der->size += size;
}

static void der_put_text(struct der *der, uint8_t tag, const char *text)
{
    der_put(der, tag, text, strlen(text));
}

static char *pem_of(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    return size > 0 ? strndup(data, (size_t)size) : NULL;
}

int client_certificate_make_key(char **out_key_pem)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_secmem());
    char *pem = NULL;
    if (key != NULL && bio != NULL &&
        PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        pem = pem_of(bio);
    BIO_free(bio);
    EVP_PKEY_free(key);
    if (pem == NULL)
        return -ENOMEM;
    *out_key_pem = pem;
    return 0;
}

/* As Python's quote_plus(): all but letters, digits and "_.-~" as %XX, a blank as '+'. */
static void put_quoted(struct text_builder *text, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";
    static const char digits[] = "0123456789ABCDEF";
    for (; *value != '\0'; value++) {
        unsigned byte = (unsigned char)*value;
        if (*value == ' ') {
            text_builder_byte(text, '+');
        } else if (strchr(plain, *value) != NULL) {
            text_builder_byte(text, *value);
        } else {
            text_builder_byte(text, '%');
            text_builder_byte(text, digits[byte >> 4]);
            text_builder_byte(text, digits[byte & 15]);
        }
    }
}

/* The request whose signature stands in the certificate. It lacks the empty line between headers and their list that
 * SigV4 has elsewhere: so efs-utils makes it, and so EFS takes it. */
static char *canonical_request(
    const struct client_certificate_request *request, const char *key_hash, const char *time)
{
    static const char empty_hash[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct text_builder text = { 0 };
    text_builder_text(&text, "GET\n/\nAction=Connect&PublicKeyHash=");
    text_builder_text(&text, key_hash);
    text_builder_text(&text, "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
    put_quoted(&text, request->key_id);
    text_builder_text(&text, "%2F");
    text_builder_bytes(&text, time, SIGV4_DATE_SIZE - 1);
    text_builder_text(&text, "%2F");
    put_quoted(&text, request->region);
    text_builder_text(&text, "%2Felasticfilesystem%2Faws4_request&X-Amz-Date=");
    text_builder_text(&text, time);
    text_builder_text(&text, "&X-Amz-Expires=86400");
    if (request->token[0] != '\0') {
        text_builder_text(&text, "&X-Amz-Security-Token=");
        put_quoted(&text, request->token);
    }
    text_builder_text(&text, "&X-Amz-SignedHeaders=host\nhost:");
    text_builder_text(&text, request->file_system);
    text_builder_text(&text, "\nhost\n");
    text_builder_text(&text, empty_hash);
    return text_builder_take(&text);
}

static int sign(const struct client_certificate_request *request, const char *key_hash,
    const char *time, char out_signature[SIGV4_SIGNATURE_SIZE])
{
    struct sigv4_scope scope = { .service = "elasticfilesystem", .terminator = "aws4_request" };
    memcpy(scope.date, time, SIGV4_DATE_SIZE - 1);
    if (text_copy(scope.region, sizeof scope.region, request->region) < 0)
        return -EINVAL;
    char *text = canonical_request(request, key_hash, time);
    if (text == NULL)
        return -ENOMEM;
    sigv4_signature(text, request->secret, time, &scope, out_signature);
    free(text);
    return 0;
}

/* SEQUENCE { key id, signature, time, [0] token } */
static int build_identity(const struct client_certificate_request *request, X509 *certificate,
    struct der *content, struct der *out)
{
    uint8_t digest[SHA_DIGEST_LENGTH];
    char key_hash[HEX_DIGEST_SIZE];
    char time[SIGV4_TIME_SIZE];
    char utc[16];
    char signature[SIGV4_SIGNATURE_SIZE];
    unsigned size = sizeof digest;
    if (X509_pubkey_digest(certificate, EVP_sha1(), digest, &size) != 1)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(key_hash + 2 * i, 3, "%02x", digest[i]);
    sigv4_format_time(request->now_s, time);
    int err = sign(request, key_hash, time, signature);
    if (err < 0)
        return err;
    /* 20260102T030405Z is 260102030405Z as UTCTime. */
    (void)snprintf(utc, sizeof utc, "%.6s%.6sZ", time + 2, time + 9);
    der_put_text(content, DER_UTF8_STRING, request->key_id);
    der_put_text(content, DER_OCTET_STRING, signature);
    der_put_text(content, DER_UTC_TIME, utc);
    if (request->token[0] != '\0') {
        der_put_text(out, DER_UTF8_STRING, request->token);
        der_put(content, DER_CONTEXT_0, out->bytes, out->size);
        out->size = 0;
    }
    der_put(out, DER_SEQUENCE, content->bytes, content->size);
    return 0;
}

static int add_extension(X509 *certificate, const char *oid, const struct der *der)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    bool done = !der->failed && object != NULL && data != NULL &&
                ASN1_OCTET_STRING_set(data, der->bytes, (int)der->size) == 1 &&
                (extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, data)) != NULL &&
                X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(data);
    ASN1_OBJECT_free(object);
    if (der->failed)
        return -EINVAL;
    return done ? 0 : -ENOMEM;
}

/* Room for building, too large for a stack. */
struct scratch {
    struct der content;
    struct der out;
};

static int add_extensions(
    const struct client_certificate_request *request, X509 *certificate, struct scratch *scratch)
{
    struct der *out = &scratch->out;
    int err = 0;
    if (request->access_point[0] != '\0') {
        der_put_text(out, DER_UTF8_STRING, request->access_point);
        err = add_extension(certificate, "1.3.6.1.4.1.4843.7.1", out);
    }
    *scratch = (struct scratch){ 0 };
    if (err == 0 && request->key_id != NULL) {
        err = build_identity(request, certificate, &scratch->content, out);
        scratch->out.failed = scratch->out.failed || scratch->content.failed;
        if (err == 0)
            err = add_extension(certificate, "1.3.6.1.4.1.4843.7.2", out);
    }
    *scratch = (struct scratch){ 0 };
    der_put_text(out, DER_UTF8_STRING, request->file_system);
    if (err == 0)
        err = add_extension(certificate, "1.3.6.1.4.1.4843.7.3", out);
    *scratch = (struct scratch){ 0 };
    der_put_text(&scratch->content, DER_UTF8_STRING, request->source);
    der_put_text(&scratch->content, DER_UTF8_STRING, request->version);
    der_put(out, DER_SEQUENCE, scratch->content.bytes, scratch->content.size);
    return err < 0 ? err : add_extension(certificate, "1.3.6.1.4.1.4843.7.4", out);
}

/* Version 3, serial, names, times, key and subjectKeyIdentifier: nothing says that it is, or is not, an authority. */
static bool fill(const struct client_certificate_request *request, X509 *certificate, EVP_PKEY *key)
{
    char name[HOST_NAME_MAX_CN + 1];
    uint64_t serial = random_u64() >> 1 | 1;
    time_t now = (time_t)request->now_s;
    X509V3_CTX context;
    X509_NAME *subject = X509_get_subject_name(certificate);
    (void)snprintf(name, sizeof name, "%s", request->host_name);
    X509V3_set_ctx_nodb(&context);
    if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) != 1 ||
        X509_NAME_add_entry_by_txt(
            subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) != 1 ||
        X509_set_issuer_name(certificate, subject) != 1 ||
        X509_time_adj_ex(X509_getm_notBefore(certificate), 0, -CLIENT_CERTIFICATE_EARLY_S, &now) ==
            NULL ||
        X509_time_adj_ex(X509_getm_notAfter(certificate), 0, CLIENT_CERTIFICATE_LIFE_S, &now) ==
            NULL ||
        X509_set_pubkey(certificate, key) != 1)
        return false;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, &context, NID_subject_key_identifier, "hash");
    bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool texts_are_short(const struct client_certificate_request *request)
{
    const char *const texts[] = { request->file_system, request->access_point, request->source,
        request->version, request->key_id != NULL ? request->key_id : "",
        request->key_id != NULL ? request->token : "",
        request->key_id != NULL ? request->region : "" };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (strlen(texts[i]) > CLIENT_CERTIFICATE_TEXT_MAX)
            return false;
    }
    return request->host_name[0] != '\0' && request->file_system[0] != '\0';
}

int client_certificate_make(
    const struct client_certificate_request *request, char **out_certificate_pem)
{
    if (!texts_are_short(request))
        return -EINVAL;
    BIO *key_bio = BIO_new_mem_buf(request->key_pem, -1);
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    X509 *certificate = X509_new();
    struct scratch *scratch = calloc(1, sizeof *scratch);
    char *pem = NULL;
    int err = key == NULL ? -EINVAL : -ENOMEM;
    if (key == NULL || bio == NULL || certificate == NULL || scratch == NULL ||
        !fill(request, certificate, key))
        goto out;
    err = add_extensions(request, certificate, scratch);
    if (err < 0)
        goto out;
    if (X509_sign(certificate, key, EVP_sha256()) > 0 && PEM_write_bio_X509(bio, certificate) == 1)
        pem = pem_of(bio);
    err = pem != NULL ? 0 : -ENOMEM;
    if (pem != NULL)
        *out_certificate_pem = pem;
out:
    free(scratch);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(bio);
    BIO_free(key_bio);
    return err;
}
