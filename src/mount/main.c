/*
 * mount/main.c - mount.shoal, which mount(8) calls for `mount -t shoal` (room: mount).
 *
 * mount.shoal SOURCE DIR [-sfnvN] [-o OPTIONS]; exit codes are those of mount(8): 0 done, 1 wrong words or no permission, 2 the
 * system's failure, 32 the mount failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mount/manager.h"

enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

static int usage(void)
{
    (void)fputs(
        "Usage: mount.shoal SOURCE DIRECTORY [-fnsv] [-o OPTIONS]\n"
        "Mounts a Shoal (or EFS) file system; see mount.shoal(8). mount -t shoal calls it.\n",
        stderr);
    return EXIT_USAGE;
}

static int exit_code(int err)
{
    if (err == -EINVAL || err == -EPERM || err == -ENOSPC)
        return EXIT_USAGE;
    return err == -ENOMEM ? EXIT_SYSTEM : EXIT_MOUNT;
}

static bool wants_remount(const char *options)
{
    struct mount_options parsed;
    struct problem ignored;
    return options_parse(options, &parsed, &ignored) == 0 && parsed.remount;
}

int main(int argc, char **argv)
{
    struct manager_request request = { 0 };
    bool is_verbose = false;
    int option;
    while ((option = getopt(argc, argv, "fnsvNo:t:h")) != -1) { // NOLINT(concurrency-mt-unsafe)
        if (option == 'o')
            request.options = optarg;
        else if (option == 'f')
            request.only_check = true;
        else if (option == 'v')
            is_verbose = true;
        else if (option == 'h' || option == '?')
            return usage();
    }
    if (argc - optind != 2)
        return usage();
    request.source = argv[optind];
    request.point = argv[optind + 1];
    struct manager_result *result = calloc(1, sizeof *result);
    struct problem problem = { "" };
    if (result == NULL)
        return EXIT_SYSTEM;
    int err = wants_remount(request.options)
                  ? manager_remount(request.point, request.options, result, &problem)
                  : manager_mount(&request, result, &problem);
    if (err < 0)
        (void)fprintf(stderr, "mount.shoal: %s\n", problem.text);
    else if (result->remarks.text[0] != '\0')
        (void)fprintf(stderr, "mount.shoal: %s\n", result->remarks.text);
    if (err == 0 && is_verbose)
        (void)printf("mount.shoal: %s on %s: found %s, %llu ms\n", result->label, result->point,
            resolve_way_name(result->target.way), (unsigned long long)result->took_ms);
    free(result);
    return err < 0 ? exit_code(err) : 0;
}
