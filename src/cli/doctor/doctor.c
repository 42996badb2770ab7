/*
 * cli/doctor/doctor.c - the list of checks, and shoal doctor itself (room: cli).
 */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"

#define LIMIT_S_DEFAULT 10
#define LIMIT_S_MAX     600

const char *doctor_name(enum doctor_step step)
{
    static const char *const names[] = { "configuration", "service", "mount target", "DNS", "TCP",
        "security group", "TLS", "IAM and policy", "access point", "export", "identity", "write",
        "fsync", "read back" };
    return names[step];
}

void doctor_set(struct doctor *doctor, enum doctor_step step, enum doctor_state state,
    const char *found, const char *fix)
{
    struct doctor_check *check = &doctor->checks[step];
    check->state = state;
    (void)snprintf(check->found, sizeof check->found, "%s", found);
    (void)snprintf(check->fix, sizeof check->fix, "%s", fix);
}

void doctor_set_problem(struct doctor *doctor, enum doctor_step step, enum doctor_state state,
    const struct problem *problem)
{
    struct doctor_check *check = &doctor->checks[step];
    const char *cut = strstr(problem->text, ". ");
    const char *colon = strstr(problem->text, ": ");
    if (cut == NULL)
        cut = colon;
    size_t size = cut != NULL ? (size_t)(cut - problem->text) : strlen(problem->text);
    check->state = state;
    (void)snprintf(check->found, sizeof check->found, "%.*s", (int)size, problem->text);
    (void)snprintf(check->fix, sizeof check->fix, "%s", cut != NULL ? cut + 2 : "");
}

bool doctor_has_failed(const struct doctor *doctor)
{
    for (unsigned i = 0; i < CHECK_COUNT; i++) {
        if (doctor->checks[i].state == DOCTOR_FAIL)
            return true;
    }
    return false;
}

static const char *state_name(enum doctor_state state)
{
    static const char *const names[] = { "skip", "ok", "warn", "FAIL" };
    return names[state];
}

static void print_text(const struct doctor *doctor)
{
    (void)printf("shoal doctor %s\n", doctor->subject);
    for (unsigned i = 0; i < CHECK_COUNT; i++) {
        const struct doctor_check *check = &doctor->checks[i];
        (void)printf("%2u  %-4s  %-15s %s\n", i + 1, state_name(check->state), doctor_name(i),
            check->found[0] != '\0' ? check->found : "not reached");
        if (check->fix[0] != '\0')
            (void)printf("%27sfix: %s\n", "", check->fix);
    }
}

static int print_json(const struct doctor *doctor)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < CHECK_COUNT; i++) {
        const struct doctor_check *check = &doctor->checks[i];
        (void)json_array_append_new(list,
            json_pack("{s:i, s:s, s:s, s:s, s:s}", "number", (int)i + 1, "name", doctor_name(i),
                "status", state_name(check->state), "found", check->found, "fix", check->fix));
    }
    json_t *json = json_pack("{s:s, s:b, s:o}", "subject", doctor->subject, "ok",
        !doctor_has_failed(doctor), "checks", list);
    int status = json != NULL && json_dumpf(json, stdout, JSON_INDENT(2)) == 0
                     ? CLI_OK
                     : cli_fail("Cannot write the result.");
    (void)fputc('\n', stdout);
    json_decref(json);
    return status;
}

/* UID or UID:GID */
static int read_user(const char *word, struct doctor *doctor)
{
    char uid_text[16];
    uint64_t uid = 0;
    uint64_t gid = 0;
    size_t size = strcspn(word, ":");
    const char *gid_text = word[size] == ':' ? word + size + 1 : NULL;
    (void)snprintf(uid_text, sizeof uid_text, "%.*s", (int)size, word);
    if (text_parse_u64(uid_text, UINT32_MAX - 1, &uid) < 0 ||
        (gid_text != NULL && text_parse_u64(gid_text, UINT32_MAX - 1, &gid) < 0))
        return cli_usage("--as takes UID or UID:GID, not %s.", word);
    doctor->uid = (uint32_t)uid;
    doctor->gid = gid_text != NULL ? (uint32_t)gid : (uint32_t)uid;
    return CLI_OK;
}

static int examine(struct doctor *doctor, const char *options, bool as_json)
{
    bool is_path = doctor->subject[0] == '/' || doctor->subject[0] == '.';
    if (is_path)
        doctor_check_path(doctor, doctor->subject);
    else if (doctor_check_way(doctor, options))
        doctor_check_files(doctor);
    int status = CLI_OK;
    if (as_json)
        status = print_json(doctor);
    else
        print_text(doctor);
    if (status != CLI_OK)
        return status;
    return doctor_has_failed(doctor) ? CLI_FAILED : CLI_OK;
}

struct words {
    const char *data, *options, *user, *limit, *compose, *format;
    bool json;
};

/* All options in one list, as a mount has them. */
static int join_options(const struct words *words, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    int err = words->data != NULL ? text_append(out, size, &used, "data=%s", words->data) : 0;
    if (err == 0 && words->options != NULL)
        err = text_append(out, size, &used, "%s%s", used > 0 ? "," : "", words->options);
    return err < 0 ? cli_usage("The mount options are too long.") : CLI_OK;
}

int cmd_doctor(int argc, char **argv)
{
    struct words words = { 0 };
    char options[4096];
    uint64_t limit_s = LIMIT_S_DEFAULT;
    const struct cli_option known[] = { { "--data", &words.data, NULL },
        { "-o", &words.options, NULL }, { "--as", &words.user, NULL },
        { "--timeout", &words.limit, NULL }, { "--compose", &words.compose, NULL },
        { "--output", &words.format, NULL }, { "--json", NULL, &words.json } };
    int status = cli_parse(known, ARRAY_SIZE(known), &argc, argv);
    if (status == CLI_OK && words.options != NULL && strcmp(words.options, "json") == 0) {
        words.options = NULL; /* `-o json`, as of other commands; it is no mount option */
        words.json = true;
    }
    words.json = words.json || (words.format != NULL && strcmp(words.format, "json") == 0);
    if (status == CLI_OK && words.compose != NULL)
        return doctor_compose(words.compose, words.json);
    if (status == CLI_OK && argc > 2)
        status = cli_usage("`doctor` takes one file system or path; see shoal doctor --help.");
    if (status == CLI_OK && words.limit != NULL &&
        (text_parse_u64(words.limit, LIMIT_S_MAX, &limit_s) < 0 || limit_s == 0))
        status = cli_usage("--timeout takes 1 to %d seconds.", LIMIT_S_MAX);
    if (status == CLI_OK)
        status = join_options(&words, options, sizeof options);
    struct doctor *doctor = status == CLI_OK ? calloc(1, sizeof *doctor) : NULL;
    if (doctor == NULL)
        return status == CLI_OK ? cli_fail("There is no memory left.") : status;
    doctor->subject = argc == 2 ? argv[1] : "default";
    doctor->limit_ms = limit_s * 1000;
    doctor->uid = geteuid();
    doctor->gid = getegid();
    if (words.user != NULL)
        status = read_user(words.user, doctor);
    if (status == CLI_OK)
        status = examine(doctor, options, words.json);
    service_fini(&doctor->service);
    free(doctor);
    return status;
}
