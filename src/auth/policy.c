/* policy.c - evaluating: which statements apply, and what they say together. */
#include <strings.h>

#include "auth/policy_internal.h"

#define ACCOUNT_ID_SIZE 12u

/* In a pattern: the next character is an ordinary one. No JSON text of a policy holds it (policy_parse.c). */
#define LITERAL_MARK '\x01'

static unsigned char folded(char c, bool ignore_case)
{
    return (unsigned char)(ignore_case && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* One step of a pattern. */
struct element {
    enum { ELEMENT_END, ELEMENT_ANY_TEXT, ELEMENT_ANY_ONE, ELEMENT_CHARACTER } kind;
    char character;
    const char *rest;
};

static struct element element_at(const char *pattern)
{
    if (*pattern == '\0')
        return (struct element){ ELEMENT_END, 0, pattern };
    if (*pattern == LITERAL_MARK && pattern[1] != '\0')
        return (struct element){ ELEMENT_CHARACTER, pattern[1], pattern + 2 };
    if (*pattern == '*')
        return (struct element){ ELEMENT_ANY_TEXT, 0, pattern + 1 };
    if (*pattern == '?')
        return (struct element){ ELEMENT_ANY_ONE, 0, pattern + 1 };
    return (struct element){ ELEMENT_CHARACTER, *pattern, pattern + 1 };
}

bool policy_matches_expanded(const char *pattern, const char *text, bool ignore_case)
{
    const char *after_star = NULL; /* where to try again, one character further */
    const char *star_text = NULL;
    for (;;) {
        struct element element = element_at(pattern);
        if (element.kind == ELEMENT_ANY_TEXT) {
            after_star = pattern = element.rest;
            star_text = text;
            continue;
        }
        if (element.kind == ELEMENT_END && *text == '\0')
            return true;
        bool fits = *text != '\0' &&
                    (element.kind == ELEMENT_ANY_ONE ||
                        (element.kind == ELEMENT_CHARACTER &&
                            folded(element.character, ignore_case) == folded(*text, ignore_case)));
        if (fits) {
            pattern = element.rest;
            text++;
        } else if (after_star != NULL && *star_text != '\0') {
            pattern = after_star;
            text = ++star_text;
        } else {
            return false;
        }
    }
}

bool policy_matches(const char *pattern, const char *text, bool ignore_case)
{
    return policy_matches_expanded(pattern, text, ignore_case);
}

const struct policy_key *policy_find_key(const struct policy_request *request, const char *name)
{
    for (size_t i = 0; i < request->key_count; i++) {
        if (strcasecmp(request->keys[i].name, name) == 0)
            return request->keys[i].value_count > 0 ? &request->keys[i] : NULL;
    }
    return NULL;
}

/* ---- variables ----------------------------------------------------------------------------------------- */

struct output {
    char *text;
    size_t size;
    bool is_cut;
};

static void put(struct output *out, char c, bool is_literal)
{
    if (out->size + 3 > POLICY_EXPANDED_SIZE) {
        out->is_cut = true;
        return;
    }
    if (is_literal)
        out->text[out->size++] = LITERAL_MARK;
    out->text[out->size++] = c;
}

static void put_value(struct output *out, const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put(out, value[i], strchr("*?\x01", value[i]) != NULL);
}

/* The variable between the braces: `name`, or `name, 'default'`. */
static bool put_variable(
    struct output *out, const struct policy_request *request, const char *inside, size_t size)
{
    char name[128];
    if (size == 1 && (*inside == '*' || *inside == '?' || *inside == '$')) {
        put(out, *inside, true);
        return true;
    }
    size_t name_size = strcspn(inside, ",}");
    while (name_size > 0 && inside[name_size - 1] == ' ')
        name_size--;
    if (name_size >= sizeof name)
        return false;
    memcpy(name, inside, name_size);
    name[name_size] = '\0';
    const struct policy_key *key = policy_find_key(request, name);
    if (key != NULL) {
        put_value(out, key->values[0], strlen(key->values[0]));
        return key->value_count == 1; /* of several, none is the one */
    }
    const char *from = memchr(inside, '\'', size);
    const char *to =
        from != NULL ? memchr(from + 1, '\'', size - (size_t)(from + 1 - inside)) : NULL;
    if (to == NULL)
        return false;
    put_value(out, from + 1, (size_t)(to - from - 1));
    return true;
}

bool policy_expand(const struct policy *policy, const struct policy_request *request,
    const char *pattern, char out_text[POLICY_EXPANDED_SIZE])
{
    struct output out = { .text = out_text };
    while (*pattern != '\0' && !out.is_cut) {
        const char *end =
            policy->has_variables && strncmp(pattern, "${", 2) == 0 ? strchr(pattern, '}') : NULL;
        if (end != NULL) {
            if (!put_variable(&out, request, pattern + 2, (size_t)(end - pattern - 2)))
                return false;
            pattern = end + 1;
        } else {
            put(&out, *pattern++, false);
        }
    }
    out_text[out.size] = '\0';
    return !out.is_cut;
}

/* ---- statements ---------------------------------------------------------------------------------------- */

static bool names_action(const struct policy_strings *actions, const char *action)
{
    for (size_t i = 0; i < actions->count; i++) {
        if (policy_matches(actions->list[i], action, true))
            return true;
    }
    return false;
}

static bool names_resource(const struct policy *policy, const struct policy_strings *resources,
    const struct policy_request *request)
{
    char pattern[POLICY_EXPANDED_SIZE];
    for (size_t i = 0; i < resources->count; i++) {
        if (policy_expand(policy, request, resources->list[i], pattern) &&
            policy_matches_expanded(pattern, request->resource, false))
            return true;
    }
    return false;
}

/* Whether `principal` means a whole account: its id, or the ARN of its root; and whether that is `account_id`. */
static bool is_account(const char *principal, const char *account_id)
{
    static const char prefix[] = "arn:aws:iam::";
    if (account_id == NULL)
        return false;
    if (strncmp(principal, prefix, sizeof prefix - 1) == 0) {
        principal += sizeof prefix - 1;
        if (strlen(principal) != ACCOUNT_ID_SIZE + 5 ||
            strcmp(principal + ACCOUNT_ID_SIZE, ":root") != 0)
            return false;
    } else if (strlen(principal) != ACCOUNT_ID_SIZE) {
        return false;
    }
    return strncmp(principal, account_id, ACCOUNT_ID_SIZE) == 0;
}

/* A statement for an account means all in it when it denies or excepts. When it allows, it only hands the decision
 * to the account, whose identities need an allowance of their own; its root user needs none. */
static bool names_principal(
    const struct policy_statement *statement, const struct policy_request *request)
{
    bool for_all = statement->denies || statement->not_principals;
    for (size_t i = 0; i < statement->principals.count; i++) {
        const char *principal = statement->principals.list[i];
        if (strcmp(principal, "*") == 0)
            return true;
        if (for_all && is_account(principal, request->account_id))
            return true;
        for (size_t j = 0; j < request->principal_count; j++) {
            if (strcmp(principal, request->principals[j]) == 0 ||
                (is_account(principal, request->account_id) &&
                    is_account(request->principals[j], request->account_id)))
                return true;
        }
    }
    return false;
}

static bool applies(const struct policy *policy, const struct policy_statement *statement,
    const struct policy_request *request)
{
    if (names_action(&statement->actions, request->action) == statement->not_actions)
        return false;
    if (names_resource(policy, &statement->resources, request) == statement->not_resources)
        return false;
    if (policy->kind != POLICY_OF_IDENTITY &&
        names_principal(statement, request) == statement->not_principals)
        return false;
    for (size_t i = 0; i < statement->condition_count; i++) {
        if (!policy_condition_holds(policy, &statement->conditions[i], request))
            return false;
    }
    return true;
}

enum policy_verdict policy_evaluate(
    const struct policy *policy, const struct policy_request *request)
{
    enum policy_verdict verdict = POLICY_SILENT;
    for (size_t i = 0; i < policy->statement_count; i++) {
        if (!applies(policy, &policy->statements[i], request))
            continue;
        if (policy->statements[i].denies)
            return POLICY_DENIES;
        verdict = POLICY_ALLOWS;
    }
    return verdict;
}

enum policy_verdict policy_evaluate_all(
    const struct policy *const *policies, size_t count, const struct policy_request *request)
{
    enum policy_verdict verdict = POLICY_SILENT;
    for (size_t i = 0; i < count; i++) {
        enum policy_verdict one =
            policies[i] != NULL ? policy_evaluate(policies[i], request) : POLICY_SILENT;
        if (one == POLICY_DENIES)
            return POLICY_DENIES;
        if (one == POLICY_ALLOWS)
            verdict = POLICY_ALLOWS;
    }
    return verdict;
}

/* ---- public -------------------------------------------------------------------------------------------- */

static bool is_fixed(const struct policy_condition *condition)
{
    for (size_t i = 0; i < condition->values.count; i++) {
        const char *value = condition->values.list[i];
        if (strpbrk(value, "*?") != NULL || strstr(value, "${") != NULL ||
            strcmp(value, "0.0.0.0/0") == 0 || strcmp(value, "::/0") == 0)
            return false;
    }
    return !condition->how.is_negated && !condition->how.if_exists &&
           condition->how.kind != OPERATOR_NULL && condition->how.set != SET_ALL_VALUES;
}

/* Whether it says who, by a fixed value. */
static bool narrows(const struct policy_condition *condition)
{
    static const char *const keys[] = { "aws:SourceIp", "aws:PrincipalArn", "aws:SourceArn",
        "aws:SourceVpc", "aws:SourceVpce", "aws:SourceOwner", "aws:SourceAccount",
        "aws:PrincipalOrgID", "aws:PrincipalAccount", "aws:userid",
        "elasticfilesystem:AccessedViaMountTarget" };
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcasecmp(condition->key, keys[i]) == 0)
            return is_fixed(condition);
    }
    return false;
}

static bool is_public(const struct policy_statement *statement)
{
    bool is_for_all = statement->not_principals;
    for (size_t i = 0; i < statement->principals.count; i++)
        is_for_all = is_for_all || strcmp(statement->principals.list[i], "*") == 0;
    if (statement->denies || !is_for_all)
        return false;
    for (size_t i = 0; i < statement->condition_count; i++) {
        if (narrows(&statement->conditions[i]))
            return false;
    }
    return true;
}

bool policy_is_public(const struct policy *policy)
{
    for (size_t i = 0; i < policy->statement_count; i++) {
        if (is_public(&policy->statements[i]))
            return true;
    }
    return false;
}
