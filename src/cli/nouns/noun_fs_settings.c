/*
 * cli/nouns/noun_fs_settings.c - shoal fs lifecycle and backup (room: cli).
 *
 * Source: EFS API, PutLifecycleConfiguration and PutBackupPolicy.
 */
#include "base/text.h"
#include "cli/nouns/noun_fs.h"

#define PATH_SIZE 256
#define WORD_SIZE 32

/* Adds {NAME: AFTER_N_DAYS} unless the option says none. */
static int add_days(json_t *list, const char *name, const char *option, const char *days)
{
    char word[WORD_SIZE];
    json_int_t number;
    if (days == NULL || strcmp(days, "none") == 0)
        return CLI_OK;
    int status = noun_number(days, option, 365, &number);
    if (status != CLI_OK)
        return status;
    (void)snprintf(word, sizeof word, "AFTER_%d_DAY%s", (int)number, number == 1 ? "" : "S");
    return json_array_append_new(list, json_pack("{s:s}", name, word)) == 0
               ? CLI_OK
               : cli_fail("There is no memory left.");
}

static int add_back(json_t *list, const char *back)
{
    if (back == NULL || strcmp(back, "none") == 0)
        return CLI_OK;
    if (strcmp(back, "once") != 0)
        return cli_usage("--back is once or none, not %s.", back);
    return json_array_append_new(
               list, json_pack("{s:s}", "TransitionToPrimaryStorageClass", "AFTER_1_ACCESS")) == 0
               ? CLI_OK
               : cli_fail("There is no memory left.");
}

/* Puts or, with an empty body, asks for the lifecycle; shows what is in force. */
static int lifecycle_call(struct noun_call *call, const char *id, const char *method, json_t *body)
{
    char path[PATH_SIZE];
    json_t *answer = NULL;
    (void)snprintf(path, sizeof path, "/file-systems/%s/lifecycle-configuration", id);
    int status = noun_efs(call,
        &(struct api_call){ .method = method, .path = path, .query = "", .body = body },
        "the lifecycle", &answer);
    return status == CLI_OK ? noun_show(call, answer) : status;
}

int noun_fs_lifecycle(struct noun_call *call)
{
    const char *ia = NULL;
    const char *archive = NULL;
    const char *back = NULL;
    char id[NOUN_ID_SIZE];
    const struct cli_option options[] = { { "--ia", &ia, NULL }, { "--archive", &archive, NULL },
        { "--back", &back, NULL } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK)
        status = noun_fs_id(call, call->argv[1], id);
    if (status != CLI_OK)
        return status;
    if (ia == NULL && archive == NULL && back == NULL)
        return lifecycle_call(call, id, "GET", NULL);
    json_t *list = json_array();
    status = add_days(list, "TransitionToIA", "--ia", ia);
    if (status == CLI_OK)
        status = add_days(list, "TransitionToArchive", "--archive", archive);
    if (status == CLI_OK)
        status = add_back(list, back);
    if (status == CLI_OK)
        return lifecycle_call(call, id, "PUT", json_pack("{s:o}", "LifecyclePolicies", list));
    json_decref(list);
    return status;
}

int noun_fs_backup(struct noun_call *call)
{
    char id[NOUN_ID_SIZE];
    char path[PATH_SIZE];
    json_t *answer = NULL;
    json_t *body = NULL;
    int status = noun_open(call, NULL, 0, 1, 2);
    if (status == CLI_OK)
        status = noun_fs_id(call, call->argv[1], id);
    if (status != CLI_OK)
        return status;
    if (call->argc == 3) {
        bool is_on = strcmp(call->argv[2], "on") == 0;
        if (!is_on && strcmp(call->argv[2], "off") != 0)
            return cli_usage("The backup policy is on or off, not %s.", call->argv[2]);
        body = json_pack("{s:{s:s}}", "BackupPolicy", "Status", is_on ? "ENABLED" : "DISABLED");
    }
    (void)snprintf(path, sizeof path, "/file-systems/%s/backup-policy", id);
    status = noun_efs(call,
        &(struct api_call){
            .method = body != NULL ? "PUT" : "GET", .path = path, .query = "", .body = body },
        "the backup policy", &answer);
    return status == CLI_OK ? noun_show(call, answer) : status;
}
