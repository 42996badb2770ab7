/*
 * cli/files/cmd_du.c - shoal du: the space that directories use (room: cli).
 */
#include <inttypes.h>

#include "base/text.h"
#include "cli/files/format.h"
#include "cli/files/progress.h"
#include "cli/files/remote.h"
#include "cli/files/usage.h"

#define WORKERS         16u
#define DEPTH_ASKED_MAX 8u /* deeper, walking is as fast as asking about each directory */

struct du {
    bool summary, in_bytes, as_json;
    uint64_t depth_max;
    json_t *list;
    struct place place;
    const char *base;  /* the part of paths that stands in place->path already */
    struct mutex lock; /* of the output */
    bool no_memory;
};

static unsigned depth_of(const char *path)
{
    unsigned depth = 0;
    for (; *path != '\0'; path++)
        depth += *path == '/';
    return depth;
}

static void print_line(const struct du *du, const char *path, uint64_t entries, uint64_t space)
{
    char size[FORMAT_SIZE];
    char count[FORMAT_SIZE];
    if (du->in_bytes)
        (void)snprintf(size, sizeof size, "%" PRIu64, space); /* fits */
    else
        (void)format_bytes(size, space);
    (void)printf("%12s %12s files  ", size, format_count(count, entries));
    format_print_name(path);
    (void)putchar('\n');
}

static void show(struct du *du, const char *path, uint64_t entries, uint64_t space)
{
    mutex_lock(&du->lock);
    if (du->list == NULL) {
        print_line(du, path, entries, space);
    } else {
        json_t *json = json_pack("{s:s, s:I, s:I}", "path", path, "entries", (json_int_t)entries,
            "space_used_bytes", (json_int_t)space);
        if (json == NULL || json_array_append_new(du->list, json) < 0)
            du->no_memory = true;
    }
    mutex_unlock(&du->lock);
}

/* What stands for a directory below the place's. Errors: -ENOSPC: longer than any path that could be written. */
static int full_path(const struct du *du, const char *below, char full[2 * PLACE_PATH_SIZE])
{
    size_t used = 0;
    size_t word_size = strlen(du->place.word);
    bool needs_slash = below[0] != '\0' && du->place.word[word_size - 1] != '/';
    return text_append(full, 2 * (size_t)PLACE_PATH_SIZE, &used, "%s%s%s", du->place.word,
        needs_slash ? "/" : "", below);
}

/* `path` begins with the last part of the place's path, which the person wrote. */
static void take_directory(void *context, const char *path, uint64_t entries, uint64_t space)
{
    struct du *du = context;
    char full[2 * PLACE_PATH_SIZE];
    bool has_base = du->base[0] != '\0';
    unsigned depth = path[0] == '\0' ? 0 : depth_of(path) + !has_base;
    if (du->summary ? depth > 0 : depth > du->depth_max)
        return;
    const char *below = has_base ? path + strlen(du->base) : path;
    below += *below == '/';
    if (full_path(du, below, full) < 0)
        return;
    show(du, full, entries, space);
}

static void take_usage(void *context, const char *path, const struct usage *usage)
{
    struct du *du = context;
    char full[2 * PLACE_PATH_SIZE];
    if (full_path(du, path, full) == 0)
        show(du, full, usage->entries + 1, usage->space_bytes);
}

static int measure(struct du *du, struct remotes *remotes, const char *word)
{
    struct place *place = &du->place;
    struct remote *remote;
    struct nfs_attr attr;
    struct tree *tree;
    const char *name;
    int status = place_parse_remote(word, place);
    if (status == CLI_OK)
        status = remotes_find(remotes, place, &remote);
    if (status == CLI_OK)
        status = remote_lookup(remote, place, &attr);
    if (status == CLI_OK && attr.type != NF4DIR) {
        show(du, word, 1, attr.space_used_bytes);
        return CLI_OK;
    }
    uint64_t depth_max = du->summary ? 0 : du->depth_max;
    if (status == CLI_OK && depth_max <= DEPTH_ASKED_MAX &&
        usage_list(remote->client, &attr.fh, depth_max, take_usage, du) == 0)
        return CLI_OK;
    /* The server does not count, or there is a problem that walking will meet and tell. */
    if (status == CLI_OK)
        status = remote_parent_tree(remote, place, &tree, &name);
    if (status != CLI_OK)
        return status;
    du->base = name == NULL ? "" : name;
    struct progress progress;
    progress_begin(&progress, "counting", word, name, true);
    struct survey_options survey = { .tree = tree,
        .name = name,
        .worker_count = WORKERS,
        .stop = progress_stop_flag(),
        .report = progress_report(&progress),
        .directory = take_directory,
        .context = du };
    int err = survey_run(&survey);
    (void)progress_end(&progress);
    tree_close(tree);
    if (err < 0)
        return remote_fail(place, "measure", err);
    if (atomic_load(survey.stop))
        return cli_fail("Stopped.");
    return atomic_load(&progress.stats.problems) == 0 ? CLI_OK : CLI_FAILED;
}

int cmd_du(int argc, char **argv)
{
    struct du du = { .depth_max = UINT64_MAX };
    struct remote_options options = { 0 };
    const char *depth = NULL;
    struct cli_option rows[] = { REMOTE_OPTIONS(options), { .name = "-s", .is_given = &du.summary },
        { .name = "-b", .is_given = &du.in_bytes }, { .name = "-d", .value = &depth },
        { .name = "--json", .is_given = &du.as_json } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (depth != NULL && text_parse_u64(depth, UINT32_MAX, &du.depth_max) < 0)
        return cli_usage("-d takes a number of levels, not %s.", depth);
    if (argc < 2)
        return cli_usage("Which directory? For example: shoal du -s default:/");
    struct remotes remotes;
    remotes_init(&remotes, &options);
    (void)pthread_mutex_init(&du.lock.pthread, NULL); /* cannot fail without attributes */
    du.list = du.as_json ? json_array() : NULL;
    for (int i = 1; i < argc; i++) {
        int result = measure(&du, &remotes, argv[i]);
        status = result != CLI_OK ? result : status;
    }
    if (du.no_memory)
        status = cli_fail("There is no memory left.");
    if (du.as_json) {
        int printed = format_print_json(du.list);
        status = status == CLI_OK ? printed : status;
    }
    (void)pthread_mutex_destroy(&du.lock.pthread); /* nobody holds it */
    remotes_close(&remotes);
    return status;
}
