/* policy_parse.c - reading a policy: IAM's grammar, whole, so that nothing unknown is ever left out silently. */
#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/policy_internal.h"
#include "base/text.h"

#define ARENA_BYTES_MAX (4 * MIB)
#define STRINGS_MAX     4096u
#define STRING_SIZE_MAX 1024u

struct parser {
    struct policy *policy;
    char *message;
    size_t statement; /* the one that is being read, from 1; 0: none */
};

static int refuse(struct parser *parser, const char *format, ...) PRINTF_LIKE(2, 3);

/* Always gives -EINVAL, with the message. */
static int refuse(struct parser *parser, const char *format, ...)
{
    size_t used = 0;
    va_list arguments;
    if (parser->statement > 0)
        (void)text_append(
            parser->message, POLICY_MESSAGE_SIZE, &used, "Statement %zu: ", parser->statement);
    va_start(arguments, format);
    (void)vsnprintf(parser->message + used, POLICY_MESSAGE_SIZE - used, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* Visible text in a message, whatever was sent. */
static const char *shown(const char *text, char buffer[64])
{
    size_t i = 0;
    for (; text[i] != '\0' && i < 60; i++)
        buffer[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
    buffer[i] = '\0';
    return buffer;
}

static int take_string(
    struct parser *parser, json_t *json, const char *what, const char **out_string)
{
    const char *text = json_string_value(json);
    size_t size = json_string_length(json);
    if (text == NULL)
        return refuse(parser, "%s must be text.", what);
    if (size > STRING_SIZE_MAX)
        return refuse(parser, "%s is longer than %u characters.", what, STRING_SIZE_MAX);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < ' ')
            return refuse(parser, "%s holds a control character.", what);
    }
    *out_string = arena_copy(&parser->policy->arena, slice_of(text, size));
    return *out_string == NULL ? -ENOMEM : 0;
}

/* A text, or a list of texts. */
static int take_strings(
    struct parser *parser, json_t *json, const char *what, struct policy_strings *out)
{
    size_t count = json_is_array(json) ? json_array_size(json) : 1;
    if (count == 0 || count > STRINGS_MAX)
        return refuse(parser, "%s must have 1 to %u values.", what, STRINGS_MAX);
    out->list = arena_calloc(&parser->policy->arena, count, sizeof *out->list);
    if (out->list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_is_array(json) ? json_array_get(json, i) : json;
        int err = take_string(parser, item, what, &out->list[i]);
        if (err < 0)
            return err;
        out->count++;
    }
    return 0;
}

/* Values of conditions may be numbers and booleans, too. */
static int take_value(struct parser *parser, json_t *json, const char **out_string)
{
    char number[64];
    const char *text = number;
    if (json_is_boolean(json))
        text = json_is_true(json) ? "true" : "false";
    else if (json_is_integer(json))
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(json));
    else if (json_is_real(json))
        (void)snprintf(number, sizeof number, "%.17g", json_real_value(json));
    else
        return take_string(parser, json, "A value of Condition", out_string);
    *out_string = arena_copy(&parser->policy->arena, slice_str(text));
    return *out_string == NULL ? -ENOMEM : 0;
}

static int take_actions(struct parser *parser, struct policy_statement *statement)
{
    char buffer[64];
    for (size_t i = 0; i < statement->actions.count; i++) {
        const char *action = statement->actions.list[i];
        const char *colon = strchr(action, ':');
        if (strcmp(action, "*") != 0 && (colon == NULL || colon == action || colon[1] == '\0'))
            return refuse(parser, "\"%s\" is no action: they are written service:Action, or \"*\".",
                shown(action, buffer));
    }
    return 0;
}

static int check_resources(struct parser *parser, const struct policy_statement *statement)
{
    char buffer[64];
    for (size_t i = 0; i < statement->resources.count; i++) {
        const char *resource = statement->resources.list[i];
        if (strcmp(resource, "*") != 0 && strncmp(resource, "arn:", 4) != 0)
            return refuse(
                parser, "\"%s\" is no resource: it is an ARN or \"*\".", shown(resource, buffer));
    }
    return 0;
}

static int check_principal(struct parser *parser, const char *principal)
{
    char buffer[64];
    size_t digits = strspn(principal, "0123456789");
    bool is_account = digits == 12 && principal[digits] == '\0';
    bool is_arn = strncmp(principal, "arn:aws:iam::", 13) == 0 ||
                  strncmp(principal, "arn:aws:sts::", 13) == 0;
    if (strcmp(principal, "*") == 0 || is_account || (is_arn && strpbrk(principal, "*?") == NULL))
        return 0;
    return refuse(parser,
        "\"%s\" is no principal: it is \"*\", an account's 12 digits, or an ARN of IAM or STS "
        "without wildcards.",
        shown(principal, buffer));
}

/* "*", or an object of kinds. Services and federated identities are read and never match: none of them mounts. */
static int take_principals(struct parser *parser, json_t *json, struct policy_statement *statement)
{
    const char *kind;
    json_t *value;
    char buffer[64];
    if (json_is_string(json)) {
        if (strcmp(json_string_value(json), "*") != 0)
            return refuse(parser, "Principal is \"*\" or an object such as {\"AWS\": \"...\"}.");
        return take_strings(parser, json, "Principal", &statement->principals);
    }
    if (!json_is_object(json) || json_object_size(json) == 0)
        return refuse(parser, "Principal is \"*\" or an object such as {\"AWS\": \"...\"}.");
    json_object_foreach(json, kind, value)
    {
        struct policy_strings others;
        bool is_aws = strcmp(kind, "AWS") == 0;
        if (!is_aws && strcmp(kind, "Service") != 0 && strcmp(kind, "Federated") != 0 &&
            strcmp(kind, "CanonicalUser") != 0)
            return refuse(parser, "\"%s\" is no kind of principal.", shown(kind, buffer));
        others = (struct policy_strings){ 0 };
        int err =
            take_strings(parser, value, "Principal", is_aws ? &statement->principals : &others);
        for (size_t i = 0; is_aws && err == 0 && i < statement->principals.count; i++)
            err = check_principal(parser, statement->principals.list[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static int take_condition(struct parser *parser, const struct policy_operator *how, const char *key,
    json_t *json, struct policy_condition *out)
{
    size_t count = json_is_array(json) ? json_array_size(json) : 1;
    char buffer[64];
    out->how = *how;
    out->key = arena_copy(&parser->policy->arena, slice_str(key));
    out->values.list = arena_calloc(&parser->policy->arena, count, sizeof *out->values.list);
    if (out->key == NULL || out->values.list == NULL)
        return -ENOMEM;
    if (count == 0 || count > STRINGS_MAX)
        return refuse(parser, "Condition: \"%s\" has no values.", shown(key, buffer));
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_is_array(json) ? json_array_get(json, i) : json;
        int err = take_value(parser, item, &out->values.list[i]);
        if (err < 0)
            return err;
        if (!policy_is_value(how->kind, out->values.list[i]))
            return refuse(parser, "Condition: \"%s\" does not suit its operator.",
                shown(out->values.list[i], buffer));
        out->values.count++;
    }
    return 0;
}

static int take_conditions(struct parser *parser, json_t *json, struct policy_statement *statement)
{
    const char *name;
    json_t *block;
    const char *key;
    json_t *value;
    char buffer[64];
    size_t count = 0;
    if (!json_is_object(json))
        return refuse(parser, "Condition is an object of operators.");
    json_object_foreach(json, name, block)
    {
        if (!json_is_object(block))
            return refuse(
                parser, "Condition: \"%s\" holds an object of keys.", shown(name, buffer));
        count += json_object_size(block);
    }
    statement->conditions =
        arena_calloc(&parser->policy->arena, count, sizeof *statement->conditions);
    if (statement->conditions == NULL)
        return -ENOMEM;
    json_object_foreach(json, name, block)
    {
        struct policy_operator how;
        if (policy_parse_operator(name, &how) < 0)
            return refuse(parser, "Condition: \"%s\" is no operator.", shown(name, buffer));
        json_object_foreach(block, key, value)
        {
            int err = take_condition(
                parser, &how, key, value, &statement->conditions[statement->condition_count]);
            if (err < 0)
                return err;
            statement->condition_count++;
        }
    }
    return 0;
}

static int take_sid(struct parser *parser, json_t *json)
{
    const char *sid = json_string_value(json);
    for (size_t i = 0; sid != NULL && sid[i] != '\0'; i++) {
        if (!isalnum((unsigned char)sid[i]))
            sid = NULL;
    }
    return sid == NULL ? refuse(parser, "Sid is letters and digits.") : 0;
}

static int take_effect(struct parser *parser, json_t *json, struct policy_statement *statement)
{
    const char *effect = json_string_value(json);
    if (effect == NULL || (strcmp(effect, "Allow") != 0 && strcmp(effect, "Deny") != 0))
        return refuse(parser, "Effect is \"Allow\" or \"Deny\".");
    statement->denies = strcmp(effect, "Deny") == 0;
    return 0;
}

static int take_element(
    struct parser *parser, const char *name, json_t *json, struct policy_statement *statement)
{
    char buffer[64];
    bool is_not = strncmp(name, "Not", 3) == 0;
    const char *what = is_not ? name + 3 : name;
    if (strcmp(name, "Sid") == 0)
        return take_sid(parser, json);
    if (strcmp(name, "Effect") == 0)
        return take_effect(parser, json, statement);
    if (strcmp(name, "Condition") == 0)
        return take_conditions(parser, json, statement);
    if (strcmp(what, "Action") == 0) {
        if (statement->actions.count > 0)
            return refuse(parser, "has both Action and NotAction.");
        statement->not_actions = is_not;
        int err = take_strings(parser, json, name, &statement->actions);
        return err < 0 ? err : take_actions(parser, statement);
    }
    if (strcmp(what, "Resource") == 0) {
        if (parser->policy->kind == POLICY_OF_TRUST)
            return refuse(parser, "a trust policy has no Resource: it is the role.");
        if (statement->resources.count > 0)
            return refuse(parser, "has both Resource and NotResource.");
        statement->not_resources = is_not;
        int err = take_strings(parser, json, name, &statement->resources);
        return err < 0 ? err : check_resources(parser, statement);
    }
    if (strcmp(what, "Principal") == 0) {
        if (parser->policy->kind == POLICY_OF_IDENTITY)
            return refuse(parser, "a policy of an identity has no Principal.");
        if (statement->principals.count > 0)
            return refuse(parser, "has both Principal and NotPrincipal.");
        statement->not_principals = is_not;
        return take_principals(parser, json, statement);
    }
    return refuse(parser, "\"%s\" is no element of a statement.", shown(name, buffer));
}

static int take_statement(struct parser *parser, json_t *json, struct policy_statement *statement)
{
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return refuse(parser, "is no object.");
    json_object_foreach(json, name, value)
    {
        int err = take_element(parser, name, value, statement);
        if (err < 0)
            return err;
    }
    if (json_object_get(json, "Effect") == NULL)
        return refuse(parser, "has no Effect.");
    if (statement->actions.count == 0)
        return refuse(parser, "has no Action or NotAction.");
    bool has_principal =
        json_object_get(json, "Principal") != NULL || json_object_get(json, "NotPrincipal") != NULL;
    if (parser->policy->kind != POLICY_OF_IDENTITY && !has_principal)
        return refuse(parser, "has no Principal or NotPrincipal.");
    if (parser->policy->kind == POLICY_OF_IDENTITY && statement->resources.count == 0)
        return refuse(parser, "has no Resource or NotResource.");
    if (statement->resources.count == 0) { /* of a resource's policy: that resource */
        static const char *all = "*";
        statement->resources = (struct policy_strings){ &all, 1 };
    }
    return 0;
}

static int take_statements(struct parser *parser, json_t *json)
{
    size_t count = json_is_array(json) ? json_array_size(json) : 1;
    struct policy *policy = parser->policy;
    if (json == NULL || count == 0 || count > POLICY_STATEMENTS_MAX)
        return refuse(parser, "A policy has 1 to %u statements.", POLICY_STATEMENTS_MAX);
    policy->statements = arena_calloc(&policy->arena, count, sizeof *policy->statements);
    if (policy->statements == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        parser->statement = i + 1;
        json_t *item = json_is_array(json) ? json_array_get(json, i) : json;
        int err = take_statement(parser, item, &policy->statements[i]);
        if (err < 0)
            return err;
        policy->statement_count++;
    }
    parser->statement = 0;
    return 0;
}

static int take_policy(struct parser *parser, json_t *json)
{
    const char *name;
    json_t *value;
    char buffer[64];
    if (!json_is_object(json))
        return refuse(parser, "A policy is a JSON object.");
    json_object_foreach(json, name, value)
    {
        const char *text = json_string_value(value);
        if (strcmp(name, "Version") == 0) {
            if (text == NULL ||
                (strcmp(text, "2012-10-17") != 0 && strcmp(text, "2008-10-17") != 0))
                return refuse(parser, "Version is \"2012-10-17\" or \"2008-10-17\".");
            parser->policy->has_variables = strcmp(text, "2012-10-17") == 0;
        } else if (strcmp(name, "Id") == 0) {
            if (text == NULL)
                return refuse(parser, "Id must be text.");
        } else if (strcmp(name, "Statement") != 0) {
            return refuse(parser, "\"%s\" is no element of a policy.", shown(name, buffer));
        }
    }
    return take_statements(parser, json_object_get(json, "Statement"));
}

int policy_parse(enum policy_kind kind, struct slice json, char message[POLICY_MESSAGE_SIZE],
    struct policy **out_policy)
{
    struct policy *policy = calloc(1, sizeof *policy);
    struct parser parser = { .policy = policy, .message = message };
    json_error_t error;
    message[0] = '\0';
    if (policy == NULL)
        return -ENOMEM;
    policy->kind = kind;
    arena_init(&policy->arena, ARENA_BYTES_MAX);
    int err = 0;
    json_t *root = NULL;
    if (json.size > POLICY_SIZE_MAX)
        err = refuse(&parser, "The policy is longer than %u characters.", POLICY_SIZE_MAX);
    if (err == 0)
        root = json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, &error);
    if (err == 0 && root == NULL)
        err = refuse(&parser, "The policy is no JSON: %s, line %d column %d.",
            shown(error.text, (char[64]){ 0 }), error.line, error.column);
    if (err == 0)
        err = take_policy(&parser, root);
    json_decref(root);
    if (err < 0) {
        policy_free(policy);
        return err;
    }
    *out_policy = policy;
    return 0;
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    arena_fini(&policy->arena);
    free(policy);
}
