/*
 * datastore/files/upkeep.c - clean-up, usage and health of the files backend (room: datastore).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/random.h"
#include "datastore/files/files.h"

#define DAY_S             INT64_C(86400)
#define TEMPORARY_DAYS    1 /* what nobody finished for so long, nobody will */
#define ROW_NAME_SIZE     256
#define HEALTH_PROBE_SIZE 64

static bool is_temporary(const char *name)
{
    return strncmp(name, FILES_TEMPORARY_PREFIX, strlen(FILES_TEMPORARY_PREFIX)) == 0;
}

/* The row of a report that a directory counts in: its first two parts. */
static void row_of(char to[ROW_NAME_SIZE], const char *directory)
{
    size_t size = strcspn(directory, "/");
    if (directory[size] == '/')
        size += 1 + strcspn(directory + size + 1, "/");
    (void)snprintf(to, ROW_NAME_SIZE, "%.*s", (int)min_size(size, ROW_NAME_SIZE - 1), directory);
}

static int add_problem(
    struct shoal_data_report *report, const char *directory, const char *name, int err)
{
    char reason[128];
    return data_report_add_problem(report, "%s%s%s: %s.", directory, name[0] == '\0' ? "" : "/",
        name, strerror_r(-err, reason, sizeof reason));
}

/* ---- Clean-up ---- */

struct cleaning {
    const struct shoal_data_clean_options *options;
    struct shoal_data_report *report;
    int64_t now_s;
};

static int cleaning_problem(void *context, const char *directory, int err)
{
    struct cleaning *cleaning = context;
    return add_problem(cleaning->report, directory, "", err);
}

static bool is_old(const struct cleaning *cleaning, const struct stat *st, int64_t days)
{
    return days >= 0 && st->st_mtim.tv_sec <= cleaning->now_s - days * DAY_S;
}

static int gone_or_error(void)
{
    return errno == ENOENT || errno == ESTALE ? 0 : -errno;
}

/* Removes the file that `seen` describes. It is taken aside first: another cleaner may have removed it meanwhile, and a
 * writer given the name to something new, which then goes back. Gives 1 when it is removed, 0 when it had gone. */
static int remove_seen(int dir_fd, const char *name, const struct stat *seen)
{
    char aside[FILES_TEMPORARY_SIZE];
    struct stat st;
    files_temporary_name(aside);
    if (renameat(dir_fd, name, dir_fd, aside) < 0 ||
        fstatat(dir_fd, aside, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return gone_or_error(); /* another cleaner may have found it by the name aside, and then counts it */
    bool is_same = st.st_ino == seen->st_ino && st.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
                   st.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
    if (!is_same)
        return files_rename_new(dir_fd, aside, dir_fd, name, false);
    return unlinkat(dir_fd, aside, 0) < 0 ? gone_or_error() : 1;
}

static int clean_file(void *context, const struct files_visit *visit)
{
    struct cleaning *cleaning = context;
    struct stat st;
    char row[ROW_NAME_SIZE];
    int64_t days = data_clean_days(cleaning->options, visit->directory);
    if (visit->name[0] == '.') {
        if (!is_temporary(visit->name))
            return 0; /* somebody's own */
        if (days >= 0 && days < TEMPORARY_DAYS)
            days = TEMPORARY_DAYS;
    }
    if (days < 0 || fstatat(visit->dir_fd, visit->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* kept, or gone */
    if (!S_ISREG(st.st_mode) || !is_old(cleaning, &st, days))
        return 0;
    int removed = cleaning->options->dry_run ? 1 : remove_seen(visit->dir_fd, visit->name, &st);
    if (removed < 0)
        return add_problem(cleaning->report, visit->directory, visit->name, removed);
    row_of(row, visit->directory);
    return removed == 0 ? 0 : data_report_add(cleaning->report, row, 1, (uint64_t)st.st_size);
}

int32_t files_clean(void *backend, const struct shoal_data_clean_options *options,
    struct shoal_data_report **out_report, struct shoal_data_error *error)
{
    static const char *const tops[] = { "market_data", "results", "logs" };
    struct files_store *store = backend;
    struct cleaning cleaning = {
        .options = options, .report = data_report_new(), .now_s = data_now_s()
    };
    int err = cleaning.report == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < ARRAY_SIZE(tops) && err == 0; i++)
        err = files_walk(store, tops[i], clean_file, cleaning_problem, &cleaning);
    if (err < 0) {
        shoal_data_report_free(cleaning.report);
        return data_fail_errno(error, err, "Cannot clean up", store->root);
    }
    *out_report = cleaning.report;
    return data_report_status(cleaning.report, error);
}

/* ---- Usage ---- */

static int usage_problem(void *context, const char *directory, int err)
{
    struct shoal_data_report *report = context;
    return add_problem(report, directory, "", err);
}

static int count_file(void *context, const struct files_visit *visit)
{
    struct shoal_data_report *report = context;
    struct stat st;
    char row[ROW_NAME_SIZE];
    if (visit->name[0] == '.' ||
        fstatat(visit->dir_fd, visit->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return 0;
    /* models/checkpoints/ID/model.pkl is a second name of the latest version's, which is counted there. */
    if (st.st_nlink > 1 && visit->depth == 3 &&
        strncmp(visit->directory, "models/checkpoints/", 19) == 0)
        return 0;
    row_of(row, visit->directory);
    return data_report_add(report, row, 1, (uint64_t)st.st_size);
}

int32_t files_usage(
    void *backend, struct shoal_data_report **out_report, struct shoal_data_error *error)
{
    static const char *const tops[] = { "market_data", "models", "results", "logs" };
    struct files_store *store = backend;
    struct shoal_data_report *report = data_report_new();
    int err = report == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < ARRAY_SIZE(tops) && err == 0; i++)
        err = files_walk(store, tops[i], count_file, usage_problem, report);
    if (err < 0) {
        shoal_data_report_free(report);
        return data_fail_errno(error, err, "Cannot measure", store->root);
    }
    *out_report = report;
    return data_report_status(report, error);
}

/* ---- Health ---- */

/* Writes, syncs, reads back and removes a small file. */
static int probe(const struct files_store *store, struct shoal_data_health *health)
{
    char name[FILES_TEMPORARY_SIZE];
    char wanted[HEALTH_PROBE_SIZE + 1];
    char *text = NULL;
    size_t size = 0;
    files_temporary_name(name);
    random_hex(wanted, HEALTH_PROBE_SIZE);
    uint64_t start = clock_monotonic_ns();
    int err = files_publish(store->root_fd, name, wanted, HEALTH_PROBE_SIZE, 0600, false);
    if (err == 0)
        err = sys_fsync(store->root_fd);
    health->write_us = (clock_monotonic_ns() - start) / 1000;
    start = clock_monotonic_ns();
    if (err == 0)
        err = files_read_whole(store->root_fd, name, HEALTH_PROBE_SIZE, &text, &size);
    health->read_us = (clock_monotonic_ns() - start) / 1000;
    if (err == 0 && (size != HEALTH_PROBE_SIZE || memcmp(text, wanted, size) != 0))
        err = -EBADMSG;
    free(text);
    int removed = unlinkat(store->root_fd, name, 0) < 0 ? -errno : 0;
    return err < 0 ? err : removed;
}

int32_t files_health(
    void *backend, struct shoal_data_health *out_health, struct shoal_data_error *error)
{
    (void)error; /* what is wrong is the answer */
    const struct files_store *store = backend;
    struct statvfs fs;
    char reason[128];
    (void)snprintf(out_health->backend, sizeof out_health->backend, "files"); /* fits */
    (void)snprintf(
        out_health->location, sizeof out_health->location, "%s", store->root); /* or cut */
    if (fstatvfs(store->root_fd, &fs) == 0)
        out_health->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    int err = probe(store, out_health);
    out_health->is_ok = err == 0;
    if (err < 0)
        (void)snprintf(out_health->detail, sizeof out_health->detail,
            "Writing a file and reading it back failed: %s.",
            strerror_r(-err, reason, sizeof reason)); /* fits */
    else
        (void)snprintf(out_health->detail, sizeof out_health->detail, "%s",
            store->is_network ? "NFS mount" : "local file system"); /* fits */
    return SHOAL_DATA_OK;
}
