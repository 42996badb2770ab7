/*
 * cli/nouns/noun_tag.c - shoal tag: the tags of file systems and access points (room: cli).
 *
 * Source: EFS API, TagResource, UntagResource and ListTagsForResource.
 */
#include "cli/nouns/noun.h"

#define PATH_SIZE  256
#define QUERY_SIZE 4096
#define WORDS_MAX  51 /* an id and 50 tags, all that a resource can have */

int cmd_tag(int argc, char **argv)
{
    return noun_run(argc, argv);
}

/* The path of an access point's tags by its id, of a file system's by id or name. */
static int open_resource(struct noun_call *call, int words_min, int words_max, char path[PATH_SIZE])
{
    char id[NOUN_ID_SIZE];
    int status = noun_open(call, NULL, 0, words_min, words_max);
    if (status != CLI_OK)
        return status;
    const char *word = call->argv[1];
    if (strncmp(word, "fsap-", 5) == 0)
        status = noun_want_id(word, "fsap-", "an access point");
    else
        status = noun_fs_id(call, word, id);
    if (status == CLI_OK)
        (void)snprintf(
            path, PATH_SIZE, "/resource-tags/%s", strncmp(word, "fsap-", 5) == 0 ? word : id);
    return status;
}

static int show(struct noun_call *call, const char *path)
{
    static const struct noun_column columns[] = { { "KEY", "Key", COLUMN_TEXT },
        { "VALUE", "Value", COLUMN_TEXT } };
    json_t *list = NULL;
    int status = noun_efs_list(call, path, "", "Tags", &list);
    return status == CLI_OK ? noun_show_list(call, list, columns, ARRAY_SIZE(columns)) : status;
}

int noun_tag_list(struct noun_call *call)
{
    char path[PATH_SIZE];
    int status = open_resource(call, 1, 1, path);
    return status == CLI_OK ? show(call, path) : status;
}

int noun_tag_set(struct noun_call *call)
{
    char path[PATH_SIZE];
    int status = open_resource(call, 2, WORDS_MAX, path);
    if (status != CLI_OK)
        return status;
    json_t *tags = json_array();
    for (int i = 2; i < call->argc; i++) {
        if (json_array_append_new(tags, noun_tag_json(call->argv[i], strlen(call->argv[i]))) < 0) {
            json_decref(tags);
            return cli_usage("A tag is KEY=VALUE, not %s.", call->argv[i]);
        }
    }
    status = noun_efs(call,
        &(struct api_call){
            .method = "POST", .path = path, .query = "", .body = json_pack("{s:o}", "Tags", tags) },
        "the tags", NULL);
    return status == CLI_OK ? show(call, path) : status;
}

/* The keys as tagKeys=K&tagKeys=K, encoded: a form's text is just that. The caller ends the form. */
static int keys_query(const struct noun_call *call, struct api_form *form, char query[QUERY_SIZE])
{
    api_form_init(form, NULL, NULL);
    for (int i = 2; i < call->argc; i++)
        api_form_add(form, "tagKeys", call->argv[i]);
    if (form->is_full || form->size >= QUERY_SIZE)
        return cli_usage("These are too many tags for one call.");
    memcpy(query, form->text, form->size);
    query[form->size] = '\0';
    return CLI_OK;
}

int noun_tag_remove(struct noun_call *call)
{
    char path[PATH_SIZE];
    char query[QUERY_SIZE];
    struct api_form form = { 0 };
    int status = open_resource(call, 2, WORDS_MAX, path);
    if (status == CLI_OK)
        status = keys_query(call, &form, query);
    api_form_fini(&form);
    if (status == CLI_OK)
        status =
            noun_efs(call, &(struct api_call){ .method = "DELETE", .path = path, .query = query },
                "to take the tags away", NULL);
    return status == CLI_OK ? show(call, path) : status;
}
