/*
 * mount/resolve.c - finding the target of a mount (room: mount).
 */
#include "mount/resolve.h"

#include <stdio.h>
#include <unistd.h>

#include "base/text.h"

#define NFS_PORT         2049
#define DEFAULT_REGION   "us-east-1"
#define DEFAULT_SUFFIX   "shoal.internal"
#define DNS_LIMIT_MS     6000
#define CONNECT_LIMIT_MS 2000
#define PAGES_MAX        100

const char *resolve_way_name(enum resolve_way way)
{
    static const char *const names[] = { "by its address", "by mounttargetip", "by DNS",
        "by the API", "at the server's own address" };
    return names[way];
}

struct lookup {
    const struct source *source;
    struct mount_options *options;
    struct service *service;
    struct target *target;
    struct problem *problem;
};

static void set(char *to, size_t size, const char *from)
{
    if (text_copy(to, size, from) < 0)
        to[0] = '\0';
}

static bool knows_api(const struct service *service)
{
    return service->endpoint[0] != '\0' && service->key_id[0] != '\0';
}

/* Puts the address in, as `way` has found it. */
static int found(struct lookup *lookup, const char *address, enum resolve_way way)
{
    struct target *target = lookup->target;
    if (text_copy(target->address, sizeof target->address, address) < 0)
        return problem_say(lookup->problem, -EINVAL, "\"%.80s\" is no address.", address);
    target->way = way;
    if (target->label[0] == '\0')
        set(target->label, sizeof target->label, address);
    if (target->name[0] == '\0')
        set(target->name, sizeof target->name, address);
    return 0;
}

/* server=: the address that shows file systems and access points as directories. */
static int at_server(struct lookup *lookup, const char *server, const char *id)
{
    struct target *target = lookup->target;
    struct probe_addresses addresses;
    (void)snprintf(target->path, sizeof target->path, "/%s%s", id,
        strcmp(lookup->source->path, "/") == 0 ? "" : lookup->source->path); /* fits */
    target->label[0] = '\0';
    target->name[0] = '\0';
    int err = probe_resolve(server, DNS_LIMIT_MS, &addresses);
    if (err < 0)
        return problem_say(lookup->problem, err,
            "The name of the server, %s, is not known in DNS. Check server=.", server);
    set(target->label, sizeof target->label, server);
    set(target->name, sizeof target->name, server);
    return found(lookup, addresses.list[0], RESOLVE_SERVER);
}

/* The id of the file system that has the name `source->host`. -ENOENT: none has. */
static int find_by_name(struct lookup *lookup)
{
    char query[RESOLVE_NAME_SIZE] = "";
    const char *name = lookup->source->host;
    struct target *target = lookup->target;
    for (int page = 0; page < PAGES_MAX; page++) {
        json_t *reply = NULL;
        int err = service_get(lookup->service, "/file-systems", query, &reply, lookup->problem);
        if (err < 0)
            return err == -ENOENT ? -EIO : err;
        const json_t *list = json_object_get(reply, "FileSystems");
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *fs = json_array_get(list, i);
            if (strcmp(service_text(fs, "Name"), name) != 0)
                continue;
            if (target->file_system[0] != '\0')
                err = problem_say(lookup->problem, -EINVAL,
                    "Several file systems are named %s: use the id, %s or %s.", name,
                    target->file_system, service_text(fs, "FileSystemId"));
            else
                set(target->file_system, sizeof target->file_system,
                    service_text(fs, "FileSystemId"));
        }
        const char *marker = service_text(reply, "NextMarker");
        bool is_last = marker[0] == '\0';
        (void)snprintf(query, sizeof query, "Marker=%s", marker);
        json_decref(reply);
        if (err < 0)
            return err;
        if (is_last)
            break;
    }
    if (target->file_system[0] != '\0')
        return 0;
    return problem_say(lookup->problem, -ENOENT,
        "The service at %s has no file system named %s (shoal status lists them).",
        lookup->service->endpoint, name);
}

static bool is_in_zone(const json_t *item, const char *az)
{
    return az[0] == '\0' || strcmp(service_text(item, "AvailabilityZoneName"), az) == 0 ||
           strcmp(service_text(item, "AvailabilityZoneId"), az) == 0;
}

/* Goes over the mount targets until one answers; when none does the last one is taken, and what comes after tells why not. */
static int choose_target(struct lookup *lookup, const json_t *list)
{
    const char *chosen = NULL;
    unsigned available = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *address = service_text(item, "IpAddress");
        if (address[0] == '\0')
            address = service_text(item, "Ipv6Address");
        if (strcmp(service_text(item, "LifeCycleState"), "available") != 0 || address[0] == '\0')
            continue;
        available++;
        if (!is_in_zone(item, lookup->options->az))
            continue;
        chosen = address;
        int fd = probe_connect(address, lookup->target->port, CONNECT_LIMIT_MS);
        if (fd >= 0) {
            (void)close(fd); /* only asked */
            break;
        }
    }
    if (chosen != NULL)
        return found(lookup, chosen, RESOLVE_API);
    const char *id = lookup->target->file_system;
    if (available > 0)
        return problem_say(lookup->problem, -ENOENT,
            "%s has no mount target that is available in %s: make one there, or leave az= out.", id,
            lookup->options->az);
    return problem_say(lookup->problem, -ENOENT,
        "%s has no mount target that is available: make one (aws efs create-mount-target), or wait "
        "until the one that is being made is available.",
        id);
}

static int ask_api(struct lookup *lookup)
{
    char query[RESOLVE_NAME_SIZE];
    json_t *reply = NULL;
    const char *id = lookup->target->file_system;
    (void)snprintf(query, sizeof query, "FileSystemId=%.100s", id);
    int err = service_get(lookup->service, "/mount-targets", query, &reply, lookup->problem);
    if (err == -ENOENT)
        return problem_say(lookup->problem, err,
            "There is no file system %s at %s: shoal status lists those that are.", id,
            lookup->service->endpoint);
    if (err < 0)
        return err;
    const json_t *list = json_object_get(reply, "MountTargets");
    if (json_array_size(list) == 0 && lookup->service->data[0] != '\0' && !lookup->options->tls)
        err = at_server(lookup, "127.0.0.1", id); /* the service of this machine */
    else
        err = choose_target(lookup, list);
    json_decref(reply);
    return err;
}

/* The names that a certificate has and that DNS is asked for. */
static int make_names(struct lookup *lookup, char *out_dns, size_t size)
{
    struct efs_conf *conf = &lookup->service->conf;
    struct target *target = lookup->target;
    if (conf->region[0] == '\0')
        set(conf->region, sizeof conf->region, DEFAULT_REGION);
    if (conf->suffix[0] == '\0')
        set(conf->suffix, sizeof conf->suffix, DEFAULT_SUFFIX);
    int err = conf_dns_name(conf, lookup->options->az, target->file_system, out_dns, size);
    if (err == 0)
        err = conf_dns_name(conf, "", target->file_system, target->name, sizeof target->name);
    if (err < 0)
        return problem_say(lookup->problem, err,
            "The DNS name of %s cannot be made: check suffix=, az= and dns_name_format "
            "in " CONF_PATH ".",
            target->file_system);
    return 0;
}

/* A file system by its id. */
static int find_file_system(struct lookup *lookup)
{
    char dns[RESOLVE_NAME_SIZE];
    struct target *target = lookup->target;
    struct probe_addresses addresses;
    if (lookup->options->server[0] != '\0')
        return at_server(lookup, lookup->options->server, target->file_system);
    int err = make_names(lookup, dns, sizeof dns);
    if (err < 0)
        return err;
    set(target->label, sizeof target->label, target->file_system);
    if (lookup->options->target_ip[0] != '\0')
        return found(lookup, lookup->options->target_ip, RESOLVE_TARGET_IP);
    /* Who says which service it is means that one; its own words count more than what a name server says. */
    bool api_first = lookup->options->endpoint[0] != '\0' || lookup->service->data[0] != '\0';
    if (!api_first) {
        err = probe_resolve(dns, DNS_LIMIT_MS, &addresses);
        if (err == 0)
            return found(lookup, addresses.list[0], RESOLVE_DNS);
        if (!knows_api(lookup->service)) {
            return problem_say(lookup->problem, err,
                "%s: the name %s %s, and the EFS API cannot be asked, as endpoint or keys are not "
                "known. Give mounttargetip=ADDRESS, or data=DIR, or set AWS_ENDPOINT_URL and keys, "
                "or "
                "put the name into DNS or /etc/hosts.",
                target->file_system, dns,
                err == -ENOENT ? "is not known in DNS" : "could not be looked up in DNS");
        }
    }
    return ask_api(lookup);
}

/* What an access point belongs to, and how it is reached: through TLS at a mount target, or as a directory of the server. */
static int find_access_point(struct lookup *lookup)
{
    const char *id = lookup->source->host;
    struct mount_options *options = lookup->options;
    char query[RESOLVE_NAME_SIZE];
    json_t *reply = NULL;
    if (options->access_point[0] != '\0' && strcmp(options->access_point, id) != 0)
        return problem_say(lookup->problem, -EINVAL,
            "The source is access point %s, but accesspoint= says %s: leave one of them out.", id,
            options->access_point);
    set(lookup->target->access_point, sizeof lookup->target->access_point, id);
    if (!options->tls && options->server[0] != '\0')
        return at_server(lookup, options->server, id);
    if (!options->tls && lookup->service->data[0] != '\0')
        return at_server(lookup, "127.0.0.1", id);
    (void)snprintf(query, sizeof query, "AccessPointId=%.100s", id);
    int err = service_get(lookup->service, "/access-points", query, &reply, lookup->problem);
    if (err == -ENOENT)
        return problem_say(lookup->problem, err, "There is no access point %s at %s.", id,
            lookup->service->endpoint);
    if (err < 0) {
        problem_add(lookup->problem,
            "Or write the file system it belongs to: fs-ID with accesspoint=%s, or server=ADDRESS.",
            id);
        return err;
    }
    const json_t *first = json_array_get(json_object_get(reply, "AccessPoints"), 0);
    set(lookup->target->file_system, sizeof lookup->target->file_system,
        service_text(first, "FileSystemId"));
    json_decref(reply);
    options->tls = true;
    set(options->access_point, sizeof options->access_point, id);
    return find_file_system(lookup);
}

/* A name of DNS: an address there, or else by the file system's id in it. */
static int find_dns(struct lookup *lookup)
{
    const struct source *source = lookup->source;
    struct probe_addresses addresses;
    if (lookup->options->target_ip[0] != '\0' && source->file_system[0] != '\0')
        return find_file_system(lookup);
    set(lookup->target->label, sizeof lookup->target->label, source->host);
    set(lookup->target->name, sizeof lookup->target->name, source->host);
    int err = probe_resolve(source->host, DNS_LIMIT_MS, &addresses);
    if (err == 0)
        return found(lookup, addresses.list[0], RESOLVE_DNS);
    if (source->file_system[0] != '\0' && knows_api(lookup->service))
        return ask_api(lookup);
    return problem_say(lookup->problem, err,
        "The name %s %s. Check it and /etc/resolv.conf, or give mounttargetip=ADDRESS%s.",
        source->host,
        err == -ENOENT      ? "is not known in DNS"
        : err == -ETIMEDOUT ? "could not be looked up: the name server does not answer"
                            : "could not be looked up: the name server failed",
        knows_api(lookup->service) ? "" : ", or endpoint= and keys so that the API can be asked");
}

static int find_name(struct lookup *lookup)
{
    if (!knows_api(lookup->service))
        return find_dns(lookup);
    int err = find_by_name(lookup);
    if (err == 0)
        return find_file_system(lookup);
    if (err != -ENOENT)
        return err;
    struct problem kept = *lookup->problem;
    if (find_dns(lookup) == 0)
        return 0;
    *lookup->problem = kept; /* the name of a file system is likelier to be meant */
    return err;
}

int resolve_target(const struct source *source, struct mount_options *options,
    struct service *service, struct target *out_target, struct problem *problem)
{
    struct target *target = out_target;
    struct lookup lookup = { .source = source,
        .options = options,
        .service = service,
        .target = target,
        .problem = problem };
    *target = (struct target){ 0 };
    target->port = options->port != 0       ? options->port
                   : service->nfs_port != 0 ? service->nfs_port
                                            : NFS_PORT;
    set(target->path, sizeof target->path, source->path);
    set(target->file_system, sizeof target->file_system, source->file_system);
    set(target->access_point, sizeof target->access_point, options->access_point);
    switch (source->kind) {
    case SOURCE_ADDRESS:
        return found(&lookup, source->host, RESOLVE_ADDRESS);
    case SOURCE_DNS:
        return find_dns(&lookup);
    case SOURCE_FILE_SYSTEM:
        return find_file_system(&lookup);
    case SOURCE_ACCESS_POINT:
        return find_access_point(&lookup);
    case SOURCE_NAME:
    default:
        return find_name(&lookup);
    }
}
