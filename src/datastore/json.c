/*
 * datastore/json.c - whether a text is JSON, quickly (room: datastore). Grammar: RFC 8259.
 */
#include "datastore/json.h"

struct scan {
    const unsigned char *at;
    const unsigned char *end;
    const char *reason;
    bool allow_nan;
    unsigned depth;
    uint8_t is_object[JSON_DEPTH_MAX / 8]; /* a bit for each open '{' or '[' */
};

size_t json_utf8_size(const unsigned char *text, size_t size)
{
    if (text[0] < 0x80)
        return 1;
    size_t wanted = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4 || wanted > size)
        return 0;
    for (size_t i = 1; i < wanted; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    }
    bool is_bad = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
                  (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F);
    return is_bad ? 0 : wanted;
}

static bool fail(struct scan *scan, const char *reason)
{
    scan->reason = reason;
    return false;
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r'))
        scan->at++;
}

/* The four digits of \uXXXX; -1: they are none. */
static int hex4(const struct scan *scan, const unsigned char *at)
{
    if (scan->end - at < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int c = at[i] | 0x20;
        if (at[i] >= '0' && at[i] <= '9')
            value = value * 16 + at[i] - '0';
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + c - 'a' + 10;
        else
            return -1;
    }
    return value;
}

/* After a backslash. */
static bool take_escape(struct scan *scan)
{
    if (scan->at < scan->end && *scan->at != '\0' && strchr("\"\\/bfnrt", *scan->at) != NULL) {
        scan->at++;
        return true;
    }
    if (scan->at >= scan->end || *scan->at != 'u')
        return fail(scan, "an escape that is none");
    int unit = hex4(scan, scan->at + 1);
    if (unit < 0)
        return fail(scan, "\\u without four digits");
    bool is_high = unit >= 0xD800 && unit < 0xDC00;
    if (is_high) {
        bool has_low = scan->end - scan->at >= 11 && scan->at[5] == '\\' && scan->at[6] == 'u';
        int low = has_low ? hex4(scan, scan->at + 7) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(scan, "half of a surrogate pair");
        scan->at += 6;
    } else if (unit >= 0xDC00 && unit <= 0xDFFF) {
        return fail(scan, "half of a surrogate pair");
    }
    scan->at += 5;
    return true;
}

static bool take_string(struct scan *scan)
{
    scan->at++; /* the quote */
    while (scan->at < scan->end) {
        unsigned char c = *scan->at;
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c < 0x20)
            return fail(scan, "a control character in a string");
        if (c == '\\') {
            scan->at++;
            if (!take_escape(scan))
                return false;
        } else if (c < 0x80) {
            scan->at++;
        } else {
            size_t size = json_utf8_size(scan->at, (size_t)(scan->end - scan->at));
            if (size == 0)
                return fail(scan, "bytes that are no UTF-8");
            scan->at += size;
        }
    }
    return fail(scan, "a string without end");
}

static bool take_digits(struct scan *scan)
{
    const unsigned char *start = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > start;
}

static bool take_word(struct scan *scan, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0)
        return fail(scan, "a word that is no value");
    scan->at += size;
    return true;
}

static bool take_number(struct scan *scan)
{
    if (*scan->at == '-')
        scan->at++;
    if (scan->allow_nan && scan->at < scan->end && *scan->at == 'I')
        return take_word(scan, "Infinity");
    const unsigned char *start = scan->at;
    if (!take_digits(scan) || (*start == '0' && scan->at - start > 1))
        return fail(scan, "a number that is none");
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        if (!take_digits(scan))
            return fail(scan, "a number without digits after the point");
    }
    if (scan->at < scan->end && (*scan->at | 0x20) == 'e') {
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
            scan->at++;
        if (!take_digits(scan))
            return fail(scan, "a number without digits in its exponent");
    }
    return true;
}

static bool take_scalar(struct scan *scan)
{
    switch (*scan->at) {
    case '"':
        return take_string(scan);
    case 't':
        return take_word(scan, "true");
    case 'f':
        return take_word(scan, "false");
    case 'n':
        return take_word(scan, "null");
    case 'N':
        return scan->allow_nan ? take_word(scan, "NaN") : fail(scan, "NaN, which JSON has not");
    case 'I':
        return scan->allow_nan ? take_word(scan, "Infinity")
                               : fail(scan, "Infinity, which JSON has not");
    default:
        return take_number(scan);
    }
}

/* "key" : */
static bool take_key(struct scan *scan)
{
    skip_blanks(scan);
    if (scan->at >= scan->end || *scan->at != '"')
        return fail(scan, "a key that is no string");
    if (!take_string(scan))
        return false;
    skip_blanks(scan);
    if (scan->at >= scan->end || *scan->at != ':')
        return fail(scan, "no ':' after a key");
    scan->at++;
    return true;
}

static bool in_object(const struct scan *scan)
{
    unsigned index = scan->depth - 1;
    return (scan->is_object[index / 8] >> (index % 8) & 1) != 0;
}

/* At '{' or '['. *out_is_empty: it was closed at once. */
static bool open_nest(struct scan *scan, bool *out_is_empty)
{
    bool is_object = *scan->at == '{';
    if (scan->depth >= JSON_DEPTH_MAX)
        return fail(scan, "more than 2048 levels");
    unsigned index = scan->depth++;
    uint8_t bit = (uint8_t)(1u << (index % 8));
    scan->is_object[index / 8] =
        (uint8_t)(is_object ? scan->is_object[index / 8] | bit : scan->is_object[index / 8] & ~bit);
    scan->at++;
    skip_blanks(scan);
    *out_is_empty = scan->at < scan->end && *scan->at == (is_object ? '}' : ']');
    if (*out_is_empty) {
        scan->at++;
        scan->depth--;
        return true;
    }
    return !is_object || take_key(scan);
}

/* After a value: closes what ends here. *out_has_more: a further value follows. */
static bool after_value(struct scan *scan, bool *out_has_more)
{
    *out_has_more = false;
    while (scan->depth > 0) {
        skip_blanks(scan);
        if (scan->at >= scan->end)
            return fail(scan, "an end before everything is closed");
        bool is_object = in_object(scan);
        unsigned char c = *scan->at;
        if (c == ',') {
            scan->at++;
            *out_has_more = true;
            return !is_object || take_key(scan);
        }
        if (c != (is_object ? '}' : ']'))
            return fail(scan, is_object ? "neither ',' nor '}'" : "neither ',' nor ']'");
        scan->at++;
        scan->depth--;
    }
    return true;
}

static bool take_document(struct scan *scan)
{
    bool has_more = true;
    while (has_more) {
        skip_blanks(scan);
        if (scan->at >= scan->end)
            return fail(scan, "an end where a value should be");
        if (*scan->at == '{' || *scan->at == '[') {
            bool is_empty;
            if (!open_nest(scan, &is_empty))
                return false;
            if (!is_empty)
                continue;
        } else if (!take_scalar(scan)) {
            return false;
        }
        if (!after_value(scan, &has_more))
            return false;
    }
    skip_blanks(scan);
    return scan->at == scan->end || fail(scan, "something after the end");
}

bool json_is_valid(const char *text, size_t size, bool allow_nan, struct json_problem *out_problem)
{
    struct scan scan = { .reason = "", .allow_nan = allow_nan };
    scan.at = (const unsigned char *)text;
    scan.end = scan.at + size;
    bool is_valid = take_document(&scan);
    if (!is_valid)
        *out_problem =
            (struct json_problem){ .offset = (size_t)(scan.at - (const unsigned char *)text),
                .reason = scan.reason };
    return is_valid;
}
