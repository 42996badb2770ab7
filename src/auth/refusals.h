/*
 * auth/refusals.h - the connections and mounts that were refused last, and why.
 *
 * Who cannot mount sees a closed connection or "access denied"; only the server knows the reason. `shoal doctor` asks for it
 * here, by the API (control/refusals.c). It is kept in memory, of a fixed size: the same refusal of the same host again only
 * counts up, so a host that knocks on and on has one place, and the oldest gives way to a new one. Thread-safe; never waits for
 * anything but the lock.
 */
#pragma once

#include <sys/socket.h>

#include "fs/volumes.h"

#define REFUSALS_MAX         1024u
#define REFUSAL_REASON_SIZE  256u
#define REFUSAL_ADDRESS_SIZE 46u /* INET6_ADDRSTRLEN */

/* How far the client came. */
enum refusal_stage {
    REFUSED_CONNECTION,  /* nfs.listen, or no security group admits it */
    REFUSED_TLS,         /* the handshake failed */
    REFUSED_CERTIFICATE, /* forged, expired, or for something else */
    REFUSED_MOUNT,       /* a policy withholds ClientMount, or the file system cannot be opened */
    REFUSED_GARBAGE,     /* what came was no RPC */
    REFUSED_STAGE_COUNT,
};

/* "connection", "tls", ... */
const char *refusal_stage_name(enum refusal_stage stage);

struct refusal {
    int64_t now_ms; /* the last time */
    enum refusal_stage stage;
    uint64_t count;
    char source[REFUSAL_ADDRESS_SIZE]; /* the client's address */
    char target[REFUSAL_ADDRESS_SIZE]; /* the address that it came to */
    char file_system[FS_ID_SIZE];      /* "": not known */
    char reason[REFUSAL_REASON_SIZE];
};

struct refusals;

/* Errors: -ENOMEM. */
MUST_CHECK int refusals_new(struct refusals **out_refusals);
/* NULL is allowed. */
void refusals_free(struct refusals *refusals);

/* What is noted; borrowed for the call. */
struct refusal_note {
    int64_t now_ms;
    enum refusal_stage stage;
    const struct sockaddr_storage *source;
    const struct sockaddr_storage *target;
    const char *file_system; /* NULL: not known */
    const char *reason;      /* cut at REFUSAL_REASON_SIZE */
};

/* Notes one. `refusals` NULL: nothing is kept. */
void refusals_note(struct refusals *refusals, const struct refusal_note *note);

/* Gives up to `count_max`, the newest first. `source` "": of any client; `file_system` "": of any; one whose file system is not
 * known fits all. */
size_t refusals_list(struct refusals *refusals, const char *source, const char *file_system,
    size_t count_max, struct refusal *out_list);
