/*
 * control/server.c - from an HTTP request to a handler, and back (room: control).
 *
 * The way: size, then signature, then service (by the credential scope), then action (by method and path), then input,
 * then the handler. Whatever refuses answers in the shape of the service that was asked. All requests that change
 * something leave a line in the log, with the request's id and the key that made it.
 */
#include "control/server.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "control/authorize.h"
#include "control/kms.h"
#include "control/query_service.h"
#include "control/target_service.h"
#include "http/server.h"
#include "metrics/metrics.h"

#define THREADS_DEFAULT     16 /* those that wait for the disk share its syncs */
#define CONNECTIONS_DEFAULT 1024
#define BODY_SIZE_MAX       (1u << 20)
#define ARENA_SIZE_MAX      (8u << 20) /* decoded words and lists of one request */
#define REQUEST_MS_MAX      60000
#define IDLE_MS_MAX         75000
#define KEY_USE_MS          (15 * 60 * 1000)
#define JSON_TYPE           "application/json"
#define TARGET_TYPE         "application/x-amz-json-1.1"
#define XML_TYPE            "text/xml;charset=UTF-8"

struct control_server {
    struct control_options options;
    struct api_context context;
    struct http_server *http;
};

/* A random UUID, version 4. */
static void make_request_id(char out_id[API_REQUEST_ID_SIZE])
{
    char digits[31];
    random_hex(digits, sizeof digits - 1);
    (void)snprintf(out_id, API_REQUEST_ID_SIZE, "%.8s-%.4s-4%.3s-a%.3s-%.12s", digits, digits + 8,
        digits + 12, digits + 15, digits + 18);
}

/* Puts a text (taken) into the response. NULL: a bare 500. */
static void respond(
    struct http_response *response, unsigned status, const char *type, char *text, size_t size)
{
    response->status = text != NULL ? status : 500;
    http_response_header(response, "Content-Type", type);
    response->body = text;
    response->body_size = text != NULL ? size : 0;
}

/* An error as EFS shows it: the name in the body and, for the SDKs, in a header. */
static void respond_error(struct api_call *call, struct http_response *response)
{
    json_t *body = json_pack("{ss ss}", "ErrorCode", call->failure->name, "Message", call->message);
    if (body != NULL && call->error_fields != NULL)
        (void)json_object_update(body, call->error_fields); /* without memory, it goes without */
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    json_decref(body);
    http_response_header(response, "x-amzn-ErrorType", call->failure->name);
    respond(response, call->failure->status, JSON_TYPE, text, text == NULL ? 0 : strlen(text));
}

static void respond_output(
    const struct api_call *call, unsigned status, const char *type, struct http_response *response)
{
    if (call->output == NULL) {
        response->status = status;
        return;
    }
    char *text = json_dumps(call->output, JSON_COMPACT | JSON_REAL_PRECISION(15));
    respond(response, status, type, text, text == NULL ? 0 : strlen(text));
}

/* An error as the JSON 1.1 services show it. */
static void respond_target_error(struct api_call *call, struct http_response *response)
{
    json_t *body = json_pack("{ss ss}", "__type", call->failure->name, "message", call->message);
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    json_decref(body);
    http_response_header(response, "x-amzn-ErrorType", call->failure->name);
    respond(response, call->failure->status, TARGET_TYPE, text, text == NULL ? 0 : strlen(text));
}

/* An error before any handler ran, in the shape of the service; NULL: as EFS shows it. */
static void respond_failure(
    const struct service *service, struct api_call *call, struct http_response *response)
{
    if (service == NULL || service->protocol == PROTOCOL_REST_JSON) {
        respond_error(call, response);
        return;
    }
    if (service->protocol == PROTOCOL_JSON) {
        respond_target_error(call, response);
        return;
    }
    size_t size = 0;
    char *text = query_service_error(service, call, &size);
    respond(response, call->failure->status, XML_TYPE, text, size);
}

/* Verifies the signature. False: refused and answered. */
static bool authenticate(
    struct api_call *call, const struct http_request *request, struct http_response *response)
{
    struct sigv4_header headers[HTTP_HEADERS_MAX];
    for (size_t i = 0; i < request->header_count; i++)
        headers[i] = (struct sigv4_header){ request->headers[i].name, request->headers[i].value };
    const struct sigv4_request signed_request = {
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .headers = headers,
        .header_count = request->header_count,
        .body = request->body,
    };
    int err = auth_verify(call->context->catalog, &signed_request, call->now_ms / 1000, &call->who);
    if (err == -E2BIG)
        (void)api_fail(call, API_BAD_REQUEST, "The request has too many query parameters.");
    else if (err < 0)
        (void)api_internal_error(call, err);
    const struct service *service = service_find(call->who.service);
    if (call->failure == NULL && call->who.failure != AUTH_OK)
        (void)api_fail(
            call, service_auth_error(service, call->who.failure), "%s", call->who.message);
    if (call->failure == NULL)
        return true;
    respond_failure(service, call, response);
    return false;
}

struct key_use {
    const char *key_id;
    const char *service;
    int64_t now_ms;
};

static int edit_key_use(struct catalog_change *change, void *context)
{
    const struct key_use *use = context;
    struct catalog_key *key;
    int err = catalog_edit_key(change, use->key_id, &key);
    if (err == -ENOENT)
        return 0; /* deleted meanwhile */
    if (err == 0) {
        key->used_ms = use->now_ms;
        (void)text_copy(key->used_service, sizeof key->used_service, use->service);
    }
    return err;
}

/* Keeps when a key was last used (IAM API: GetAccessKeyLastUsed), to a quarter of an hour, so that few requests write.
 * That it cannot be kept is no reason to refuse the request. */
static void note_key_use(const struct api_call *call)
{
    const struct catalog_key *key = catalog_key_get(call->context->catalog, call->who.key_id);
    bool is_old = key != NULL && call->now_ms - key->used_ms >= KEY_USE_MS;
    catalog_key_put(key);
    if (!is_old || service_find(call->who.service) == NULL)
        return;
    struct key_use use = { call->who.key_id, call->who.service, call->now_ms };
    int err = catalog_change(call->context->catalog, edit_key_use, &use);
    if (err < 0)
        LOG_WARN("the use of a key cannot be kept", "key=%s error=\"%s\"", call->who.key_id,
            strerrordesc_np(-err));
}

/* The body, which is a JSON object when there is one. NULL: done. */
static const struct api_error *take_body(struct api_call *call, const struct http_request *request)
{
    if (request->body.size == 0)
        return NULL;
    json_error_t where;
    call->body = json_loadb(
        (const char *)request->body.data, request->body.size, JSON_REJECT_DUPLICATES, &where);
    if (call->body == NULL && where.text[0] == '\0') /* not even words could be allocated for it */
        return api_internal_error(call, -ENOMEM);
    if (!json_is_object(call->body))
        return api_fail(call, API_BAD_REQUEST, "The request body is not a JSON object: %s",
            call->body == NULL ? where.text : "it is of another type");
    call->input = call->body;
    return NULL;
}

/* Takes apart what an EFS action gets. NULL: done. */
static const struct api_error *take_input(
    struct api_call *call, const struct http_request *request, struct slice path_value)
{
    if (path_value.data != NULL) {
        call->path_value =
            query_decode(&call->arena, (const char *)path_value.data, path_value.size, false);
        if (call->path_value == NULL || call->path_value[0] == '\0' ||
            strlen(call->path_value) > 128)
            return api_fail(call, API_BAD_REQUEST,
                "The id in the path must have 1 to 128 characters, percent-encoded.");
    }
    if (query_parse(&call->arena, request->query, strlen(request->query), &call->query) < 0)
        return api_fail(call, API_BAD_REQUEST, "The query string is malformed or too long.");
    return take_body(call, request);
}

/* One line for each request that changed something, or was to. Their number is bounded by the logger. */
static void log_call(const struct api_call *call, const struct http_request *request)
{
    if (strcmp(request->method, "GET") == 0)
        return;
    char resource[160];
    const char *named = call->path_value != NULL ? call->path_value : "";
    LOG_INFO("api call", "action=%s request=%s key=%s user=%s resource=%s result=%s", call->action,
        call->request_id, call->who.key_id, call->who.user_name,
        log_quote(resource, sizeof resource, slice_str(named)),
        call->failure != NULL ? call->failure->name : "ok");
}

static void serve_efs(
    struct api_call *call, const struct http_request *request, struct http_response *response)
{
    struct slice path_value;
    bool path_known;
    uint64_t start_ns = clock_monotonic_ns();
    const struct action *action =
        action_find(request->method, request->path, &path_value, &path_known);
    if (action == NULL) {
        (void)api_fail(call, API_UNKNOWN_OPERATION,
            path_known ? "The path exists, but not with this method."
                       : "There is no operation at this path.");
        respond_error(call, response);
        return;
    }
    call->action = action->name;
    const struct api_error *error = take_input(call, request, path_value);
    if (error == NULL)
        error = authorize_efs(call, action);
    if (error == NULL)
        error = action->handler(call);
    if (error != NULL)
        respond_error(call, response);
    else
        respond_output(call, action->status, JSON_TYPE, response);
    log_call(call, request);
    unsigned row = (unsigned)action_index(action);
    metrics_observe(METRIC_API_SECONDS, row, clock_monotonic_ns() - start_ns);
    if (error != NULL)
        metrics_add(METRIC_API_ERRORS, row, 1);
}

static void serve_query(const struct service *service, struct api_call *call,
    const struct http_request *request, struct http_response *response)
{
    struct slice form = request->body.size > 0 ? request->body : slice_str(request->query);
    char *text = NULL;
    size_t size = 0;
    unsigned status = 0;
    if (query_parse(&call->arena, (const char *)form.data, form.size, &call->query) < 0) {
        status =
            api_fail(call, API_QUERY_INVALID_FILTER, "The form is malformed or too long.")->status;
        text = query_service_error(service, call, &size);
    } else {
        status = query_service_answer(service, call, &text, &size);
    }
    respond(response, status, XML_TYPE, text, size);
}

static void serve_target(const struct service *service, struct api_call *call,
    const struct http_request *request, struct http_response *response)
{
    const struct target *target =
        target_find(service, http_request_header(request, "x-amz-target"));
    const struct api_error *error = NULL;
    if (target == NULL) {
        error = api_fail(call, API_TARGET_UNKNOWN_OPERATION,
            "The header X-Amz-Target names no operation of the service '%s' that is available in "
            "Shoal.",
            service->name);
    } else {
        call->action = target->name;
        error = take_body(call, request);
        if (error == NULL)
            error = authorize_json(call, service, target->iam_action);
        if (error == NULL)
            error = target->handler(call);
        log_call(call, request);
    }
    if (error != NULL)
        respond_target_error(call, response);
    else
        respond_output(call, 200, TARGET_TYPE, response);
}

static void serve_signed(
    struct api_call *call, const struct http_request *request, struct http_response *response)
{
    if (request->body_too_large) {
        (void)api_fail(call, API_REQUEST_ENTITY_TOO_LARGE,
            "The request body is larger than %u bytes.", BODY_SIZE_MAX);
        respond_error(call, response);
        return;
    }
    if (!authenticate(call, request, response))
        return;
    note_key_use(call);
    const struct service *service = service_find(call->who.service);
    if (service == NULL) {
        (void)api_fail(call, API_UNKNOWN_OPERATION,
            "The service '%s' is not part of Shoal. docs/compat-api.md lists those that are.",
            call->who.service);
        respond_error(call, response);
        return;
    }
    switch (service->protocol) {
    case PROTOCOL_REST_JSON:
        serve_efs(call, request, response);
        break;
    case PROTOCOL_EC2_QUERY:
    case PROTOCOL_AWS_QUERY:
        serve_query(service, call, request, response);
        break;
    case PROTOCOL_JSON:
        serve_target(service, call, request, response);
        break;
    }
}

/* The id of what an EFS operation made; NULL: nothing. */
static const char *created_id(const struct api_call *call)
{
    static const char *const names[] = { "AccessPointId", "MountTargetId", "FileSystemId" };
    if (strncmp(call->action, "Create", 6) != 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *id = json_string_value(json_object_get(call->output, names[i]));
        if (id != NULL)
            return id;
    }
    return NULL;
}

/* Every signed call, and every one that was to be, leaves a line. */
static void report_call(
    struct audit *audit, const struct api_call *call, const struct http_response *response)
{
    const struct principal *principal = call->who.principal;
    audit_call(audit, &(struct audit_call){ .now_ms = call->now_ms,
                          .request = call->request_id,
                          .principal = principal != NULL ? principal->arn : NULL,
                          .key = call->who.key_id,
                          .service = call->who.service,
                          .action = call->action,
                          .resource = call->resource,
                          .created = created_id(call),
                          .result = call->failure != NULL ? call->failure->name : "ok",
                          .status = response->status,
                          .denied = call->is_denied || call->who.failure != AUTH_OK,
                          .source = call->peer });
}

static void serve_health(struct http_response *response)
{
    char *text = strdup("{\"status\":\"ok\"}\n");
    respond(response, 200, JSON_TYPE, text, text == NULL ? 0 : strlen(text));
}

static void serve_metrics(const struct control_server *server, struct http_response *response)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    int err = stream == NULL ? -ENOMEM : 0;
    if (err == 0) {
        err = server->options.write_metrics != NULL
                  ? server->options.write_metrics(server->options.metrics_context, stream)
                  : metrics_write(stream);
        if (fclose(stream) != 0)
            err = -ENOMEM;
    }
    if (err < 0) {
        free(text);
        text = NULL;
    }
    respond(response, 200, "text/plain; version=0.0.4", text, size);
}

static bool is_get(const struct http_request *request, const char *path)
{
    return strcmp(request->path, path) == 0 &&
           (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0);
}

static void on_request(
    void *context, const struct http_request *request, struct http_response *response)
{
    const struct control_server *server = context;
    struct api_call call = { .context = &server->context, .action = "-" };
    make_request_id(call.request_id);
    http_response_header(response, "x-amzn-RequestId", call.request_id);
    if (is_get(request, "/health")) {
        serve_health(response);
        return;
    }
    if (is_get(request, "/metrics")) {
        serve_metrics(server, response);
        return;
    }
    struct clock_time now = clock_wall();
    call.peer = &request->peer;
    call.now_ms = now.seconds * 1000 + now.nanoseconds / 1000000;
    arena_init(&call.arena, ARENA_SIZE_MAX);
    serve_signed(&call, request, response);
    report_call(server->options.audit, &call, response);
    json_decref(call.output);
    json_decref(call.error_fields);
    json_decref(call.body);
    auth_result_fini(&call.who);
    arena_fini(&call.arena);
}

int control_server_new(const struct control_options *options, struct control_server **out_server)
{
    struct control_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->options = *options;
    server->context.catalog = options->catalog;
    server->context.volumes = options->volumes;
    server->context.keys = options->keys;
    server->context.refusals = options->refusals;
    int err =
        worker_new(options->catalog, options->volumes, &options->hooks, &server->context.worker);
    if (err < 0) {
        control_server_free(server);
        return err;
    }
    *out_server = server;
    return 0;
}

int control_server_start(struct control_server *server, char *reason)
{
    const struct control_options *options = &server->options;
    unsigned connections =
        options->connection_count_max > 0 ? options->connection_count_max : CONNECTIONS_DEFAULT;
    const struct http_server_options http_options = {
        .address = options->address,
        .thread_count = options->thread_count > 0 ? options->thread_count : THREADS_DEFAULT,
        .connection_count_max = connections,
        .connection_count_max_per_address = connections / 2 + 1,
        .body_size_max = BODY_SIZE_MAX,
        .request_ms_max = REQUEST_MS_MAX,
        .idle_ms_max = IDLE_MS_MAX,
    };
    metrics_name_label(METRIC_LABEL_API_ACTION, action_names(), (unsigned)action_count());
    int err = worker_start(server->context.worker);
    if (err < 0) {
        (void)snprintf(
            reason, CATALOG_REASON_SIZE, "cannot start a thread: %s", strerrordesc_np(-err));
        return err;
    }
    err = http_server_new(&http_options, on_request, server, &server->http);
    if (err < 0)
        http_server_explain(err, &options->address, reason, CATALOG_REASON_SIZE);
    return err;
}

void control_server_tick(struct control_server *server, int64_t now_ms)
{
    if (key_store_tick(server->context.keys, now_ms))
        kms_tell(&server->context, NULL);
}

uint16_t control_server_port(const struct control_server *server)
{
    return http_server_port(server->http);
}

void control_server_drain(struct control_server *server, uint64_t timeout_ms)
{
    if (server->http != NULL)
        http_server_drain(server->http, timeout_ms);
}

void control_server_free(struct control_server *server)
{
    if (server == NULL)
        return;
    http_server_free(server->http);
    worker_free(server->context.worker);
    free(server);
}
