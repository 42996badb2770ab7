/*
 * cli/files/progress.c - the bar, the lines, the problems (room: cli).
 *
 * One thread paints, five times a second; others only count. The rate is that of the last seconds, so that the time
 * left follows what happens now.
 */
#include "cli/files/progress.h"

#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/files/format.h"

#define PAINT_MS        200u
#define LINE_MS         10000u
#define RATE_WINDOW     25u /* paints: five seconds */
#define BAR_WIDTH_MIN   5u
#define BAR_WIDTH_MAX   30u
#define LINE_SIZE       (10 * FORMAT_SIZE)
#define COLUMNS_DEFAULT 80u

static _Atomic bool stop_flag;

static void on_signal(int number)
{
    if (atomic_exchange(&stop_flag, true))
        _exit(128 + number);
}

const _Atomic bool *progress_stop_flag(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    (void)sigemptyset(&action.sa_mask); /* cannot fail */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    return &stop_flag;
}

/* How much was done at one moment. */
struct sample {
    uint64_t at_ns;
    uint64_t entries;
    uint64_t bytes;
};

struct rates {
    struct sample samples[RATE_WINDOW];
    unsigned count;
    double entries_per_s;
    double bytes_per_s;
};

static void take_sample(struct rates *rates, const struct progress *progress)
{
    struct sample now = { clock_monotonic_ns(), transfer_entries(&progress->stats),
        atomic_load(&progress->stats.bytes) };
    const struct sample *oldest =
        &rates->samples[rates->count < RATE_WINDOW ? 0 : rates->count % RATE_WINDOW];
    double seconds = rates->count == 0 ? 0 : (double)(now.at_ns - oldest->at_ns) / 1e9;
    if (seconds > 0) {
        rates->entries_per_s = (double)(now.entries - oldest->entries) / seconds;
        rates->bytes_per_s = (double)(now.bytes - oldest->bytes) / seconds;
    }
    rates->samples[rates->count++ % RATE_WINDOW] = now;
}

/* How much of the work is done, 0 to 1: entries and bytes both take time. */
static double fraction_done(const struct progress *progress)
{
    uint64_t entries = transfer_entries(&progress->totals);
    uint64_t bytes = atomic_load(&progress->totals.bytes);
    double done = 0;
    double weight = 0;
    if (entries > 0) {
        done += (double)transfer_entries(&progress->stats) / (double)entries;
        weight += 1;
    }
    if (bytes > 0) {
        done += (double)atomic_load(&progress->stats.bytes) / (double)bytes;
        weight += 1;
    }
    done = weight > 0 ? done / weight : 0;
    return done > 1 ? 1 : done;
}

/* The seconds that the slower of both, entries and bytes, still needs; negative: not known. */
static double seconds_left(const struct progress *progress, const struct rates *rates)
{
    double entries =
        (double)transfer_entries(&progress->totals) - (double)transfer_entries(&progress->stats);
    double bytes =
        (double)atomic_load(&progress->totals.bytes) - (double)atomic_load(&progress->stats.bytes);
    double left = 0;
    if (!atomic_load(&progress->totals_known))
        return -1;
    if (entries > 0)
        left = rates->entries_per_s > 0 ? entries / rates->entries_per_s : 1e9;
    if (bytes > 0 && rates->bytes_per_s > 0 && bytes / rates->bytes_per_s > left)
        left = bytes / rates->bytes_per_s;
    return left >= 1e9 ? -1 : left;
}

static unsigned terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : COLUMNS_DEFAULT;
}

/* "1,234/8,946 files, 45.2 MiB/117.0 MiB, 12.3 MiB/s, 0:05 left"; what is not known, or none, is left out. */
static void describe(
    const struct progress *progress, const struct rates *rates, char *line, size_t size)
{
    char text[FORMAT_SIZE];
    size_t used = 0;
    bool known = atomic_load(&progress->totals_known);
    uint64_t bytes = atomic_load(&progress->stats.bytes);
    uint64_t total_bytes = atomic_load(&progress->totals.bytes);
    double left = seconds_left(progress, rates);
    int err = text_append(
        line, size, &used, "%s", format_count(text, transfer_entries(&progress->stats)));
    if (err == 0 && known)
        err = text_append(
            line, size, &used, "/%s", format_count(text, transfer_entries(&progress->totals)));
    if (err == 0)
        err = text_append(line, size, &used, " files");
    if (err == 0 && bytes > 0)
        err = text_append(line, size, &used, ", %s", format_bytes(text, bytes));
    if (err == 0 && bytes > 0 && known)
        err = text_append(line, size, &used, "/%s", format_bytes(text, total_bytes));
    if (err == 0 && bytes > 0)
        err = text_append(
            line, size, &used, ", %s/s", format_bytes(text, (uint64_t)rates->bytes_per_s));
    else if (err == 0)
        err = text_append(
            line, size, &used, ", %s files/s", format_count(text, (uint64_t)rates->entries_per_s));
    if (err == 0 && left >= 0)
        err = text_append(line, size, &used, ", %s left", format_duration(text, left));
    assert(err == 0); /* every part is shorter than FORMAT_SIZE, and `line` has room for ten */
}

static void paint_bar(struct progress *progress, const struct rates *rates)
{
    char line[LINE_SIZE];
    char bar[BAR_WIDTH_MAX + 1];
    unsigned columns = terminal_columns();
    describe(progress, rates, line, sizeof line);
    size_t others = strlen(line) + strlen("[] 100% ") + 1;
    unsigned width = columns > others ? (unsigned)min_size(BAR_WIDTH_MAX, columns - others) : 0;
    double fraction = atomic_load(&progress->totals_known) ? fraction_done(progress) : 0;
    memset(bar, '-', width);
    memset(bar, '#', (size_t)(fraction * width));
    bar[width] = '\0';
    (void)fprintf(stderr, "\r\033[K");
    if (!atomic_load(&progress->totals_known))
        (void)fprintf(stderr, "%s ", progress->doing);
    else if (width >= BAR_WIDTH_MIN)
        (void)fprintf(stderr, "[%s] %3.0f%% ", bar, fraction * 100);
    (void)fprintf(stderr, "%.*s", (int)columns - 1, line);
    (void)fflush(stderr);
    progress->bar_is_shown = true;
}

static void *painter_main(void *argument)
{
    struct progress *progress = argument;
    struct rates rates = { .count = 0 };
    unsigned tick_ms = progress->is_terminal ? PAINT_MS : LINE_MS;
    char line[LINE_SIZE];
    mutex_lock(&progress->lock);
    while (!progress->ending) {
        uint64_t until_ns = clock_monotonic_ns() + (uint64_t)tick_ms * 1000000;
        struct timespec until = { .tv_sec = (time_t)(until_ns / 1000000000),
            .tv_nsec = (long)(until_ns % 1000000000) };
        take_sample(&rates, progress);
        (void)pthread_cond_timedwait(&progress->changed, &progress->lock.pthread, &until);
        if (progress->ending)
            break;
        take_sample(&rates, progress);
        if (progress->is_terminal) {
            paint_bar(progress, &rates);
        } else {
            describe(progress, &rates, line, sizeof line);
            (void)fprintf(stderr, "%s %s\n", progress->doing, line);
        }
    }
    mutex_unlock(&progress->lock);
    return NULL;
}

static void clear_bar_locked(struct progress *progress) REQUIRES(progress->lock)
{
    if (progress->bar_is_shown)
        (void)fprintf(stderr, "\r\033[K");
    progress->bar_is_shown = false;
}

void progress_begin(struct progress *progress, const char *doing, const char *start,
    const char *start_name, bool is_quiet)
{
    *progress = (struct progress){ .doing = doing,
        .start = start,
        .start_name = start_name == NULL ? "" : start_name,
        .is_quiet = is_quiet,
        .started_ns = clock_monotonic_ns(),
        .is_terminal = isatty(STDERR_FILENO) };
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&progress->lock.pthread, NULL); /* cannot fail without attributes */
    (void)pthread_condattr_init(&monotonic);                 /* cannot fail on Linux */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&progress->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    /* Without its thread there is no bar, and all else is the same. */
    progress->has_painter =
        !is_quiet && pthread_create(&progress->painter, NULL, painter_main, progress) == 0;
}

double progress_end(struct progress *progress)
{
    mutex_lock(&progress->lock);
    progress->ending = true;
    (void)pthread_cond_signal(&progress->changed);
    mutex_unlock(&progress->lock);
    if (progress->has_painter)
        (void)pthread_join(progress->painter, NULL); /* ours, and not joined yet */
    mutex_lock(&progress->lock);
    clear_bar_locked(progress);
    if (progress->problems_shown > PROGRESS_PROBLEMS_MAX)
        (void)fprintf(stderr, "shoal: and %llu more like these.\n",
            (unsigned long long)(progress->problems_shown - PROGRESS_PROBLEMS_MAX));
    mutex_unlock(&progress->lock);
    (void)pthread_cond_destroy(&progress->changed); /* nobody waits */
    (void)pthread_mutex_destroy(&progress->lock.pthread);
    return (double)(clock_monotonic_ns() - progress->started_ns) / 1e9;
}

static void show_problem(void *context, const char *path, const char *what, int error)
{
    struct progress *progress = context;
    const char *start = progress->start;
    size_t size = strlen(progress->start_name);
    const char *below = strncmp(path, progress->start_name, size) == 0 ? path + size : path;
    below += *below == '/';
    bool has_slash = start[0] != '\0' && start[strlen(start) - 1] == '/';
    mutex_lock(&progress->lock);
    if (progress->problems_shown++ < PROGRESS_PROBLEMS_MAX) {
        clear_bar_locked(progress);
        (void)fflush(stdout); /* so that both streams stand in order */
        (void)fprintf(stderr, "shoal: %s%s%s %s%s%s.\n", start,
            has_slash || below[0] == '\0' ? "" : "/", below, what, error < 0 ? ": " : "",
            error < 0 ? strerrordesc_np(-error) : "");
    }
    mutex_unlock(&progress->lock);
}

struct transfer_report progress_report(struct progress *progress)
{
    return (struct transfer_report){
        .stats = &progress->stats, .problem = show_problem, .context = progress
    };
}
