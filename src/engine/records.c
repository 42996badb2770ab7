/*
 * engine/records.c - records as they are, or as a snapshot has them (room: engine).
 */
#include "engine/records.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "engine/snapshot.h"
#include "engine/volume.h"

/* Whether a record of this key can be in the snapshot. */
static bool is_inside(const struct snapshot *snapshot, struct slice key)
{
    return key.size >= 9 && load_be64(key.data + 1) < snapshot->horizon;
}

/* The version of `key` that the snapshot sees, copied: 1; 0: none, so the live record is the one. */
static int get_version(struct volume *volume, const struct snapshot *snapshot,
    const struct key *key, struct store_value *out_value)
{
    struct key from;
    struct key end;
    key_make_version(&from, key_slice(key), snapshot->number);
    key_make_version(&end, key_slice(key), UINT64_MAX);
    struct store_iterator *iterator;
    int err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice found;
    struct slice value;
    err = store_scan_next(iterator, &found, &value);
    if (err == 1) {
        uint8_t *copy = malloc(value.size + 1);
        if (copy == NULL) {
            err = -ENOMEM;
        } else {
            if (value.size > 0)
                memcpy(copy, value.data, value.size);
            *out_value = (struct store_value){ .data = slice_of(copy, value.size), .opened = copy };
        }
    }
    store_scan_end(iterator);
    return err;
}

static int get_in_snapshot(struct volume *volume, const struct snapshot *snapshot,
    const struct key *key, struct store_value *out_value)
{
    struct store_value live = { 0 };
    struct store_value version = { 0 };
    if (!is_inside(snapshot, key_slice(key)))
        return -ENOENT;
    int live_err = store_get(volume->store, key, &live);
    if (live_err < 0 && live_err != -ENOENT)
        return live_err;
    int err = get_version(volume, snapshot, key, &version);
    if (err == 0 && live_err == 0) {
        *out_value = live;
        return 0;
    }
    if (live_err == 0)
        store_value_release(&live);
    if (err == 1 && version.data.size > 0) {
        *out_value = version;
        return 0;
    }
    if (err == 1)
        store_value_release(&version);
    return err < 0 ? err : -ENOENT;
}

int records_get(
    struct volume *volume, uint64_t id, const struct key *key, struct store_value *out_value)
{
    struct snapshot snapshot;
    if (LIKELY(id_slot(id) == 0))
        return store_get(volume->store, key, out_value);
    if (!snapshot_in_slot(volume, id_slot(id), &snapshot))
        return -ESTALE;
    struct store_value value = { 0 };
    int err = get_in_snapshot(volume, &snapshot, key, &value);
    /* While it is being deleted its versions go one by one. */
    if ((err == 0 || err == -ENOENT) && !snapshot_has_id(volume, id)) {
        store_value_release(&value);
        return -ESTALE;
    }
    if (err == 0)
        *out_value = value;
    return err;
}

struct records {
    struct volume *volume;
    uint64_t id;
    struct snapshot snapshot; /* when it is in one; then also: */
    struct store_iterator *live;
    struct store_iterator *versions;
    struct slice live_key, live_value;
    struct slice version_key, version_value; /* the key as it is live */
    bool has_live, has_version;
    struct key last; /* whose version was found last; size 0: none */
    int order; /* what was given last, as of compare(); 0 at the beginning: both are to be read */
};

int records_scan(struct volume *volume, uint64_t id, const struct key *from, const struct key *end,
    struct records **out_records)
{
    struct records *records = calloc(1, sizeof *records);
    if (records == NULL)
        return -ENOMEM;
    records->volume = volume;
    records->id = id;
    int err = 0;
    if (id_slot(id) != 0 && !snapshot_in_slot(volume, id_slot(id), &records->snapshot))
        err = -ESTALE;
    if (err == 0)
        err = store_scan(volume->store, from, end, &records->live);
    if (err == 0 && id_slot(id) != 0) { /* after the live ones: see records.h */
        struct key versions_from;
        struct key versions_end;
        key_make_versions(&versions_from, key_slice(from));
        key_make_versions(&versions_end, key_slice(end));
        err = store_scan(volume->store, &versions_from, &versions_end, &records->versions);
    }
    if (err < 0) {
        records_end(records);
        return err;
    }
    *out_records = records;
    return 0;
}

void records_end(struct records *records)
{
    if (records == NULL)
        return;
    store_scan_end(records->live);
    store_scan_end(records->versions);
    free(records);
}

/* To the next live record that was there. */
static int step_live(struct records *records)
{
    int err;
    do {
        err = store_scan_next(records->live, &records->live_key, &records->live_value);
    } while (err == 1 && !is_inside(&records->snapshot, records->live_key));
    records->has_live = err == 1;
    return min_int(err, 0);
}

/* To the first version, of the next key that has one for the snapshot. */
static int step_version(struct records *records)
{
    struct slice found;
    uint64_t number = 0;
    bool is_wanted = false;
    int err = 0;
    while (!is_wanted &&
           (err = store_scan_next(records->versions, &found, &records->version_value)) == 1) {
        if (!key_parse_version(found, &records->version_key, &number))
            return -EBADMSG;
        bool is_done = slice_equal(records->version_key, key_slice(&records->last));
        is_wanted = !is_done && number >= records->snapshot.number &&
                    is_inside(&records->snapshot, records->version_key);
    }
    records->has_version = is_wanted;
    if (is_wanted) { /* further versions of this key are for younger snapshots */
        records->last.size = records->version_key.size;
        memcpy(records->last.bytes, records->version_key.data, records->version_key.size);
    }
    return is_wanted ? 0 : min_int(err, 0);
}

/* Leaves what was given last. */
static int step(struct records *records)
{
    int err = 0;
    if (records->order <= 0)
        err = step_live(records);
    if (err == 0 && records->order >= 0)
        err = step_version(records);
    return err;
}

/* -1: the live record is next; 1: a version; 0: a version, in the place of the live record. */
static int compare(const struct records *records)
{
    if (!records->has_live || !records->has_version)
        return records->has_live ? -1 : 1;
    size_t size = min_size(records->live_key.size, records->version_key.size);
    int order = memcmp(records->live_key.data, records->version_key.data, size);
    return order < 0 ? -1 : order > 0; /* keys of one kind are of one size */
}

static int next_in_snapshot(struct records *records, struct slice *out_key, struct slice *out_value)
{
    int err;
    while ((err = step(records)) == 0 && (records->has_live || records->has_version)) {
        records->order = compare(records);
        bool is_live = records->order < 0;
        if (!is_live && records->version_value.size == 0)
            continue; /* it was not there */
        *out_key = is_live ? records->live_key : records->version_key;
        *out_value = is_live ? records->live_value : records->version_value;
        return 1;
    }
    return err;
}

int records_next(struct records *records, struct slice *out_key, struct slice *out_value)
{
    if (LIKELY(records->versions == NULL))
        return store_scan_next(records->live, out_key, out_value);
    int err = next_in_snapshot(records, out_key, out_value);
    if (err >= 0 && !snapshot_has_id(records->volume, records->id))
        err = -ESTALE; /* while it is being deleted its versions go one by one */
    return err;
}
