/*
 * cli/files/cmd_mkdir.c - shoal mkdir: makes directories (room: cli).
 */
#include "base/text.h"
#include "cli/files/remote.h"

struct mkdir {
    bool parents;
    uint32_t mode;
};

static int parse_mode(const char *text, uint32_t *out_mode)
{
    uint32_t mode = 0;
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '7' || size > 5)
            return cli_usage("-m %s: write the mode in octal, e.g. 0750.", text);
        mode = mode * 8 + (uint32_t)(text[i] - '0');
    }
    if (size == 0 || mode > 07777)
        return cli_usage("-m %s: write the mode in octal, e.g. 0750.", text);
    *out_mode = mode;
    return CLI_OK;
}

/* Makes each directory of the path that is missing, without following links; only the last must be new, unless -p is given. */
static int make_path(const struct mkdir *options, struct remote *remote, const struct place *place)
{
    struct nfs_attr dir = remote->root;
    const char *at = place->path + 1;
    int err = *at == '\0' ? -EEXIST : 0;
    while (*at != '\0' && err == 0) {
        size_t size = strcspn(at, "/");
        bool is_last = at[size] == '\0';
        struct slice name = slice_of(at, size);
        struct nfs_make make = { .type = NF4DIR,
            .attr = { .set_mode = true, .mode = is_last ? options->mode : 0755 } };
        struct nfs_attr next;
        err = is_last ? -ENOENT : nfs_node_lookup(remote->client, &dir.fh, name, &next);
        if (err == -ENOENT && (is_last || options->parents))
            err = nfs_node_make(remote->client, &dir.fh, name, &make, &next);
        if (err == -EEXIST && options->parents)
            err = nfs_node_lookup(remote->client, &dir.fh, name, &next);
        if (err == 0 && next.type != NF4DIR)
            err = -ENOTDIR;
        dir = next;
        at += size + !is_last;
    }
    if (err == -EEXIST && options->parents)
        err = 0;
    if (err == -ENOENT)
        return cli_fail(
            "Cannot make %s: the directory above it does not exist; -p makes it too.", place->word);
    if (err == -EEXIST)
        return cli_fail("%s exists already.", place->word);
    return err < 0 ? remote_fail(place, "make", err) : CLI_OK;
}

int cmd_mkdir(int argc, char **argv)
{
    struct mkdir mkdir = { .mode = 0755 };
    struct remote_options options = { 0 };
    const char *mode = NULL;
    struct cli_option rows[] = { REMOTE_OPTIONS(options),
        { .name = "-p", .is_given = &mkdir.parents }, { .name = "-m", .value = &mode } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status == CLI_OK && mode != NULL)
        status = parse_mode(mode, &mkdir.mode);
    if (status != CLI_OK)
        return status;
    if (argc < 2)
        return cli_usage("Which directory? For example: shoal mkdir default:/data");
    struct remotes remotes;
    remotes_init(&remotes, &options);
    for (int i = 1; i < argc; i++) {
        struct place place;
        struct remote *remote;
        int result = place_parse_remote(argv[i], &place);
        if (result == CLI_OK)
            result = remotes_find(&remotes, &place, &remote);
        if (result == CLI_OK)
            result = make_path(&mkdir, remote, &place);
        status = result != CLI_OK ? result : status;
    }
    remotes_close(&remotes);
    return status;
}
