/*
 * cli/cmd_down.c - shoal down: ends the shoald that owns a data directory (room: cli).
 *
 * A pid in a file may be old. So the process is pinned with a pidfd first, and then has to show the directory's lock file
 * among its open files; only that process is ever signalled.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "cli/cli.h"
#include "cli/instance.h"

#define END_TIMEOUT_MS 120000

/* Whether process `pid` has the file open. */
static bool has_open(pid_t pid, const struct stat *file)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *list = opendir(path);
    if (list == NULL)
        return false;
    bool found = false;
    const struct dirent *entry;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while (!found && (entry = readdir(list)) != NULL) {
        struct stat st;
        found = fstatat(dirfd(list), entry->d_name, &st, 0) == 0 && st.st_dev == file->st_dev &&
                st.st_ino == file->st_ino;
    }
    (void)closedir(list);
    return found;
}

/* Sends SIGTERM and waits for the end. */
static int end_process(const struct instance *instance, int pid_fd)
{
    if (pidfd_send_signal(pid_fd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
        return cli_fail("Cannot stop shoald with pid %d: %s. Run this as the user that started it.",
            (int)instance->pid, strerrordesc_np(errno));
    struct pollfd end = { .fd = pid_fd, .events = POLLIN };
    int ready;
    do {
        ready = poll(&end, 1, END_TIMEOUT_MS);
    } while (ready < 0 && errno == EINTR);
    if (ready > 0)
        return CLI_OK;
    return cli_fail("shoald with pid %d has not ended within %d seconds; its log is %s/shoald.log. "
                    "kill -9 %d ends it at once: nothing that was acknowledged is lost.",
        (int)instance->pid, END_TIMEOUT_MS / 1000, instance->data, (int)instance->pid);
}

static int end_owner(const struct instance *instance)
{
    struct stat lock;
    if (fstatat(instance->dir_fd, "lock", &lock, 0) < 0)
        return cli_fail("Cannot look at %s/lock: %s.", instance->data, strerrordesc_np(errno));
    int pid_fd = instance->pid > 0 ? pidfd_open(instance->pid, 0) : -1;
    if (pid_fd < 0 || !has_open(instance->pid, &lock)) {
        if (pid_fd >= 0)
            (void)close(pid_fd);
        return cli_fail(
            "The data directory %s is in use, but not by process %d that its lock file names. "
            "Find the owner with: fuser %s/lock",
            instance->data, (int)instance->pid, instance->data);
    }
    int status = end_process(instance, pid_fd);
    (void)close(pid_fd);
    return status;
}

int cmd_down(int argc, char **argv)
{
    const char *data = NULL;
    const struct cli_option options[] = { { "--data", &data, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc > 1)
        return cli_usage("`down` takes no word %s; see shoal down --help.", argv[1]);
    struct instance instance;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    if (!instance.is_running) {
        (void)printf("No service runs on %s.\n", instance.data);
    } else {
        status = end_owner(&instance);
        if (status == CLI_OK)
            (void)printf("The service on %s has ended. Its data stay there.\n", instance.data);
    }
    instance_close(&instance);
    return status;
}
