/*
 * client/whole.h - small files in one request: made, filled, given their attributes and closed; or looked up
 * and read.
 *
 * The operations pass the open on as the current stateid (RFC 8881 section 8.2.3), so nothing waits for a
 * reply in between.
 */
#pragma once

#include "client/attr.h"

struct nfs_put {
    struct nfs_fh dir;
    struct slice name;
    struct slice data;       /* at most nfs_client_io_size() bytes; stays until the call returns */
    struct nfs_setattr attr; /* given after the data was written; without a size */
};

/* Makes the file, or replaces the content of a regular one of that name; durable on return. Running it twice
 * has the effect of running it once. Errors: as nfs_file_create(), and those of writing. */
MUST_CHECK int nfs_whole_put(
    struct nfs_client *client, const struct nfs_put *put, struct nfs_fh *out_fh);

/* A file that was looked up and read. */
struct nfs_whole {
    struct nfs_call call;
    struct nfs_attr attr;
    struct slice data; /* of a regular file: the first bytes, at most as many as asked for */
    bool eof;
    int read_error; /* why there are no data; expected of what is no regular file */
};

/* Looks `name` up and reads at most `size` bytes (0: none) of it. Errors: -ENOENT...; a file that is no
 * regular one, or may not be read, has attributes but no data. nfs_whole_end() is due whatever it gives. */
MUST_CHECK int nfs_whole_get(struct nfs_client *client, struct nfs_whole *whole,
    const struct nfs_fh *dir, struct slice name, uint32_t size);
void nfs_whole_end(struct nfs_whole *whole);
