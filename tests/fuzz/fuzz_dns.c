/*
 * tests/fuzz/fuzz_dns.c - any bytes as a message of DNS: the answer is one, to the same id, never longer than its way allows, and the
 * question in it is the one that was asked.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "dns/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum dns_found find(void *context, const struct dns_name *name, const struct in_addr *asker,
    struct dns_addresses *out_addresses)
{
    (void)context;
    (void)asker;
    assert(name->label_count >= 1 && name->label_count <= DNS_LABELS_MAX);
    for (unsigned i = 0; i < name->label_count; i++)
        assert(strnlen(name->labels[i], DNS_LABEL_SIZE) < DNS_LABEL_SIZE);
    unsigned first = (uint8_t)name->labels[0][0];
    out_addresses->count = 1 + first % DNS_ADDRESSES_MAX;
    return (enum dns_found)(first % 3);
}

static uint32_t serial(void *context)
{
    (void)context;
    return 1;
}

static void check(const struct dns_query *query, const struct dns_reply *reply)
{
    struct slice asked = query->message;
    if (reply->size == 0) {
        assert(asked.size < 12 || (asked.data[2] & 0x80) != 0);
        return;
    }
    assert(reply->size >= 12 && reply->size <= DNS_MESSAGE_MAX);
    assert(memcmp(reply->message, asked.data, 2) == 0 && (reply->message[2] & 0x80) != 0);
    assert(query->is_tcp || reply->size <= 512 || load_be16(asked.data + 10) == 1);
    if (query->is_limited)
        assert(reply->size <= asked.size + 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dns_answerer *answerer;
    if (answerer == NULL) {
        struct dns_answerer_options options = {
            .zone = "efs.r.s", .ttl_s = 5, .source = { .find = find, .serial = serial }
        };
        int err = dns_answerer_new(&options, &answerer);
        assert(err == 0);
        (void)err;
    }
    if (size < 1)
        return 0;
    struct dns_query query = { .is_tcp = (data[0] & 1) != 0, .is_limited = (data[0] & 2) != 0 };
    query.peer.ss_family = (data[0] & 4) != 0 ? AF_INET6 : AF_INET;
    query.local = query.peer;
    uint8_t *copy = malloc(size); /* of exactly its size, so that reading past the end is seen */
    if (copy == NULL)
        return 0;
    memcpy(copy, data + 1, size - 1);
    query.message = slice_of(copy, size - 1);
    struct dns_reply reply;
    dns_answer(answerer, &query, &reply);
    check(&query, &reply);
    free(copy);
    return 0;
}
