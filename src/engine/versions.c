/*
 * engine/versions.c - noting what a batch changes, and keeping what was there (room: engine).
 */
#include "engine/versions.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/snapshot.h"
#include "engine/volume.h"

/* How many numbers the keys of a kind have; 0: snapshots keep none of its records. */
static unsigned numbers_of(uint8_t kind)
{
    switch (kind) {
    case KEY_INODE:
    case KEY_CUT:
        return 1;
    case KEY_NAME:
    case KEY_GROUP:
    case KEY_SMALL:
    case KEY_XATTR:
        return 2;
    default:
        return 0;
    }
}

void versions_note(struct batch *batch, const struct key *key, bool is_put)
{
    struct version_notes *notes = &batch->notes;
    struct version_note note = { .kind = key->bytes[0],
        .number_count = (uint8_t)numbers_of(key->bytes[0]),
        .snapshot = batch->keep_for,
        .is_put = is_put };
    if (note.number_count == 0)
        return;
    bool is_good =
        key_parse(key_slice(key), (enum key_kind)note.kind, note.number_count, note.numbers);
    assert(is_good);
    if (note.numbers[0] >= batch->keep_horizon)
        return;
    if (notes->count == notes->capacity) {
        uint32_t capacity = notes->capacity * 2 + 64;
        struct version_note *larger = realloc(notes->items, capacity * sizeof *larger);
        if (larger == NULL) {
            notes->error = -ENOMEM;
            return;
        }
        notes->items = larger;
        notes->capacity = capacity;
    }
    notes->items[notes->count++] = note;
}

void versions_fini(struct version_notes *notes)
{
    free(notes->items);
    notes->items = NULL;
}

void versions_keep_before(struct batch *batch, uint64_t before)
{
    struct volume *volume = batch->volume;
    struct snapshot snapshot = { 0 };
    batch->keep_for = volume->snapshots.newest;
    batch->keep_horizon = volume->snapshots.newest_horizon;
    if (before == 0 || before > batch->keep_for)
        return;
    if (!snapshot_before(volume, before, &snapshot))
        snapshot.number = 0;
    batch->keep_for = snapshot.number;
    batch->keep_horizon = snapshot.horizon;
}

static int compare_notes(const void *a, const void *b)
{
    const struct version_note *left = a;
    const struct version_note *right = b;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    for (unsigned i = 0; i < 2; i++) {
        if (left->numbers[i] != right->numbers[i])
            return left->numbers[i] < right->numbers[i] ? -1 : 1;
    }
    return 0;
}

int version_find(struct batch *batch, struct slice key, uint64_t from, uint64_t *out_snapshot)
{
    struct key first;
    struct key end;
    key_make_version(&first, key, from);
    key_make_version(&end, key, UINT64_MAX);
    struct store_iterator *iterator;
    int err = store_scan(batch->volume->store, &first, &end, &iterator);
    if (err < 0)
        return err;
    struct slice found;
    struct slice value;
    struct slice found_key;
    err = store_scan_next(iterator, &found, &value);
    if (err == 1 && !key_parse_version(found, &found_key, out_snapshot))
        err = -EBADMSG;
    store_scan_end(iterator);
    return err;
}

/* Whether the record's state for the snapshot is kept already: 1, or 0. */
static int is_kept(struct batch *batch, const struct key *key, uint64_t snapshot)
{
    const struct snapshots *snapshots = &batch->volume->snapshots;
    if (snapshot != snapshots->newest || snapshots->has_newer_going) {
        uint64_t found;
        return version_find(batch, key_slice(key), snapshot, &found);
    }
    struct key version;
    struct store_value value;
    key_make_version(&version, key_slice(key), snapshot);
    int err = store_get(batch->volume->store, &version, &value);
    if (err == -ENOENT)
        return 0;
    if (err == 0)
        store_value_release(&value);
    return err < 0 ? err : 1;
}

/* One user more of each block that the record maps. */
static int add_users(struct batch *batch, struct slice value)
{
    struct refs *refs = &batch->volume->refs;
    struct block blocks[GROUP_BLOCKS] = { 0 };
    int err = group_decode(value, blocks);
    for (uint32_t i = 0; err == 0 && i < GROUP_BLOCKS; i++) {
        if (blocks[i].kind != BLOCK_SEGMENT)
            continue;
        err = refs_reserve(refs, blocks[i].address);
        if (err == 0)
            refs_add(refs, blocks[i].address);
    }
    return err;
}

/* Puts what the database has of the record, or that it has nothing. */
static int keep(struct batch *batch, const struct key *key, const struct version_note *note)
{
    const uint8_t nothing[1] = { 0 };
    struct key name;
    struct store_value old = { .data = slice_of(nothing, 0) };
    int err = store_get(batch->volume->store, key, &old);
    bool was_there = err == 0;
    if (err < 0 && err != -ENOENT)
        return err;
    if (!was_there && !note->is_put)
        return 0; /* nothing was deleted */
    err = was_there && note->kind == KEY_GROUP ? add_users(batch, old.data) : 0;
    if (err == 0) {
        key_make_version(&name, key_slice(key), note->snapshot);
        store_batch_put(batch->writes, &name, old.data);
        key_make_kept(&name, note->snapshot, key_slice(key));
        store_batch_put(batch->writes, &name, slice_of(nothing, 0));
    }
    store_value_release(&old);
    return err;
}

int versions_write(struct batch *batch)
{
    struct version_notes *notes = &batch->notes;
    int err = notes->error;
    if (notes->count > 1)
        qsort(notes->items, notes->count, sizeof *notes->items, compare_notes);
    for (uint32_t i = 0; err == 0 && i < notes->count; i++) {
        struct version_note *note = &notes->items[i];
        if (i + 1 < notes->count && compare_notes(note, note + 1) == 0) {
            note[1].is_put |= note->is_put; /* the record is touched again: once is enough */
            note[1].snapshot = max_u64(note->snapshot, note[1].snapshot);
            continue;
        }
        struct key key;
        if (note->number_count == 1)
            key_make1(&key, (enum key_kind)note->kind, note->numbers[0]);
        else
            key_make2(&key, (enum key_kind)note->kind, note->numbers[0], note->numbers[1]);
        int kept = is_kept(batch, &key, note->snapshot);
        err = kept == 0 ? keep(batch, &key, note) : min_int(kept, 0);
    }
    notes->count = 0;
    notes->error = 0;
    return err;
}
