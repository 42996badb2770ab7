/*
 * engine/links.c - where a file with several names is at home (room: engine).
 */
#include "engine/links.h"

#include "base/bytes.h"
#include "engine/usage.h"
#include "engine/volume.h"

void links_record_encode(uint32_t count, uint8_t out[LINK_BYTES])
{
    out[0] = 1;
    store_be32(out + 1, count);
}

int links_record_decode(struct slice value, uint32_t *out_count)
{
    int err = value_open(&value);
    if (err < 0)
        return err;
    if (value.size != LINK_BYTES - 1 || load_be32(value.data) == 0)
        return -EBADMSG;
    *out_count = load_be32(value.data);
    return 0;
}

/* How many names the directory has, by its record; 0 without one. */
static int read_count(struct batch *batch, uint64_t inode, uint64_t dir, uint32_t *out_count)
{
    struct key key;
    struct store_value value;
    key_make2(&key, KEY_LINK, inode, dir);
    *out_count = 0;
    int err = store_get(batch->volume->store, &key, &value);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    err = links_record_decode(value.data, out_count);
    store_value_release(&value);
    return err;
}

/* The lowest directory with a record, other than `except`. */
static int find_other(struct batch *batch, uint64_t inode, uint64_t except, uint64_t *out_dir)
{
    struct key from;
    struct key end;
    key_make1(&from, KEY_LINK, inode);
    key_make1(&end, KEY_LINK, inode + 1);
    struct store_iterator *iterator;
    int err = store_scan(batch->volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    while ((err = store_scan_next(iterator, &key, &value)) == 1) {
        uint64_t numbers[2];
        if (!key_parse(key, KEY_LINK, 2, numbers)) {
            err = -EBADMSG;
            break;
        }
        if (numbers[1] != except) {
            *out_dir = numbers[1];
            break;
        }
    }
    store_scan_end(iterator);
    return err == 0 ? -EBADMSG : min_int(err, 0); /* none: the records do not agree */
}

/* The counts of both directories after the change. */
static int plan_counts(
    struct batch *batch, uint64_t inode, uint64_t home, uint32_t names, struct link_plan *plan)
{
    int err = 0;
    if (names == 1) { /* no records yet */
        plan->from_count = plan->from == home;
        plan->to_count = plan->to == home;
    } else {
        if (plan->from != 0)
            err = read_count(batch, inode, plan->from, &plan->from_count);
        if (err == 0 && plan->to != 0)
            err = read_count(batch, inode, plan->to, &plan->to_count);
    }
    if (err == 0 && plan->from != 0 && plan->from_count == 0)
        err = -EBADMSG;
    plan->from_count -= plan->from != 0;
    plan->to_count += plan->to != 0;
    return err;
}

int links_plan(struct batch *batch, const struct pending *pending, uint64_t from, uint64_t to,
    struct link_plan *out_plan)
{
    const struct inode_record *record = &pending->record;
    uint64_t inode = pending->inode->id;
    uint32_t before = record->attr.link_count;
    uint32_t after = before - (from != 0) + (to != 0);
    struct link_plan plan = { .home = record->parent };
    assert(record->attr.type != FS_DIRECTORY && after > 0);
    if (from == to && from != 0) {
        *out_plan = plan; /* another name in the same directory */
        return 0;
    }
    plan.from = from;
    plan.to = to;
    plan.has_records = before > 1 || after > 1;
    if (!plan.has_records) {
        plan.home = to;
        *out_plan = plan;
        return usage_prepare(batch, to);
    }
    if (pending->sets_links)
        return -EAGAIN;
    int err = plan_counts(batch, inode, record->parent, before, &plan);
    if (err == 0 && before == 1 && to != record->parent)
        plan.first = record->parent;
    bool is_homeless = from == record->parent && plan.from_count == 0;
    if (err == 0 && is_homeless && to != 0)
        plan.home = to;
    else if (err == 0 && is_homeless)
        err = find_other(batch, inode, from, &plan.home);
    if (err == 0 && after == 1) { /* one went; of two, so the other is here or in one other place */
        plan.last = from;
        if (plan.from_count == 0)
            err = find_other(batch, inode, from, &plan.last);
        plan.home = plan.last;
    }
    if (err == 0)
        err = usage_prepare(batch, record->parent);
    if (err == 0)
        err = usage_prepare(batch, plan.home);
    if (err == 0)
        *out_plan = plan;
    return err == -EBADMSG || err == -EPROTO ? -EIO : err;
}

static void put_count(struct batch *batch, uint64_t inode, uint64_t dir, uint32_t count)
{
    struct key key;
    uint8_t value[LINK_BYTES];
    key_make2(&key, KEY_LINK, inode, dir);
    links_record_encode(count, value);
    if (count == 0)
        batch_delete(batch, &key);
    else
        batch_put(batch, &key, slice_of(value, sizeof value));
}

void links_apply(struct batch *batch, struct pending *pending, const struct link_plan *plan)
{
    uint64_t inode = pending->inode->id;
    pending->record.parent = plan->home;
    if (!plan->has_records)
        return;
    pending->sets_links = true;
    if (plan->first != 0)
        put_count(batch, inode, plan->first, 1);
    if (plan->from != 0)
        put_count(batch, inode, plan->from, plan->last == 0 ? plan->from_count : 0);
    if (plan->to != 0)
        put_count(batch, inode, plan->to, plan->to_count);
    if (plan->last != 0 && plan->last != plan->from)
        put_count(batch, inode, plan->last, 0);
}
