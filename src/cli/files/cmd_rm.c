/*
 * cli/files/cmd_rm.c - shoal rm: removes files and trees (room: cli).
 */
#include "cli/files/format.h"
#include "cli/files/progress.h"
#include "cli/files/remote.h"

struct rm {
    bool recursive;
    bool force; /* what does not exist is no failure */
};

static int remove_tree(const struct place *place, struct tree *tree, const char *name)
{
    struct progress progress;
    progress_begin(&progress, "removing", place->word, name, false);
    struct removal_options removal = { .tree = tree,
        .name = name,
        .stop = progress_stop_flag(),
        .report = progress_report(&progress) };
    int err = removal_run(&removal);
    (void)progress_end(&progress);
    if (err < 0)
        return remote_fail(place, "remove", err);
    if (atomic_load(removal.stop))
        return cli_fail("Stopped; what was removed by then is gone.");
    return atomic_load(&progress.stats.problems) == 0 ? CLI_OK : CLI_FAILED;
}

static int remove_word(const struct rm *rm, struct remotes *remotes, const char *word)
{
    struct place place;
    struct remote *remote;
    struct nfs_attr attr;
    struct tree *tree;
    const char *name;
    int status = place_parse_remote(word, &place);
    if (status == CLI_OK && strcmp(place.path, "/") == 0)
        return cli_usage(
            "%s is the root of a file system, and is not removed; to empty it, name what is in it.",
            word);
    if (status == CLI_OK)
        status = remotes_find(remotes, &place, &remote);
    if (status != CLI_OK)
        return status;
    if (rm->force && nfs_node_lookup_path(
                         remote->client, &remote->root.fh, slice_str(place.path), &attr) == -ENOENT)
        return CLI_OK;
    status = remote_lookup(remote, &place, &attr);
    if (status == CLI_OK && attr.type == NF4DIR && !rm->recursive)
        return cli_fail("%s is a directory; -r removes it with all that is in it.", word);
    if (status == CLI_OK)
        status = remote_parent_tree(remote, &place, &tree, &name);
    if (status != CLI_OK)
        return status;
    if (attr.type == NF4DIR) {
        status = remove_tree(&place, tree, name);
    } else {
        struct tree_attr root;
        char path[] = "";
        int err = tree->ops->root(tree, &root);
        struct tree_dir dir = { .path = path, .fh = root.fh };
        if (err == 0)
            err = tree->ops->remove(tree, &dir, name, false);
        status = err < 0 ? remote_fail(&place, "remove", err) : CLI_OK;
    }
    tree_close(tree);
    return status;
}

int cmd_rm(int argc, char **argv)
{
    struct rm rm = { 0 };
    struct remote_options options = { 0 };
    struct cli_option rows[] = { REMOTE_OPTIONS(options),
        { .name = "-r", .is_given = &rm.recursive }, { .name = "-f", .is_given = &rm.force } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 2)
        return cli_usage("What is to be removed? For example: shoal rm -r default:/old");
    struct remotes remotes;
    remotes_init(&remotes, &options);
    for (int i = 1; i < argc; i++) {
        int result = remove_word(&rm, &remotes, argv[i]);
        status = result != CLI_OK ? result : status;
    }
    remotes_close(&remotes);
    return status;
}
