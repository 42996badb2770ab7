/*
 * http/client.c - libcurl behind http/client.h (room: http).
 */
#include "http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define HEADER_LINE_MAX 4096

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void start_library(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* if it fails, so does curl_easy_init() */
}

struct receiver {
    struct http_reply reply;
    size_t size_max;
    bool too_large;
};

static size_t take_bytes(char *data, size_t size, size_t count, void *context)
{
    struct receiver *receiver = context;
    size_t added = size * count;
    if (added > receiver->size_max - receiver->reply.body_size) {
        receiver->too_large = true;
        return 0; /* curl then ends the transfer */
    }
    char *body = realloc(receiver->reply.body, receiver->reply.body_size + added + 1);
    if (body == NULL)
        return 0;
    memcpy(body + receiver->reply.body_size, data, added);
    receiver->reply.body = body;
    receiver->reply.body_size += added;
    body[receiver->reply.body_size] = '\0';
    return added;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    static const char name[] = "x-amzn-errortype:";
    struct receiver *receiver = context;
    size_t length = size * count;
    if (length > sizeof name - 1 && strncasecmp(data, name, sizeof name - 1) == 0) {
        const char *value = data + sizeof name - 1;
        size_t left = length - (sizeof name - 1);
        while (left > 0 && *value == ' ') {
            value++;
            left--;
        }
        while (left > 0 && (value[left - 1] == '\r' || value[left - 1] == '\n'))
            left--;
        (void)snprintf(receiver->reply.error_type, sizeof receiver->reply.error_type, "%.*s",
            (int)min_size(left, HTTP_HEADER_VALUE_SIZE), value);
    }
    return length;
}

static int error_of(CURLcode code, const struct receiver *receiver)
{
    if (receiver->too_large)
        return -EMSGSIZE;
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return -EINVAL;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return -ECONNRESET;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

/* The headers as curl takes them; NULL with *out_failed: out of memory. */
static struct curl_slist *make_headers(const struct http_call *call, bool *out_failed)
{
    /* curl would add it by itself for larger bodies, and wait a second for an answer that never comes. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    *out_failed = list == NULL;
    for (size_t i = 0; !*out_failed && i < call->header_count; i++) {
        char line[HEADER_LINE_MAX];
        int size =
            snprintf(line, sizeof line, "%s: %s", call->headers[i].name, call->headers[i].value);
        struct curl_slist *longer =
            size < 0 || (size_t)size >= sizeof line ? NULL : curl_slist_append(list, line);
        *out_failed = longer == NULL;
        if (longer != NULL)
            list = longer;
    }
    return list;
}

static CURLcode set_options(
    CURL *curl, const struct http_call *call, struct curl_slist *headers, struct receiver *receiver)
{
    const struct {
        CURLoption option;
        const void *value;
    } pointers[] = {
        { CURLOPT_URL, call->url },
        { CURLOPT_CUSTOMREQUEST, call->method },
        { CURLOPT_HTTPHEADER, headers },
        { CURLOPT_NOPROXY, "localhost,127.0.0.0/8,::1" },
        { CURLOPT_PROTOCOLS_STR, "http,https" },
        { CURLOPT_WRITEDATA, receiver },
        { CURLOPT_HEADERDATA, receiver },
        /* Always given for methods with a body, so that curl sends its length; NULL would mean none. */
        { CURLOPT_POSTFIELDS, call->body.size > 0 ? (const char *)call->body.data : NULL },
    };
    CURLcode code = CURLE_OK;
    for (size_t i = 0; code == CURLE_OK && i < ARRAY_SIZE(pointers); i++) {
        if (pointers[i].value != NULL)
            code = curl_easy_setopt(curl, pointers[i].option, pointers[i].value);
    }
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        { CURLOPT_NOSIGNAL, 1L },
        { CURLOPT_PATH_AS_IS, 1L }, /* what was signed is what is sent */
        { CURLOPT_TIMEOUT_MS, (long)call->timeout_ms },
        { CURLOPT_POSTFIELDSIZE, (long)call->body.size },
    };
    for (size_t i = 0; code == CURLE_OK && i < ARRAY_SIZE(numbers); i++) {
        if (numbers[i].option != CURLOPT_POSTFIELDSIZE || call->body.size > 0)
            code = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
    }
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    return code;
}

int http_client_call(const struct http_call *call, struct http_reply *out_reply)
{
    (void)pthread_once(&library_once, start_library); /* fails for a bad argument only */
    struct receiver receiver = { .size_max = call->body_size_max };
    bool failed;
    struct curl_slist *headers = make_headers(call, &failed);
    CURL *curl = failed ? NULL : curl_easy_init();
    int err = -ENOMEM;
    if (curl != NULL) {
        receiver.reply.body = calloc(1, 1);
        CURLcode code = receiver.reply.body == NULL ? CURLE_OUT_OF_MEMORY
                                                    : set_options(curl, call, headers, &receiver);
        if (code == CURLE_OK)
            code = curl_easy_perform(curl);
        long status = 0;
        if (code == CURLE_OK)
            code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        receiver.reply.status = (unsigned)status;
        err = error_of(code, &receiver);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (err < 0) {
        http_reply_fini(&receiver.reply);
        return err;
    }
    *out_reply = receiver.reply;
    return 0;
}

void http_reply_fini(struct http_reply *reply)
{
    if (reply == NULL)
        return;
    free(reply->body);
    *reply = (struct http_reply){ 0 };
}
