/*
 * dns/answer.c - one DNS message in, one out (room: DNS).
 *
 * A message that cannot be told from noise (shorter than a header, or itself an answer) gets nothing: two servers that answer
 * each other's errors would never end. Everything else gets one, with the id and, as far as it could be read, the question, whose
 * name is sent back letter by letter as it came.
 */
#include "dns/answer.h"

#include <ldns/ldns.h>
#include <stdlib.h>

#include "base/bytes.h"

#define HEADER_SIZE    12u
#define UDP_SIZE_PLAIN 512u /* RFC 1035 section 4.2.1: without EDNS0 */
#define FLAGS_QR       0x8000u
#define FLAGS_OPCODE   0x7800u
#define FLAGS_RD       0x0100u
#define SOA_REFRESH_S  3600u /* these three are for secondary servers, which cannot copy this zone */
#define SOA_RETRY_S    600u
#define SOA_EXPIRE_S   86400u
#define RCODE_BADVERS  16u /* RFC 6891 section 6.1.3 */
#define NAME_SERVER    "ns"
#define HOSTMASTER     "hostmaster"

struct dns_answerer {
    struct dns_source source;
    uint32_t ttl_s;
    ldns_rdf *zone; /* in lower case */
    ldns_rdf *name_server;
    ldns_rdf *hostmaster;
};

/* An answer being made. */
struct work {
    struct dns_answerer *answerer;
    const struct dns_query *query;
    const ldns_rr *question;
    ldns_pkt *packet;
    unsigned rcode;
    bool no_memory;
};

static int make_name(const char *label, const char *zone, ldns_rdf **out_name)
{
    char text[DNS_ZONE_NAME_SIZE + 16];
    (void)snprintf(text, sizeof text, "%s%s%s", label, label[0] != '\0' ? "." : "", zone);
    ldns_rdf *name = ldns_dname_new_frm_str(text);
    if (name == NULL)
        return -EINVAL;
    ldns_dname2canonical(name);
    *out_name = name;
    return 0;
}

int dns_answerer_new(const struct dns_answerer_options *options, struct dns_answerer **out_answerer)
{
    size_t size = strlen(options->zone);
    if (size == 0 || size >= DNS_ZONE_NAME_SIZE)
        return -EINVAL;
    struct dns_answerer *answerer = calloc(1, sizeof *answerer);
    if (answerer == NULL)
        return -ENOMEM;
    answerer->source = options->source;
    answerer->ttl_s = options->ttl_s;
    int err = make_name("", options->zone, &answerer->zone);
    if (err == 0)
        err = make_name(NAME_SERVER, options->zone, &answerer->name_server);
    if (err == 0)
        err = make_name(HOSTMASTER, options->zone, &answerer->hostmaster);
    if (err < 0) {
        dns_answerer_free(answerer);
        return err;
    }
    *out_answerer = answerer;
    return 0;
}

void dns_answerer_free(struct dns_answerer *answerer)
{
    if (answerer == NULL)
        return;
    ldns_rdf_deep_free(answerer->zone);
    ldns_rdf_deep_free(answerer->name_server);
    ldns_rdf_deep_free(answerer->hostmaster);
    free(answerer);
}

/* ---- records ---- */

/* Adds a record whose `count` fields (taken; NULL: no memory) are given. `owner` is copied. */
static void push(struct work *work, ldns_pkt_section section, const ldns_rdf *owner,
    ldns_rr_type type, ldns_rdf *const *fields, size_t count)
{
    ldns_rr *rr = ldns_rr_new();
    ldns_rdf *name = ldns_rdf_clone(owner);
    bool complete = rr != NULL && name != NULL;
    for (size_t i = 0; i < count; i++)
        complete = complete && fields[i] != NULL;
    size_t given = 0;
    if (rr != NULL) {
        ldns_rr_set_type(rr, type);
        ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
        ldns_rr_set_ttl(rr, work->answerer->ttl_s);
        ldns_rr_set_question(rr, false);
        ldns_rr_set_owner(rr, name);
        while (complete && given < count && ldns_rr_push_rdf(rr, fields[given]))
            given++;
    } else
        ldns_rdf_deep_free(name);
    for (size_t i = given; i < count; i++)
        ldns_rdf_deep_free(fields[i]);
    if (!complete || given < count || !ldns_pkt_push_rr(work->packet, section, rr)) {
        ldns_rr_free(rr);
        work->no_memory = true;
    }
}

static ldns_rdf *number(uint32_t value)
{
    return ldns_native2rdf_int32(LDNS_RDF_TYPE_INT32, value);
}

static void push_soa(struct work *work, ldns_pkt_section section, const ldns_rdf *owner)
{
    const struct dns_answerer *answerer = work->answerer;
    ldns_rdf *const fields[] = { ldns_rdf_clone(answerer->name_server),
        ldns_rdf_clone(answerer->hostmaster),
        number(answerer->source.serial(answerer->source.context)), number(SOA_REFRESH_S),
        number(SOA_RETRY_S), number(SOA_EXPIRE_S), number(answerer->ttl_s) };
    push(work, section, owner, LDNS_RR_TYPE_SOA, fields, ARRAY_SIZE(fields));
}

static void push_ns(struct work *work, const ldns_rdf *owner)
{
    ldns_rdf *const fields[] = { ldns_rdf_clone(work->answerer->name_server) };
    push(work, LDNS_SECTION_ANSWER, owner, LDNS_RR_TYPE_NS, fields, 1);
}

static void push_address(struct work *work, ldns_rr_type type, const void *address)
{
    bool is_ipv4 = type == LDNS_RR_TYPE_A;
    ldns_rdf *const fields[] = { ldns_rdf_new_frm_data(
        is_ipv4 ? LDNS_RDF_TYPE_A : LDNS_RDF_TYPE_AAAA,
        is_ipv4 ? sizeof(struct in_addr) : sizeof(struct in6_addr), address) };
    push(work, LDNS_SECTION_ANSWER, ldns_rr_owner(work->question), type, fields, 1);
}

/* ---- what a name has ---- */

static bool wants(const struct work *work, ldns_rr_type type)
{
    ldns_rr_type wanted = ldns_rr_get_type(work->question);
    return wanted == type || wanted == LDNS_RR_TYPE_ANY;
}

/* There is no record of this type, or no such name: the zone's SOA says for how long that may be believed. */
static void answer_negative(struct work *work, unsigned rcode)
{
    work->rcode = rcode;
    push_soa(work, LDNS_SECTION_AUTHORITY, work->answerer->zone);
}

static void answer_zone(struct work *work)
{
    const ldns_rdf *owner = ldns_rr_owner(work->question);
    if (wants(work, LDNS_RR_TYPE_SOA))
        push_soa(work, LDNS_SECTION_ANSWER, owner);
    if (wants(work, LDNS_RR_TYPE_NS))
        push_ns(work, owner);
    if (!wants(work, LDNS_RR_TYPE_SOA) && !wants(work, LDNS_RR_TYPE_NS))
        answer_negative(work, LDNS_RCODE_NOERROR);
}

/* The address of IPv4 that a socket address has, or NULL. */
static const struct in_addr *ipv4_of(const struct sockaddr_storage *address, struct in_addr *out)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *plain = (const struct sockaddr_in *)(const void *)address;
        *out = plain->sin_addr;
        return out;
    }
    const struct sockaddr_in6 *wide = (const struct sockaddr_in6 *)(const void *)address;
    if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&wide->sin6_addr))
        return NULL;
    memcpy(out, wide->sin6_addr.s6_addr + 12, sizeof *out);
    return out;
}

/* The name server is where the question came to. */
static void answer_name_server(struct work *work)
{
    struct in_addr address;
    const struct sockaddr_storage *local = &work->query->local;
    const struct sockaddr_in6 *wide = (const struct sockaddr_in6 *)(const void *)local;
    bool is_ipv4 = ipv4_of(local, &address) != NULL;
    if (is_ipv4 && wants(work, LDNS_RR_TYPE_A))
        push_address(work, LDNS_RR_TYPE_A, &address);
    else if (!is_ipv4 && local->ss_family == AF_INET6 && wants(work, LDNS_RR_TYPE_AAAA))
        push_address(work, LDNS_RR_TYPE_AAAA, &wide->sin6_addr);
    else
        answer_negative(work, LDNS_RCODE_NOERROR);
}

static void answer_hosts(struct work *work, const struct dns_name *name)
{
    struct in_addr asker;
    struct dns_addresses found = { 0 };
    const struct dns_source *source = &work->answerer->source;
    switch (source->find(source->context, name, ipv4_of(&work->query->peer, &asker), &found)) {
    case DNS_NO_NAME:
        answer_negative(work, LDNS_RCODE_NXDOMAIN);
        return;
    case DNS_DOWN:
        work->rcode = LDNS_RCODE_SERVFAIL; /* nobody remembers this as an answer */
        return;
    case DNS_HOSTS:
        break;
    }
    assert(found.count <= DNS_ADDRESSES_MAX);
    if (!wants(work, LDNS_RR_TYPE_A)) {
        answer_negative(work, LDNS_RCODE_NOERROR);
        return;
    }
    for (unsigned i = 0; i < found.count; i++)
        push_address(work, LDNS_RR_TYPE_A, &found.items[i]);
}

/* Whether `name`, in lower case, is the zone or below it; then what stands left of the zone, of which the first labels are given.
 * Both are whole names without pointers: labels, each after its size, to the root's, which is empty. */
static bool split_name(
    const ldns_rdf *name, const ldns_rdf *zone, unsigned *out_count, struct dns_name *out_name)
{
    size_t name_size = ldns_rdf_size(name);
    size_t zone_size = ldns_rdf_size(zone);
    if (name_size < zone_size)
        return false;
    const uint8_t *bytes = ldns_rdf_data(name);
    size_t at = 0;
    unsigned count = 0;
    while (at < name_size - zone_size) {
        size_t size = bytes[at];
        if (count < DNS_LABELS_MAX && size < DNS_LABEL_SIZE) {
            memcpy(out_name->labels[count], bytes + at + 1, size);
            out_name->labels[count][size] = '\0';
        }
        count++;
        at += 1 + size;
    }
    if (at != name_size - zone_size || memcmp(bytes + at, ldns_rdf_data(zone), zone_size) != 0)
        return false;
    *out_count = count;
    out_name->label_count = min_u32(count, DNS_LABELS_MAX);
    return true;
}

static void answer_question(struct work *work)
{
    ldns_rr_type type = ldns_rr_get_type(work->question);
    ldns_rr_class class = ldns_rr_get_class(work->question);
    struct dns_name name = { 0 };
    unsigned count = 0;
    ldns_rdf *lower = ldns_rdf_clone(ldns_rr_owner(work->question));
    if (lower == NULL) {
        work->no_memory = true;
        return;
    }
    ldns_dname2canonical(lower);
    bool is_ours = split_name(lower, work->answerer->zone, &count, &name);
    ldns_rdf_deep_free(lower);
    bool is_transfer = type == LDNS_RR_TYPE_AXFR || type == LDNS_RR_TYPE_IXFR;
    if (!is_ours || is_transfer || (class != LDNS_RR_CLASS_IN && class != LDNS_RR_CLASS_ANY)) {
        work->rcode = LDNS_RCODE_REFUSED;
        return;
    }
    ldns_pkt_set_aa(work->packet, true);
    if (count == 0)
        answer_zone(work);
    else if (count == 1 && strcmp(name.labels[0], NAME_SERVER) == 0)
        answer_name_server(work);
    else if (count <= DNS_LABELS_MAX)
        answer_hosts(work, &name);
    else
        answer_negative(work, LDNS_RCODE_NXDOMAIN);
}

/* ---- messages ---- */

/* The shortest answer, from the header of what came. */
static void reply_header(const struct dns_query *query, unsigned rcode, struct dns_reply *out_reply)
{
    unsigned flags = load_be16(query->message.data + 2);
    memset(out_reply->message, 0, HEADER_SIZE);
    memcpy(out_reply->message, query->message.data, 2);
    store_be16(
        out_reply->message + 2, (uint16_t)(FLAGS_QR | (flags & (FLAGS_OPCODE | FLAGS_RD)) | rcode));
    out_reply->size = HEADER_SIZE;
    out_reply->rcode = rcode;
}

static size_t size_limit(const struct dns_query *query, const ldns_pkt *asked)
{
    if (query->is_tcp)
        return DNS_MESSAGE_MAX;
    if (!ldns_pkt_edns(asked) || ldns_pkt_edns_udp_size(asked) < UDP_SIZE_PLAIN)
        return UDP_SIZE_PLAIN; /* RFC 6891 section 6.2.3: less means 512 */
    return min_u32(ldns_pkt_edns_udp_size(asked), DNS_MESSAGE_MAX);
}

/* An answer with its header and question: what stays of it when the rest does not fit. */
static ldns_pkt *start_packet(const ldns_pkt *asked)
{
    ldns_pkt *packet = ldns_pkt_new();
    if (packet == NULL)
        return NULL;
    ldns_pkt_set_id(packet, ldns_pkt_id(asked));
    ldns_pkt_set_qr(packet, true);
    ldns_pkt_set_rd(packet, ldns_pkt_rd(asked));
    if (ldns_pkt_edns(asked))
        ldns_pkt_set_edns_udp_size(packet, DNS_MESSAGE_MAX);
    ldns_rr *question = ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(asked), 0));
    if (question != NULL && ldns_pkt_push_rr(packet, LDNS_SECTION_QUESTION, question))
        return packet;
    ldns_rr_free(question);
    ldns_pkt_free(packet);
    return NULL;
}

/* Writes the packet. Errors: -EMSGSIZE: it has more than `limit` bytes; -ENOMEM. */
static int write_packet(const ldns_pkt *packet, size_t limit, struct dns_reply *out_reply)
{
    uint8_t *wire = NULL;
    size_t size = 0;
    if (ldns_pkt2wire(&wire, packet, &size) != LDNS_STATUS_OK)
        return -ENOMEM;
    int err = size <= limit ? 0 : -EMSGSIZE;
    if (err == 0) {
        memcpy(out_reply->message, wire, size);
        out_reply->size = size;
    }
    LDNS_FREE(wire);
    return err;
}

/* "Ask again by TCP", which cannot be sent in the name of somebody else. */
static int write_truncated(const ldns_pkt *asked, size_t limit, struct dns_reply *out_reply)
{
    ldns_pkt *packet = start_packet(asked);
    if (packet == NULL)
        return -ENOMEM;
    ldns_pkt_set_tc(packet, true);
    int err = write_packet(packet, limit, out_reply);
    ldns_pkt_free(packet);
    return err;
}

static int answer_packet(struct dns_answerer *answerer, const struct dns_query *query,
    const ldns_pkt *asked, struct dns_reply *out_reply)
{
    size_t limit = size_limit(query, asked);
    if (query->is_limited)
        return write_truncated(asked, limit, out_reply);
    struct work work = { .answerer = answerer,
        .query = query,
        .question = ldns_rr_list_rr(ldns_pkt_question(asked), 0),
        .packet = start_packet(asked) };
    if (work.packet == NULL)
        return -ENOMEM;
    if (ldns_pkt_edns(asked) && ldns_pkt_edns_version(asked) != 0)
        work.rcode = RCODE_BADVERS;
    else
        answer_question(&work);
    ldns_pkt_set_rcode(work.packet, (uint8_t)(work.rcode & 15u));
    if (work.rcode > 15)
        ldns_pkt_set_edns_extended_rcode(work.packet, (uint8_t)(work.rcode >> 4));
    out_reply->rcode = work.rcode;
    int err = work.no_memory ? -ENOMEM : write_packet(work.packet, limit, out_reply);
    if (err == -EMSGSIZE)
        err = write_truncated(asked, limit, out_reply);
    ldns_pkt_free(work.packet);
    return err;
}

/* Whether the header promises one question and at most one record besides it, the OPT of EDNS0. */
static bool is_bounded(struct slice message)
{
    return load_be16(message.data + 4) == 1 && load_be16(message.data + 6) == 0 &&
           load_be16(message.data + 8) == 0 && load_be16(message.data + 10) <= 1;
}

void dns_answer(
    struct dns_answerer *answerer, const struct dns_query *query, struct dns_reply *out_reply)
{
    struct slice message = query->message;
    out_reply->size = 0;
    out_reply->rcode = LDNS_RCODE_NOERROR;
    if (message.size < HEADER_SIZE || (load_be16(message.data + 2) & FLAGS_QR) != 0)
        return;
    if ((load_be16(message.data + 2) & FLAGS_OPCODE) != 0) {
        reply_header(query, LDNS_RCODE_NOTIMPL, out_reply);
        return;
    }
    ldns_pkt *asked = NULL;
    if (message.size > DNS_MESSAGE_MAX || !is_bounded(message) ||
        ldns_wire2pkt(&asked, message.data, message.size) != LDNS_STATUS_OK) {
        reply_header(query, LDNS_RCODE_FORMERR, out_reply);
        return;
    }
    int err = answer_packet(answerer, query, asked, out_reply);
    ldns_pkt_free(asked);
    if (err < 0)
        reply_header(query, LDNS_RCODE_SERVFAIL, out_reply);
}
