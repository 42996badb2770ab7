/* nfs/op_io.h - who may read and write the data of a file: for READ, WRITE, and what version 4.2 has beside them. */
#pragma once

#include "nfs/compound.h"

/* Whether the stateid allows it, and the user. `file` is the current place or the saved one, a regular file; the
 * current stateid means the one that goes along with it. NFS4ERR_OPENMODE, NFS4ERR_ACCESS, NFS4ERR_BAD_STATEID, ...
 */
MUST_CHECK enum nfsstat4 io_check_access(struct compound *compound, struct place *file,
    const struct stateid4 *stateid, enum state_io io);

/* Whether the user may do what was granted whatever the mode of the file is: who opened it, and user 0. */
bool io_is_permitted(const struct compound *compound, const struct state_io_grant *grant);

/* NFS4ERR_WRONG_TYPE for all but regular files, directories included, as RFC 7862 section 15 wants it. */
MUST_CHECK enum nfsstat4 io_require_file(struct compound *compound, struct place *file);
