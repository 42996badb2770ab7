/*
 * tests/lib/pg_server.h - a PostgreSQL server of a test's own: a fresh cluster in a temporary directory, on a Unix socket and,
 * when asked for, a loopback port, run by a user without rights (PostgreSQL refuses root). It ends with the test.
 */
#pragma once

#include "base/base.h"

struct pg_server;

/* Makes a cluster and starts it. NULL: PostgreSQL is not installed. Other failures fail the test. */
struct pg_server *pg_server_start(void);
/* Starts it again after pg_server_kill(). */
void pg_server_restart(struct pg_server *server);
/* Ends it at once: SIGKILL, or SIGQUIT (PostgreSQL's immediate stop). Returns when the process has ended. */
void pg_server_kill(struct pg_server *server, int signal_number);
/* Ends it and removes everything. NULL is allowed. */
void pg_server_free(struct pg_server *server);
/* Makes a new database and writes its URL. */
void pg_server_new_database(struct pg_server *server, char *out_url, size_t size);
/* Runs SQL in the database of the URL and gives the first field of the first row, malloc'd; NULL: there is none. */
char *pg_server_ask(const char *url, const char *sql);
