/*
 * mount/tunnel.c - starting, finding and ending tunnels (room: mount).
 */
#include "mount/tunnel.h"

#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "base/text.h"
#include "mount/state.h"
#include "mount/tunnel_internal.h"

#define DIR_NAME      "tunnels"
#define FILE_SIZE_MAX ((size_t)64 << 10)
#define BACKLOG       64
#define LAST_FD       (~0u)

static int find_ca(struct tunnel_spec *spec, struct problem *problem)
{
    char in_data[OPTIONS_PATH_SIZE + 16] = "";
    if (spec->service->data[0] != '\0')
        (void)snprintf(in_data, sizeof in_data, "%s/ca.pem", spec->service->data);
    const char *const places[] = { spec->options->ca_file, spec->service->conf.ca_file, in_data,
        "/etc/shoal/ca.pem" };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (places[i][0] == '\0')
            continue;
        bool is_there = access(places[i], R_OK) == 0;
        if (!is_there && i == 0)
            return problem_say(problem, -ENOENT, "Cannot read the CA file %s: %s.", places[i],
                strerrordesc_np(errno));
        if (is_there)
            return text_copy(spec->ca_file, sizeof spec->ca_file, places[i]) < 0 ? -EINVAL : 0;
    }
    if (spec->options->no_verify)
        return 0;
    return problem_say(problem, -ENOENT,
        "No certificate of an authority is known to check the server with: take ca.pem from the "
        "server's data directory and give cafile=FILE, or put it to /etc/shoal/ca.pem.");
}

int tunnel_prepare(const struct mount_options *options, const struct service *service,
    const struct target *target, struct tunnel_spec *out_spec, struct problem *problem)
{
    struct tunnel_spec *spec = out_spec;
    *spec = (struct tunnel_spec){ .options = options, .service = service, .target = target };
    bool has_name = target->file_system[0] != '\0';
    size_t used = 0;
    if (!has_name && (options->iam || options->access_point[0] != '\0'))
        return problem_say(problem, -EINVAL,
            "iam and accesspoint= need the file system's id: write fs-ID instead of %s, with "
            "mounttargetip=%s if it is not found otherwise.",
            target->label, target->address);
    if (options->iam && service->key_id[0] == '\0')
        return problem_say(problem, -EINVAL,
            "Option iam needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "~/.aws/credentials (awsprofile=NAME), or data=DIR.");
    int err = find_ca(spec, problem);
    if (err == 0)
        err = text_append(spec->key, sizeof spec->key, &used, "%s/%s/%s/%s",
            has_name ? target->file_system : target->address, options->access_point,
            options->iam ? service->key_id : "", options->no_verify ? "" : target->name);
    return err;
}

/* Opens the state of a port; *out_alive: its supervisor, or worker, holds the lock. */
static int open_state(int dir_fd, uint16_t port, int flags, bool *out_alive)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%u.json", port);
    int fd = sys_openat(dir_fd, name, flags, 0644);
    *out_alive = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
    return fd;
}

static json_t *read_state(int dir_fd, uint16_t port)
{
    char name[32];
    char *text = NULL;
    (void)snprintf(name, sizeof name, "%u.json", port);
    if (sys_read_file(dir_fd, name, FILE_SIZE_MAX, &text) < 0)
        return NULL;
    json_t *json = json_loads(text, 0, NULL);
    free(text);
    return json;
}

bool tunnel_is_alive(uint16_t port)
{
    int dir_fd = -1;
    bool alive = false;
    if (state_open_dir(DIR_NAME, &dir_fd) < 0)
        return false;
    int fd = open_state(dir_fd, port, O_RDONLY, &alive);
    if (fd >= 0)
        (void)close(fd);
    (void)close(dir_fd); /* a directory: nothing can be lost */
    return alive;
}

/* The port of a living tunnel with this key; 0: none. */
static uint16_t find_tunnel(int dir_fd, const char *key)
{
    uint16_t found = 0;
    int copy = dup(dir_fd);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL)
        return 0;
    rewinddir(dir);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): this process has one thread
    for (const struct dirent *entry; found == 0 && (entry = readdir(dir)) != NULL;) {
        char *end = NULL;
        unsigned long port = strtoul(entry->d_name, &end, 10);
        if (port == 0 || port > UINT16_MAX || strcmp(end, ".json") != 0)
            continue;
        json_t *json = read_state(dir_fd, (uint16_t)port);
        if (strcmp(service_text(json, "key"), key) == 0 && tunnel_is_alive((uint16_t)port))
            found = (uint16_t)port;
        json_decref(json);
    }
    (void)closedir(dir);
    return found;
}

static int listen_at(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* old connections linger */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int err = -errno;
    (void)close(fd);
    return err;
}

/* Listens at the port that is asked for, or at the first that is free. */
static int choose_port(const struct tunnel_spec *spec, uint16_t *out_port, struct problem *problem)
{
    uint16_t wanted = spec->options->tunnel_port;
    int fd = wanted != 0 ? listen_at(wanted) : -EADDRINUSE;
    *out_port = wanted;
    for (unsigned port = TUNNEL_PORT_LOW; wanted == 0 && fd < 0 && port <= TUNNEL_PORT_HIGH;
         port++) {
        *out_port = (uint16_t)port;
        fd = listen_at(*out_port);
    }
    if (fd >= 0)
        return fd;
    return problem_say(problem, fd,
        wanted != 0 ? "Port %u of 127.0.0.1, which the tunnel needs, is in use: %s."
                    : "No port from 20049 to %u is free on 127.0.0.1 for the tunnel: %s.",
        *out_port, strerrordesc_np(-fd));
}

static int write_state(const struct tunnel_spec *spec, int state_fd, uint16_t port, pid_t pid)
{
    const struct target *target = spec->target;
    json_t *json = json_pack("{s:s, s:i, s:i, s:s, s:i, s:s, s:s, s:s, s:b}", "key", spec->key,
        "pid", (int)pid, "port", (int)port, "address", target->address, "target_port",
        (int)target->port, "name", target->name, "file_system", target->file_system, "access_point",
        spec->options->access_point, "iam", spec->options->iam);
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    int err = text == NULL ? -ENOMEM : sys_pwrite_all(state_fd, text, strlen(text), 0);
    if (err == 0 && ftruncate(state_fd, (off_t)strlen(text)) < 0)
        err = -errno;
    free(text);
    return err;
}

/* In the child of the child: a process of its own that keeps nothing of its starter's but the two descriptors. */
__attribute__((noreturn)) static void become_supervisor(
    const struct tunnel_spec *spec, int listen_fd, uint16_t port, int state_fd)
{
    char name[PATH_MAX];
    (void)snprintf(name, sizeof name, "%s/" DIR_NAME "/%u.log", state_dir(), port);
    int log_fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0644);
    int null_fd = open("/dev/null", O_RDWR);
    (void)dup2(null_fd, STDIN_FILENO);
    (void)dup2(null_fd, STDOUT_FILENO);
    (void)dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
    int kept[2] = { listen_fd < state_fd ? listen_fd : state_fd,
        listen_fd < state_fd ? state_fd : listen_fd };
    if (kept[0] > STDERR_FILENO + 1)
        (void)close_range(STDERR_FILENO + 1, (unsigned)kept[0] - 1, 0);
    if (kept[1] > kept[0] + 1)
        (void)close_range((unsigned)kept[0] + 1, (unsigned)kept[1] - 1, 0);
    (void)close_range((unsigned)kept[1] + 1, LAST_FD, 0);
    (void)!chdir("/"); /* so that no mount is in use by it */
    tunnel_supervise(spec, listen_fd, port, state_fd);
}

/* Forks twice, so that the supervisor is nobody's child; gives its pid through the pipe. */
static int spawn(const struct tunnel_spec *spec, int listen_fd, uint16_t port, int state_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0) {
        (void)setsid(); /* a new process cannot fail at it */
        pid_t supervisor = fork();
        if (supervisor == 0)
            become_supervisor(spec, listen_fd, port, state_fd);
        ssize_t written = write(ends[1], &supervisor, sizeof supervisor);
        _exit(written == sizeof supervisor ? 0 : 1);
    }
    pid_t supervisor = -1;
    int err = child < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (err == 0 && read(ends[0], &supervisor, sizeof supervisor) != sizeof supervisor)
        err = -EAGAIN;
    (void)close(ends[0]);
    if (child > 0)
        (void)waitpid(child, NULL, 0); /* it has ended, or ends at once */
    if (err == 0 && supervisor <= 0)
        err = -EAGAIN;
    return err < 0 ? err : write_state(spec, state_fd, port, supervisor);
}

static int start_locked(const struct tunnel_spec *spec, int dir_fd, uint16_t *out_port,
    bool *out_started, struct problem *problem)
{
    bool alive = false;
    uint16_t port = find_tunnel(dir_fd, spec->key);
    if (port != 0) {
        *out_port = port;
        return 0;
    }
    int listen_fd = choose_port(spec, &port, problem);
    if (listen_fd < 0)
        return listen_fd;
    int state_fd = open_state(dir_fd, port, O_RDWR | O_CREAT, &alive);
    int err = state_fd < 0 ? state_fd : alive ? -EBUSY : spawn(spec, listen_fd, port, state_fd);
    if (state_fd >= 0)
        (void)close(state_fd); /* the supervisor has it */
    (void)close(listen_fd);
    if (err < 0)
        return problem_say(problem, err,
            "The tunnel cannot be started: %s (state in %s/" DIR_NAME ").", strerrordesc_np(-err),
            state_dir());
    *out_port = port;
    *out_started = true;
    return 0;
}

int tunnel_start(
    const struct tunnel_spec *spec, uint16_t *out_port, bool *out_started, struct problem *problem)
{
    int dir_fd = -1;
    *out_started = false;
    int err = state_open_dir(DIR_NAME, &dir_fd);
    int lock_fd = err < 0 ? err : sys_openat(dir_fd, "lock", O_RDWR | O_CREAT, 0644);
    if (lock_fd < 0 || flock(lock_fd, LOCK_EX) < 0)
        err = problem_say(problem, -EACCES, "Cannot write below %s: %s.", state_dir(),
            strerrordesc_np(lock_fd < 0 ? -lock_fd : errno));
    else
        err = start_locked(spec, dir_fd, out_port, out_started, problem);
    if (lock_fd >= 0)
        (void)close(lock_fd);
    if (dir_fd >= 0)
        (void)close(dir_fd); /* a directory: nothing can be lost */
    return err;
}

void tunnel_end(uint16_t port)
{
    int dir_fd = -1;
    if (state_open_dir(DIR_NAME, &dir_fd) < 0)
        return;
    json_t *json = tunnel_is_alive(port) ? read_state(dir_fd, port) : NULL;
    json_int_t pid = json_integer_value(json_object_get(json, "pid"));
    if (pid > 1 && pid <= INT32_MAX)
        (void)kill((pid_t)pid, SIGTERM); /* ended meanwhile: fine */
    json_decref(json);
    (void)close(dir_fd); /* a directory: nothing can be lost */
}

/* In the child: a worker that nobody supervises and that does not outlive its starter. */
__attribute__((noreturn)) static void work_on_loan(const struct tunnel_spec *spec, int listen_fd)
{
    struct tunnel_shared shared = { 0 };
    int null_fd = open("/dev/null", O_WRONLY);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(null_fd, STDERR_FILENO); /* its caller tells what is wrong */
    tunnel_work(spec, listen_fd, &shared);
}

int tunnel_borrow(const struct tunnel_spec *spec, struct tunnel_loan *out_loan)
{
    struct sockaddr_in local = { 0 };
    socklen_t size = sizeof local;
    int fd = listen_at(0);
    if (fd < 0)
        return fd;
    int err = getsockname(fd, (struct sockaddr *)&local, &size) < 0 ? -errno : 0;
    pid_t pid = err < 0 ? -1 : fork();
    if (pid == 0)
        work_on_loan(spec, fd);
    if (err == 0 && pid < 0)
        err = -errno;
    (void)close(fd); /* the child has it */
    if (err == 0)
        *out_loan = (struct tunnel_loan){ .pid = pid, .port = ntohs(local.sin_port) };
    return err;
}

void tunnel_give_back(struct tunnel_loan *loan)
{
    if (loan->pid <= 0)
        return;
    (void)kill(loan->pid, SIGKILL);
    (void)waitpid(loan->pid, NULL, 0); /* it is killed: ends at once */
    loan->pid = 0;
}
