/*
 * tests/fuzz/fuzz_http_input.c - what strangers send to the control port, and what lies in the catalog, as any bytes: it must
 * not harm. First byte: which of the decoders.
 */
#include <stdlib.h>

#include "auth/sigv4.h"
#include "catalog/internal.h"
#include "control/actions.h"
#include "control/query.h"

#define ARENA_BYTES_MAX (8 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_authorization(const char *text)
{
    struct sigv4_authorization authorization;
    char message[SIGV4_MESSAGE_SIZE];
    if (sigv4_parse(text, &authorization, message) == 0)
        assert(authorization.key_id[0] != '\0' && authorization.signature[0] != '\0');
    int64_t seconds;
    char again[SIGV4_TIME_SIZE];
    if (sigv4_parse_time(text, &seconds) == 0)
        sigv4_format_time(seconds, again);
}

/* The text as path, query and header at once. */
static void fuzz_canonical(const char *text)
{
    const struct sigv4_header headers[] = { { "host", text }, { "a", text } };
    const struct sigv4_request request = { .method = "GET",
        .path = text,
        .query = text,
        .headers = headers,
        .header_count = 2,
        .body = slice_str(text) };
    char *canonical;
    if (sigv4_canonical_request(&request, "a;host", &canonical) == 0)
        free(canonical);
}

static void fuzz_routing(const char *text)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct slice value = { 0 };
    bool known;
    const struct action *action = action_find("GET", text, &value, &known);
    assert(action == NULL || known);
    char *decoded = query_decode(&arena, (const char *)value.data, value.size, false);
    assert(decoded == NULL || strlen(decoded) <= value.size);
    struct query query;
    if (query_parse(&arena, text, strlen(text), &query) == 0)
        assert(query_find(&query, "\x01 no such name") == NULL || query.count > 0);
    arena_fini(&arena);
}

/* A record that is read must be written as one that reads the same. */
static void fuzz_record(enum entry_kind kind, const char *text)
{
    struct entry *entry;
    if (codec_decode(kind, slice_str(text), &entry) < 0)
        return;
    char *first;
    char *second;
    struct entry *again;
    if (codec_encode(entry, &first) < 0) /* a number that JSON cannot hold */
        abort();
    int err = codec_decode(kind, slice_str(first), &again);
    assert(err == 0);
    err = codec_encode(again, &second);
    assert(err == 0 && strcmp(first, second) == 0);
    free(first);
    free(second);
    entry_unref(entry);
    entry_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = malloc(size); /* its own block, so that reading past the end is seen */
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % (3 + ENTRY_KIND_COUNT)) {
    case 0:
        fuzz_authorization(text);
        break;
    case 1:
        fuzz_canonical(text);
        break;
    case 2:
        fuzz_routing(text);
        break;
    default:
        fuzz_record((enum entry_kind)(data[0] % (3 + ENTRY_KIND_COUNT) - 3), text);
    }
    free(text);
    return 0;
}
