/* client/dir.h - listing a directory, with the attributes of every entry. */
#pragma once

#include "client/attr.h"

/* Takes one entry; both are borrowed for the call. A negative value ends the listing with it. */
typedef int nfs_dir_emit(void *context, struct slice name, const struct nfs_attr *attr);

/* Calls `emit` for each entry, in the server's order, without "." and "..", page by page: the memory
 * used does not depend on the size of the directory. */
MUST_CHECK int nfs_dir_list(
    struct nfs_client *client, const struct nfs_fh *dir, nfs_dir_emit *emit, void *context);
