/*
 * cli/nouns/noun_key.c - shoal key: the keys that encrypt file systems (room: cli).
 *
 * Source: KMS API, version 2014-11-01. KEY is an id, an ARN, or alias/NAME; the API takes aliases for reading only, so they
 * are looked up first.
 */
#include "cli/nouns/noun.h"

#define TARGET_SIZE 64
#define ALIAS_SIZE  257

int cmd_key(int argc, char **argv)
{
    return noun_run(argc, argv);
}

/* One call; `body` is taken. *out_body (may be NULL) is a new reference. */
static int call_kms(struct noun_call *call, const char *operation, json_t *body, const char *doing,
    json_t **out_body)
{
    char target[TARGET_SIZE];
    struct api_reply reply = { 0 };
    if (body == NULL)
        return cli_fail("There is no memory left.");
    (void)snprintf(target, sizeof target, "TrentService.%s", operation);
    int status = api_target(&call->api, "kms", target, body, &reply);
    json_decref(body);
    if (status == CLI_OK && reply.error[0] != '\0')
        status = api_fail(&reply, doing);
    if (status == CLI_OK && out_body != NULL)
        *out_body = json_incref(reply.body);
    api_reply_fini(&reply);
    return status;
}

/* The description of the key that `word` names. */
static int describe(struct noun_call *call, const char *word, json_t **out_key)
{
    json_t *body = NULL;
    int status = call_kms(call, "DescribeKey", json_pack("{ss}", "KeyId", word), "the key", &body);
    if (status == CLI_OK)
        *out_key = json_incref(json_object_get(body, "KeyMetadata"));
    json_decref(body);
    return status;
}

/* Opens for a verb with a key and up to `more` words; *out_key is what it is now. */
static int open_key(struct noun_call *call, const struct cli_option *options, size_t option_count,
    int more, json_t **out_key)
{
    int status = noun_open(call, options, option_count, 1 + more, 1 + more);
    return status == CLI_OK ? describe(call, call->argv[1], out_key) : status;
}

/* Adds the aliases of each key, as "Aliases". */
static int add_aliases(struct noun_call *call, json_t *key)
{
    json_t *body = NULL;
    json_t *names = json_array();
    int status = call_kms(call, "ListAliases",
        json_pack("{ss si}", "KeyId", noun_text(key, "KeyId"), "Limit", 50), "the aliases", &body);
    const json_t *list = json_object_get(body, "Aliases");
    for (size_t i = 0; i < json_array_size(list); i++)
        (void)json_array_append_new(
            names, json_string(noun_text(json_array_get(list, i), "AliasName")));
    (void)json_object_set_new(key, "Aliases", names);
    json_decref(body);
    return status;
}

int noun_key_list(struct noun_call *call)
{
    static const struct noun_column columns[] = { { "KEY", "KeyId", COLUMN_TEXT },
        { "STATE", "KeyState", COLUMN_TEXT }, { "MANAGER", "KeyManager", COLUMN_TEXT },
        { "CREATED", "CreationDate", COLUMN_TIME }, { "ALIASES", "Aliases", COLUMN_TEXT },
        { "DESCRIPTION", "Description", COLUMN_TEXT } };
    char marker[NOUN_ID_SIZE] = "";
    bool is_more = true;
    json_t *all = json_array();
    int status = noun_open(call, NULL, 0, 0, 0);
    while (status == CLI_OK && is_more) {
        json_t *page = NULL;
        status = call_kms(
            call, "ListKeys", json_pack("{ss}", "Marker", marker), "the list of keys", &page);
        const json_t *keys = json_object_get(page, "Keys");
        for (size_t i = 0; status == CLI_OK && i < json_array_size(keys); i++) {
            json_t *key = NULL;
            status = describe(call, noun_text(json_array_get(keys, i), "KeyId"), &key);
            if (status == CLI_OK)
                status = add_aliases(call, key);
            (void)json_array_append_new(all, key);
        }
        is_more = json_is_true(json_object_get(page, "Truncated"));
        (void)snprintf(marker, sizeof marker, "%s", noun_text(page, "NextMarker"));
        json_decref(page);
    }
    if (status == CLI_OK)
        return noun_show_list(call, all, columns, ARRAY_SIZE(columns));
    json_decref(all);
    return status;
}

int noun_key_show(struct noun_call *call)
{
    json_t *key = NULL;
    int status = open_key(call, NULL, 0, 0, &key);
    if (status == CLI_OK)
        status = add_aliases(call, key);
    if (status == CLI_OK)
        return noun_show(call, key);
    json_decref(key);
    return status;
}

/* An alias with its prefix, which people may leave out. */
static int make_alias(const char *word, char alias[ALIAS_SIZE])
{
    const char *prefix = strncmp(word, "alias/", 6) == 0 ? "" : "alias/";
    int size = snprintf(alias, ALIAS_SIZE, "%s%s", prefix, word);
    return size < ALIAS_SIZE ? CLI_OK : cli_usage("An alias has at most 256 letters.");
}

/* Makes the alias, or moves it to this key. */
static int put_alias(struct noun_call *call, const char *word, const char *key_id)
{
    char alias[ALIAS_SIZE];
    struct api_reply reply = { 0 };
    int status = make_alias(word, alias);
    if (status != CLI_OK)
        return status;
    json_t *body = json_pack("{ss ss}", "AliasName", alias, "TargetKeyId", key_id);
    status = api_target(&call->api, "kms", "TrentService.CreateAlias", body, &reply);
    if (status == CLI_OK && strcmp(reply.error, "AlreadyExistsException") == 0)
        status = call_kms(call, "UpdateAlias", json_incref(body), "the alias", NULL);
    else if (status == CLI_OK && reply.error[0] != '\0')
        status = api_fail(&reply, "the alias");
    api_reply_fini(&reply);
    json_decref(body);
    return status;
}

int noun_key_create(struct noun_call *call)
{
    const char *description = "";
    const char *alias = NULL;
    const struct cli_option options[] = { { "--description", &description, NULL },
        { "--alias", &alias, NULL } };
    json_t *body = NULL;
    int status = noun_open(call, options, ARRAY_SIZE(options), 0, 0);
    if (status == CLI_OK)
        status = call_kms(
            call, "CreateKey", json_pack("{ss}", "Description", description), "the key", &body);
    if (status != CLI_OK)
        return status;
    json_t *key = json_incref(json_object_get(body, "KeyMetadata"));
    json_decref(body);
    if (alias != NULL)
        status = put_alias(call, alias, noun_text(key, "KeyId"));
    if (status == CLI_OK)
        return noun_done(call, key, "Made the key %s.", noun_text(key, "KeyId"));
    json_decref(key);
    return status;
}

/* A call that takes only the key; then says what it is now. */
static int change(struct noun_call *call, const char *operation, const char *what)
{
    json_t *key = NULL;
    json_t *now = NULL;
    int status = open_key(call, NULL, 0, 0, &key);
    if (status != CLI_OK)
        return status;
    const char *id = noun_text(key, "KeyId");
    status = call_kms(call, operation, json_pack("{ss}", "KeyId", id), what, NULL);
    if (status == CLI_OK)
        status = describe(call, id, &now);
    if (status == CLI_OK)
        status = noun_done(call, now, "The key %s is %s.", id, what);
    json_decref(key);
    return status;
}

int noun_key_enable(struct noun_call *call)
{
    return change(call, "EnableKey", "enabled");
}

int noun_key_disable(struct noun_call *call)
{
    return change(call, "DisableKey", "disabled");
}

int noun_key_rotate(struct noun_call *call)
{
    return change(call, "RotateKeyOnDemand", "rotated");
}

int noun_key_restore(struct noun_call *call)
{
    return change(call, "CancelKeyDeletion", "kept, and disabled");
}

int noun_key_delete(struct noun_call *call)
{
    const char *days_text = "30";
    json_int_t days = 0;
    json_t *key = NULL;
    const struct cli_option options[] = { { "--days", &days_text, NULL } };
    int status = open_key(call, options, ARRAY_SIZE(options), 0, &key);
    if (status == CLI_OK)
        status = noun_number(days_text, "--days", 30, &days);
    const char *id = noun_text(key, "KeyId");
    if (status == CLI_OK && call->is_dry_run)
        return noun_done(call, key,
            "The key %s would be deleted in %s days, and nothing it encrypts could be read from "
            "now on.",
            id, days_text);
    if (status == CLI_OK)
        status = call_kms(call, "ScheduleKeyDeletion",
            json_pack("{ss sI}", "KeyId", id, "PendingWindowInDays", days), "to delete the key",
            NULL);
    if (status == CLI_OK)
        return noun_done(call, key,
            "The key %s is deleted in %s days; until then `shoal key restore` keeps it.", id,
            days_text);
    json_decref(key);
    return status;
}

int noun_key_alias(struct noun_call *call)
{
    json_t *key = NULL;
    int status = open_key(call, NULL, 0, 1, &key);
    if (status == CLI_OK)
        status = put_alias(call, call->argv[2], noun_text(key, "KeyId"));
    if (status == CLI_OK)
        return noun_done(call, key, "%s names the key %s.", call->argv[2], noun_text(key, "KeyId"));
    json_decref(key);
    return status;
}
