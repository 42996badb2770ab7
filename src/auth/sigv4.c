/*
 * auth/sigv4.c - the Authorization header and the signature (room: auth).
 */
#include "auth/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

static void to_hex(const uint8_t digest[SHA256_DIGEST_LENGTH], char *out_text)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        out_text[2 * i] = hex[digest[i] >> 4];
        out_text[2 * i + 1] = hex[digest[i] & 15];
    }
    out_text[2 * SHA256_DIGEST_LENGTH] = '\0';
}

/* Copies `size` bytes as a string. Errors: -EINVAL: empty or too long. */
static int copy_word(char *to, size_t to_size, const char *from, size_t size)
{
    if (size == 0 || size >= to_size)
        return -EINVAL;
    memcpy(to, from, size);
    to[size] = '\0';
    return 0;
}

/* KEYID/DATE/REGION/SERVICE/aws4_request */
static int parse_credential(const char *text, size_t size, struct sigv4_authorization *out)
{
    struct {
        char *to;
        size_t size;
    } words[] = {
        { out->key_id, sizeof out->key_id },
        { out->scope.date, sizeof out->scope.date },
        { out->scope.region, sizeof out->scope.region },
        { out->scope.service, sizeof out->scope.service },
        { out->scope.terminator, sizeof out->scope.terminator },
    };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        size_t word_size = 0;
        while (word_size < size && text[word_size] != '/')
            word_size++;
        bool last = i + 1 == ARRAY_SIZE(words);
        if (last != (word_size == size) ||
            copy_word(words[i].to, words[i].size, text, word_size) < 0)
            return -EINVAL;
        text += word_size + !last;
        size -= word_size + !last;
    }
    return 0;
}

/* One Name=value of the header. Unknown names are ignored, as AWS does. */
static int parse_part(const char *part, size_t size, struct sigv4_authorization *out, char *message)
{
    const char *equals = memchr(part, '=', size);
    if (equals == NULL) {
        (void)snprintf(message, SIGV4_MESSAGE_SIZE,
            "'%.*s' not a valid key=value pair (missing equal-sign) in Authorization header.",
            (int)min_size(size, 64), part);
        return -EINVAL;
    }
    size_t name_size = (size_t)(equals - part);
    const char *value = equals + 1;
    size_t value_size = size - name_size - 1;
    int err = 0;
    if (name_size == strlen("Credential") && strncmp(part, "Credential", name_size) == 0)
        err = parse_credential(value, value_size, out);
    if (err < 0) {
        (void)snprintf(message, SIGV4_MESSAGE_SIZE,
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/term, got '%.*s'",
            (int)min_size(value_size, 128), value);
        return err;
    }
    if (name_size == strlen("SignedHeaders") && strncmp(part, "SignedHeaders", name_size) == 0)
        err = copy_word(out->signed_headers, sizeof out->signed_headers, value, value_size);
    else if (name_size == strlen("Signature") && strncmp(part, "Signature", name_size) == 0)
        err = copy_word(out->signature, sizeof out->signature, value, value_size);
    if (err < 0)
        (void)snprintf(message, SIGV4_MESSAGE_SIZE,
            "Authorization header has an empty or too long '%.*s' parameter.", (int)name_size,
            part);
    return err;
}

/* The complaints about what is missing, one after the other, as AWS lists them. */
static int check_complete(const struct sigv4_authorization *authorization, char *message)
{
    const struct {
        const char *value;
        const char *name;
    } parts[] = {
        { authorization->key_id, "Credential" },
        { authorization->signature, "Signature" },
        { authorization->signed_headers, "SignedHeaders" },
    };
    size_t used = 0;
    message[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (parts[i].value[0] != '\0')
            continue;
        int err = text_append(message, SIGV4_MESSAGE_SIZE, &used,
            "%sAuthorization header requires '%s' parameter.", used > 0 ? " " : "", parts[i].name);
        assert(err == 0); /* three such sentences fit */
    }
    return used > 0 ? -EINVAL : 0;
}

int sigv4_parse(const char *header, struct sigv4_authorization *out_authorization, char *message)
{
    struct sigv4_authorization authorization = { 0 };
    size_t size = strlen(ALGORITHM);
    if (strncmp(header, ALGORITHM, size) != 0 || (header[size] != ' ' && header[size] != '\0')) {
        (void)snprintf(message, SIGV4_MESSAGE_SIZE,
            "Unsupported Authorization header: only the algorithm " ALGORITHM " is accepted.");
        return -EINVAL;
    }
    const char *at = header + size;
    while (*at != '\0') {
        at += strspn(at, " ,");
        size = strcspn(at, " ,");
        int err = size == 0 ? 0 : parse_part(at, size, &authorization, message);
        if (err < 0)
            return err;
        at += size;
    }
    int err = check_complete(&authorization, message);
    if (err == 0)
        *out_authorization = authorization;
    return err;
}

bool sigv4_is_signed(const char *signed_headers, const char *name)
{
    size_t name_size = strlen(name);
    while (*signed_headers != '\0') {
        size_t size = strcspn(signed_headers, ";");
        if (size == name_size && strncmp(signed_headers, name, size) == 0)
            return true;
        signed_headers += size + (signed_headers[size] == ';');
    }
    return false;
}

static void hmac(struct slice key, const char *text, uint8_t out_digest[SHA256_DIGEST_LENGTH])
{
    const uint8_t *done = HMAC(EVP_sha256(), key.data, (int)key.size, (const uint8_t *)text,
        strlen(text), out_digest, NULL);
    assert(
        done != NULL); /* only memory can fail it: a signature made without is worse than ending */
}

void sigv4_signature(const char *canonical_request, const char *secret, const char *time,
    const struct sigv4_scope *scope, char out_signature[SIGV4_SIGNATURE_SIZE])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char hash[SIGV4_SIGNATURE_SIZE];
    (void)SHA256((const uint8_t *)canonical_request, strlen(canonical_request), digest);
    to_hex(digest, hash);
    char to_sign[512];
    int size = snprintf(to_sign, sizeof to_sign, ALGORITHM "\n%s\n%s/%s/%s/%s\n%s", time,
        scope->date, scope->region, scope->service, scope->terminator, hash);
    assert(size > 0 && (size_t)size < sizeof to_sign); /* each part is bounded */

    char start[512];
    size = snprintf(start, sizeof start, "AWS4%s", secret);
    assert(size > 0 && (size_t)size < sizeof start);
    hmac(slice_of(start, (size_t)size), scope->date, digest);
    struct slice key = slice_of(digest, sizeof digest);
    hmac(key, scope->region, digest);
    hmac(key, scope->service, digest);
    hmac(key, scope->terminator, digest);
    hmac(key, to_sign, digest);
    to_hex(digest, out_signature);
    OPENSSL_cleanse(start, sizeof start);
}

bool sigv4_equal(const char *a, const char *b)
{
    size_t size = strlen(a);
    return size == strlen(b) && CRYPTO_memcmp(a, b, size) == 0;
}

void sigv4_format_time(int64_t seconds, char out_time[SIGV4_TIME_SIZE])
{
    time_t time = seconds;
    struct tm tm;
    size_t size = gmtime_r(&time, &tm) == NULL
                      ? 0
                      : strftime(out_time, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &tm);
    if (size == 0)
        memcpy(out_time, "00000000T000000Z", SIGV4_TIME_SIZE); /* a year beyond 9999 */
}

int sigv4_parse_time(const char *text, int64_t *out_seconds)
{
    if (strlen(text) != SIGV4_TIME_SIZE - 1)
        return -EINVAL;
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
    if (end == NULL || *end != '\0')
        return -EINVAL;
    *out_seconds = timegm(&tm);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct sigv4_header *const *left = a;
    const struct sigv4_header *const *right = b;
    return strcasecmp((*left)->name, (*right)->name);
}

/* The names of all headers in lower case, sorted, each once, joined with ';'. */
static int join_names(const struct sigv4_request *request, char *out_names)
{
    const struct sigv4_header *sorted[64];
    if (request->header_count > ARRAY_SIZE(sorted))
        return -E2BIG;
    for (size_t i = 0; i < request->header_count; i++)
        sorted[i] = &request->headers[i];
    qsort(sorted, request->header_count, sizeof(void *), compare_names);
    size_t used = 0;
    out_names[0] = '\0';
    for (size_t i = 0; i < request->header_count; i++) {
        if (i > 0 && strcasecmp(sorted[i]->name, sorted[i - 1]->name) == 0)
            continue;
        size_t start = used + (used > 0);
        if (text_append(out_names, SIGV4_SIGNED_HEADERS_SIZE, &used, "%s%s", used > 0 ? ";" : "",
                sorted[i]->name) < 0)
            return -E2BIG;
        for (char *at = out_names + start; *at != '\0'; at++) {
            if (*at >= 'A' && *at <= 'Z')
                *at = (char)(*at + ('a' - 'A'));
        }
    }
    return 0;
}

int sigv4_sign(
    const struct sigv4_request *request, const struct sigv4_signer *signer, char *out_value)
{
    char names[SIGV4_SIGNED_HEADERS_SIZE];
    int err = join_names(request, names);
    if (err < 0)
        return err;
    struct sigv4_scope scope = { .terminator = "aws4_request" };
    if (strlen(signer->time) != SIGV4_TIME_SIZE - 1 ||
        text_copy(scope.region, sizeof scope.region, signer->region) < 0 ||
        text_copy(scope.service, sizeof scope.service, signer->service) < 0)
        return -E2BIG;
    memcpy(scope.date, signer->time, SIGV4_DATE_SIZE - 1);
    char *canonical;
    err = sigv4_canonical_request(request, names, &canonical);
    if (err < 0)
        return err;
    char signature[SIGV4_SIGNATURE_SIZE];
    sigv4_signature(canonical, signer->secret, signer->time, &scope, signature);
    free(canonical);
    size_t used = 0;
    err = text_append(out_value, SIGV4_AUTHORIZATION_SIZE, &used,
        ALGORITHM " Credential=%s/%s/%s/%s/%s, SignedHeaders=%s, Signature=%s", signer->key_id,
        scope.date, scope.region, scope.service, scope.terminator, names, signature);
    return err < 0 ? -E2BIG : 0;
}
