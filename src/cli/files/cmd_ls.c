/*
 * cli/files/cmd_ls.c - shoal ls: names and attributes of directories and files (room: cli).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/files/entries.h"
#include "cli/files/format.h"
#include "cli/files/remote.h"

#define DEPTH_MAX 256u

struct ls {
    bool is_long, all, recursive, human, json, titles;
    json_t *list; /* with --json */
    int status;
};

/* One directory that waits to be listed. */
struct pending {
    struct pending *next;
    struct tree_dir at;
    unsigned depth;
};

/* What is printed of a directory's entries lines up. */
struct widths {
    int links, uid, gid, size;
};

static int digits(uint64_t value)
{
    char text[FORMAT_SIZE];
    return snprintf(text, sizeof text, "%" PRIu64, value);
}

static void size_text(const struct ls *ls, const struct tree_attr *attr, char *buffer)
{
    if (ls->human)
        (void)format_bytes(buffer, attr->size_bytes);
    else if (attr->type == TREE_BLOCK || attr->type == TREE_CHARACTER)
        (void)snprintf(buffer, FORMAT_SIZE, "%u, %u", attr->device_major, attr->device_minor);
    else
        (void)snprintf(buffer, FORMAT_SIZE, "%" PRIu64, attr->size_bytes);
}

static struct widths measure(const struct ls *ls, const struct entries *entries)
{
    struct widths widths = { 1, 1, 1, 1 };
    for (size_t i = 0; i < entries->count; i++) {
        const struct tree_attr *attr = &entries->list[i].attr;
        char size[FORMAT_SIZE];
        size_text(ls, attr, size);
        int now[] = { digits(attr->link_count), digits(attr->uid), digits(attr->gid),
            (int)strlen(size) };
        int *most[] = { &widths.links, &widths.uid, &widths.gid, &widths.size };
        for (size_t j = 0; j < ARRAY_SIZE(now); j++)
            *most[j] = now[j] > *most[j] ? now[j] : *most[j];
    }
    return widths;
}

static void print_long(const struct ls *ls, const struct tree_attr *attr, struct widths widths)
{
    char mode[FORMAT_SIZE];
    char size[FORMAT_SIZE];
    char time[FORMAT_SIZE];
    size_text(ls, attr, size);
    (void)printf("%s %*u %*u %*u %*s %.19s ", format_mode(mode, attr->type, attr->mode),
        widths.links, attr->link_count, widths.uid, attr->uid, widths.gid, attr->gid, widths.size,
        size, format_time(time, attr->mtime));
}

/* The target of a link, or "" when it cannot be read. */
static void read_target(
    struct tree *tree, const struct tree_dir *dir, const struct entry *entry, char *target)
{
    if (tree->ops->readlink(tree, dir, entry->name, &entry->attr, target) < 0)
        target[0] = '\0';
}

static void print_entry(const struct ls *ls, struct tree *tree, const struct tree_dir *dir,
    const struct entry *entry, struct widths widths)
{
    char target[TREE_LINK_SIZE_MAX + 1];
    if (ls->is_long && entry->error < 0)
        (void)printf("?????????? "); /* its attributes cannot be read */
    else if (ls->is_long)
        print_long(ls, &entry->attr, widths);
    format_print_name(entry->name);
    if (ls->is_long && entry->error == 0 && entry->attr.type == TREE_SYMLINK) {
        read_target(tree, dir, entry, target);
        (void)printf(" -> ");
        format_print_name(target);
    }
    (void)putchar('\n');
}

static void add_json(
    struct ls *ls, struct tree *tree, const struct tree_dir *dir, const struct entry *entry)
{
    char target[TREE_LINK_SIZE_MAX + 1];
    char *path = ls->recursive ? tree_join(dir->path, entry->name) : NULL;
    json_t *json = format_attr_json(path == NULL ? entry->name : path, &entry->attr);
    if (entry->attr.type == TREE_SYMLINK && json != NULL) {
        read_target(tree, dir, entry, target);
        (void)json_object_set_new(json, "target", json_string(target)); /* left out when no UTF-8 */
    }
    if (json == NULL || json_array_append_new(ls->list, json) < 0)
        ls->status = cli_fail("There is no memory left.");
    free(path);
}

static bool is_shown(const struct ls *ls, const struct entry *entry)
{
    return ls->all || entry->name[0] != '.';
}

static void print_entries(
    struct ls *ls, struct tree *tree, const struct tree_dir *dir, const struct entries *entries)
{
    struct widths widths = ls->is_long ? measure(ls, entries) : (struct widths){ 0 };
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->list[i];
        if (!is_shown(ls, entry))
            continue;
        if (ls->json)
            add_json(ls, tree, dir, entry);
        else
            print_entry(ls, tree, dir, entry, widths);
    }
}

/* Puts the directories among the entries before what waits, in their order. */
static int add_pending(struct ls *ls, const struct pending *parent, const struct entries *entries,
    struct pending **list)
{
    for (size_t i = entries->count; i-- > 0;) {
        const struct entry *entry = &entries->list[i];
        if (entry->attr.type != TREE_DIRECTORY || entry->error < 0 || !is_shown(ls, entry) ||
            parent->depth == DEPTH_MAX)
            continue;
        struct pending *pending = calloc(1, sizeof *pending);
        char *path = tree_join(parent->at.path, entry->name);
        if (pending == NULL || path == NULL) {
            free(pending);
            free(path);
            return cli_fail("There is no memory left.");
        }
        *pending = (struct pending){
            .next = *list, .at = { .path = path, .fh = entry->attr.fh }, .depth = parent->depth + 1
        };
        *list = pending;
    }
    return CLI_OK;
}

static void list_one(
    struct ls *ls, const struct place *place, struct tree *tree, struct pending **list)
{
    struct pending *current = *list;
    struct entries entries;
    *list = current->next;
    int err = entries_read(tree, &current->at, &entries);
    if (err < 0) {
        ls->status = cli_fail("Cannot list %s%s%s: %s.", place->word,
            current->at.path[0] ? "/" : "", current->at.path, strerrordesc_np(-err));
    } else {
        if (ls->titles && !ls->json) {
            (void)printf("%s%s%s:\n", place->word,
                current->at.path[0] != '\0' && place->word[strlen(place->word) - 1] != '/' ? "/"
                                                                                           : "",
                current->at.path);
        }
        print_entries(ls, tree, &current->at, &entries);
        if (ls->recursive && add_pending(ls, current, &entries, list) != CLI_OK)
            ls->status = CLI_FAILED;
        entries_free(&entries);
        if (ls->titles && !ls->json && *list != NULL)
            (void)putchar('\n');
    }
    free(current->at.path);
    free(current);
}

static int list_directory(
    struct ls *ls, const struct place *place, struct remote *remote, const struct nfs_attr *attr)
{
    struct tree *tree;
    int err = tree_nfs_open(remote->client, attr, &tree);
    if (err < 0)
        return remote_fail(place, "list", err);
    struct pending *list = calloc(1, sizeof *list);
    char *path = strdup("");
    if (list != NULL && path != NULL) {
        *list = (struct pending){ .at = { .path = path, .fh = attr->fh } };
        while (list != NULL)
            list_one(ls, place, tree, &list);
    } else {
        free(list);
        free(path);
        ls->status = cli_fail("There is no memory left.");
    }
    tree_close(tree);
    return ls->status;
}

/* A file that is no directory: itself. */
static int list_file(struct ls *ls, const struct place *place, struct remote *remote)
{
    struct tree *tree;
    const char *name;
    int status = remote_parent_tree(remote, place, &tree, &name);
    if (status != CLI_OK)
        return status;
    struct tree_attr root;
    char path[] = "";
    struct tree_dir dir = { .path = path };
    char *copy = strdup(name);
    struct entry entry = { .name = copy };
    struct entries entries = { .list = &entry, .count = copy != NULL };
    bool all = ls->all;
    int err = tree->ops->root(tree, &root);
    dir.fh = root.fh;
    if (err == 0 && copy != NULL)
        err = tree->ops->lookup(tree, &dir, name, &entry.attr);
    ls->all = true; /* it was asked for by name */
    if (err == 0)
        print_entries(ls, tree, &dir, &entries);
    else
        status = remote_fail(place, "look at", err);
    ls->all = all;
    free(copy);
    tree_close(tree);
    return status;
}

static int list_word(struct ls *ls, struct remotes *remotes, const char *word)
{
    struct place place;
    struct remote *remote;
    struct nfs_attr attr;
    int status = place_parse_remote(word, &place);
    if (status == CLI_OK)
        status = remotes_find(remotes, &place, &remote);
    if (status == CLI_OK)
        status = ls->is_long ? remote_lookup(remote, &place, &attr)
                             : remote_lookup_target(remote, &place, &attr);
    if (status != CLI_OK)
        return status;
    return attr.type == NF4DIR ? list_directory(ls, &place, remote, &attr)
                               : list_file(ls, &place, remote);
}

int cmd_ls(int argc, char **argv)
{
    struct ls ls = { .status = CLI_OK };
    struct remote_options options = { 0 };
    struct cli_option rows[] = {
        REMOTE_OPTIONS(options),
        { .name = "-l", .is_given = &ls.is_long },
        { .name = "-a", .is_given = &ls.all },
        { .name = "-R", .is_given = &ls.recursive },
        { .name = "-h", .is_given = &ls.human },
        { .name = "--json", .is_given = &ls.json },
    };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 2)
        return cli_usage("Which file system? For example: shoal ls default:/");
    struct remotes remotes;
    remotes_init(&remotes, &options);
    ls.titles = ls.recursive || argc > 2;
    ls.list = json_array();
    for (int i = 1; i < argc; i++) {
        if (i > 1 && !ls.json)
            (void)putchar('\n');
        int result = list_word(&ls, &remotes, argv[i]);
        status = result != CLI_OK ? result : status;
    }
    if (ls.json) {
        int printed = format_print_json(ls.list);
        status = status == CLI_OK ? printed : status;
    } else {
        json_decref(ls.list);
    }
    remotes_close(&remotes);
    return status;
}
