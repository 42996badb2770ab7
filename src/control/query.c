/*
 * control/query.c - percent-encoded words and lists (room: control).
 */
#include "control/query.h"

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

char *query_decode(struct arena *arena, const char *from, size_t size, bool plus_is_blank)
{
    char *text = arena_alloc(arena, size + 1);
    if (text == NULL)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char byte = from[i];
        if (byte == '+' && plus_is_blank) {
            byte = ' ';
        } else if (byte == '%') {
            int high = i + 2 < size ? hex_value(from[i + 1]) : -1;
            int low = high >= 0 ? hex_value(from[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0))
                return NULL;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        text[used++] = byte;
    }
    text[used] = '\0';
    return text;
}

int query_parse(struct arena *arena, const char *from, size_t size, struct query *out_query)
{
    struct query query = { 0 };
    query.pairs = arena_calloc(arena, QUERY_PAIRS_MAX, sizeof *query.pairs);
    if (query.pairs == NULL)
        return -ENOMEM;
    const char *end = from + size;
    while (from < end) {
        const char *stop = memchr(from, '&', (size_t)(end - from));
        size_t part = stop != NULL ? (size_t)(stop - from) : (size_t)(end - from);
        const char *equals = memchr(from, '=', part);
        size_t name_size = equals != NULL ? (size_t)(equals - from) : part;
        size_t value_at = equals != NULL ? name_size + 1 : part;
        if (part > 0) {
            if (query.count == QUERY_PAIRS_MAX)
                return -EINVAL;
            struct query_pair *pair = &query.pairs[query.count++];
            pair->name = query_decode(arena, from, name_size, true);
            pair->value = query_decode(arena, from + value_at, part - value_at, true);
            if (pair->name == NULL || pair->value == NULL)
                return -EINVAL;
        }
        from += part + 1;
    }
    *out_query = query;
    return 0;
}

const char *query_find(const struct query *query, const char *name)
{
    for (size_t i = 0; i < query->count; i++) {
        if (strcmp(query->pairs[i].name, name) == 0)
            return query->pairs[i].value;
    }
    return NULL;
}
