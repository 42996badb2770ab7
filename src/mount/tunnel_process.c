/*
 * mount/tunnel_process.c - the supervisor and the worker of a tunnel (room: mount).
 *
 * The supervisor never touches the network and never waits for anything but a second to pass, a change of the mounts, or a
 * signal, so nothing of the tunnel's work can wedge it.
 */
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/sys.h"
#include "mount/child.h"
#include "mount/mountinfo.h"
#include "mount/state.h"
#include "mount/tunnel_internal.h"

#define CONNECTIONS_MAX  64u
#define TICK_MS          1000
#define BEAT_MAX_MS      10000
#define RESTART_PAUSE_MS 200
#define FIRST_MOUNT_MS   120000 /* from the start until the mount is there */
#define SETTLE_MS        2000   /* an unmount closes its connections at once */
#define ABANDONED_MS \
    900000 /* no mount here, but connections of another mount namespace came and went */
#define LOG_SIZE_MAX (1 << 20)

static volatile sig_atomic_t asked_to_end;

static void note_signal(int number)
{
    (void)number;
    asked_to_end = 1;
}

static int is_through(void *context, const struct mountinfo *mount)
{
    const char *port = context;
    char value[64];
    return mountinfo_is_nfs(mount) &&
           mountinfo_option(mount->super_options, "port", value, sizeof value) == 0 &&
           strcmp(value, port) == 0 &&
           mountinfo_option(mount->super_options, "addr", value, sizeof value) == 0 &&
           strcmp(value, TUNNEL_ADDRESS) == 0;
}

/* Whether a mount goes through this port, as far as this mount namespace shows. */
static bool has_mount(uint16_t port)
{
    char text[16];
    char *mounts = NULL;
    (void)snprintf(text, sizeof text, "%u", port);
    if (mountinfo_read(&mounts) < 0)
        return true; /* not known: stay */
    bool found = mountinfo_each(mounts, is_through, text) != 0;
    free(mounts);
    return found;
}

/* --- the worker ------------------------------------------------------------------------------- */

struct job {
    const struct tunnel_spec *spec;
    struct tunnel_tls *tls;
    struct tunnel_shared *shared;
    int fd;
};

static void *run_job(void *context)
{
    struct job *job = context;
    tunnel_carry(job->spec, job->tls, job->fd);
    (void)atomic_fetch_sub(&job->shared->connection_count, 1);
    free(job);
    return NULL;
}

static void begin_job(const struct job *like)
{
    pthread_t thread;
    struct job *job = malloc(sizeof *job);
    bool has_room = atomic_load(&like->shared->connection_count) < CONNECTIONS_MAX;
    (void)atomic_fetch_add(&like->shared->connection_count, 1);
    if (job != NULL && has_room) {
        *job = *like;
        if (pthread_create(&thread, NULL, run_job, job) == 0) {
            (void)pthread_detach(thread); /* a thread that was just made */
            return;
        }
    }
    LOG_WARN("connection refused", "reason=%s", has_room ? "no memory" : "too many");
    (void)atomic_fetch_sub(&like->shared->connection_count, 1);
    (void)close(like->fd); /* the kernel tries again */
    free(job);
}

void tunnel_work(const struct tunnel_spec *spec, int listen_fd, struct tunnel_shared *shared)
{
    struct job job = { .spec = spec, .shared = shared };
    struct problem problem = { "" };
    pid_t parent = getppid();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, SIG_DFL);
    (void)prctl(PR_SET_NAME, "shoal-tunnel");
    atomic_store(&shared->connection_count, 0);
    if (tunnel_tls_new(spec, &job.tls, &problem) < 0) {
        LOG_ERROR("the tunnel cannot work", "reason=\"%s\"", problem.text);
        _exit(1);
    }
    for (;;) {
        struct pollfd ready = { .fd = listen_fd, .events = POLLIN };
        atomic_store(&shared->beat_ms, child_now_ms());
        int count = poll(&ready, 1, TICK_MS);
        if (count > 0) {
            job.fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
            if (job.fd >= 0)
                begin_job(&job);
        } else if (count == 0 && getppid() != parent) {
            struct sockaddr_in local = { 0 };
            socklen_t size = sizeof local;
            (void)!getsockname(listen_fd, (struct sockaddr *)&local, &size); /* cannot fail */
            uint16_t port = ntohs(local.sin_port);
            if (!has_mount(port) && atomic_load(&shared->connection_count) == 0)
                _exit(0); /* nobody supervises any more, and nobody needs it */
        }
    }
}

/* --- the supervisor --------------------------------------------------------------------------- */

struct supervisor {
    const struct tunnel_spec *spec;
    struct tunnel_shared *shared;
    int listen_fd;
    int mounts_fd;
    uint16_t port;
    pid_t worker;
    uint64_t started_ms;
    bool was_mounted;
    uint64_t gone_ms; /* since when there is no mount; 0: there is one */
    uint64_t idle_ms; /* since when there is no connection either; 0 */
};

static void start_worker(struct supervisor *supervisor)
{
    atomic_store(&supervisor->shared->beat_ms, child_now_ms());
    supervisor->worker = fork();
    if (supervisor->worker == 0)
        tunnel_work(supervisor->spec, supervisor->listen_fd, supervisor->shared);
    if (supervisor->worker < 0)
        LOG_WARN("the worker cannot be started", "error=%s", strerrorname_np(errno));
}

static void watch_worker(struct supervisor *supervisor)
{
    int status = 0;
    uint64_t beat_ms = atomic_load(&supervisor->shared->beat_ms);
    uint64_t now_ms = child_now_ms();
    if (supervisor->worker > 0 && now_ms > beat_ms + BEAT_MAX_MS) {
        LOG_WARN("the worker shows no sign of life", "pid=%d", (int)supervisor->worker);
        (void)kill(supervisor->worker, SIGKILL);
    }
    bool has_ended = supervisor->worker <= 0 ||
                     waitpid(supervisor->worker, &status, WNOHANG) == supervisor->worker;
    if (!has_ended)
        return;
    LOG_WARN("the worker ended and is started again", "status=%d", status);
    (void)poll(NULL, 0, RESTART_PAUSE_MS); /* a pause, so that this never spins */
    start_worker(supervisor);
}

/* Whether it is time to end: what the top of mount/tunnel.h promises. */
static bool is_done(struct supervisor *supervisor)
{
    uint64_t now_ms = child_now_ms();
    bool is_mounted = has_mount(supervisor->port);
    uint32_t connections = atomic_load(&supervisor->shared->connection_count);
    if (is_mounted) {
        supervisor->was_mounted = true;
        supervisor->gone_ms = 0;
        asked_to_end = 0; /* another mount needs it */
        return false;
    }
    if (!supervisor->was_mounted && asked_to_end == 0)
        return now_ms - supervisor->started_ms > FIRST_MOUNT_MS;
    if (supervisor->gone_ms == 0)
        supervisor->gone_ms = now_ms;
    supervisor->idle_ms = connections > 0           ? 0
                          : supervisor->idle_ms > 0 ? supervisor->idle_ms
                                                    : now_ms;
    if (connections > 0)
        return false;
    bool ended_with_mount = supervisor->idle_ms <= supervisor->gone_ms + 5 * SETTLE_MS;
    return now_ms - supervisor->idle_ms > (ended_with_mount ? SETTLE_MS : ABANDONED_MS);
}

static void bound_log(void)
{
    struct stat st;
    if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > LOG_SIZE_MAX)
        (void)!ftruncate(STDERR_FILENO, 0); /* appended to: it goes on from the start */
}

static void remove_state(uint16_t port)
{
    char name[32];
    int dir_fd = -1;
    if (state_open_dir("tunnels", &dir_fd) < 0)
        return;
    (void)snprintf(name, sizeof name, "%u.json", port);
    (void)unlinkat(
        dir_fd, name, 0); /* one that stays is not locked, so nobody takes it for alive */
    (void)close(dir_fd);  /* a directory: nothing can be lost */
}

static void protect(void)
{
    const struct sigaction on_term = { .sa_handler = note_signal };
    (void)sigaction(SIGTERM, &on_term, NULL);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)prctl(PR_SET_NAME, "shoal-tunnel-up");
    int fd = sys_openat(AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY, 0);
    if (fd >= 0) {
        /* Memory pressure must not take the way to the data, which would then wait for itself. */
        (void)!write(fd, "-1000", 5);
        (void)close(fd);
    }
}

void tunnel_supervise(const struct tunnel_spec *spec, int listen_fd, uint16_t port, int state_fd)
{
    (void)state_fd; /* stays open: its lock says that this lives */
    protect();
    struct supervisor supervisor = { .spec = spec,
        .listen_fd = listen_fd,
        .port = port,
        .started_ms = child_now_ms(),
        .mounts_fd = sys_openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY, 0) };
    supervisor.shared = mmap(
        NULL, sizeof *supervisor.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (supervisor.shared == MAP_FAILED)
        _exit(1);
    start_worker(&supervisor);
    while (!is_done(&supervisor)) {
        struct pollfd mounts = { .fd = supervisor.mounts_fd, .events = POLLPRI };
        (void)poll(&mounts, 1, TICK_MS); /* whatever ends it: look at all */
        watch_worker(&supervisor);
        bound_log();
        if ((mounts.revents & POLLPRI) != 0)
            (void)poll(NULL, 0, RESTART_PAUSE_MS); /* many mounts change at once at boot */
    }
    LOG_INFO("no mount needs the tunnel any more", "port=%u", port);
    remove_state(port);
    if (supervisor.worker > 0)
        (void)kill(supervisor.worker, SIGKILL); /* it holds nothing but connections of nobody */
    _exit(0);
}
