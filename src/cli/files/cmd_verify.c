/*
 * cli/files/cmd_verify.c - shoal verify: compares every byte and attribute of two trees (room: cli).
 */
#include "cli/files/format.h"
#include "cli/files/summary.h"

int cmd_verify(int argc, char **argv)
{
    bool allow_extra = false;
    bool no_owner = false;
    bool as_json = false;
    struct remote_options options = { 0 };
    struct cli_option rows[] = { REMOTE_OPTIONS(options),
        { .name = "--allow-extra", .is_given = &allow_extra },
        { .name = "--no-owner", .is_given = &no_owner },
        { .name = "--json", .is_given = &as_json } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc != 3)
        return cli_usage("Which two? For example: shoal verify /usr/include default:/include");
    struct remotes remotes;
    struct side from = { .tree = NULL };
    struct side to = { .tree = NULL };
    remotes_init(&remotes, &options);
    status = place_parse(argv[1], &from.place);
    if (status == CLI_OK)
        status = place_parse(argv[2], &to.place);
    if (status == CLI_OK)
        status = side_open(&remotes, &from, true);
    if (status == CLI_OK)
        status = side_open(&remotes, &to, true);
    if (status == CLI_OK) {
        struct summary summary = { .as_json = as_json };
        struct verify_options verify = { .from = &from,
            .to = &to,
            .to_name = to.name,
            .owners = !no_owner && side_can_give_files(&to),
            .link_times = true,
            .allow_extra = allow_extra };
        status = summary_verify(&summary, &verify);
        int printed = summary_print(&summary);
        status = status == CLI_OK ? printed : status;
    }
    side_close(&from);
    side_close(&to);
    remotes_close(&remotes);
    return status;
}
