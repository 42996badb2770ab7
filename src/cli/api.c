/*
 * cli/api.c - signing, sending and reading one call of the EFS API, and sending those of the other services (room: cli).
 */
#include "cli/api.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "http/client.h"

#define API_VERSION         "/2015-02-01"
#define API_SERVICE         "elasticfilesystem"
#define API_TIMEOUT_MS      30000
#define API_REPLY_BYTES_MAX (16u << 20)
#define PATH_SIZE           512
#define URL_QUERY_SIZE      4096

int api_open(const struct instance *instance, struct api *out_api)
{
    out_api->instance = instance;
    int err = credentials_read(instance->dir_fd, CREDENTIALS_FILE_NAME, &out_api->keys);
    if (err == 0)
        return CLI_OK;
    return cli_fail(
        "Cannot read the administrator's keys in %s/%s: %s. Run this as the user that runs "
        "shoald; if the file is gone, a restart of the service writes it again.",
        instance->data, CREDENTIALS_FILE_NAME, strerrordesc_np(-err));
}

#define HTTP_OK 200

static int explain_transport(const struct api *api, int err)
{
    return cli_fail("The service at %s does not answer: %s. Its log is %s/shoald.log.",
        api->instance->endpoint, strerrordesc_np(-err), api->instance->data);
}

#define SIGNED_HEADERS_MAX 4

/* The headers that are signed, and the Authorization header made of them. */
struct signed_headers {
    char time[SIGV4_TIME_SIZE];
    char authorization[SIGV4_AUTHORIZATION_SIZE];
    struct http_header items[SIGNED_HEADERS_MAX + 1];
    size_t count;
};

static int sign(
    const struct api *api, const struct api_message *message, struct signed_headers *headers)
{
    sigv4_format_time(clock_wall().seconds, headers->time);
    const struct sigv4_header plain[SIGNED_HEADERS_MAX] = {
        { "host", api->instance->endpoint + strlen("http://") },
        { "x-amz-date", headers->time },
        { "content-type", message->content_type },
        { "x-amz-target", message->target },
    };
    const size_t count = message->target != NULL ? SIGNED_HEADERS_MAX : SIGNED_HEADERS_MAX - 1;
    const struct sigv4_request request = {
        .method = message->method,
        .path = message->path,
        .query = message->query,
        .headers = plain,
        .header_count = count,
        .body = message->body,
    };
    const struct sigv4_signer signer = {
        .key_id = api->keys.key_id,
        .secret = api->keys.secret,
        .region = api->instance->region,
        .service = message->service,
        .time = headers->time,
    };
    for (size_t i = 0; i < count; i++)
        headers->items[i] = (struct http_header){ plain[i].name, plain[i].value };
    headers->items[count] = (struct http_header){ "authorization", headers->authorization };
    headers->count = count + 1;
    return sigv4_sign(&request, &signer, headers->authorization);
}

int api_send(const struct api *api, const struct api_message *message, struct http_reply *out_http)
{
    char url[PATH_SIZE + URL_QUERY_SIZE];
    int size = snprintf(url, sizeof url, "%s%s%s%s", api->instance->endpoint, message->path,
        message->query[0] != '\0' ? "?" : "", message->query);
    if (size < 0 || (size_t)size >= sizeof url)
        return cli_fail("The words of this call are too long for the service.");
    struct signed_headers headers;
    int err = sign(api, message, &headers);
    const struct http_call http_call = {
        .method = message->method,
        .url = url,
        .headers = headers.items,
        .header_count = headers.count,
        .body = message->body,
        .timeout_ms = API_TIMEOUT_MS,
        .body_size_max = API_REPLY_BYTES_MAX,
    };
    if (err == 0)
        err = http_client_call(&http_call, out_http);
    return err < 0 ? explain_transport(api, err) : CLI_OK;
}

static void take_reply(const struct http_reply *http, struct api_reply *out_reply)
{
    *out_reply = (struct api_reply){ .status = http->status };
    if (text_copy(out_reply->error, sizeof out_reply->error, http->error_type) < 0)
        out_reply->error[0] = '\0';
    if (http->body_size > 0)
        out_reply->body = json_loadb(http->body, http->body_size, 0, NULL);
}

int api_call(const struct api *api, const struct api_call *call, struct api_reply *out_reply)
{
    char path[PATH_SIZE];
    int size = snprintf(path, sizeof path, API_VERSION "%s", call->path);
    if (size < 0 || (size_t)size >= sizeof path)
        return cli_fail("The path of this call is too long for the service.");
    char *body = NULL;
    if (call->body != NULL && (body = json_dumps(call->body, JSON_COMPACT)) == NULL)
        return cli_fail("There is no memory left.");
    const struct api_message message = { .service = API_SERVICE,
        .method = call->method,
        .path = path,
        .query = call->query,
        .content_type = "application/json",
        .body = body != NULL ? slice_str(body) : slice_of(NULL, 0) };
    struct http_reply http = { 0 };
    int status = api_send(api, &message, &http);
    free(body);
    if (status != CLI_OK)
        return status;
    take_reply(&http, out_reply);
    http_reply_fini(&http);
    return CLI_OK;
}

void api_reply_fini(struct api_reply *reply)
{
    json_decref(reply->body);
    reply->body = NULL;
}

int api_fail(const struct api_reply *reply, const char *doing)
{
    const char *message = json_string_value(json_object_get(reply->body, "Message"));
    return cli_fail("The service refused %s: %s%s%s (HTTP %u).", doing,
        reply->error[0] != '\0' ? reply->error : "no reason given", message != NULL ? ": " : "",
        message != NULL ? message : "", reply->status);
}

int api_list_file_systems(const struct api *api, json_t **out_list)
{
    json_t *list = json_array();
    char query[160] = "";
    int status = CLI_OK;
    do {
        struct api_reply reply = { 0 };
        status = api_call(api,
            &(struct api_call){ .method = "GET", .path = "/file-systems", .query = query }, &reply);
        if (status != CLI_OK)
            break;
        const json_t *page = json_object_get(reply.body, "FileSystems");
        const char *next = json_string_value(json_object_get(reply.body, "NextMarker"));
        query[0] = '\0';
        if (next != NULL)
            (void)snprintf(query, sizeof query, "Marker=%s", next);
        if (reply.status != HTTP_OK)
            status = api_fail(&reply, "the list of file systems");
        for (size_t i = 0; i < json_array_size(page); i++) {
            if (json_array_append(list, json_array_get(page, i)) < 0)
                status = cli_fail("There is no memory left.");
        }
        api_reply_fini(&reply);
    } while (status == CLI_OK && query[0] != '\0');
    if (status == CLI_OK)
        *out_list = list;
    else
        json_decref(list);
    return status;
}
