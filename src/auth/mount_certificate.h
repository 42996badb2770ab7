/*
 * auth/mount_certificate.h - the certificate that efs-utils shows when it mounts: read, and judged.
 *
 * It is self-signed and says in its extensions which file system, which access point and, signed with an access key,
 * who. TLS has proved that the client has the certificate's key; all else is proved here. A certificate without these
 * extensions is somebody's own: its holder is anonymous.
 *
 *   1.3.6.1.4.1.4843.7.1  access point id, UTF8String
 *   1.3.6.1.4.1.4843.7.2  SEQUENCE { key id, signature in hexadecimal, time, [0] session token }
 *   1.3.6.1.4.1.4843.7.3  file system id, UTF8String
 *   1.3.6.1.4.1.4843.7.4  SEQUENCE { what mounts, version of efs-utils }
 *
 * The signature is that of a GET request Action=Connect to the file system's id, with the SHA-1 of the public key, but
 * for one line break between its header and the list of headers, where SigV4 has two.
 * Pure but for the look-up of the key: the time is an argument. Thread-safe. Source: amazon-efs-utils 3.2.0, behaviour
 * as of 2026-07.
 */
#pragma once

#include "auth/principal.h"
#include "auth/session.h"
#include "auth/sigv4.h"

#define MOUNT_SOURCE_SIZE      101
#define MOUNT_REASON_SIZE      160
/* X-Amz-Expires of the signed request. */
#define MOUNT_SIGNATURE_LIFE_S INT64_C(86400)

/* What a certificate says; nothing of it is proved. */
struct mount_certificate {
    char fs_id[CATALOG_ID_SIZE];           /* "": it has none of the extensions */
    char access_point_id[CATALOG_ID_SIZE]; /* "": none */
    char source[MOUNT_SOURCE_SIZE];        /* what mounts: "", "unknown", "macos", "k8s..." */
    char version[MOUNT_SOURCE_SIZE];
    bool is_signed; /* then: */
    char key_id[SIGV4_KEY_ID_SIZE];
    char signature[SIGV4_SIGNATURE_SIZE];
    int64_t signed_s;
    char token[SESSION_TOKEN_SIZE_MAX + 1]; /* "": none */
    char key_hash[41];                      /* of the public key, not as claimed */
    int64_t not_before_s;
    int64_t not_after_s;
};

/* Reads a certificate (DER). Errors: -EINVAL, and `reason` says what is wrong with it; -ENOMEM. */
MUST_CHECK int mount_certificate_read(
    struct slice der, struct mount_certificate *out_certificate, char reason[MOUNT_REASON_SIZE]);

/* Whether a signed certificate was signed with this secret, in this region. Errors: -EINVAL: it was not, with the
 * reason; -ENOMEM. */
MUST_CHECK int mount_certificate_check_signature(const struct mount_certificate *certificate,
    const char *region, const char *secret, char reason[MOUNT_REASON_SIZE]);

/* Who is there, as a certificate has proved it. */
struct mount_identity {
    char fs_id[CATALOG_ID_SIZE];           /* which file system it wants to mount */
    char access_point_id[CATALOG_ID_SIZE]; /* "": none */
    char source[MOUNT_SOURCE_SIZE];
    char key_id[CATALOG_ID_SIZE]; /* "": anonymous */
    char *token;                  /* of a session; or NULL */
    int64_t proved_ms;            /* when: what had not ended then has not ended */
    struct principal *principal;  /* with its policies; NULL: anonymous */
};

/* Judges a certificate at `now_ms`. *out_identity NULL: it claims nothing; else it is the caller's. Whether the access
 * point and the file system belong together is proved, too. Errors: -EACCES: refused; -ETIME: refused for its times, or
 * those of its credentials, so that the next one may be good; both with a `reason` in words for the log; -ENOMEM. */
MUST_CHECK int mount_certificate_judge(const struct catalog *catalog, struct slice der,
    int64_t now_ms, struct mount_identity **out_identity, char reason[MOUNT_REASON_SIZE]);
/* Looks again for the principal and its policies, when the catalog has changed. What a session was when it was proved
 * counts, so one that has ended since goes on (EFS: connections outlive the certificate). Errors: -EACCES: its key, user
 * or role is gone or inactive; -ENOMEM. In both cases nothing is changed. */
MUST_CHECK int mount_identity_refresh(
    const struct catalog *catalog, struct mount_identity *identity);
/* NULL is allowed. */
void mount_identity_free(struct mount_identity *identity);
/* By which name the NFS server's identity is told apart: a session goes by its role, so that it stays the same when
 * credentials are renewed; "": anonymous. */
const char *mount_identity_name(const struct mount_identity *identity);
