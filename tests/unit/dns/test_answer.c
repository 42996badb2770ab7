/* tests/unit/dns/test_answer.c - messages of DNS in and out, byte by byte, over names that the test makes up. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "dns/answer.h"

#define ZONE "efs.us-east-1.shoal.internal"

enum {
    TYPE_A = 1,
    TYPE_NS = 2,
    TYPE_SOA = 6,
    TYPE_MX = 15,
    TYPE_AAAA = 28,
    TYPE_AXFR = 252,
    TYPE_ANY = 255
};
enum { NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED };
enum { CLASS_IN = 1, CLASS_CH = 3 };

struct fixture {
    struct dns_answerer *answerer;
    struct dns_query query;
    struct dns_reply reply;
    uint8_t message[4096];
    size_t size;
    unsigned address_count; /* of "fs-1" */
    struct dns_name asked;  /* what find() was last asked */
    bool had_asker;
    unsigned find_count;
};

static enum dns_found find(void *context, const struct dns_name *name, const struct in_addr *asker,
    struct dns_addresses *out_addresses)
{
    struct fixture *f = context;
    f->asked = *name;
    f->had_asker = asker != NULL;
    f->find_count++;
    const char *last = name->labels[name->label_count - 1];
    if (strcmp(last, "fs-down") == 0)
        return DNS_DOWN;
    if (strcmp(last, "fs-1") != 0)
        return DNS_NO_NAME;
    out_addresses->count = f->address_count;
    for (unsigned i = 0; i < f->address_count; i++)
        out_addresses->items[i].s_addr = htonl(0x7f100004u + i);
    return DNS_HOSTS;
}

static uint32_t serial(void *context)
{
    (void)context;
    return 7;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->address_count = 1;
    struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u) };
    struct sockaddr_in peer = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f100009u) };
    memcpy(&f->query.local, &local, sizeof local);
    memcpy(&f->query.peer, &peer, sizeof peer);
    struct dns_answerer_options options = {
        .zone = ZONE, .ttl_s = 5, .source = { .context = f, .find = find, .serial = serial }
    };
    assert_int_equal(dns_answerer_new(&options, &f->answerer), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dns_answerer_free(f->answerer);
    free(f);
    return 0;
}

static void put(struct fixture *f, const void *bytes, size_t size)
{
    memcpy(f->message + f->size, bytes, size);
    f->size += size;
}

static void put16(struct fixture *f, unsigned value)
{
    store_be16(f->message + f->size, (uint16_t)value);
    f->size += 2;
}

static void put_name(struct fixture *f, const char *name)
{
    while (*name != '\0') {
        size_t size = strcspn(name, ".");
        f->message[f->size++] = (uint8_t)size;
        put(f, name, size);
        name += size;
        name += *name == '.';
    }
    f->message[f->size++] = 0;
}

/* A question, asked with recursion desired. */
static void compose(struct fixture *f, const char *name, unsigned type, unsigned class)
{
    f->size = 0;
    const unsigned header[] = { 0x1234, 0x0100, 1, 0, 0, 0 };
    for (size_t i = 0; i < ARRAY_SIZE(header); i++)
        put16(f, header[i]);
    put_name(f, name);
    put16(f, type);
    put16(f, class);
}

/* Adds the OPT record of EDNS0. */
static void compose_edns(struct fixture *f, unsigned udp_size, unsigned version)
{
    put_name(f, "");
    put16(f, 41);
    put16(f, udp_size);
    put16(f, version);
    put16(f, 0);
    put16(f, 0);
    store_be16(f->message + 10, 1);
}

static void send_message(struct fixture *f)
{
    uint8_t *copy = malloc(f->size); /* of exactly its size, so that ASan sees a byte too far */
    assert_non_null(copy);
    memcpy(copy, f->message, f->size);
    f->query.message = slice_of(copy, f->size);
    dns_answer(f->answerer, &f->query, &f->reply);
    free(copy);
}

static unsigned rcode(const struct fixture *f)
{
    assert_true(f->reply.size >= 12);
    assert_int_equal(load_be16(f->reply.message), 0x1234);
    assert_true((f->reply.message[2] & 0x80) != 0);
    assert_int_equal(f->reply.message[3] & 0x80, 0); /* no recursion here */
    return f->reply.message[3] & 15u;
}

static bool is_authoritative(const struct fixture *f)
{
    return (f->reply.message[2] & 4u) != 0;
}

static bool is_truncated(const struct fixture *f)
{
    return (f->reply.message[2] & 2u) != 0;
}

static unsigned answers(const struct fixture *f)
{
    return load_be16(f->reply.message + 6);
}

static unsigned authorities(const struct fixture *f)
{
    return load_be16(f->reply.message + 8);
}

static void ask(struct fixture *f, const char *name, unsigned type)
{
    compose(f, name, type, CLASS_IN);
    send_message(f);
}

static void a_name_of_a_file_system_has_an_address(void **state)
{
    struct fixture *f = *state;
    ask(f, "fs-1." ZONE, TYPE_A);
    assert_int_equal(rcode(f), NOERROR);
    assert_true(is_authoritative(f));
    assert_int_equal(answers(f), 1);
    const uint8_t *end = f->reply.message + f->reply.size;
    assert_int_equal(load_be32(end - 4), 0x7f100004u);
    assert_int_equal(load_be16(end - 6), 4);
    assert_int_equal(load_be32(end - 10), 5); /* the TTL */
    assert_true(f->had_asker);
    assert_int_equal(f->asked.label_count, 1);
}

static void the_labels_come_to_the_source_in_lower_case(void **state)
{
    struct fixture *f = *state;
    ask(f, "Us-East-1A.FS-1.eFs.us-EAST-1.Shoal.Internal", TYPE_A);
    assert_int_equal(rcode(f), NOERROR);
    assert_int_equal(f->asked.label_count, 2);
    assert_string_equal(f->asked.labels[0], "us-east-1a");
    assert_string_equal(f->asked.labels[1], "fs-1");
}

static void the_question_comes_back_letter_by_letter(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "Fs-1.EfS.us-east-1.sHoAl.INTERNAL",
        "nO.eFs.Us-East-1.sHoAl.internal", "wWw.ExAmPle.com" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        ask(f, names[i], TYPE_A);
        assert_memory_equal(f->reply.message + 12, f->message + 12, f->size - 12);
        if (answers(f) > 0)
            assert_int_equal(load_be16(f->reply.message + f->size) >> 14,
                3); /* the owner is a pointer to the question */
    }
}

static void other_types_of_a_name_are_no_data(void **state)
{
    struct fixture *f = *state;
    static const unsigned types[] = { TYPE_AAAA, TYPE_MX, TYPE_NS, TYPE_SOA };
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        ask(f, "fs-1." ZONE, types[i]);
        assert_int_equal(rcode(f), NOERROR);
        assert_true(is_authoritative(f));
        assert_int_equal(answers(f), 0);
        assert_int_equal(authorities(f), 1);
    }
}

static void any_is_answered_with_what_there_is(void **state)
{
    struct fixture *f = *state;
    ask(f, "fs-1." ZONE, TYPE_ANY);
    assert_int_equal(answers(f), 1);
    ask(f, ZONE, TYPE_ANY);
    assert_int_equal(answers(f), 2);
}

static void names_that_are_not_there_do_not_exist(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "fs-2." ZONE, "a.b.fs-1." ZONE, "a.b.c.d.e.f." ZONE };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        ask(f, names[i], TYPE_A);
        assert_int_equal(rcode(f), NXDOMAIN);
        assert_true(is_authoritative(f));
        assert_int_equal(authorities(f), 1);
        const uint8_t *end = f->reply.message + f->reply.size;
        assert_int_equal(load_be32(end - 4), 5);  /* how long that may be believed */
        assert_int_equal(load_be32(end - 20), 7); /* the serial */
    }
    assert_int_equal(f->find_count, 1); /* names too deep are not looked for */
}

static void what_is_not_ours_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "example.com", "", "us-east-1.shoal.internal",
        "xefs.us-east-1.shoal.internal", "fs-1.efs.us-east-1.shoal.internal.com", "internal" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        ask(f, names[i], TYPE_A);
        assert_int_equal(rcode(f), REFUSED);
        assert_false(is_authoritative(f));
        assert_int_equal(answers(f) + authorities(f), 0);
    }
    ask(f, ZONE, TYPE_AXFR);
    assert_int_equal(rcode(f), REFUSED);
    compose(f, "fs-1." ZONE, TYPE_A, CLASS_CH);
    send_message(f);
    assert_int_equal(rcode(f), REFUSED);
    assert_int_equal(f->find_count, 0);
}

static void a_name_that_nothing_serves_is_a_failure_of_the_server(void **state)
{
    struct fixture *f = *state;
    ask(f, "fs-down." ZONE, TYPE_A);
    assert_int_equal(rcode(f), SERVFAIL);
    assert_int_equal(answers(f) + authorities(f), 0);
}

static void the_zone_has_its_records(void **state)
{
    struct fixture *f = *state;
    ask(f, ZONE, TYPE_SOA);
    assert_int_equal(rcode(f), NOERROR);
    assert_int_equal(answers(f), 1);
    ask(f, ZONE, TYPE_NS);
    assert_int_equal(answers(f), 1);
    ask(f, ZONE, TYPE_A);
    assert_int_equal(answers(f), 0);
    assert_int_equal(authorities(f), 1);
    ask(f, "ns." ZONE, TYPE_A);
    assert_int_equal(answers(f), 1);
    assert_int_equal(load_be32(f->reply.message + f->reply.size - 4), 0x7f000001u);
    ask(f, "ns." ZONE, TYPE_AAAA);
    assert_int_equal(answers(f), 0);
}

static void an_asker_of_ipv6_is_told_where_it_asked(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in6 wide = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    memcpy(&f->query.local, &wide, sizeof wide);
    memcpy(&f->query.peer, &wide, sizeof wide);
    ask(f, "ns." ZONE, TYPE_AAAA);
    assert_int_equal(answers(f), 1);
    assert_memory_equal(f->reply.message + f->reply.size - 16, &wide.sin6_addr, 16);
    ask(f, "fs-1." ZONE, TYPE_A);
    assert_int_equal(answers(f), 1);
    assert_false(f->had_asker);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:127.16.0.9", &wide.sin6_addr), 1);
    memcpy(&f->query.peer, &wide, sizeof wide);
    ask(f, "fs-1." ZONE, TYPE_A);
    assert_true(f->had_asker);
}

static void edns_is_answered_with_edns(void **state)
{
    struct fixture *f = *state;
    ask(f, "fs-1." ZONE, TYPE_A);
    assert_int_equal(load_be16(f->reply.message + 10), 0);
    compose(f, "fs-1." ZONE, TYPE_A, CLASS_IN);
    compose_edns(f, 4096, 0);
    send_message(f);
    assert_int_equal(rcode(f), NOERROR);
    assert_int_equal(load_be16(f->reply.message + 10), 1);
    const uint8_t *opt = f->reply.message + f->reply.size - 11;
    assert_int_equal(load_be16(opt + 1), 41);
    assert_int_equal(load_be16(opt + 3), DNS_MESSAGE_MAX);
}

static void an_unknown_version_of_edns_is_told_so(void **state)
{
    struct fixture *f = *state;
    compose(f, "fs-1." ZONE, TYPE_A, CLASS_IN);
    compose_edns(f, 4096, 1);
    send_message(f);
    const uint8_t *opt = f->reply.message + f->reply.size - 11;
    assert_int_equal(rcode(f), 0);
    assert_int_equal(opt[5], 1); /* BADVERS is 16: one in the upper bits */
    assert_int_equal(f->reply.rcode, 16);
    assert_int_equal(answers(f), 0);
}

static void no_answer_is_much_longer_than_its_question(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "fs-1." ZONE, "fs-2." ZONE, ZONE, "ns." ZONE,
        "example.com" };
    static const unsigned types[] = { TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_SOA };
    f->address_count = DNS_ADDRESSES_MAX;
    for (size_t i = 0; i < ARRAY_SIZE(names) * ARRAY_SIZE(types); i++) {
        ask(f, names[i / ARRAY_SIZE(types)], types[i % ARRAY_SIZE(types)]);
        assert_in_range(f->reply.size, f->size, 3 * f->size);
        assert_false(is_truncated(f));
    }
}

static void a_limited_asker_is_sent_to_tcp(void **state)
{
    struct fixture *f = *state;
    f->query.is_limited = true;
    ask(f, "fs-1." ZONE, TYPE_A);
    assert_true(is_truncated(f));
    assert_int_equal(rcode(f), NOERROR);
    assert_int_equal(answers(f), 0);
    assert_int_equal(f->reply.size, f->size);
    assert_int_equal(f->find_count, 0);
}

static void what_is_no_message_gets_no_answer(void **state)
{
    struct fixture *f = *state;
    compose(f, "fs-1." ZONE, TYPE_A, CLASS_IN);
    size_t whole = f->size;
    for (f->size = 0; f->size < 12; f->size++) {
        send_message(f);
        assert_int_equal(f->reply.size, 0);
    }
    f->size = whole;
    f->message[2] |= 0x80; /* itself an answer */
    send_message(f);
    assert_int_equal(f->reply.size, 0);
}

static void malformed_messages_are_told_so(void **state)
{
    struct fixture *f = *state;
    compose(f, "fs-1." ZONE, TYPE_A, CLASS_IN);
    size_t whole = f->size;
    for (f->size = 12; f->size < whole; f->size++) { /* cut anywhere */
        send_message(f);
        assert_int_equal(rcode(f), FORMERR);
        assert_int_equal(f->reply.size, 12);
    }
    for (size_t count_at = 4; count_at < 12; count_at += 2) { /* promising more than one question */
        compose(f, "fs-1." ZONE, TYPE_A, CLASS_IN);
        store_be16(f->message + count_at, 2);
        send_message(f);
        assert_int_equal(rcode(f), FORMERR);
    }
    compose(f, "x", TYPE_A, CLASS_IN);
    store_be16(f->message + 12, 0xc00c); /* a name that is a pointer to itself */
    send_message(f);
    assert_int_equal(rcode(f), FORMERR);
    compose(f, "fs-1." ZONE, TYPE_A, CLASS_IN);
    f->size = DNS_MESSAGE_MAX + 1; /* too long for a question, whatever follows */
    send_message(f);
    assert_int_equal(rcode(f), FORMERR);
    assert_int_equal(f->find_count, 0);
}

static void other_operations_are_not_implemented(void **state)
{
    struct fixture *f = *state;
    compose(f, ZONE, TYPE_SOA, CLASS_IN);
    f->message[2] |= 4u << 3; /* NOTIFY */
    send_message(f);
    assert_int_equal(rcode(f), NOTIMP);
    assert_int_equal(f->reply.size, 12);
}

static void a_zone_with_no_name_or_too_long_a_one_is_refused(void **state)
{
    (void)state;
    char longest[DNS_ZONE_NAME_SIZE + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    static const char *const wrong[] = { "", "a..b" };
    struct dns_answerer *answerer;
    struct dns_answerer_options options = { .zone = longest };
    assert_int_equal(dns_answerer_new(&options, &answerer), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        options.zone = wrong[i];
        assert_int_equal(dns_answerer_new(&options, &answerer), -EINVAL);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_name_of_a_file_system_has_an_address),
        CASE(the_labels_come_to_the_source_in_lower_case),
        CASE(the_question_comes_back_letter_by_letter),
        CASE(other_types_of_a_name_are_no_data),
        CASE(any_is_answered_with_what_there_is),
        CASE(names_that_are_not_there_do_not_exist),
        CASE(what_is_not_ours_is_refused),
        CASE(a_name_that_nothing_serves_is_a_failure_of_the_server),
        CASE(the_zone_has_its_records),
        CASE(an_asker_of_ipv6_is_told_where_it_asked),
        CASE(edns_is_answered_with_edns),
        CASE(an_unknown_version_of_edns_is_told_so),
        CASE(no_answer_is_much_longer_than_its_question),
        CASE(a_limited_asker_is_sent_to_tcp),
        CASE(what_is_no_message_gets_no_answer),
        CASE(malformed_messages_are_told_so),
        CASE(other_operations_are_not_implemented),
        CASE(a_zone_with_no_name_or_too_long_a_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
