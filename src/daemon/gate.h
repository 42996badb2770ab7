/*
 * daemon/gate.h - which NFS connections are let in: those to a local address inside `nfs.listen`, from a peer that the
 * security groups of the mount target there admit (catalog/guard.c).
 *
 * The listener is bound to every address, because mount targets come and go; on Linux all of 127.0.0.0/8 is local, so
 * by default only this machine is answered. A gate stands around another program for rpc/server.h.
 */
#pragma once

#include "auth/refusals.h"
#include "catalog/catalog.h"
#include "daemon/address.h"
#include "rpc/server.h"

struct gate {
    struct rpc_program inner;
    const struct cidr_list *listen; /* borrowed */
    const struct catalog *catalog;  /* borrowed */
    struct refusals *refusals;      /* borrowed: where they are noted */
    uint64_t checked_generation;    /* of the catalog, when all connections were last looked at */
};

/* Borrows `gate` for the life of the program. */
struct rpc_program gate_program(struct gate *gate);
/* Closes the connections that the security groups do not admit any more; nothing when the catalog is as it was. Called
 * once a second, on one thread. */
void gate_check_again(struct gate *gate, struct rpc_server *server);
