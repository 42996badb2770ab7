/*
 * tests/bench/op_meta.c - workloads on names and attributes: getattr, lookup, readdir, rename, unlink; and the
 * sweep that removes what others left.
 */
#include "bench.h"

#define READDIR_BYTES_MAX (256u * 1024)

static bool begin_sample(struct conn *conn, struct slot *slot)
{
    slot->number = conn->next_number++ % conn->sample_count;
    return true;
}

static void encode_getattr(struct conn *conn, struct slot *slot, struct request *request)
{
    request_add_handle(request, &conn->samples[slot->number].handle);
    request_add_getattr(request);
}

static enum outcome answer_getattr(struct conn *conn, struct slot *slot, struct reply *reply)
{
    union nfs_resop4 result;
    uint64_t fileid;
    if (!reply_skip(reply, OP_PUTFH) || !reply_read(reply, OP_GETATTR, &result) ||
        !attributes_match(&result.opgetattr.resok4.obj_attributes, &fileid))
        return OUTCOME_WRONG;
    return fileid == conn->samples[slot->number].fileid ? OUTCOME_DONE : OUTCOME_WRONG;
}

const struct workload workload_getattr = {
    .name = "getattr",
    .files = FILES_SAMPLE,
    .begin = begin_sample,
    .encode = encode_getattr,
    .answer = answer_getattr,
};

static void encode_lookup(struct conn *conn, struct slot *slot, struct request *request)
{
    const union nfs_argop4 none = { 0 };
    char name[16];
    request_add_handle(request, &conn->directory);
    const union nfs_argop4 args = { .oplookup = { .objname = file_name('f', slot->number, name) } };
    request_add(request, OP_LOOKUP, &args);
    request_add(request, OP_GETFH, &none);
    request_add_getattr(request);
}

static enum outcome answer_lookup(struct conn *conn, struct slot *slot, struct reply *reply)
{
    union nfs_resop4 result;
    uint64_t fileid;
    const struct sample_file *sample = &conn->samples[slot->number];
    if (!reply_skip(reply, OP_PUTFH) || !reply_skip(reply, OP_LOOKUP) ||
        !reply_read(reply, OP_GETFH, &result) ||
        !slice_equal(result.opgetfh.resok4.object, handle_slice(&sample->handle)) ||
        !reply_read(reply, OP_GETATTR, &result) ||
        !attributes_match(&result.opgetattr.resok4.obj_attributes, &fileid))
        return OUTCOME_WRONG;
    return fileid == sample->fileid ? OUTCOME_DONE : OUTCOME_WRONG;
}

const struct workload workload_lookup = {
    .name = "lookup",
    .files = FILES_SAMPLE,
    .begin = begin_sample,
    .encode = encode_lookup,
    .answer = answer_lookup,
};

/* One operation lists the whole directory. */
static bool begin_readdir(struct conn *conn, struct slot *slot)
{
    (void)conn;
    slot->cookie = 0;
    slot->entries_seen = 0;
    slot->entries_sum = 0;
    memset(slot->cookieverf, 0, sizeof slot->cookieverf);
    return true;
}

static void encode_readdir(struct conn *conn, struct slot *slot, struct request *request)
{
    /* As Linux does for a listing with attributes: also rdattr_error and the filehandle. */
    uint32_t bits[2] = { 0x0018091au, 0x00b0a23au };
    union nfs_argop4 args = { .opreaddir = { .cookie = slot->cookie,
                                  .dircount = READDIR_BYTES_MAX,
                                  .maxcount = READDIR_BYTES_MAX,
                                  .attr_request = { .count = 2, .items = bits } } };
    memcpy(args.opreaddir.cookieverf, slot->cookieverf, sizeof slot->cookieverf);
    request_add_handle(request, &conn->directory);
    request_add(request, OP_READDIR, &args);
}

/* The number in a name of file_name(). */
static uint64_t name_number(struct slice name)
{
    uint64_t number = 0;
    for (size_t i = 1; i < name.size; i++)
        number = number * 10 + (uint64_t)(name.data[i] - '0');
    return number;
}

static enum outcome answer_readdir(struct conn *conn, struct slot *slot, struct reply *reply)
{
    union nfs_resop4 result;
    if (!reply_skip(reply, OP_PUTFH) || !reply_read(reply, OP_READDIR, &result))
        return OUTCOME_WRONG;
    const struct READDIR4resok *list = &result.opreaddir.resok4;
    memcpy(slot->cookieverf, list->cookieverf, sizeof slot->cookieverf);
    for (const struct entry4 *entry = list->reply.entries; entry != NULL;
         entry = entry->nextentry) {
        slot->cookie = entry->cookie;
        slot->entries_seen++;
        slot->entries_sum += name_number(entry->name);
    }
    if (!list->reply.eof)
        return list->reply.entries == NULL ? OUTCOME_WRONG : OUTCOME_NEXT;
    uint64_t entries = conn->options->entries;
    bool is_whole =
        slot->entries_seen == entries && slot->entries_sum == entries * (entries - 1) / 2;
    return is_whole ? OUTCOME_DONE : OUTCOME_WRONG;
}

const struct workload workload_readdir = {
    .name = "readdir",
    .files = FILES_ENTRIES,
    .begin = begin_readdir,
    .encode = encode_readdir,
    .answer = answer_readdir,
};

/* Each slot moves a file of its own there and back; a whole number of rounds is not needed, as the
 * sweep looks for both names. `cookie` tells which name the file has. */
static bool begin_rename(struct conn *conn, struct slot *slot)
{
    if (conn->next_number < conn->options->in_flight) {
        conn->next_number++;
        slot->number = slot->index;
        slot->cookie = 0;
    }
    return true;
}

static void encode_rename(struct conn *conn, struct slot *slot, struct request *request)
{
    const union nfs_argop4 none = { 0 };
    char names[2][16];
    bool is_moved = slot->cookie == 1;
    request_add_handle(request, &conn->directory);
    request_add(request, OP_SAVEFH, &none);
    const union nfs_argop4 args = {
        .oprename = { .oldname = file_name(is_moved ? 'r' : 'f', slot->number, names[0]),
            .newname = file_name(is_moved ? 'f' : 'r', slot->number, names[1]) }
    };
    request_add(request, OP_RENAME, &args);
}

static enum outcome answer_rename(struct conn *conn, struct slot *slot, struct reply *reply)
{
    (void)conn;
    slot->cookie ^= 1;
    return reply_skip(reply, OP_PUTFH) && reply_skip(reply, OP_SAVEFH) &&
                   reply_skip(reply, OP_RENAME)
               ? OUTCOME_DONE
               : OUTCOME_WRONG;
}

const struct workload workload_rename = {
    .name = "rename",
    .files = FILES_SAMPLE,
    .begin = begin_rename,
    .encode = encode_rename,
    .answer = answer_rename,
};

static bool begin_unlink(struct conn *conn, struct slot *slot)
{
    if (conn->next_number >= conn->sample_count)
        return false;
    slot->number = conn->next_number++;
    return true;
}

static void add_remove(struct conn *conn, struct request *request, char kind, uint64_t number)
{
    char name[16];
    request_add_handle(request, &conn->directory);
    const union nfs_argop4 args = { .opremove = { .target = file_name(kind, number, name) } };
    request_add(request, OP_REMOVE, &args);
}

static void encode_unlink(struct conn *conn, struct slot *slot, struct request *request)
{
    add_remove(conn, request, 'f', slot->number);
}

static enum outcome answer_remove(struct conn *conn, struct slot *slot, struct reply *reply)
{
    (void)conn;
    (void)slot;
    return reply_skip(reply, OP_PUTFH) && reply_skip(reply, OP_REMOVE) ? OUTCOME_DONE
                                                                       : OUTCOME_WRONG;
}

const struct workload workload_unlink = {
    .name = "unlink",
    .files = FILES_MANY,
    .begin = begin_unlink,
    .encode = encode_unlink,
    .answer = answer_remove,
};

/* Numbers: the sample's names, the same renamed (those few that rename can have moved), what create made. */
static bool begin_sweep(struct conn *conn, struct slot *slot)
{
    uint64_t renamed = min_u64(conn->sample_count, conn->options->in_flight);
    if (conn->next_number >= conn->sample_count + renamed + conn->made_count)
        return false;
    slot->number = conn->next_number++;
    return true;
}

static void encode_sweep(struct conn *conn, struct slot *slot, struct request *request)
{
    uint64_t renamed = min_u64(conn->sample_count, conn->options->in_flight);
    if (slot->number < conn->sample_count)
        add_remove(conn, request, 'f', slot->number);
    else if (slot->number < conn->sample_count + renamed)
        add_remove(conn, request, 'r', slot->number - conn->sample_count);
    else
        add_remove(conn, request, 'n', slot->number - conn->sample_count - renamed);
}

const struct workload workload_sweep = {
    .name = "sweep",
    .begin = begin_sweep,
    .encode = encode_sweep,
    .answer = answer_remove,
};
