/*
 * tests/unit/nfs/harness.c - an NFS server over fake file systems, driven by bytes.
 */
#include "harness.h"

#include <arpa/inet.h>

#include "base/clock.h"
#include "tests/lib/fake_catalog.h"

#define LEASE_MS     60000u
#define REPLY_HEADER 28u /* as rpc/ has it: record mark and accepted reply */

static struct harness
    *the_harness; /* of the running test: for the function below, which gets no context */

/* Stands in for rpc/conn.c. */
void rpc_conn_close(struct rpc_conn *conn)
{
    assert_ptr_equal(conn, &the_harness->first.conn);
    the_harness->first.was_closed = true;
}

bool rpc_conn_send(struct rpc_conn *conn, struct slice record)
{
    /* Else nobody answers callbacks here: tests/proto does. */
    return the_harness->receive != NULL && the_harness->receive(the_harness, conn, record);
}

int rpc_conn_dial(struct rpc_conn *beside, uint16_t port, uint64_t *out_conn_id)
{
    (void)beside;
    (void)port;
    (void)out_conn_id;
    return -ECONNREFUSED;
}

bool rpc_conn_may_lose(struct rpc_conn *conn)
{
    return conn->lost_some;
}

void rpc_conn_ref(struct rpc_conn *conn)
{
    (void)conn;
}

void rpc_conn_unref(struct rpc_conn *conn)
{
    (void)conn;
}

/* ---- file systems ---- */

static struct fs **fs_of(struct harness *h, const char *fs_id)
{
    if (strcmp(fs_id, "fs-a") == 0)
        return &h->fs_a;
    return strcmp(fs_id, "fs-b") == 0 ? &h->fs_b : NULL;
}

static int provider_create(void *context, const char *fs_id, const char *key_id)
{
    (void)context;
    (void)fs_id;
    (void)key_id;
    return 0;
}

static int provider_open(void *context, const char *fs_id, struct fs **out_fs)
{
    struct fs **fs = fs_of(context, fs_id);
    if (fs == NULL)
        return -ENOENT;
    *out_fs = *fs;
    return 0;
}

static void provider_close(void *context, struct fs *fs)
{
    (void)context; /* its content stays, for harness_restart() */
    assert_int_equal(fake_fs_hold_count(fs), 0);
}

static int provider_rekey(void *context, const char *fs_id, struct fs *fs)
{
    (void)context;
    (void)fs_id;
    (void)fs;
    return 0;
}

static int provider_destroy(void *context, const char *fs_id)
{
    (void)context;
    (void)fs_id;
    return 0;
}

/* ---- the server ---- */

static void server_start(struct harness *h)
{
    assert_int_equal(fs_volumes_new(&h->provider, &h->volumes), 0);
    h->options.volumes = h->volumes;
    h->options.epoch++;
    assert_int_equal(nfs_server_new(&h->options, &h->server), 0);
    h->program = nfs_server_program(h->server);
}

static void server_stop(struct harness *h)
{
    nfs_server_free(h->server);
    fs_volumes_free(h->volumes);
    h->server = NULL;
}

void harness_restart(struct harness *h, uint32_t lease_ms)
{
    client_disconnect(h, &h->first);
    server_stop(h);
    h->options.lease_ms = lease_ms;
    server_start(h);
    client_connect(h, &h->first, "127.0.0.1");
}

static struct harness *harness_new(void)
{
    struct harness *h = calloc(1, sizeof *h);
    assert_non_null(h);
    the_harness = h;
    arena_init(&h->arena, 64u << 20);
    h->fs_a = fake_fs_new();
    h->fs_b = fake_fs_new();
    fake_catalog_reset();
    fake_catalog_add("fs-a", "127.0.0.1");
    fake_catalog_add("fs-b", "127.0.0.2");
    h->provider = (struct fs_provider){ "fake", h, provider_create, provider_open, provider_close,
        provider_destroy, provider_rekey };
    h->options = (struct nfs_server_options){ .fh_key = { .k0 = 1, .k1 = 2 },
        .node_id = "node-1",
        .version = "test",
        .epoch = 41,
        .lease_ms = LEASE_MS,
        .client_count_max = 100,
        .slot_count_max = 16,
        .open_count_max = 100,
        .reply_cache_v40_bytes = 64u << 10 };
    server_start(h);
    h->client = &h->first;
    return h;
}

int harness_setup_bare(void **state)
{
    struct harness *h = harness_new();
    client_connect(h, &h->first, "127.0.0.1");
    *state = h;
    return 0;
}

int harness_setup(void **state)
{
    (void)harness_setup_bare(state);
    struct harness *h = *state;
    client_start_session(h, &h->first, "first client", 1);
    return 0;
}

int harness_setup_pseudo(void **state)
{
    struct harness *h = harness_new();
    client_connect(h, &h->first, "127.0.0.9");
    client_start_session(h, &h->first, "first client", 1);
    *state = h;
    return 0;
}

int harness_teardown(void **state)
{
    struct harness *h = *state;
    client_disconnect(h, &h->first);
    server_stop(h);
    fake_fs_free(h->fs_a);
    fake_fs_free(h->fs_b);
    arena_fini(&h->arena);
    free(h);
    return 0;
}

/* ---- clients ---- */

void client_connect(struct harness *h, struct harness_client *client, const char *address)
{
    static uint64_t next_id = 1;
    struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(2049) };
    assert_int_equal(inet_pton(AF_INET, address, &local.sin_addr), 1);
    *client = (struct harness_client){ .minor = 1, .is_connected = true };
    memcpy(&client->conn.local, &local, sizeof local);
    client->conn.id = next_id++;
    client->cred = (struct rpc_cred){
        .flavor = RPC_AUTH_SYS, .machine_name = slice_str("machine"), .uid = 0, .gid = 0
    };
    assert_true(h->program.opened(h->program.context, &client->conn));
    h->client = client;
}

void client_disconnect(struct harness *h, struct harness_client *client)
{
    if (client->is_connected)
        h->program.closed(h->program.context, &client->conn);
    client->is_connected = false;
}

void client_make_session(
    struct harness *h, struct harness_client *client, const char *owner, uint64_t verifier)
{
    union nfs_argop4 arg = { 0 };
    h->client = client;
    client->has_session = false;
    arg.opexchange_id.eia_clientowner.co_ownerid = slice_str(owner);
    memcpy(arg.opexchange_id.eia_clientowner.co_verifier, &verifier, sizeof verifier);
    compound_begin(h);
    add_op(h, OP_EXCHANGE_ID, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct EXCHANGE_ID4resok *exchanged =
        &result(h, 0, OP_EXCHANGE_ID)->opexchange_id.eir_resok4;
    client->clientid = exchanged->eir_clientid;

    struct channel_attrs4 channel = { .ca_maxrequestsize = 1 << 20,
        .ca_maxresponsesize = 1 << 20,
        .ca_maxresponsesize_cached = 2048,
        .ca_maxoperations = 32,
        .ca_maxrequests = 8 };
    arg = (union nfs_argop4){ .opcreate_session = { .csa_clientid = client->clientid,
                                  .csa_sequence = exchanged->eir_sequenceid,
                                  .csa_fore_chan_attrs = channel,
                                  .csa_back_chan_attrs = channel } };
    compound_begin(h);
    add_op(h, OP_CREATE_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    memcpy(client->sessionid,
        result(h, 0, OP_CREATE_SESSION)->opcreate_session.csr_resok4.csr_sessionid,
        sizeof client->sessionid);
    client->has_session = true;
    client->seqid = 0;
}

void client_start_session(
    struct harness *h, struct harness_client *client, const char *owner, uint64_t verifier)
{
    client_make_session(h, client, owner, verifier);
    union nfs_argop4 arg = { .opreclaim_complete = { .rca_one_fs = false } };
    compound_begin(h);
    add_op(h, OP_RECLAIM_COMPLETE, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
}

/* ---- requests and replies ---- */

void add_op(struct harness *h, uint32_t opcode, const union nfs_argop4 *arg)
{
    xdr_put_u32(&h->request, opcode);
    if (arg != NULL)
        nfs_argop4_encode(&h->request, opcode, arg);
    h->op_count++;
}

void compound_begin(struct harness *h)
{
    struct harness_client *client = h->client;
    xdr_encoder_init(&h->request, &h->arena, 8u << 20);
    xdr_put_opaque(&h->request, slice_str(h->tag != NULL ? h->tag : ""));
    xdr_put_u32(&h->request, client->minor);
    h->count_at = h->request.size;
    xdr_put_u32(&h->request, 0);
    h->op_count = 0;
    if (!client->has_session || h->no_sequence)
        return;
    union nfs_argop4 arg = { .opsequence = {
                                 .sa_sequenceid = ++client->seqid, .sa_cachethis = h->cachethis } };
    memcpy(arg.opsequence.sa_sessionid, client->sessionid, sizeof client->sessionid);
    add_op(h, OP_SEQUENCE, &arg);
}

/* All that was encoded, references included, as one piece of memory. */
static struct slice flatten(struct harness *h, const struct xdr_encoder *enc)
{
    uint8_t *flat = arena_alloc(&h->arena, xdr_position(enc) + 1);
    assert_non_null(flat);
    size_t filled = 0;
    size_t from = 0;
    for (uint32_t i = 0; i <= enc->reference_count; i++) {
        size_t to = i < enc->reference_count ? enc->references[i].at : enc->size;
        memcpy(flat + filled, enc->data + from, to - from);
        filled += to - from;
        from = to;
        if (i < enc->reference_count) {
            const struct slice bytes = enc->references[i].bytes;
            memcpy(flat + filled, bytes.data, bytes.size);
            filled += bytes.size;
        }
    }
    return slice_of(flat, filled);
}

static enum nfsstat4 decode_reply(struct harness *h)
{
    struct xdr_decoder dec = xdr_decoder_of(h->raw, &h->arena);
    uint32_t status;
    uint32_t count;
    assert_true(xdr_get_u32(&dec, &status));
    assert_true(xdr_get_opaque(&dec, NFS4_TAG_MAX, &h->reply_tag));
    assert_true(xdr_get_u32(&dec, &count));
    h->result_count = 0;
    h->sequence_status = NFS4ERR_SERVERFAULT;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t opcode;
        union nfs_resop4 decoded;
        assert_true(xdr_get_u32(&dec, &opcode));
        assert_true(nfs_resop4_decode(&dec, opcode, &decoded));
        if (i == 0 && opcode == OP_SEQUENCE) {
            h->sequence = decoded;
            h->sequence_status = decoded.opsequence.sr_status;
            continue;
        }
        assert_true(h->result_count < HARNESS_OPS_MAX);
        h->opcodes[h->result_count] = opcode;
        h->results[h->result_count++] = decoded;
    }
    assert_int_equal(xdr_left(&dec), 0);
    return status;
}

int compound_run_rpc(struct harness *h, enum nfsstat4 *out_status)
{
    struct harness_client *client = h->client;
    assert_false(h->request.failed);
    store_be32(h->request.data + h->count_at, h->op_count);
    struct slice bytes = flatten(h, &h->request);
    struct arena arena;
    arena_init(&arena, 16u << 20);
    struct rpc_request request = { .conn = &client->conn,
        .arena = &arena,
        .call = { .xid = h->xid++,
            .program = NFS4_PROGRAM,
            .version = NFS_V4,
            .procedure = NFSPROC4_COMPOUND,
            .cred = client->cred },
        .record_size = bytes.size + 64,
        .args = xdr_decoder_of(bytes, &arena) };
    xdr_encoder_init(&request.reply, &arena, 4u << 20);
    assert_non_null(xdr_reserve(&request.reply, REPLY_HEADER));
    int answer = h->program.serve(h->program.context, &request);
    if (answer == RPC_SUCCESS) {
        struct slice whole = flatten(h, &request.reply);
        h->raw = slice_of(whole.data + REPLY_HEADER, whole.size - REPLY_HEADER);
        *out_status = decode_reply(h);
    }
    arena_fini(&arena);
    return answer;
}

enum nfsstat4 compound_run(struct harness *h)
{
    enum nfsstat4 status;
    assert_int_equal(compound_run_rpc(h, &status), RPC_SUCCESS);
    return status;
}

const union nfs_resop4 *result(const struct harness *h, uint32_t index, uint32_t opcode)
{
    assert_true(index < h->result_count);
    assert_int_equal(h->opcodes[index], opcode);
    return &h->results[index];
}

/* ---- operations ---- */

void add_putrootfh(struct harness *h)
{
    add_op(h, OP_PUTROOTFH, NULL);
}

void add_lookup(struct harness *h, const char *name)
{
    add_op(h, OP_LOOKUP, &(union nfs_argop4){ .oplookup = { .objname = slice_str(name) } });
}

void add_getfh(struct harness *h)
{
    add_op(h, OP_GETFH, NULL);
}

void add_putfh(struct harness *h, struct slice fh)
{
    add_op(h, OP_PUTFH, &(union nfs_argop4){ .opputfh = { .object = fh } });
}

void add_savefh(struct harness *h)
{
    add_op(h, OP_SAVEFH, NULL);
}

struct bitmap4 bitmap(struct harness *h, uint32_t word0, uint32_t word1, uint32_t word2)
{
    uint32_t *words = arena_alloc(&h->arena, 3 * sizeof *words);
    assert_non_null(words);
    words[0] = word0;
    words[1] = word1;
    words[2] = word2;
    return (struct bitmap4){ .count = word2 != 0   ? 3
                                      : word1 != 0 ? 2
                                      : word0 != 0 ? 1
                                                   : 0,
        .items = words };
}

void add_getattr(struct harness *h, uint32_t word0, uint32_t word1, uint32_t word2)
{
    add_op(h, OP_GETATTR,
        &(union nfs_argop4){ .opgetattr = { .attr_request = bitmap(h, word0, word1, word2) } });
}

void add_open(struct harness *h, const char *name, uint32_t access, const struct createhow4 *how)
{
    union nfs_argop4 arg = { .opopen = { .share_access = access,
                                 .owner = { .owner = slice_str("owner") },
                                 .claim = { .claim = CLAIM_NULL, .file = slice_str(name) } } };
    if (how != NULL) {
        arg.opopen.openhow.opentype = OPEN4_CREATE;
        arg.opopen.openhow.how = *how;
    }
    add_op(h, OP_OPEN, &arg);
}

void add_create_dir(struct harness *h, const char *name)
{
    add_op(h, OP_CREATE,
        &(union nfs_argop4){ .opcreate = { .objtype = { .type = NF4DIR },
                                 .objname = slice_str(name),
                                 .createattrs = fattr_mode(h, 0755) } });
}

struct fattr4 fattr_mode(struct harness *h, uint32_t mode)
{
    uint8_t *value = arena_alloc(&h->arena, 4);
    assert_non_null(value);
    store_be32(value, mode);
    return (struct fattr4){ .attrmask = bitmap(h, 0, 1u << (FATTR4_MODE - 32), 0),
        .attr_vals = slice_of(value, 4) };
}

struct fattr4 fattr_size(struct harness *h, uint64_t size)
{
    uint8_t *value = arena_alloc(&h->arena, 8);
    assert_non_null(value);
    store_be64(value, size);
    return (struct fattr4){ .attrmask = bitmap(h, 1u << FATTR4_SIZE, 0, 0),
        .attr_vals = slice_of(value, 8) };
}

/* ---- whole requests ---- */

struct stateid4 open_file(
    struct harness *h, const char *name, uint32_t access, struct slice *out_fh)
{
    struct createhow4 how = { .mode = UNCHECKED4, .createattrs = fattr_mode(h, 0644) };
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, name, access, &how);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    if (out_fh != NULL)
        *out_fh = result(h, 2, OP_GETFH)->opgetfh.resok4.object;
    return result(h, 1, OP_OPEN)->opopen.resok4.stateid;
}

struct slice make_file(struct harness *h, const char *name)
{
    struct slice fh;
    union nfs_argop4 arg = { .opclose = { .open_stateid =
                                              open_file(h, name, OPEN4_SHARE_ACCESS_BOTH, &fh) } };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_CLOSE, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    return fh;
}

struct slice make_dir(struct harness *h, const char *name)
{
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, name);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    return result(h, 2, OP_GETFH)->opgetfh.resok4.object;
}

struct slice look_up(struct harness *h, const char *name)
{
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, name);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    return result(h, 2, OP_GETFH)->opgetfh.resok4.object;
}

void write_file(struct harness *h, const char *name, const char *text)
{
    struct slice fh;
    struct stateid4 stateid = open_file(h, name, OPEN4_SHARE_ACCESS_BOTH, &fh);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_WRITE,
        &(union nfs_argop4){
            .opwrite = { .stateid = stateid, .stable = FILE_SYNC4, .data = slice_str(text) } });
    add_op(h, OP_CLOSE, &(union nfs_argop4){ .opclose = { .open_stateid = stateid } });
    assert_int_equal(compound_run(h), NFS4_OK);
}
