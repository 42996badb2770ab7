/* transfer/tree.c - what both kinds of trees share (room: transfer). */
#include "transfer/tree.h"

#include <stdio.h>
#include <stdlib.h>

void tree_close(struct tree *tree)
{
    if (tree != NULL)
        tree->ops->free(tree);
}

void tree_piece_end(struct tree_piece *piece)
{
    if (piece->kind == PIECE_BUFFER)
        free(piece->buffer);
    else if (piece->kind == PIECE_READ)
        nfs_read_end(&piece->read);
    else if (piece->kind == PIECE_WHOLE)
        nfs_whole_end(&piece->whole);
    piece->kind = PIECE_NONE;
}

char *tree_join(const char *path, const char *name)
{
    size_t size = strlen(path) + strlen(name) + 2;
    char *joined = malloc(size);
    if (joined != NULL)
        (void)snprintf(joined, size, "%s%s%s", path, path[0] == '\0' || name[0] == '\0' ? "" : "/",
            name); /* fits */
    return joined;
}
