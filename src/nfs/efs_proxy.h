/*
 * nfs/efs_proxy.h - RPC program 400123, which the proxy of efs-utils speaks before NFS: xdr/efs_proxy.x.
 *
 * Its first message on each connection asks which part of the service ("partition") the connection has reached. When
 * that is the same for several, the proxy spreads the requests of one client over them, without BIND_CONN_TO_SESSION:
 * SEQUENCE binds a connection that it comes on (RFC 8881 section 2.10.3.1, SP4_NONE). Each of our servers (nfs/face.h) is
 * one partition for ever.
 */
#pragma once

#include "nfs/view.h"

/* Serves a call of the program: an enum rpc_accept_stat, or RPC_SERVER_DROP. May wait. */
int efs_proxy_serve(struct nfs_server *server, struct nfs_conn *conn, struct rpc_request *request);
