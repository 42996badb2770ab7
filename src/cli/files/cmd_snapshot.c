/*
 * cli/files/cmd_snapshot.c - shoal snapshot: making, listing, deleting, restoring and scheduling snapshots (room: cli).
 *
 * They are the service's own operations (docs/compat-api.md), called with the administrator's keys.
 */
#include <inttypes.h>

#include "base/text.h"
#include "cli/api_query.h"
#include "cli/files/format.h"
#include "cli/files/remote.h"

#define SERVICE    "shoal"
#define SPACE      "Shoal_20261128"
#define HTTP_ERROR 400

struct request {
    const char *word; /* FS[:/path] */
    const char *name; /* of the snapshot; NULL: none is taken */
    const char *to;   /* --to */
    bool has_path;    /* it takes one, and sends it */
    bool as_json;
};

static int put(json_t *body, const char *key, const char *text)
{
    if (text == NULL || json_object_set_new(body, key, json_string(text)) == 0)
        return CLI_OK;
    return cli_fail("There is no memory left, or the text is no UTF-8.");
}

static int fill(struct remotes *remotes, const struct request *request, json_t *body)
{
    struct place place;
    const char *id = NULL;
    int status = place_parse_remote(request->word, &place);
    if (status == CLI_OK && place.kind != PLACE_FILE_SYSTEM)
        return cli_usage("Snapshots are made by the service: name a file system, as in "
                         "default:/dir, not an address.");
    if (status == CLI_OK && !request->has_path && strcmp(place.path, "/") != 0)
        return cli_usage("A snapshot is of a whole file system: name it without a path.");
    if (status == CLI_OK)
        status = remotes_file_system_id(remotes, place.host, &id);
    if (status == CLI_OK)
        status = put(body, "FileSystemId", id);
    if (status == CLI_OK)
        status = put(body, "Name", request->name);
    if (status == CLI_OK && request->has_path)
        status = put(body, "Path", place.path);
    return status == CLI_OK ? put(body, "To", request->to) : status;
}

/* The answer's body; the caller releases it. */
static int call(
    struct remotes *remotes, const char *target, const struct request *request, json_t **out_answer)
{
    struct api_reply reply = { 0 };
    json_t *body = json_object();
    int status = fill(remotes, request, body);
    if (status == CLI_OK)
        status = api_target(&remotes->api, SERVICE, target, body, &reply);
    json_decref(body);
    if (status == CLI_OK && reply.status >= HTTP_ERROR)
        status = api_fail(&reply, "the snapshot");
    if (status == CLI_OK)
        *out_answer = json_incref(reply.body);
    api_reply_fini(&reply);
    return status;
}

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void print_snapshot(const json_t *snapshot)
{
    char time[FORMAT_SIZE];
    char size[FORMAT_SIZE];
    char entries[FORMAT_SIZE];
    const struct clock_time created = { .seconds = json_integer_value(
                                            json_object_get(snapshot, "CreationTime")) };
    const char *state = json_string_value(json_object_get(snapshot, "State"));
    (void)printf("%.19s  %10s  %12s  ", format_time(time, created),
        format_bytes(size, number_of(snapshot, "SizeBytes")),
        format_count(entries, number_of(snapshot, "Entries")));
    format_print_name(json_string_value(json_object_get(snapshot, "Name")));
    (void)printf("%s\n", state != NULL && strcmp(state, "deleting") == 0 ? " (deleting)" : "");
}

static void print_list(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "Snapshots");
    size_t i;
    const json_t *snapshot;
    if (json_array_size(list) > 0)
        (void)printf("%-19s  %10s  %12s  %s\n", "made", "size", "entries", "name");
    json_array_foreach(list, i, snapshot) print_snapshot(snapshot);
}

static void print_restored(const json_t *answer)
{
    char size[FORMAT_SIZE];
    char entries[FORMAT_SIZE];
    (void)printf("restored %s entries, %s\n", format_count(entries, number_of(answer, "Entries")),
        format_bytes(size, number_of(answer, "SizeBytes")));
}

static void print_nothing(const json_t *answer)
{
    (void)answer;
}

/* ---- the schedule is a tag of the file system --------------------------------------------------------------- */

#define TAG "shoal:snapshots"

static int tag_call(struct remotes *remotes, const struct request *request, struct api_call *how,
    struct api_reply *reply)
{
    struct place place;
    char path[128];
    const char *id = NULL;
    int status = place_parse_remote(request->word, &place);
    if (status == CLI_OK && (place.kind != PLACE_FILE_SYSTEM || strcmp(place.path, "/") != 0))
        return cli_usage("A schedule is of a whole file system: name it without a path.");
    if (status == CLI_OK)
        status = remotes_file_system_id(remotes, place.host, &id);
    if (status != CLI_OK)
        return status;
    (void)snprintf(path, sizeof path, "/resource-tags/%s", id);
    how->path = path;
    status = api_call(&remotes->api, how, reply);
    how->path = NULL; /* it was ours */
    if (status == CLI_OK && reply->status >= HTTP_ERROR)
        status = api_fail(reply, "the schedule");
    return status;
}

static int show_schedule(struct remotes *remotes, const struct request *request)
{
    struct api_reply reply = { 0 };
    struct api_call how = { .method = "GET", .query = "" };
    const char *schedule = "off";
    size_t i;
    const json_t *tag;
    int status = tag_call(remotes, request, &how, &reply);
    json_array_foreach(json_object_get(reply.body, "Tags"), i, tag)
    {
        const char *key = json_string_value(json_object_get(tag, "Key"));
        if (key != NULL && strcmp(key, TAG) == 0)
            schedule = json_string_value(json_object_get(tag, "Value"));
    }
    if (status == CLI_OK && (printf("%s\n", schedule) < 0 || fflush(stdout) != 0))
        status = cli_fail("Cannot write to the output.");
    api_reply_fini(&reply);
    return status;
}

/* Commas are not allowed in tags; the service takes spaces as well. */
static int set_schedule(struct remotes *remotes, const struct request *request)
{
    char schedule[256];
    bool is_off = strcmp(request->name, "off") == 0;
    if (text_copy(schedule, sizeof schedule, request->name) < 0)
        return cli_usage("That schedule is too long.");
    for (char *at = schedule; *at != '\0'; at++) {
        if (*at == ',')
            *at = ' ';
    }
    struct api_call how = { .method = is_off ? "DELETE" : "POST",
        .query = is_off ? "tagKeys=shoal%3Asnapshots" : "",
        .body =
            is_off ? NULL : json_pack("{s:[{s:s, s:s}]}", "Tags", "Key", TAG, "Value", schedule) };
    struct api_reply reply = { 0 };
    if (!is_off && how.body == NULL)
        return cli_fail("There is no memory left, or the text is no UTF-8.");
    int status = tag_call(remotes, request, &how, &reply);
    json_decref(how.body);
    api_reply_fini(&reply);
    return status;
}

struct verb {
    const char *name;
    const char *target;
    bool takes_name, takes_path;
    void (*print)(const json_t *answer);
};

static const struct verb verbs[] = {
    { "create", SPACE ".CreateSnapshot", true, false, print_snapshot },
    { "list", SPACE ".ListSnapshots", false, false, print_list },
    { "delete", SPACE ".DeleteSnapshot", true, false, print_nothing },
    { "restore", SPACE ".RestoreSnapshot", true, true, print_restored },
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static int run(struct remotes *remotes, const struct verb *verb, const struct request *request)
{
    json_t *answer = NULL;
    int status = call(remotes, verb->target, request, &answer);
    if (status != CLI_OK)
        return status;
    if (request->as_json)
        return format_print_json(answer);
    verb->print(answer);
    json_decref(answer);
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write to the output.");
}

int cmd_snapshot(int argc, char **argv)
{
    struct request request = { 0 };
    struct remote_options options = { 0 };
    struct cli_option rows[] = { { .name = "--data", .value = &options.data },
        { .name = "--json", .is_given = &request.as_json },
        { .name = "--to", .value = &request.to } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    bool is_schedule = argc >= 3 && argc <= 4 && strcmp(argv[1], "schedule") == 0;
    const struct verb *verb = argc >= 3 ? find_verb(argv[1]) : NULL;
    if (!is_schedule && (verb == NULL || argc != (verb->takes_name ? 4 : 3)))
        return cli_usage(
            "`snapshot` takes create, list, delete, restore or schedule, a file system, and "
            "mostly a name: shoal snapshot create default before-upgrade");
    if (request.to != NULL && (is_schedule || !verb->takes_path))
        return cli_usage("--to is for `snapshot restore` only.");
    request.word = argv[2];
    request.name = argc == 4 ? argv[3] : NULL;
    request.has_path = !is_schedule && verb->takes_path;
    struct remotes remotes;
    remotes_init(&remotes, &options);
    if (!is_schedule)
        status = run(&remotes, verb, &request);
    else
        status = request.name == NULL ? show_schedule(&remotes, &request)
                                      : set_schedule(&remotes, &request);
    remotes_close(&remotes);
    return status;
}
