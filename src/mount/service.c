/*
 * mount/service.c - finding and asking the EFS API (room: mount).
 */
#include "mount/service.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "auth/credentials.h"
#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "http/client.h"

#define API_VERSION    "/2015-02-01"
#define SHOAL_SPACE    "Shoal_20261128" /* as control/services.def */
#define TIMEOUT_MS     10000
#define REPLY_SIZE_MAX ((size_t)4 << 20)
#define FILE_SIZE_MAX  ((size_t)1 << 20)
#define URL_SIZE       1024
#define HTTP_OK        200
#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404

static const char *environment(const char *name)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): one thread, nobody sets it
    return value != NULL ? value : "";
}

const char *service_text(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

/* Copies when there is nothing yet and it fits. */
static void fill(char *to, size_t size, const char *from)
{
    if (to[0] == '\0' && text_copy(to, size, from) < 0)
        to[0] = '\0';
}

/* DIR/run/shoald.json, which tells where the service of a data directory is. */
static int read_run_file(
    struct service *service, const char *data, bool was_named, struct problem *problem)
{
    char path[OPTIONS_PATH_SIZE + 32];
    char *text = NULL;
    (void)snprintf(path, sizeof path, "%s/run/shoald.json", data);
    int err = sys_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &text);
    if (err < 0 && !was_named)
        return 0;
    if (err == -ENOENT)
        return problem_say(problem, -EINVAL,
            "No service runs on %s; start it with: shoal up --data %s", data, data);
    if (err < 0)
        return problem_say(problem, -EINVAL,
            "Cannot read %s: %s. Run this as root or as the user that runs shoald.", path,
            strerrordesc_np(-err));
    json_t *json = json_loads(text, 0, NULL);
    free(text);
    json_int_t port = json_integer_value(json_object_get(json, "nfs_port"));
    fill(service->endpoint, sizeof service->endpoint, service_text(json, "endpoint"));
    fill(service->conf.region, sizeof service->conf.region, service_text(json, "region"));
    fill(service->conf.suffix, sizeof service->conf.suffix, service_text(json, "suffix"));
    if (port > 0 && port <= UINT16_MAX)
        service->nfs_port = (uint16_t)port;
    if (text_copy(service->data, sizeof service->data, data) < 0)
        service->data[0] = '\0';
    json_decref(json);
    return 0;
}

struct key_reading {
    const char *profile;
    struct service *service;
};

static int take_key(void *context, const char *section, const char *name, const char *value)
{
    struct key_reading *reading = context;
    struct service *service = reading->service;
    if (strcmp(section, reading->profile) != 0)
        return 1;
    if (strcmp(name, "aws_access_key_id") == 0)
        return text_copy(service->key_id, sizeof service->key_id, value) == 0;
    if (strcmp(name, "aws_secret_access_key") == 0)
        return text_copy(service->secret, sizeof service->secret, value) == 0;
    if (strcmp(name, "aws_session_token") == 0)
        return text_copy(service->token, sizeof service->token, value) == 0;
    return 1;
}

/* Reads one profile of a file in the form of ~/.aws/credentials. Gives whether it has a pair of keys. */
static bool read_keys(struct service *service, const char *path, const char *profile)
{
    char *text = NULL;
    struct key_reading reading = { .profile = profile, .service = service };
    if (sys_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &text) < 0)
        return false;
    (void)ini_parse_string(text, take_key, &reading); /* what is there counts */
    explicit_bzero(text, strlen(text));
    free(text);
    return service->key_id[0] != '\0' && service->secret[0] != '\0';
}

static bool read_data_keys(struct service *service, const char *data)
{
    char path[OPTIONS_PATH_SIZE + 32];
    (void)snprintf(path, sizeof path, "%s/" CREDENTIALS_FILE_NAME, data);
    return data[0] != '\0' && read_keys(service, path, "default");
}

static bool read_environment_keys(struct service *service)
{
    fill(service->key_id, sizeof service->key_id, environment("AWS_ACCESS_KEY_ID"));
    fill(service->secret, sizeof service->secret, environment("AWS_SECRET_ACCESS_KEY"));
    fill(service->token, sizeof service->token, environment("AWS_SESSION_TOKEN"));
    if (service->key_id[0] != '\0' && service->secret[0] != '\0')
        return true;
    service->key_id[0] = service->secret[0] = service->token[0] = '\0';
    return false;
}

static int find_keys(
    struct service *service, const struct mount_options *options, struct problem *problem)
{
    char path[OPTIONS_PATH_SIZE + 32];
    const char *profile = options->aws_profile;
    if (options->data[0] != '\0' && read_data_keys(service, options->data))
        return 0;
    if (profile[0] == '\0' && read_environment_keys(service))
        return 0;
    if (profile[0] == '\0')
        profile = environment("AWS_PROFILE");
    const char *file = environment("AWS_SHARED_CREDENTIALS_FILE");
    if (file[0] == '\0') {
        const char *home = environment("HOME");
        (void)snprintf(
            path, sizeof path, "%.900s/.aws/credentials", home[0] != '\0' ? home : "/root");
        file = path;
    }
    if (read_keys(service, file, profile[0] != '\0' ? profile : "default"))
        return 0;
    if (options->aws_profile[0] != '\0')
        return problem_say(problem, -EINVAL, "There are no keys of a profile [%s] in %s.",
            options->aws_profile, file);
    (void)read_data_keys(service, environment("SHOAL_DATA")); /* perhaps there are none */
    return 0;
}

int service_find(
    const struct mount_options *options, struct service *out_service, struct problem *problem)
{
    struct service *service = out_service;
    struct efs_conf conf;
    *service = (struct service){ 0 };
    fill(service->endpoint, sizeof service->endpoint, options->endpoint);
    fill(service->conf.region, sizeof service->conf.region, options->region);
    fill(service->conf.suffix, sizeof service->conf.suffix, options->suffix);
    if (options->data[0] == '\0') {
        fill(service->endpoint, sizeof service->endpoint, environment("AWS_ENDPOINT_URL_EFS"));
        fill(service->endpoint, sizeof service->endpoint, environment("AWS_ENDPOINT_URL"));
    }
    const char *data = options->data[0] != '\0' ? options->data : environment("SHOAL_DATA");
    int err = data[0] != '\0' ? read_run_file(service, data, options->data[0] != '\0', problem) : 0;
    if (err < 0)
        return err;
    fill(service->conf.region, sizeof service->conf.region, environment("AWS_REGION"));
    fill(service->conf.region, sizeof service->conf.region, environment("AWS_DEFAULT_REGION"));
    err = conf_read(CONF_PATH, service->conf.region, &conf);
    if (err < 0 && err != -ENOENT)
        return problem_say(problem, -EINVAL,
            "Cannot read " CONF_PATH ": %s. Mend it, or move it away.",
            err == -EINVAL ? "a line is not of the form key = value" : strerrordesc_np(-err));
    if (err == 0) {
        fill(service->conf.region, sizeof service->conf.region, conf.region);
        fill(service->conf.suffix, sizeof service->conf.suffix, conf.suffix);
        fill(service->conf.name_format, sizeof service->conf.name_format, conf.name_format);
        fill(service->conf.ca_file, sizeof service->conf.ca_file, conf.ca_file);
    }
    return find_keys(service, options, problem);
}

void service_fini(struct service *service)
{
    explicit_bzero(service, sizeof *service);
}

/* One request: of the EFS API, or of a service that takes all by POST and names the operation in a header. */
struct question {
    const char *method;
    const char *path;
    const char *query;
    const char *scope;     /* the service of the signature */
    const char *operation; /* X-Amz-Target; NULL: none */
    const char *body;
};

#define HEADERS_MAX 5

/* What is sent, signed; `time` lives as long as they do. */
struct signed_request {
    char host[OPTIONS_WORD_SIZE];
    char time[SIGV4_TIME_SIZE];
    char authorization[SIGV4_AUTHORIZATION_SIZE];
    struct http_header headers[HEADERS_MAX];
    size_t count;
};

static int sign(
    const struct service *service, const struct question *question, struct signed_request *out)
{
    struct sigv4_header headers[HEADERS_MAX] = { { "host", out->host },
        { "x-amz-date", out->time } };
    size_t count = 2;
    sigv4_format_time(clock_wall().seconds, out->time);
    if (service->token[0] != '\0')
        headers[count++] = (struct sigv4_header){ "x-amz-security-token", service->token };
    if (question->operation != NULL)
        headers[count++] = (struct sigv4_header){ "x-amz-target", question->operation };
    for (size_t i = 0; i < count; i++)
        out->headers[i] = (struct http_header){ headers[i].name, headers[i].value };
    out->headers[count] = (struct http_header){ "authorization", out->authorization };
    out->count = count + 1;
    const struct sigv4_request request = { .method = question->method,
        .path = question->path,
        .query = question->query,
        .headers = headers,
        .header_count = count,
        .body = slice_str(question->body) };
    const struct sigv4_signer signer = { .key_id = service->key_id,
        .secret = service->secret,
        .region = service->conf.region[0] != '\0' ? service->conf.region : "us-east-1",
        .service = question->scope,
        .time = out->time };
    return sigv4_sign(&request, &signer, out->authorization);
}

/* Makes of the reply its JSON, or the sentence. */
static int take_reply(const struct http_reply *http, const struct question *question,
    json_t **out_reply, struct problem *problem)
{
    json_t *json = json_loadb(http->body, http->body_size, 0, NULL);
    if (http->status == HTTP_OK && json != NULL) {
        *out_reply = json;
        return 0;
    }
    int err = http->status == HTTP_NOT_FOUND   ? -ENOENT
              : http->status == HTTP_FORBIDDEN ? -EACCES
                                               : -EIO;
    const char *message = service_text(json, "Message");
    (void)problem_say(problem, err, "The service answered %s%s%s to %s %s (HTTP %u).",
        http->error_type[0] != '\0' ? http->error_type : "an error", message[0] != '\0' ? ": " : "",
        message, question->method,
        question->operation != NULL ? question->operation : question->path, http->status);
    json_decref(json);
    return err;
}

static const char *host_of(const char *endpoint)
{
    const char *slashes = strstr(endpoint, "://");
    return slashes != NULL ? slashes + 3 : endpoint;
}

static int ask(const struct service *service, const struct question *question, json_t **out_reply,
    struct problem *problem)
{
    char url[2 * URL_SIZE + OPTIONS_WORD_SIZE];
    struct signed_request request;
    if (service->endpoint[0] == '\0')
        return problem_say(problem, -ENOTCONN,
            "Where the service is, is not known: give endpoint=http://HOST:8049 or data=DIR, or "
            "set "
            "AWS_ENDPOINT_URL or SHOAL_DATA.");
    if (service->key_id[0] == '\0')
        return problem_say(problem, -ENOTCONN,
            "There are no keys for the service at %s: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY (shoal env prints them), or give data=DIR.",
            service->endpoint);
    const char *host = host_of(service->endpoint);
    size_t host_size = strcspn(host, "/");
    (void)snprintf(request.host, sizeof request.host, "%.*s", (int)host_size, host);
    (void)snprintf(url, sizeof url, "%.*s%s%s%s", (int)(host - service->endpoint + (long)host_size),
        service->endpoint, question->path, question->query[0] != '\0' ? "?" : "", question->query);
    int err = sign(service, question, &request);
    const struct http_call call = { .method = question->method,
        .url = url,
        .headers = request.headers,
        .header_count = request.count,
        .body = slice_str(question->body),
        .timeout_ms = TIMEOUT_MS,
        .body_size_max = REPLY_SIZE_MAX };
    struct http_reply http = { 0 };
    if (err == 0)
        err = http_client_call(&call, &http);
    if (err < 0)
        return problem_say(problem, err,
            "The service at %s does not answer: %s. Is it up (shoal status), and the address "
            "right?",
            service->endpoint, strerrordesc_np(-err));
    err = take_reply(&http, question, out_reply, problem);
    http_reply_fini(&http);
    return err;
}

int service_get(const struct service *service, const char *path, const char *query,
    json_t **out_reply, struct problem *problem)
{
    char full[URL_SIZE];
    const struct question question = {
        .method = "GET", .path = full, .query = query, .scope = "elasticfilesystem", .body = ""
    };
    (void)snprintf(full, sizeof full, API_VERSION "%s", path);
    return ask(service, &question, out_reply, problem);
}

int service_ask_shoal(const struct service *service, const char *operation, const json_t *input,
    json_t **out_reply, struct problem *problem)
{
    char target[URL_SIZE];
    char *body = json_dumps(input, JSON_COMPACT);
    const struct question question = { .method = "POST",
        .path = "/",
        .query = "",
        .scope = "shoal",
        .operation = target,
        .body = body };
    if (body == NULL)
        return problem_say(problem, -ENOMEM, "There is no memory left.");
    (void)snprintf(target, sizeof target, SHOAL_SPACE ".%s", operation);
    int err = ask(service, &question, out_reply, problem);
    free(body);
    return err;
}
