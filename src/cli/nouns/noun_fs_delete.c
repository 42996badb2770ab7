/*
 * cli/nouns/noun_fs_delete.c - shoal fs delete: says what would be lost, asks, deletes (room: cli).
 *
 * Source: EFS API, DeleteFileSystem (refused while there are mount targets).
 */
#include <unistd.h>

#include "base/text.h"
#include "cli/files/format.h"
#include "cli/nouns/noun_fs.h"

#define PATH_SIZE   256
#define ANSWER_SIZE 160

/* What goes with a file system. */
struct loss {
    json_t *fs;
    json_t *targets;
    json_t *points;
};

static void loss_fini(struct loss *loss)
{
    json_decref(loss->fs);
    json_decref(loss->targets);
    json_decref(loss->points);
}

static int look(struct noun_call *call, const char *word, struct loss *out_loss)
{
    int status = noun_find_fs(call, word, &out_loss->fs);
    const char *id = noun_text(out_loss->fs, "FileSystemId");
    if (status == CLI_OK)
        status = fs_targets(call, id, &out_loss->targets);
    if (status == CLI_OK)
        status = fs_access_points(call, id, &out_loss->points);
    return status;
}

static void say_ids(
    FILE *stream, const char *what, const json_t *list, const char *id, const char *more)
{
    if (json_array_size(list) == 0)
        return;
    (void)fprintf(
        stream, "  %zu %s%s:", json_array_size(list), what, json_array_size(list) == 1 ? "" : "s");
    for (size_t i = 0; i < json_array_size(list) && i < 10; i++) {
        const json_t *one = json_array_get(list, i);
        (void)fprintf(stream, " %s (%s)", noun_text(one, id), noun_text(one, more));
    }
    (void)fputs(json_array_size(list) > 10 ? " ...\n" : "\n", stream);
}

static void say_loss(FILE *stream, const struct loss *loss)
{
    char size[FORMAT_SIZE];
    const char *name = noun_text(loss->fs, "Name");
    json_int_t bytes = json_integer_value(noun_value(loss->fs, "SizeInBytes.Value"));
    (void)fprintf(stream, "Deleting %s%s%s%s loses for good:\n  %s of files\n",
        noun_text(loss->fs, "FileSystemId"), name[0] != '\0' ? " (" : "", name,
        name[0] != '\0' ? ")" : "", format_bytes(size, (uint64_t)bytes));
    say_ids(stream, "mount target", loss->targets, "MountTargetId", "IpAddress");
    say_ids(stream, "access point", loss->points, "AccessPointId", "RootDirectory.Path");
}

/* --dry-run: what would go, and whether the service would let it. */
static int show_loss(struct noun_call *call, const struct loss *loss, bool with_targets)
{
    bool is_blocked = !with_targets && json_array_size(loss->targets) > 0;
    if (call->format != NOUN_TABLE)
        return noun_show(call,
            json_pack("{s:O, s:O, s:O, s:b}", "FileSystem", loss->fs, "MountTargets", loss->targets,
                "AccessPoints", loss->points, "IsBlockedByMountTargets", is_blocked));
    say_loss(stdout, loss);
    (void)puts(is_blocked ? "It would be refused while there are mount targets (--with-targets).\n"
                            "Nothing was changed."
                          : "Nothing was changed.");
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write the result.");
}

/* Lets the person type the id; nobody there is a no. */
static int ask(const struct loss *loss)
{
    char answer[ANSWER_SIZE];
    const char *id = noun_text(loss->fs, "FileSystemId");
    say_loss(stderr, loss);
    if (isatty(STDIN_FILENO) == 0)
        return cli_usage("Nobody can be asked here: say --yes to delete %s.", id);
    (void)fprintf(stderr, "Type %s to delete it: ", id);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        return cli_fail("Nothing was deleted.");
    answer[strcspn(answer, "\n")] = '\0';
    return strcmp(answer, id) == 0 ? CLI_OK : cli_fail("Nothing was deleted.");
}

static int no_targets_are_left(struct noun_call *call, const void *id, bool *out_done)
{
    json_t *list = NULL;
    int status = fs_targets(call, id, &list);
    *out_done = status == CLI_OK && json_array_size(list) == 0;
    json_decref(list);
    return status;
}

static int delete_targets(struct noun_call *call, const struct loss *loss)
{
    int status = CLI_OK;
    for (size_t i = 0; i < json_array_size(loss->targets) && status == CLI_OK; i++) {
        char path[PATH_SIZE];
        (void)snprintf(path, sizeof path, "/mount-targets/%s",
            noun_text(json_array_get(loss->targets, i), "MountTargetId"));
        status = noun_efs(call, &(struct api_call){ .method = "DELETE", .path = path, .query = "" },
            "to delete the mount target", NULL);
    }
    if (status != CLI_OK)
        return status;
    return noun_wait(call, "The end of the mount targets", noun_text(loss->fs, "FileSystemId"),
        no_targets_are_left);
}

static int run(struct noun_call *call, const struct loss *loss, bool with_targets)
{
    char path[PATH_SIZE];
    const char *id = noun_text(loss->fs, "FileSystemId");
    int status = with_targets ? delete_targets(call, loss) : CLI_OK;
    (void)snprintf(path, sizeof path, "/file-systems/%s", id);
    if (status == CLI_OK)
        status = noun_efs(call, &(struct api_call){ .method = "DELETE", .path = path, .query = "" },
            "to delete the file system", NULL);
    if (status != CLI_OK)
        return status;
    return noun_done(call, json_pack("{s:s}", "FileSystemId", id), "%s is deleted", id);
}

int noun_fs_delete(struct noun_call *call)
{
    bool with_targets = false;
    bool is_sure = false;
    struct loss loss = { 0 };
    const struct cli_option options[] = { { "--with-targets", NULL, &with_targets },
        { "--yes", NULL, &is_sure } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK)
        status = look(call, call->argv[1], &loss);
    if (status == CLI_OK && call->is_dry_run) {
        status = show_loss(call, &loss, with_targets);
    } else if (status == CLI_OK) {
        status = is_sure ? CLI_OK : ask(&loss);
        if (status == CLI_OK)
            status = run(call, &loss, with_targets);
    }
    loss_fini(&loss);
    return status;
}
