/*
 * tests/fuzz/fuzz_record.c - record marking: any stream, received in pieces of any size, gives the records that a plain
 * reading of RFC 5531 section 11 gives, and is refused where that refuses it.
 *
 * The first byte chooses the sizes of the pieces. Each four bytes after it are a fragment's mark: with bit 30 as they
 * are, and the stream ends with them; else with a size that makes records around the sizes that matter, and data.
 */
#include <stdlib.h>

#include <sys/socket.h>
#include <unistd.h>

#include "rpc/conn.h"

#define RECORD_SIZE_MAX   (100u * 1024) /* more than RX_CHUNK_BYTES */
#define FRAGMENT_SIZE_MAX (70u * 1024)
#define STREAM_SIZE_MAX   (400u * 1024)
#define STREAM_END        0x40000000u

/* A stream, and the record that is read from it. */
struct reading {
    const uint8_t *data;
    size_t size, at;
    uint8_t record[RECORD_SIZE_MAX];
    size_t record_size;
};

/* The next record as the RFC has it. */
static enum record_result expect_next(struct reading *in)
{
    in->record_size = 0;
    for (;;) {
        if (in->size - in->at < 4)
            return RECORD_NONE;
        uint32_t mark = load_be32(in->data + in->at);
        size_t size = mark & ~RPC_LAST_FRAGMENT;
        if (size > RECORD_SIZE_MAX - in->record_size)
            return RECORD_BAD;
        if (in->size - in->at - 4 < size)
            return RECORD_NONE;
        if (size > 0)
            memcpy(in->record + in->record_size, in->data + in->at + 4, size);
        in->record_size += size;
        in->at += 4 + size;
        if ((mark & RPC_LAST_FRAGMENT) != 0)
            return RECORD_READY;
    }
}

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Takes all records that are there; false: the stream is refused. */
static bool take_records(struct conn *conn, struct reading *expected)
{
    for (;;) {
        struct slice record;
        struct rx_chunk *chunk;
        enum record_result found = record_next(conn, &record, &chunk);
        if (found == RECORD_NONE)
            return true;
        enum record_result wanted = expect_next(expected);
        require(found == wanted);
        if (found == RECORD_BAD)
            return false;
        require(slice_equal(record, slice_of(expected->record, expected->record_size)));
        chunk_unref(conn->lane, chunk);
    }
}

/* Writes the stream that the input stands for; gives its size. */
static size_t make_stream(const uint8_t *input, size_t size, uint8_t stream[STREAM_SIZE_MAX])
{
    size_t filled = 0;
    for (size_t at = 0; at + 4 <= size && filled + 4 <= STREAM_SIZE_MAX; at += 4) {
        uint32_t mark = load_be32(input + at);
        if ((mark & STREAM_END) != 0) {
            store_be32(stream + filled, mark & ~STREAM_END);
            return filled + 4;
        }
        uint32_t fragment_size = (mark & 0xffffff) % FRAGMENT_SIZE_MAX;
        store_be32(stream + filled, (mark & RPC_LAST_FRAGMENT) | fragment_size);
        filled += 4;
        size_t room = min_size(fragment_size, STREAM_SIZE_MAX - filled);
        memset(stream + filled, (int)(at + 1), room);
        filled += room;
    }
    return filled;
}

static void receive_all(
    struct conn *conn, int sender, const uint8_t *data, size_t size, uint8_t pieces)
{
    struct reading expected = { .data = data, .size = size };
    size_t at = 0;
    bool alive = true;
    while (alive && at < size) {
        size_t piece = 1 + (pieces * 7919u + at * 31u) % (pieces < 16 ? 61 : 20000);
        piece = min_size(piece, size - at);
        require(send(sender, data + at, piece, 0) == (ssize_t)piece);
        at += piece;
        for (unsigned round = 0; alive && round < 4; round++) /* it may not receive all at once */
            alive = record_receive(conn) && take_records(conn, &expected);
    }
    for (unsigned round = 0; alive && round < 64; round++)
        alive = record_receive(conn) && take_records(conn, &expected);
    if (alive)
        require(expect_next(&expected) == RECORD_NONE);
}

static void free_chunks(struct rx_chunk *chunk)
{
    while (chunk != NULL) {
        struct rx_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t stream[STREAM_SIZE_MAX];
    int ends[2];
    if (size < 1)
        return 0;
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    struct rpc_server server = { .options = { .record_size_max = RECORD_SIZE_MAX },
        .chunk_large_bytes = RECORD_SIZE_MAX + RX_CHUNK_BYTES };
    struct lane lane = { .server = &server };
    struct conn conn = { .lane = &lane, .source = { .fd = ends[0] } };
    receive_all(&conn, ends[1], stream, make_stream(data + 1, size - 1, stream), data[0]);
    record_forget(&conn);
    free_chunks(lane.free_small);
    free_chunks(lane.free_large);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}
