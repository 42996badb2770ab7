/* tests/fuzz/fuzz_policy.c - any bytes as a policy: it is refused with a reason, or can be asked anything. */
#include <stdlib.h>

#include "auth/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the kind; then comes the policy, a NUL, and what is asked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const principals[] = { "arn:aws:iam::000000000000:user/ada" };
    static const char *const addresses[] = { "10.1.2.3", "2026-11-23T10:00:00Z", "5" };
    if (size < 1)
        return 0;
    const uint8_t *end = memchr(data + 1, '\0', size - 1);
    size_t json_size = end != NULL ? (size_t)(end - data) - 1 : size - 1;
    struct slice rest = slice_of(data + 1 + json_size, size - 1 - json_size);
    char *asked = malloc(rest.size + 1); /* its own block, so that reading past the end is seen */
    if (asked == NULL)
        return 0;
    if (rest.size > 0)
        memcpy(asked, rest.data, rest.size);
    asked[rest.size] = '\0';
    const char *value = rest.size > 0 ? asked + 1 : asked;
    const struct policy_key keys[] = { { "aws:SourceIp", addresses, 3 },
        { "aws:username", &value, 1 } };
    const struct policy_request request = { .action = value,
        .resource = value,
        .principals = principals,
        .principal_count = data[0] & 2 ? 1 : 0,
        .account_id = data[0] & 2 ? "000000000000" : NULL,
        .keys = keys,
        .key_count = 2 };
    struct policy *policy;
    char message[POLICY_MESSAGE_SIZE];
    int err = policy_parse(
        (enum policy_kind)(data[0] & 1), slice_of(data + 1, json_size), message, &policy);
    if (err == -EINVAL && message[0] == '\0')
        abort();
    if (err == 0) {
        (void)policy_evaluate(policy, &request);
        (void)policy_is_public(policy);
        policy_free(policy);
    }
    free(asked);
    return 0;
}
