/*
 * engine/check.h - whether all records of a file system agree with each other: every name has its inode, every
 * link and entry is counted, every mapped block is live and every live block is mapped, once.
 */
#pragma once

#include "base/base.h"

struct volume;

/* Checks an open volume that nobody changes meanwhile and that has no uncommitted data; logs what is wrong.
 * On a thread with a deep stack. Errors: -EIO, -ENOMEM; wrong records are no error but counted. */
MUST_CHECK int volume_check(struct volume *volume, uint64_t *out_error_count);
