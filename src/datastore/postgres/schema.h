/*
 * datastore/postgres/schema.h - the tables, in numbered versions. What they hold: docs/formats/datastore-postgres.md.
 */
#pragma once

#include "datastore/postgres/conn.h"

/* The version that this code reads and writes. */
int64_t pg_schema_version(void);
/* Brings the schema to that version, one migration after the other, each in a transaction of its own under a lock that
 * keeps other workers out. Where there is none it is made if `create`. Errors: NOT_FOUND (none, and not `create`),
 * SCHEMA_MISMATCH (a newer one than this code knows), and those of the database. */
MUST_CHECK int32_t pg_schema_prepare(
    struct pg_conn *conn, bool create, struct shoal_data_error *error);
