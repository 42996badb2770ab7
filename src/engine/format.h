/*
 * engine/format.h - the file `format` of a file system: what it is, and which release may open it.
 */
#pragma once

#include "base/base.h"
#include "base/hash.h"
#include "engine/segment.h"

#define FORMAT_VERSION 5u

/* What the file says. */
struct format {
    unsigned version;
    uint32_t segment_blocks;
    uint8_t uuid[UUID_BYTES];
    struct hash_key name_key; /* zeros when encrypted */
    bool is_encrypted;
};

/* Writes it as of this release, durable on return. */
MUST_CHECK int format_write(int dir_fd, const struct format *format);
/* Errors: -ENOENT; -EPROTO: newer; -EBADMSG. */
MUST_CHECK int format_read(int dir_fd, struct format *out_format);
