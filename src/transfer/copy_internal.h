/* transfer/copy_internal.h - what copy.c and copy_data.c share. */
#pragma once

#include "transfer/copy.h"
#include "transfer/links.h"
#include "transfer/walk.h"

struct copy {
    struct copy_options options;
    struct links *links;
    _Atomic bool keep_owner;
    _Atomic bool lost_link_times;
    struct tree_attr
        to_start; /* of the directory the copy begins in, to notice a copy into itself */
    bool has_to_start;
};

/* One entry on its way. */
struct copy_entry {
    struct links_note note; /* must be first to be freed as a list; see copy.c */
    struct copy *copy;
    struct walk_dir *dir; /* where it is found */
    const struct tree_dir *to;
    const char *to_name;
    struct tree_attr attr;
    bool has_links; /* the table of links is told how it ended */
    char name[TREE_NAME_SIZE_MAX + 1];
};

/* The attributes to give. */
struct tree_set copy_set_of(const struct copy *copy, const struct tree_attr *attr);
/* After `error` with these attributes: whether it was for the owner in them, which is not tried again. */
bool copy_gave_up_owner(struct copy *copy, const struct tree_set *tried, int error);
/* After `error`: whether it can be tried once more, because what stood in the way is removed. */
bool copy_made_way(struct copy_entry *entry, int error, unsigned *attempt);
/* The entry is copied (`fh` is its handle) or failed; frees it. */
void copy_entry_done(
    struct copy_entry *entry, const struct nfs_fh *fh, const char *what, int error);

/* copy_data.c: copies a regular file; ends with copy_entry_done(), perhaps in another thread. */
void copy_regular(struct copy_entry *entry);
