/*
 * cli/default_fs.c - finding or making the default file system through the EFS API (room: cli).
 *
 * Idempotent by the API's own means: the creation token finds the file system again, and a zone whose subnet has a target gets
 * no second one. So a run that was interrupted is completed by the next.
 */
#include "cli/default_fs.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"

#define DEFAULT_TOKEN "default"
#define WAIT_MAX_MS   60000
#define WAIT_STEP_NS  20000000
#define HTTP_OK       200
#define HTTP_CREATED  201
#define HTTP_CONFLICT 409

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

/* Asks for a list; *out_list is a new reference to its array. */
static int describe(const struct api *api, const char *path, const char *query,
    const char *list_name, json_t **out_list)
{
    struct api_reply reply = { 0 };
    int status =
        api_call(api, &(struct api_call){ .method = "GET", .path = path, .query = query }, &reply);
    if (status != CLI_OK)
        return status;
    json_t *list = json_object_get(reply.body, list_name);
    if (reply.status == HTTP_OK && json_is_array(list))
        *out_list = json_incref(list);
    else
        status = api_fail(&reply, path);
    api_reply_fini(&reply);
    return status;
}

static int create(const struct api *api, const char *path, json_t *body)
{
    if (body == NULL)
        return cli_fail("There is no memory left.");
    struct api_reply reply = { 0 };
    int status = api_call(api,
        &(struct api_call){ .method = "POST", .path = path, .query = "", .body = body }, &reply);
    json_decref(body);
    if (status != CLI_OK)
        return status;
    /* A conflict means that another `shoal up` was quicker: what it made is found when we look again. */
    if (reply.status != HTTP_OK && reply.status != HTTP_CREATED && reply.status != HTTP_CONFLICT)
        status = api_fail(&reply, path);
    api_reply_fini(&reply);
    return status;
}

static int find_fs(const struct api *api, struct default_fs *fs, bool *out_available)
{
    json_t *list = NULL;
    int status =
        describe(api, "/file-systems", "CreationToken=" DEFAULT_TOKEN, "FileSystems", &list);
    if (status != CLI_OK)
        return status;
    const json_t *found = json_array_get(list, 0);
    fs->id[0] = '\0';
    if (found != NULL && text_copy(fs->id, sizeof fs->id, text_of(found, "FileSystemId")) < 0)
        status = cli_fail("The service gave a file system id that is too long.");
    *out_available = found != NULL && strcmp(text_of(found, "LifeCycleState"), "available") == 0;
    json_decref(list);
    return status;
}

/* The target of this zone among those that DescribeMountTargets gave. */
static const json_t *target_in(const json_t *list, const char *subnet_id)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(text_of(json_array_get(list, i), "SubnetId"), subnet_id) == 0)
            return json_array_get(list, i);
    }
    return NULL;
}

/* Copies what is known of the zone's target; false while it is not available. */
static bool take_target(
    const json_t *target, const struct instance_subnet *subnet, struct default_target *out)
{
    return strcmp(text_of(target, "LifeCycleState"), "available") == 0 &&
           text_copy(out->id, sizeof out->id, text_of(target, "MountTargetId")) == 0 &&
           text_copy(out->ip, sizeof out->ip, text_of(target, "IpAddress")) == 0 &&
           text_copy(out->zone, sizeof out->zone, subnet->zone) == 0;
}

/* Looks at all zones and makes the targets that are missing; *out_ready when all are available. */
static int look_at_targets(const struct api *api, struct default_fs *fs, bool *out_ready)
{
    const struct instance *instance = api->instance;
    char query[96];
    json_t *list = NULL;
    (void)snprintf(query, sizeof query, "FileSystemId=%s", fs->id);
    int status = describe(api, "/mount-targets", query, "MountTargets", &list);
    if (status != CLI_OK)
        return status;
    *out_ready = true;
    fs->target_count = instance->subnet_count;
    for (size_t i = 0; i < instance->subnet_count && status == CLI_OK; i++) {
        const struct instance_subnet *subnet = &instance->subnets[i];
        const json_t *target = target_in(list, subnet->id);
        if (target == NULL) {
            status = create(api, "/mount-targets",
                json_pack("{s:s, s:s}", "FileSystemId", fs->id, "SubnetId", subnet->id));
        }
        if (target == NULL || !take_target(target, subnet, &fs->targets[i]))
            *out_ready = false;
    }
    json_decref(list);
    return status;
}

static bool pause_until(uint64_t deadline_ms)
{
    const struct timespec step = { .tv_nsec = WAIT_STEP_NS };
    (void)nanosleep(&step, NULL); /* woken early: it looks a little sooner */
    return clock_coarse_ms() < deadline_ms;
}

static int ensure_fs(const struct api *api, struct default_fs *fs, uint64_t deadline_ms)
{
    bool is_available;
    int status = find_fs(api, fs, &is_available);
    if (status == CLI_OK && fs->id[0] == '\0') {
        status = create(api, "/file-systems",
            json_pack("{s:s, s:[{s:s, s:s}]}", "CreationToken", DEFAULT_TOKEN, "Tags", "Key",
                "Name", "Value", "default"));
    }
    while (status == CLI_OK && !is_available) {
        status = find_fs(api, fs, &is_available);
        if (status == CLI_OK && !is_available && !pause_until(deadline_ms))
            return cli_fail(
                "The file system \"default\" has not become available; the log of the service is "
                "%s/shoald.log.",
                api->instance->data);
    }
    return status;
}

int default_fs_ensure(const struct api *api, struct default_fs *out_fs)
{
    const uint64_t deadline_ms = clock_coarse_ms() + WAIT_MAX_MS;
    struct default_fs fs = { 0 };
    bool is_ready = false;
    int status = ensure_fs(api, &fs, deadline_ms);
    while (status == CLI_OK && !is_ready) {
        status = look_at_targets(api, &fs, &is_ready);
        if (status == CLI_OK && !is_ready && !pause_until(deadline_ms))
            return cli_fail(
                "The mount targets of %s have not become available; the log of the service is "
                "%s/shoald.log.",
                fs.id, api->instance->data);
    }
    if (status == CLI_OK)
        *out_fs = fs;
    return status;
}
