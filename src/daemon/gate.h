/*
 * daemon/gate.h - which NFS connections are let in: those to a local address inside `nfs.listen`.
 *
 * The listener is bound to every address, because mount targets come and go; on Linux all of 127.0.0.0/8 is local, so
 * by default only this machine is answered. A gate stands around another program for rpc/server.h.
 */
#pragma once

#include "daemon/address.h"
#include "rpc/server.h"

struct gate {
    struct rpc_program inner;
    const struct cidr_list *listen; /* borrowed */
};

/* Borrows `gate` for the life of the program. */
struct rpc_program gate_program(struct gate *gate);
