/*
 * control/api.c - errors, changes and ids for all handlers (room: control).
 */
#include "control/api.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/random.h"

static const struct api_error errors[API_ERROR_COUNT] = {
#define API_ERROR(id, name, status) [API_##id] = { name, status },
#include "control/errors.def"
#undef API_ERROR
};

PRINTF_LIKE(3, 0)
static void note(struct api_call *call, enum api_error_id id, const char *format, va_list args)
{
    assert((size_t)id < ARRAY_SIZE(errors));
    call->failure = &errors[id];
    (void)vsnprintf(call->message, sizeof call->message, format, args); /* cut when it is long */
}

const struct api_error *api_fail(
    struct api_call *call, enum api_error_id id, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(call, id, format, args);
    va_end(args);
    return call->failure;
}

int api_refuse(struct api_call *call, enum api_error_id id, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(call, id, format, args);
    va_end(args);
    return -ECANCELED;
}

const struct api_error *api_internal_error(struct api_call *call, int err)
{
    LOG_ERROR("api call failed", "action=%s request=%s error=\"%s\"", call->action,
        call->request_id, strerrordesc_np(-err));
    if (err == -EROFS)
        return api_fail(call, API_INTERNAL_SERVER_ERROR,
            "The catalog takes no changes since a write to its disk failed. See the log of the "
            "daemon.");
    return api_fail(call, API_INTERNAL_SERVER_ERROR, "An internal error occurred.");
}

struct change_of_call {
    struct api_call *call;
    int (*make)(struct catalog_change *change, void *context);
    void *context;
};

/* Lends the call the catalog that a change reads. */
static int make_for_call(struct catalog_change *change, void *context)
{
    const struct change_of_call *own = context;
    const struct api_context *usual = own->call->context;
    struct api_context changing = *usual;
    changing.catalog = catalog_changing(change);
    own->call->context = &changing;
    int err = own->make(change, own->context);
    own->call->context = usual;
    return err;
}

const struct api_error *api_change(
    struct api_call *call, int (*make)(struct catalog_change *change, void *context), void *context)
{
    struct change_of_call own = { call, make, context };
    int err = catalog_change(call->context->catalog, make_for_call, &own);
    if (err == 0)
        return NULL;
    if (err == -ECANCELED) {
        assert(call->failure != NULL);
        return call->failure;
    }
    return api_internal_error(call, err);
}

const struct api_error *api_answer(struct api_call *call, json_t *output)
{
    if (output == NULL)
        return api_internal_error(call, -ENOMEM);
    call->output = output;
    return NULL;
}

void api_make_id(const char *prefix, char out_id[CATALOG_ID_SIZE])
{
    char digits[17];
    random_hex(digits, sizeof digits - 1);
    (void)snprintf(
        out_id, CATALOG_ID_SIZE, "%s-0%s", prefix, digits); /* 17 digits, 0 first as AWS's */
}

const char *api_resolve_id(const struct api_call *call, const char *kind, const char *text)
{
    if (strncmp(text, "arn:", 4) != 0)
        return text;
    char prefix[256];
    const struct catalog *catalog = call->context->catalog;
    int size = snprintf(prefix, sizeof prefix, "arn:aws:elasticfilesystem:%s:%s:%s/",
        catalog_region(catalog), catalog_account_id(catalog), kind);
    if (size < 0 || (size_t)size >= sizeof prefix || strncmp(text, prefix, (size_t)size) != 0)
        return NULL;
    return text + size;
}

const struct catalog_fs *api_get_fs(struct api_call *call, const char *text)
{
    const char *id = api_resolve_id(call, "file-system", text);
    const struct catalog_fs *fs = id == NULL ? NULL : catalog_fs_get(call->context->catalog, id);
    if (fs == NULL)
        (void)api_fail(
            call, API_FILE_SYSTEM_NOT_FOUND, "File system '%.128s' does not exist.", text);
    return fs;
}
