/*
 * control/verify.c - verifying file systems while they serve (room: control): StartVerification, StopVerification and
 * DescribeVerification of the service "shoal".
 *
 * Input: FileSystemId, and Kind: "records" (all records agree with each other, as `shoal fsck` asks) or "data" (everything can be
 * read and is what was written, as `shoal scrub` asks). docs/compat-api.md has them.
 */
#include "control/input.h"
#include "control/target_service.h"

/* An open file system, and what of it. */
struct verification {
    struct fs *fs;
    enum fs_verify_kind kind;
};

static void put(const struct api_call *call, const struct verification *verification)
{
    if (verification->fs != NULL)
        fs_volumes_put(call->context->volumes, verification->fs);
}

static const struct api_error *take_kind(struct api_call *call, enum fs_verify_kind *out_kind)
{
    const struct input_text rule = { "Kind", true, 1, 16 };
    const char *kind = NULL;
    const struct api_error *error = input_string(call, &rule, &kind);
    if (error != NULL)
        return error;
    if (strcmp(kind, "records") == 0)
        *out_kind = FS_VERIFY_RECORDS;
    else if (strcmp(kind, "data") == 0)
        *out_kind = FS_VERIFY_DATA;
    else
        return api_fail(call, API_BAD_REQUEST, "Kind must be records or data.");
    return NULL;
}

static const struct api_error *find(struct api_call *call, struct verification *verification)
{
    const struct input_text rule = { "FileSystemId", true, 1, 128 };
    const char *id = NULL;
    const struct api_error *error = take_kind(call, &verification->kind);
    if (error == NULL)
        error = input_string(call, &rule, &id);
    if (error != NULL)
        return error;
    const struct catalog_fs *fs = api_get_fs(call, id);
    if (fs == NULL)
        return call->failure;
    int err = fs_volumes_get(call->context->volumes, fs->id, &verification->fs);
    catalog_fs_put(fs);
    if (err == 0)
        return NULL;
    verification->fs = NULL;
    return api_fail(call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
        "File system '%.128s' cannot be opened now; the log says why.", id);
}

/* The caller calls put() whatever comes out. */
static const struct api_error *take(struct api_call *call, struct verification *verification)
{
    const struct api_error *error = find(call, verification);
    assert(error != NULL || verification->fs != NULL);
    return error;
}

static void add_finding(void *context, const char *finding)
{
    /* Without memory, or with a name that is no UTF-8, it is missing here; it is counted all the same. */
    (void)json_array_append_new(context, json_string(finding));
}

static const struct api_error *answer(
    struct api_call *call, const struct verification *verification)
{
    static const char *const states[] = { "never", "running", "done", "stopped", "failed" };
    struct fs_verify status = { 0 };
    json_t *findings = json_array();
    if (findings == NULL)
        return api_internal_error(call, -ENOMEM);
    const struct fs_verify_get get = { .out = &status, .emit = add_finding, .context = findings };
    int err = fs_verify_get(verification->fs, verification->kind, &get);
    if (err < 0) {
        json_decref(findings);
        return api_internal_error(call, err);
    }
    return api_answer(
        call, json_pack("{ss sI sI sI sI sI sI si so}", "State", states[status.state], "Started",
                  (json_int_t)status.started_s, "Ended", (json_int_t)status.ended_s, "DoneBytes",
                  (json_int_t)status.done_bytes, "TotalBytes", (json_int_t)status.total_bytes,
                  "DoneRecords", (json_int_t)status.done_records, "Wrong",
                  (json_int_t)status.wrong_count, "Error", status.error, "Findings", findings));
}

/* StartVerification - one that runs already goes on, and that is no error. */
const struct api_error *shoal_start_verification(struct api_call *call)
{
    struct verification verification = { 0 };
    const struct api_error *error = take(call, &verification);
    int err = error != NULL ? 0 : fs_verify_start(verification.fs, verification.kind);
    if (error == NULL)
        error = err < 0 && err != -EALREADY ? api_internal_error(call, err)
                                            : answer(call, &verification);
    put(call, &verification);
    return error;
}

/* StopVerification */
const struct api_error *shoal_stop_verification(struct api_call *call)
{
    struct verification verification = { 0 };
    const struct api_error *error = take(call, &verification);
    int err = error != NULL ? 0 : fs_verify_stop(verification.fs, verification.kind);
    if (error == NULL)
        error = err < 0 ? api_internal_error(call, err) : answer(call, &verification);
    put(call, &verification);
    return error;
}

/* DescribeVerification */
const struct api_error *shoal_describe_verification(struct api_call *call)
{
    struct verification verification = { 0 };
    const struct api_error *error = take(call, &verification);
    if (error == NULL)
        error = answer(call, &verification);
    put(call, &verification);
    return error;
}
