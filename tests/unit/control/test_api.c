/*
 * tests/unit/control/test_api.c - the API over HTTP, signed by our own client; and the worker when things fail.
 * What SDKs see in detail is tested in tests/proto/test_efs_api.py.
 */
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "auth/sigv4.h"
#include "base/clock.h"
#include "http/client.h"
#include "tests/unit/control/fixture.h"

#define API "/2015-02-01"

static int setup(void **state)
{
    struct control_fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_start(f, NULL, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

/* What came back; the caller drops `body`. */
struct answer {
    unsigned status;
    char error[128];
    json_t *body;
};

static struct answer call(
    const struct control_fixture *f, const char *method, const char *target, const char *body)
{
    char url[512];
    char host[32];
    char path[256];
    char time[SIGV4_TIME_SIZE];
    char authorization[SIGV4_AUTHORIZATION_SIZE];
    (void)snprintf(host, sizeof host, "127.0.0.1:%u", f->port);
    (void)snprintf(url, sizeof url, "http://%s%s", host, target);
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    sigv4_format_time(clock_wall().seconds, time);
    const struct sigv4_header to_sign[] = { { "Host", host }, { "X-Amz-Date", time } };
    const struct sigv4_request request = { .method = method,
        .path = path,
        .query = strchr(target, '?') != NULL ? strchr(target, '?') + 1 : "",
        .headers = to_sign,
        .header_count = 2,
        .body = slice_str(body) };
    const struct sigv4_signer signer = { f->admin.key_id, f->admin.secret, "us-east-1",
        "elasticfilesystem", time };
    assert_int_equal(sigv4_sign(&request, &signer, authorization), 0);
    const struct http_header headers[] = { { "X-Amz-Date", time },
        { "Authorization", authorization } };
    const struct http_call http_call = { .method = method,
        .url = url,
        .headers = headers,
        .header_count = 2,
        .body = slice_str(body),
        .timeout_ms = 20000,
        .body_size_max = 8u << 20 };
    struct http_reply reply;
    assert_int_equal(http_client_call(&http_call, &reply), 0);
    struct answer answer = { .status = reply.status };
    memcpy(answer.error, reply.error_type, sizeof answer.error);
    answer.body = json_loads(reply.body, 0, NULL);
    http_reply_fini(&reply);
    return answer;
}

static void expect(const struct control_fixture *f, const char *method, const char *target,
    const char *body, unsigned status, const char *error)
{
    struct answer answer = call(f, method, target, body);
    if (answer.status != status || strcmp(answer.error, error) != 0)
        fail_msg("%s %s %s: %u %s", method, target, body, answer.status, answer.error);
    json_decref(answer.body);
}

/* Creates a file system and writes its id. */
static void create_fs(const struct control_fixture *f, const char *token, char out_id[64])
{
    char body[128];
    (void)snprintf(body, sizeof body, "{\"CreationToken\":\"%s\"}", token);
    struct answer answer = call(f, "POST", API "/file-systems", body);
    assert_int_equal(answer.status, 201);
    const char *id = json_string_value(json_object_get(answer.body, "FileSystemId"));
    assert_non_null(id);
    (void)snprintf(out_id, 64, "%s", id);
    json_decref(answer.body);
}

/* Waits until the file system is in the state; "gone": until there is none. */
static void wait_for_state(const struct control_fixture *f, const char *id, const char *state)
{
    const struct timespec pause = { .tv_nsec = 5000000 };
    for (unsigned i = 0; i < 2000; i++) {
        const struct catalog_fs *fs = catalog_fs_get(f->catalog, id);
        bool reached = strcmp(fs != NULL ? catalog_state_name(fs->state) : "gone", state) == 0;
        catalog_fs_put(fs);
        if (reached)
            return;
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%s does not become %s", id, state);
}

static void wrong_input_has_the_errors_of_efs(void **state)
{
    static const struct {
        const char *method;
        const char *target;
        const char *body;
        unsigned status;
        const char *error;
    } cases[] = {
        { "POST", "/file-systems", "{}", 400, "BadRequest" },
        { "POST", "/file-systems", "{\"CreationToken\":\"\"}", 400, "BadRequest" },
        { "POST", "/file-systems", "{\"CreationToken\":null}", 400, "BadRequest" },
        { "POST", "/file-systems", "{\"CreationToken\":\"a\",\"Tags\":{}}", 400, "BadRequest" },
        { "POST", "/file-systems", "{\"CreationToken\":\"a\",\"Tags\":[{\"Key\":\"a\"}]}", 400,
            "BadRequest" },
        { "POST", "/file-systems", "{\"CreationToken\":\"a\",\"Encrypted\":\"yes\"}", 400,
            "BadRequest" },
        { "POST", "/file-systems", "{\"CreationToken\":\"a\",\"KmsKeyId\":\"alias/x\"}", 400,
            "BadRequest" },
        { "POST", "/file-systems",
            "{\"CreationToken\":\"a\",\"ThroughputMode\":\"provisioned\","
            "\"ProvisionedThroughputInMibps\":0.5}",
            400, "BadRequest" },
        { "POST", "/mount-targets", "{\"FileSystemId\":\"fs-1\"}", 404, "FileSystemNotFound" },
        { "POST", "/mount-targets", "{\"SubnetId\":\"subnet-12345678\"}", 400, "BadRequest" },
        { "POST", "/mount-targets", "{\"FileSystemId\":\"fs-1\",\"IpAddressType\":\"DUAL_STACK\"}",
            400, "BadRequest" },
        { "POST", "/access-points", "{\"ClientToken\":\"a\"}", 400, "BadRequest" },
        { "POST", "/access-points", "{\"ClientToken\":\"a\",\"FileSystemId\":\"fs-1\"}", 404,
            "FileSystemNotFound" },
        { "POST", "/access-points",
            "{\"ClientToken\":\"a\",\"FileSystemId\":\"fs-1\",\"PosixUser\":[]}", 400,
            "BadRequest" },
        { "GET", "/access-points?NextToken=fsap-zz", "", 400, "BadRequest" },
        { "GET", "/access-points?MaxResults=-1", "", 400, "BadRequest" },
        { "DELETE", "/access-points/fsap-1", "", 404, "AccessPointNotFound" },
        { "DELETE", "/resource-tags/fs-1", "", 400, "BadRequest" },
        { "DELETE", "/resource-tags/fs-1?tagKeys=a", "", 404, "FileSystemNotFound" },
        { "POST", "/resource-tags/fs-1", "{}", 400, "BadRequest" },
        { "GET", "/tags/fs-1/", "", 404, "FileSystemNotFound" },
        { "GET", "/tags/fs-1", "", 404, "FileSystemNotFound" },
        { "PUT", "/file-systems/fs-1/protection",
            "{\"ReplicationOverwriteProtection\":\"REPLICATING\"}", 400, "BadRequest" },
        { "PUT", "/file-systems/fs-1/protection",
            "{\"ReplicationOverwriteProtection\":\"DISABLED\"}", 404, "FileSystemNotFound" },
        { "PUT", "/file-systems/fs-1/policy", "{}", 400, "BadRequest" },
        { "PUT", "/file-systems/fs-1/policy", "{\"Policy\":\"{}\"}", 404, "FileSystemNotFound" },
        { "GET", "/file-systems/fs-1/policy", "", 404, "FileSystemNotFound" },
        { "DELETE", "/file-systems/fs-1/policy", "", 404, "FileSystemNotFound" },
        { "POST", "/file-systems/fs-1/replication-configuration", "{}", 404, "FileSystemNotFound" },
        { "GET", "/file-systems/fs-1", "", 404, "UnknownOperationException" },
        { "GET", "/file-systems/a/b/c", "", 404, "UnknownOperationException" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char target[256];
        (void)snprintf(target, sizeof target, API "%s", cases[i].target);
        expect(*state, cases[i].method, target, cases[i].body, cases[i].status, cases[i].error);
    }
    struct answer all = call(*state, "GET", API "/file-systems", "");
    assert_int_equal(json_array_size(json_object_get(all.body, "FileSystems")), 0);
    json_decref(all.body);
}

static void making_a_volume_is_tried_until_it_succeeds(void **state)
{
    struct control_fixture *f = *state;
    char id[64];
    char target[128];
    f->create_error = -ENOSPC;
    create_fs(f, "a", id);
    while (f->create_count < 2) {
        const struct timespec pause = { .tv_nsec = 5000000 };
        (void)nanosleep(&pause, NULL);
    }
    (void)snprintf(target, sizeof target, "{\"FileSystemId\":\"%s\",\"ClientToken\":\"t\"}", id);
    expect(f, "POST", API "/access-points", target, 409, "IncorrectFileSystemLifeCycleState");
    f->create_error = 0;
    wait_for_state(f, id, "available");
    expect(f, "POST", API "/access-points", target, 200, "");
}

static void one_that_cannot_be_made_can_be_deleted(void **state)
{
    struct control_fixture *f = *state;
    char id[64];
    char target[128];
    f->create_error = -ENOSPC;
    create_fs(f, "a", id);
    (void)snprintf(target, sizeof target, API "/file-systems/%s", id);
    expect(f, "DELETE", target, "", 204, "");
    wait_for_state(f, id, "gone");
    f->create_error = 0;
    create_fs(f, "a", id);
    wait_for_state(f, id, "available");
}

static void deletion_tells_the_data_plane_and_is_tried_again(void **state)
{
    struct control_fixture *f = *state;
    char id[64];
    char target[128];
    create_fs(f, "a", id);
    wait_for_state(f, id, "available");
    f->destroy_error = -EBUSY;
    (void)snprintf(target, sizeof target, API "/file-systems/%s", id);
    expect(f, "DELETE", target, "", 204, "");
    while (f->forgotten_fs_count < 2) {
        const struct timespec pause = { .tv_nsec = 5000000 };
        (void)nanosleep(&pause, NULL);
    }
    wait_for_state(f, id, "deleting");
    assert_int_equal(catalog_check_fs(f->catalog, id), -ENOENT);
    /* A restart in the middle goes on. */
    fixture_pause(f);
    f->destroy_error = 0;
    fixture_start_again(f);
    wait_for_state(f, id, "gone");
}

static void a_deleted_mount_target_is_not_served_from_the_answer_on(void **state)
{
    struct control_fixture *f = *state;
    char id[64];
    char text[256];
    create_fs(f, "a", id);
    wait_for_state(f, id, "available");
    const struct catalog_subnet *subnet = &catalog_network(f->catalog)->subnets[0];
    (void)snprintf(
        text, sizeof text, "{\"FileSystemId\":\"%s\",\"SubnetId\":\"%s\"}", id, subnet->id);
    struct answer made = call(f, "POST", API "/mount-targets", text);
    assert_int_equal(made.status, 200);
    struct in_addr address = { .s_addr = htonl(ntohl(subnet->base.s_addr) + 4) };
    struct catalog_export export;
    while (catalog_find_export(f->catalog, address, &export) < 0) {
        const struct timespec pause = { .tv_nsec = 1000000 };
        (void)nanosleep(&pause, NULL);
    }
    assert_string_equal(export.fs_id, id);
    uint64_t before = catalog_generation(f->catalog);
    (void)snprintf(text, sizeof text, API "/mount-targets/%s", export.mount_target_id);
    expect(f, "DELETE", text, "", 204, "");
    assert_int_equal(catalog_find_export(f->catalog, address, &export), -ENOENT);
    assert_true(catalog_generation(f->catalog) > before);
    while (catalog_mount_target_count(f->catalog, id) > 0) {
        const struct timespec pause = { .tv_nsec = 1000000 };
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(f->forgotten_target_count, 1);
    json_decref(made.body);
}

struct creator {
    const struct control_fixture *fixture;
    _Atomic unsigned made;
    _Atomic unsigned refused;
};

static void *create_same(void *context)
{
    struct creator *creator = context;
    struct answer answer =
        call(creator->fixture, "POST", API "/file-systems", "{\"CreationToken\":\"same\"}");
    if (answer.status == 201)
        creator->made++;
    else if (strcmp(answer.error, "FileSystemAlreadyExists") == 0)
        creator->refused++;
    json_decref(answer.body);
    return NULL;
}

static void of_many_creations_with_one_token_one_wins(void **state)
{
    struct creator creator = { .fixture = *state };
    pthread_t threads[8];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, create_same, &creator), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(creator.made, 1);
    assert_int_equal(creator.refused, ARRAY_SIZE(threads) - 1);
}

static void the_size_of_an_open_file_system_is_metered(void **state)
{
    struct control_fixture *f = *state;
    char id[64];
    create_fs(f, "a", id);
    wait_for_state(f, id, "available");
    struct fs *fs;
    assert_int_equal(fs_volumes_get(f->volumes, id, &fs), 0);
    struct fs_space space;
    assert_int_equal(fs_space(fs, &space), 0);
    fs_volumes_put(f->volumes, fs);
    struct answer all = call(f, "GET", API "/file-systems", "");
    const json_t *size =
        json_object_get(json_array_get(json_object_get(all.body, "FileSystems"), 0), "SizeInBytes");
    uint64_t objects = max_u64(space.used_files, 1);
    assert_int_equal(json_integer_value(json_object_get(size, "Value")),
        4096 + 2048 * objects + space.used_bytes);
    json_decref(all.body);
}

struct aging {
    const char *id;
    int64_t ms;
};

/* As if the amount had been set that much earlier. */
static int age_amount(struct catalog_change *change, void *context)
{
    const struct aging *aging = context;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, aging->id, &fs);
    if (err == 0)
        fs->provisioned_at_ms -= aging->ms;
    return err;
}

static void provisioned_throughput_can_be_left_after_a_day(void **state)
{
    struct control_fixture *f = *state;
    char id[64];
    char path[128];
    create_fs(f, "a", id);
    wait_for_state(f, id, "available");
    (void)snprintf(path, sizeof path, API "/file-systems/%s", id);
    const char *provisioned =
        "{\"ThroughputMode\":\"provisioned\",\"ProvisionedThroughputInMibps\":20}";
    expect(f, "PUT", path, provisioned, 202, "");
    wait_for_state(f, id, "available");
    struct aging almost = { id, INT64_C(24) * 3600 * 1000 - 60000 };
    assert_int_equal(catalog_change(f->catalog, age_amount, &almost), 0);
    const char *less = "{\"ProvisionedThroughputInMibps\":10}";
    const char *elastic = "{\"ThroughputMode\":\"elastic\"}";
    expect(f, "PUT", path, less, 429, "TooManyRequests");
    expect(f, "PUT", path, elastic, 429, "TooManyRequests");
    struct aging rest = { id, 60000 };
    assert_int_equal(catalog_change(f->catalog, age_amount, &rest), 0);
    expect(f, "PUT", path, less, 202, "");
    wait_for_state(f, id, "available");
    expect(f, "PUT", path, elastic, 429, "TooManyRequests"); /* the amount was changed: a new day */
    struct aging day = { id, INT64_C(24) * 3600 * 1000 };
    assert_int_equal(catalog_change(f->catalog, age_amount, &day), 0);
    expect(f, "PUT", path, elastic, 202, "");
    wait_for_state(f, id, "available");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wrong_input_has_the_errors_of_efs, setup, teardown),
        cmocka_unit_test_setup_teardown(
            making_a_volume_is_tried_until_it_succeeds, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_made_can_be_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(
            deletion_tells_the_data_plane_and_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_deleted_mount_target_is_not_served_from_the_answer_on, setup, teardown),
        cmocka_unit_test_setup_teardown(of_many_creations_with_one_token_one_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_size_of_an_open_file_system_is_metered, setup, teardown),
        cmocka_unit_test_setup_teardown(
            provisioned_throughput_can_be_left_after_a_day, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
