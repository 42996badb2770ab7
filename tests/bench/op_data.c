/*
 * tests/bench/op_data.c - reading and writing: sequential, random, stable; and the filling before and reading back
 * after. Every block read must hold the pattern of its place and of the write that was last.
 */
#include "bench.h"
#include "pattern.h"

#define GENERATION_FILLED  1u
#define GENERATION_WRITTEN 2u

/* slot->number counts in units of the phase's I/O size. */
static uint64_t unit_count(const struct conn *conn)
{
    return conn->options->file_bytes / conn->phase->io_size;
}

static uint64_t unit_offset(const struct conn *conn, const struct slot *slot)
{
    return slot->number * conn->phase->io_size;
}

static bool begin_sequential(struct conn *conn, struct slot *slot)
{
    slot->number = conn->next_number++ % unit_count(conn);
    return true;
}

static bool begin_random(struct conn *conn, struct slot *slot)
{
    slot->number = conn_random(conn) % unit_count(conn);
    return true;
}

static bool begin_once(struct conn *conn, struct slot *slot)
{
    if (conn->next_number >= unit_count(conn))
        return false;
    slot->number = conn->next_number++;
    return true;
}

/* As begin_once(), to the first unit that was never written. */
static bool begin_verify(struct conn *conn, struct slot *slot)
{
    return begin_once(conn, slot) && conn->generations[unit_offset(conn, slot) / BLOCK_BYTES] != 0;
}

static void encode_read(struct conn *conn, struct slot *slot, struct request *request)
{
    request_add_handle(request, &conn->data_file);
    const union nfs_argop4 args = { .opread = { .stateid = conn->data_stateid,
                                        .offset = unit_offset(conn, slot),
                                        .count = conn->phase->io_size } };
    request_add(request, OP_READ, &args);
}

static enum outcome answer_read(struct conn *conn, struct slot *slot, struct reply *reply)
{
    union nfs_resop4 result;
    if (!reply_skip(reply, OP_PUTFH) || !reply_read(reply, OP_READ, &result))
        return OUTCOME_WRONG;
    struct slice data = result.opread.resok4.data;
    if (data.size != conn->phase->io_size)
        return OUTCOME_WRONG;
    uint64_t block = unit_offset(conn, slot) / BLOCK_BYTES;
    for (size_t at = 0; at < data.size; at += BLOCK_BYTES, block++) {
        if (!pattern_matches(data.data + at, conn->index, block, conn->generations[block]))
            return OUTCOME_WRONG;
    }
    return OUTCOME_DONE;
}

/* The data lies in the slot until the reply, and is sent from there. */
static void add_write(struct conn *conn, struct slot *slot, struct request *request,
    uint8_t generation, enum stable_how4 stable)
{
    uint8_t *data = slot_data(slot);
    uint64_t offset = unit_offset(conn, slot);
    for (uint32_t at = 0; at < conn->phase->io_size; at += BLOCK_BYTES)
        pattern_fill(data + at, conn->index, (offset + at) / BLOCK_BYTES, generation);
    request_add_handle(request, &conn->data_file);
    const union nfs_argop4 args = { .opwrite = { .stateid = conn->data_stateid,
                                        .offset = offset,
                                        .stable = stable,
                                        .data = slice_of(data, conn->phase->io_size) } };
    request_add(request, OP_WRITE, &args);
}

/* Unstable data is lost when the verifier changes (RFC 8881 section 18.32.3): that is an error here. */
static bool same_verifier(struct conn *conn, const uint8_t *verifier)
{
    if (!conn->has_writeverf)
        memcpy(conn->writeverf, verifier, NFS4_VERIFIER_SIZE);
    conn->has_writeverf = true;
    return memcmp(conn->writeverf, verifier, NFS4_VERIFIER_SIZE) == 0;
}

static enum outcome answer_write(struct conn *conn, struct slot *slot, struct reply *reply,
    uint8_t generation, enum stable_how4 stable)
{
    union nfs_resop4 result;
    if (!reply_skip(reply, OP_PUTFH) || !reply_read(reply, OP_WRITE, &result))
        return OUTCOME_WRONG;
    const struct WRITE4resok *written = &result.opwrite.resok4;
    if (written->count != conn->phase->io_size || written->committed < stable ||
        !same_verifier(conn, written->writeverf))
        return OUTCOME_WRONG;
    memset(conn->generations + unit_offset(conn, slot) / BLOCK_BYTES, generation,
        conn->phase->io_size / BLOCK_BYTES);
    return OUTCOME_DONE;
}

static void encode_fill(struct conn *conn, struct slot *slot, struct request *request)
{
    add_write(conn, slot, request, GENERATION_FILLED, UNSTABLE4);
}

static enum outcome answer_fill(struct conn *conn, struct slot *slot, struct reply *reply)
{
    return answer_write(conn, slot, reply, GENERATION_FILLED, UNSTABLE4);
}

static void encode_write(struct conn *conn, struct slot *slot, struct request *request)
{
    add_write(conn, slot, request, GENERATION_WRITTEN, UNSTABLE4);
}

static enum outcome answer_unstable(struct conn *conn, struct slot *slot, struct reply *reply)
{
    return answer_write(conn, slot, reply, GENERATION_WRITTEN, UNSTABLE4);
}

static void encode_stable_write(struct conn *conn, struct slot *slot, struct request *request)
{
    add_write(conn, slot, request, GENERATION_WRITTEN, FILE_SYNC4);
}

static enum outcome answer_stable(struct conn *conn, struct slot *slot, struct reply *reply)
{
    return answer_write(conn, slot, reply, GENERATION_WRITTEN, FILE_SYNC4);
}

const struct workload workload_seqread = {
    .name = "seqread",
    .data = DATA_FILLED,
    .io_size = 1024 * 1024,
    .begin = begin_sequential,
    .encode = encode_read,
    .answer = answer_read,
};

const struct workload workload_randread = {
    .name = "randread",
    .data = DATA_FILLED,
    .io_size = BLOCK_BYTES,
    .begin = begin_random,
    .encode = encode_read,
    .answer = answer_read,
};

const struct workload workload_seqwrite = {
    .name = "seqwrite",
    .data = DATA_EMPTY,
    .io_size = 1024 * 1024,
    .writes = true,
    .begin = begin_sequential,
    .encode = encode_write,
    .answer = answer_unstable,
};

const struct workload workload_randwrite = {
    .name = "randwrite",
    .data = DATA_FILLED,
    .io_size = BLOCK_BYTES,
    .writes = true,
    .begin = begin_random,
    .encode = encode_write,
    .answer = answer_unstable,
};

const struct workload workload_stablewrite = {
    .name = "stablewrite",
    .data = DATA_FILLED,
    .io_size = BLOCK_BYTES,
    .writes = true,
    .begin = begin_random,
    .encode = encode_stable_write,
    .answer = answer_stable,
};

const struct workload workload_fill = {
    .name = "fill",
    .begin = begin_once,
    .encode = encode_fill,
    .answer = answer_fill,
};

const struct workload workload_verify = {
    .name = "verify",
    .begin = begin_verify,
    .encode = encode_read,
    .answer = answer_read,
};
