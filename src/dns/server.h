/*
 * dns/server.h - the sockets of the DNS answerer: UDP and TCP, IPv4 and IPv6 (room: DNS).
 *
 * All of it runs on one thread of its own, so that questions take nothing from the reactors that serve NFS, however many come.
 * Bounded: a UDP message is answered in one go, at a rate per source (dns/limit.h); of TCP connections there is a number in all
 * and per address, each holds one message, and one that is silent is closed.
 */
#pragma once

#include "dns/answer.h"

#define DNS_LISTEN_MAX 4u

struct dns_server_options {
    const struct sockaddr_storage *listen; /* port 0: a free one */
    unsigned listen_count;                 /* 1 to DNS_LISTEN_MAX */
    uint32_t rate;                         /* answers by UDP per second and source */
    struct dns_answerer *answerer;         /* borrowed for the server's life */
};

struct dns_server;

/* Listens on all addresses, by UDP and TCP, and answers from now on. Errors: -errno of the system, and *out_failed is the index of
 * the address that could not be had (listen_count: it was something else). */
MUST_CHECK int dns_server_new(
    const struct dns_server_options *options, unsigned *out_failed, struct dns_server **out_server);
/* Closes connections that are silent; call it about once a second. From one thread. */
void dns_server_tick(struct dns_server *server);
/* Ends the thread. NULL is allowed. */
void dns_server_free(struct dns_server *server);
/* Where the listener at `index` listens, with its real port. */
const struct sockaddr_storage *dns_server_address(const struct dns_server *server, unsigned index);
