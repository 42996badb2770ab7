/*
 * control/query.h - percent-encoded words and "a=b&c=d" lists, decoded into an arena.
 */
#pragma once

#include "base/arena.h"

#define QUERY_PAIRS_MAX 256

struct query_pair {
    const char *name;
    const char *value;
};

struct query {
    size_t count;
    struct query_pair *pairs;
};

/* The decoded word; `plus_is_blank` as in forms. NULL: out of memory, a malformed escape, or a NUL in it. */
MUST_CHECK char *query_decode(
    struct arena *arena, const char *from, size_t size, bool plus_is_blank);
/* Errors: -EINVAL: malformed, or more than QUERY_PAIRS_MAX; -ENOMEM. */
MUST_CHECK int query_parse(
    struct arena *arena, const char *from, size_t size, struct query *out_query);
/* The first value of this name, or NULL. */
const char *query_find(const struct query *query, const char *name);
