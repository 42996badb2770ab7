/*
 * control/iam/iam.h - what the files of IAM share: parameters, look-ups, elements of answers.
 *
 * Operations of users, groups and roles that differ in the kind only have one handler; iam_kind() reads the kind from
 * the action's name. Names, quotas and errors: IAM API reference 2010-05-08, "IAM and STS quotas".
 */
#pragma once

#include "auth/principal.h"
#include "control/query_service.h"

#define IAM_LIST_MAX  1000 /* MaxItems */
#define IAM_TIME_SIZE 24

enum iam_quota {
    IAM_USERS_MAX = 5000,
    IAM_GROUPS_MAX = 300,
    IAM_ROLES_MAX = 1000,
    IAM_POLICIES_MAX = 1500,
    IAM_KEYS_PER_USER_MAX = 2,
    IAM_GROUPS_PER_USER_MAX = 10,
    IAM_ATTACHED_MAX = 10,
    IAM_POLICY_SIZE_MAX = 6144, /* characters of a managed policy */
    IAM_TRUST_SIZE_MAX = 4096,
};

/* ---- iam_input.c ---- */

/* The kind that an action's name says: "PutUserPolicy" is of users. */
enum catalog_identity_kind iam_kind(const struct api_call *call);
/* "UserName", "GroupName", "RoleName", "PolicyName". */
const char *iam_name_parameter(enum catalog_identity_kind kind);

/* A name of this kind, checked. Not required and not there: *out_name stays as it was. */
MUST_CHECK const struct api_error *iam_take_name(struct api_call *call, const char *parameter,
    enum catalog_identity_kind kind, bool required, const char **out_name);
/* "Path"; "/" when it is not there. */
MUST_CHECK const struct api_error *iam_take_path(
    struct api_call *call, const char *parameter, const char **out_path);
/* A required text. */
MUST_CHECK const struct api_error *iam_take_text(
    struct api_call *call, const char *parameter, size_t size_max, const char **out_text);
/* A required ARN of a managed policy. */
MUST_CHECK const struct api_error *iam_take_policy_arn(struct api_call *call, const char **out_arn);
/* A required policy, read once. */
MUST_CHECK const struct api_error *iam_take_document(struct api_call *call, const char *parameter,
    enum policy_kind kind, size_t size_max, const char **out_document);
/* Tags.member.N.Key and .Value, added to `tags`, which is to be freed in any case. */
MUST_CHECK const struct api_error *iam_take_tags(struct api_call *call, struct catalog_tags *tags);
/* Values of LIST.member.N; `out_list` has room for `max`. */
MUST_CHECK const struct api_error *iam_take_members(
    struct api_call *call, const char *list, size_t max, const char **out_list, size_t *out_count);
/* A whole number within bounds; not there: it stays as it was. */
MUST_CHECK const struct api_error *iam_take_number(
    struct api_call *call, const char *parameter, uint64_t min, uint64_t max, uint64_t *out_number);

/* A page of a list. */
struct iam_page {
    const char *marker; /* the name after which it begins; "": from the first */
    uint64_t max;
};
MUST_CHECK const struct api_error *iam_take_page(struct api_call *call, struct iam_page *out_page);

/* ---- iam_input.c: look-ups ---- */

/* With a reference; NULL: refused (NoSuchEntity). */
const struct catalog_identity *iam_get(
    struct api_call *call, enum catalog_identity_kind kind, const char *name);
/* What the action's kind and its parameter name. NULL: refused. */
const struct catalog_identity *iam_get_named(struct api_call *call);
/* For `make`: stages the record of this name. Errors: as api_refuse(), -ENOMEM. */
MUST_CHECK int iam_edit(struct api_call *call, struct catalog_change *change,
    enum catalog_identity_kind kind, const char *name, struct catalog_identity **out_identity);
/* For `make`: refuses a name that is taken, or one too many of a kind. */
MUST_CHECK int iam_check_free(
    struct api_call *call, enum catalog_identity_kind kind, const char *name);
/* Whether a managed policy has this ARN: one of the account or of AWS. */
bool iam_policy_exists(const struct api_call *call, const char *arn);

/* ---- iam_render.c ---- */

void iam_write_time(struct xml *xml, const char *name, int64_t ms);
void iam_write_number(struct xml *xml, const char *name, uint64_t number);
void iam_write_bool(struct xml *xml, const char *name, bool value);
/* A document, percent-encoded as IAM gives it. Errors: those of memory. */
MUST_CHECK const struct api_error *iam_write_document(
    struct api_call *call, struct xml *xml, const char *name, const char *document);
void iam_write_tags(struct xml *xml, const struct catalog_tags *tags);
/* Members of a user, group, role or managed policy; `whole`: also what lists leave out. */
MUST_CHECK const struct api_error *iam_write_identity(
    struct api_call *call, struct xml *xml, const struct catalog_identity *identity, bool whole);
/* <IsTruncated>, and the marker of the next page; NULL: this was the last. */
void iam_write_page(struct xml *xml, const char *next_marker);
/* How many users, groups and roles have a managed policy. O(n). */
unsigned iam_attachment_count(const struct catalog *catalog, const char *arn);
