/*
 * auth/audit.c - the queue of lines, and the thread that writes them (room: auth).
 *
 * A full disk loses lines, not the service: the failure is logged and counted, and the thread goes on with the next
 * lines. Lines are not synced one by one; a crash of the machine may take the last second's.
 */
#include "auth/audit.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"

#define QUEUE_BYTES_MAX (4u << 20)
#define TIME_SIZE       32u
#define NAME_SIZE       32u

/* One line that waits to be written. */
struct line {
    struct line *next;
    size_t size; /* with the newline */
    char *text;
};

struct audit {
    struct audit_options options;
    int dir_fd; /* of AUDIT_DIRECTORY */
    int fd;     /* of the file that grows; -1: could not be opened; the thread's own, as the next */
    uint64_t size_bytes; /* of that file */
    pthread_t thread;
    bool has_thread;
    struct mutex lock; /* guards all below */
    pthread_cond_t changed;
    struct line *first;
    struct line *last;
    size_t queue_bytes;
    struct audit_counts counts;
    uint64_t lost_told; /* lines lost of which a line tells already */
    bool is_stopping;
};

/* ---- lines --------------------------------------------------------------------------------------------- */

static void time_text(int64_t now_ms, char out_text[TIME_SIZE])
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    size_t used = strftime(out_text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    (void)snprintf(out_text + used, TIME_SIZE - used, ".%03uZ", (unsigned)(now_ms % 1000));
}

void audit_address_text(const struct sockaddr_storage *address, char *out_text)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    const char *text = NULL;
    if (address != NULL && address->ss_family == AF_INET) {
        memcpy(&in, address, sizeof in);
        text = inet_ntop(AF_INET, &in.sin_addr, out_text, INET6_ADDRSTRLEN);
    } else if (address != NULL && address->ss_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            text = inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], out_text, INET6_ADDRSTRLEN);
        else
            text = inet_ntop(AF_INET6, &in6.sin6_addr, out_text, INET6_ADDRSTRLEN);
    }
    if (text == NULL)
        out_text[0] = '\0';
}

/* Adds a text that is not empty; bytes that are no UTF-8 are left out with the text. */
static void put_text(json_t *object, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0')
        (void)json_object_set_new(object, name, json_string(text));
}

static void count_lost(struct audit *audit)
{
    mutex_lock(&audit->lock);
    audit->counts.lost++;
    mutex_unlock(&audit->lock);
}

static bool queue_locked(struct audit *audit, struct line *line) REQUIRES(audit->lock)
{
    if (audit->queue_bytes + line->size > QUEUE_BYTES_MAX) {
        audit->counts.lost++;
        return false;
    }
    if (audit->last != NULL)
        audit->last->next = line;
    else
        audit->first = line;
    audit->last = line;
    audit->queue_bytes += line->size;
    return true;
}

/* Queues the object (taken) as a line. */
static void report(struct audit *audit, json_t *object)
{
    struct line *line = calloc(1, sizeof *line);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (line == NULL || text == NULL) {
        free(line);
        free(text);
        count_lost(audit);
        return;
    }
    line->text = text;
    line->size = strlen(text) + 1;
    text[line->size - 1] = '\n'; /* in the place of the NUL; the size says where it ends */
    mutex_lock(&audit->lock);
    bool is_queued = queue_locked(audit, line);
    mutex_unlock(&audit->lock);
    (void)pthread_cond_signal(&audit->changed); /* cannot fail */
    if (!is_queued) {
        free(line->text);
        free(line);
    }
}

void audit_call(struct audit *audit, const struct audit_call *call)
{
    char time[TIME_SIZE];
    char address[INET6_ADDRSTRLEN];
    if (audit == NULL)
        return;
    time_text(call->now_ms, time);
    json_t *object = json_pack("{ss ss}", "time", time, "event", "api");
    put_text(object, "request", call->request);
    put_text(object, "principal", call->principal);
    put_text(object, "key", call->key);
    audit_address_text(call->source, address);
    put_text(object, "source", address);
    put_text(object, "service", call->service);
    put_text(object, "action", call->action);
    put_text(object, "resource", call->resource);
    put_text(object, "created", call->created);
    put_text(object, "result", call->result);
    (void)json_object_set_new(object, "status", json_integer(call->status));
    if (call->denied)
        (void)json_object_set_new(object, "denied", json_true());
    report(audit, object);
}

void audit_mount(struct audit *audit, const struct audit_mount *mount)
{
    char time[TIME_SIZE];
    char address[INET6_ADDRSTRLEN];
    if (audit == NULL)
        return;
    time_text(mount->now_ms, time);
    json_t *object = json_pack("{ss ss}", "time", time, "event", "mount");
    put_text(object, "principal", mount->principal != NULL ? mount->principal : "anonymous");
    audit_address_text(mount->source, address);
    put_text(object, "source", address);
    put_text(object, "file_system", mount->file_system);
    put_text(object, "access_point", mount->access_point);
    json_t *actions = json_array();
    if (mount->may_mount)
        (void)json_array_append_new(actions, json_string("ClientMount"));
    if (mount->may_write)
        (void)json_array_append_new(actions, json_string("ClientWrite"));
    if (mount->may_be_root)
        (void)json_array_append_new(actions, json_string("ClientRootAccess"));
    (void)json_object_set_new(object, "allowed", actions);
    put_text(object, "result", mount->may_mount ? "ok" : "refused");
    put_text(object, "reason", mount->reason);
    if (!mount->may_mount)
        (void)json_object_set_new(object, "denied", json_true());
    report(audit, object);
}

void audit_certificate(struct audit *audit, const struct audit_certificate *certificate)
{
    char time[TIME_SIZE];
    char address[INET6_ADDRSTRLEN];
    if (audit == NULL)
        return;
    time_text(certificate->now_ms, time);
    audit_address_text(certificate->source, address);
    json_t *object = json_pack("{ss ss}", "time", time, "event", "certificate");
    put_text(object, "source", address);
    put_text(object, "file_system", certificate->file_system);
    put_text(object, "result", "refused");
    put_text(object, "reason", certificate->reason);
    (void)json_object_set_new(object, "denied", json_true());
    report(audit, object);
}

struct audit_counts audit_counts(struct audit *audit)
{
    mutex_lock(&audit->lock);
    struct audit_counts counts = audit->counts;
    mutex_unlock(&audit->lock);
    return counts;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void file_name(unsigned number, char out_name[NAME_SIZE])
{
    if (number == 0)
        (void)snprintf(out_name, NAME_SIZE, AUDIT_FILE);
    else
        (void)snprintf(out_name, NAME_SIZE, AUDIT_FILE ".%u", number);
}

static int open_file(struct audit *audit)
{
    struct stat st;
    audit->fd =
        sys_openat(audit->dir_fd, AUDIT_FILE, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (audit->fd < 0)
        return audit->fd;
    audit->size_bytes = fstat(audit->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return 0;
}

/* audit.log becomes audit.log.1, and so on; the last one goes. */
static void rotate(struct audit *audit)
{
    char from[NAME_SIZE];
    char to[NAME_SIZE];
    (void)close(audit->fd); /* only appended to; a failure of writing was seen when writing */
    audit->fd = -1;
    file_name(audit->options.file_count - 1, to);
    if (unlinkat(audit->dir_fd, to, 0) < 0 && errno != ENOENT)
        LOG_WARN("an old audit log cannot be removed", "file=%s error=\"%m\"", to);
    for (unsigned i = audit->options.file_count - 1; i > 0; i--) {
        file_name(i - 1, from);
        file_name(i, to);
        if (renameat(audit->dir_fd, from, audit->dir_fd, to) < 0 && errno != ENOENT)
            LOG_WARN("the audit log cannot be rotated", "file=%s error=\"%m\"", from);
    }
    audit->size_bytes = 0;
}

/* Writes all of a line. False: it is not there, or only its beginning. */
static bool write_line(struct audit *audit, const char *text, size_t size)
{
    if (audit->fd >= 0 && audit->size_bytes > 0 &&
        audit->size_bytes + size > audit->options.size_max_bytes)
        rotate(audit);
    int err = audit->fd < 0 ? open_file(audit) : 0;
    size_t done = 0;
    while (err >= 0 && done < size) {
        ssize_t count = write(audit->fd, text + done, size - done);
        if (count < 0 && errno != EINTR)
            err = -errno;
        done += count > 0 ? (size_t)count : 0;
    }
    audit->size_bytes += done;
    if (err < 0)
        LOG_ERROR("the audit log cannot be written", "error=\"%s\"", strerrordesc_np(-err));
    return err >= 0;
}

/* Tells in the log itself that lines are missing. */
static void tell_lost(struct audit *audit, uint64_t count)
{
    char time[TIME_SIZE];
    char text[128];
    struct clock_time now = clock_wall();
    time_text(now.seconds * 1000 + now.nanoseconds / 1000000, time);
    int size = snprintf(text, sizeof text, "{\"time\":\"%s\",\"event\":\"lost\",\"count\":%llu}\n",
        time, (unsigned long long)count);
    LOG_WARN("lines of the audit log were lost", "count=%llu", (unsigned long long)count);
    (void)write_line(audit, text, (size_t)size); /* logged there */
}

/* Writes a list of lines and frees them; gives how many were written. */
static uint64_t write_lines(struct audit *audit, struct line *line, uint64_t *out_failed)
{
    uint64_t written = 0;
    *out_failed = 0;
    while (line != NULL) {
        struct line *next = line->next;
        if (write_line(audit, line->text, line->size))
            written++;
        else
            (*out_failed)++;
        free(line->text);
        free(line);
        line = next;
    }
    return written;
}

static void *run(void *context)
{
    struct audit *audit = context;
    mutex_lock(&audit->lock);
    while (audit->first != NULL || !audit->is_stopping) {
        if (audit->first == NULL) {
            (void)pthread_cond_wait(&audit->changed, &audit->lock.pthread); /* cannot fail */
            continue;
        }
        struct line *lines = audit->first;
        uint64_t missing = audit->counts.lost - audit->lost_told;
        uint64_t failed = 0;
        audit->first = audit->last = NULL;
        audit->queue_bytes = 0;
        audit->lost_told = audit->counts.lost;
        mutex_unlock(&audit->lock);
        uint64_t written = write_lines(audit, lines, &failed);
        if (missing > 0)
            tell_lost(audit, missing);
        mutex_lock(&audit->lock);
        audit->counts.written += written;
        audit->counts.lost += failed;
    }
    mutex_unlock(&audit->lock);
    return NULL;
}

int audit_new(const struct audit_options *options, struct audit **out_audit)
{
    assert(options->file_count >= 1 && options->file_count <= AUDIT_FILES_MAX);
    struct audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL)
        return -ENOMEM;
    audit->options = *options;
    audit->fd = audit->dir_fd = -1;
    audit->lock.pthread = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    audit->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    int err = sys_mkdirat(options->dir_fd, AUDIT_DIRECTORY, 0700);
    if (err == 0) {
        audit->dir_fd =
            sys_openat(options->dir_fd, AUDIT_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        err = audit->dir_fd < 0 ? audit->dir_fd : open_file(audit);
    }
    if (err == 0)
        err = -pthread_create(&audit->thread, NULL, run, audit);
    if (err < 0) {
        audit_free(audit);
        return err;
    }
    audit->has_thread = true;
    *out_audit = audit;
    return 0;
}

void audit_free(struct audit *audit)
{
    if (audit == NULL)
        return;
    if (audit->has_thread) {
        mutex_lock(&audit->lock);
        audit->is_stopping = true;
        mutex_unlock(&audit->lock);
        (void)pthread_cond_signal(&audit->changed); /* cannot fail */
        (void)pthread_join(audit->thread, NULL);    /* cannot fail */
    }
    if (audit->fd >= 0)
        (void)close(audit->fd); /* only appended to */
    if (audit->dir_fd >= 0)
        (void)close(audit->dir_fd); /* only read */
    free(audit);
}
