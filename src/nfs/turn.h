/*
 * nfs/turn.h - operations of version 4.0 that their owner numbers (TURN in ops.def): begun, answered again, ended.
 *
 * Version 4.0 has no sessions; what makes its OPEN, CLOSE, LOCK and so on happen once is the sequence id of their open
 * or lock owner, and the saved result of the last one (RFC 7530 section 9.1.7). state/v40.h decides; compound.c
 * calls these around the handler.
 */
#pragma once

#include "nfs/compound.h"

/* Begins the turn of `opcode`, and makes its client the caller's. NFS4_OK: compound->in_turn is set, and it may be a
 * replay. Else answer with the status; there is no turn. May wait. */
MUST_CHECK enum nfsstat4 turn_begin(
    struct compound *compound, uint32_t opcode, const union nfs_argop4 *arg);
/* Answers a replay as before, in place of a result after its opcode, and ends it. Gives the status that it had;
 * NFS4ERR_BAD_SEQID: what had this number was another request. */
MUST_CHECK enum nfsstat4 turn_replay(struct compound *compound, uint32_t opcode);
/* Ends the turn; its result begins, with the opcode, at `result_start` of the reply. */
void turn_end(
    struct compound *compound, uint32_t opcode, enum nfsstat4 status, size_t result_start);
