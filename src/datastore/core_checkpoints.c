/*
 * datastore/core_checkpoints.c - the public functions on checkpoints: checks, handles, and which versions to keep
 * (room: datastore).
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "datastore/store.h"

#define BYTES_PER_CALL_MAX (UINT64_C(1) << 40)

static int32_t no_memory(struct shoal_data_error *error)
{
    return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
}

/* Sees to it that *metadata is the text of a JSON object. */
static int32_t check_metadata(const char **metadata, struct shoal_data_error *error)
{
    if (*metadata == NULL || **metadata == '\0') {
        *metadata = "{}";
        return SHOAL_DATA_OK;
    }
    if (strnlen(*metadata, SHOAL_DATA_METADATA_SIZE_MAX + 1) > SHOAL_DATA_METADATA_SIZE_MAX)
        return data_fail(error, SHOAL_DATA_INVALID, "The metadata has more than 16 MiB.");
    json_error_t problem;
    json_t *value = json_loads(*metadata, JSON_ALLOW_NUL, &problem);
    if (value == NULL)
        return data_fail(error, SHOAL_DATA_INVALID,
            "The metadata is no JSON: line %d column %d: %s.", problem.line, problem.column,
            problem.text);
    bool is_object = json_is_object(value);
    json_decref(value);
    if (!is_object)
        return data_fail(error, SHOAL_DATA_INVALID, "The metadata is no JSON object.");
    return SHOAL_DATA_OK;
}

static int32_t check_size(uint64_t offset, uint64_t size_bytes, struct shoal_data_error *error)
{
    if (offset > SHOAL_DATA_CHECKPOINT_SIZE_MAX ||
        size_bytes > SHOAL_DATA_CHECKPOINT_SIZE_MAX - offset || size_bytes > BYTES_PER_CALL_MAX)
        return data_fail(error, SHOAL_DATA_INVALID,
            "%llu bytes at offset %llu are more than a checkpoint may have.",
            (unsigned long long)size_bytes, (unsigned long long)offset);
    return SHOAL_DATA_OK;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are those of the interface */
int32_t shoal_data_save_checkpoint(struct shoal_data *store, const char *id, const void *data,
    uint64_t size_bytes, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    uint64_t version = 0;
    int32_t status = data_check_name("checkpoint", id, error);
    if (status == SHOAL_DATA_OK)
        status = check_size(0, size_bytes, error);
    if (status == SHOAL_DATA_OK)
        status = check_metadata(&metadata_json, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (data == NULL && size_bytes > 0)
        return data_fail(error, SHOAL_DATA_INVALID, "The data of the checkpoint are missing.");
    status = store->ops->save_checkpoint(
        store->backend, id, data, size_bytes, metadata_json, &version, error);
    if (status == SHOAL_DATA_OK && out_version != NULL)
        *out_version = version;
    return status;
}

/* ---- Shards ---- */

static int32_t check_shards(uint32_t shard_count, struct shoal_data_error *error)
{
    if (shard_count == 0 || shard_count > SHOAL_DATA_SHARDS_MAX)
        return data_fail(error, SHOAL_DATA_INVALID, "%u shards are none, or more than %u.",
            shard_count, SHOAL_DATA_SHARDS_MAX);
    return SHOAL_DATA_OK;
}

int32_t shoal_data_writer_begin(struct shoal_data *store, const char *id,
    const struct shoal_data_writer_options *given, struct shoal_data_writer **out_writer,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    struct shoal_data_writer_options options;
    int32_t status =
        store_take_options(&options, sizeof options, sizeof options, given, "options", error);
    if (options.shard_count == 0)
        options.shard_count = 1;
    if (status == SHOAL_DATA_OK)
        status = data_check_name("checkpoint", id, error);
    if (status == SHOAL_DATA_OK)
        status = data_check_name("session", options.session, error);
    if (status == SHOAL_DATA_OK)
        status = check_size(0, options.size_bytes, error);
    if (status == SHOAL_DATA_OK)
        status = check_shards(options.shard_count, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (options.shard_index >= options.shard_count)
        return data_fail(error, SHOAL_DATA_INVALID, "There is no shard %u of %u: the first is 0.",
            options.shard_index, options.shard_count);
    struct shoal_data_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return no_memory(error);
    writer->ops = store->ops;
    status = store->ops->writer_begin(store->backend, id, &options, &writer->writer, error);
    if (status != SHOAL_DATA_OK) {
        free(writer);
        return status;
    }
    *out_writer = writer;
    return SHOAL_DATA_OK;
}

int32_t shoal_data_writer_write(struct shoal_data_writer *writer, uint64_t offset, const void *data,
    uint64_t size_bytes, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = check_size(offset, size_bytes, error);
    if (status != SHOAL_DATA_OK || size_bytes == 0)
        return status;
    if (data == NULL)
        return data_fail(error, SHOAL_DATA_INVALID, "The data to write are missing.");
    return writer->ops->writer_write(writer->writer, offset, data, size_bytes, error);
}

int32_t shoal_data_writer_finish(struct shoal_data_writer *writer, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    int32_t status = writer->ops->writer_finish(writer->writer, error_or(error, &own));
    free(writer);
    return status;
}

void shoal_data_writer_abort(struct shoal_data_writer *writer)
{
    if (writer == NULL)
        return;
    writer->ops->writer_abort(writer->writer);
    free(writer);
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are those of the interface */
int32_t shoal_data_commit_checkpoint(struct shoal_data *store, const char *id, const char *session,
    uint32_t shard_count, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    uint64_t version = 0;
    int32_t status = data_check_name("checkpoint", id, error);
    if (status == SHOAL_DATA_OK)
        status = data_check_name("session", session, error);
    if (status == SHOAL_DATA_OK)
        status = check_shards(shard_count, error);
    if (status == SHOAL_DATA_OK)
        status = check_metadata(&metadata_json, error);
    if (status != SHOAL_DATA_OK)
        return status;
    status = store->ops->commit_checkpoint(
        store->backend, id, session, shard_count, metadata_json, &version, error);
    if (status == SHOAL_DATA_OK && out_version != NULL)
        *out_version = version;
    return status;
}

int32_t shoal_data_abort_checkpoint(
    struct shoal_data *store, const char *id, const char *session, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = data_check_name("checkpoint", id, error);
    if (status == SHOAL_DATA_OK)
        status = data_check_name("session", session, error);
    if (status != SHOAL_DATA_OK)
        return status;
    return store->ops->abort_checkpoint(store->backend, id, session, error);
}

/* ---- Reading ---- */

int32_t shoal_data_checkpoint_open(struct shoal_data *store, const char *id, uint64_t version,
    struct shoal_data_checkpoint **out_checkpoint, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = data_check_name("checkpoint", id, error);
    if (status != SHOAL_DATA_OK)
        return status;
    struct shoal_data_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL)
        return no_memory(error);
    checkpoint->ops = store->ops;
    status =
        store->ops->checkpoint_open(store->backend, id, version, &checkpoint->checkpoint, error);
    if (status != SHOAL_DATA_OK) {
        free(checkpoint);
        return status;
    }
    struct shoal_data_checkpoint_info info;
    store->ops->checkpoint_info(checkpoint->checkpoint, &info);
    checkpoint->size_bytes = info.size_bytes;
    *out_checkpoint = checkpoint;
    return SHOAL_DATA_OK;
}

void shoal_data_checkpoint_info(
    const struct shoal_data_checkpoint *checkpoint, struct shoal_data_checkpoint_info *out_info)
{
    checkpoint->ops->checkpoint_info(checkpoint->checkpoint, out_info);
}

int32_t shoal_data_checkpoint_shard(const struct shoal_data_checkpoint *checkpoint,
    uint32_t shard_index, uint64_t *out_offset, uint64_t *out_size_bytes,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    return checkpoint->ops->checkpoint_shard(
        checkpoint->checkpoint, shard_index, out_offset, out_size_bytes, error_or(error, &own));
}

int32_t shoal_data_checkpoint_read(struct shoal_data_checkpoint *checkpoint, uint64_t offset,
    void *buffer, uint64_t size_bytes, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    if (offset > checkpoint->size_bytes || size_bytes > checkpoint->size_bytes - offset)
        return data_fail(error, SHOAL_DATA_INVALID,
            "%llu bytes at offset %llu reach beyond the checkpoint's %llu.",
            (unsigned long long)size_bytes, (unsigned long long)offset,
            (unsigned long long)checkpoint->size_bytes);
    if (size_bytes == 0)
        return SHOAL_DATA_OK;
    if (buffer == NULL)
        return data_fail(error, SHOAL_DATA_INVALID, "The buffer to read into is missing.");
    return checkpoint->ops->checkpoint_read(
        checkpoint->checkpoint, offset, buffer, size_bytes, error);
}

void shoal_data_checkpoint_close(struct shoal_data_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    checkpoint->ops->checkpoint_close(checkpoint->checkpoint);
    free(checkpoint);
}

int32_t shoal_data_list_checkpoints(
    struct shoal_data *store, struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    return store->ops->list_checkpoints(store->backend, out_list, error_or(error, &own));
}

int32_t shoal_data_list_versions(struct shoal_data *store, const char *id,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = data_check_name("checkpoint", id, error);
    if (status != SHOAL_DATA_OK)
        return status;
    return store->ops->list_versions(store->backend, id, out_list, error);
}

/* ---- Retention ---- */

struct ranked {
    double metric;  /* NaN: has none */
    uint64_t index; /* in the list of versions, latest first */
    bool is_kept;
};

/* The metric of a version's metadata: a number there, or in its object "metrics"; NaN when there is none. */
static double metric_of(const char *metadata, const char *metric)
{
    json_t *root = metadata == NULL ? NULL : json_loads(metadata, JSON_ALLOW_NUL, NULL);
    const json_t *value = json_object_get(root, metric);
    if (!json_is_number(value))
        value = json_object_get(json_object_get(root, "metrics"), metric);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(root);
    return number;
}

/* Best first, when the best is the largest; those without metric last; of equals the later version first. */
static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    if (isnan(a->metric) != isnan(b->metric))
        return isnan(a->metric) ? 1 : -1;
    if (!isnan(a->metric) && a->metric < b->metric)
        return 1;
    if (!isnan(a->metric) && a->metric > b->metric)
        return -1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void rank(struct ranked *ranked, const struct shoal_data_list *versions,
    const struct shoal_data_retention *retention)
{
    uint64_t count = shoal_data_list_count(versions);
    for (uint64_t i = 0; i < count; i++) {
        ranked[i].index = i;
        ranked[i].metric = NAN;
        if (retention->keep_best > 0)
            ranked[i].metric =
                metric_of(shoal_data_list_item(versions, i)->text, retention->metric);
        if (retention->minimize)
            ranked[i].metric = -ranked[i].metric;
    }
    qsort(ranked, count, sizeof *ranked, compare_ranked);
    for (uint64_t i = 0; i < count; i++)
        ranked[i].is_kept = ranked[i].index == 0 || ranked[i].index < retention->keep_last ||
                            (i < retention->keep_best && !isnan(ranked[i].metric));
}

static int32_t check_retention(
    const struct shoal_data_retention *retention, struct shoal_data_error *error)
{
    if (retention->keep_best > 0 && (retention->metric == NULL || retention->metric[0] == '\0'))
        return data_fail(error, SHOAL_DATA_INVALID, "Keeping the best needs the name of a metric.");
    return SHOAL_DATA_OK;
}

int32_t shoal_data_retain_checkpoints(struct shoal_data *store, const char *id,
    const struct shoal_data_retention *given, uint64_t *out_removed, uint64_t *out_bytes,
    struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    struct shoal_data_retention retention;
    if (given == NULL)
        return data_fail(error, SHOAL_DATA_INVALID, "What to keep is missing.");
    int32_t status = store_take_options(
        &retention, sizeof retention, sizeof retention, given, "retention", error);
    if (status == SHOAL_DATA_OK)
        status = check_retention(&retention, error);
    struct shoal_data_list *versions = NULL;
    if (status == SHOAL_DATA_OK)
        status = shoal_data_list_versions(store, id, &versions, error);
    uint64_t count = shoal_data_list_count(versions);
    uint64_t removed = 0;
    uint64_t bytes = 0;
    struct ranked *ranked = calloc(count + 1, sizeof *ranked);
    if (status == SHOAL_DATA_OK && ranked == NULL)
        status = no_memory(error);
    if (status != SHOAL_DATA_OK) /* also when one is damaged: what is best is not known then */
        goto out;
    assert(ranked != NULL && versions != NULL);
    rank(ranked, versions, &retention);
    for (uint64_t i = 0; i < count && status == SHOAL_DATA_OK; i++) {
        const struct shoal_data_item *item = shoal_data_list_item(versions, ranked[i].index);
        if (ranked[i].is_kept || item->version == 0)
            continue;
        if (!retention.dry_run)
            status = store->ops->delete_version(store->backend, id, item->version, error);
        if (status == SHOAL_DATA_NOT_FOUND) { /* someone else removed it: that counts for them */
            status = SHOAL_DATA_OK;
            continue;
        }
        removed += status == SHOAL_DATA_OK;
        bytes += status == SHOAL_DATA_OK ? item->size_bytes : 0;
    }
    if (out_removed != NULL)
        *out_removed = removed;
    if (out_bytes != NULL)
        *out_bytes = bytes;
out:
    free(ranked);
    shoal_data_list_free(versions);
    return status;
}

int32_t shoal_data_delete_checkpoint(
    struct shoal_data *store, const char *id, uint64_t version, struct shoal_data_error *error)
{
    struct shoal_data_error own;
    error = error_or(error, &own);
    int32_t status = data_check_name("checkpoint", id, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (version == 0)
        return store->ops->delete_checkpoint(store->backend, id, error);
    return store->ops->delete_version(store->backend, id, version, error);
}
