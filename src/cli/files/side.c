/*
 * cli/files/side.c - opening one side of a copy or a comparison (room: cli).
 */
#include "cli/files/side.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

/* Splits a local path into directory and name: "a/b/" is "b" in "a". A path that has no name ("/", ".", "x/..") is
 * the root of its tree. */
static void split_local(struct place *place, char *directory, const char **out_name)
{
    size_t size = strlen(place->path);
    while (size > 1 && place->path[size - 1] == '/')
        place->path[--size] = '\0';
    char *slash = strrchr(place->path, '/');
    const char *name = slash == NULL ? place->path : slash + 1;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        (void)text_copy(directory, PLACE_PATH_SIZE, place->path); /* same size */
        *out_name = NULL;
        return;
    }
    if (slash == NULL)
        (void)text_copy(directory, PLACE_PATH_SIZE, ".");
    else
        (void)snprintf(directory, PLACE_PATH_SIZE, "%.*s",
            slash == place->path ? 1 : (int)(slash - place->path), place->path); /* fits */
    *out_name = name;
}

static int open_tree(struct remotes *remotes, struct side *side)
{
    struct place *place = &side->place;
    if (place->kind != PLACE_LOCAL) {
        int status = remotes_find(remotes, place, &side->remote);
        return status != CLI_OK ? status
                                : remote_parent_tree(side->remote, place, &side->tree, &side->name);
    }
    char directory[PLACE_PATH_SIZE];
    split_local(place, directory, &side->name);
    int err = tree_local_open(directory, &side->tree);
    return err < 0 ? cli_fail("Cannot open %s: %s.", directory, strerrordesc_np(-err)) : CLI_OK;
}

int side_open(struct remotes *remotes, struct side *side, bool must_exist)
{
    int status = open_tree(remotes, side);
    if (status != CLI_OK)
        return status;
    struct tree_attr root;
    char path[] = "";
    int err = side->tree->ops->root(side->tree, &root);
    struct tree_dir dir = { .path = path, .fh = root.fh };
    side->attr = root;
    if (err == 0 && side->name != NULL)
        err = side->tree->ops->lookup(side->tree, &dir, side->name, &side->attr);
    side->exists = err == 0;
    if (err == 0 || (err == -ENOENT && !must_exist))
        return CLI_OK;
    if (err == -ENOENT && side->remote != NULL) {
        struct nfs_attr unused;
        status = remote_lookup(side->remote, &side->place, &unused); /* says what is missing */
    } else if (err == -ENOENT) {
        status = cli_fail("There is no %s.", side->place.word);
    } else {
        status = remote_fail(&side->place, "look at", err);
    }
    side_close(side);
    return status == CLI_OK ? CLI_FAILED : status;
}

bool side_can_give_files(const struct side *side)
{
    return side->remote != NULL ? side->remote->acts_as_root : geteuid() == 0;
}

void side_close(struct side *side)
{
    tree_close(side->tree);
    side->tree = NULL;
}
