/*
 * tests/fuzz/conversation_ops.h - what the two files with the operations' arguments share.
 */
#pragma once

#include "tests/fuzz/conversation.h"

/* Fills the arguments of a step's operation. What they point at is static, or in the harness's arena. */
typedef void build_op(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg);

/* Bytes of a step, as the values that they choose. */
struct slice name_of(uint8_t byte);
uint64_t offset_of(uint8_t byte);
uint32_t count_of(uint8_t byte);
struct slice owner_name(uint8_t flags);
/* One of those that a reply gave; by the upper bits as it is, too old, too new, unversioned, damaged, or special. */
struct stateid4 stateid_of(struct talk *talk, uint8_t byte);
/* 4.0's next number of an owner, or a wrong one. */
uint32_t owner_seqid(uint32_t next, uint8_t extra);
struct fattr4 attrs_of(struct talk *talk, const struct step *step);

/* conversation_state_ops.c: clients, sessions, opens, locks, delegations. */
build_op build_exchange_id, build_create_session, build_destroy_session, build_destroy_clientid,
    build_bind_conn, build_reclaim_complete, build_setclientid, build_setclientid_confirm,
    build_renew, build_release_lockowner, build_open, build_open_confirm, build_open_downgrade,
    build_close, build_lock, build_lockt, build_locku, build_delegreturn, build_free_stateid,
    build_test_stateid;
