/*
 * mount/source.h - what is to be mounted: the first word of a mount.
 *
 *   fs-0123456789abcdef0[:/path]        a file system by its id           fsap-0123456789abcdef0[:/]   an access point
 *   default[:/path]                     by its name (the tag Name)        127.16.0.4[:/path]           an address
 *   fs-....efs.us-east-1.SUFFIX[:/path] by a name in DNS                  [fd00::1][:/path]            of IPv6
 *   HOST/fs-0123.../path                (a server's own address shows every file system as a directory)
 *
 * Only words are looked at here.
 */
#pragma once

#include "mount/problem.h"

#define SOURCE_HOST_SIZE 256
#define SOURCE_PATH_SIZE 1024

enum source_kind {
    SOURCE_FILE_SYSTEM,  /* fs-... */
    SOURCE_ACCESS_POINT, /* fsap-... */
    SOURCE_NAME,         /* of a file system */
    SOURCE_DNS,          /* a host's name */
    SOURCE_ADDRESS,      /* numeric */
};

struct source {
    enum source_kind kind;
    char host[SOURCE_HOST_SIZE]; /* without brackets */
    char file_system
        [SOURCE_HOST_SIZE]; /* fs-..., also where the DNS name or the path begins with it; or empty */
    char path[SOURCE_PATH_SIZE]; /* absolute */
};

/* Errors: -EINVAL with the sentence. */
MUST_CHECK int source_parse(const char *word, struct source *out_source, struct problem *problem);
/* Whether the text is fs- and 8 to 40 hexadecimal digits. */
bool source_is_file_system_id(const char *text);
bool source_is_access_point_id(const char *text);
