/*
 * state/back.h - the back channel of clients: which session, slot and connection a callback goes by
 * (RFC 8881 section 2.10.3.1), and in version 4.0 which connection. The nfs room makes those, and does the calling.
 */
#pragma once

#include "state/types.h"

#define STATE_CB_SECURITY_MAX 1024u

struct state_back_call {
    uint8_t sessionid[STATE_SESSIONID_SIZE];
    uint32_t index; /* of the session: this room's own */
    uint32_t slotid, seqid, highest_slotid;
    uint32_t minor; /* of CREATE_SESSION */
    bool is_v40;    /* of a client of 4.0: without a session */
    uint64_t clientid;
    uint32_t ident; /* 4.0: callback_ident */
    uint32_t request_size_max;
    uint64_t conn_id;
    uint32_t cb_program;
    struct slice cb_security; /* csa_sec_parms as they came; points into `security` */
    uint8_t security[STATE_CB_SECURITY_MAX];
};

/* Takes a slot for one callback to a client, in any of its sessions with a connection that is bound to the back
 * channel; of 4.0: one of a few at a time. Errors: STATE_NOENT: there is none, or no such client; STATE_DELAY: all slots are in use. */
MUST_CHECK enum state_status state_back_begin(
    struct state *state, uint64_t clientid, struct state_back_call *out);

/* The same, in one session. */
MUST_CHECK enum state_status state_back_begin_in(struct state *state,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], struct state_back_call *out);

enum state_back_end {
    STATE_BACK_RAN,     /* the client executed it: the slot moves on */
    STATE_BACK_NOT_RUN, /* it refused it, or never got it */
    STATE_BACK_SILENT,  /* no answer came: the connection is no longer used for callbacks */
    STATE_BACK_FAULT, /* its answer made no sense: SEQ4_STATUS_BACKCHANNEL_FAULT until the session goes */
};
/* Gives the slot back. */
void state_back_end(
    struct state *state, const struct state_back_call *call, enum state_back_end how);

/* Whether the client can be called back at all, now. */
bool state_back_is_up(const struct state_client *client);
