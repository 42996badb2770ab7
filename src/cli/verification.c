/*
 * cli/verification.c - verifying file systems of a running service (room: cli).
 */
#include "cli/verification.h"

#include <inttypes.h>
#include <time.h>

#include "cli/api_query.h"
#include "cli/cli.h"
#include "cli/files/format.h"

#define SERVICE    "shoal"
#define SPACE      "Shoal_20261128."
#define HTTP_ERROR 400
#define FIRST_NS   20000000
#define LONGEST_NS 1000000000

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

int verification_open(const char *data, struct verification *out)
{
    *out = (struct verification){ 0 };
    out->instance.dir_fd = -1;
    int status = instance_open(data, &out->instance);
    if (status == CLI_OK)
        status = instance_require(&out->instance);
    if (status == CLI_OK)
        status = api_open(&out->instance, &out->api);
    if (status == CLI_OK)
        status = api_list_file_systems(&out->api, &out->file_systems);
    return status;
}

void verification_close(struct verification *verification)
{
    json_decref(verification->file_systems);
    if (verification->instance.dir_fd >= 0)
        instance_close(&verification->instance);
}

int verification_find(
    const struct verification *verification, const char *name, const char **out_id)
{
    const char *found = NULL;
    size_t index;
    const json_t *fs;
    json_array_foreach(verification->file_systems, index, fs)
    {
        const char *id = text_of(fs, "FileSystemId");
        if (strcmp(id, name) == 0) {
            *out_id = id;
            return CLI_OK;
        }
        if (strcmp(text_of(fs, "Name"), name) != 0)
            continue;
        if (found != NULL)
            return cli_fail("Several file systems are named %s: use an id (shoal status).", name);
        found = id;
    }
    if (found == NULL)
        return cli_fail("There is no file system %s (shoal status lists them).", name);
    *out_id = found;
    return CLI_OK;
}

int verification_ask(const struct verification *verification, const struct verification_call *call,
    json_t **out_answer)
{
    char target[64];
    struct api_reply reply = { 0 };
    (void)snprintf(target, sizeof target, SPACE "%s", call->operation);
    json_t *body = json_pack("{ss ss}", "FileSystemId", call->fs_id, "Kind", call->kind);
    if (body == NULL)
        return cli_fail("There is no memory left.");
    int status = api_target(&verification->api, SERVICE, target, body, &reply);
    json_decref(body);
    if (status != CLI_OK)
        return status;
    if (reply.status >= HTTP_ERROR)
        status = api_fail(&reply, "the verification");
    else
        *out_answer = json_incref(reply.body);
    api_reply_fini(&reply);
    return status;
}

uint64_t verification_number(const json_t *answer, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(answer, name));
}

const char *verification_state(const json_t *answer)
{
    return text_of(answer, "State");
}

/* "fs-...: 12.0 MiB of 3.0 GiB read, 0 findings" */
static void show_progress(const json_t *answer, const char *fs_id)
{
    char done[FORMAT_SIZE];
    char total[FORMAT_SIZE];
    (void)fprintf(stderr, "\r%s: %s of about %s read, %" PRIu64 " findings ", fs_id,
        format_bytes(done, verification_number(answer, "DoneBytes")),
        format_bytes(total, verification_number(answer, "TotalBytes")),
        verification_number(answer, "Wrong"));
}

int verification_await(const struct verification *verification, const char *fs_id, const char *kind,
    bool shows_progress, json_t **out_answer)
{
    const struct verification_call call = { "DescribeVerification", fs_id, kind };
    struct timespec nap = { .tv_nsec = FIRST_NS };
    for (;;) {
        json_t *answer = NULL;
        int status = verification_ask(verification, &call, &answer);
        if (status != CLI_OK)
            return status;
        bool is_running = strcmp(verification_state(answer), "running") == 0;
        if (shows_progress)
            show_progress(answer, fs_id);
        if (!is_running) {
            if (shows_progress)
                (void)fputc('\n', stderr);
            *out_answer = answer;
            return CLI_OK;
        }
        json_decref(answer);
        (void)nanosleep(&nap, NULL); /* woken early: it asks a little sooner */
        nap.tv_nsec = nap.tv_nsec * 2 < LONGEST_NS ? nap.tv_nsec * 2 : LONGEST_NS - 1;
    }
}

void verification_print_findings(const json_t *answer, const char *fs_id)
{
    const json_t *findings = json_object_get(answer, "Findings");
    size_t index;
    const json_t *finding;
    json_array_foreach(findings, index, finding)(void)
        printf("%s: %s\n", fs_id, json_string_value(finding));
    uint64_t wrong = verification_number(answer, "Wrong");
    if (wrong > json_array_size(findings))
        (void)printf("%s: %" PRIu64 " more\n", fs_id, wrong - json_array_size(findings));
}
