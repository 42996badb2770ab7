/*
 * auth/mount_certificate.c - from a certificate's bytes to who mounts what (room: auth).
 *
 * Extensions are taken apart by a reader of their own: the few DER forms that efs-utils writes, in this order, and
 * nothing after them. Everything else of the certificate is OpenSSL's.
 */
#include "auth/mount_certificate.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/text_builder.h"
#include "auth/verify.h"
#include "base/bytes.h"
#include "base/text.h"

#define EXTENSION_PREFIX "1.3.6.1.4.1.4843.7."
#define EXTENSIONS_MAX   32
#define SERVICE          "elasticfilesystem"
#define TERMINATOR       "aws4_request"

enum der_tag {
    DER_OCTET_STRING = 0x04,
    DER_UTF8_STRING = 0x0c,
    DER_UTC_TIME = 0x17,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xa0,
};

static int say(char reason[MOUNT_REASON_SIZE], const char *text)
{
    (void)snprintf(reason, MOUNT_REASON_SIZE, "%s", text);
    return -EINVAL;
}

/* ---- DER ---- */

/* Takes one element with this tag, whose length has the shortest form, off the front of `from`. */
static bool der_take(struct slice *from, enum der_tag tag, struct slice *out_content)
{
    if (from->size < 2 || from->data[0] != (uint8_t)tag)
        return false;
    size_t size = from->data[1];
    size_t head = 2;
    if (size > 0x80 && size <= 0x82) {
        size_t octets = size - 0x80;
        if (from->size < 2 + octets)
            return false;
        size = octets == 1 ? from->data[2] : load_be16(from->data + 2);
        head = 2 + octets;
        if (size < (octets == 1 ? 0x80u : 0x100u))
            return false;
    } else if (size >= 0x80) {
        return false;
    }
    if (from->size - head < size)
        return false;
    *out_content = slice_of(from->data + head, size);
    *from = slice_of(from->data + head + size, from->size - head - size);
    return true;
}

/* As der_take(), a text of 1 to size - 1 printable ASCII letters. */
static bool der_take_text(struct slice *from, enum der_tag tag, char *out_text, size_t size)
{
    struct slice content;
    if (!der_take(from, tag, &content) || content.size == 0 || content.size >= size)
        return false;
    for (size_t i = 0; i < content.size; i++) {
        if (content.data[i] <= ' ' || content.data[i] > '~')
            return false;
    }
    memcpy(out_text, content.data, content.size);
    out_text[content.size] = '\0';
    return true;
}

/* YYMMDDHHMMSSZ, of this century. */
static bool der_take_time(struct slice *from, int64_t *out_seconds)
{
    char text[14];
    char full[SIGV4_TIME_SIZE];
    if (!der_take_text(from, DER_UTC_TIME, text, sizeof text) || strlen(text) != 13 ||
        text[12] != 'Z')
        return false;
    (void)snprintf(full, sizeof full, "20%.6sT%.6sZ", text, text + 6);
    return sigv4_parse_time(full, out_seconds) == 0;
}

/* ---- the extensions ---- */

static bool is_id(const char *id, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(id, prefix, size) == 0 && id[size] != '\0' &&
           strspn(id + size, "0123456789abcdef") == strlen(id + size);
}

static bool is_hexadecimal(const char *text, size_t size)
{
    return strlen(text) == size && strspn(text, "0123456789abcdef") == size;
}

static bool read_access_point(struct slice value, struct mount_certificate *out)
{
    return der_take_text(
               &value, DER_UTF8_STRING, out->access_point_id, sizeof out->access_point_id) &&
           value.size == 0 && is_id(out->access_point_id, "fsap-");
}

static bool read_file_system(struct slice value, struct mount_certificate *out)
{
    return der_take_text(&value, DER_UTF8_STRING, out->fs_id, sizeof out->fs_id) &&
           value.size == 0 && is_id(out->fs_id, "fs-");
}

static bool read_signature(struct slice value, struct mount_certificate *out)
{
    struct slice body;
    struct slice explicit;
    if (!der_take(&value, DER_SEQUENCE, &body) || value.size != 0 ||
        !der_take_text(&body, DER_UTF8_STRING, out->key_id, sizeof out->key_id) ||
        !der_take_text(&body, DER_OCTET_STRING, out->signature, sizeof out->signature) ||
        !is_hexadecimal(out->signature, SIGV4_SIGNATURE_SIZE - 1) ||
        !der_take_time(&body, &out->signed_s))
        return false;
    out->is_signed = true;
    if (body.size == 0)
        return true;
    return der_take(&body, DER_CONTEXT_0, &explicit) && body.size == 0 &&
           der_take_text(&explicit, DER_UTF8_STRING, out->token, sizeof out->token) &&
           explicit.size == 0;
}

/* For the log only; a text that is no plain word is not kept. */
static bool read_client_info(struct slice value, struct mount_certificate *out)
{
    struct slice body;
    if (!der_take(&value, DER_SEQUENCE, &body) || value.size != 0)
        return false;
    if (!der_take_text(&body, DER_UTF8_STRING, out->source, sizeof out->source))
        out->source[0] = '\0';
    else if (!der_take_text(&body, DER_UTF8_STRING, out->version, sizeof out->version))
        out->version[0] = '\0';
    return true;
}

static const struct {
    const char *oid;
    const char *wrong;
    bool (*read)(struct slice value, struct mount_certificate *out);
} extensions[] = {
    { EXTENSION_PREFIX "1", "its access point (extension .7.1) cannot be read", read_access_point },
    { EXTENSION_PREFIX "2", "its signature (extension .7.2) cannot be read", read_signature },
    { EXTENSION_PREFIX "3", "its file system (extension .7.3) cannot be read", read_file_system },
    { EXTENSION_PREFIX "4", "its client information (extension .7.4) cannot be read",
        read_client_info },
};

/* Those of ours, each at most once. */
static int read_extensions(
    const X509 *x509, struct mount_certificate *out, char reason[MOUNT_REASON_SIZE])
{
    int count = X509_get_ext_count(x509);
    unsigned seen = 0;
    if (count > EXTENSIONS_MAX)
        return say(reason, "it has too many extensions");
    for (int i = 0; i < count; i++) {
        X509_EXTENSION *extension = X509_get_ext(x509, i);
        char oid[64];
        if (OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(extension), 1) <= 0)
            continue;
        for (unsigned k = 0; k < ARRAY_SIZE(extensions); k++) {
            if (strcmp(oid, extensions[k].oid) != 0)
                continue;
            const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
            struct slice bytes =
                slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
            if ((seen & 1u << k) != 0 || !extensions[k].read(bytes, out))
                return say(reason, extensions[k].wrong);
            seen |= 1u << k;
        }
    }
    if (seen != 0 && out->fs_id[0] == '\0')
        return say(reason, "it names no file system (extension .7.3)");
    return 0;
}

/* ---- the rest of the certificate ---- */

static bool read_time(const ASN1_TIME *time, int64_t *out_seconds)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *out_seconds = (int64_t)timegm(&tm);
    return true;
}

static bool hash_key(const X509 *x509, char out_hash[41])
{
    uint8_t digest[SHA_DIGEST_LENGTH];
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(x509);
    if (key == NULL ||
        SHA1(ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key), digest) == NULL)
        return false;
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(out_hash + 2 * i, 3, "%02x", digest[i]);
    return true;
}

int mount_certificate_read(
    struct slice der, struct mount_certificate *out_certificate, char reason[MOUNT_REASON_SIZE])
{
    struct mount_certificate *certificate = calloc(1, sizeof *certificate);
    if (certificate == NULL)
        return -ENOMEM;
    const uint8_t *at = der.data;
    X509 *x509 = der.size > INT32_MAX ? NULL : d2i_X509(NULL, &at, (long)der.size);
    int err = 0;
    if (x509 == NULL || at != der.data + der.size ||
        !read_time(X509_get0_notBefore(x509), &certificate->not_before_s) ||
        !read_time(X509_get0_notAfter(x509), &certificate->not_after_s) ||
        !hash_key(x509, certificate->key_hash))
        err = say(reason, "it cannot be read");
    else
        err = read_extensions(x509, certificate, reason);
    if (err == 0)
        *out_certificate = *certificate;
    X509_free(x509);
    ERR_clear_error();
    free(certificate);
    return err;
}

/* ---- the signature ---- */

/* As in a form: letters, digits, '_', '.', '-' and '~' stay, all others are percent-encoded (none is a space). */
static void add_quoted(struct text_builder *text, const char *value)
{
    for (; *value != '\0'; value++) {
        char c = *value;
        bool stays = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("_.-~", c) != NULL;
        char encoded[4];
        (void)snprintf(encoded, sizeof encoded, stays ? "%c" : "%%%02X", (uint8_t)c);
        text_builder_text(text, encoded);
    }
}

static char *canonical_request(
    const struct mount_certificate *certificate, const struct sigv4_scope *scope, const char *time)
{
    /* SHA-256 of nothing: the request has no body. */
    static const char no_body[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct text_builder text = { 0 };
    char credential[SIGV4_KEY_ID_SIZE + sizeof *scope + 8];
    (void)snprintf(credential, sizeof credential, "%s/%s/%s/%s/%s", certificate->key_id,
        scope->date, scope->region, scope->service, scope->terminator);
    text_builder_text(&text, "GET\n/\nAction=Connect&PublicKeyHash=");
    text_builder_text(&text, certificate->key_hash);
    text_builder_text(&text, "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
    add_quoted(&text, credential);
    text_builder_text(&text, "&X-Amz-Date=");
    text_builder_text(&text, time);
    text_builder_text(&text, "&X-Amz-Expires=86400");
    if (certificate->token[0] != '\0') {
        text_builder_text(&text, "&X-Amz-Security-Token=");
        add_quoted(&text, certificate->token);
    }
    text_builder_text(&text, "&X-Amz-SignedHeaders=host\nhost:");
    text_builder_text(&text, certificate->fs_id);
    text_builder_text(&text, "\nhost\n"); /* SigV4 has an empty line before "host" */
    text_builder_text(&text, no_body);
    return text_builder_take(&text);
}

int mount_certificate_check_signature(const struct mount_certificate *certificate,
    const char *region, const char *secret, char reason[MOUNT_REASON_SIZE])
{
    char time[SIGV4_TIME_SIZE];
    char signature[SIGV4_SIGNATURE_SIZE];
    struct sigv4_scope scope = { .service = SERVICE, .terminator = TERMINATOR };
    sigv4_format_time(certificate->signed_s, time);
    memcpy(scope.date, time, SIGV4_DATE_SIZE - 1);
    if (text_copy(scope.region, sizeof scope.region, region) < 0)
        return say(reason, "the region's name is too long");
    char *canonical = canonical_request(certificate, &scope, time);
    if (canonical == NULL)
        return -ENOMEM;
    sigv4_signature(canonical, secret, time, &scope, signature);
    free(canonical);
    if (sigv4_equal(signature, certificate->signature))
        return 0;
    return say(reason, "its signature does not fit: wrong secret key, wrong region, or it was "
                       "made for another file system or key");
}

/* ---- the judgement ---- */

/* As say(), for what another certificate may have right. */
static int say_time(char reason[MOUNT_REASON_SIZE], const char *text)
{
    (void)say(reason, text);
    return -ETIME;
}

static int check_times(
    const struct mount_certificate *certificate, int64_t now_s, char reason[MOUNT_REASON_SIZE])
{
    if (now_s + AUTH_SKEW_SECONDS_MAX < certificate->not_before_s)
        return say_time(reason, "it is not valid yet: are the clocks right?");
    if (now_s - AUTH_SKEW_SECONDS_MAX > certificate->not_after_s)
        return say_time(reason, "it has expired");
    if (!certificate->is_signed)
        return 0;
    if (certificate->signed_s > now_s + AUTH_SKEW_SECONDS_MAX)
        return say_time(reason, "it was signed in the future: are the clocks right?");
    if (certificate->signed_s + MOUNT_SIGNATURE_LIFE_S < now_s)
        return say_time(reason, "its signature has expired");
    return 0;
}

static int check_places(const struct catalog *catalog, const struct mount_certificate *certificate,
    char reason[MOUNT_REASON_SIZE])
{
    struct catalog_access access;
    if (catalog_check_fs(catalog, certificate->fs_id) < 0)
        return say(reason, "there is no such file system");
    if (certificate->access_point_id[0] == '\0')
        return 0;
    uint64_t tag = catalog_access_tag(certificate->access_point_id);
    if (tag == 0 || catalog_find_access(catalog, tag, &access) < 0 ||
        strcmp(access.id, certificate->access_point_id) != 0)
        return say(reason, "there is no such access point");
    if (strcmp(access.fs_id, certificate->fs_id) != 0)
        return say(reason, "its access point belongs to another file system");
    return 0;
}

/* The principal with its policies, by what `identity` says. */
static int find_principal(const struct catalog *catalog, const struct mount_identity *identity,
    struct principal **out_principal, char reason[MOUNT_REASON_SIZE])
{
    struct principal *principal = NULL;
    int err =
        principal_find(catalog, identity->key_id, identity->token, identity->proved_ms, &principal);
    if (err == -ENOENT)
        return say(reason, "its access key is unknown, or its session token is wrong");
    if (err == -EACCES)
        return say(reason, "its access key is inactive");
    if (err == -EKEYEXPIRED)
        return say_time(reason, "its session token has expired");
    if (err == 0)
        err = principal_load_policies(catalog, principal);
    if (err < 0) {
        principal_free(principal);
        return err == -ENOMEM ? err : say(reason, "its policies cannot be read");
    }
    *out_principal = principal;
    return 0;
}

static int prove(const struct catalog *catalog, const struct mount_certificate *certificate,
    struct mount_identity *identity, char reason[MOUNT_REASON_SIZE])
{
    int err = check_times(certificate, identity->proved_ms / 1000, reason);
    if (err == 0)
        err = check_places(catalog, certificate, reason);
    memcpy(identity->fs_id, certificate->fs_id, sizeof identity->fs_id);
    memcpy(
        identity->access_point_id, certificate->access_point_id, sizeof identity->access_point_id);
    memcpy(identity->source, certificate->source, sizeof identity->source);
    if (err < 0 || !certificate->is_signed)
        return err;
    if (text_copy(identity->key_id, sizeof identity->key_id, certificate->key_id) < 0)
        return say(reason, "its access key is unknown, or its session token is wrong");
    if (certificate->token[0] != '\0') {
        identity->token = strdup(certificate->token);
        if (identity->token == NULL)
            return -ENOMEM;
    }
    err = find_principal(catalog, identity, &identity->principal, reason);
    if (err == 0)
        err = mount_certificate_check_signature(
            certificate, catalog_region(catalog), identity->principal->secret, reason);
    return err;
}

int mount_certificate_judge(const struct catalog *catalog, struct slice der, int64_t now_ms,
    struct mount_identity **out_identity, char reason[MOUNT_REASON_SIZE])
{
    struct mount_certificate *certificate = calloc(1, sizeof *certificate);
    struct mount_identity *identity = calloc(1, sizeof *identity);
    int err = certificate == NULL || identity == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = mount_certificate_read(der, certificate, reason);
    if (err == 0 && certificate->fs_id[0] != '\0') {
        identity->proved_ms = now_ms;
        err = prove(catalog, certificate, identity, reason);
        if (err == 0) {
            *out_identity = identity;
            identity = NULL; /* the caller owns it now */
        }
    } else if (err == 0) {
        *out_identity = NULL;
    }
    mount_identity_free(identity);
    free(certificate);
    return err == -EINVAL ? -EACCES : err;
}

int mount_identity_refresh(const struct catalog *catalog, struct mount_identity *identity)
{
    char reason[MOUNT_REASON_SIZE];
    struct principal *fresh = NULL;
    if (identity->key_id[0] == '\0')
        return 0;
    int err = find_principal(catalog, identity, &fresh, reason);
    if (err < 0)
        return err == -EINVAL ? -EACCES : err;
    principal_free(identity->principal);
    identity->principal = fresh;
    return 0;
}

void mount_identity_free(struct mount_identity *identity)
{
    if (identity == NULL)
        return;
    principal_free(identity->principal);
    free(identity->token);
    free(identity);
}

const char *mount_identity_name(const struct mount_identity *identity)
{
    const struct principal *principal = identity->principal;
    if (principal == NULL)
        return "";
    return principal->kind == PRINCIPAL_SESSION ? principal->role_arn : principal->arn;
}
