/* nfs/op_deleg.h - what OPEN has to do with delegations; for op_open.c. */
#pragma once

#include "nfs/compound.h"

/* Fills OPEN's `delegation` for a file that was just opened, whose attributes are `attr`. True: one is given, and this
 * is its stateid. May wait for storage. */
MUST_CHECK bool open_put_delegation(struct compound *compound, const struct OPEN4args *args,
    const struct fs_attr *attr, struct open_delegation4 *out, struct state_stateid *out_stateid);

/* CLAIM_DELEGATE_CUR, CLAIM_DELEG_CUR_FH: whether the client has the delegation that it names on this file. */
MUST_CHECK enum nfsstat4 open_check_delegation(
    struct compound *compound, const struct OPEN4args *args, const struct state_file_ref *file);
