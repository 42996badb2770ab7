/*
 * cli/doctor/path.c - the checks of a path that is mounted, or should be (room: cli).
 *
 * The path itself is touched only in the child of mount/health.h; all else comes from /proc and from the server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/doctor/doctor.h"
#include "mount/mountstats.h"
#include "mount/state.h"

#define PROBE_SIZE 4096u

static void check_options(struct doctor *doctor, const struct mountinfo *mount)
{
    char found[DOCTOR_TEXT_SIZE];
    char value[64];
    const char *list = mount->super_options;
    (void)snprintf(
        found, sizeof found, "%.200s on %.200s: %.500s", mount->source, mount->point, list);
    doctor_set(doctor, CHECK_CONFIGURATION, DOCTOR_OK, found, "");
    if (mountinfo_option(list, "soft", value, sizeof value) == 0)
        doctor_set(doctor, CHECK_CONFIGURATION, DOCTOR_WARN, found,
            "soft mounts give programs errors, and lose data, when the server is away for a while: "
            "shoal remount with hard");
    else if (mountinfo_option(list, "noresvport", value, sizeof value) < 0)
        doctor_set(doctor, CHECK_CONFIGURATION, DOCTOR_WARN, found,
            "without noresvport a broken connection may not come back through a firewall: remount "
            "with it");
    else if (mountinfo_option(list, "vers", value, sizeof value) == 0 && value[0] != '4')
        doctor_set(doctor, CHECK_CONFIGURATION, DOCTOR_FAIL, found, "use nfsvers=4.1");
}

/* The counters of the kernel: what went wrong since it was mounted. */
static void check_counters(struct doctor *doctor, const struct mountinfo *mount)
{
    struct mountstats stats;
    char found[DOCTOR_TEXT_SIZE];
    if (mountstats_read(mount->point, &stats) < 0)
        return;
    (void)snprintf(found, sizeof found,
        "%llu calls in %llu s; %llu sent again, %llu timed out, %llu connections made",
        (unsigned long long)stats.operations, (unsigned long long)stats.age_s,
        (unsigned long long)stats.retransmissions, (unsigned long long)stats.timeouts,
        (unsigned long long)stats.connects);
    bool is_bad = stats.timeouts > 0 || stats.retransmissions > stats.operations / 100 + 10;
    doctor_set(doctor, CHECK_SERVICE, is_bad ? DOCTOR_WARN : DOCTOR_OK, found,
        is_bad
            ? "the network or the server was slow or away: see shoal monitor, and the log of shoald"
            : "");
}

/* The server of the mount, and whether it answers; through the tunnel when there is one. Gives whether it does. */
static bool check_server(struct doctor *doctor, const struct mountinfo *mount)
{
    char found[DOCTOR_TEXT_SIZE];
    char address[64] = "";
    char port_text[16] = "2049";
    uint64_t port = 0;
    bool reached = false;
    struct problem problem = { "" };
    (void)!mountinfo_option(
        mount->super_options, "addr", address, sizeof address); /* checked below */
    (void)!mountinfo_option(mount->super_options, "port", port_text, sizeof port_text);
    if (address[0] == '\0' || text_parse_u64(port_text, UINT16_MAX, &port) < 0)
        return false;
    if (port == 0)
        port = 2049;
    bool has_tunnel =
        strcmp(address, TUNNEL_ADDRESS) == 0 && port >= TUNNEL_PORT_LOW && port <= TUNNEL_PORT_HIGH;
    (void)snprintf(found, sizeof found, "%s port %u", address, (unsigned)port);
    doctor_set(doctor, CHECK_MOUNT_TARGET, DOCTOR_OK, found, "");
    if (has_tunnel && !tunnel_is_alive((uint16_t)port)) {
        (void)snprintf(found, sizeof found,
            "the mount goes through a tunnel at port %u that is gone", (unsigned)port);
        char fix[DOCTOR_TEXT_SIZE];
        (void)snprintf(fix, sizeof fix, "shoal remount %s starts it again", mount->point);
        doctor_set(doctor, CHECK_TLS, DOCTOR_FAIL, found, fix);
        return false;
    }
    if (has_tunnel)
        doctor_set(doctor, CHECK_TLS, DOCTOR_OK, "the tunnel of the mount is there", "");
    int err = probe_nfs(address, (uint16_t)port, doctor->limit_ms, &reached);
    if (err < 0) {
        (void)probe_explain(err, reached, address, (uint16_t)port, &problem);
        doctor_set_problem(doctor, reached && err == -ECONNRESET ? CHECK_SECURITY_GROUP : CHECK_TCP,
            DOCTOR_FAIL, &problem);
        return false;
    }
    (void)snprintf(found, sizeof found, "%s port %u answers an NFS call", address, (unsigned)port);
    doctor_set(doctor, CHECK_TCP, DOCTOR_OK, found, "");
    return true;
}

static void tell_health(
    struct doctor *doctor, const struct health *health, const struct health_result *result)
{
    char found[DOCTOR_TEXT_SIZE];
    char fix[DOCTOR_TEXT_SIZE];
    const char *point = health->mount.point;
    if (result->err == -ETIMEDOUT) {
        (void)snprintf(found, sizeof found, "%s does not answer within %llu s", doctor->subject,
            (unsigned long long)(doctor->limit_ms / 1000));
        (void)snprintf(
            fix, sizeof fix, "if the server does not come back: shoal remount %s", point);
        doctor_set(doctor, CHECK_EXPORT, DOCTOR_FAIL, found, fix);
        return;
    }
    if (strcmp(result->step, "open") == 0) {
        (void)snprintf(found, sizeof found, "%s cannot be opened: %s", doctor->subject,
            strerrordesc_np(-result->err));
        doctor_set(doctor, CHECK_EXPORT, DOCTOR_FAIL, found,
            result->err == -ESTALE
                ? "its file system was deleted or replaced: unmount it (shoal umount)"
                : "check the path and its modes (ls -ld)");
        return;
    }
    doctor_set(doctor, CHECK_EXPORT, DOCTOR_OK, "the directory can be opened", "");
    (void)snprintf(found, sizeof found, "asks as %u:%u", geteuid(), getegid());
    doctor_set(doctor, CHECK_IDENTITY, DOCTOR_OK, found, "");
    if (result->err < 0 && !result->writable) {
        (void)snprintf(found, sizeof found, "%s: %s", result->step, strerrordesc_np(-result->err));
        doctor_set(doctor, strcmp(result->step, "fsync") == 0 ? CHECK_FSYNC : CHECK_WRITE,
            DOCTOR_FAIL, found,
            result->err == -EROFS
                ? "the mount is read-only (ro), or the policy withholds ClientWrite"
            : result->err == -EACCES || result->err == -EPERM
                ? "give the directory to this user (chown, chmod), or work as another; root may be "
                  "squashed"
                : "look at the space (df) and into the log of shoald");
        return;
    }
    (void)snprintf(
        found, sizeof found, "written and made durable in %.1f ms", (double)result->write_ns / 1e6);
    doctor_set(doctor, CHECK_WRITE, DOCTOR_OK, found, "");
    doctor_set(doctor, CHECK_FSYNC, DOCTOR_OK, found, "");
    (void)snprintf(found, sizeof found, "read back in %.1f ms%s%s", (double)result->read_ns / 1e6,
        result->err < 0 ? ", but " : ", every byte is the same",
        result->err == -EBADMSG ? "the bytes differ"
        : result->err < 0       ? strerrordesc_np(-result->err)
                                : "");
    doctor_set(doctor, CHECK_READ_BACK, result->err < 0 ? DOCTOR_FAIL : DOCTOR_OK, found,
        result->err < 0 ? "look into the log of shoald and check the disk" : "");
}

void doctor_check_path(struct doctor *doctor, const char *path)
{
    struct health_result result;
    char found[DOCTOR_TEXT_SIZE];
    const struct health_request request = { .path = path, .size = PROBE_SIZE };
    struct health *health = calloc(1, sizeof *health);
    int err = health == NULL ? -ENOMEM : health_start(health, &request);
    if (err < 0) {
        doctor_set(
            doctor, CHECK_CONFIGURATION, DOCTOR_FAIL, strerrordesc_np(-err), "check the path");
        free(health);
        return;
    }
    bool is_nfs = mountinfo_is_nfs(&health->mount);
    if (is_nfs) {
        check_options(doctor, &health->mount);
        check_counters(doctor, &health->mount);
        (void)check_server(doctor, &health->mount);
    } else {
        struct state_mount state;
        bool was_ours = state_read(health->clean_path, &state) == 0;
        (void)snprintf(found, sizeof found,
            "no NFS file system is mounted there (%.100s, %.30s)%s%.300s", health->mount.source,
            health->mount.type, was_ours ? "; it was " : "", was_ours ? state.source : "");
        doctor_set(doctor, CHECK_CONFIGURATION, was_ours ? DOCTOR_FAIL : DOCTOR_WARN, found,
            was_ours ? "shoal remount mounts it again"
                     : "shoal mount SOURCE DIRECTORY, if it should be");
    }
    health_finish(health, child_now_ms() + doctor->limit_ms, &result);
    tell_health(doctor, health, &result);
    free(health);
}
