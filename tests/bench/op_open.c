/*
 * tests/bench/op_open.c - workloads on state: open and close, create, create with a first write, lock and unlock;
 * and the making of the files that others use. Each request is what a Linux client sends for the call.
 */
#include "bench.h"
#include "pattern.h"

#define GENERATION_FIRST 1u
#define SAMPLE_MAX       2000u /* created files of a connection that are read back */

enum { STEP_OPEN, STEP_WRITE, STEP_READ = STEP_WRITE, STEP_CLOSE };

/* OPEN by name, the file's handle and attributes. */
static void encode_open(
    struct conn *conn, struct slot *slot, struct request *request, char kind, bool creates)
{
    const union nfs_argop4 none = { 0 };
    request_add_handle(request, &conn->directory);
    request_add_open(conn, slot, request, kind, creates);
    request_add(request, OP_GETFH, &none);
    request_add_getattr(request);
}

static bool read_open(struct slot *slot, struct reply *reply, uint64_t *out_fileid)
{
    union nfs_resop4 result;
    return reply_skip(reply, OP_PUTFH) && reply_read_open(reply, slot) &&
           reply_read(reply, OP_GETFH, &result) &&
           handle_set(&slot->handle, result.opgetfh.resok4.object) &&
           reply_read(reply, OP_GETATTR, &result) &&
           attributes_match(&result.opgetattr.resok4.obj_attributes, out_fileid);
}

static void encode_close(struct slot *slot, struct request *request)
{
    request_add_handle(request, &slot->handle);
    request_add_close(slot, request);
}

static enum outcome answer_close(struct reply *reply)
{
    return reply_skip(reply, OP_PUTFH) && reply_skip(reply, OP_CLOSE) ? OUTCOME_DONE
                                                                      : OUTCOME_WRONG;
}

static bool begin_open(struct conn *conn, struct slot *slot)
{
    slot->number = conn->next_number++ % conn->sample_count;
    return true;
}

static void encode_open_close(struct conn *conn, struct slot *slot, struct request *request)
{
    if (slot->step == 0)
        encode_open(conn, slot, request, 'f', false);
    else
        encode_close(slot, request);
}

static enum outcome answer_open_close(struct conn *conn, struct slot *slot, struct reply *reply)
{
    if (slot->step != 0)
        return answer_close(reply);
    uint64_t fileid;
    if (!read_open(slot, reply, &fileid))
        return OUTCOME_WRONG;
    return fileid == conn->samples[slot->number].fileid ? OUTCOME_NEXT : OUTCOME_WRONG;
}

const struct workload workload_open = {
    .name = "open",
    .files = FILES_SAMPLE,
    .begin = begin_open,
    .encode = encode_open_close,
    .answer = answer_open_close,
};

static bool begin_create(struct conn *conn, struct slot *slot)
{
    slot->number = conn->made_count++;
    return true;
}

static void encode_create(struct conn *conn, struct slot *slot, struct request *request)
{
    if (slot->step == 0)
        encode_open(conn, slot, request, 'n', true);
    else
        encode_close(slot, request);
}

static enum outcome answer_create(struct conn *conn, struct slot *slot, struct reply *reply)
{
    (void)conn;
    uint64_t fileid;
    if (slot->step != 0)
        return answer_close(reply);
    return read_open(slot, reply, &fileid) ? OUTCOME_NEXT : OUTCOME_WRONG;
}

const struct workload workload_create = {
    .name = "create",
    .begin = begin_create,
    .encode = encode_create,
    .answer = answer_create,
};

/* Linux sends the one write of a small file with FILE_SYNC4 when the file is closed. */
static void encode_first_write(struct conn *conn, struct slot *slot, struct request *request)
{
    uint8_t *data = slot_data(slot);
    pattern_fill(data, conn->index, slot->number, GENERATION_FIRST);
    request_add_handle(request, &slot->handle);
    const union nfs_argop4 args = { .opwrite = { .stateid = slot->open_stateid,
                                        .stable = FILE_SYNC4,
                                        .data = slice_of(data, BLOCK_BYTES) } };
    request_add(request, OP_WRITE, &args);
    request_add_getattr(request);
}

static enum outcome answer_first_write(struct reply *reply)
{
    union nfs_resop4 result;
    if (!reply_skip(reply, OP_PUTFH) || !reply_read(reply, OP_WRITE, &result))
        return OUTCOME_WRONG;
    const struct WRITE4resok *written = &result.opwrite.resok4;
    bool is_right = written->count == BLOCK_BYTES && written->committed == FILE_SYNC4;
    return is_right ? OUTCOME_NEXT : OUTCOME_WRONG;
}

static void encode_create_write(struct conn *conn, struct slot *slot, struct request *request)
{
    if (slot->step == STEP_OPEN)
        encode_open(conn, slot, request, 'n', true);
    else if (slot->step == STEP_WRITE)
        encode_first_write(conn, slot, request);
    else
        encode_close(slot, request);
}

static enum outcome answer_create_write(struct conn *conn, struct slot *slot, struct reply *reply)
{
    (void)conn;
    uint64_t fileid;
    if (slot->step == STEP_CLOSE)
        return answer_close(reply);
    if (slot->step == STEP_WRITE)
        return answer_first_write(reply);
    return read_open(slot, reply, &fileid) ? OUTCOME_NEXT : OUTCOME_WRONG;
}

const struct workload workload_create_write = {
    .name = "create_write",
    .io_size = BLOCK_BYTES,
    .begin = begin_create,
    .encode = encode_create_write,
    .answer = answer_create_write,
};

/* Reads back what create_write wrote, of evenly chosen files. */
static bool begin_verify_created(struct conn *conn, struct slot *slot)
{
    uint64_t step = 1 + conn->made_count / SAMPLE_MAX;
    if (conn->next_number >= conn->made_count)
        return false;
    slot->number = conn->next_number;
    conn->next_number += step;
    return true;
}

static void encode_verify_created(struct conn *conn, struct slot *slot, struct request *request)
{
    if (slot->step == STEP_OPEN) {
        encode_open(conn, slot, request, 'n', false);
    } else if (slot->step == STEP_READ) {
        request_add_handle(request, &slot->handle);
        const union nfs_argop4 args = { .opread = { .stateid = slot->open_stateid,
                                            .count = 2 * BLOCK_BYTES } };
        request_add(request, OP_READ, &args);
    } else {
        encode_close(slot, request);
    }
}

static enum outcome answer_verify_created(struct conn *conn, struct slot *slot, struct reply *reply)
{
    union nfs_resop4 result;
    uint64_t fileid;
    if (slot->step == STEP_CLOSE)
        return answer_close(reply);
    if (slot->step == STEP_OPEN)
        return read_open(slot, reply, &fileid) ? OUTCOME_NEXT : OUTCOME_WRONG;
    if (!reply_skip(reply, OP_PUTFH) || !reply_read(reply, OP_READ, &result))
        return OUTCOME_WRONG;
    struct slice data = result.opread.resok4.data;
    bool is_right = data.size == BLOCK_BYTES &&
                    pattern_matches(data.data, conn->index, slot->number, GENERATION_FIRST);
    return is_right ? OUTCOME_NEXT : OUTCOME_WRONG;
}

const struct workload workload_verify_created = {
    .name = "verify_created",
    .begin = begin_verify_created,
    .encode = encode_verify_created,
    .answer = answer_verify_created,
};

/* Makes conn->sample_count files, and keeps what getattr and lookup must answer of them. */
static bool begin_populate(struct conn *conn, struct slot *slot)
{
    if (conn->next_number >= conn->sample_count)
        return false;
    slot->number = conn->next_number++;
    return true;
}

static void encode_populate(struct conn *conn, struct slot *slot, struct request *request)
{
    if (slot->step == 0)
        encode_open(conn, slot, request, 'f', true);
    else
        encode_close(slot, request);
}

static enum outcome answer_populate(struct conn *conn, struct slot *slot, struct reply *reply)
{
    if (slot->step != 0)
        return answer_close(reply);
    struct sample_file *sample = &conn->samples[slot->number];
    if (!read_open(slot, reply, &sample->fileid))
        return OUTCOME_WRONG;
    sample->handle = slot->handle;
    return OUTCOME_NEXT;
}

const struct workload workload_populate = {
    .name = "populate",
    .begin = begin_populate,
    .encode = encode_populate,
    .answer = answer_populate,
};

/* LOCK and LOCKU of a range of the slot's own in the data file. */
static bool begin_lock(struct conn *conn, struct slot *slot)
{
    if (conn->next_number < conn->options->in_flight) {
        conn->next_number++;
        slot->has_lock_stateid = false;
        slot->number = slot->index;
    }
    return true;
}

static void add_lock(struct conn *conn, struct slot *slot, struct request *request)
{
    char owner[16];
    union nfs_argop4 args;
    args.oplock = (struct LOCK4args){ .locktype = WRITE_LT,
        .offset = slot->number * BLOCK_BYTES,
        .length = BLOCK_BYTES,
        .locker = { .new_lock_owner = !slot->has_lock_stateid } };
    if (slot->has_lock_stateid) {
        args.oplock.locker.lock_owner =
            (struct exist_lock_owner4){ .lock_stateid = slot->lock_stateid };
    } else {
        args.oplock.locker.open_owner = (struct open_to_lock_owner4){
            .open_stateid = conn->data_stateid,
            .lock_owner = { .clientid = conn->clientid,
                .owner = file_name('l', slot->index, owner) },
        };
    }
    request_add(request, OP_LOCK, &args);
}

static void encode_lock(struct conn *conn, struct slot *slot, struct request *request)
{
    request_add_handle(request, &conn->data_file);
    if (slot->step == 0) {
        add_lock(conn, slot, request);
        return;
    }
    const union nfs_argop4 args = { .oplocku = { .locktype = WRITE_LT,
                                        .lock_stateid = slot->lock_stateid,
                                        .offset = slot->number * BLOCK_BYTES,
                                        .length = BLOCK_BYTES } };
    request_add(request, OP_LOCKU, &args);
}

static enum outcome answer_lock(struct conn *conn, struct slot *slot, struct reply *reply)
{
    (void)conn;
    union nfs_resop4 result;
    bool locks = slot->step == 0;
    if (!reply_skip(reply, OP_PUTFH) || !reply_read(reply, locks ? OP_LOCK : OP_LOCKU, &result))
        return OUTCOME_WRONG;
    slot->has_lock_stateid = true;
    slot->lock_stateid = locks ? result.oplock.resok4.lock_stateid : result.oplocku.lock_stateid;
    return locks ? OUTCOME_NEXT : OUTCOME_DONE;
}

const struct workload workload_lock = {
    .name = "lock",
    .data = DATA_EMPTY,
    .begin = begin_lock,
    .encode = encode_lock,
    .answer = answer_lock,
};
