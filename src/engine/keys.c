/*
 * engine/keys.c - codecs of the database's keys and values (room: engine).
 */
#include "engine/keys.h"

#include "base/bytes.h"

#define VALUE_VERSION      1u
#define GROUP_VERSION      2u /* with tags of 16 bytes; without, it is version 1 */
#define INODE_VERSION      2u
#define INODE_FIXED_BYTES  155u
#define INODE_1_BYTES      147u /* version 1 has no extended attributes */
#define RANGE_LIVE         UINT32_C(0x80000000)
#define KEPT_KEY_BYTES_MIN 9u /* of a record that snapshots keep: a letter and a number */

void key_make0(struct key *out_key, enum key_kind kind)
{
    out_key->bytes[0] = (uint8_t)kind;
    out_key->size = 1;
}

void key_make1(struct key *out_key, enum key_kind kind, uint64_t a)
{
    out_key->bytes[0] = (uint8_t)kind;
    store_be64(out_key->bytes + 1, a);
    out_key->size = 9;
}

void key_make2(struct key *out_key, enum key_kind kind, uint64_t a, uint64_t b)
{
    out_key->bytes[0] = (uint8_t)kind;
    store_be64(out_key->bytes + 1, a);
    store_be64(out_key->bytes + 9, b);
    out_key->size = 17;
}

void key_make_record(struct key *out_key, struct slice name)
{
    assert(name.size < KEY_BYTES_MAX);
    out_key->bytes[0] = KEY_RECORD;
    if (name.size > 0)
        memcpy(out_key->bytes + 1, name.data, name.size);
    out_key->size = 1 + name.size;
}

void key_make_versions(struct key *out_key, struct slice key)
{
    assert(key.size + 9 <= KEY_BYTES_MAX);
    out_key->bytes[0] = KEY_VERSION;
    memcpy(out_key->bytes + 1, key.data, key.size);
    out_key->size = 1 + key.size;
}

void key_make_version(struct key *out_key, struct slice key, uint64_t snapshot)
{
    key_make_versions(out_key, key);
    store_be64(out_key->bytes + out_key->size, snapshot);
    out_key->size += 8;
}

void key_make_kept(struct key *out_key, uint64_t snapshot, struct slice key)
{
    assert(key.size + 9 <= KEY_BYTES_MAX);
    key_make1(out_key, KEY_KEPT, snapshot);
    memcpy(out_key->bytes + out_key->size, key.data, key.size);
    out_key->size += key.size;
}

bool key_parse_version(struct slice key, struct slice *out_key, uint64_t *out_snapshot)
{
    if (key.size < 1 + KEPT_KEY_BYTES_MIN + 8 || key.data[0] != KEY_VERSION)
        return false;
    *out_key = slice_of(key.data + 1, key.size - 9);
    *out_snapshot = load_be64(key.data + key.size - 8);
    return true;
}

bool key_parse_kept(struct slice key, uint64_t *out_snapshot, struct slice *out_key)
{
    if (key.size < 9 + KEPT_KEY_BYTES_MIN || key.data[0] != KEY_KEPT)
        return false;
    *out_snapshot = load_be64(key.data + 1);
    *out_key = slice_of(key.data + 9, key.size - 9);
    return true;
}

bool key_parse(struct slice key, enum key_kind kind, unsigned count, uint64_t *out_numbers)
{
    if (key.size != 1 + 8 * (size_t)count || key.data[0] != (uint8_t)kind)
        return false;
    for (unsigned i = 0; i < count; i++)
        out_numbers[i] = load_be64(key.data + 1 + 8 * i);
    return true;
}

static int value_open_as(struct slice *value, uint8_t version_max)
{
    if (value->size < 1 || value->data[0] == 0)
        return -EBADMSG;
    if (value->data[0] > version_max)
        return -EPROTO;
    *value = slice_of(value->data + 1, value->size - 1);
    return 0;
}

int value_open(struct slice *value)
{
    return value_open_as(value, VALUE_VERSION);
}

/* A place in a record: fields go one after the other. */
static uint8_t *put8(uint8_t *to, uint8_t value)
{
    *to = value;
    return to + 1;
}

static uint8_t *put16(uint8_t *to, uint16_t value)
{
    store_be16(to, value);
    return to + 2;
}

static uint8_t *put32(uint8_t *to, uint32_t value)
{
    store_be32(to, value);
    return to + 4;
}

static uint8_t *put64(uint8_t *to, uint64_t value)
{
    store_be64(to, value);
    return to + 8;
}

static uint8_t *put_time(uint8_t *to, struct fs_time time)
{
    return put32(put64(to, (uint64_t)time.seconds), time.nanoseconds);
}

static uint64_t take64(const uint8_t **from)
{
    uint64_t value = load_be64(*from);
    *from += 8;
    return value;
}

static uint32_t take32(const uint8_t **from)
{
    uint32_t value = load_be32(*from);
    *from += 4;
    return value;
}

static struct fs_time take_time(const uint8_t **from)
{
    struct fs_time time;
    time.seconds = (int64_t)take64(from);
    time.nanoseconds = take32(from);
    return time;
}

size_t inode_record_encode(const struct inode_record *record, struct slice symlink, uint8_t *out)
{
    const struct fs_attr *attr = &record->attr;
    uint8_t *to = put8(out, INODE_VERSION);
    to = put8(to, (uint8_t)attr->type);
    to = put16(to, (uint16_t)attr->mode);
    to = put8(to, record->has_verifier ? 1 : 0);
    to = put32(to, attr->link_count);
    to = put32(to, attr->uid);
    to = put32(to, attr->gid);
    to = put32(to, attr->device_major);
    to = put32(to, attr->device_minor);
    to = put64(to, attr->node.generation);
    to = put64(to, attr->size_bytes);
    to = put64(to, attr->change);
    to = put_time(to, attr->atime);
    to = put_time(to, attr->mtime);
    to = put_time(to, attr->ctime);
    to = put_time(to, attr->btime);
    to = put64(to, record->parent);
    to = put64(to, record->entry_count);
    to = put64(to, record->map_id);
    to = put64(to, record->segment_blocks);
    to = put64(to, record->small_blocks);
    memcpy(to, record->verifier, FS_VERIFIER_SIZE);
    to += FS_VERIFIER_SIZE;
    to = put32(to, record->xattr_count);
    to = put32(to, record->xattr_bytes);
    to = put16(to, (uint16_t)symlink.size);
    assert(to == out + INODE_FIXED_BYTES);
    if (symlink.size > 0)
        memcpy(to, symlink.data, symlink.size);
    return INODE_FIXED_BYTES + symlink.size;
}

int inode_record_decode(
    struct slice value, uint64_t inode, struct inode_record *out_record, struct slice *out_symlink)
{
    const uint8_t *whole = value.data;
    size_t whole_size = value.size;
    int err = value_open_as(&value, INODE_VERSION);
    if (err < 0)
        return err;
    bool is_first = whole[0] == 1;
    size_t fixed_bytes = is_first ? INODE_1_BYTES : INODE_FIXED_BYTES;
    if (whole_size < fixed_bytes)
        return -EBADMSG;
    struct inode_record record = { 0 };
    struct fs_attr *attr = &record.attr;
    attr->node.inode = inode;
    attr->type = (enum fs_type)whole[1];
    attr->mode = load_be16(whole + 2);
    record.has_verifier = whole[4] != 0;
    const uint8_t *from = whole + 5;
    attr->link_count = take32(&from);
    attr->uid = take32(&from);
    attr->gid = take32(&from);
    attr->device_major = take32(&from);
    attr->device_minor = take32(&from);
    attr->node.generation = take64(&from);
    attr->size_bytes = take64(&from);
    attr->change = take64(&from);
    attr->atime = take_time(&from);
    attr->mtime = take_time(&from);
    attr->ctime = take_time(&from);
    attr->btime = take_time(&from);
    record.parent = take64(&from);
    record.entry_count = take64(&from);
    record.map_id = take64(&from);
    record.segment_blocks = take64(&from);
    record.small_blocks = take64(&from);
    memcpy(record.verifier, from, FS_VERIFIER_SIZE);
    from += FS_VERIFIER_SIZE;
    if (!is_first) {
        record.xattr_count = take32(&from);
        record.xattr_bytes = take32(&from);
    }
    size_t symlink_size = load_be16(from);
    if (symlink_size != whole_size - fixed_bytes || attr->type < FS_REGULAR ||
        attr->type > FS_CHARACTER || attr->size_bytes > FS_FILE_SIZE_MAX)
        return -EBADMSG;
    attr->space_used_bytes = (record.segment_blocks + record.small_blocks) * BLOCK_BYTES;
    *out_record = record;
    *out_symlink = slice_of(whole + fixed_bytes, symlink_size);
    return 0;
}

size_t name_entry_encode(const struct name_entry *entry, uint8_t *out)
{
    assert(entry->name.size >= 1 && entry->name.size <= FS_NAME_SIZE_MAX);
    uint8_t *to = put8(out, entry->slot);
    to = put64(to, entry->inode);
    to = put8(to, (uint8_t)entry->name.size);
    memcpy(to, entry->name.data, entry->name.size);
    return 10 + entry->name.size;
}

int name_entry_decode(struct slice *value, struct name_entry *out_entry)
{
    if (value->size < 11)
        return -EBADMSG;
    size_t name_size = value->data[9];
    if (name_size == 0 || value->size < 10 + name_size)
        return -EBADMSG;
    out_entry->slot = value->data[0];
    out_entry->inode = load_be64(value->data + 1);
    out_entry->name = slice_of(value->data + 10, name_size);
    *value = slice_of(value->data + 10 + name_size, value->size - 10 - name_size);
    return 0;
}

size_t xattr_entry_encode(const struct xattr_entry *entry, uint8_t *out)
{
    assert(entry->name.size >= 1 && entry->name.size <= FS_XATTR_NAME_SIZE_MAX);
    uint8_t *to = put8(put8(out, entry->slot), (uint8_t)entry->name.size);
    to = put32(to, (uint32_t)entry->value.size);
    memcpy(to, entry->name.data, entry->name.size);
    if (entry->value.size > 0)
        memcpy(to + entry->name.size, entry->value.data, entry->value.size);
    return XATTR_ENTRY_BYTES + entry->name.size + entry->value.size;
}

int xattr_entry_decode(struct slice *value, struct xattr_entry *out_entry)
{
    if (value->size < XATTR_ENTRY_BYTES)
        return -EBADMSG;
    size_t name_size = value->data[1];
    size_t value_size = load_be32(value->data + 2);
    size_t left = value->size - XATTR_ENTRY_BYTES;
    if (name_size == 0 || left < name_size || value_size > left - name_size ||
        value_size > FS_XATTR_VALUE_SIZE_MAX)
        return -EBADMSG;
    const uint8_t *from = value->data + XATTR_ENTRY_BYTES;
    out_entry->slot = value->data[0];
    out_entry->name = slice_of(from, name_size);
    out_entry->value = slice_of(from + name_size, value_size);
    *value = slice_of(from + name_size + value_size, left - name_size - value_size);
    return 0;
}

static uint64_t load_be48(const uint8_t *from)
{
    return (uint64_t)load_be16(from) << 32 | load_be32(from + 2);
}

static uint8_t *put48(uint8_t *to, uint64_t value)
{
    assert(value <= ADDRESS_MAX);
    return put32(put16(to, (uint16_t)(value >> 32)), (uint32_t)value);
}

static bool has_tags(const struct block *blocks)
{
    for (unsigned i = 0; i < GROUP_BLOCKS; i++) {
        if (blocks[i].kind == BLOCK_SEGMENT && blocks[i].tag_rest != 0)
            return true;
    }
    return false;
}

size_t group_encode(const struct block *blocks, uint8_t *out)
{
    bool is_tagged = has_tags(blocks);
    uint8_t *to = put8(out, is_tagged ? GROUP_VERSION : VALUE_VERSION);
    for (unsigned first = 0; first < GROUP_BLOCKS;) {
        if (blocks[first].kind != BLOCK_SEGMENT) {
            first++;
            continue;
        }
        unsigned count = 1;
        while (first + count < GROUP_BLOCKS && blocks[first + count].kind == BLOCK_SEGMENT &&
               blocks[first + count].address == blocks[first].address + count)
            count++;
        to = put48(put8(put8(to, (uint8_t)first), (uint8_t)count), blocks[first].address);
        for (unsigned i = 0; i < count; i++) {
            to = put64(to, blocks[first + i].checksum);
            if (is_tagged)
                to = put64(to, blocks[first + i].tag_rest);
        }
        first += count;
    }
    size_t size = (size_t)(to - out);
    return size == 1 ? 0 : size;
}

int group_decode(struct slice value, struct block *blocks)
{
    bool is_tagged = value.size > 0 && value.data[0] == GROUP_VERSION;
    size_t sum_bytes = is_tagged ? 16 : 8;
    int err = value_open_as(&value, GROUP_VERSION);
    if (err < 0)
        return err;
    const uint8_t *from = value.data;
    size_t left = value.size;
    unsigned next = 0;
    while (left > 0) {
        if (left < 8)
            return -EBADMSG;
        unsigned first = from[0];
        unsigned count = from[1];
        uint64_t address = load_be48(from + 2);
        from += 8;
        left -= 8;
        if (first < next || count == 0 || first + count > GROUP_BLOCKS || left < sum_bytes * count)
            return -EBADMSG;
        for (unsigned i = 0; i < count; i++) {
            blocks[first + i] = (struct block){ .kind = BLOCK_SEGMENT,
                .address = (address + i) & ADDRESS_MAX,
                .checksum = load_be64(from + sum_bytes * i),
                .tag_rest = is_tagged ? load_be64(from + sum_bytes * i + 8) : 0 };
        }
        from += sum_bytes * count;
        left -= sum_bytes * count;
        next = first + count;
    }
    return 0;
}

void volume_state_encode(const struct volume_state *state, uint8_t out[STATE_BYTES])
{
    memset(out, 0, STATE_BYTES); /* the rest is kept for later versions */
    uint8_t *to = put8(out, VALUE_VERSION);
    to = put8(to, state->is_clean ? 1 : 0);
    to = put64(to, state->batch);
    to = put64(to, state->inode_ceiling);
    to = put64(to, state->change_ceiling);
    to = put64(to, state->change_floor);
    to = put64(to, state->segment_ceiling);
    to = put64(to, state->used_bytes);
    to = put64(to, state->used_files);
    to = put64(to, state->freed_from);
    to = put64(to, state->number_ceiling);
    to = put64(to, state->usage_version);
    assert(to <= out + STATE_BYTES);
}

int volume_state_decode(struct slice value, struct volume_state *out_state)
{
    if (value.size < STATE_BYTES)
        return -EBADMSG;
    int err = value_open(&value);
    if (err < 0)
        return err;
    out_state->is_clean = value.data[0] != 0;
    const uint8_t *from = value.data + 1;
    out_state->batch = take64(&from);
    out_state->inode_ceiling = take64(&from);
    out_state->change_ceiling = take64(&from);
    out_state->change_floor = take64(&from);
    out_state->segment_ceiling = take64(&from);
    out_state->used_bytes = take64(&from);
    out_state->used_files = take64(&from);
    out_state->freed_from = take64(&from);
    out_state->number_ceiling = take64(&from);
    out_state->usage_version = take64(&from);
    return 0;
}

void block_range_encode(const struct block_range *range, uint8_t out[BLOCK_RANGE_BYTES])
{
    assert(range->count > 0 && range->count < RANGE_LIVE);
    put32(put48(out, range->address), range->count | (range->is_live ? RANGE_LIVE : 0));
}

int block_range_decode(struct slice *value, struct block_range *out_range)
{
    if (value->size < BLOCK_RANGE_BYTES)
        return -EBADMSG;
    uint32_t count = load_be32(value->data + 6);
    out_range->address = load_be48(value->data);
    out_range->count = count & ~RANGE_LIVE;
    out_range->is_live = (count & RANGE_LIVE) != 0;
    *value = slice_of(value->data + BLOCK_RANGE_BYTES, value->size - BLOCK_RANGE_BYTES);
    return out_range->count > 0 ? 0 : -EBADMSG;
}
