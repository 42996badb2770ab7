/*
 * transfer/walk.c - the parallel visit of a tree (room: transfer).
 *
 * A directory's `pending` counts its own listing, each entry under way, each directory in it, and holds. Who
 * brings it to zero leaves the directory and goes on with the one above.
 */
#include "transfer/walk.h"

#include <stdlib.h>

#define WORKERS_DEFAULT 16u

struct walk {
    struct walk_options options;
    struct crew *crew;
};

/* An entry that is no directory. */
struct entry {
    struct crew_task task;
    struct walk_dir *dir;
    struct tree_attr attr;
    char name[];
};

static bool is_stopped(const struct walk *walk)
{
    return walk->options.stop != NULL &&
           atomic_load_explicit(walk->options.stop, memory_order_relaxed);
}

bool walk_is_stopped(const struct walk_dir *dir)
{
    return is_stopped(dir->walk);
}

struct crew *walk_crew(const struct walk_dir *dir)
{
    return dir->walk->crew;
}

void walk_hold(struct walk_dir *dir)
{
    atomic_fetch_add(&dir->pending, 1);
}

static void dir_free(struct walk_dir *dir)
{
    free(dir->at.path);
    free(dir);
}

void walk_release(struct walk_dir *dir)
{
    while (dir != NULL && atomic_fetch_sub(&dir->pending, 1) == 1) {
        struct walk_dir *parent = dir->parent;
        const struct walk_options *options = &dir->walk->options;
        if (parent != NULL && options->ops->leave != NULL)
            options->ops->leave(options->context, dir);
        dir_free(dir);
        dir = parent;
    }
}

static void report(struct walk *walk, const struct walk_dir *dir, const char *name, int error)
{
    char *path = tree_join(dir->at.path, name);
    walk->options.ops->failed(walk->options.context, path == NULL ? name : path, error);
    free(path);
}

static void run_entry(struct crew_task *task)
{
    struct entry *entry = CONTAINER_OF(task, struct entry, task);
    struct walk *walk = entry->dir->walk;
    if (!is_stopped(walk))
        walk->options.ops->visit(walk->options.context, entry->dir, entry->name, &entry->attr);
    walk_release(entry->dir);
    free(entry);
}

static void run_directory(struct crew_task *task);

/* `name` is copied. */
static int add_directory(struct walk_dir *parent, const char *name, const struct tree_attr *attr)
{
    struct walk_dir *dir = calloc(1, sizeof *dir);
    char *path = tree_join(parent->at.path, name);
    if (dir == NULL || path == NULL) {
        free(dir);
        free(path);
        return -ENOMEM;
    }
    const char *slash = strrchr(path, '/');
    *dir = (struct walk_dir){ .task = { .run = run_directory },
        .walk = parent->walk,
        .parent = parent,
        .at = { .path = path, .fh = attr->fh },
        .name = slash == NULL ? path : slash + 1,
        .attr = *attr,
        .pending = 1 };
    walk_hold(parent);
    crew_add(parent->walk->crew, CREW_DIRECTORIES, &dir->task);
    return 0;
}

static int add_entry(struct walk_dir *dir, const char *name, const struct tree_attr *attr)
{
    size_t size = strlen(name) + 1;
    struct entry *entry = malloc(sizeof *entry + size);
    if (entry == NULL)
        return -ENOMEM;
    entry->task.run = run_entry;
    entry->dir = dir;
    entry->attr = *attr;
    memcpy(entry->name, name, size);
    walk_hold(dir);
    while (crew_is_full(dir->walk->crew) && crew_help(dir->walk->crew))
        continue;
    crew_add(dir->walk->crew, CREW_FILES, &entry->task);
    return 0;
}

static int take_entry(void *context, struct slice name, const struct tree_attr *attr, int error)
{
    struct walk_dir *dir = context;
    char text[TREE_NAME_SIZE_MAX + 1];
    if (is_stopped(dir->walk))
        return -ECANCELED;
    if (name.size > TREE_NAME_SIZE_MAX)
        return -ENAMETOOLONG;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    if (error == 0)
        error = attr->type == TREE_DIRECTORY ? add_directory(dir, text, attr)
                                             : add_entry(dir, text, attr);
    if (error < 0)
        report(dir->walk, dir, text, error);
    return 0;
}

static void run_directory(struct crew_task *task)
{
    struct walk_dir *dir = CONTAINER_OF(task, struct walk_dir, task);
    struct walk *walk = dir->walk;
    const struct walk_options *options = &walk->options;
    if (is_stopped(walk) ||
        (options->ops->enter != NULL && options->ops->enter(options->context, dir) != 0)) {
        struct walk_dir *parent = dir->parent;
        dir_free(dir); /* not entered, so not left */
        walk_release(parent);
        return;
    }
    int err = options->tree->ops->list(options->tree, &dir->at, take_entry, dir);
    if (err < 0 && err != -ECANCELED)
        options->ops->failed(options->context, dir->at.path, err);
    walk_release(dir);
}

/* Puts the start on the queue. */
static int begin(struct walk *walk, struct walk_dir *top)
{
    const struct walk_options *options = &walk->options;
    struct tree *tree = options->tree;
    struct tree_attr attr;
    int err = tree->ops->root(tree, &attr);
    top->at.fh = attr.fh;
    const char *name = options->start == NULL ? "" : options->start;
    if (err == 0 && options->start != NULL)
        err = tree->ops->lookup(tree, &top->at, name, &attr);
    if (err < 0)
        return err;
    return attr.type == TREE_DIRECTORY ? add_directory(top, name, &attr)
                                       : add_entry(top, name, &attr);
}

int walk_run(const struct walk_options *options)
{
    struct walk walk = { .options = *options };
    struct walk_dir *top = calloc(1, sizeof *top);
    char *path = strdup("");
    if (top == NULL || path == NULL) {
        free(top);
        free(path);
        return -ENOMEM;
    }
    *top = (struct walk_dir){
        .walk = &walk, .at = { .path = path }, .name = "", .user = options->top_user, .pending = 1
    };
    unsigned workers = options->worker_count == 0 ? WORKERS_DEFAULT : options->worker_count;
    int err = crew_new(workers, &walk.crew);
    if (err == 0)
        err = begin(&walk, top);
    if (walk.crew != NULL)
        crew_wait(walk.crew);
    crew_free(walk.crew);
    walk_release(top);
    return err;
}
