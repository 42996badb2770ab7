/*
 * catalog/identities.h - who there is: users, groups, roles, and the managed policies they share; and their keys.
 *
 * The names and rules are IAM's (IAM API 2010-05-08); what they mean is auth/principal.h. A record that was read never
 * changes (catalog/records.h). Documents are kept as they were put and are not understood here.
 */
#pragma once

#include "catalog/records.h"

#define CATALOG_IAM_NAME_SIZE \
    129 /* of groups and policies; those of users and roles have 64 characters */
#define CATALOG_IAM_PATH_SIZE       513  /* "/", or "/a/b/" */
#define CATALOG_IAM_DESCRIPTION_MAX 1000 /* characters */
#define CATALOG_IAM_DOCUMENT_MAX    10240
#define CATALOG_POLICY_VERSIONS_MAX 5
#define CATALOG_SESSION_SECRET_SIZE 32

enum catalog_identity_kind {
    CATALOG_USER,
    CATALOG_GROUP,
    CATALOG_ROLE,
    CATALOG_MANAGED_POLICY,
    CATALOG_IDENTITY_KIND_COUNT,
};

/* One version of a managed policy. */
struct catalog_policy_version {
    uint32_t number; /* of "v3": 3 */
    int64_t created_ms;
    char *document;
};

struct catalog_identity {
    char id[CATALOG_ID_SIZE]; /* AIDA.., AGPA.., AROA.., ANPA.. */
    enum catalog_identity_kind kind;
    char name[CATALOG_IAM_NAME_SIZE]; /* of its kind only one with this name, in any case */
    char folded_name
        [CATALOG_IAM_NAME_SIZE]; /* lower case: the catalog's own, by which lists are sorted */
    char path[CATALOG_IAM_PATH_SIZE];
    int64_t created_ms;
    struct catalog_tags tags;
    struct catalog_tags inline_policies; /* name, document; of users, groups and roles */
    struct catalog_tags attached;        /* ARN of a managed policy, ""; of the same */
    struct catalog_tags groups;          /* id of a group, ""; of users */
    char *trust_policy;           /* who may take the role; owned by the record, as those below */
    char *description;            /* of roles and managed policies; NULL: none */
    uint32_t session_seconds_max; /* of roles */
    uint32_t default_version;     /* of managed policies, as the following */
    uint32_t last_version;        /* the highest number that was ever given */
    uint32_t version_count;
    struct catalog_policy_version versions[CATALOG_POLICY_VERSIONS_MAX];
};

/* A reference, or NULL when there is none; give it back with catalog_identity_put() (NULL is allowed). */
const struct catalog_identity *catalog_identity_get(const struct catalog *catalog, const char *id);
/* By name, in any case. */
const struct catalog_identity *catalog_identity_find(
    const struct catalog *catalog, enum catalog_identity_kind kind, const char *name);
void catalog_identity_put(const struct catalog_identity *identity);
/* References to up to `max` of a kind whose name is greater than `after_name` ("": from the first), by names in lower
 * case. Gives how many. */
size_t catalog_identity_list(const struct catalog *catalog, enum catalog_identity_kind kind,
    const char *after_name, size_t max, const struct catalog_identity **out_list);
/* Calls `visit` with each of a kind, in that order, until it gives false. No lock is held meanwhile. */
void catalog_identity_each(const struct catalog *catalog, enum catalog_identity_kind kind,
    bool (*visit)(void *context, const struct catalog_identity *identity), void *context);
/* How many there are of a kind. O(n). */
size_t catalog_identity_count(const struct catalog *catalog, enum catalog_identity_kind kind);
/* The document of the default version of a managed policy. */
const char *catalog_identity_document(const struct catalog_identity *policy);

/* The keys of one user ("": of the account's root), in the order of their ids, as catalog_key_list(). */
size_t catalog_key_list_of(const struct catalog *catalog, const char *user_id, const char *after_id,
    size_t max, const struct catalog_key **out_list);

/* The secret that protects session tokens; made with the catalog, never changes. Borrowed. */
const uint8_t *catalog_session_secret(const struct catalog *catalog);

/* For use by `make` only, as their like in catalog/records.h. A kind does not change; the name may. */
MUST_CHECK int catalog_add_identity(
    struct catalog_change *change, struct catalog_identity **out_identity);
MUST_CHECK int catalog_edit_identity(
    struct catalog_change *change, const char *id, struct catalog_identity **out_identity);
MUST_CHECK int catalog_remove_identity(struct catalog_change *change, const char *id);
MUST_CHECK int catalog_edit_key(
    struct catalog_change *change, const char *id, struct catalog_key **out_key);

/* Replaces an owned text; NULL: none. Errors: -ENOMEM, and nothing is changed. */
MUST_CHECK int catalog_text_set(char **owned, const char *text);
/* Adds a version with the next number, at the end; there must be room. Errors: -ENOMEM, and nothing is changed. */
MUST_CHECK int catalog_policy_add_version(
    struct catalog_identity *policy, const char *document, int64_t now_ms);
/* Takes the version at an index away. */
void catalog_policy_remove_version(struct catalog_identity *policy, size_t index);
