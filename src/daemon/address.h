/* daemon/address.h - addresses with ports, and lists of networks, as people write them. */
#pragma once

#include <netinet/in.h>

#include "base/base.h"

#define CIDR_COUNT_MAX    16u
#define ADDRESS_TEXT_SIZE 32u                    /* "255.255.255.255:65535" with its NUL */
#define CIDR_TEXT_SIZE    (CIDR_COUNT_MAX * 20u) /* a list of them */

/* A network: the addresses that equal `address` where `mask` has ones. Both in host byte order. */
struct cidr {
    uint32_t address;
    uint32_t mask;
};

struct cidr_list {
    unsigned count;
    struct cidr items[CIDR_COUNT_MAX];
};

#define ENDPOINT_COUNT_MAX      4u
#define ENDPOINT_TEXT_SIZE      64u /* "[IPv6]:65535" with its NUL */
#define ENDPOINT_LIST_TEXT_SIZE (ENDPOINT_COUNT_MAX * ENDPOINT_TEXT_SIZE) /* a list of them */

/* Addresses of IPv4 or IPv6, each with a port; none: "off". */
struct endpoint_list {
    unsigned count;
    struct sockaddr_storage items[ENDPOINT_COUNT_MAX];
};

/* Parses "ADDRESS:PORT" or "PORT" (then the address is 127.0.0.1). Errors: -EINVAL. */
MUST_CHECK int address_parse(const char *text, struct sockaddr_in *out_address);
void address_format(const struct sockaddr_in *address, char out_text[ADDRESS_TEXT_SIZE]);

/* Parses "127.0.0.0/8, 10.0.0.5": networks or single addresses between commas or blanks.
 * Errors: -EINVAL; -ENOSPC for more than CIDR_COUNT_MAX. */
MUST_CHECK int cidr_list_parse(const char *text, struct cidr_list *out_list);
void cidr_list_format(const struct cidr_list *list, char out_text[CIDR_TEXT_SIZE]);
/* Parses "off", or "127.0.0.1:53, [::1]:53". Errors: -EINVAL; -ENOSPC for more than ENDPOINT_COUNT_MAX. */
MUST_CHECK int endpoint_list_parse(const char *text, struct endpoint_list *out_list);
void endpoint_format(const struct sockaddr_storage *endpoint, char out_text[ENDPOINT_TEXT_SIZE]);
void endpoint_list_format(const struct endpoint_list *list, char out_text[ENDPOINT_LIST_TEXT_SIZE]);
bool cidr_list_contains(const struct cidr_list *list, struct in_addr address);
