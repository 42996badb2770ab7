/*
 * cli/cmd_up.c - shoal up: a running service with a file system to use (room: cli).
 */
#include <time.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/default_fs.h"
#include "cli/launch.h"

#define WORDS_MAX    64
#define BUSY_MAX_MS  120000
#define LOOK_STEP_NS 20000000

/* Waits while a daemon that somebody else started is on its way up, or down. Gives whether it serves. */
static bool await_other(struct instance *instance)
{
    const uint64_t deadline_ms = clock_coarse_ms() + BUSY_MAX_MS;
    const struct timespec step = { .tv_nsec = LOOK_STEP_NS };
    int err = 0;
    while (err == 0 && instance->is_running && !instance->is_serving &&
           clock_coarse_ms() < deadline_ms) {
        (void)nanosleep(&step, NULL); /* woken early: it looks a little sooner */
        err = instance_look(instance);
    }
    return err == 0 && instance->is_serving;
}

/* Starts the daemon unless it runs. `words` are its options. */
static int ensure_service(const char *data, char **words, bool has_options)
{
    struct instance instance;
    if (access(data, F_OK) < 0 && errno == ENOENT)
        return launch(data, words);
    int status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    bool serves = instance.is_serving || await_other(&instance);
    instance_close(&instance);
    if (!serves)
        return launch(data, words);
    if (has_options)
        (void)fprintf(stderr,
            "shoal: The service runs already; options given now count when it is started again.\n");
    return CLI_OK;
}

static int print_json(const struct api *api, const struct default_fs *fs)
{
    const struct instance *instance = api->instance;
    json_t *targets = json_array();
    for (size_t i = 0; i < fs->target_count && targets != NULL; i++) {
        const struct default_target *target = &fs->targets[i];
        if (json_array_append_new(targets, json_pack("{s:s, s:s, s:s}", "id", target->id, "ip",
                                               target->ip, "zone", target->zone)) < 0) {
            json_decref(targets);
            targets = NULL;
        }
    }
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:i}", "endpoint",
        instance->endpoint, "region", instance->region, "access_key_id", api->keys.key_id,
        "secret_access_key", api->keys.secret, "account_id", instance->account_id, "file_system_id",
        fs->id, "mount_targets", targets, "nfs_port", (int)instance->nfs_port);
    int status = json != NULL && json_dumpf(json, stdout, JSON_INDENT(2)) == 0 &&
                         fputc('\n', stdout) != EOF && fflush(stdout) == 0
                     ? CLI_OK
                     : cli_fail("Cannot write the result.");
    json_decref(json);
    return status;
}

/* Names the port only where it is not NFS's own. */
static void port_option(const struct instance *instance, char *out_text, size_t size)
{
    out_text[0] = '\0';
    if (instance->nfs_port != 2049)
        (void)snprintf(out_text, size, ",port=%u", instance->nfs_port);
}

static int print_text(const struct api *api, const struct default_fs *fs)
{
    const struct instance *instance = api->instance;
    char port[16];
    port_option(instance, port, sizeof port);
    (void)printf("Shoal %s serves (pid %d).\n\n", instance->version, (int)instance->pid);
    (void)printf("  endpoint       %s\n  region         %s\n  access key     %s\n"
                 "  secret key     %s\n  account        %s\n  file system    %s (default)\n",
        instance->endpoint, instance->region, api->keys.key_id, api->keys.secret,
        instance->account_id, fs->id);
    for (size_t i = 0; i < fs->target_count; i++)
        (void)printf("  mount target   %-15s %s in %s\n", fs->targets[i].ip, fs->targets[i].id,
            fs->targets[i].zone);
    (void)printf(
        "  NFS port       %u\n\nMount it (Linux, as root):\n"
        "  mount -t nfs4 -o nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,"
        "noresvport%s %s:/ /mnt\n",
        instance->nfs_port, port, fs->targets[0].ip);
    (void)printf("\nAWS tools:\n  eval \"$(shoal env --data %s)\"\n"
                 "  aws --endpoint-url %s efs describe-file-systems\n",
        instance->data, instance->endpoint);
    (void)printf(
        "\nDocker compose:\n  volumes:\n    efs:\n      driver: local\n      driver_opts:\n"
        "        type: nfs\n        o: \"addr=%s,nfsvers=4.1,hard,timeo=600,retrans=2%s\"\n"
        "        device: \":/\"\n",
        fs->targets[0].ip, port);
    (void)printf("\nStop it:\n  shoal down --data %s\n", instance->data);
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write to the output.");
}

/* With the service running: the file system, and what to print. */
static int finish(const char *data, bool as_json)
{
    struct instance instance;
    struct api api;
    struct default_fs fs;
    int status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = instance_require(&instance);
    if (status == CLI_OK)
        status = api_open(&instance, &api);
    if (status == CLI_OK)
        status = default_fs_ensure(&api, &fs);
    if (status == CLI_OK)
        status = as_json ? print_json(&api, &fs) : print_text(&api, &fs);
    instance_close(&instance);
    return status;
}

int cmd_up(int argc, char **argv)
{
    static char data_flag[] = "--data";
    char data_value[PATH_MAX];
    char *words[WORDS_MAX] = { data_flag, data_value };
    const char *data = NULL;
    bool as_json = false;
    const struct cli_option options[] = { { "--data", &data, NULL }, { "--json", NULL, &as_json } };
    cli_take_known(options, ARRAY_SIZE(options), &argc, argv);
    data = instance_data_name(data);
    if (data == NULL)
        return cli_usage("No data directory is given: add --data DIR, or set SHOAL_DATA.");
    if (text_copy(data_value, sizeof data_value, data) < 0 || argc + 2 > WORDS_MAX)
        return cli_usage("These words are too long or too many.");
    for (int i = 1; i < argc; i++)
        words[i + 1] = argv[i];
    int status = ensure_service(data, words, argc > 1);
    if (status == CLI_OK)
        status = finish(data, as_json);
    return status;
}
