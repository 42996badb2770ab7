/* policy_condition.c - the Condition element: its operators, and whether they hold. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "auth/policy_internal.h"
#include "base/text.h"

#define OPERATOR_NAME_SIZE 64u
#define TIME_DIGITS_MAX    12u

static const struct {
    const char *name;
    enum policy_operator_kind kind;
    bool is_negated;
} operators[] = {
    { "StringEquals", OPERATOR_STRING_EQUALS, false },
    { "StringNotEquals", OPERATOR_STRING_EQUALS, true },
    { "StringEqualsIgnoreCase", OPERATOR_STRING_EQUALS_IGNORE_CASE, false },
    { "StringNotEqualsIgnoreCase", OPERATOR_STRING_EQUALS_IGNORE_CASE, true },
    { "StringLike", OPERATOR_STRING_LIKE, false },
    { "StringNotLike", OPERATOR_STRING_LIKE, true },
    { "ArnEquals", OPERATOR_ARN_LIKE, false },
    { "ArnLike", OPERATOR_ARN_LIKE, false },
    { "ArnNotEquals", OPERATOR_ARN_LIKE, true },
    { "ArnNotLike", OPERATOR_ARN_LIKE, true },
    { "NumericEquals", OPERATOR_NUMERIC_EQUALS, false },
    { "NumericNotEquals", OPERATOR_NUMERIC_EQUALS, true },
    { "NumericLessThan", OPERATOR_NUMERIC_LESS, false },
    { "NumericLessThanEquals", OPERATOR_NUMERIC_LESS_EQUALS, false },
    { "NumericGreaterThan", OPERATOR_NUMERIC_GREATER, false },
    { "NumericGreaterThanEquals", OPERATOR_NUMERIC_GREATER_EQUALS, false },
    { "DateEquals", OPERATOR_DATE_EQUALS, false },
    { "DateNotEquals", OPERATOR_DATE_EQUALS, true },
    { "DateLessThan", OPERATOR_DATE_LESS, false },
    { "DateLessThanEquals", OPERATOR_DATE_LESS_EQUALS, false },
    { "DateGreaterThan", OPERATOR_DATE_GREATER, false },
    { "DateGreaterThanEquals", OPERATOR_DATE_GREATER_EQUALS, false },
    { "Bool", OPERATOR_BOOL, false },
    { "BinaryEquals", OPERATOR_BINARY_EQUALS, false },
    { "IpAddress", OPERATOR_IP_ADDRESS, false },
    { "NotIpAddress", OPERATOR_IP_ADDRESS, true },
    { "Null", OPERATOR_NULL, false },
};

int policy_parse_operator(const char *name, struct policy_operator *out_operator)
{
    static const char if_exists[] = "IfExists";
    char base[OPERATOR_NAME_SIZE];
    *out_operator = (struct policy_operator){ .set = SET_NONE };
    if (strncasecmp(name, "ForAnyValue:", 12) == 0) {
        out_operator->set = SET_ANY_VALUE;
        name += 12;
    } else if (strncasecmp(name, "ForAllValues:", 13) == 0) {
        out_operator->set = SET_ALL_VALUES;
        name += 13;
    }
    if (text_copy(base, sizeof base, name) < 0)
        return -EINVAL;
    size_t size = strlen(base);
    if (size > sizeof if_exists - 1 &&
        strcasecmp(base + size - (sizeof if_exists - 1), if_exists) == 0) {
        out_operator->if_exists = true;
        base[size - (sizeof if_exists - 1)] = '\0';
    }
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        if (strcasecmp(base, operators[i].name) != 0)
            continue;
        out_operator->kind = operators[i].kind;
        out_operator->is_negated = operators[i].is_negated;
        /* "Null" asks for the key itself. */
        return out_operator->kind == OPERATOR_NULL && out_operator->if_exists ? -EINVAL : 0;
    }
    return -EINVAL;
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, double *out_number)
{
    char *end;
    if (strspn(text, "+-.0123456789eE") != strlen(text) || *text == '\0')
        return false;
    *out_number = strtod(text, &end);
    return *end == '\0';
}

static bool digits(const char **text, unsigned count, int *out_number)
{
    *out_number = 0;
    for (unsigned i = 0; i < count; i++) {
        if (**text < '0' || **text > '9')
            return false;
        *out_number = *out_number * 10 + (**text - '0');
        (*text)++;
    }
    return true;
}

static bool take(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

/* "Z", "+01:00", "-0130", or nothing, in seconds. */
static bool parse_zone(const char *text, int *out_seconds)
{
    int hours;
    int minutes;
    *out_seconds = 0;
    if (*text == '\0' || strcmp(text, "Z") == 0)
        return true;
    int sign = *text == '-' ? -1 : 1;
    if (*text != '-' && *text != '+')
        return false;
    text++;
    if (!digits(&text, 2, &hours))
        return false;
    (void)take(&text, ':');
    if (!digits(&text, 2, &minutes) || *text != '\0' || hours > 23 || minutes > 59)
        return false;
    *out_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

/* Seconds since 1970, or a date of ISO 8601: 2026-11-23, 2026-11-23T10:00Z, 2026-11-23T10:00:00.5+01:00. */
static bool parse_time(const char *text, int64_t *out_seconds)
{
    struct tm tm = { 0 };
    int zone = 0;
    size_t sign = *text == '-';
    size_t number_size = strspn(text + sign, "0123456789");
    if (number_size > 0 && number_size <= TIME_DIGITS_MAX && text[sign + number_size] == '\0' &&
        (number_size != 4 || sign != 0)) {
        *out_seconds = strtoll(text, NULL, 10);
        return true;
    }
    if (!digits(&text, 4, &tm.tm_year))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon = 1;
    tm.tm_mday = 1;
    if (take(&text, '-')) {
        if (!digits(&text, 2, &tm.tm_mon))
            return false;
        if (take(&text, '-') && !digits(&text, 2, &tm.tm_mday))
            return false;
    }
    if (take(&text, 'T')) {
        if (!digits(&text, 2, &tm.tm_hour) || !take(&text, ':') || !digits(&text, 2, &tm.tm_min))
            return false;
        if (take(&text, ':') && !digits(&text, 2, &tm.tm_sec))
            return false;
        if (take(&text, '.'))
            text += strspn(text, "0123456789");
    }
    bool is_right = tm.tm_mon >= 1 && tm.tm_mon <= 12 && tm.tm_mday >= 1 && tm.tm_mday <= 31 &&
                    tm.tm_hour <= 23 && tm.tm_min <= 59 && tm.tm_sec <= 60;
    if (!is_right || !parse_zone(text, &zone))
        return false;
    tm.tm_mon--;
    *out_seconds = (int64_t)timegm(&tm) - zone;
    return true;
}

struct network {
    int family;
    uint8_t address[16];
    unsigned prefix_bits;
};

static bool parse_network(const char *text, struct network *out_network)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (size >= sizeof address)
        return false;
    memcpy(address, text, size);
    address[size] = '\0';
    out_network->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
    uint64_t bits = out_network->family == AF_INET6 ? 128 : 32;
    if (inet_pton(out_network->family, address, out_network->address) != 1)
        return false;
    if (slash != NULL && text_parse_u64(slash + 1, bits, &bits) < 0)
        return false;
    out_network->prefix_bits = (unsigned)bits;
    return true;
}

static bool network_holds(const struct network *network, const struct network *address)
{
    if (network->family != address->family)
        return false;
    unsigned whole = network->prefix_bits / 8;
    unsigned rest = network->prefix_bits % 8;
    if (memcmp(network->address, address->address, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || ((network->address[whole] ^ address->address[whole]) & mask) == 0;
}

static bool is_bool(const char *text)
{
    return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0;
}

bool policy_is_value(enum policy_operator_kind kind, const char *value)
{
    double number;
    int64_t seconds;
    struct network network;
    if (strstr(value, "${") != NULL) /* known only when it is asked */
        return true;
    if (kind >= OPERATOR_NUMERIC_EQUALS && kind <= OPERATOR_NUMERIC_GREATER_EQUALS)
        return parse_number(value, &number);
    if (kind >= OPERATOR_DATE_EQUALS && kind <= OPERATOR_DATE_GREATER_EQUALS)
        return parse_time(value, &seconds);
    if (kind == OPERATOR_IP_ADDRESS)
        return parse_network(value, &network);
    if (kind == OPERATOR_BOOL || kind == OPERATOR_NULL)
        return is_bool(value);
    return true;
}

/* ---- one value against one ----------------------------------------------------------------------------- */

/* The sign of `a` - `b` as the operator wants it. */
static bool compares(unsigned relation, bool is_less, bool is_equal)
{
    switch (relation) {
    case 0:
        return is_equal;
    case 1:
        return is_less;
    case 2:
        return is_less || is_equal;
    case 3:
        return !is_less && !is_equal;
    default:
        return !is_less;
    }
}

static bool number_fits(enum policy_operator_kind kind, const char *value, const char *wanted)
{
    double a;
    double b;
    return parse_number(value, &a) && parse_number(wanted, &b) &&
           compares(kind - OPERATOR_NUMERIC_EQUALS, a < b, a <= b && a >= b);
}

static bool time_fits(enum policy_operator_kind kind, const char *value, const char *wanted)
{
    int64_t a;
    int64_t b;
    return parse_time(value, &a) && parse_time(wanted, &b) &&
           compares(kind - OPERATOR_DATE_EQUALS, a < b, a == b);
}

static bool address_fits(const char *value, const char *wanted)
{
    struct network address;
    struct network network;
    return parse_network(value, &address) && parse_network(wanted, &network) &&
           network_holds(&network, &address);
}

/* Each of the six parts of an ARN for itself, so that no '*' reaches over a ':'; the last takes the rest. */
static bool arn_fits(const char *value, const char *wanted)
{
    char part[POLICY_EXPANDED_SIZE];
    char pattern[POLICY_EXPANDED_SIZE];
    for (int i = 0; i < 5; i++) {
        size_t value_size = strcspn(value, ":");
        size_t wanted_size = strcspn(wanted, ":");
        if (value[value_size] == '\0' || wanted[wanted_size] == '\0')
            return strcmp(wanted, "*") == 0;
        if (value_size >= sizeof part || wanted_size >= sizeof pattern)
            return false;
        memcpy(part, value, value_size);
        part[value_size] = '\0';
        memcpy(pattern, wanted, wanted_size);
        pattern[wanted_size] = '\0';
        if (!policy_matches_expanded(pattern, part, false))
            return false;
        value += value_size + 1;
        wanted += wanted_size + 1;
    }
    return policy_matches_expanded(wanted, value, false);
}

/* `wanted` is expanded: only where patterns are allowed do its wildcards mean anything. */
static bool text_fits(const char *value, const char *wanted, bool ignore_case)
{
    for (; *wanted != '\0'; wanted++, value++) {
        if (*wanted == '\x01' && wanted[1] != '\0')
            wanted++;
        if (ignore_case ? strncasecmp(value, wanted, 1) != 0 : *value != *wanted)
            return false;
    }
    return *value == '\0';
}

static bool fits(enum policy_operator_kind kind, const char *value, const char *wanted)
{
    switch (kind) {
    case OPERATOR_STRING_EQUALS:
    case OPERATOR_BINARY_EQUALS:
        return text_fits(value, wanted, false);
    case OPERATOR_STRING_EQUALS_IGNORE_CASE:
        return text_fits(value, wanted, true);
    case OPERATOR_STRING_LIKE:
        return policy_matches_expanded(wanted, value, false);
    case OPERATOR_ARN_LIKE:
        return arn_fits(value, wanted);
    case OPERATOR_NUMERIC_EQUALS:
    case OPERATOR_NUMERIC_LESS:
    case OPERATOR_NUMERIC_LESS_EQUALS:
    case OPERATOR_NUMERIC_GREATER:
    case OPERATOR_NUMERIC_GREATER_EQUALS:
        return number_fits(kind, value, wanted);
    case OPERATOR_DATE_EQUALS:
    case OPERATOR_DATE_LESS:
    case OPERATOR_DATE_LESS_EQUALS:
    case OPERATOR_DATE_GREATER:
    case OPERATOR_DATE_GREATER_EQUALS:
        return time_fits(kind, value, wanted);
    case OPERATOR_BOOL:
        return is_bool(value) && strcasecmp(value, wanted) == 0;
    case OPERATOR_IP_ADDRESS:
        return address_fits(value, wanted);
    case OPERATOR_NULL:
        break; /* of the key, not of its values */
    }
    return false;
}

/* ---- many against many --------------------------------------------------------------------------------- */

static bool fits_any_wanted(const struct policy *policy, const struct policy_condition *condition,
    const struct policy_request *request, const char *value)
{
    char wanted[POLICY_EXPANDED_SIZE];
    for (size_t i = 0; i < condition->values.count; i++) {
        if (policy_expand(policy, request, condition->values.list[i], wanted) &&
            fits(condition->how.kind, value, wanted))
            return true;
    }
    return false;
}

bool policy_condition_holds(const struct policy *policy, const struct policy_condition *condition,
    const struct policy_request *request)
{
    const struct policy_operator how = condition->how;
    const struct policy_key *key = policy_find_key(request, condition->key);
    if (how.kind == OPERATOR_NULL) {
        for (size_t i = 0; i < condition->values.count; i++) {
            if ((strcasecmp(condition->values.list[i], "true") == 0) == (key == NULL))
                return true;
        }
        return false;
    }
    if (key == NULL) {
        if (how.set == SET_ALL_VALUES || how.if_exists)
            return true;
        return how.is_negated && how.set == SET_NONE;
    }
    /* Of several values without a set operator, one that fits is enough; negated, none may. */
    bool wants_all = how.set == SET_ALL_VALUES || (how.set == SET_NONE && how.is_negated);
    for (size_t i = 0; i < key->value_count; i++) {
        bool is_good =
            fits_any_wanted(policy, condition, request, key->values[i]) != how.is_negated;
        if (is_good != wants_all)
            return is_good;
    }
    return wants_all;
}
