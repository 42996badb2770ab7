/*
 * cli/launch.c - starting shoald in the background (room: cli).
 *
 * The options are checked first, by shoald itself and in the foreground, so that a wrong one is explained on the
 * terminal. What the daemon says later goes to its log; if it ends before it serves, the end of the log is shown.
 */
#include "cli/launch.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/cli.h"

#define WORDS_MAX       64
#define TOOL_WORDS_MAX  310
#define START_MAX_MS    120000
#define LOOK_STEP_NS    10000000
#define LOG_SHOWN_BYTES 4096
#define LOG_NAME        "shoald.log"

/* The program `name` beside this one, or the one that PATH finds. */
static void find_program(const char *name, char *out_path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", out_path, size - 1);
    char *slash = NULL;
    if (length > 0) {
        out_path[length] = '\0';
        slash = strrchr(out_path, '/');
    }
    if (slash != NULL && text_copy(slash + 1, size - (size_t)(slash + 1 - out_path), name) == 0 &&
        access(out_path, X_OK) == 0)
        return;
    int err = text_copy(out_path, size, name);
    assert(err == 0);
    (void)err;
}

/* Becomes another program. Exit code 127 as a shell's: it could not be run. */
__attribute__((noreturn)) static void become(const char *path, char **argv)
{
    (void)execvp(path, argv);
    (void)fprintf(stderr, "shoal: Cannot run %s: %s. It has to stand beside shoal or in PATH.\n",
        path, strerrordesc_np(errno));
    _exit(127);
}

/* shoald --check-config, with its words on our terminal. */
static int check_options(const char *path, char **argv, int argc)
{
    static char check[] = "--check-config";
    argv[argc] = check;
    argv[argc + 1] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0)
            (void)dup2(null, STDOUT_FILENO); /* else "valid" is printed: harmless */
        become(path, argv);
    }
    argv[argc] = NULL;
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return cli_fail("Cannot start a process: %s.", strerrordesc_np(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CLI_OK;
    return WIFEXITED(status) && WEXITSTATUS(status) == CLI_USAGE ? CLI_USAGE : CLI_FAILED;
}

/* Makes the directory (mkdir -p), for this user only. */
static int make_data_dir(const char *data)
{
    char part[PATH_MAX];
    int err = text_copy(part, sizeof part, data) < 0 ? -ENAMETOOLONG : 0;
    for (char *slash = part; err == 0 && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        err = sys_mkdirat(AT_FDCWD, part, 0755);
        *slash = '/';
    }
    if (err == 0)
        err = sys_mkdirat(AT_FDCWD, part, 0700);
    if (err == 0)
        return CLI_OK;
    return cli_fail("Cannot make the data directory %s: %s. Choose another with --data.", data,
        strerrordesc_np(-err));
}

static int open_log(int dir_fd, const char *data)
{
    int fd = sys_openat(dir_fd, LOG_NAME, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0)
        (void)cli_fail("Cannot write %s/" LOG_NAME ": %s.", data, strerrordesc_np(-fd));
    return fd;
}

static pid_t start(const char *path, char **argv, int log_fd)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)setsid(); /* a new process cannot fail at it */
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        (void)dup2(null, STDIN_FILENO);
    (void)dup2(log_fd, STDOUT_FILENO);
    (void)dup2(log_fd, STDERR_FILENO);
    become(path, argv);
}

/* Prints the sentences among what the daemon has written since `begin`, or all of that when there are none. */
static void show_log(int dir_fd, uint64_t begin)
{
    char text[LOG_SHOWN_BYTES + 1];
    int fd = sys_openat(dir_fd, LOG_NAME, O_RDONLY, 0);
    if (fd < 0)
        return;
    ssize_t size = pread(fd, text, LOG_SHOWN_BYTES, (off_t)begin);
    (void)close(fd); /* opened for reading */
    text[size > 0 ? size : 0] = '\0';
    bool has_sentence = strncmp(text, "shoald: ", 8) == 0 || strstr(text, "\nshoald: ") != NULL;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] != '\0' && (!has_sentence || strncmp(line, "shoald: ", 8) == 0))
            (void)fprintf(stderr, "%s\n", line);
    }
}

/* Waits until the child serves or has ended. */
static int await_service(struct instance *instance, pid_t pid, uint64_t log_begin)
{
    const uint64_t deadline_ms = clock_coarse_ms() + START_MAX_MS;
    const struct timespec step = { .tv_nsec = LOOK_STEP_NS };
    while (clock_coarse_ms() < deadline_ms) {
        int status;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            show_log(instance->dir_fd, log_begin);
            return cli_fail(
                "The service did not start; its log is %s/" LOG_NAME ".", instance->data);
        }
        int err = instance_look(instance);
        if (err == 0 && instance->is_serving && instance->pid == pid)
            return CLI_OK;
        (void)nanosleep(&step, NULL); /* woken early: it looks a little sooner */
    }
    return cli_fail(
        "The service (pid %d) does not serve yet after %d seconds. It may be repairing after a "
        "crash: look at %s/" LOG_NAME ", and say shoal up again.",
        (int)pid, START_MAX_MS / 1000, instance->data);
}

int launch(const char *data, char **words)
{
    char path[PATH_MAX];
    char *argv[WORDS_MAX];
    int argc = 0;
    find_program("shoald", path, sizeof path);
    argv[argc++] = path;
    for (; *words != NULL; words++) {
        if (argc + 2 >= WORDS_MAX)
            return cli_usage("These are too many words.");
        argv[argc++] = *words;
    }
    int status = check_options(path, argv, argc);
    if (status == CLI_OK)
        status = make_data_dir(data);
    if (status != CLI_OK)
        return status;
    struct instance instance;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    int log_fd = open_log(instance.dir_fd, instance.data);
    status = CLI_FAILED;
    if (log_fd >= 0) {
        struct stat st = { 0 };
        (void)fstat(log_fd, &st); /* then the whole log is shown */
        pid_t pid = start(path, argv, log_fd);
        (void)close(log_fd);
        status = pid > 0 ? await_service(&instance, pid, (uint64_t)st.st_size)
                         : cli_fail("Cannot start a process: %s.", strerrordesc_np(errno));
    }
    instance_close(&instance);
    return status;
}

int launch_program(const char *name, char **words)
{
    char path[PATH_MAX];
    char *argv[TOOL_WORDS_MAX];
    int argc = 0;
    find_program(name, path, sizeof path);
    argv[argc++] = path;
    for (; *words != NULL; words++) {
        if (argc + 1 == TOOL_WORDS_MAX)
            return cli_usage("These are too many words.");
        argv[argc++] = *words;
    }
    argv[argc] = NULL;
    (void)fflush(NULL);
    become(path, argv);
}
