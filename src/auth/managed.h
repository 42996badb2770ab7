/*
 * auth/managed.h - the managed policies that every account has, as AWS gives them: for administrators, and for users of
 * EFS. They cannot be changed. The texts are ours; the names and ARNs are AWS's, so that what attaches them works.
 */
#pragma once

#include "base/base.h"

struct managed_policy {
    const char *name;
    const char *id;  /* ANPA.. */
    const char *arn; /* "arn:aws:iam::aws:policy/" and the name */
    const char *description;
    const char *document;
};

/* The policy at `index`, in the order of names; NULL beyond the last. */
const struct managed_policy *managed_policy_at(size_t index);
/* NULL: none with this ARN. */
const struct managed_policy *managed_policy_find(const char *arn);
/* Its document; NULL: none with this ARN. */
const char *managed_policy_document(const char *arn);
