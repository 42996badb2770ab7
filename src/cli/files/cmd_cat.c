/*
 * cli/files/cmd_cat.c - shoal cat: the data of files, to standard output (room: cli).
 *
 * Sixteen reads are under way at one time, so that a long way to the server does not make it slow.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cli/files/remote.h"

#define READS_MAX 16u

static int write_all(struct slice data)
{
    while (data.size > 0) {
        ssize_t written = write(STDOUT_FILENO, data.data, data.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        data = slice_of(data.data + written, data.size - (size_t)written);
    }
    return 0;
}

struct cat {
    struct nfs_file *file;
    struct nfs_read *reads; /* a ring of READS_MAX */
    uint32_t piece_bytes;
    bool write_failed;
};

static uint64_t offset_of(const struct cat *cat, uint64_t index)
{
    return index * cat->piece_bytes;
}

/* Takes the answers in order. A short one ends the file, also when it became shorter meanwhile. */
static int copy_out(struct cat *cat, uint64_t piece_count)
{
    uint64_t started = 0;
    int err = 0;
    bool at_end = false;
    for (uint64_t done = 0; done < piece_count; done++) {
        while (started < piece_count && started < done + READS_MAX && err == 0 && !at_end) {
            nfs_read_start(&cat->reads[started % READS_MAX], cat->file, offset_of(cat, started),
                cat->piece_bytes);
            started++;
        }
        if (done >= started)
            break;
        struct nfs_read *read = &cat->reads[done % READS_MAX];
        int read_err = nfs_read_finish(read);
        if (err == 0 && !at_end)
            err = read_err;
        if (err == 0 && !at_end) {
            err = write_all(read->data);
            cat->write_failed = err < 0;
            at_end = read->data.size < cat->piece_bytes;
        }
        nfs_read_end(read);
    }
    return err;
}

static int print_file(struct remote *remote, const struct place *place, const struct nfs_attr *attr)
{
    struct cat cat = { .piece_bytes = nfs_client_io_size(remote->client) };
    int err = nfs_file_open(remote->client, &attr->fh, NFS_READ, &cat.file);
    if (err < 0)
        return remote_fail(place, "open", err);
    cat.reads = calloc(READS_MAX, sizeof *cat.reads);
    uint64_t piece_count = (attr->size_bytes + cat.piece_bytes - 1) / cat.piece_bytes;
    err = cat.reads == NULL ? -ENOMEM : copy_out(&cat, piece_count);
    free(cat.reads);
    (void)nfs_file_close(cat.file); /* it was only read */
    if (err == -EPIPE && cat.write_failed)
        return CLI_FAILED; /* whoever read us has had enough: no sentence */
    if (err < 0 && cat.write_failed)
        return cli_fail("Cannot write to standard output: %s.", strerrordesc_np(-err));
    return err < 0 ? remote_fail(place, "read", err) : CLI_OK;
}

int cmd_cat(int argc, char **argv)
{
    struct remote_options options = { 0 };
    struct cli_option rows[] = { REMOTE_OPTIONS(options) };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 2)
        return cli_usage("Which file? For example: shoal cat default:/hello.txt");
    struct remotes remotes;
    remotes_init(&remotes, &options);
    for (int i = 1; i < argc; i++) {
        struct place place;
        struct remote *remote;
        struct nfs_attr attr;
        int result = place_parse_remote(argv[i], &place);
        if (result == CLI_OK)
            result = remotes_find(&remotes, &place, &remote);
        if (result == CLI_OK)
            result = remote_lookup_target(remote, &place, &attr);
        if (result == CLI_OK && attr.type != NF4REG)
            result = cli_fail("%s is no regular file%s.", place.word,
                attr.type == NF4DIR ? " but a directory" : "");
        else if (result == CLI_OK)
            result = print_file(remote, &place, &attr);
        status = result != CLI_OK ? result : status;
    }
    remotes_close(&remotes);
    return status;
}
