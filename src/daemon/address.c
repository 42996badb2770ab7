/*
 * daemon/address.c - addresses and networks as text (room: daemon).
 */
#include "daemon/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"

#define LIST_SEPARATORS ", \t"

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
    struct cidr_list list = { 0 };
    for (const char *at = text + strspn(text, LIST_SEPARATORS); *at != '\0';) {
        char word[INET_ADDRSTRLEN + 3];
        size_t size = strcspn(at, LIST_SEPARATORS);
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
        at += strspn(at, LIST_SEPARATORS);
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

static int endpoint_parse(const char *text, struct sockaddr_storage *out_endpoint)
{
    struct sockaddr_storage endpoint = { 0 };
    if (text[0] != '[') {
        if (strchr(text, ':') == NULL)
            return -EINVAL; /* a port alone says too little of who can reach it */
        int err = address_parse(text, (struct sockaddr_in *)(void *)&endpoint);
        if (err == 0)
            *out_endpoint = endpoint;
        return err;
    }
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in6 *wide = (struct sockaddr_in6 *)(void *)&endpoint;
    const char *end = strchr(text, ']');
    uint64_t port;
    if (end == NULL || end[1] != ':' || (size_t)(end - text - 1) >= sizeof host ||
        text_parse_u64(end + 2, UINT16_MAX, &port) < 0)
        return -EINVAL;
    memcpy(host, text + 1, (size_t)(end - text - 1));
    host[end - text - 1] = '\0';
    if (inet_pton(AF_INET6, host, &wide->sin6_addr) != 1)
        return -EINVAL;
    wide->sin6_family = AF_INET6;
    wide->sin6_port = htons((uint16_t)port);
    *out_endpoint = endpoint;
    return 0;
}

int endpoint_list_parse(const char *text, struct endpoint_list *out_list)
{
    struct endpoint_list list = { 0 };
    const char *at = text + strspn(text, LIST_SEPARATORS);
    if (strcmp(text, "off") == 0)
        at = "";
    else if (*at == '\0')
        return -EINVAL;
    while (*at != '\0') {
        char word[ENDPOINT_TEXT_SIZE];
        size_t size = strcspn(at, LIST_SEPARATORS);
        if (size >= sizeof word)
            return -EINVAL;
        if (list.count == ENDPOINT_COUNT_MAX)
            return -ENOSPC;
        memcpy(word, at, size);
        word[size] = '\0';
        if (endpoint_parse(word, &list.items[list.count]) < 0)
            return -EINVAL;
        list.count++;
        at += size;
        at += strspn(at, LIST_SEPARATORS);
    }
    *out_list = list;
    return 0;
}

void endpoint_format(const struct sockaddr_storage *endpoint, char out_text[ENDPOINT_TEXT_SIZE])
{
    static_assert(
        ENDPOINT_TEXT_SIZE >= ADDRESS_TEXT_SIZE && ENDPOINT_TEXT_SIZE >= INET6_ADDRSTRLEN + 8,
        "the longest fits");
    if (endpoint->ss_family != AF_INET6) {
        address_format((const struct sockaddr_in *)(const void *)endpoint, out_text);
        return;
    }
    const struct sockaddr_in6 *wide = (const struct sockaddr_in6 *)(const void *)endpoint;
    char host[INET6_ADDRSTRLEN];
    const char *name = inet_ntop(AF_INET6, &wide->sin6_addr, host, sizeof host);
    assert(name != NULL);
    (void)snprintf(out_text, ENDPOINT_TEXT_SIZE, "[%s]:%u", name, ntohs(wide->sin6_port));
}

void endpoint_list_format(const struct endpoint_list *list, char out_text[ENDPOINT_LIST_TEXT_SIZE])
{
    size_t used = 0;
    (void)snprintf(out_text, ENDPOINT_LIST_TEXT_SIZE, "off");
    for (unsigned i = 0; i < list->count; i++) {
        char word[ENDPOINT_TEXT_SIZE];
        endpoint_format(&list->items[i], word);
        int err =
            text_append(out_text, ENDPOINT_LIST_TEXT_SIZE, &used, "%s%s", i > 0 ? ", " : "", word);
        assert(err == 0); /* ENDPOINT_LIST_TEXT_SIZE holds the longest list */
        (void)err;
    }
}
