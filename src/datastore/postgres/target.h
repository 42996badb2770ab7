/*
 * datastore/postgres/target.h - which database: the connection URL, taken apart once, and shown without its password.
 */
#pragma once

#include "datastore/datastore.h"

struct pg_target {
    char **keywords; /* as PQconnectStartParams() wants them: pairs, ended by NULL */
    char **values;
    const char *password; /* of `values`; NULL: none */
    char shown[384];      /* postgresql://user@host:port/database */
};

/* Takes a URL apart. The caller owns *out_target (pg_target_free). Errors: INVALID, with a sentence that has nothing of
 * the URL in it, since any part of a wrong one may be the password. */
MUST_CHECK int32_t pg_target_parse(
    const char *url, struct pg_target **out_target, struct shoal_data_error *error);
void pg_target_free(struct pg_target *target);
/* Copies `from` as one line, without the password, should it be in there. */
void pg_target_scrub(const struct pg_target *target, char *to, size_t size, const char *from);
