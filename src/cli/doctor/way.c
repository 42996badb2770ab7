/*
 * cli/doctor/way.c - the checks from the words to the door of the server (room: cli).
 */
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/doctor/doctor.h"

#define NAME_LIMIT_MS 6000

static bool check_configuration(struct doctor *doctor, const char *options)
{
    struct problem problem = { "" };
    char found[DOCTOR_TEXT_SIZE];
    int err = options_parse(options, &doctor->options, &problem);
    if (err == 0)
        err = source_parse(doctor->subject, &doctor->source, &problem);
    if (err == 0)
        err = service_find(&doctor->options, &doctor->service, &problem);
    if (err < 0) {
        doctor_set_problem(doctor, CHECK_CONFIGURATION, DOCTOR_FAIL, &problem);
        return false;
    }
    const struct service *service = &doctor->service;
    const char *unknown = doctor->options.unknown;
    (void)snprintf(found, sizeof found, "profile %s; region %s, suffix %s%s",
        options_profile_name(doctor->options.profile),
        service->conf.region[0] != '\0' ? service->conf.region : "us-east-1 (default)",
        service->conf.suffix[0] != '\0' ? service->conf.suffix : "shoal.internal (default)",
        access(CONF_PATH, R_OK) == 0 ? "; with " CONF_PATH : "");
    doctor_set(doctor, CHECK_CONFIGURATION, DOCTOR_OK, found, "");
    if (unknown[0] != '\0') {
        const char *nearest = options_nearest(unknown);
        (void)snprintf(found, sizeof found, "There is no mount option %s", unknown);
        char fix[DOCTOR_TEXT_SIZE];
        (void)snprintf(fix, sizeof fix, "%s%s", nearest != NULL ? "did you mean " : "leave it out",
            nearest != NULL ? nearest : "");
        doctor_set(doctor, CHECK_CONFIGURATION, DOCTOR_FAIL, found, fix);
    } else if (doctor->options.remark[0] != '\0') {
        (void)snprintf(problem.text, sizeof problem.text, "%s", doctor->options.remark);
        doctor_set(doctor, CHECK_CONFIGURATION, DOCTOR_WARN, problem.text, "leave them out");
    }
    return true;
}

/* Whether the API can be asked. */
static bool check_service(struct doctor *doctor)
{
    struct problem problem = { "" };
    char found[DOCTOR_TEXT_SIZE];
    json_t *reply = NULL;
    int err = service_get(&doctor->service, "/file-systems", "MaxItems=1", &reply, &problem);
    json_decref(reply);
    if (err == -ENOTCONN) {
        doctor_set_problem(doctor, CHECK_SERVICE, DOCTOR_WARN, &problem);
        return false;
    }
    if (err == -EACCES)
        problem_add(&problem,
            "Check the keys (shoal env prints them) and that both clocks agree within 5 minutes.");
    if (err < 0) {
        doctor_set_problem(doctor, CHECK_SERVICE, DOCTOR_FAIL, &problem);
        return false;
    }
    (void)snprintf(found, sizeof found, "%s answers, and takes the keys", doctor->service.endpoint);
    doctor_set(doctor, CHECK_SERVICE, DOCTOR_OK, found, "");
    return true;
}

static bool check_target(struct doctor *doctor, bool has_api)
{
    struct problem problem = { "" };
    char found[DOCTOR_TEXT_SIZE];
    struct target *target = &doctor->target;
    int err = resolve_target(&doctor->source, &doctor->options, &doctor->service, target, &problem);
    if (err < 0) {
        bool by_name = doctor->source.kind == SOURCE_DNS || strstr(problem.text, "DNS") != NULL;
        enum doctor_step step = doctor->source.kind == SOURCE_ACCESS_POINT ? CHECK_ACCESS_POINT
                                : by_name && !has_api                      ? CHECK_DNS
                                                                           : CHECK_MOUNT_TARGET;
        if (doctor->checks[CHECK_SERVICE].state != DOCTOR_FAIL)
            doctor_set_problem(doctor, step, DOCTOR_FAIL, &problem);
        return false;
    }
    (void)snprintf(found, sizeof found, "%s port %u, found %s", target->address, target->port,
        resolve_way_name(target->way));
    doctor_set(doctor, CHECK_MOUNT_TARGET, DOCTOR_OK, found, "");
    return true;
}

static bool is_among(const struct probe_addresses *addresses, const char *address)
{
    for (uint32_t i = 0; i < addresses->count; i++) {
        if (strcmp(addresses->list[i], address) == 0)
            return true;
    }
    return false;
}

static void check_dns(struct doctor *doctor)
{
    const struct target *target = &doctor->target;
    const char *name = doctor->source.kind == SOURCE_DNS ? doctor->source.host : target->name;
    struct probe_addresses addresses;
    char found[DOCTOR_TEXT_SIZE];
    char fix[DOCTOR_TEXT_SIZE] = "";
    if (target->file_system[0] == '\0' && doctor->source.kind != SOURCE_DNS) {
        doctor_set(doctor, CHECK_DNS, DOCTOR_SKIPPED, "a mount by address needs no name", "");
        return;
    }
    if (strcmp(name, target->address) == 0 || target->way == RESOLVE_SERVER) {
        doctor_set(doctor, CHECK_DNS, DOCTOR_SKIPPED, "a mount by the server's address", "");
        return;
    }
    int err = probe_resolve(name, NAME_LIMIT_MS, &addresses);
    if (err < 0) {
        (void)snprintf(found, sizeof found, "%s %s", name,
            err == -ENOENT ? "is not known" : "could not be looked up");
        (void)snprintf(fix, sizeof fix,
            "mounts of shoal do without it; mount -t efs and mounts by name need it: put %s %s "
            "into "
            "/etc/hosts, or let your name server ask the service's",
            target->address, name);
        doctor_set(doctor, CHECK_DNS, DOCTOR_WARN, found, fix);
        return;
    }
    bool is_same = is_among(&addresses, target->address);
    (void)snprintf(found, sizeof found, "%s is %s", name, addresses.list[0]);
    if (!is_same)
        (void)snprintf(fix, sizeof fix,
            "the mount target is %s: mend the record, or the line in /etc/hosts", target->address);
    doctor_set(doctor, CHECK_DNS, is_same ? DOCTOR_OK : DOCTOR_FAIL, found, fix);
}

/* The groups of the mount target, between commas; "" when they cannot be asked for. */
static void list_groups(const struct doctor *doctor, char *out, size_t size)
{
    char query[256];
    char path[256] = "";
    size_t used = 0;
    struct problem ignored;
    json_t *reply = NULL;
    out[0] = '\0';
    (void)snprintf(query, sizeof query, "FileSystemId=%.100s", doctor->target.file_system);
    if (doctor->target.file_system[0] == '\0' ||
        service_get(&doctor->service, "/mount-targets", query, &reply, &ignored) < 0)
        return;
    const json_t *list = json_object_get(reply, "MountTargets");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (strcmp(service_text(item, "IpAddress"), doctor->target.address) == 0)
            (void)snprintf(path, sizeof path, "/mount-targets/%.100s/security-groups",
                service_text(item, "MountTargetId"));
    }
    json_decref(reply);
    reply = NULL;
    if (path[0] == '\0' || service_get(&doctor->service, path, "", &reply, &ignored) < 0)
        return;
    const json_t *groups = json_object_get(reply, "SecurityGroups");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const char *group = json_string_value(json_array_get(groups, i));
        if (text_append(
                out, size, &used, "%s%s", used > 0 ? ", " : "", group != NULL ? group : "") < 0)
            break;
    }
    json_decref(reply);
}

/* TCP, and whether the server lets this machine in: one that does not closes the connection at once. */
static bool check_door(struct doctor *doctor)
{
    const struct target *target = &doctor->target;
    struct problem problem = { "" };
    char groups[256];
    char found[DOCTOR_TEXT_SIZE];
    bool reached = false;
    int err = probe_nfs(target->address, target->port, doctor->limit_ms, &reached);
    (void)probe_explain(err, reached, target->address, target->port, &problem);
    if (!reached || err == -EPROTO || err == -EPROTONOSUPPORT || err == -ETIMEDOUT) {
        doctor_set_problem(doctor, CHECK_TCP, DOCTOR_FAIL, &problem);
        return false;
    }
    (void)snprintf(
        found, sizeof found, "%s port %u takes connections", target->address, target->port);
    doctor_set(doctor, CHECK_TCP, DOCTOR_OK, found, "");
    list_groups(doctor, groups, sizeof groups);
    if (err < 0) {
        (void)snprintf(found, sizeof found,
            "the server closes the connection at once (groups of the mount target: %s)",
            groups[0] != '\0' ? groups : "not known");
        doctor_add_server_reason(doctor, found, sizeof found);
        doctor_set(doctor, CHECK_SECURITY_GROUP, DOCTOR_FAIL, found,
            "let this machine in with an inbound rule for TCP 2049 (aws ec2 "
            "authorize-security-group-ingress), open nfs.listen of shoald for the address, or use "
            "an "
            "address that is a mount target");
        return false;
    }
    (void)snprintf(
        found, sizeof found, "lets this machine in%s%s", groups[0] != '\0' ? ": " : "", groups);
    doctor_set(doctor, CHECK_SECURITY_GROUP, DOCTOR_OK, found, "");
    return true;
}

static bool check_tls(struct doctor *doctor)
{
    struct problem problem = { "" };
    char found[DOCTOR_TEXT_SIZE];
    if (!doctor->options.tls) {
        doctor_set(doctor, CHECK_TLS, DOCTOR_SKIPPED, "not asked for (-o tls)", "");
        return true;
    }
    int err = tunnel_prepare(
        &doctor->options, &doctor->service, &doctor->target, &doctor->tunnel, &problem);
    if (err == 0)
        err = tunnel_try(&doctor->tunnel, doctor->limit_ms, &problem);
    if (err < 0) {
        doctor_set_problem(doctor, CHECK_TLS, DOCTOR_FAIL, &problem);
        struct doctor_check *check = &doctor->checks[CHECK_TLS];
        doctor_add_server_reason(doctor, check->found, sizeof check->found);
        return false;
    }
    (void)snprintf(found, sizeof found, "the certificate is signed by %s and is for %s",
        doctor->options.no_verify ? "(not checked)" : doctor->tunnel.ca_file, doctor->target.name);
    doctor_set(doctor, CHECK_TLS, DOCTOR_OK, found, "");
    return true;
}

static void check_access_point(struct doctor *doctor)
{
    const char *id = doctor->target.access_point;
    char query[256];
    char found[DOCTOR_TEXT_SIZE];
    struct problem problem = { "" };
    json_t *reply = NULL;
    if (id[0] == '\0') {
        doctor_set(doctor, CHECK_ACCESS_POINT, DOCTOR_SKIPPED, "none is asked for", "");
        return;
    }
    (void)snprintf(query, sizeof query, "AccessPointId=%.100s", id);
    int err = service_get(&doctor->service, "/access-points", query, &reply, &problem);
    if (err == -ENOTCONN) {
        doctor_set(
            doctor, CHECK_ACCESS_POINT, DOCTOR_SKIPPED, "the API cannot be asked about it", "");
        return;
    }
    const json_t *first = json_array_get(json_object_get(reply, "AccessPoints"), 0);
    const char *owner = service_text(first, "FileSystemId");
    const char *state = service_text(first, "LifeCycleState");
    const char *wanted = doctor->target.file_system;
    if (err < 0 || first == NULL) {
        (void)snprintf(found, sizeof found, "there is no access point %s", id);
        doctor_set(doctor, CHECK_ACCESS_POINT, DOCTOR_FAIL, found,
            "check the id (aws efs describe-access-points), or make it");
    } else if (wanted[0] != '\0' && strcmp(owner, wanted) != 0) {
        (void)snprintf(found, sizeof found, "%s belongs to %s, not to %s", id, owner, wanted);
        doctor_set(doctor, CHECK_ACCESS_POINT, DOCTOR_FAIL, found,
            "mount that file system, or another access point");
    } else if (strcmp(state, "available") != 0) {
        (void)snprintf(found, sizeof found, "%s is %s", id, state);
        doctor_set(doctor, CHECK_ACCESS_POINT, DOCTOR_FAIL, found,
            "wait until it is available, or make another");
    } else {
        (void)snprintf(found, sizeof found, "%s of %s, root %s", id, owner,
            service_text(json_object_get(first, "RootDirectory"), "Path"));
        doctor_set(doctor, CHECK_ACCESS_POINT, DOCTOR_OK, found, "");
    }
    json_decref(reply);
}

bool doctor_check_way(struct doctor *doctor, const char *options)
{
    if (!check_configuration(doctor, options))
        return false;
    bool has_api = check_service(doctor);
    if (!check_target(doctor, has_api))
        return false;
    check_dns(doctor);
    check_access_point(doctor);
    if (!check_door(doctor) || !check_tls(doctor))
        return false;
    return doctor->checks[CHECK_ACCESS_POINT].state != DOCTOR_FAIL;
}
