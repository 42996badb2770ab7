/*
 * daemon/certificates.h - which certificate the NFS server shows at which of its addresses.
 *
 * Without a certificate of the operator's own, the node's authority signs one per local address when it is first asked
 * for there, and again long before it ends: so mount targets come and go, and certificates are renewed, without a
 * restart. A certificate of the operator's is read from its files, and again when they have changed.
 * Threads: certificates_choose() from any; the others from the main thread.
 */
#pragma once

#include "auth/ca.h"
#include "catalog/catalog.h"
#include "daemon/problem.h"
#include "io/tls.h"

struct certificates;

struct certificates_options { /* all borrowed */
    struct ca *ca;
    const struct catalog *catalog;
    const char *region;
    const char *suffix;           /* of DNS names: fs-ID.efs.REGION.SUFFIX */
    const char *certificate_path; /* of the operator's own; "": none */
    const char *key_path;
};

/* Errors, with a sentence: -EINVAL: the operator's files are no certificate and its key; those of reading them. */
MUST_CHECK int certificates_new(const struct certificates_options *options,
    struct certificates **out_certificates, struct problem *out_problem);
/* After the last connection. NULL is allowed. */
void certificates_free(struct certificates *certificates);
/* A tls_choose_function; `context` is the struct certificates. */
struct tls_certificate *certificates_choose(void *context, const struct sockaddr_storage *local);
/* Looks whether the operator's files have changed; now and then. Files that cannot be used are logged, and those
 * before them stay. */
void certificates_tick(struct certificates *certificates);
