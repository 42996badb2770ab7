/* auth/policy_internal.h - a policy in memory, between its parts: policy_parse.c, policy_condition.c, policy.c. */
#pragma once

#include "auth/policy.h"
#include "base/arena.h"

struct policy_strings {
    const char **list;
    size_t count;
};

enum policy_operator_kind {
    OPERATOR_STRING_EQUALS,
    OPERATOR_STRING_EQUALS_IGNORE_CASE,
    OPERATOR_STRING_LIKE,
    OPERATOR_ARN_LIKE, /* ArnEquals is the same */
    OPERATOR_NUMERIC_EQUALS,
    OPERATOR_NUMERIC_LESS,
    OPERATOR_NUMERIC_LESS_EQUALS,
    OPERATOR_NUMERIC_GREATER,
    OPERATOR_NUMERIC_GREATER_EQUALS,
    OPERATOR_DATE_EQUALS,
    OPERATOR_DATE_LESS,
    OPERATOR_DATE_LESS_EQUALS,
    OPERATOR_DATE_GREATER,
    OPERATOR_DATE_GREATER_EQUALS,
    OPERATOR_BOOL,
    OPERATOR_BINARY_EQUALS,
    OPERATOR_IP_ADDRESS,
    OPERATOR_NULL,
};

enum policy_set { SET_NONE, SET_ANY_VALUE, SET_ALL_VALUES };

struct policy_operator {
    enum policy_operator_kind kind;
    bool is_negated;
    bool if_exists;
    enum policy_set set;
};

struct policy_condition {
    struct policy_operator how;
    const char *key;
    struct policy_strings values;
};

struct policy_statement {
    bool denies;
    bool not_actions, not_resources, not_principals; /* the lists say who is excepted */
    struct policy_strings actions;
    struct policy_strings resources;
    struct policy_strings principals; /* of "AWS"; "*" for all */
    struct policy_condition *conditions;
    size_t condition_count;
};

struct policy {
    struct arena arena; /* holds all of it */
    enum policy_kind kind;
    bool has_variables; /* version 2012-10-17: ${...} stands for the value of a key */
    struct policy_statement *statements;
    size_t statement_count;
};

/* Reads the name of an operator. Errors: -EINVAL. */
MUST_CHECK int policy_parse_operator(const char *name, struct policy_operator *out_operator);
/* Whether a value can be one of this operator's: a number, a date, an address. */
bool policy_is_value(enum policy_operator_kind kind, const char *value);
/* Whether the condition holds for the request. */
bool policy_condition_holds(const struct policy *policy, const struct policy_condition *condition,
    const struct policy_request *request);
/* The key's values; NULL: the request has none of that name. */
const struct policy_key *policy_find_key(const struct policy_request *request, const char *name);

#define POLICY_EXPANDED_SIZE 2048u

/* Puts the values of keys where `pattern` has variables; what comes from a key matches only itself, so wildcards in
 * it are marked. False: a key is missing, or it is too long. */
bool policy_expand(const struct policy *policy, const struct policy_request *request,
    const char *pattern, char out_text[POLICY_EXPANDED_SIZE]);
/* As policy_matches(), for a pattern that policy_expand() made. */
bool policy_matches_expanded(const char *pattern, const char *text, bool ignore_case);
