/*
 * tests/fuzz/fuzz_compound.c - any bytes as the operations of a COMPOUND in a session: the whole server over a file
 * system in memory. Whatever they are, the reply must be one that a client can decode.
 *
 * The first byte chooses the minor version, and whether SEQUENCE comes before the input's operations. The root has a
 * file "a", a directory "d" and a symbolic link "l"; the current stateid (1, 0) reaches what OPEN made.
 */
#include "tests/unit/nfs/harness.h"

#define RUNS_PER_SERVER 2000u
#define OPS_MAX         12u

static void *server_state;

static void start(void)
{
    (void)harness_setup(&server_state);
    struct harness *h = server_state;
    write_file(h, "a", "some text");
    (void)make_dir(h, "d");
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4LNK, .linkdata = slice_str("a") },
                .objname = slice_str("l") } });
    (void)compound_run(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    if (size < 1)
        return 0;
    if (runs++ % RUNS_PER_SERVER == 0) {
        if (server_state != NULL)
            (void)harness_teardown(&server_state);
        start();
    }
    struct harness *h = server_state;
    enum nfsstat4 status;
    uint32_t seqid = h->client->seqid;
    h->client->minor = 1 + (data[0] & 1);
    h->no_sequence = (data[0] & 6) == 6;
    h->cachethis = (data[0] & 8) != 0;
    compound_begin(h);
    if ((data[0] & 16) != 0 && !h->no_sequence)
        add_putrootfh(h);
    xdr_put_fixed(&h->request, slice_of(data + 1, (size - 1) & ~(size_t)3));
    h->op_count += OPS_MAX;
    (void)compound_run_rpc(h, &status);
    /* The slot has moved only if SEQUENCE succeeded; DESTROY_SESSION may have ended all. */
    if (h->sequence_status != NFS4_OK)
        h->client->seqid = seqid;
    if (h->sequence_status == NFS4ERR_BADSESSION)
        runs = 0;
    arena_reset(&h->arena);
    return 0;
}
