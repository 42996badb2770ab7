/*
 * tests/fuzz/conversation.c - peers that send requests, keep what they are answered, and answer callbacks.
 */
#include "tests/fuzz/conversation.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "nfs/view.h"
#include "state/state.h"

#define DELEG_MAX 8u
#define OPEN_MAX  20u /* of one client */

/* ---- time: the linker puts these in the place of base/clock.c's ---- */

static _Atomic uint64_t now_ms = 1000000;
static _Atomic uint64_t now_ns = 1000000000;

uint64_t __wrap_clock_coarse_ms(void);
uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_coarse_ms(void)
{
    return atomic_load(&now_ms);
}

/* Passes with each look at it, so that nothing waits for a recall: nobody returns a delegation meanwhile. */
uint64_t __wrap_clock_monotonic_ns(void)
{
    return atomic_fetch_add(&now_ns, 100000000);
}

void fuzz_clock_add_ms(uint64_t ms)
{
    atomic_fetch_add(&now_ms, ms);
}

/* ---- callbacks ---- */

static struct talk *the_talk; /* of harness_sends(), which gets no context */

/* The answer to a CB_COMPOUND, as the peer's mode says. */
static void put_answer(struct xdr_encoder *enc, uint8_t mode, const struct rpc_call *call,
    const union nfs_cb_argop4 *sequence, uint32_t opcode)
{
    enum nfsstat4 sequence_status = mode == 3   ? NFS4ERR_BADSESSION
                                    : mode == 4 ? NFS4ERR_DELAY
                                                : NFS4_OK;
    enum nfsstat4 status = mode == 5 ? NFS4ERR_BAD_STATEID : NFS4_OK;
    union nfs_cb_resop4 res;
    rpc_put_accepted(enc, call->xid, mode == 7 ? RPC_PROG_UNAVAIL : RPC_SUCCESS);
    if (mode == 7)
        return;
    xdr_put_u32(enc, sequence_status != NFS4_OK ? sequence_status : status);
    xdr_put_opaque(enc, slice_str(""));
    xdr_put_u32(enc, sequence_status != NFS4_OK ? 1 : 2);
    memset(&res, 0, sizeof res);
    res.opcbsequence.csr_status = sequence_status;
    res.opcbsequence.csr_resok4.csr_sequenceid = sequence->opcbsequence.csa_sequenceid;
    memcpy(res.opcbsequence.csr_resok4.csr_sessionid, sequence->opcbsequence.csa_sessionid,
        NFS4_SESSIONID_SIZE);
    xdr_put_u32(enc, OP_CB_SEQUENCE);
    nfs_cb_resop4_encode(enc, OP_CB_SEQUENCE, &res);
    if (sequence_status != NFS4_OK)
        return;
    memset(&res, 0, sizeof res);
    res.opcbrecall.status = status;
    xdr_put_u32(enc, opcode);
    nfs_cb_resop4_encode(enc, opcode, &res);
}

/* The server's callback arrives at its peer: every one must be one that a client can decode. */
static bool receive(struct harness *h, struct rpc_conn *conn, struct slice record)
{
    struct peer *peer = NULL;
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        if (conn == &the_talk->peers[i].link.conn)
            peer = &the_talk->peers[i];
    }
    if (peer == NULL || peer->callback_mode == 1)
        return false;
    struct xdr_decoder dec = xdr_decoder_of(record, &h->arena);
    struct rpc_call call;
    struct slice tag;
    uint32_t minor, ident, count, opcode;
    union nfs_cb_argop4 sequence, arg;
    if (rpc_get_call(&dec, &call) != 0 || !xdr_get_opaque(&dec, NFS4_TAG_MAX, &tag) ||
        !xdr_get_u32(&dec, &minor) || !xdr_get_u32(&dec, &ident) || !xdr_get_u32(&dec, &count) ||
        count != 2 || !xdr_get_u32(&dec, &opcode) || opcode != OP_CB_SEQUENCE ||
        !nfs_cb_argop4_decode(&dec, opcode, &sequence) || !xdr_get_u32(&dec, &opcode) ||
        !nfs_cb_argop4_decode(&dec, opcode, &arg) || xdr_left(&dec) != 0)
        talk_fail("a callback that cannot be decoded");
    if (peer->callback_mode == 2)
        return true;
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &h->arena, 4096);
    put_answer(&enc, peer->callback_mode, &call, &sequence, opcode);
    size_t size = peer->callback_mode == 6 && enc.size > 40 ? enc.size - 8 : enc.size;
    h->program.reply(h->program.context, conn, slice_of(enc.data, size));
    return true;
}

/* ---- what replies tell ---- */

static void learn_stateid(struct talk *talk, const struct peer *peer, const struct stateid4 *id)
{
    talk->stateids[talk->stateid_count++ % STATEID_COUNT] =
        (struct known_stateid){ .id = *id, .peer = (uint8_t)peer->index };
}

static void learn_handle(struct talk *talk, struct slice handle)
{
    uint8_t *copy = arena_alloc(&talk->h->arena, handle.size + 1);
    assert_non_null(copy);
    memcpy(copy, handle.data, handle.size);
    talk->handles[talk->handle_count++ % HANDLE_COUNT] = slice_of(copy, handle.size);
}

static void learn_open(struct talk *talk, struct peer *peer, const struct OPEN4resok *open)
{
    if (open->delegation.delegation_type == OPEN_DELEGATE_READ)
        learn_stateid(talk, peer, &open->delegation.read.stateid);
    if (open->delegation.delegation_type == OPEN_DELEGATE_WRITE)
        learn_stateid(talk, peer, &open->delegation.write.stateid);
    learn_stateid(talk, peer, &open->stateid);
}

static void learn_session(struct peer *peer, const struct CREATE_SESSION4resok *created)
{
    if (memcmp(peer->sessionid, created->csr_sessionid, NFS4_SESSIONID_SIZE) == 0)
        return; /* a repeated answer */
    memcpy(peer->old_sessionid, peer->sessionid, NFS4_SESSIONID_SIZE);
    memcpy(peer->sessionid, created->csr_sessionid, NFS4_SESSIONID_SIZE);
    memset(peer->seqids, 0, sizeof peer->seqids);
    peer->create_seqid = created->csr_sequence + 1;
}

static void learn_client(struct peer *peer, uint32_t opcode, const union nfs_resop4 *res)
{
    if (opcode == OP_EXCHANGE_ID) {
        peer->clientid = res->opexchange_id.eir_resok4.eir_clientid;
        peer->create_seqid = res->opexchange_id.eir_resok4.eir_sequenceid;
    } else if (opcode == OP_CREATE_SESSION) {
        learn_session(peer, &res->opcreate_session.csr_resok4);
    } else if (opcode == OP_SETCLIENTID) {
        peer->clientid = res->opsetclientid.resok4.clientid;
        memcpy(peer->confirm, res->opsetclientid.resok4.setclientid_confirm, NFS4_VERIFIER_SIZE);
    }
}

static void learn(
    struct talk *talk, struct peer *peer, uint32_t opcode, const union nfs_resop4 *res)
{
    switch (opcode) {
    case OP_OPEN:
        learn_open(talk, peer, &res->opopen.resok4);
        break;
    case OP_OPEN_CONFIRM:
        learn_stateid(talk, peer, &res->opopen_confirm.resok4.open_stateid);
        break;
    case OP_OPEN_DOWNGRADE:
        learn_stateid(talk, peer, &res->opopen_downgrade.resok4.open_stateid);
        break;
    case OP_LOCK:
        learn_stateid(talk, peer, &res->oplock.resok4.lock_stateid);
        break;
    case OP_LOCKU:
        learn_stateid(talk, peer, &res->oplocku.lock_stateid);
        break;
    case OP_GETFH:
        learn_handle(talk, res->opgetfh.resok4.object);
        break;
    default:
        learn_client(peer, opcode, res);
    }
}

/* 4.0: whether an operation moved its owner on: RFC 7530 section 9.1.7. */
static void count_turn(struct peer *peer, uint32_t opcode, enum nfsstat4 status)
{
    if (status == NFS4ERR_STALE_CLIENTID || status == NFS4ERR_STALE_STATEID ||
        status == NFS4ERR_BAD_STATEID || status == NFS4ERR_BAD_SEQID || status == NFS4ERR_BADXDR ||
        status == NFS4ERR_RESOURCE || status == NFS4ERR_NOFILEHANDLE)
        return;
    if (opcode == OP_LOCK || opcode == OP_LOCKU)
        peer->lock_seqid++;
    if (opcode == OP_OPEN || opcode == OP_OPEN_CONFIRM || opcode == OP_OPEN_DOWNGRADE ||
        opcode == OP_CLOSE || opcode == OP_LOCK)
        peer->open_seqid++;
}

/* ---- requests ---- */

/* With TALK_TRACE in the environment: what was said, by number. */
static void trace(const struct harness *h, const struct peer *peer)
{
    if (getenv("TALK_TRACE") == NULL)
        return;
    (void)fprintf(stderr, "peer %u, 4.%u, sequence %u:", peer->index, peer->minor,
        h->sequence_status != NFS4ERR_SERVERFAULT ? h->sequence_status : 0);
    for (uint32_t i = 0; i < h->result_count; i++)
        (void)fprintf(stderr, " %u=%u", h->opcodes[i], h->results[i].opillegal.status);
    (void)fputc('\n', stderr);
}

static void check_reply(const struct harness *h, uint32_t minor, enum nfsstat4 status)
{
    for (uint32_t i = 0; i < h->result_count; i++) {
        enum nfsstat4 each = h->results[i].opillegal.status; /* every result begins with it */
        check_status(minor, h->opcodes[i], each);
        if (i + 1 < h->result_count ? each != NFS4_OK : each != status)
            talk_fail(
                "status %u of operation %u in a reply of status %u", each, h->opcodes[i], status);
    }
}

/* Sends what is in the encoder; keeps the request and the reply. */
static void exchange(struct talk *talk, struct peer *peer)
{
    struct harness *h = talk->h;
    struct sent sent = { .count_at = h->count_at, .op_count = h->op_count, .xid = h->xid };
    enum nfsstat4 status;
    if (h->request.failed || h->request.reference_count > 0)
        talk_fail("a request that cannot be kept");
    sent.request = slice_of(h->request.data, h->request.size);
    fuzz_clock_add_ms(1);
    int answer = compound_run_rpc(h, &status);
    if (answer != RPC_SUCCESS)
        talk_fail("RPC answered %d", answer);
    trace(h, peer);
    sent.reply = h->raw;
    sent.ran = peer->minor == 0 || h->sequence_status == NFS4_OK;
    if (h->result_count == 0 || h->sequence_status != NFS4ERR_SERVERFAULT)
        check_status(peer->minor, OP_SEQUENCE, h->result_count == 0 ? status : h->sequence_status);
    check_reply(h, peer->minor, status);
    for (uint32_t i = 0; i < h->result_count; i++) {
        if (h->results[i].opillegal.status == NFS4_OK)
            learn(talk, peer, h->opcodes[i], &h->results[i]);
    }
    uint32_t final = h->result_count > 0 ? h->opcodes[h->result_count - 1] : OP_ILLEGAL;
    sent.has_done_once = peer->minor == 0 && status == NFS4_OK &&
                         (final == OP_REMOVE || final == OP_RENAME || final == OP_LINK);
    peer->last = sent;
    talk->newest = peer;
}

static void send_request(struct talk *talk)
{
    struct peer *peer = talk->building;
    struct harness *h = talk->h;
    if (peer == NULL)
        return;
    talk->building = NULL;
    exchange(talk, peer);
    if (h->sequence_status == NFS4_OK && peer->is_wrong)
        talk_fail("a wrong SEQUENCE was accepted");
    if (h->sequence_status == NFS4_OK && peer->in_session)
        peer->seqids[peer->slot] = peer->sent_seqid;
    for (uint32_t i = 0; peer->minor == 0 && !peer->wrong_turn && i < h->result_count; i++)
        count_turn(peer, h->opcodes[i], h->results[i].opillegal.status);
}

/* The last request once more: its answer must be the same, if it is one. */
static void send_again(struct talk *talk, struct peer *peer)
{
    struct harness *h = talk->h;
    struct sent last = peer->last;
    if (last.request.size == 0)
        return;
    h->client = &peer->link;
    xdr_encoder_init(&h->request, &h->arena, 8u << 20);
    xdr_put_fixed(&h->request, last.request);
    h->count_at = last.count_at;
    h->op_count = last.op_count;
    bool is_newest = talk->newest == peer;
    uint32_t next_xid = h->xid;
    if (peer->minor == 0)
        h->xid = last.xid; /* 4.0 knows a retry by it */
    exchange(talk, peer);
    h->xid = peer->minor == 0 ? next_xid : h->xid;
    bool is_replay = peer->minor > 0 ? last.ran && h->sequence_status == NFS4_OK
                                     : last.has_done_once && is_newest;
    if (is_replay && (h->raw.size != last.reply.size ||
                         memcmp(h->raw.data, last.reply.data, last.reply.size) != 0))
        talk_fail("a retry was answered otherwise");
}

static void add_sequence(struct peer *peer, const struct step *step, struct harness *h)
{
    peer->slot = STEP_SLOT(step->who);
    struct SEQUENCE4args args = { .sa_slotid = peer->slot,
        .sa_highest_slotid = peer->slot,
        .sa_sequenceid = peer->seqids[peer->slot] + 1,
        .sa_cachethis = (step->who & STEP_CACHE) != 0 };
    memcpy(args.sa_sessionid, peer->sessionid, sizeof args.sa_sessionid);
    peer->in_session = true;
    if ((step->who & STEP_WRONG_SEQ) != 0 && (step->extra & 1) != 0) {
        switch (step->extra >> 1 & 3) {
        case 0:
            args.sa_sequenceid++;
            peer->is_wrong = true;
            break;
        case 1:
            args.sa_sequenceid -= 2;
            peer->is_wrong = true;
            break;
        case 2:
            args.sa_slotid = 200;
            args.sa_highest_slotid = 200;
            peer->is_wrong = true;
            break;
        default:
            memcpy(args.sa_sessionid, peer->old_sessionid, sizeof args.sa_sessionid);
            peer->in_session = false;
        }
    }
    peer->sent_seqid = args.sa_sequenceid;
    add_op(h, OP_SEQUENCE, &(union nfs_argop4){ .opsequence = args });
}

static void begin_request(struct talk *talk, struct peer *peer, const struct step *step)
{
    struct harness *h = talk->h;
    h->client = &peer->link;
    h->no_sequence = true;
    peer->link.minor = peer->minor;
    peer->is_wrong = peer->in_session = peer->wrong_turn = false;
    talk->building = peer;
    compound_begin(h);
    if (peer->minor > 0 && !step_is_alone(step))
        add_sequence(peer, step, h);
}

/* ---- peers ---- */

static void request(
    struct talk *talk, struct peer *peer, uint32_t opcode, const union nfs_argop4 *arg)
{
    struct harness *h = talk->h;
    h->client = &peer->link;
    h->no_sequence = true;
    peer->link.minor = peer->minor;
    compound_begin(h);
    add_op(h, opcode, arg);
    exchange(talk, peer);
    enum nfsstat4 status = h->results[0].opillegal.status;
    if (h->result_count != 1 || status != NFS4_OK)
        talk_fail("operation %u was answered %u, not 0", opcode, status);
}

/* A new incarnation: what the one before held is gone after it. */
static void peer_begin(struct talk *talk, struct peer *peer)
{
    union nfs_argop4 arg;
    peer->verifier += 1000;
    peer->open_seqid = peer->lock_seqid = 1;
    arg = peer->minor > 0 ? exchange_id_args(peer) : setclientid_args(peer);
    request(talk, peer, peer->minor > 0 ? OP_EXCHANGE_ID : OP_SETCLIENTID, &arg);
    arg = peer->minor > 0 ? create_session_args(peer, 0) : setclientid_confirm_args(peer);
    request(talk, peer, peer->minor > 0 ? OP_CREATE_SESSION : OP_SETCLIENTID_CONFIRM, &arg);
}

/* Until a client of 4.1 has said so, it can open nothing. */
static void peer_claims_nothing(struct talk *talk, struct peer *peer)
{
    if (peer->minor == 0)
        return;
    struct harness *h = talk->h;
    struct step step = { 0 };
    begin_request(talk, peer, &step);
    add_op(h, OP_RECLAIM_COMPLETE, &(union nfs_argop4){ .opreclaim_complete = { false } });
    send_request(talk);
    if (h->result_count != 1 || h->results[0].opillegal.status != NFS4_OK)
        talk_fail("RECLAIM_COMPLETE failed");
}

static void peer_end(struct talk *talk, struct peer *peer)
{
    peer_begin(talk, peer);
    if (peer->minor == 0)
        return;
    union nfs_argop4 arg = { 0 };
    memcpy(arg.opdestroy_session.dsa_sessionid, peer->sessionid, NFS4_SESSIONID_SIZE);
    request(talk, peer, OP_DESTROY_SESSION, &arg);
    arg.opdestroy_clientid.dca_clientid = peer->clientid;
    request(talk, peer, OP_DESTROY_CLIENTID, &arg);
}

static void peer_connect(struct talk *talk, struct peer *peer)
{
    client_connect(talk->h, &peer->link, "127.0.0.1");
    peer->link.cred.uid = peer->link.cred.gid = peer->index == 3 ? 1000 : 0;
}

static void restart(struct talk *talk)
{
    for (uint32_t i = 0; i < PEER_COUNT; i++)
        client_disconnect(talk->h, &talk->peers[i].link);
    harness_restart(talk->h, FUZZ_LEASE_MS);
    for (uint32_t i = 0; i < PEER_COUNT; i++)
        peer_connect(talk, &talk->peers[i]);
}

static void make_files(struct talk *talk)
{
    static const char *const files[] = { "f0", "f1", "f2", "f3" };
    struct harness *h = talk->h;
    client_start_session(h, &h->first, "maker", 1);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        write_file(h, files[i], "what a file has in it at first");
    (void)make_dir(h, "d");
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4LNK, .linkdata = slice_str("f0") },
                .objname = slice_str("l"),
                .createattrs = fattr_mode(h, 0777) } });
    assert_int_equal(compound_run(h), NFS4_OK);
}

void talk_start(struct talk *talk)
{
    static const uint8_t minors[PEER_COUNT] = { 1, 2, 0, 2 };
    void *state;
    memset(talk, 0, sizeof *talk);
    the_talk = talk;
    (void)harness_setup_bare(&state);
    struct harness *h = talk->h = state;
    log_set_level(LOG_LEVEL_ERROR);
    h->options.deleg_count_max = DELEG_MAX;
    h->options.open_count_max = OPEN_MAX;
    harness_restart(h, FUZZ_LEASE_MS);
    make_files(talk);
    h->receive = receive;
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        struct peer *peer = &talk->peers[i];
        *peer = (struct peer){ .index = i, .minor = minors[i], .owner = { 'p', (char)('0' + i) } };
        peer_connect(talk, peer);
        peer_begin(talk, peer);
        peer_claims_nothing(talk, peer);
    }
}

/* Steps that are no operation. */
static void control(struct talk *talk, const struct step *step)
{
    static const uint32_t pauses_s[] = { 1, 20, 45, 61, 200, 100000 };
    struct peer *peer = &talk->peers[STEP_PEER(step->who)];
    send_request(talk);
    talk->newest = NULL;
    switch (step->op & 3) {
    case 0:
        fuzz_clock_add_ms(pauses_s[step->flags % ARRAY_SIZE(pauses_s)] * UINT64_C(1000));
        nfs_server_tick(talk->h->server, __wrap_clock_coarse_ms());
        break;
    case 1:
        client_disconnect(talk->h, &peer->link);
        peer_connect(talk, peer);
        break;
    case 2:
        if (talk->restart_count++ < 2)
            restart(talk);
        break;
    default:
        peer->callback_mode = step->flags & 7;
    }
}

void talk_step(struct talk *talk, const struct step *step)
{
    struct peer *peer = &talk->peers[STEP_PEER(step->who)];
    if (step->op >= STEP_CONTROL) {
        control(talk, step);
        return;
    }
    if (talk->building != peer)
        send_request(talk);
    if ((step->who & STEP_AGAIN) != 0 && (step->extra & 1) != 0) {
        send_request(talk);
        send_again(talk, peer);
        return;
    }
    if (talk->building == NULL)
        begin_request(talk, peer, step);
    add_step_op(talk, peer, step);
    if ((step->who & STEP_MORE) == 0)
        send_request(talk);
}

/* ---- the end ---- */

static void check_counts(struct talk *talk)
{
    struct state_counts counts;
    state_count(talk->h->server->state, __wrap_clock_coarse_ms(), &counts);
    if (counts.opens > (PEER_COUNT + 1) * OPEN_MAX || counts.delegations > DELEG_MAX ||
        counts.clients > 2 * PEER_COUNT + 2 || counts.sessions > STEP_MAX + PEER_COUNT + 1)
        talk_fail("opens=%lu delegations=%lu clients=%lu sessions=%lu", counts.opens,
            counts.delegations, counts.clients, counts.sessions);
}

static void check_nothing_held(struct talk *talk, bool may_be_clients)
{
    struct state_counts counts;
    state_count(talk->h->server->state, __wrap_clock_coarse_ms(), &counts);
    if (counts.sessions > 0 || counts.opens > 0 || counts.lock_ranges > 0 ||
        counts.delegations > 0 || counts.reply_cache_bytes > 0)
        talk_fail("left: sessions=%lu opens=%lu lock_ranges=%lu delegations=%lu reply_cache=%lu",
            counts.sessions, counts.opens, counts.lock_ranges, counts.delegations,
            counts.reply_cache_bytes);
    if (!may_be_clients &&
        (counts.clients > 0 || counts.clients_unconfirmed > 0 || counts.clients_courtesy > 0))
        talk_fail("left: clients=%lu unconfirmed=%lu courtesy=%lu", counts.clients,
            counts.clients_unconfirmed, counts.clients_courtesy);
    if (fake_fs_hold_count(talk->h->fs_a) > 0)
        talk_fail("left: %u held files", fake_fs_hold_count(talk->h->fs_a));
}

void talk_end(struct talk *talk)
{
    struct harness *h = talk->h;
    send_request(talk);
    check_counts(talk);
    for (uint32_t i = 0; i < PEER_COUNT; i++)
        peer_end(talk, &talk->peers[i]);
    h->receive = NULL;
    if (talk->restart_count > 0) /* else the maker of the files still has its session */
        check_nothing_held(talk, true);
    /* The maker, and 4.0's clients, which have no operation for it, end with their lease. */
    for (int i = 0; i < 3; i++) {
        fuzz_clock_add_ms(UINT64_C(3) * 86400 * 1000);
        nfs_server_tick(h->server, __wrap_clock_coarse_ms());
    }
    check_nothing_held(talk, false);
    for (uint32_t i = 0; i < PEER_COUNT; i++)
        client_disconnect(h, &talk->peers[i].link);
    void *state = h;
    (void)harness_teardown(&state);
    talk->h = NULL;
}
