/*
 * cli/cmd_mount.c - shoal mount, umount and remount: the mount manager's words (room: cli).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/cli.h"
#include "mount/manager.h"

#define LIMIT_MS_UNMOUNT 10000u
#define LIMIT_S_MAX      3600u

/* "data=DIR" before the options that were given, when --data says so. */
static int add_data(const char *data, const char *options, char *out, size_t size)
{
    size_t used = 0;
    bool has_options = options != NULL && options[0] != '\0';
    int err = 0;
    out[0] = '\0';
    if (data != NULL)
        err = text_append(out, size, &used, "data=%s%s", data, has_options ? "," : "");
    if (err == 0 && has_options)
        err = text_append(out, size, &used, "%s", options);
    return err < 0 ? cli_usage("The mount options are too long.") : CLI_OK;
}

static int persist_kind_of(const char *word, enum persist_kind *out_kind)
{
    static const char *const names[] = { "fstab", "systemd", "automount" };
    *out_kind = PERSIST_NONE;
    for (size_t i = 0; word != NULL && i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], word) == 0)
            *out_kind = PERSIST_FSTAB + (unsigned)i;
    }
    if (word != NULL && *out_kind == PERSIST_NONE)
        return cli_usage("--save takes fstab, systemd or automount, not %s.", word);
    return CLI_OK;
}

static int fail(int err, const struct problem *problem)
{
    return err == -EINVAL ? cli_usage("%s", problem->text) : cli_fail("%s", problem->text);
}

static void tell(const struct manager_result *result, bool is_check)
{
    (void)printf("%s %s %s", result->label,
        result->was_mounted ? "is mounted already on"
        : is_check          ? "can be mounted on"
                            : "is mounted on",
        result->point);
    if (!result->was_mounted)
        (void)printf(" (%s port %u, found %s, %" PRIu64 " ms)", result->target.address,
            result->target.port, resolve_way_name(result->target.way), result->took_ms);
    (void)printf(".\n");
    if (result->remarks.text[0] != '\0')
        (void)fprintf(stderr, "shoal: %s\n", result->remarks.text);
}

int cmd_mount(int argc, char **argv)
{
    const char *data = NULL;
    const char *words = NULL;
    const char *save = NULL;
    char options[4096];
    struct manager_request request = { 0 };
    const struct cli_option known[] = { { "--data", &data, NULL }, { "-o", &words, NULL },
        { "--save", &save, NULL }, { "--etc", &request.etc, NULL },
        { "--check", NULL, &request.only_check } };
    int status = cli_parse(known, ARRAY_SIZE(known), &argc, argv);
    if (status == CLI_OK && argc != 3)
        status = cli_usage("`mount` needs a source and a directory; see shoal mount --help.");
    if (status == CLI_OK)
        status = persist_kind_of(save, &request.persist);
    if (status == CLI_OK)
        status = add_data(data, words, options, sizeof options);
    if (status != CLI_OK)
        return status;
    request.source = argv[1];
    request.point = argv[2];
    request.options = options;
    struct manager_result *result = calloc(1, sizeof *result);
    struct problem problem = { "" };
    if (result == NULL)
        return cli_fail("There is no memory left.");
    int err = manager_mount(&request, result, &problem);
    if (err < 0)
        status = fail(err, &problem);
    else
        tell(result, request.only_check);
    free(result);
    return status;
}

static int unmount_one(const char *point, bool is_lazy, uint64_t limit_ms)
{
    static const char *const ways[] = { [UNMOUNT_PLAIN] = "",
        [UNMOUNT_FORCED] = " by force, as it did not answer: what was not on the server is lost",
        [UNMOUNT_LAZY] =
            " lazily: the kernel forgets it when its last user is gone or the server answers" };
    struct manager_unmounted done;
    struct problem problem = { "" };
    int err = manager_unmount(point, is_lazy, limit_ms, &done, &problem);
    if (err < 0)
        return fail(err, &problem);
    if (done.was_mounted)
        (void)printf("%s is unmounted%s.\n", done.point, ways[done.way]);
    else
        (void)printf("Nothing is mounted on %s.\n", done.point);
    return CLI_OK;
}

int cmd_umount(int argc, char **argv)
{
    bool is_lazy = false;
    const char *limit = NULL;
    uint64_t limit_s = LIMIT_MS_UNMOUNT / 1000;
    const struct cli_option known[] = { { "--lazy", NULL, &is_lazy }, { "-l", NULL, &is_lazy },
        { "--timeout", &limit, NULL } };
    int status = cli_parse(known, ARRAY_SIZE(known), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 2)
        return cli_usage("`umount` needs a directory; see shoal umount --help.");
    if (limit != NULL && (text_parse_u64(limit, LIMIT_S_MAX, &limit_s) < 0 || limit_s == 0))
        return cli_usage("--timeout takes 1 to %u seconds.", LIMIT_S_MAX);
    for (int i = 1; i < argc; i++) {
        int one = unmount_one(argv[i], is_lazy, limit_s * 1000);
        status = one != CLI_OK ? one : status;
    }
    return status;
}

int cmd_remount(int argc, char **argv)
{
    const char *words = NULL;
    const struct cli_option known[] = { { "-o", &words, NULL } };
    int status = cli_parse(known, ARRAY_SIZE(known), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc != 2)
        return cli_usage("`remount` needs a directory; see shoal remount --help.");
    struct manager_result *result = calloc(1, sizeof *result);
    struct problem problem = { "" };
    if (result == NULL)
        return cli_fail("There is no memory left.");
    int err = manager_remount(argv[1], words, result, &problem);
    if (err < 0)
        status = fail(err, &problem);
    else if (result->was_mounted)
        (void)printf("%s stays mounted on %s.\n", result->label, result->point);
    else
        tell(result, false);
    free(result);
    return status;
}
