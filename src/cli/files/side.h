/*
 * cli/files/side.h - one side of a copy or a comparison: a tree and a name in it, here or in a file system.
 */
#pragma once

#include "cli/files/remote.h"

struct side {
    struct place place;
    struct tree *tree;     /* of the directory that holds the name, or of the root itself */
    const char *name;      /* NULL: the root of the tree. Borrows from `place` */
    struct remote *remote; /* NULL: local */
    bool exists;
    struct tree_attr attr; /* when it exists */
};

/* Opens the side that the place names; `must_exist` says whether it is a failure when the last name is not there.
 * `side` must not move. Gives CLI_OK, or the exit code after the sentence. */
MUST_CHECK int side_open(struct remotes *remotes, struct side *side, bool must_exist);
/* Whether who we are there may give files to others: then a copy keeps owners. */
bool side_can_give_files(const struct side *side);
void side_close(struct side *side);
