/*
 * cli/nouns/noun.c - finding the verb, its options, its help; calls of the service (room: cli).
 */
#include "cli/nouns/noun.h"

#include <ctype.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

#define OPTIONS_MAX    24
#define VERBS_MAX      64
#define QUERY_SIZE     512
#define TOKEN_SIZE     256
#define WAIT_MAX_MS    60000
#define WAIT_STEP_NS   20000000
#define FIRST_ERROR    400
#define PAGE_MARK_NEXT "NextToken"

static const struct noun_verb verbs[] = {
#define VERB(noun, verb, arguments, summary, details) \
    { #noun, #verb, noun_##noun##_##verb, arguments, summary, details },
#include "cli/nouns/nouns.def"
#undef VERB
};

unsigned noun_verb_count(void)
{
    return ARRAY_SIZE(verbs);
}

const struct noun_verb *noun_verb_at(unsigned index)
{
    return index < ARRAY_SIZE(verbs) ? &verbs[index] : NULL;
}

static const struct noun_verb *find_verb(const char *noun, const char *verb)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].noun, noun) == 0 && strcmp(verbs[i].verb, verb) == 0)
            return &verbs[i];
    }
    return NULL;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

bool noun_exists(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].noun, word) == 0)
            return true;
    }
    return false;
}

void noun_print_verbs(const char *noun, FILE *stream)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].noun, noun) == 0)
            (void)fprintf(stream, "  %-10s %s\n", verbs[i].verb, verbs[i].summary);
    }
}

static int print_overview(const char *noun, FILE *stream)
{
    (void)fprintf(stream, "Usage: shoal %s VERB [arguments]\n\n", noun);
    noun_print_verbs(noun, stream);
    (void)fprintf(stream, "\nshoal %s VERB --help tells more.\n", noun);
    return fflush(stream) == 0 ? CLI_OK : CLI_FAILED;
}

static int print_help(const struct noun_verb *verb)
{
    (void)printf(
        "Usage: shoal %s %s %s\n%s: %s.\n%s%s\nOptions of all verbs: --data DIR (or SHOAL_DATA), "
        "-o table|json|yaml.\n",
        verb->noun, verb->verb, verb->arguments, verb->verb, verb->summary,
        verb->details[0] != '\0' ? "\n" : "", verb->details);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static int explain_unknown(const char *noun, const char *word)
{
    const char *names[VERBS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(verbs) && count < VERBS_MAX; i++) {
        if (strcmp(verbs[i].noun, noun) == 0)
            names[count++] = verbs[i].verb;
    }
    int nearest = text_nearest(word, names, count);
    if (nearest >= 0)
        return cli_usage("`%s` has no verb %s; did you mean %s?", noun, word, names[nearest]);
    return cli_usage("`%s` has no verb %s; shoal %s --help lists all.", noun, word, noun);
}

int noun_run(int argc, char **argv)
{
    if (argc < 2) {
        (void)print_overview(argv[0], stderr);
        return CLI_USAGE;
    }
    if (asks_for_help(argv[1]))
        return print_overview(argv[0], stdout);
    const struct noun_verb *verb = find_verb(argv[0], argv[1]);
    if (verb == NULL)
        return explain_unknown(argv[0], argv[1]);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || (i == 2 && strcmp(argv[i], "-h") == 0))
            return print_help(verb);
    }
    struct noun_call call = { .verb = verb, .argc = argc - 1, .argv = argv + 1 };
    int status = verb->run(&call);
    if (call.is_open)
        instance_close(&call.instance);
    return status;
}

static int read_format(const char *word, enum noun_format *out_format)
{
    static const char *const names[] = { "table", "json", "yaml" };
    for (unsigned i = 0; word != NULL && i < ARRAY_SIZE(names); i++) {
        if (strcmp(word, names[i]) == 0) {
            *out_format = (enum noun_format)i;
            return CLI_OK;
        }
    }
    return word == NULL ? CLI_OK : cli_usage("-o is table, json or yaml, not %s.", word);
}

int noun_open(struct noun_call *call, const struct cli_option *options, size_t option_count,
    int words_min, int words_max)
{
    struct cli_option all[OPTIONS_MAX];
    const char *data = NULL;
    const char *format = NULL;
    const struct cli_option common[] = { { "--data", &data, NULL }, { "-o", &format, NULL },
        { "--output", &format, NULL }, { "--dry-run", NULL, &call->is_dry_run } };
    size_t count = ARRAY_SIZE(common);
    if (strstr(call->verb->arguments, "--dry-run") == NULL)
        count--;
    assert(option_count + count <= OPTIONS_MAX);
    memcpy(all, common, count * sizeof *all);
    for (size_t i = 0; i < option_count; i++)
        all[count + i] = options[i];
    int status = cli_parse(all, count + option_count, &call->argc, call->argv);
    if (status == CLI_OK)
        status = read_format(format, &call->format);
    if (status != CLI_OK)
        return status;
    if (call->argc - 1 < words_min || call->argc - 1 > words_max)
        return cli_usage(
            "Usage: shoal %s %s %s", call->verb->noun, call->verb->verb, call->verb->arguments);
    status = instance_open(data, &call->instance);
    if (status != CLI_OK)
        return status;
    call->is_open = true;
    status = instance_require(&call->instance);
    return status == CLI_OK ? api_open(&call->instance, &call->api) : status;
}

/* Gives the body to the caller, or makes the sentence of an error. */
static int take(struct api_reply *reply, const char *doing, json_t **out_body)
{
    int status = reply->status >= FIRST_ERROR ? api_fail(reply, doing) : CLI_OK;
    if (status == CLI_OK && out_body != NULL)
        *out_body = json_incref(reply->body);
    api_reply_fini(reply);
    return status;
}

int noun_efs(
    struct noun_call *call, const struct api_call *what, const char *doing, json_t **out_body)
{
    struct api_reply reply = { 0 };
    int status = api_call(&call->api, what, &reply);
    json_decref(what->body);
    return status == CLI_OK ? take(&reply, doing, out_body) : status;
}

int noun_query(struct noun_call *call, const char *service, struct api_form *form,
    const char *doing, json_t **out_body)
{
    struct api_reply reply = { 0 };
    int status = api_query(&call->api, service, form, &reply);
    api_form_fini(form);
    return status == CLI_OK ? take(&reply, doing, out_body) : status;
}

/* The mark of the next page, whichever of its two names it has, and the name it goes back by. */
static const char *next_page(const json_t *page, const char **out_name)
{
    const char *marker = json_string_value(json_object_get(page, "NextMarker"));
    *out_name = marker != NULL ? "Marker" : PAGE_MARK_NEXT;
    return marker != NULL ? marker : json_string_value(json_object_get(page, PAGE_MARK_NEXT));
}

int noun_efs_list(struct noun_call *call, const char *path, const char *filter,
    const char *list_name, json_t **out_list)
{
    json_t *list = json_array();
    char query[QUERY_SIZE];
    (void)snprintf(query, sizeof query, "%s", filter); /* of ids, short */
    int status = CLI_OK;
    for (bool more = true; more && status == CLI_OK;) {
        json_t *page = NULL;
        status = noun_efs(call, &(struct api_call){ .method = "GET", .path = path, .query = query },
            "the list", &page);
        if (status == CLI_OK && json_array_extend(list, json_object_get(page, list_name)) < 0)
            status = cli_fail("The service gave an answer without %s.", list_name);
        const char *name;
        const char *mark = next_page(page, &name);
        more = mark != NULL && strlen(mark) < TOKEN_SIZE;
        if (more) {
            (void)snprintf(query, sizeof query, "%s%s%s=%s", filter, filter[0] != '\0' ? "&" : "",
                name, mark); /* marks are ids, which need no encoding */
        }
        json_decref(page);
    }
    if (status == CLI_OK)
        *out_list = list;
    else
        json_decref(list);
    return status;
}

int noun_find_fs(struct noun_call *call, const char *word, json_t **out_fs)
{
    json_t *list = NULL;
    int status = api_list_file_systems(&call->api, &list);
    if (status != CLI_OK)
        return status;
    json_t *found = NULL;
    bool is_many = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *fs = json_array_get(list, i);
        bool is_id = strcmp(noun_text(fs, "FileSystemId"), word) == 0;
        if (!is_id && strcmp(noun_text(fs, "Name"), word) != 0)
            continue;
        is_many = found != NULL && !is_id;
        found = fs;
        if (is_id)
            break;
    }
    if (is_many)
        status = cli_fail("Several file systems are named %s: use an id (shoal fs list).", word);
    else if (found == NULL)
        status = cli_fail("There is no file system %s (shoal fs list).", word);
    else
        *out_fs = json_incref(found);
    json_decref(list);
    return status;
}

int noun_fs_id(struct noun_call *call, const char *word, char *out_id)
{
    json_t *fs = NULL;
    int status = noun_find_fs(call, word, &fs);
    if (status == CLI_OK && text_copy(out_id, NOUN_ID_SIZE, noun_text(fs, "FileSystemId")) < 0)
        status = cli_fail("The service gave a file system id that is too long.");
    json_decref(fs);
    return status;
}

int noun_want_id(const char *word, const char *prefix, const char *what)
{
    size_t size = strlen(prefix);
    bool is_id =
        strncmp(word, prefix, size) == 0 && word[size] != '\0' && strlen(word) < NOUN_ID_SIZE;
    for (const char *at = word + size; is_id && *at != '\0'; at++)
        is_id = isxdigit((unsigned char)*at) != 0;
    return is_id ? CLI_OK : cli_usage("%s is not %s: its id begins with %s.", word, what, prefix);
}

json_t *noun_tag_json(const char *text, size_t size)
{
    const char *equals = memchr(text, '=', size);
    if (equals == NULL)
        return NULL;
    size_t key_size = (size_t)(equals - text);
    return json_pack(
        "{s:s%, s:s%}", "Key", text, key_size, "Value", equals + 1, size - key_size - 1);
}

int noun_add_tags(json_t *body, const char *tags)
{
    if (tags == NULL)
        return CLI_OK;
    json_t *list = json_object_get(body, "Tags");
    if (list == NULL && json_object_set_new(body, "Tags", json_array()) == 0)
        list = json_object_get(body, "Tags");
    for (const char *at = tags; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (json_array_append_new(list, noun_tag_json(at, size)) < 0)
            return cli_usage("Tags are KEY=VALUE with commas between, not %s.", tags);
        at += size;
        at += *at == ',';
    }
    return CLI_OK;
}

int noun_number(const char *word, const char *option, uint64_t max, json_int_t *out_number)
{
    uint64_t number;
    if (text_parse_u64(word, max, &number) < 0)
        return cli_usage(
            "%s is a number up to %llu, not %s.", option, (unsigned long long)max, word);
    *out_number = (json_int_t)number;
    return CLI_OK;
}

int noun_wait(struct noun_call *call, const char *what, const void *subject,
    int (*describe)(struct noun_call *call, const void *subject, bool *out_done))
{
    const struct timespec step = { .tv_nsec = WAIT_STEP_NS };
    const uint64_t deadline_ms = clock_coarse_ms() + WAIT_MAX_MS;
    bool is_done = false;
    for (;;) {
        int status = describe(call, subject, &is_done);
        if (status != CLI_OK || is_done)
            return status;
        if (clock_coarse_ms() > deadline_ms)
            return cli_fail("%s is not ready after %u s; the service's log is %s/shoald.log.", what,
                WAIT_MAX_MS / 1000, call->instance.data);
        (void)nanosleep(&step, NULL); /* woken early: it looks a little sooner */
    }
}
