/*
 * auth/canonical.c - the canonical form of a request, which both sides sign (room: auth).
 */
#include <openssl/sha.h>
#include <stdlib.h>
#include <strings.h>

#include "auth/sigv4.h"
#include "auth/text_builder.h"

static bool is_unreserved(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.' || byte == '~';
}

static void add_encoded(struct text_builder *text, uint8_t byte)
{
    static const char hex[] = "0123456789ABCDEF";
    if (is_unreserved(byte)) {
        text_builder_byte(text, (char)byte);
        return;
    }
    text_builder_byte(text, '%');
    text_builder_byte(text, hex[byte >> 4]);
    text_builder_byte(text, hex[byte & 15]);
}

/* Drops the last segment that was added after `start`. */
static void drop_segment(struct text_builder *text, size_t start)
{
    while (text->size > start && text->data[text->size - 1] != '/')
        text->size--;
    if (text->size > start)
        text->size--; /* its slash */
}

/* The path without empty, "." and ".." segments, each byte but unreserved ones and slashes encoded (again). */
static void add_path(struct text_builder *text, const char *path)
{
    size_t start = text->size;
    const char *at = path;
    while (*at != '\0') {
        while (*at == '/')
            at++;
        size_t size = strcspn(at, "/");
        if (size == 2 && strncmp(at, "..", 2) == 0) {
            drop_segment(text, start);
        } else if (size > 0 && !(size == 1 && *at == '.')) {
            text_builder_byte(text, '/');
            for (size_t i = 0; i < size; i++)
                add_encoded(text, (uint8_t)at[i]);
        }
        at += size;
    }
    bool ends_in_slash = at > path && at[-1] == '/';
    if (text->size == start || ends_in_slash)
        text_builder_byte(text, '/');
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Decodes what was sent and encodes it in the one canonical way. */
static void add_reencoded(struct text_builder *text, const char *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = from[i] == '%' && i + 2 < size ? hex_value(from[i + 1]) : -1;
        int low = high >= 0 ? hex_value(from[i + 2]) : -1;
        if (low >= 0) {
            add_encoded(text, (uint8_t)(high << 4 | low));
            i += 2;
        } else {
            add_encoded(text, (uint8_t)from[i]);
        }
    }
}

struct pair {
    char *name;
    char *value;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *left = a;
    const struct pair *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : strcmp(left->value, right->value);
}

/* One parameter in canonical encoding; NULL: out of memory. */
static char *canonical_word(const char *from, size_t size)
{
    struct text_builder text = { 0 };
    add_reencoded(&text, from, size);
    return text_builder_take(&text);
}

/* Splits the query into pairs; `pairs` holds SIGV4_QUERY_PAIRS_MAX. */
static int split_query(const char *query, struct pair *pairs, size_t *out_count)
{
    size_t count = 0;
    int err = 0;
    while (err == 0 && *query != '\0') {
        size_t size = strcspn(query, "&");
        size_t name_size = min_size(strcspn(query, "="), size);
        size_t value_at = min_size(name_size + 1, size);
        if (size > 0 && count == SIGV4_QUERY_PAIRS_MAX)
            err = -E2BIG;
        if (size > 0 && err == 0) {
            struct pair *pair = &pairs[count++];
            pair->name = canonical_word(query, name_size);
            pair->value = canonical_word(query + value_at, size - value_at);
            err = pair->name == NULL || pair->value == NULL ? -ENOMEM : 0;
        }
        query += size + (query[size] == '&');
    }
    *out_count = count;
    return err;
}

static int add_query(struct text_builder *text, const char *query)
{
    struct pair *pairs = calloc(SIGV4_QUERY_PAIRS_MAX, sizeof *pairs);
    if (pairs == NULL)
        return -ENOMEM;
    size_t count;
    int err = split_query(query, pairs, &count);
    if (err == 0)
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if (err == 0) {
            if (i > 0)
                text_builder_byte(text, '&');
            text_builder_text(text, pairs[i].name);
            text_builder_byte(text, '=');
            text_builder_text(text, pairs[i].value);
        }
        free(pairs[i].name);
        free(pairs[i].value);
    }
    free(pairs);
    return err;
}

/* The value without blanks at its ends, runs of blanks as one. */
static void add_trimmed(struct text_builder *text, const char *value)
{
    bool gap = false;
    bool begun = false;
    for (; *value != '\0'; value++) {
        if (*value == ' ' || *value == '\t') {
            gap = begun;
            continue;
        }
        if (gap)
            text_builder_byte(text, ' ');
        text_builder_byte(text, *value);
        gap = false;
        begun = true;
    }
}

/* "name:value\n"; several headers of one name are joined with commas. */
static int add_header(struct text_builder *text, const struct sigv4_request *request,
    const char *name, size_t name_size)
{
    unsigned found = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct sigv4_header *header = &request->headers[i];
        if (strlen(header->name) != name_size || strncasecmp(header->name, name, name_size) != 0)
            continue;
        if (found++ == 0) {
            text_builder_bytes(text, name, name_size);
            text_builder_byte(text, ':');
        } else {
            text_builder_byte(text, ',');
        }
        add_trimmed(text, header->value);
    }
    text_builder_byte(text, '\n');
    return found > 0 ? 0 : -ENOENT;
}

static void add_body_hash(struct text_builder *text, struct slice body)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    (void)SHA256(body.size > 0 ? body.data : (const uint8_t *)"", body.size, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        text_builder_byte(text, hex[digest[i] >> 4]);
        text_builder_byte(text, hex[digest[i] & 15]);
    }
}

int sigv4_canonical_request(
    const struct sigv4_request *request, const char *signed_headers, char **out_text)
{
    struct text_builder text = { 0 };
    text_builder_text(&text, request->method);
    text_builder_byte(&text, '\n');
    add_path(&text, request->path);
    text_builder_byte(&text, '\n');
    int err = add_query(&text, request->query);
    text_builder_byte(&text, '\n');
    for (const char *name = signed_headers; err == 0 && *name != '\0';) {
        size_t size = strcspn(name, ";");
        err = add_header(&text, request, name, size);
        name += size + (name[size] == ';');
    }
    text_builder_byte(&text, '\n');
    text_builder_text(&text, signed_headers);
    text_builder_byte(&text, '\n');
    add_body_hash(&text, request->body);
    char *whole = text_builder_take(&text);
    if (err == 0 && whole == NULL)
        err = -ENOMEM;
    if (err < 0) {
        free(whole);
        return err;
    }
    *out_text = whole;
    return 0;
}
