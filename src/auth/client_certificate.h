/*
 * auth/client_certificate.h - the certificate that a mount over TLS shows: which file system, which access point, who.
 *
 * It is self-signed and says what it says in extensions, as those that amazon-efs-utils makes: 1.3.6.1.4.1.4843.7.1 access point,
 * .7.2 the IAM identity as a signature over the key, .7.3 file system, .7.4 what made it. Pure functions: clock and keys
 * are arguments. The server's side of it is auth/mount_certificate.h.
 * Source: reference of amazon-efs-utils 3.2.0, efs_utils_common/certificate_utils.py.
 */
#pragma once

#include "base/base.h"

struct client_certificate_request {
    const char *key_pem;      /* of client_certificate_make_key() */
    const char *host_name;    /* of this machine; cut to 64 letters */
    const char *file_system;  /* fs-... */
    const char *access_point; /* fsap-..., or "" */
    const char *source;       /* what mounts: "shoal" */
    const char *version;
    int64_t now_s;
    /* IAM: NULL key_id for none */
    const char *key_id;
    const char *secret;
    const char *token; /* of temporary keys, or "" */
    const char *region;
};

#define CLIENT_CERTIFICATE_LIFE_S   (3 * 3600)
#define CLIENT_CERTIFICATE_EARLY_S  (15 * 60)
#define CLIENT_CERTIFICATE_TEXT_MAX 4096 /* bytes of a text in it */

/* A new key as PEM; the caller wipes and frees it. It is on the curve P-256, where efs-utils has RSA of 3,072 bits: the server
 * takes any, and making one, as each handshake, costs a hundredth. Errors: -ENOMEM. */
MUST_CHECK int client_certificate_make_key(char **out_key_pem);
/* The certificate as PEM; the caller frees it. Errors: -EINVAL: no key, or a text that is too long; -ENOMEM. */
MUST_CHECK int client_certificate_make(
    const struct client_certificate_request *request, char **out_certificate_pem);
