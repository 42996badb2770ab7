/* datastore/json.h - whether a text is JSON (RFC 8259), without building anything of it. */
#pragma once

#include "base/base.h"

#define JSON_DEPTH_MAX 2048u

struct json_problem {
    size_t offset;
    const char *reason; /* static text */
};

/* True when the `size` bytes are one JSON value with nothing but blanks around it, in UTF-8, nested no deeper than
 * JSON_DEPTH_MAX. `allow_nan`: the words NaN, Infinity and -Infinity too, which Python writes. When false
 * *out_problem says why. Thread-safe; no recursion, no allocation. */
MUST_CHECK bool json_is_valid(
    const char *text, size_t size, bool allow_nan, struct json_problem *out_problem);
/* The bytes of the UTF-8 character at `text`, of which `size` (not 0) are there; 0: it is none. Overlong forms,
 * surrogates and what is beyond U+10FFFF are none (RFC 3629 section 4). */
size_t json_utf8_size(const unsigned char *text, size_t size);
