/*
 * cli/data/data_checkpoint.c - shoal data put checkpoint, get checkpoint: with a bar of progress (room: cli).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/random.h"
#include "base/sys.h"
#include "cli/data/data.h"
#include "cli/files/format.h"
#include "cli/files/progress.h"

#define PIECE_SIZE (64 * MIB)
#define ALIGNMENT  4096u

static void begin_bar(
    const struct data_call *call, struct progress *progress, const char *doing, uint64_t size)
{
    progress_begin(progress, doing, "", NULL, call->options.is_quiet);
    atomic_store(&progress->totals.bytes, size);
    atomic_store(&progress->totals.files, 1);
    atomic_store(&progress->totals_known, true);
}

/* ---- put ---- */

/* Copies the file into the writer, piece by piece. */
static int copy_in(struct data_call *call, int fd, uint64_t size, const char *path,
    struct shoal_data_writer *writer)
{
    struct progress progress;
    int status = CLI_OK;
    void *buffer = aligned_alloc(ALIGNMENT, PIECE_SIZE);
    if (buffer == NULL)
        return cli_fail("There is no memory left.");
    begin_bar(call, &progress, "saving", size);
    const _Atomic bool *stop = progress_stop_flag();
    for (uint64_t at = 0; at < size && status == CLI_OK; at += PIECE_SIZE) {
        size_t piece = (size_t)min_u64(PIECE_SIZE, size - at);
        int err = sys_pread_all(fd, buffer, piece, at);
        if (err < 0)
            status = cli_fail("Cannot read %s: %s.", path, strerrordesc_np(-err));
        else if (atomic_load(stop))
            status = cli_fail("Stopped: nothing was saved.");
        else if (shoal_data_writer_write(writer, at, buffer, piece, &call->error) != SHOAL_DATA_OK)
            status = data_say(call);
        transfer_count(&progress.stats.bytes, piece);
    }
    (void)progress_end(&progress);
    free(buffer);
    return status;
}

static int save(struct data_call *call, int fd, uint64_t size, const char *path)
{
    char session[17];
    uint64_t version = 0;
    const char *id = call->words[1];
    struct shoal_data_writer *writer = NULL;
    random_hex(session, 16);
    struct shoal_data_writer_options options = {
        .struct_size = sizeof options, .session = session, .size_bytes = size
    };
    if (shoal_data_writer_begin(call->store, id, &options, &writer, &call->error) != SHOAL_DATA_OK)
        return data_say(call);
    int status = copy_in(call, fd, size, path, writer);
    if (status != CLI_OK)
        shoal_data_writer_abort(writer);
    else if (shoal_data_writer_finish(writer, &call->error) != SHOAL_DATA_OK)
        status = data_say(call);
    if (status == CLI_OK && shoal_data_commit_checkpoint(call->store, id, session, 1,
                                call->options.metadata, &version, &call->error) != SHOAL_DATA_OK)
        status = data_say(call);
    if (status != CLI_OK) {
        (void)shoal_data_abort_checkpoint(
            call->store, id, session, NULL); /* it has failed already */
        return status;
    }
    if (call->options.as_json)
        return format_print_json(json_pack("{s:s, s:I, s:I}", "id", id, "version",
            (json_int_t)version, "size_bytes", (json_int_t)size));
    (void)printf("%s version %" PRIu64 "\n", id, version);
    return CLI_OK;
}

int data_put_checkpoint(struct data_call *call)
{
    struct stat st;
    if (call->word_count != 3)
        return cli_usage("`data put checkpoint` takes an id and a file.");
    const char *path = call->words[2];
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return cli_fail("Cannot open %s: %s.", path, strerrordesc_np(-fd));
    int status = CLI_OK;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        status = cli_fail("%s is no regular file.", path);
    else
        status = save(call, fd, (uint64_t)st.st_size, path);
    (void)close(fd); /* read only */
    return status;
}

/* ---- get ---- */

static int copy_out(struct data_call *call, struct shoal_data_checkpoint *checkpoint, FILE *to)
{
    struct shoal_data_checkpoint_info info;
    struct progress progress;
    int status = CLI_OK;
    void *buffer = aligned_alloc(ALIGNMENT, PIECE_SIZE);
    if (buffer == NULL)
        return cli_fail("There is no memory left.");
    shoal_data_checkpoint_info(checkpoint, &info);
    begin_bar(call, &progress, "loading", info.size_bytes);
    for (uint64_t at = 0; at < info.size_bytes && status == CLI_OK; at += PIECE_SIZE) {
        size_t piece = (size_t)min_u64(PIECE_SIZE, info.size_bytes - at);
        if (shoal_data_checkpoint_read(checkpoint, at, buffer, piece, &call->error) !=
            SHOAL_DATA_OK)
            status = data_say(call);
        else if (fwrite(buffer, 1, piece, to) != piece)
            status = cli_fail("Cannot write the checkpoint: %s.", strerrordesc_np(errno));
        transfer_count(&progress.stats.bytes, piece);
    }
    (void)progress_end(&progress);
    free(buffer);
    if (fflush(to) != 0 && status == CLI_OK)
        status = cli_fail("Cannot write the checkpoint: %s.", strerrordesc_np(errno));
    return status;
}

static int write_checkpoint(struct data_call *call, struct shoal_data_checkpoint *checkpoint)
{
    const char *path = call->options.output;
    if (path == NULL || strcmp(path, "-") == 0)
        return copy_out(call, checkpoint, stdout);
    FILE *to = fopen(path, "we");
    if (to == NULL)
        return cli_fail("Cannot make %s: %s.", path, strerrordesc_np(errno));
    int status = copy_out(call, checkpoint, to);
    if (fclose(to) != 0 && status == CLI_OK)
        status = cli_fail("Cannot write %s: %s.", path, strerrordesc_np(errno));
    if (status != CLI_OK)
        (void)unlink(path); /* half of it is of no use */
    return status;
}

int data_get_checkpoint(struct data_call *call)
{
    struct shoal_data_checkpoint *checkpoint = NULL;
    struct shoal_data_checkpoint_info info;
    uint64_t version = 0;
    int status = data_number("--version", call->options.version, UINT64_MAX, &version);
    if (status != CLI_OK)
        return status;
    if (call->options.output == NULL && !call->options.as_json && isatty(STDOUT_FILENO))
        return cli_usage("Where to? -o FILE writes the checkpoint, --json shows its metadata.");
    if (shoal_data_checkpoint_open(
            call->store, call->words[1], version, &checkpoint, &call->error) != SHOAL_DATA_OK)
        return data_say(call);
    if (call->options.output != NULL || !call->options.as_json)
        status = write_checkpoint(call, checkpoint);
    shoal_data_checkpoint_info(checkpoint, &info);
    if (status == CLI_OK && call->options.as_json)
        status = format_print_json(json_pack("{s:s, s:I, s:I, s:I, s:b, s:o}", "id", call->words[1],
            "version", (json_int_t)info.version, "size_bytes", (json_int_t)info.size_bytes,
            "shards", (json_int_t)info.shard_count, "verified", (int)info.is_verified, "metadata",
            json_loads(info.metadata_json, JSON_ALLOW_NUL, NULL)));
    shoal_data_checkpoint_close(checkpoint);
    return status;
}
