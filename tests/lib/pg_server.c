/* tests/lib/pg_server.c - see pg_server.h. */
#include "tests/lib/pg_server.h"

#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/sys.h"

#define PATH_SIZE   512
#define START_TRIES 300 /* of 100 ms */

struct pg_server {
    char bin[PATH_SIZE / 2];
    char directory[64];
    pid_t pid; /* 0: not running */
    unsigned databases;
    uid_t uid;
    gid_t gid;
};

static bool find_bin(char *to, size_t size)
{
    glob_t found = { 0 };
    bool is_there = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0;
    if (is_there)
        (void)snprintf(to, size, "%.*s",
            (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/initdb")),
            found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return is_there;
}

/* Runs a program of PostgreSQL's as the unprivileged user; gives its pid. */
static pid_t spawn(const struct pg_server *server, const char *program, const char *const *args)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", server->bin, program);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    char log[PATH_SIZE];
    (void)snprintf(log, sizeof log, "%s/log", server->directory);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    bool is_ready = fd >= 0 && fchmod(fd, 0666) == 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2;
    if (is_ready && server->uid != getuid())
        is_ready = setgroups(0, NULL) == 0 && setgid(server->gid) == 0 && setuid(server->uid) == 0;
    if (is_ready && prctl(PR_SET_PDEATHSIG, SIGQUIT) == 0 && chdir("/") == 0)
        (void)execv(path, (char *const *)(uintptr_t)args);
    _exit(127);
}

static void nap(void)
{
    struct timespec wait = { .tv_nsec = 100000000 };
    (void)nanosleep(&wait, NULL);
}

static void wait_ready(struct pg_server *server)
{
    char url[PATH_SIZE];
    (void)snprintf(url, sizeof url, "postgresql://shoal@/postgres?host=%s", server->directory);
    for (int i = 0; i < START_TRIES; i++) {
        if (PQping(url) == PQPING_OK)
            return;
        nap();
    }
    fail_msg("PostgreSQL does not start; see %s/log", server->directory);
}

void pg_server_restart(struct pg_server *server)
{
    char data[PATH_SIZE];
    (void)snprintf(data, sizeof data, "%s/data", server->directory);
    const char *const args[] = { "postgres", "-D", data, "-k", server->directory, "-c",
        "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60", NULL };
    for (int i = 0; i < START_TRIES; i++) {
        server->pid = spawn(server, "postgres", args);
        nap();
        /* It refuses while processes of a killed one still hold the shared memory. */
        if (waitpid(server->pid, NULL, WNOHANG) == 0) {
            wait_ready(server);
            return;
        }
    }
    fail_msg("PostgreSQL does not stay; see %s/log", server->directory);
}

struct pg_server *pg_server_start(void)
{
    struct pg_server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    if (!find_bin(server->bin, sizeof server->bin)) {
        free(server);
        return NULL;
    }
    (void)snprintf(server->directory, sizeof server->directory, "/tmp/shoal-pg-XXXXXX");
    assert_non_null(mkdtemp(server->directory));
    server->uid = getuid();
    if (server->uid == 0) {
        const struct passwd *user = getpwnam("postgres");
        user = user == NULL ? getpwnam("nobody") : user;
        assert_non_null(user);
        server->uid = user->pw_uid;
        server->gid = user->pw_gid;
        assert_int_equal(chown(server->directory, server->uid, server->gid), 0);
    }
    char data[PATH_SIZE];
    (void)snprintf(data, sizeof data, "%s/data", server->directory);
    const char *const args[] = { "initdb", "-D", data, "-U", "shoal", "-A", "trust", "-E", "UTF8",
        "--locale=C", "--no-sync", NULL };
    int status = -1;
    pid_t pid = spawn(server, "initdb", args);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("initdb: see %s/log", server->directory);
    pg_server_restart(server);
    return server;
}

void pg_server_kill(struct pg_server *server, int signal_number)
{
    assert_int_equal(kill(server->pid, signal_number), 0);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    server->pid = 0;
}

void pg_server_free(struct pg_server *server)
{
    if (server == NULL)
        return;
    if (server->pid != 0)
        pg_server_kill(server, SIGINT);
    assert_int_equal(sys_remove_tree(AT_FDCWD, server->directory), 0);
    free(server);
}

char *pg_server_ask(const char *url, const char *sql)
{
    PGconn *pg = PQconnectdb(url);
    if (PQstatus(pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(pg));
    PGresult *result = PQexec(pg, sql);
    ExecStatusType is = PQresultStatus(result);
    if (is != PGRES_TUPLES_OK && is != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(pg));
    char *field = PQntuples(result) > 0 ? strdup(PQgetvalue(result, 0, 0)) : NULL;
    PQclear(result);
    PQfinish(pg);
    return field;
}

void pg_server_new_database(struct pg_server *server, char *out_url, size_t size)
{
    char url[PATH_SIZE];
    char sql[64];
    (void)snprintf(url, sizeof url, "postgresql://shoal@/postgres?host=%s", server->directory);
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE test_%u", ++server->databases);
    free(pg_server_ask(url, sql));
    int used = snprintf(
        out_url, size, "postgresql://shoal@/test_%u?host=%s", server->databases, server->directory);
    assert_in_range(used, 1, size - 1);
}
