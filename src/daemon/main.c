/*
 * daemon/main.c - shoald: options, data directory, service, signals (room: daemon).
 *
 * The main thread starts everything, then waits for signals and gives the service a tick a second. All signals that mean
 * something are blocked before the first thread starts, so that only sigtimedwait() sees them.
 */
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/announce.h"
#include "daemon/offline.h"
#include "daemon/service.h"
#include "metrics/metrics.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void block_signals(sigset_t *out_set)
{
    (void)sigemptyset(out_set); /* these fail only for numbers that are no signals */
    (void)sigaddset(out_set, SIGTERM);
    (void)sigaddset(out_set, SIGINT);
    (void)sigaddset(out_set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, out_set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed connection is an error of its write */
}

/* Every connection and many files of the storage take a descriptor: we take as many as are allowed. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* then the soft limit is what we have */
    }
}

static void reload(struct options *options, const struct options_source *source)
{
    struct options fresh;
    enum options_action action;
    struct problem problem;
    char quoted[PROBLEM_SIZE + 64];
    if (options_load(source, &fresh, &action, &problem) < 0) {
        LOG_WARN("options not reloaded", "reason=%s",
            log_quote(quoted, sizeof quoted, slice_str(problem.text)));
        return;
    }
    const struct option_row *row = options_reload(options, &fresh);
    if (row != NULL)
        LOG_WARN(
            "an option changes only at the next start", "option=%s.%s", row->section, row->key);
    log_set_level(options->log_level);
    LOG_INFO("options reloaded", "log_level=%d", (int)options->log_level);
}

/* Another daemon has the directory: every write from here on could destroy what it wrote. What we acknowledged is durable. */
__attribute__((noreturn)) static void end_fenced(const struct data_dir *dir)
{
    LOG_ERROR("another shoald has taken the data directory over: ending at once, without writing",
        "epoch=%" PRIu32, dir->epoch);
    _exit(EXIT_FAILED);
}

/* Serves until a signal says to end. */
static void serve(struct service *service, const struct data_dir *dir, struct options *options,
    const struct options_source *source, const sigset_t *signals)
{
    const struct timespec second = { .tv_sec = 1 };
    for (;;) {
        int number = sigtimedwait(signals, NULL, &second);
        if (number == SIGTERM || number == SIGINT) {
            LOG_INFO("ending", "signal=%s", sigabbrev_np(number));
            return;
        }
        if (number == SIGHUP)
            reload(options, source);
        if (!data_dir_is_ours(dir))
            end_fenced(dir);
        service_tick(service);
        announce_alive(); /* the tick has asked the threads that answer at once */
    }
}

static int announce(
    const struct service *service, const struct options *options, const struct data_dir *dir)
{
    char address[ADDRESS_TEXT_SIZE];
    char endpoint[ADDRESS_TEXT_SIZE + 8];
    struct sockaddr_in control = options->control_listen;
    control.sin_port = htons(service_control_port(service));
    if (control.sin_addr.s_addr == htonl(INADDR_ANY))
        control.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address_format(&control, address);
    (void)snprintf(endpoint, sizeof endpoint, "http://%s", address);
    LOG_INFO("serving", "endpoint=%s nfs_port=%u data=%s pid=%d epoch=%" PRIu32 " version=%s",
        endpoint, service_nfs_port(service), options->node_data, getpid(), dir->epoch,
        SHOAL_VERSION);
    struct endpoint_list dns;
    service_dns_listening(service, &dns);
    int err = announce_write(dir->fd, &(struct announcement){ .endpoint = endpoint,
                                          .region = options->node_region,
                                          .account_id = options->node_account,
                                          .control_port = service_control_port(service),
                                          .nfs_port = service_nfs_port(service),
                                          .network = service_network(service),
                                          .suffix = options->node_suffix,
                                          .dns = &dns });
    if (err == 0) {
        char state[160];
        (void)snprintf(state, sizeof state, "READY=1\nSTATUS=Serving %s and NFS port %u", endpoint,
            service_nfs_port(service));
        announce_notify(state);
    }
    return err;
}

static int run(struct options *options, const struct options_source *source)
{
    struct problem problem = { "" };
    struct data_dir *dir = NULL;
    struct service *service = NULL;
    sigset_t signals;
    block_signals(&signals);
    raise_file_limit();
    log_set_level(options->log_level);
    metrics_set(METRIC_START_SECONDS, time(NULL));
    int err = data_dir_open(options->node_data, &dir, &problem);
    if (err == 0)
        err = service_start(options, dir, &service, &problem);
    if (err == 0) {
        err = announce(service, options, dir);
        if (err == 0)
            serve(service, dir, options, source, &signals);
        else
            problem_set(&problem, "Cannot write %s/run/shoald.json: %s.", options->node_data,
                strerrordesc_np(-err));
        announce_notify("STOPPING=1");
        announce_remove(dir->fd);
        service_stop(service, options->shutdown_wait * 1000);
    }
    data_dir_close(dir);
    if (err == 0) {
        LOG_INFO("ended", "pid=%d", getpid());
        return EXIT_OK;
    }
    (void)fprintf(stderr, "shoald: %s\n", problem.text);
    return EXIT_FAILED;
}

/* Freed memory stays with the process: requests of 1 MiB come and go thousands of times a second, and a page that
 * was given back costs a fault and a clearing when it is next needed. */
static void keep_freed_memory(void)
{
    // NOLINTBEGIN(concurrency-mt-unsafe): no other thread runs yet
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20); /* a refused value only costs speed */
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    (void)mallopt(M_TOP_PAD, 1 << 20);
    // NOLINTEND(concurrency-mt-unsafe)
}

int main(int argc, char **argv)
{
    keep_freed_memory();
    offline_tool *tool = argc > 1 ? offline_find(argv[1]) : NULL;
    if (tool != NULL)
        return tool(argc - 1, argv + 1);
    struct options options;
    enum options_action action;
    struct problem problem;
    const struct options_source source = { .argc = argc, .argv = argv, .environment = environ };
    if (options_load(&source, &options, &action, &problem) < 0) {
        (void)fprintf(stderr, "shoald: %s\n", problem.text);
        return EXIT_USAGE;
    }
    switch (action) {
    case OPTIONS_CHECK:
        (void)printf("The options are valid.\n");
        break;
    case OPTIONS_PRINT:
        options_print(&options, stdout);
        break;
    case OPTIONS_HELP:
        options_print_help(stdout);
        break;
    case OPTIONS_VERSION:
        (void)printf("shoald %s\n", SHOAL_VERSION);
        break;
    case OPTIONS_RUN:
        return run(&options, &source);
    }
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
