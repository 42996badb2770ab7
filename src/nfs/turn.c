/*
 * nfs/turn.c - operations that owners of version 4.0 number (room: NFS).
 */
#include "nfs/turn.h"

static struct state_stateid stateid_of(const struct stateid4 *stateid)
{
    struct state_stateid copy = { .seqid = stateid->seqid };
    memcpy(copy.other, stateid->other, sizeof copy.other);
    return copy;
}

static enum state_status begin_lock(
    struct compound *compound, const struct locker4 *locker, struct state_turn *turn)
{
    if (!locker->new_lock_owner) {
        struct state_stateid stateid = stateid_of(&locker->lock_owner.lock_stateid);
        return state_turn_begin(
            &compound->caller, &stateid, locker->lock_owner.lock_seqid, false, turn);
    }
    const struct open_to_lock_owner4 *by_open = &locker->open_owner;
    struct state_stateid stateid = stateid_of(&by_open->open_stateid);
    return state_turn_begin_lock(&compound->caller, &stateid, by_open->open_seqid,
        by_open->lock_owner.owner, by_open->lock_seqid, turn);
}

static enum state_status begin_by_stateid(struct compound *compound,
    const struct stateid4 *stateid4, uint32_t seqid, bool confirms, struct state_turn *turn)
{
    struct state_stateid stateid = stateid_of(stateid4);
    return state_turn_begin(&compound->caller, &stateid, seqid, confirms, turn);
}

enum nfsstat4 turn_begin(struct compound *compound, uint32_t opcode, const union nfs_argop4 *arg)
{
    struct state_turn *turn = &compound->turn;
    enum state_status status = STATE_INVAL;
    switch (opcode) { /* each has its owner and number somewhere else */
    case OP_OPEN:
        status = state_turn_begin_open(&compound->caller, arg->opopen.owner.clientid,
            arg->opopen.owner.owner, arg->opopen.seqid, turn);
        break;
    case OP_OPEN_CONFIRM:
        status = begin_by_stateid(
            compound, &arg->opopen_confirm.open_stateid, arg->opopen_confirm.seqid, true, turn);
        break;
    case OP_OPEN_DOWNGRADE:
        status = begin_by_stateid(compound, &arg->opopen_downgrade.open_stateid,
            arg->opopen_downgrade.seqid, false, turn);
        break;
    case OP_CLOSE:
        status =
            begin_by_stateid(compound, &arg->opclose.open_stateid, arg->opclose.seqid, false, turn);
        break;
    case OP_LOCK:
        status = begin_lock(compound, &arg->oplock.locker, turn);
        break;
    case OP_LOCKU:
        status =
            begin_by_stateid(compound, &arg->oplocku.lock_stateid, arg->oplocku.seqid, false, turn);
        break;
    default:
        assert(false && "a row with TURN has a case here");
    }
    if (status != STATE_OK)
        return nfs_state_status(status);
    compound->in_turn = true;
    compound->caller.client = turn->client;
    callpath_note(compound, state_client_id(turn->client));
    return NFS4_OK;
}

static void leave(struct compound *compound, enum nfsstat4 status, struct slice result,
    const struct state_file_ref *file)
{
    state_turn_end(&compound->turn, (enum state_status)status, result, file);
    compound->in_turn = false;
    compound->caller.client = NULL;
}

/* Whether a replay answers this request: another operation with the same number, or the same one for a file of another
 * file system, is not what was asked before. */
static bool is_same_request(const struct compound *compound, uint32_t opcode)
{
    const struct state_turn *turn = &compound->turn;
    const struct nfs_volume *volume = compound->current.volume;
    if (load_be32(turn->replay.data) != opcode)
        return false;
    return !turn->has_replay_file || (volume != NULL && volume->files == turn->replay_file.files);
}

enum nfsstat4 turn_replay(struct compound *compound, uint32_t opcode)
{
    const struct state_turn *turn = &compound->turn;
    struct place *current = &compound->current;
    assert(turn->is_replay && turn->replay.size >= 8);
    if (!is_same_request(compound, opcode)) {
        xdr_put_u32(compound->enc, NFS4ERR_BAD_SEQID);
        leave(compound, NFS4ERR_BAD_SEQID, slice_of(NULL, 0), NULL);
        return NFS4ERR_BAD_SEQID;
    }
    if (turn->has_replay_file) {
        const struct state_file_ref *file = &turn->replay_file;
        *current = (struct place){ .is_set = true,
            .volume = current->volume,
            .node = { .inode = file->key.inode, .generation = file->key.generation } };
    }
    enum nfsstat4 status = load_be32(turn->replay.data + 4);
    xdr_put_fixed(compound->enc, slice_of(turn->replay.data + 4, turn->replay.size - 4));
    leave(compound, status, slice_of(NULL, 0), NULL);
    return status;
}

void turn_end(struct compound *compound, uint32_t opcode, enum nfsstat4 status, size_t result_start)
{
    const struct xdr_encoder *enc = compound->enc;
    struct slice result = slice_of(enc->data + result_start, enc->size - result_start);
    if (opcode == OP_OPEN && status == NFS4_OK) {
        struct state_file_ref file = compound_file_ref(compound);
        leave(compound, status, result, &file);
    } else {
        leave(compound, status, result, NULL);
    }
}
