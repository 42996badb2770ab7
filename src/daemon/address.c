/*
 * daemon/address.c - IPv4 addresses and networks as text (room: daemon).
 */
#include "daemon/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"

int address_parse(const char *text, struct sockaddr_in *out_address)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *port_text = text;
    const char *colon = strrchr(text, ':');
    if (colon != NULL) {
        char host[INET_ADDRSTRLEN];
        size_t size = (size_t)(colon - text);
        if (size >= sizeof host)
            return -EINVAL;
        memcpy(host, text, size);
        host[size] = '\0';
        if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
            return -EINVAL;
        port_text = colon + 1;
    }
    uint64_t port;
    if (text_parse_u64(port_text, UINT16_MAX, &port) < 0)
        return -EINVAL;
    address.sin_port = htons((uint16_t)port);
    *out_address = address;
    return 0;
}

void address_format(const struct sockaddr_in *address, char out_text[ADDRESS_TEXT_SIZE])
{
    uint32_t ip = ntohl(address->sin_addr.s_addr);
    int size = snprintf(out_text, ADDRESS_TEXT_SIZE, "%u.%u.%u.%u:%u", ip >> 24, ip >> 16 & 255u,
        ip >> 8 & 255u, ip & 255u, ntohs(address->sin_port));
    assert(size > 0 && (size_t)size < ADDRESS_TEXT_SIZE);
}

static uint32_t mask_of(unsigned bits)
{
    return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

static int cidr_parse(const char *text, struct cidr *out_cidr)
{
    char host[INET_ADDRSTRLEN];
    uint64_t bits = 32;
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (size >= sizeof host)
        return -EINVAL;
    if (slash != NULL && text_parse_u64(slash + 1, 32, &bits) < 0)
        return -EINVAL;
    memcpy(host, text, size);
    host[size] = '\0';
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) != 1)
        return -EINVAL;
    uint32_t mask = mask_of((unsigned)bits);
    *out_cidr = (struct cidr){ .address = ntohl(address.s_addr) & mask, .mask = mask };
    return 0;
}

int cidr_list_parse(const char *text, struct cidr_list *out_list)
{
    static const char separators[] = ", \t";
    struct cidr_list list = { 0 };
    for (const char *at = text + strspn(text, separators); *at != '\0';) {
        char word[INET_ADDRSTRLEN + 3];
        size_t size = strcspn(at, separators);
        if (size >= sizeof word)
            return -EINVAL;
        if (list.count == CIDR_COUNT_MAX)
            return -ENOSPC;
        memcpy(word, at, size);
        word[size] = '\0';
        if (cidr_parse(word, &list.items[list.count]) < 0)
            return -EINVAL;
        list.count++;
        at += size;
        at += strspn(at, separators);
    }
    if (list.count == 0)
        return -EINVAL;
    *out_list = list;
    return 0;
}

void cidr_list_format(const struct cidr_list *list, char out_text[CIDR_TEXT_SIZE])
{
    size_t used = 0;
    out_text[0] = '\0';
    for (unsigned i = 0; i < list->count; i++) {
        uint32_t ip = list->items[i].address;
        int err = text_append(out_text, CIDR_TEXT_SIZE, &used, "%s%u.%u.%u.%u/%d",
            i > 0 ? ", " : "", ip >> 24, ip >> 16 & 255u, ip >> 8 & 255u, ip & 255u,
            __builtin_popcount(list->items[i].mask));
        assert(err == 0); /* CIDR_TEXT_SIZE holds the longest list */
        (void)err;
    }
}

bool cidr_list_contains(const struct cidr_list *list, struct in_addr address)
{
    uint32_t ip = ntohl(address.s_addr);
    for (unsigned i = 0; i < list->count; i++) {
        if ((ip & list->items[i].mask) == list->items[i].address)
            return true;
    }
    return false;
}
