/*
 * auth/audit.h - who did what: one JSON line for each call of the API and for each decision about a mount.
 *
 * The lines go to DIRECTORY/audit.log, which is set aside as audit.log.1, .2, .. when it has grown to its size; the
 * oldest goes. A thread of its own writes them: who has something to report never waits for the disk. When lines come
 * faster than they can be written, the rest is counted, and a line says how many are missing. Secrets are never in it:
 * only what these functions are given. Thread-safe.
 *
 * Members of a line: "time" (ISO 8601, milliseconds), "event" ("api", "mount", "certificate" or "lost"), and those below that
 * are not empty, under the same names.
 */
#pragma once

#include <sys/socket.h>

#include "base/base.h"

#define AUDIT_DIRECTORY "audit" /* in the data directory */
#define AUDIT_FILE      "audit.log"
#define AUDIT_FILES_MAX 1000

struct audit;

struct audit_options {
    int dir_fd;              /* of the data directory; borrowed */
    uint64_t size_max_bytes; /* of one file */
    unsigned file_count;     /* of files that are kept, the one that grows among them; at least 1 */
};

/* Opens or makes the directory and the file, and starts the thread. Errors: -ENOMEM, -EAGAIN, the system's. */
MUST_CHECK int audit_new(const struct audit_options *options, struct audit **out_audit);
/* Writes what is left, and ends the thread. NULL is allowed. */
void audit_free(struct audit *audit);

/* A call of the API. All borrowed for the call; NULL: not known. */
struct audit_call {
    int64_t now_ms;
    const char *request;   /* its id */
    const char *principal; /* ARN; NULL: the signature was refused */
    const char *key;       /* the access key id that was claimed */
    const char *service;
    const char *action;
    const char *resource; /* ARN of what it was about */
    const char *created;  /* id of what it made */
    const char *result;   /* "ok", or the error's name */
    unsigned status;
    bool denied; /* refused by signature or policy */
    const struct sockaddr_storage *source;
};

/* Reports one. `audit` NULL: nothing is kept. */
void audit_call(struct audit *audit, const struct audit_call *call);

/* What a connection of the data plane may do in a file system. */
struct audit_mount {
    int64_t now_ms;
    const char *principal; /* ARN; NULL: anonymous */
    const char *file_system;
    const char *access_point; /* NULL: none */
    bool may_mount, may_write, may_be_root;
    const char *reason; /* "no policy", "policy", .. */
    const struct sockaddr_storage *source;
};

/* Reports one. `audit` NULL: nothing is kept. Does not wait. */
void audit_mount(struct audit *audit, const struct audit_mount *mount);

/* A client's certificate that was refused. What it claims is not believed, so only the reason is kept. */
struct audit_certificate {
    int64_t now_ms;
    const char *file_system; /* of the mount target; NULL: the address is none */
    const char *reason;
    const struct sockaddr_storage *source;
};

/* Reports one. `audit` NULL: nothing is kept. Does not wait. */
void audit_certificate(struct audit *audit, const struct audit_certificate *certificate);

/* An address without its port, an IPv4 one in IPv6's form as IPv4; "" when it is none of these. `out_text` has INET6_ADDRSTRLEN
 * bytes. */
void audit_address_text(const struct sockaddr_storage *address, char *out_text);

/* How many lines were written, and how many were lost since the start (queue full, no memory, or the disk failed). */
struct audit_counts {
    uint64_t written;
    uint64_t lost;
};
struct audit_counts audit_counts(struct audit *audit);
