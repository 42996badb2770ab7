/*
 * dns/internal.h - what the files of the DNS server share: not for other rooms.
 */
#pragma once

#include "base/list.h"
#include "dns/limit.h"
#include "dns/server.h"
#include "io/reactor.h"

struct dns_listener {
    struct dns_server *server;
    struct reactor_source udp;
    struct reactor_source tcp;
    struct sockaddr_storage address; /* with its real port */
};

struct dns_server {
    struct reactor *reactor;
    struct dns_answerer *answerer;
    struct dns_limit *limit;
    unsigned listener_count;
    struct dns_listener listeners[DNS_LISTEN_MAX];
    struct list conns; /* struct tcp_conn; the longest silent first */
    unsigned conn_count;
};

/* Counts an answer, for /metrics. */
void dns_count(const struct dns_reply *reply);

/* The `ready` of a listening TCP socket: takes connections. */
void dns_tcp_accept(struct reactor_source *source, uint32_t events);
/* Closes the connections that have been silent for too long; `all`: every one. */
void dns_tcp_close_idle(struct dns_server *server, uint64_t now_ms, bool all);
