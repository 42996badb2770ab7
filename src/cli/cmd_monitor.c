/*
 * cli/cmd_monitor.c - shoal monitor: samples directories at an interval, shows them, acts on thresholds (room: cli).
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/monitor.h"

#define PATHS_MAX     32
#define WIDTH_DEFAULT 120
#define PROBE_SIZE    4096
#define MS_MAX        86400000u
#define NS_PER_MS     1000000u
#define CLEAR_SCREEN  "\033[H\033[J"
#define REASON_SIZE   256

static volatile sig_atomic_t was_interrupted;

static void note_interrupt(int number)
{
    (void)number;
    was_interrupted = 1;
}

/* Only so that a change of the terminal's size ends a wait. */
static void note_resize(int number)
{
    (void)number;
}

enum form { FORM_SCREEN, FORM_JSON, FORM_PROMETHEUS };

struct monitor {
    enum form form;
    const char *to; /* a file that is replaced at each interval; NULL: standard output */
    const char *command;
    uint64_t interval_s;
    uint64_t count; /* of intervals; 0: without end */
    uint64_t limit_s;
    uint64_t max_write_ms;
    uint64_t max_read_ms;
    uint64_t max_errors;
    uint64_t min_free_bytes;
    uint64_t min_free_percent;
    uint64_t times; /* in a row that a threshold is crossed before it counts */
    bool read_only;
    size_t path_count;
    struct health health[PATHS_MAX];
    struct monitor_sample samples[PATHS_MAX];
    struct mountstats before[PATHS_MAX];
    bool has_before[PATHS_MAX];
    uint64_t before_ms[PATHS_MAX];
    uint64_t crossed[PATHS_MAX];
};

/* 10%, 500M, 2G, 1048576 */
static int read_free(const char *word, struct monitor *monitor)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    unsigned long long number = strtoull(word, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    bool is_number = word[0] >= '0' && word[0] <= '9' && number < (1ull << 40);
    if (is_number && strcmp(end, "%") == 0 && number <= 100) {
        monitor->min_free_percent = number;
        return CLI_OK;
    }
    if (!is_number ||
        (*end != '\0' && (unit == NULL || (end[1] != '\0' && strcmp(end + 1, "iB") != 0))))
        return cli_usage(
            "--min-free takes a percentage (10%%) or bytes (500M, 2GiB), not %s.", word);
    monitor->min_free_bytes = unit == NULL ? number : number << (10 * (unit - units + 1));
    return CLI_OK;
}

static int read_form(const char *word, struct monitor *monitor)
{
    static const char *const names[] = { "screen", "json", "prometheus" };
    monitor->form = isatty(STDOUT_FILENO) && monitor->to == NULL ? FORM_SCREEN : FORM_JSON;
    if (word == NULL)
        return CLI_OK;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], word) == 0) {
            monitor->form = i;
            return CLI_OK;
        }
    }
    return cli_usage("-o takes screen, json or prometheus, not %s.", word);
}

static int read_words(struct monitor *monitor, int *argc, char **argv)
{
    const char *form = NULL;
    const char *free_word = NULL;
    const char *numbers[7] = { NULL };
    const struct cli_option options[] = { { "-o", &form, NULL }, { "--to", &monitor->to, NULL },
        { "--exec", &monitor->command, NULL }, { "--min-free", &free_word, NULL },
        { "--interval", &numbers[0], NULL }, { "--count", &numbers[1], NULL },
        { "--timeout", &numbers[2], NULL }, { "--max-write-ms", &numbers[3], NULL },
        { "--max-read-ms", &numbers[4], NULL }, { "--max-errors", &numbers[5], NULL },
        { "--times", &numbers[6], NULL }, { "--read-only", NULL, &monitor->read_only } };
    struct {
        const char *name;
        uint64_t low, high;
        uint64_t *to;
    } const rows[] = { { "--interval", 1, 86400, &monitor->interval_s },
        { "--count", 1, UINT32_MAX, &monitor->count }, { "--timeout", 1, 3600, &monitor->limit_s },
        { "--max-write-ms", 1, MS_MAX, &monitor->max_write_ms },
        { "--max-read-ms", 1, MS_MAX, &monitor->max_read_ms },
        { "--max-errors", 0, UINT32_MAX, &monitor->max_errors },
        { "--times", 1, 1000, &monitor->times } };
    int status = cli_parse(options, ARRAY_SIZE(options), argc, argv);
    if (status == CLI_OK && (*argc < 2 || *argc > PATHS_MAX + 1))
        status =
            cli_usage("`monitor` takes 1 to %d directories; see shoal monitor --help.", PATHS_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(rows) && status == CLI_OK; i++)
        status = cli_number(rows[i].name, numbers[i], rows[i].low, rows[i].high, rows[i].to);
    if (status == CLI_OK && free_word != NULL)
        status = read_free(free_word, monitor);
    return status == CLI_OK ? read_form(form, monitor) : status;
}

/* Starts the probes that can be started. */
static void begin_samples(struct monitor *monitor, char **paths)
{
    for (size_t i = 0; i < monitor->path_count; i++) {
        struct monitor_sample *sample = &monitor->samples[i];
        const struct health_request request = {
            .path = paths[i], .size = PROBE_SIZE, .read_only = monitor->read_only
        };
        *sample = (struct monitor_sample){ .path = paths[i], .mount = &monitor->health[i].mount };
        sample->is_skipped = !health_is_free(&monitor->health[i]);
        if (sample->is_skipped)
            continue;
        int err = health_start(&monitor->health[i], &request);
        if (err < 0) {
            sample->health.err = err;
            monitor->health[i].child.pid = 0;
        }
    }
}

static void end_samples(struct monitor *monitor)
{
    uint64_t deadline_ms = child_now_ms() + monitor->limit_s * 1000;
    for (size_t i = 0; i < monitor->path_count; i++) {
        struct monitor_sample *sample = &monitor->samples[i];
        if (!sample->is_skipped && sample->health.err == 0)
            health_finish(&monitor->health[i], deadline_ms, &sample->health);
        uint64_t now_ms = child_now_ms();
        bool has_now = mountinfo_is_nfs(sample->mount) &&
                       mountstats_read(sample->mount->point, &sample->now) == 0;
        sample->has_rates = has_now && monitor->has_before[i];
        sample->seconds = (double)(now_ms - monitor->before_ms[i]) / 1000;
        if (sample->has_rates)
            sample->difference = monitor_difference(&sample->now, &monitor->before[i]);
        monitor->has_before[i] = has_now;
        monitor->before[i] = sample->now;
        monitor->before_ms[i] = now_ms;
    }
}

/* The threshold that the sample crosses, as a text; false: none. */
static bool crosses(
    const struct monitor *monitor, const struct monitor_sample *sample, char reason[REASON_SIZE])
{
    const struct health_result *health = &sample->health;
    const char *status = monitor_status(sample);
    uint64_t free_percent =
        health->total_bytes > 0 ? health->free_bytes / (health->total_bytes / 100 + 1) : 100;
    bool is_fine =
        strcmp(status, "ok") == 0 || (monitor->read_only && strcmp(status, "read-only") == 0);
    if (!is_fine)
        (void)snprintf(reason, REASON_SIZE, "%s is %s", sample->path, status);
    else if (monitor->max_write_ms > 0 && health->write_ns > monitor->max_write_ms * NS_PER_MS)
        (void)snprintf(reason, REASON_SIZE, "%s: writing took %" PRIu64 " ms", sample->path,
            health->write_ns / NS_PER_MS);
    else if (monitor->max_read_ms > 0 && health->read_ns > monitor->max_read_ms * NS_PER_MS)
        (void)snprintf(reason, REASON_SIZE, "%s: reading took %" PRIu64 " ms", sample->path,
            health->read_ns / NS_PER_MS);
    else if (health->total_bytes > 0 && (health->free_bytes < monitor->min_free_bytes ||
                                            free_percent < monitor->min_free_percent))
        (void)snprintf(reason, REASON_SIZE, "%s: %" PRIu64 " bytes are free", sample->path,
            health->free_bytes);
    else if (sample->has_rates &&
             sample->difference.errors + sample->difference.timeouts > monitor->max_errors)
        (void)snprintf(reason, REASON_SIZE, "%s: %" PRIu64 " errors and time-outs", sample->path,
            sample->difference.errors + sample->difference.timeouts);
    else
        return false;
    return true;
}

/* Runs the command of --exec, which is told by the environment what happened; does not wait for more than that it starts. */
static void call_command(
    const char *command, const struct monitor_sample *sample, const char *reason)
{
    pid_t pid = fork();
    if (pid != 0) {
        if (pid < 0)
            (void)cli_fail("The command cannot be run: %s.", strerrordesc_np(errno));
        return;
    }
    const char *const words[][2] = { { "SHOAL_MONITOR_PATH", sample->path },
        { "SHOAL_MONITOR_STATUS", monitor_status(sample) }, { "SHOAL_MONITOR_REASON", reason } };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): a new process with one thread
        if (setenv(words[i][0], words[i][1], 1) < 0)
            _exit(127);
    }
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* Gives whether monitor is to end for a threshold. */
static bool act(struct monitor *monitor)
{
    bool ends = false;
    for (size_t i = 0; i < monitor->path_count; i++) {
        char reason[REASON_SIZE];
        bool is_crossed = crosses(monitor, &monitor->samples[i], reason);
        monitor->crossed[i] = is_crossed ? monitor->crossed[i] + 1 : 0;
        if (monitor->crossed[i] != monitor->times)
            continue; /* not yet, or it was acted on already */
        (void)cli_fail("%s.", reason);
        if (monitor->command != NULL)
            call_command(monitor->command, &monitor->samples[i], reason);
        else
            ends = true;
    }
    while (waitpid(-1, NULL, WNOHANG) >
           0) /* commands that have ended, and probes that could at last */
        ;
    return ends;
}

static int print_lines(const struct monitor *monitor, FILE *out)
{
    struct clock_time now = clock_wall();
    for (size_t i = 0; i < monitor->path_count; i++) {
        json_t *json =
            monitor_json(&monitor->samples[i], (double)now.seconds + (double)now.nanoseconds / 1e9);
        int status =
            json != NULL ? json_dumpf(json, out, JSON_COMPACT | JSON_REAL_PRECISION(15)) : -1;
        json_decref(json);
        if (status < 0 || fputc('\n', out) == EOF)
            return -EIO;
    }
    return 0;
}

static void print_screen(const struct monitor *monitor)
{
    struct winsize size = { 0 };
    unsigned width = WIDTH_DEFAULT;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        width = size.ws_col;
    (void)fputs(CLEAR_SCREEN, stdout);
    monitor_print_head(stdout, width, (double)monitor->interval_s);
    for (size_t i = 0; i < monitor->path_count; i++)
        monitor_print_row(stdout, width, &monitor->samples[i]);
}

static int print(const struct monitor *monitor, FILE *out)
{
    int err = 0;
    if (monitor->form == FORM_SCREEN)
        print_screen(monitor);
    else if (monitor->form == FORM_JSON)
        err = print_lines(monitor, out);
    else
        err = monitor_print_prometheus(out, monitor->samples, monitor->path_count);
    return fflush(out) != 0 ? -EIO : err;
}

/* To standard output, or into a file that readers see whole (as node_exporter's collector of text files wants it). */
static int show(const struct monitor *monitor)
{
    char name[4096];
    if (monitor->to == NULL)
        return print(monitor, stdout) == 0 ? CLI_OK : cli_fail("Cannot write to the output.");
    size_t used = 0;
    if (text_append(name, sizeof name, &used, "%s.tmp", monitor->to) < 0)
        return cli_usage("The name of the file is too long.");
    FILE *out = fopen(name, "we");
    int err = out == NULL ? -errno : print(monitor, out);
    if (out != NULL && fclose(out) != 0 && err == 0)
        err = -EIO;
    if (err == 0 && rename(name, monitor->to) < 0)
        err = -errno;
    return err == 0 ? CLI_OK : cli_fail("Cannot write %s: %s.", monitor->to, strerrordesc_np(-err));
}

/* Waits for the next interval; gives false when a person or a signal ends it. A change of the terminal's size shows at once. */
static bool wait_for_next(const struct monitor *monitor, uint64_t next_ms)
{
    bool has_keys = monitor->form == FORM_SCREEN && isatty(STDIN_FILENO);
    for (uint64_t now_ms; !was_interrupted && (now_ms = child_now_ms()) < next_ms;) {
        struct pollfd key = { .fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN };
        int count = poll(&key, 1, (int)(next_ms - now_ms));
        char byte = 0;
        if (count > 0 && (read(STDIN_FILENO, &byte, 1) != 1 || byte == 'q'))
            return false;
        if (count < 0 && monitor->form == FORM_SCREEN) {
            print_screen(monitor); /* SIGWINCH */
            (void)fflush(stdout);
        }
    }
    return !was_interrupted;
}

static int run(struct monitor *monitor, char **paths)
{
    uint64_t next_ms = child_now_ms();
    int status = CLI_OK;
    for (uint64_t round = 0; monitor->count == 0 || round < monitor->count; round++) {
        if (round > 0 && !wait_for_next(monitor, next_ms))
            break;
        next_ms = max_u64(next_ms, child_now_ms()) + monitor->interval_s * 1000;
        begin_samples(monitor, paths);
        end_samples(monitor);
        status = show(monitor);
        if (status != CLI_OK)
            break;
        if (act(monitor)) {
            status = CLI_FAILED;
            break;
        }
    }
    return status;
}

/* Keys arrive one by one and are not shown, as long as the screen is up. */
static void set_terminal(const struct monitor *monitor, struct termios *kept, bool begins)
{
    if (monitor->form != FORM_SCREEN || !isatty(STDIN_FILENO))
        return;
    if (!begins) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, kept);
    } else if (tcgetattr(STDIN_FILENO, kept) == 0) {
        struct termios raw = *kept;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
}

int cmd_monitor(int argc, char **argv)
{
    const struct sigaction on_end = { .sa_handler = note_interrupt };
    const struct sigaction on_resize = { .sa_handler = note_resize };
    struct termios kept = { 0 };
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL)
        return cli_fail("There is no memory left.");
    monitor->interval_s = 5;
    monitor->limit_s = 10;
    monitor->times = 1;
    monitor->max_errors = UINT32_MAX;
    int status = read_words(monitor, &argc, argv);
    if (status == CLI_OK) {
        monitor->path_count = (size_t)argc - 1;
        (void)sigaction(SIGINT, &on_end, NULL);
        (void)sigaction(SIGTERM, &on_end, NULL);
        (void)sigaction(SIGWINCH, &on_resize, NULL);
        set_terminal(monitor, &kept, true);
        status = run(monitor, argv + 1);
        set_terminal(monitor, &kept, false);
    }
    free(monitor);
    return status;
}
