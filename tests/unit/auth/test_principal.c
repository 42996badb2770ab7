/* tests/unit/auth/test_principal.c - whose a key is, what a session token says, and what they may do together. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/credentials.h"
#include "auth/decision.h"
#include "auth/managed.h"
#include "auth/session.h"
#include "base/sys.h"
#include "base/text.h"

#define NOW  INT64_C(1440938160000) /* 2015-08-30T12:36:00Z */
#define HOUR INT64_C(3600000)
#define FS   "arn:aws:elasticfilesystem:us-east-1:000000000000:file-system/fs-1"
#define ALLOW(action)                                                                      \
    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"" action \
    "\",\"Resource\":\"*\"}}"
#define DENY(action)                                                                      \
    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"" action \
    "\",\"Resource\":\"*\"}}"
#define RESOURCE_SAYS(effect, principal)                              \
    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"" effect \
    "\",\"Principal\":{\"AWS\":\"" principal "\"},\"Action\":\"*\"}}"

struct fixture {
    char directory[64];
    struct catalog *catalog;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-principal-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    char path[96];
    char reason[CATALOG_REASON_SIZE];
    (void)snprintf(path, sizeof path, "%s/catalog", f->directory);
    struct catalog_options options = {
        .path = path, .region = "us-east-1", .account_id = "000000000000"
    };
    assert_int_equal(catalog_open(&options, reason, &f->catalog), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    catalog_close(f->catalog);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    free(f);
    return 0;
}

/* What to put into the catalog. */
struct wish {
    enum catalog_identity_kind kind;
    const char *id;
    const char *name;
    const char *inline_policy;
    const char *attached;
    const char *group_id;
};

static int add_identity(struct catalog_change *change, void *context)
{
    const struct wish *wish = context;
    struct catalog_identity *identity;
    int err = catalog_add_identity(change, &identity);
    if (err < 0)
        return err;
    identity->kind = wish->kind;
    assert_int_equal(text_copy(identity->id, sizeof identity->id, wish->id), 0);
    assert_int_equal(text_copy(identity->name, sizeof identity->name, wish->name), 0);
    assert_int_equal(text_copy(identity->path, sizeof identity->path, "/team/"), 0);
    assert_int_equal(catalog_tags_set(&identity->tags, "Team", "blue"), 0);
    if (wish->inline_policy != NULL)
        assert_int_equal(
            catalog_tags_set(&identity->inline_policies, "own", wish->inline_policy), 0);
    if (wish->attached != NULL)
        assert_int_equal(catalog_tags_set(&identity->attached, wish->attached, ""), 0);
    if (wish->group_id != NULL)
        assert_int_equal(catalog_tags_set(&identity->groups, wish->group_id, ""), 0);
    if (wish->kind == CATALOG_MANAGED_POLICY) {
        assert_int_equal(catalog_policy_add_version(identity, wish->inline_policy, 1), 0);
        identity->default_version = 1;
    }
    return 0;
}

static void add(struct fixture *f, struct wish wish)
{
    assert_int_equal(catalog_change(f->catalog, add_identity, &wish), 0);
}

struct key_wish {
    const char *id;
    const char *user_id;
    bool is_inactive;
};

static int add_key(struct catalog_change *change, void *context)
{
    const struct key_wish *wish = context;
    struct catalog_key *key;
    int err = catalog_add_key(change, &key);
    if (err < 0)
        return err;
    key->is_inactive = wish->is_inactive;
    assert_int_equal(text_copy(key->id, sizeof key->id, wish->id), 0);
    assert_int_equal(text_copy(key->user_id, sizeof key->user_id, wish->user_id), 0);
    return text_copy(key->secret, sizeof key->secret, "0123456789012345678901234567890123456789");
}

static void add_key_of(struct fixture *f, const char *id, const char *user_id, bool is_inactive)
{
    struct key_wish wish = { id, user_id, is_inactive };
    assert_int_equal(catalog_change(f->catalog, add_key, &wish), 0);
}

static int remove_identity(struct catalog_change *change, void *context)
{
    return catalog_remove_identity(change, context);
}

static struct principal *find(struct fixture *f, const char *key_id, const char *token)
{
    struct principal *principal;
    assert_int_equal(principal_find(f->catalog, key_id, token, NOW, &principal), 0);
    assert_int_equal(principal_load_policies(f->catalog, principal), 0);
    return principal;
}

static void expect_none(struct fixture *f, const char *key_id, const char *token, int err)
{
    struct principal *principal = NULL;
    assert_int_equal(principal_find(f->catalog, key_id, token, NOW, &principal), err);
    assert_null(principal);
}

static void a_key_leads_to_root_or_a_user(void **state)
{
    struct fixture *f = *state;
    add(f, (struct wish){ .kind = CATALOG_USER, .id = "AIDA1", .name = "ada" });
    add_key_of(f, "AKIAROOT", "", false);
    add_key_of(f, "AKIAADA", "AIDA1", false);
    add_key_of(f, "AKIAOFF", "AIDA1", true);
    add_key_of(f, "AKIAGONE", "AIDA2", false);
    struct principal *root = find(f, "AKIAROOT", NULL);
    assert_int_equal(root->kind, PRINCIPAL_ROOT);
    assert_string_equal(root->arn, "arn:aws:iam::000000000000:root");
    assert_string_equal(root->user_id, "000000000000");
    assert_string_equal(root->name, "root");
    principal_free(root);
    struct principal *ada = find(f, "AKIAADA", NULL);
    assert_int_equal(ada->kind, PRINCIPAL_USER);
    assert_string_equal(ada->arn, "arn:aws:iam::000000000000:user/team/ada");
    assert_string_equal(ada->user_id, "AIDA1");
    assert_string_equal(ada->secret, "0123456789012345678901234567890123456789");
    principal_free(ada);
    expect_none(f, "AKIAOFF", NULL, -EACCES);
    expect_none(f, "AKIAGONE", NULL, -ENOENT);
    expect_none(f, "AKIANONE", NULL, -ENOENT);
    expect_none(f, "AKIAADA", "c2hvcnQ=", -ENOENT); /* a token with a key that has none */
}

static struct session make_session(struct fixture *f, const char *policy, char **out_token)
{
    struct session session = { .issued_ms = NOW - HOUR, .expires_ms = NOW + HOUR };
    assert_int_equal(text_copy(session.role_id, sizeof session.role_id, "AROA1"), 0);
    assert_int_equal(text_copy(session.name, sizeof session.name, "one"), 0);
    assert_int_equal(catalog_text_set(&session.policy, policy), 0);
    assert_int_equal(session_seal(f->catalog, &session, out_token), 0);
    return session;
}

static void a_token_leads_to_a_session_until_it_ends(void **state)
{
    struct fixture *f = *state;
    char *token;
    add(f, (struct wish){ .kind = CATALOG_ROLE, .id = "AROA1", .name = "Worker" });
    struct session session = make_session(f, NULL, &token);
    assert_int_equal(strncmp(session.key_id, "ASIA", 4), 0);
    assert_int_equal(strlen(session.key_id), 20);
    struct principal *principal = find(f, session.key_id, token);
    assert_string_equal(principal->arn, "arn:aws:sts::000000000000:assumed-role/Worker/one");
    assert_string_equal(principal->role_arn, "arn:aws:iam::000000000000:role/team/Worker");
    assert_string_equal(principal->user_id, "AROA1:one");
    char secret[SESSION_SECRET_SIZE];
    session_secret(f->catalog, session.key_id, secret);
    assert_int_equal(strlen(secret), 40);
    assert_string_equal(principal->secret, secret);
    principal_free(principal);
    expect_none(f, session.key_id, NULL, -ENOENT);
    expect_none(f, "ASIAAAAAAAAAAAAAAAAA", token, -ENOENT);
    assert_int_equal(
        principal_find(f->catalog, session.key_id, token, NOW + HOUR, &principal), -EKEYEXPIRED);
    assert_int_equal(catalog_change(f->catalog, remove_identity, (char[]){ "AROA1" }), 0);
    expect_none(f, session.key_id, token, -ENOENT);
    free(token);
}

static void an_altered_token_is_none(void **state)
{
    struct fixture *f = *state;
    char *token;
    add(f, (struct wish){ .kind = CATALOG_ROLE, .id = "AROA1", .name = "Worker" });
    struct session session = make_session(f, ALLOW("*"), &token);
    session_fini(&session);
    size_t size = strlen(token);
    for (size_t i = 0; i < size; i++) {
        char kept = token[i];
        token[i] = kept == 'A' ? 'B' : 'A';
        struct session read = { 0 };
        int err = session_open(f->catalog, token, &read);
        /* The last letters before the padding have bits that mean nothing. */
        if (err != -EBADMSG && i + 4 < size)
            fail_msg("letter %zu of %zu: %d", i, size, err);
        session_fini(&read);
        token[i] = kept;
    }
    static const char *const wrong[] = { "", "=", "====", "AAAA", "A", "not base 64!", "AQ==" };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct session read = { 0 };
        assert_int_equal(session_open(f->catalog, wrong[i], &read), -EBADMSG);
    }
    free(token);
}

/* What a principal is told of an action on FS; resource policy NULL: none. */
static enum policy_verdict decide(
    const struct principal *principal, const char *resource_policy, const char *action)
{
    struct arena arena;
    struct auth_context context;
    struct policy *policy = NULL;
    char message[POLICY_MESSAGE_SIZE];
    const struct auth_environment environment = { .now_ms = NOW, .region = "us-east-1" };
    arena_init(&arena, MIB);
    assert_int_equal(auth_context_init(&context, &arena, principal, &environment), 0);
    if (resource_policy != NULL)
        assert_int_equal(
            policy_parse(POLICY_OF_RESOURCE, slice_str(resource_policy), message, &policy), 0);
    enum policy_verdict verdict = auth_decide(&context, policy, action, FS);
    policy_free(policy);
    arena_fini(&arena);
    return verdict;
}

static void policies_of_user_group_and_resource_add_up_and_denials_win(void **state)
{
    struct fixture *f = *state;
    add(f, (struct wish){ .kind = CATALOG_MANAGED_POLICY,
               .id = "ANPA1",
               .name = "Base",
               .inline_policy = ALLOW("elasticfilesystem:Describe*") });
    add(f, (struct wish){ .kind = CATALOG_GROUP,
               .id = "AGPA1",
               .name = "ops",
               .inline_policy = ALLOW("elasticfilesystem:Tag*"),
               .attached = "arn:aws:iam::000000000000:policy/team/Base" });
    add(f, (struct wish){ .kind = CATALOG_USER,
               .id = "AIDA1",
               .name = "ada",
               .inline_policy = DENY("elasticfilesystem:DescribeTags"),
               .attached = "arn:aws:iam::aws:policy/AmazonElasticFileSystemClientReadOnlyAccess",
               .group_id = "AGPA1" });
    add_key_of(f, "AKIAADA", "AIDA1", false);
    struct principal *ada = find(f, "AKIAADA", NULL);
    static const struct {
        const char *action;
        const char *resource_policy;
        enum policy_verdict verdict;
    } cases[] = {
        { "elasticfilesystem:DescribeFileSystems", NULL, POLICY_ALLOWS },
        { "elasticfilesystem:TagResource", NULL, POLICY_ALLOWS },
        { "elasticfilesystem:ClientMount", NULL, POLICY_ALLOWS },
        { "elasticfilesystem:ClientWrite", NULL, POLICY_SILENT },
        { "elasticfilesystem:DescribeTags", NULL, POLICY_DENIES },
        { "elasticfilesystem:DescribeTags", RESOURCE_SAYS("Allow", "*"), POLICY_DENIES },
        { "elasticfilesystem:ClientWrite", RESOURCE_SAYS("Allow", "*"), POLICY_ALLOWS },
        { "elasticfilesystem:ClientWrite",
            RESOURCE_SAYS("Allow", "arn:aws:iam::000000000000:user/team/ada"), POLICY_ALLOWS },
        { "elasticfilesystem:ClientWrite", RESOURCE_SAYS("Allow", "arn:aws:iam::000000000000:root"),
            POLICY_SILENT },
        { "elasticfilesystem:ClientMount", RESOURCE_SAYS("Deny", "arn:aws:iam::000000000000:root"),
            POLICY_DENIES },
        { "elasticfilesystem:ClientMount",
            RESOURCE_SAYS("Deny", "arn:aws:iam::000000000000:user/team/eve"), POLICY_ALLOWS },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        enum policy_verdict verdict = decide(ada, cases[i].resource_policy, cases[i].action);
        if (verdict != cases[i].verdict)
            fail_msg("case %zu: %d", i, (int)verdict);
    }
    principal_free(ada);
}

static void root_and_anonymous_need_no_identity_policy(void **state)
{
    struct fixture *f = *state;
    add_key_of(f, "AKIAROOT", "", false);
    struct principal *root = find(f, "AKIAROOT", NULL);
    assert_int_equal(decide(root, NULL, "iam:CreateUser"), POLICY_ALLOWS);
    assert_int_equal(decide(root, RESOURCE_SAYS("Deny", "*"), "a:b"), POLICY_DENIES);
    principal_free(root);
    assert_int_equal(decide(NULL, NULL, "a:b"), POLICY_SILENT);
    assert_int_equal(decide(NULL, RESOURCE_SAYS("Allow", "*"), "a:b"), POLICY_ALLOWS);
    assert_int_equal(decide(NULL, RESOURCE_SAYS("Allow", "000000000000"), "a:b"), POLICY_SILENT);
}

static void a_session_policy_narrows_its_role(void **state)
{
    struct fixture *f = *state;
    char *token;
    add(f, (struct wish){ .kind = CATALOG_ROLE,
               .id = "AROA1",
               .name = "Worker",
               .inline_policy = ALLOW("elasticfilesystem:*") });
    struct session session = make_session(f, ALLOW("*:Describe*"), &token);
    struct principal *principal = find(f, session.key_id, token);
    assert_int_equal(decide(principal, NULL, "elasticfilesystem:DescribeTags"), POLICY_ALLOWS);
    assert_int_equal(decide(principal, NULL, "elasticfilesystem:ClientMount"), POLICY_SILENT);
    assert_int_equal(decide(principal, NULL, "ec2:DescribeVpcs"), POLICY_SILENT);
    assert_int_equal(
        decide(principal, RESOURCE_SAYS("Allow", "*"), "ec2:DescribeVpcs"), POLICY_ALLOWS);
    assert_int_equal(
        decide(principal, RESOURCE_SAYS("Allow", "*"), "ec2:CreateVpc"), POLICY_SILENT);
    principal_free(principal);
    session_fini(&session);
    free(token);
}

static void conditions_see_who_asks_and_from_where(void **state)
{
    struct fixture *f = *state;
    struct arena arena;
    struct auth_context context;
    struct sockaddr_storage peer = { 0 };
    struct sockaddr_in *in = (struct sockaddr_in *)&peer;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(0x7f000005);
    add(f, (struct wish){ .kind = CATALOG_USER, .id = "AIDA1", .name = "ada" });
    add_key_of(f, "AKIAADA", "AIDA1", false);
    struct principal *ada = find(f, "AKIAADA", NULL);
    const struct auth_environment environment = {
        .peer = &peer, .is_secure = true, .now_ms = NOW, .region = "us-east-1"
    };
    static const char *const expected[][2] = { { "aws:username", "ada" }, { "aws:userid", "AIDA1" },
        { "aws:PrincipalType", "User" },
        { "aws:PrincipalArn", "arn:aws:iam::000000000000:user/team/ada" },
        { "aws:PrincipalAccount", "000000000000" }, { "aws:PrincipalTag/Team", "blue" },
        { "aws:SourceIp", "127.0.0.5" }, { "aws:SecureTransport", "true" },
        { "aws:CurrentTime", "2015-08-30T12:36:00Z" }, { "aws:EpochTime", "1440938160" },
        { "aws:RequestedRegion", "us-east-1" } };
    arena_init(&arena, MIB);
    assert_int_equal(auth_context_init(&context, &arena, ada, &environment), 0);
    assert_int_equal(context.count, ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        size_t j = 0;
        while (j < context.count && strcmp(context.keys[j].name, expected[i][0]) != 0)
            j++;
        if (j == context.count)
            fail_msg("no key %s", expected[i][0]);
        assert_string_equal(context.keys[j].values[0], expected[i][1]);
    }
    arena_fini(&arena);
    principal_free(ada);
}

static enum policy_verdict decide_trust(const struct principal *principal, const char *trust)
{
    struct arena arena;
    struct auth_context context;
    struct policy *policy;
    char message[POLICY_MESSAGE_SIZE];
    const struct auth_environment environment = { .now_ms = NOW, .region = "us-east-1" };
    arena_init(&arena, MIB);
    assert_int_equal(auth_context_init(&context, &arena, principal, &environment), 0);
    assert_int_equal(policy_parse(POLICY_OF_TRUST, slice_str(trust), message, &policy), 0);
    enum policy_verdict verdict =
        auth_decide_trust(&context, policy, "arn:aws:iam::000000000000:role/Worker");
    policy_free(policy);
    arena_fini(&arena);
    return verdict;
}

static void a_role_is_taken_when_it_trusts(void **state)
{
    struct fixture *f = *state;
    add(f, (struct wish){ .kind = CATALOG_USER, .id = "AIDA1", .name = "none" });
    add(f, (struct wish){ .kind = CATALOG_USER,
               .id = "AIDA2",
               .name = "may",
               .inline_policy = ALLOW("sts:AssumeRole") });
    add_key_of(f, "AKIANO", "AIDA1", false);
    add_key_of(f, "AKIAMAY", "AIDA2", false);
    struct principal *none = find(f, "AKIANO", NULL);
    struct principal *may = find(f, "AKIAMAY", NULL);
    const char *account = RESOURCE_SAYS("Allow", "arn:aws:iam::000000000000:root");
    const char *named = RESOURCE_SAYS("Allow", "arn:aws:iam::000000000000:user/team/none");
    assert_int_equal(decide_trust(none, account), POLICY_SILENT);
    assert_int_equal(decide_trust(may, account), POLICY_ALLOWS);
    assert_int_equal(decide_trust(none, named), POLICY_ALLOWS);
    assert_int_equal(decide_trust(may, named), POLICY_SILENT);
    assert_int_equal(decide_trust(may, RESOURCE_SAYS("Deny", "000000000000")), POLICY_DENIES);
    principal_free(none);
    principal_free(may);
}

static void every_managed_policy_can_be_read(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct managed_policy *managed; (managed = managed_policy_at(count)) != NULL;
         count++) {
        struct policy *policy;
        char message[POLICY_MESSAGE_SIZE];
        assert_int_equal(
            policy_parse(POLICY_OF_IDENTITY, slice_str(managed->document), message, &policy), 0);
        policy_free(policy);
        assert_ptr_equal(managed_policy_find(managed->arn), managed);
        assert_string_equal(strrchr(managed->arn, '/') + 1, managed->name);
        assert_int_equal(strlen(managed->id), 21);
    }
    assert_int_equal(count, 6);
    assert_null(managed_policy_document("arn:aws:iam::aws:policy/None"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_leads_to_root_or_a_user, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_leads_to_a_session_until_it_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(an_altered_token_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(
            policies_of_user_group_and_resource_add_up_and_denials_win, setup, teardown),
        cmocka_unit_test_setup_teardown(
            root_and_anonymous_need_no_identity_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_policy_narrows_its_role, setup, teardown),
        cmocka_unit_test_setup_teardown(conditions_see_who_asks_and_from_where, setup, teardown),
        cmocka_unit_test_setup_teardown(a_role_is_taken_when_it_trusts, setup, teardown),
        cmocka_unit_test(every_managed_policy_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
