/*
 * cli/doctor/doctor.h - the numbered checks of shoal doctor: from the words to a byte that was read back.
 *
 * Each check says what was found and, when it is not fine, what mends it. They run in order; what cannot be reached any more,
 * because an earlier one failed, is skipped. Nothing is mounted: the NFS part is our own client library (src/client), in a
 * child with a time limit; a path that is mounted already is probed as shoal health does.
 */
#pragma once

#include <jansson.h>

#include "mount/health.h"
#include "mount/manager.h"
#include "mount/tunnel.h"

#define DOCTOR_TEXT_SIZE 6144

enum doctor_state { DOCTOR_SKIPPED, DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

enum doctor_step {
    CHECK_CONFIGURATION,
    CHECK_SERVICE,
    CHECK_MOUNT_TARGET,
    CHECK_DNS,
    CHECK_TCP,
    CHECK_SECURITY_GROUP,
    CHECK_TLS,
    CHECK_POLICY,
    CHECK_ACCESS_POINT,
    CHECK_EXPORT,
    CHECK_IDENTITY,
    CHECK_WRITE,
    CHECK_FSYNC,
    CHECK_READ_BACK,
    CHECK_COUNT,
};

struct doctor_check {
    enum doctor_state state;
    char found[DOCTOR_TEXT_SIZE];
    char fix[DOCTOR_TEXT_SIZE];
};

struct doctor {
    const char *subject; /* as given */
    struct mount_options options;
    struct service service;
    struct source source;
    struct target target;
    struct tunnel_spec tunnel;
    uint32_t uid; /* that the NFS part acts as */
    uint32_t gid;
    uint64_t limit_ms; /* of each step */
    struct doctor_check checks[CHECK_COUNT];
};

const char *doctor_name(enum doctor_step step);
/* Notes what was found, and the fix ("" for none). */
void doctor_set(struct doctor *doctor, enum doctor_step step, enum doctor_state state,
    const char *found, const char *fix);
/* The same from a sentence about a failure: its first part is what was found, the rest the fix. */
void doctor_set_problem(struct doctor *doctor, enum doctor_step step, enum doctor_state state,
    const struct problem *problem);
bool doctor_has_failed(const struct doctor *doctor);
/* Adds to `found` why the server refused this client, if it did so in the last minute and the API can be asked. */
void doctor_add_server_reason(const struct doctor *doctor, char *found, size_t size);

/* Configuration to TLS, for a source that is not mounted. Gives whether the NFS part can be tried. */
bool doctor_check_way(struct doctor *doctor, const char *options);
/* The NFS part: policy to reading back. */
void doctor_check_files(struct doctor *doctor);
/* A path that is mounted, or should be. */
void doctor_check_path(struct doctor *doctor, const char *path);

/* shoal doctor --compose FILE: reads volumes and services of a compose file and names what does not work, or not any more, with the
 * replacement. Prints; gives a CLI_ exit code: CLI_FAILED when something has to be changed. */
MUST_CHECK int doctor_compose(const char *file_name, bool as_json);
