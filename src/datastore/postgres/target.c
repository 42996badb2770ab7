/*
 * datastore/postgres/target.c - the connection URL (room: datastore). libpq parses it; what it says of a wrong URL is not passed
 * on, since it quotes parts of it.
 */
#include "datastore/postgres/target.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define EXTRA_OPTIONS 6u
#define PASSWORD_SIZE_MIN \
    3u /* a shorter one is no secret, and would blank out half of each message */

/* What we ask for where the URL says nothing: a peer that is gone is noticed. */
static const char *const defaults[EXTRA_OPTIONS][2] = {
    { "fallback_application_name", "shoal-data" },
    { "client_encoding", "UTF8" },
    { "keepalives_idle", "20" },
    { "keepalives_interval", "5" },
    { "keepalives_count", "3" },
    { "tcp_user_timeout", "30000" },
};

static const char *value_of(const struct pg_target *target, const char *keyword)
{
    for (size_t i = 0; target->keywords[i] != NULL; i++) {
        if (strcmp(target->keywords[i], keyword) == 0)
            return target->values[i];
    }
    return NULL;
}

static int add(struct pg_target *target, size_t *count, const char *keyword, const char *value)
{
    target->keywords[*count] = strdup(keyword);
    target->values[*count] = strdup(value);
    if (target->keywords[*count] == NULL || target->values[*count] == NULL)
        return -ENOMEM;
    (*count)++;
    return 0;
}

static int fill(struct pg_target *target, const PQconninfoOption *options, size_t room)
{
    target->keywords = calloc(room, sizeof *target->keywords);
    target->values = calloc(room, sizeof *target->values);
    if (target->keywords == NULL || target->values == NULL)
        return -ENOMEM;
    size_t count = 0;
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (option->val != NULL && add(target, &count, option->keyword, option->val) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < EXTRA_OPTIONS; i++) {
        if (value_of(target, defaults[i][0]) == NULL &&
            add(target, &count, defaults[i][0], defaults[i][1]) < 0)
            return -ENOMEM;
    }
    return 0;
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* Writes target->shown from parts that are no secret. */
static void show(struct pg_target *target)
{
    const char *user = or_empty(value_of(target, "user"));
    const char *host = or_empty(value_of(target, "host"));
    const char *port = or_empty(value_of(target, "port"));
    size_t used = 0;
    int err = text_append(target->shown, sizeof target->shown, &used,
        "postgresql://%.80s%s%.120s%s%.20s/%.80s", user, user[0] != '\0' ? "@" : "", host,
        port[0] != '\0' ? ":" : "", port, or_empty(value_of(target, "dbname")));
    (void)err; /* the parts are bounded: it fits */
}

/* Whether no part looks like the rest of a password that had an '@' or '/' in it. */
static bool is_plausible(const struct pg_target *target)
{
    const char *port = or_empty(value_of(target, "port"));
    return strchr(or_empty(value_of(target, "host")), '@') == NULL &&
           strchr(or_empty(value_of(target, "dbname")), '@') == NULL &&
           port[strspn(port, "0123456789,")] == '\0';
}

int32_t pg_target_parse(
    const char *url, struct pg_target **out_target, struct shoal_data_error *error)
{
    char *problem = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &problem);
    PQfreemem(problem); /* it may quote the password */
    if (options == NULL)
        return data_fail(error, SHOAL_DATA_INVALID,
            "The PostgreSQL URL is wrong; its form is "
            "postgresql://user:password@host:port/database?sslmode=require, with %%40 for an @ in "
            "the password.");
    size_t room = EXTRA_OPTIONS + 1;
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
        room++;
    struct pg_target *target = calloc(1, sizeof *target);
    int err = target == NULL ? -ENOMEM : fill(target, options, room);
    PQconninfoFree(options);
    if (err < 0) {
        pg_target_free(target);
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    }
    if (!is_plausible(target)) {
        pg_target_free(target);
        return data_fail(error, SHOAL_DATA_INVALID,
            "The host, port or database of the PostgreSQL URL is wrong: in a password, write @ as "
            "%%40, / as %%2F, "
            ": as %%3A, %% as %%25.");
    }
    target->password = value_of(target, "password");
    show(target);
    *out_target = target;
    return SHOAL_DATA_OK;
}

void pg_target_free(struct pg_target *target)
{
    if (target == NULL)
        return;
    for (size_t i = 0; target->keywords != NULL && target->keywords[i] != NULL; i++)
        free(target->keywords[i]);
    for (size_t i = 0; target->values != NULL && target->values[i] != NULL; i++)
        free(target->values[i]);
    free(target->keywords);
    free(target->values);
    free(target);
}

void pg_target_scrub(const struct pg_target *target, char *to, size_t size, const char *from)
{
    size_t secret = target->password == NULL ? 0 : strlen(target->password);
    size_t used = 0;
    while (*from != '\0' && used + 4 < size) {
        if (secret >= PASSWORD_SIZE_MIN && strncmp(from, target->password, secret) == 0) {
            memcpy(to + used, "***", 3);
            used += 3;
            from += secret;
            continue;
        }
        char next = *from++;
        if (next == '\n' || next == '\t')
            next = ' ';
        to[used++] = next;
    }
    while (used > 0 && to[used - 1] == ' ')
        used--;
    to[used] = '\0';
}
