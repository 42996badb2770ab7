/*
 * auth/ca.h - the node's certificate authority: made at the first start, it signs what the NFS server shows.
 *
 * Its key (ECDSA P-256) lies in `ca-key.pem` of the data directory with mode 0600, its certificate in `ca.pem`; clients
 * trust that one. Server certificates and their keys are made when they are needed and are in memory only. Thread-safe.
 * Time is an argument. Source: RFC 5280.
 */
#pragma once

#include <netinet/in.h>

#include "base/base.h"

#define CA_KEY_FILE_NAME         "ca-key.pem"
#define CA_CERTIFICATE_FILE_NAME "ca.pem"
#define CA_NAME_SIZE             64 /* of a DNS name's part or a node, with the NUL */
#define CA_NAMES_MAX             8
#define CA_DNS_NAME_SIZE         254

struct ca;

/* Reads the authority of a data directory, or makes it when neither file is there; `node_name` (up to 32 letters)
 * becomes part of its name. Errors: -EINVAL: the files are damaged or do not belong together; -ENOENT: one of them is
 * missing; those of sys_read_file() and sys_replace_file(); -ENOMEM. */
MUST_CHECK int ca_open(int dir_fd, const char *node_name, int64_t now_s, struct ca **out_ca);
/* NULL is allowed. */
void ca_close(struct ca *ca);
/* The certificate as PEM; valid as long as `ca`. */
const char *ca_certificate(const struct ca *ca);

/* What a server certificate is for. */
struct ca_request {
    size_t name_count;
    char names[CA_NAMES_MAX][CA_DNS_NAME_SIZE]; /* DNS names; "*." may lead */
    bool has_address;
    struct in_addr address;
    int64_t not_before_s;
    int64_t not_after_s;
};

/* Signs a certificate over a new key. The caller frees both texts, PEM, the key's after wiping it. Errors: -ENOMEM:
 * also when OpenSSL fails otherwise. */
MUST_CHECK int ca_issue(struct ca *ca, const struct ca_request *request, char **out_certificate_pem,
    char **out_key_pem);
