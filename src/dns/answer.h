/*
 * dns/answer.h - one DNS message in, one out: what the wire asks, what we say (room: DNS).
 *
 * Authoritative for one zone, efs.REGION.SUFFIX, and for nothing else; it never asks anybody. What names mean is the
 * source's business (dns/zone.h). Messages are taken apart and put together by ldns, after the header has shown that there is
 * one question and at most one more record, so that the work for a message is bounded by its name. Thread-safe.
 * Sources: RFC 1035, 2308 (negative answers), 6891 (EDNS0), 8482 (ANY), 8020 (NXDOMAIN), draft-vixie-dnsext-dns0x20.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

#define DNS_ADDRESSES_MAX  6u    /* of one answer: a target in each zone. It keeps answers small */
#define DNS_LABELS_MAX     2u    /* below the zone that can mean something: ZONE.fs-ID */
#define DNS_LABEL_SIZE     64u   /* 63 letters and the NUL */
#define DNS_MESSAGE_MAX    1232u /* that we send, and take, as the DNS flag day of 2020 has it */
#define DNS_ZONE_NAME_SIZE 240u  /* of a whole name, so that names below it fit in 255 */

/* What stands left of the zone's name, in lower case, the leftmost label first. */
struct dns_name {
    unsigned label_count;
    char labels[DNS_LABELS_MAX][DNS_LABEL_SIZE];
};

struct dns_addresses {
    unsigned count;
    struct in_addr items[DNS_ADDRESSES_MAX];
};

enum dns_found {
    DNS_NO_NAME, /* there is no such name */
    DNS_HOSTS,   /* there is, with these addresses */
    DNS_DOWN,    /* there is, but nothing serves it now */
};

/* Who knows the names. Both may be called from any thread. */
struct dns_source {
    void *context;
    /* What `name` (of one or two labels) means for an asker at `asker`; NULL: its address is none of IPv4. */
    enum dns_found (*find)(void *context, const struct dns_name *name, const struct in_addr *asker,
        struct dns_addresses *out_addresses);
    /* Grows with every change of what find() knows. */
    uint32_t (*serial)(void *context);
};

struct dns_answerer_options {
    const char *zone; /* "efs.us-east-1.shoal.internal" */
    uint32_t ttl_s;   /* of all that is answered, also of "no such name" */
    struct dns_source source;
};

struct dns_answerer;

/* Errors: -EINVAL: the zone's name is none, or too long; -ENOMEM. */
MUST_CHECK int dns_answerer_new(
    const struct dns_answerer_options *options, struct dns_answerer **out_answerer);
/* NULL is allowed. */
void dns_answerer_free(struct dns_answerer *answerer);

struct dns_query {
    struct slice message;
    struct sockaddr_storage peer;
    struct sockaddr_storage local; /* the address that was asked: where the zone's name server is */
    bool is_tcp;
    bool is_limited; /* to be told to come by TCP, whatever it asks */
};

struct dns_reply {
    size_t size; /* 0: no answer is due */
    unsigned rcode;
    uint8_t message[DNS_MESSAGE_MAX];
};

/* Answers one message. */
void dns_answer(
    struct dns_answerer *answerer, const struct dns_query *query, struct dns_reply *out_reply);
