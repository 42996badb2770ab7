/*
 * nfs/compound.c - decoding, checking, running and answering the operations of one COMPOUND (room: NFS).
 *
 * Operations are decoded one by one, so those before a malformed one still run. A failed operation ends the request
 * and its result is the last. What rows of ops.def demand is checked here and nowhere else.
 *
 * Sources: RFC 8881 sections 2.10.6, 16.2 and 20.2; RFC 7530 section 15.2.
 */
#include "nfs/compound.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "metrics/metrics.h"
#include "nfs/grant.h"
#include "nfs/names.h"
#include "nfs/pseudo.h"
#include "nfs/replay.h"
#include "nfs/turn.h"

#define NOBODY             65534u
#define ERROR_RESULT_BYTES 12u /* operation number, status, and the empty bitmap of SETATTR */

/* ---- the places that a compound moves between ---- */

struct fh place_fh(const struct place *place)
{
    if (place_is_pseudo(place))
        return (struct fh){ .kind = FH_PSEUDO };
    return (struct fh){ .kind = FH_NODE,
        .fs_tag = place->volume->tag,
        .node = place->node,
        .access_point = place->access_tag };
}

enum nfsstat4 place_get_attr(struct compound *compound, struct place *place)
{
    if (place->has_attr)
        return NFS4_OK;
    if (place_is_pseudo(place)) {
        pseudo_attr(compound->server, &place->attr);
    } else {
        int err = fs_getattr(place->volume->fs, place->node, &place->attr);
        if (err < 0)
            return nfs_status(err);
    }
    place->has_attr = true;
    place->type = place->attr.type;
    return NFS4_OK;
}

enum nfsstat4 place_get_type(struct compound *compound, struct place *place, enum fs_type *out_type)
{
    if (place->type == 0) {
        enum nfsstat4 status = place_get_attr(compound, place);
        if (status != NFS4_OK)
            return status;
    }
    *out_type = place->type;
    return NFS4_OK;
}

void compound_set_node(
    struct compound *compound, struct nfs_volume *volume, const struct fs_attr *attr)
{
    struct place *current = &compound->current;
    current->is_set = true;
    current->volume = volume;
    current->node = attr->node;
    current->stateid = (struct state_stateid){ 0 };
    compound_set_attr(compound, attr);
}

void compound_set_attr(struct compound *compound, const struct fs_attr *attr)
{
    compound->current.has_attr = true;
    compound->current.type = attr->type;
    compound->current.attr = *attr;
}

/* Who the request says it is. AUTH_NONE is nobody. */
static void set_cred(struct compound *compound)
{
    const struct rpc_cred *cred = &compound->request->call.cred;
    if (cred->flavor == RPC_AUTH_SYS) {
        compound->cred = (struct fs_cred){ .uid = cred->uid,
            .gid = cred->gid,
            .group_count = cred->group_count,
            .groups = cred->groups };
    } else {
        compound->cred = (struct fs_cred){ .uid = NOBODY, .gid = NOBODY };
    }
}

void compound_set_pseudo(struct compound *compound)
{
    struct fs_attr attr;
    pseudo_attr(compound->server, &attr);
    compound->current.access_tag = 0;
    set_cred(compound);
    compound_set_node(compound, NULL, &attr);
}

/* The access point's user in place of the request's. */
static enum nfsstat4 set_access_user(struct compound *compound, const struct nfs_grant *grant)
{
    uint32_t *groups = NULL;
    if (grant->group_count > 0) {
        groups = arena_alloc(compound->arena, grant->group_count * sizeof *groups);
        if (groups == NULL)
            return NFS4ERR_DELAY;
        memcpy(groups, grant->groups, grant->group_count * sizeof *groups);
    }
    compound->cred = (struct fs_cred){
        .uid = grant->uid, .gid = grant->gid, .group_count = grant->group_count, .groups = groups
    };
    return NFS4_OK;
}

enum nfsstat4 compound_enter(
    struct compound *compound, struct nfs_volume *volume, uint64_t access_tag)
{
    const struct nfs_grant *grant = nfs_grant(compound->conn, volume, access_tag);
    if (grant == NULL)
        return NFS4ERR_STALE;
    if ((grant->rights & NFS_RIGHT_MOUNT) == 0)
        return NFS4ERR_ACCESS;
    set_cred(compound);
    if (grant->has_user) {
        enum nfsstat4 status = set_access_user(compound, grant);
        if (status != NFS4_OK)
            return status;
    }
    if ((grant->rights & NFS_RIGHT_ROOT) == 0 && compound->cred.uid == 0)
        compound->cred = (struct fs_cred){ .uid = NOBODY, .gid = NOBODY };
    compound->current.access_tag = access_tag;
    return NFS4_OK;
}

bool compound_may_write(const struct compound *compound)
{
    const struct place *current = &compound->current;
    if (place_is_pseudo(current) || fs_place_of(current->volume->fs, current->node) != FS_LIVE)
        return false;
    const struct nfs_grant *grant = nfs_grant(compound->conn, current->volume, current->access_tag);
    return grant != NULL && (grant->rights & NFS_RIGHT_WRITE) != 0;
}

bool compound_is_same_user(
    const struct compound *compound, const struct place *a, const struct place *b)
{
    if (!places_are_apart(a, b))
        return true;
    if (place_is_pseudo(a) || place_is_pseudo(b) || a->access_tag != b->access_tag)
        return false;
    const struct nfs_grant *grant = nfs_grant(compound->conn, a->volume, 0);
    unsigned rights = grant != NULL ? grant->rights : 0;
    grant = nfs_grant(compound->conn, b->volume, 0);
    return grant != NULL && a->access_tag == 0 && rights == grant->rights;
}

enum nfsstat4 compound_keep_volume(struct compound *compound, struct nfs_volume *volume)
{
    struct pinned_volume *pinned = arena_alloc(compound->arena, sizeof *pinned);
    if (pinned == NULL) {
        nfs_volume_unpin(volume);
        return NFS4ERR_DELAY;
    }
    *pinned = (struct pinned_volume){ .next = compound->pinned, .volume = volume };
    compound->pinned = pinned;
    return NFS4_OK;
}

enum nfsstat4 compound_find_volume(
    struct compound *compound, uint64_t fs_tag, struct nfs_volume **out_volume)
{
    for (struct pinned_volume *pinned = compound->pinned; pinned != NULL; pinned = pinned->next) {
        if (pinned->volume->tag == fs_tag) {
            *out_volume = pinned->volume;
            return NFS4_OK;
        }
    }
    if (compound->conn->volume != NULL)
        return NFS4ERR_STALE; /* of another file system than the one of this mount target */
    struct nfs_volume *volume;
    int err = view_get_volume_by_tag(compound->server, fs_tag, &volume);
    if (err == -ENOENT)
        return NFS4ERR_STALE;
    if (err < 0)
        return nfs_status(err);
    enum nfsstat4 status = compound_keep_volume(compound, volume);
    if (status == NFS4_OK)
        *out_volume = volume;
    return status;
}

unsigned compound_versions(const struct compound *compound)
{
    unsigned versions = 1u << compound->minor;
    struct nfs_volume *volume = compound->current.volume;
    if (!view_is_strict(compound->conn, volume))
        versions |= EXTENDED;
    if (compound->minor < 2 || volume == NULL)
        return versions;
    if (compound->server->options.delegated_times && (versions & EXTENDED) != 0)
        versions |= DELEG_TIMES;
    if ((volume->fs->ops->caps & FS_CAP_XATTRS) != 0)
        versions |= XATTRS;
    if ((volume->fs->ops->caps & FS_CAP_CLONE) != 0)
        versions |= CLONES;
    return versions;
}

enum nfsstat4 compound_require_directory(struct compound *compound)
{
    enum fs_type type;
    enum nfsstat4 status = place_get_type(compound, &compound->current, &type);
    if (status != NFS4_OK)
        return status;
    switch (type) {
    case FS_DIRECTORY:
        return NFS4_OK;
    case FS_SYMLINK:
        return NFS4ERR_SYMLINK;
    default:
        return NFS4ERR_NOTDIR;
    }
}

enum nfsstat4 compound_require_regular(struct compound *compound)
{
    enum fs_type type;
    enum nfsstat4 status = place_get_type(compound, &compound->current, &type);
    if (status != NFS4_OK)
        return status;
    switch (type) {
    case FS_REGULAR:
        return NFS4_OK;
    case FS_DIRECTORY:
        return NFS4ERR_ISDIR;
    case FS_SYMLINK:
        return compound->minor == 0 ? NFS4ERR_INVAL : NFS4ERR_SYMLINK;
    default:
        return compound->minor == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE;
    }
}

void compound_set_limit(struct compound *compound, size_t size_limit)
{
    bool is_last = compound->op_index + 1 >= compound->op_count;
    compound->size_limit = size_limit;
    compound->enc->size_max = size_limit - (is_last ? 0 : ERROR_RESULT_BYTES);
}

size_t compound_room(const struct compound *compound)
{
    const struct xdr_encoder *enc = compound->enc;
    return enc->size_max - xdr_position(enc);
}

struct state_stateid place_stateid(
    const struct compound *compound, const struct place *place, const struct stateid4 *stateid)
{
    struct state_stateid copy = { .seqid = stateid->seqid };
    memcpy(copy.other, stateid->other, sizeof copy.other);
    if (compound->minor > 0 && state_stateid_is_current(&copy))
        return place->stateid;
    return copy;
}

struct state_stateid compound_stateid(
    const struct compound *compound, const struct stateid4 *stateid)
{
    return place_stateid(compound, &compound->current, stateid);
}

void compound_put_stateid(struct stateid4 *out, const struct state_stateid *stateid)
{
    out->seqid = stateid->seqid;
    memcpy(out->other, stateid->other, sizeof out->other);
}

struct state_file_ref place_file_ref(const struct place *place)
{
    assert(place->volume != NULL);
    return (struct state_file_ref){ .files = place->volume->files,
        .key = file_key_of(place->node),
        .view_tag = place->access_tag };
}

struct state_file_ref compound_file_ref(const struct compound *compound)
{
    return place_file_ref(&compound->current);
}

struct slice compound_principal(const struct compound *compound, uint8_t buffer[PRINCIPAL_SIZE_MAX])
{
    const struct rpc_cred *cred = &compound->request->call.cred;
    store_be32(buffer, (uint32_t)cred->flavor);
    if (cred->flavor != RPC_AUTH_SYS)
        return slice_of(buffer, 4);
    store_be32(buffer + 4, cred->uid);
    size_t name_size = min_size(cred->machine_name.size, RPC_MACHINE_NAME_SIZE_MAX);
    if (name_size > 0)
        memcpy(buffer + 8, cred->machine_name.data, name_size);
    return slice_of(buffer, 8 + name_size);
}

/* ---- one operation ---- */

/* Where the operation stands: RFC 8881 sections 2.10.6.1.3 and 18.46.3. */
static enum nfsstat4 check_session(const struct compound *compound, const struct nfs_op *op)
{
    bool is_sequence = op->handler == op_sequence;
    if (compound->minor == 0)
        return NFS4_OK;
    if (is_sequence)
        return compound->op_index == 0 ? NFS4_OK : NFS4ERR_SEQUENCE_POS;
    if ((op->flags & ALONE) != 0 && compound->op_count > 1)
        return NFS4ERR_NOT_ONLY_OP;
    if (compound->has_ticket)
        return NFS4_OK;
    if ((op->flags & SESSIONLESS) == 0)
        return NFS4ERR_OP_NOT_IN_SESSION;
    return compound->op_count == 1 ? NFS4_OK : NFS4ERR_NOT_ONLY_OP;
}

static enum nfsstat4 check_needs(struct compound *compound, const struct nfs_op *op)
{
    if ((op->flags & NEEDS_FH) != 0 && !compound->current.is_set)
        return NFS4ERR_NOFILEHANDLE;
    if ((op->flags & NEEDS_SAVED_FH) != 0 && !compound->saved.is_set)
        return NFS4ERR_NOFILEHANDLE;
    if ((op->flags & NEEDS_DIR) == NEEDS_DIR) {
        enum nfsstat4 status = compound_require_directory(compound);
        if (status != NFS4_OK)
            return status;
    }
    if ((op->flags & WRITES) == WRITES && !compound_may_write(compound))
        return NFS4ERR_ROFS;
    if ((op->flags & ONCE) != 0 && compound_room(compound) < op->reply_max_bytes)
        return compound->too_big;
    return NFS4_OK;
}

static enum nfsstat4 run_handler(struct compound *compound, struct xdr_decoder *args,
    const struct nfs_op *op, uint32_t opcode, union nfs_resop4 *res)
{
    enum nfsstat4 status = nfs_op_check_minor(op, compound->minor);
    if (status != NFS4_OK)
        return status;
    status = check_session(compound, op);
    if (status != NFS4_OK || op->handler == op_notsupp)
        return status != NFS4_OK ? status : NFS4ERR_NOTSUPP;
    union nfs_argop4 arg;
    if (!nfs_argop4_decode(args, opcode, &arg))
        return args->no_memory ? NFS4ERR_DELAY : NFS4ERR_BADXDR;
    status = check_needs(compound, op);
    if (status != NFS4_OK)
        return status;
    if ((op->flags & REPLAYED) != 0 && compound->minor == 0) {
        status = replay_begin(compound);
        if (status != NFS4_OK || compound->is_replayed)
            return status;
    }
    if ((op->flags & TURN) != 0 && compound->minor == 0) {
        status = turn_begin(compound, opcode, &arg);
        if (status != NFS4_OK || compound->turn.is_replay)
            return status;
    }
    if ((op->flags & STREAMS) != 0)
        xdr_put_u32(compound->enc, NFS4_OK);
    if ((op->flags & CHANGES) != 0) {
        compound->current.has_attr = false;
        compound->saved.has_attr = false;
    }
    return op->handler(compound, &arg, res);
}

/* Writes the result of a failed operation in place of what it encoded. It is the last of the reply, and every
 * operation before it has left room for it. */
static void put_error_result(
    struct compound *compound, struct xdr_mark mark, uint32_t opcode, enum nfsstat4 status)
{
    struct xdr_encoder *enc = compound->enc;
    xdr_rewind(enc, mark);
    enc->size_max = compound->size_limit;
    xdr_put_u32(enc, opcode);
    xdr_put_u32(enc, status);
    if (opcode == OP_SETATTR)
        xdr_put_u32(enc, 0); /* the one result with more than the status of a failure: attrsset */
}

/* Runs the next operation and writes its result. */
static enum nfsstat4 run_op(struct compound *compound, struct xdr_decoder *args)
{
    struct xdr_encoder *enc = compound->enc;
    struct xdr_mark mark = xdr_mark(enc);
    union nfs_resop4 res;
    uint32_t opcode;
    if (!xdr_get_u32(args, &opcode)) {
        put_error_result(compound, mark, OP_ILLEGAL, NFS4ERR_BADXDR);
        return NFS4ERR_BADXDR;
    }
    const struct nfs_op *op = nfs_op_find(opcode);
    if (op == NULL || nfs_op_check_minor(op, compound->minor) == NFS4ERR_OP_ILLEGAL) {
        put_error_result(compound, mark, OP_ILLEGAL, NFS4ERR_OP_ILLEGAL);
        return NFS4ERR_OP_ILLEGAL;
    }
    memset(&res, 0, sizeof res);
    xdr_put_u32(enc, opcode);
    enum nfsstat4 status = run_handler(compound, args, op, opcode, &res);
    if (compound->in_turn && compound->turn.is_replay) {
        status = turn_replay(compound, opcode);
    } else if ((op->flags & STREAMS) == 0) {
        res.opillegal.status = status; /* every result begins with it */
        nfs_resop4_encode(enc, opcode, &res);
    }
    if (enc->failed)
        status = compound->too_big;
    if (enc->failed || ((op->flags & STREAMS) != 0 && status != NFS4_OK))
        put_error_result(compound, mark, opcode, status);
    if (compound->in_turn)
        turn_end(compound, opcode, status, mark.size);
    uint64_t now_ns = clock_monotonic_ns();
    metrics_observe(METRIC_NFS_OP_SECONDS, opcode, now_ns - compound->op_start_ns);
    compound->op_start_ns = now_ns; /* of the next one: asking for the time is what costs here */
    if (status != NFS4_OK)
        metrics_add(METRIC_NFS_OP_ERRORS, opcode, 1);
    return status;
}

/* ---- the whole ---- */

/* The results as they are to be kept for a retry; empty when they take more bytes, or were not encoded. */
static struct slice results_of(const struct compound *compound, size_t size_max)
{
    const struct xdr_encoder *enc = compound->enc;
    size_t size = xdr_position(enc) - compound->results_start;
    if (enc->failed || size > size_max)
        return slice_of(NULL, 0);
    if (enc->reference_count == 0)
        return slice_of(enc->data + compound->results_start, size);
    uint8_t *flat = arena_alloc(compound->arena, size);
    if (flat == NULL)
        return slice_of(NULL, 0);
    size_t filled = 0;
    size_t from = compound->results_start;
    for (uint32_t i = 0; i <= enc->reference_count; i++) {
        size_t to = i < enc->reference_count ? enc->references[i].at : enc->size;
        memcpy(flat + filled, enc->data + from, to - from);
        filled += to - from;
        from = to;
        if (i < enc->reference_count) {
            memcpy(flat + filled, enc->references[i].bytes.data, enc->references[i].bytes.size);
            filled += enc->references[i].bytes.size;
        }
    }
    assert(filled == size);
    return slice_of(flat, size);
}

static void put_replay(struct compound *compound, struct slice replay)
{
    xdr_rewind(compound->enc, (struct xdr_mark){ .size = compound->results_start });
    compound->enc->size_max = compound->size_limit;
    xdr_put_fixed(compound->enc, replay);
}

static void compound_end(struct compound *compound)
{
    if (compound->has_ticket) {
        const struct state_ticket *ticket = &compound->ticket;
        struct slice reply = slice_of(NULL, 0);
        if (ticket->is_replay)
            put_replay(compound, ticket->replay);
        else if (ticket->cachethis)
            reply = results_of(compound, ticket->response_cached_size_max);
        state_sequence_end(&compound->ticket, reply);
    }
    if (compound->is_replayed)
        put_replay(compound, compound->replayed);
    if (compound->replay != NULL)
        replay_end(compound, results_of(compound, REPLAY_SIZE_MAX));
    while (compound->pinned != NULL) {
        nfs_volume_unpin(compound->pinned->volume);
        compound->pinned = compound->pinned->next;
    }
}

static void run_ops(struct compound *compound, struct xdr_decoder *args, struct slice tag)
{
    struct xdr_encoder *enc = compound->enc;
    size_t status_at = enc->size;
    xdr_put_u32(enc, NFS4_OK);
    xdr_put_opaque(enc, tag);
    size_t count_at = enc->size;
    xdr_put_u32(enc, 0);
    if (enc->failed)
        return;
    enum nfsstat4 status = NFS4_OK;
    uint32_t done = 0;
    while (status == NFS4_OK && done < compound->op_count) {
        compound->op_index = done;
        compound_set_limit(compound, compound->size_limit);
        status = run_op(compound, args);
        if ((compound->has_ticket && compound->ticket.is_replay) || compound->is_replayed)
            return;
        done++;
    }
    if (enc->failed)
        return;
    store_be32(enc->data + status_at, status);
    store_be32(enc->data + count_at, done);
}

/* A COMPOUND that is refused as a whole. */
static int put_refusal(struct xdr_encoder *enc, enum nfsstat4 status, struct slice tag)
{
    xdr_put_u32(enc, status);
    xdr_put_opaque(enc, tag);
    xdr_put_u32(enc, 0);
    return RPC_SUCCESS;
}

int compound_serve(struct nfs_server *server, struct nfs_conn *conn, struct rpc_request *request)
{
    struct xdr_decoder *args = &request->args;
    struct xdr_encoder *enc = &request->reply;
    struct slice tag;
    struct compound compound = { .server = server,
        .conn = conn,
        .request = request,
        .arena = request->arena,
        .enc = enc,
        .args_start = args->next,
        .results_start = enc->size,
        .op_start_ns = clock_monotonic_ns(),
        .too_big = NFS4ERR_REP_TOO_BIG };
    if (!xdr_get_opaque(args, NFS4_TAG_MAX, &tag) || !xdr_get_u32(args, &compound.minor) ||
        !xdr_get_u32(args, &compound.op_count))
        return RPC_GARBAGE_ARGS;
    /* EFS: NFSv4.0 and 4.1. */
    if (compound.minor > NFS_MINOR_MAX || (compound.minor > 1 && view_is_strict(conn, NULL)))
        return put_refusal(enc, NFS4ERR_MINOR_VERS_MISMATCH, tag);
    if (!name_is_utf8(tag))
        return put_refusal(enc, NFS4ERR_INVAL, tag);
    if (compound.minor == 0)
        compound.too_big = NFS4ERR_RESOURCE;
    if (compound.minor == 0 && compound.op_count > NFS4_OPS_MAX)
        return put_refusal(enc, NFS4ERR_RESOURCE, tag); /* in a session, SEQUENCE says so */
    set_cred(&compound);
    compound.caller =
        (struct state_caller){ .server = server->pseudo_state, .now_ms = clock_coarse_ms() };
    if (compound.minor == 0)
        callpath_speak(&compound);
    compound.size_limit = enc->size_max;
    if (conn->volume != NULL) {
        if (!nfs_volume_pin(conn->volume))
            return RPC_SERVER_DROP;
        if (compound_keep_volume(&compound, conn->volume) != NFS4_OK)
            return RPC_SYSTEM_ERR;
        compound.caller.server = conn->face->state;
    }
    run_ops(&compound, args, tag);
    compound_end(&compound);
    if (compound.is_replayed && compound.replayed.size == 0)
        return RPC_SERVER_DROP;
    return enc->failed ? RPC_SYSTEM_ERR : RPC_SUCCESS;
}
