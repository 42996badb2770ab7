/*
 * daemon/announce.c - run/shoald.json and the notification socket (room: daemon).
 */
#include "daemon/announce.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/sys.h"

#define RUN_DIR  "run"
#define RUN_FILE "shoald.json"

static int open_run_dir(int dir_fd)
{
    int err = sys_mkdirat(dir_fd, RUN_DIR, 0700);
    return err < 0 ? err : sys_openat(dir_fd, RUN_DIR, O_RDONLY | O_DIRECTORY, 0);
}

/* [{"id": "subnet-...", "zone": "us-east-1a"}, ...]; NULL when there is no memory. */
static json_t *subnet_list(const struct catalog_network *network)
{
    json_t *list = json_array();
    for (size_t i = 0; i < network->zone_count && list != NULL; i++) {
        json_t *item = json_pack(
            "{s:s, s:s}", "id", network->subnets[i].id, "zone", network->subnets[i].zone->name);
        if (json_array_append_new(list, item) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* ["127.0.0.1:8053", ...]; NULL when there is no memory. */
static json_t *dns_list(const struct endpoint_list *dns)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < dns->count && list != NULL; i++) {
        char text[ENDPOINT_TEXT_SIZE];
        endpoint_format(&dns->items[i], text);
        if (json_array_append_new(list, json_string(text)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

int announce_write(int dir_fd, const struct announcement *announcement)
{
    char *text = NULL;
    json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:i, s:i, s:s, s:o, s:s, s:o}", "pid",
        (int)getpid(), "endpoint", announcement->endpoint, "region", announcement->region,
        "account_id", announcement->account_id, "control_port", (int)announcement->control_port,
        "nfs_port", (int)announcement->nfs_port, "version", SHOAL_VERSION, "subnets",
        subnet_list(announcement->network), "suffix", announcement->suffix, "dns",
        dns_list(announcement->dns));
    if (json != NULL)
        text = json_dumps(json, JSON_INDENT(2));
    json_decref(json);
    if (text == NULL)
        return -ENOMEM;
    int err = open_run_dir(dir_fd);
    if (err >= 0) {
        int run_fd = err;
        err = sys_replace_file(run_fd, RUN_FILE, text, strlen(text), 0600);
        (void)close(run_fd); /* a directory: nothing can be lost */
    }
    free(text);
    return err;
}

void announce_remove(int dir_fd)
{
    /* A file that stays does no harm: readers check its pid against the lock. */
    (void)unlinkat(dir_fd, RUN_DIR "/" RUN_FILE, 0);
}

/* The protocol of sd_notify(3): one datagram to the socket; a leading '@' means an abstract name.
 */
void announce_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd < 0 ||
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        LOG_WARN("the service manager cannot be told", "error=%s", strerrorname_np(errno));
    if (fd >= 0)
        (void)close(fd);
}

/* sd_watchdog_enabled(3): WATCHDOG_PID, where it is set, says whom it is for. */
void announce_alive(void)
{
    // NOLINTBEGIN(concurrency-mt-unsafe): nobody sets them
    const char *period = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    // NOLINTEND(concurrency-mt-unsafe)
    char own_pid[24];
    (void)snprintf(own_pid, sizeof own_pid, "%d", (int)getpid());
    if (period != NULL && (pid == NULL || strcmp(pid, own_pid) == 0))
        announce_notify("WATCHDOG=1");
}
