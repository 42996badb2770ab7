/*
 * control/api.h - what a handler of the API sees: one call, its input, its answer.
 *
 * A handler takes its input through control/input.h, reads and changes the catalog, sets call->output and gives NULL;
 * or it gives what api_fail() gave. It may wait for storage, never for another client. All that it allocates from
 * call->arena goes with the call. Called on several threads at once.
 */
#pragma once

#include <jansson.h>

#include "auth/verify.h"
#include "base/arena.h"
#include "catalog/records.h"
#include "control/query.h"
#include "fs/volumes.h"
#include "http/server.h"

#define API_MESSAGE_SIZE    512
#define API_REQUEST_ID_SIZE 37

/* Rows of control/errors.def. */
enum api_error_id {
#define API_ERROR(id, name, status) API_##id,
#include "control/errors.def"
#undef API_ERROR
    API_ERROR_COUNT
};

struct api_error {
    const char *name;
    unsigned status;
};

struct key_store;
struct refusals;
struct worker;

/* What all calls share. */
struct api_context {
    struct catalog *catalog;
    struct fs_volumes *volumes;
    struct key_store *keys;
    struct refusals *refusals;
    struct worker *worker;
};

struct api_call {
    const struct api_context *context;
    int64_t now_ms;
    char request_id[API_REQUEST_ID_SIZE];
    struct auth_result who;
    const struct sockaddr_storage *peer; /* borrowed */
    bool is_denied;                      /* a policy refused it */
    const char *resource; /* ARN of what it is about, for the audit log; NULL: none */
    struct arena arena;
    const char *path_value; /* of the {Name} in the path, decoded; NULL: none */
    struct query query;     /* of the URL; of the body in the query protocol */
    json_t *body;           /* owned; what was sent, of any JSON type; NULL: nothing */
    const json_t *input;    /* the body when it is an object; NULL: none was sent */
    const char *action;     /* the operation's name, for the log */
    /* The answer. */
    json_t *output;       /* owned; NULL: an empty body */
    json_t *error_fields; /* owned; added to an error's body; NULL: none */
    const struct api_error *failure;
    char message[API_MESSAGE_SIZE];
};

/* Notes an error and gives it, for the handler to return. */
const struct api_error *api_fail(
    struct api_call *call, enum api_error_id id, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same inside of catalog_change(): gives -ECANCELED, so that nothing is changed. */
MUST_CHECK int api_refuse(struct api_call *call, enum api_error_id id, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Makes a change of the catalog; what `make` refused, or trouble of our own, becomes the error. While `make` runs,
 * call->context->catalog is catalog_changing(). NULL: done. */
MUST_CHECK const struct api_error *api_change(struct api_call *call,
    int (*make)(struct catalog_change *change, void *context), void *context);
/* For a handler that met trouble of our own; logs it, since the client is told nothing of it. */
const struct api_error *api_internal_error(struct api_call *call, int err);
/* Sets the answer's body; NULL stands for out of memory. Takes `output`. */
MUST_CHECK const struct api_error *api_answer(struct api_call *call, json_t *output);

typedef const struct api_error *api_handler(struct api_call *call);

/* A new id: the prefix and 17 hexadecimal digits. */
void api_make_id(const char *prefix, char out_id[CATALOG_ID_SIZE]);
/* The id in `text`, which is one already or an ARN of ours of this kind ("file-system", "access-point"). NULL: an
 * ARN of another account, region or kind. */
const char *api_resolve_id(const struct api_call *call, const char *kind, const char *text);
/* The file system that `text` names, with a reference; NULL: refused (FileSystemNotFound). */
const struct catalog_fs *api_get_fs(struct api_call *call, const char *text);
