/* cli/files/entries.h - the entries of one directory, sorted by name. */
#pragma once

#include "transfer/tree.h"

struct entry {
    char *name;
    struct tree_attr attr;
    int error; /* why there are no attributes; 0: there are */
};

struct entries {
    struct entry *list;
    size_t count;
    size_t room;
};

/* Lists the directory. Errors: as tree_ops.list. */
MUST_CHECK int entries_read(
    struct tree *tree, const struct tree_dir *dir, struct entries *out_entries);
void entries_free(struct entries *entries);
