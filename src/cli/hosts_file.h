/*
 * cli/hosts_file.h - a block of lines of our own in a file that belongs to others, such as /etc/hosts.
 */
#pragma once

#include "base/base.h"

/* Gives what the file `old` has to be for the block of `name` to hold `lines` ("": no block), as heap text that the caller frees.
 * All other lines stay as they are; a new block goes to the end. Errors: -EBADMSG: one of the block's marks is missing, or there are
 * several blocks; -ENOMEM. */
MUST_CHECK int hosts_file_edit(
    const char *old, const char *name, const char *lines, char **out_new);
/* Puts that into the file at `path`, which keeps its mode and owner; a missing one is made. *out_changed: whether it had to be
 * written. Errors: those above; -EFBIG; the system's. */
MUST_CHECK int hosts_file_write(
    const char *path, const char *name, const char *lines, bool *out_changed);
