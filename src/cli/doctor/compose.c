/*
 * cli/doctor/compose.c - shoal doctor --compose: NFS volumes of a compose file, and options of older files (room: cli).
 *
 * Reads the file with libyaml; ${VARIABLES} are left as they are, since only names of options are judged. Sources: the Compose
 * specification (volumes, services), nfs(5), moby/moby#47153 (volumes after a reboot).
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/doctor/doctor.h"

#define FILE_SIZE_MAX (4 << 20)
#define VALUE_SIZE    1024

struct reading {
    yaml_document_t *document;
    json_t *findings; /* {line, where, status, found, fix} */
    unsigned warn_count;
    unsigned fail_count;
    unsigned volume_count; /* of NFS */
};

static void note(struct reading *reading, enum doctor_state state, const yaml_node_t *node,
    const char *where, const struct problem *problem)
{
    const char *cut = strstr(problem->text, ": ");
    size_t size = cut != NULL ? (size_t)(cut - problem->text) : strlen(problem->text);
    reading->fail_count += state == DOCTOR_FAIL;
    reading->warn_count += state == DOCTOR_WARN;
    (void)json_array_append_new(reading->findings,
        json_pack("{s:i, s:s, s:s, s:s%, s:s}", "line", (int)node->start_mark.line + 1, "where",
            where, "status", state == DOCTOR_FAIL ? "FAIL" : "warn", "found", problem->text, size,
            "fix", cut != NULL ? cut + 2 : ""));
}

static const char *text_of(const yaml_node_t *node)
{
    return node != NULL && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
                                                          : "";
}

/* The value of a key of a mapping; NULL: none, or it is no mapping. */
static yaml_node_t *member(struct reading *reading, const yaml_node_t *node, const char *key)
{
    if (node == NULL || node->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        if (strcmp(text_of(yaml_document_get_node(reading->document, pair->key)), key) == 0)
            return yaml_document_get_node(reading->document, pair->value);
    }
    return NULL;
}

/* One option of `o:`. */
static void check_option(struct reading *reading, const yaml_node_t *node, const char *where,
    const char *name, const char *value)
{
    struct problem problem = { "" };
    const char *old = options_replacement(name);
    const char *nearest;
    if (old != NULL) {
        (void)problem_say(&problem, 0, "option %s: %s", name, old);
        note(reading, DOCTOR_WARN, node, where, &problem);
    } else if (strcmp(name, "soft") == 0 || strcmp(name, "softerr") == 0) {
        (void)problem_say(&problem, 0,
            "option %s: programs get errors, and lose data, when the server is away for a while; "
            "use hard",
            name);
        note(reading, DOCTOR_WARN, node, where, &problem);
    } else if ((strcmp(name, "nfsvers") == 0 || strcmp(name, "vers") == 0) && value[0] == '3') {
        (void)problem_say(
            &problem, 0, "option %s=%s: NFSv3 is not served; use nfsvers=4.1", name, value);
        note(reading, DOCTOR_FAIL, node, where, &problem);
    } else if (!options_is_known(name) && strchr(name, '$') == NULL) {
        nearest = options_nearest(name);
        (void)problem_say(&problem, 0, "option %s: there is none of that name; %s%s", name,
            nearest != NULL ? "did you mean " : "leave it out", nearest != NULL ? nearest : "");
        note(reading, DOCTOR_FAIL, node, where, &problem);
    }
}

/* A list of options; *out_seen gets "," NAME "," ... */
static void check_options(struct reading *reading, const yaml_node_t *node, const char *where,
    char *out_seen, size_t seen_size)
{
    const char *at = text_of(node);
    size_t used = 0;
    (void)text_append(out_seen, seen_size, &used, ",");
    if (strncmp(at, "-o ", 3) == 0)
        at += 3; /* of strings for mount(8) */
    for (; *at != '\0'; at += *at == ',') {
        char name[VALUE_SIZE] = "";
        char value[VALUE_SIZE] = "";
        size_t size = strcspn(at, ",");
        size_t name_size = strcspn(at, ",=");
        if (size > 0 && size < VALUE_SIZE) {
            (void)snprintf(name, sizeof name, "%.*s", (int)name_size, at);
            if (name_size < size)
                (void)snprintf(
                    value, sizeof value, "%.*s", (int)(size - name_size - 1), at + name_size + 1);
            check_option(reading, node, where, name, value);
            (void)text_append(
                out_seen, seen_size, &used, "%s,", name); /* cut: some are not asked for */
        }
        at += size;
    }
}

static void check_device(struct reading *reading, const yaml_node_t *driver,
    const yaml_node_t *device, const char *where, bool has_address)
{
    struct problem problem = { "" };
    const char *text = text_of(device);
    if (device == NULL) {
        (void)problem_say(&problem, 0,
            "driver_opts has no device: write device: \":/\" (the path on the server, after a "
            "colon)");
        note(reading, DOCTOR_FAIL, driver, where, &problem);
    } else if (text[0] == '/') {
        (void)problem_say(&problem, 0, "device \"%s\" has no colon: write \":%s\"", text, text);
        note(reading, DOCTOR_FAIL, device, where, &problem);
    } else if (text[0] == ':' && !has_address) {
        (void)problem_say(&problem, 0,
            "device \"%s\" names no server, and o: has no addr=: add addr=ADDRESS to o:", text);
        note(reading, DOCTOR_FAIL, device, where, &problem);
    }
}

static void check_volume(struct reading *reading, const char *name, const yaml_node_t *volume)
{
    char where[VALUE_SIZE];
    char seen[4 * VALUE_SIZE] = ",";
    struct problem problem = { "" };
    yaml_node_t *driver = member(reading, volume, "driver_opts");
    const char *type = text_of(member(reading, driver, "type"));
    (void)snprintf(where, sizeof where, "volumes.%.200s", name);
    yaml_node_t *nocopy = member(reading, driver, "nocopy");
    if (nocopy == NULL)
        nocopy = member(reading, volume, "nocopy");
    if (nocopy != NULL) {
        (void)problem_say(&problem, 0,
            "nocopy is no option of a volume: at the service's volume write `volume: {nocopy: "
            "true}`, or NAME:/path:nocopy");
        note(reading, DOCTOR_WARN, nocopy, where, &problem);
    }
    yaml_node_t *old = member(reading, driver, "nfs_opts");
    if (old == NULL)
        old = member(reading, driver, "mount_options");
    yaml_node_t *options = member(reading, driver, "o");
    if (old != NULL && options == NULL) {
        (void)problem_say(
            &problem, 0, "Docker's local driver knows no such key with options: name it o");
        note(reading, DOCTOR_FAIL, old, where, &problem);
        options = old;
        type = type[0] == '\0' ? "nfs" : type;
    }
    if (strcmp(type, "nfs") != 0 && strcmp(type, "nfs4") != 0)
        return;
    reading->volume_count++;
    if (options != NULL)
        check_options(reading, options, where, seen, sizeof seen);
    bool has_address = strstr(seen, ",addr,") != NULL;
    check_device(reading, driver, member(reading, driver, "device"), where, has_address);
    if (options != NULL && strstr(seen, "vers,") == NULL && strstr(seen, ",v4") == NULL) {
        (void)problem_say(&problem, 0, "o: does not say which NFS: add nfsvers=4.1");
        note(reading, DOCTOR_WARN, options, where, &problem);
    }
    if (options != NULL && strstr(seen, ",hard,") == NULL && strstr(seen, ",soft") == NULL) {
        (void)problem_say(&problem, 0,
            "o: leaves out what EFS recommends: add "
            "hard,timeo=600,retrans=2,rsize=1048576,wsize=1048576");
        note(reading, DOCTOR_WARN, options, where, &problem);
    }
}

static bool names_options(const char *key)
{
    static const char *const endings[] = { "nfs_opts", "nfs_options", "mount_options", "mount_opts",
        "efs_opts" };
    size_t size = strlen(key);
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (size >= ending && strcasecmp(key + size - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

/* environment: as a mapping, or a list of NAME=VALUE: strings of options in it are looked at. */
static void check_environment(
    struct reading *reading, const char *service, const yaml_node_t *environment)
{
    char where[VALUE_SIZE];
    char seen[4 * VALUE_SIZE] = "";
    if (environment == NULL || environment->type != YAML_MAPPING_NODE)
        return;
    for (const yaml_node_pair_t *pair = environment->data.mapping.pairs.start;
         pair < environment->data.mapping.pairs.top; pair++) {
        const char *key = text_of(yaml_document_get_node(reading->document, pair->key));
        if (!names_options(key))
            continue;
        (void)snprintf(where, sizeof where, "services.%.200s.environment.%.200s", service, key);
        check_options(reading, yaml_document_get_node(reading->document, pair->value), where, seen,
            sizeof seen);
    }
}

/* What a service says of its volumes. */
static void check_service(struct reading *reading, const char *name, const yaml_node_t *service)
{
    char where[VALUE_SIZE];
    struct problem problem = { "" };
    const yaml_node_t *volumes = member(reading, service, "volumes");
    (void)snprintf(where, sizeof where, "services.%.200s", name);
    check_environment(reading, name, member(reading, service, "environment"));
    if (volumes == NULL || volumes->type != YAML_SEQUENCE_NODE)
        return;
    for (const yaml_node_item_t *item = volumes->data.sequence.items.start;
         item < volumes->data.sequence.items.top; item++) {
        yaml_node_t *volume = yaml_document_get_node(reading->document, *item);
        yaml_node_t *nocopy = member(reading, volume, "nocopy");
        if (nocopy != NULL) {
            (void)problem_say(&problem, 0,
                "nocopy stands beside the volume: write `volume: {nocopy: true}` below it");
            note(reading, DOCTOR_WARN, nocopy, where, &problem);
        }
    }
    if (reading->volume_count > 0 && member(reading, service, "restart") == NULL) {
        (void)problem_say(&problem, 0,
            "no restart policy: after a reboot Docker starts it once, perhaps before the network "
            "is up, and an "
            "NFS volume that fails then keeps it down (moby#47153); add restart: unless-stopped");
        note(reading, DOCTOR_WARN, service, where, &problem);
    }
}

typedef void check_entry(struct reading *reading, const char *name, const yaml_node_t *node);

static void each(struct reading *reading, const char *key, check_entry *check)
{
    const yaml_node_t *root = yaml_document_get_root_node(reading->document);
    const yaml_node_t *list = member(reading, root, key);
    if (list == NULL || list->type != YAML_MAPPING_NODE)
        return;
    for (const yaml_node_pair_t *pair = list->data.mapping.pairs.start;
         pair < list->data.mapping.pairs.top; pair++)
        check(reading, text_of(yaml_document_get_node(reading->document, pair->key)),
            yaml_document_get_node(reading->document, pair->value));
}

static int tell(const struct reading *reading, const char *file_name, bool as_json)
{
    if (as_json) {
        json_t *json =
            json_pack("{s:s, s:b, s:i, s:O}", "file", file_name, "ok", reading->fail_count == 0,
                "nfs_volumes", (int)reading->volume_count, "findings", reading->findings);
        int err = json == NULL ? -1 : json_dumpf(json, stdout, JSON_INDENT(2));
        json_decref(json);
        (void)fputc('\n', stdout);
        if (err < 0)
            return cli_fail("Cannot write the result.");
    } else {
        (void)printf("%s: %u NFS volumes, %u to change, %u warnings\n", file_name,
            reading->volume_count, reading->fail_count, reading->warn_count);
        for (size_t i = 0; i < json_array_size(reading->findings); i++) {
            const json_t *item = json_array_get(reading->findings, i);
            (void)printf("%s:%d  %-4s  %s: %s\n%6sfix: %s\n", file_name,
                (int)json_integer_value(json_object_get(item, "line")),
                service_text(item, "status"), service_text(item, "where"),
                service_text(item, "found"), "", service_text(item, "fix"));
        }
    }
    return reading->fail_count > 0 ? CLI_FAILED : CLI_OK;
}

int doctor_compose(const char *file_name, bool as_json)
{
    yaml_parser_t parser;
    yaml_document_t document;
    struct reading reading = { .document = &document };
    FILE *file = fopen(file_name, "re");
    if (file == NULL)
        return cli_fail("Cannot open %s: %s.", file_name, strerrordesc_np(errno));
    struct stat st;
    if (fstat(fileno(file), &st) < 0 || st.st_size > FILE_SIZE_MAX) {
        (void)fclose(file); /* opened for reading */
        return cli_fail("%s is too large for a compose file.", file_name);
    }
    if (yaml_parser_initialize(&parser) != 1) {
        (void)fclose(file); /* opened for reading */
        return cli_fail("There is no memory left.");
    }
    yaml_parser_set_input_file(&parser, file);
    int status;
    if (yaml_parser_load(&parser, &document) != 1) {
        status = cli_fail("%s is no YAML: %s at line %zu.", file_name,
            parser.problem != NULL ? parser.problem : "not readable", parser.problem_mark.line + 1);
    } else {
        reading.findings = json_array();
        each(&reading, "volumes", check_volume);
        each(&reading, "services", check_service);
        status = tell(&reading, file_name, as_json);
        json_decref(reading.findings);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    (void)fclose(file); /* opened for reading */
    return status;
}
