/*
 * tests/fuzz/conversation.h - conversations of several NFS clients with a server in memory, from a string of steps.
 *
 * A step is STEP_SIZE bytes and adds one operation to the COMPOUND of one peer; stateids, filehandles, clientids and
 * sequence numbers are not in the bytes, but are chosen by them among what earlier replies gave: right, old, off by
 * one, or of another peer. So any string is a conversation, and most get far. The clock is the conversation's own.
 */
#pragma once

#include "tests/unit/nfs/harness.h"

#define STEP_SIZE     8u
#define STEP_MAX      96u
#define PEER_COUNT    4u
#define SLOT_COUNT    4u
#define STATEID_COUNT 24u
#define HANDLE_COUNT  12u
#define FUZZ_LEASE_MS 60000u

/* The bytes of a step. What is not needed by an operation is ignored. */
struct step {
    uint8_t op;      /* row of ops[] in conversation_ops.c */
    uint8_t who;     /* STEP_PEER, STEP_SLOT, ... */
    uint8_t place;   /* low 3 bits: how the current filehandle is set; the others: which one */
    uint8_t stateid; /* low 5 bits: which; the others: what is wrong with it */
    uint8_t flags;   /* of the operation: access and deny, lock type, ... */
    uint8_t offset;
    uint8_t length;
    uint8_t extra; /* second name; what is wrong with the sequence number */
};

#define STEP_PEER(who) ((who)&3u)
#define STEP_MORE      0x04u /* the next step of the peer goes into the same COMPOUND */
#define STEP_CACHE     0x08u
#define STEP_SLOT(who) ((who) >> 4 & 3u)
#define STEP_CONTROL \
    0xf0u /* from here `op` is no operation: time, connections, restarts, callbacks */
#define STEP_AGAIN     0x40u /* with an odd `extra`: the peer's last request goes out again instead */
#define STEP_WRONG_SEQ 0x80u /* with an odd `extra`: a wrong SEQUENCE */

/* A request that can be sent again, and what it was answered. */
struct sent {
    struct slice request;
    size_t count_at;
    uint32_t op_count;
    struct slice reply;
    uint32_t xid;
    bool ran;           /* its SEQUENCE succeeded */
    bool has_done_once; /* 4.0: ended with a change of names, which must not be made twice */
};

struct peer {
    struct harness_client link;
    uint32_t index;
    uint32_t minor;
    char owner[8];
    uint64_t verifier;
    uint64_t clientid;
    uint32_t create_seqid; /* eir_sequenceid */
    uint8_t confirm[NFS4_VERIFIER_SIZE];
    uint8_t sessionid[NFS4_SESSIONID_SIZE];
    uint8_t old_sessionid[NFS4_SESSIONID_SIZE];
    uint32_t seqids[SLOT_COUNT];
    uint32_t open_seqid, lock_seqid; /* of 4.0's owners: the next one */
    /* of the request that is being built: */
    bool is_wrong;   /* its SEQUENCE must fail */
    bool in_session; /* it has the SEQUENCE of `slot` */
    bool wrong_turn; /* an owner's number was not the next one */
    uint32_t slot, sent_seqid;
    struct sent last;
    uint8_t callback_mode; /* how it answers callbacks */
};

struct known_stateid {
    struct stateid4 id;
    uint8_t peer;
};

struct talk {
    struct harness *h;
    struct peer peers[PEER_COUNT];
    struct known_stateid stateids[STATEID_COUNT];
    uint32_t stateid_count; /* ever known: a ring */
    struct slice handles[HANDLE_COUNT];
    uint32_t handle_count;
    uint32_t restart_count;
    struct peer *newest;   /* who sent the last request; NULL: something else happened since */
    struct peer *building; /* whose request is in the encoder; NULL: none is */
};

/* ---- conversation.c ---- */

/* A server with some files, and all peers with their sessions. */
void talk_start(struct talk *talk);
void talk_step(struct talk *talk, const struct step *step);
/* Every peer leaves; fails when anything is left of it. */
void talk_end(struct talk *talk);

void fuzz_clock_add_ms(uint64_t ms);

/* ---- conversation_ops.c, conversation_state_ops.c ---- */

/* Adds the operation of a step, and what it needs before it; nothing when the minor version has none such. */
void add_step_op(struct talk *talk, struct peer *peer, const struct step *step);
/* Whether the operation goes without SEQUENCE. */
bool step_is_alone(const struct step *step);
/* The requests that begin and end a peer's life. `arena`: what is in the arguments is static. */
union nfs_argop4 exchange_id_args(const struct peer *peer);
union nfs_argop4 create_session_args(const struct peer *peer, uint8_t flags);
union nfs_argop4 setclientid_args(const struct peer *peer);
union nfs_argop4 setclientid_confirm_args(const struct peer *peer);

/* ---- conversation_checks.c ---- */

/* Aborts when an operation may not be answered so in this minor version. */
void check_status(uint32_t minor, uint32_t opcode, enum nfsstat4 status);
/* Aborts with a message. */
_Noreturn void talk_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
