/* transfer/survey.c - counting and removing trees (room: transfer). */
#include "transfer/survey.h"

#include <stdlib.h>

#include "transfer/links.h"
#include "transfer/walk.h"

struct survey {
    struct survey_options *options;
    struct links *links;
};

/* Whether this is the first name met of the file. */
static bool is_first_name(struct survey *survey, const struct tree_attr *attr)
{
    if (attr->link_count < 2)
        return true;
    struct links_key key = { attr->filesystem, attr->inode };
    struct tree_dir nothing = { .path = NULL };
    struct links_found found;
    enum links_answer answer;
    if (links_meet(survey->links, key, attr->link_count, NULL, &answer, &found) < 0)
        return true; /* no memory to know better */
    if (answer == LINKS_FIRST)
        (void)links_publish(survey->links, key, &nothing, -EEXIST);
    return answer == LINKS_FIRST;
}

static void survey_visit(
    void *context, struct walk_dir *dir, const char *name, const struct tree_attr *attr)
{
    struct survey *survey = context;
    struct transfer_stats *stats = survey->options->report.stats;
    (void)name;
    bool first = is_first_name(survey, attr);
    transfer_count(&dir->count, 1);
    if (first) {
        transfer_count(&dir->bytes, attr->space_used_bytes);
        transfer_count(&survey->options->space_bytes, attr->space_used_bytes);
    }
    if (attr->type == TREE_REGULAR && first) {
        transfer_count(&stats->files, 1);
        transfer_count(&stats->bytes, attr->size_bytes);
    } else if (attr->type == TREE_REGULAR) {
        transfer_count(&stats->hard_links, 1);
    } else {
        transfer_count(attr->type == TREE_SYMLINK ? &stats->symlinks : &stats->others, 1);
    }
}

static void survey_leave(void *context, struct walk_dir *dir)
{
    struct survey *survey = context;
    uint64_t entries = atomic_load(&dir->count) + 1;
    uint64_t space = atomic_load(&dir->bytes) + dir->attr.space_used_bytes;
    transfer_count(&survey->options->report.stats->directories, 1);
    transfer_count(&survey->options->space_bytes, dir->attr.space_used_bytes);
    transfer_count(&dir->parent->count, entries);
    transfer_count(&dir->parent->bytes, space);
    if (survey->options->directory != NULL && !walk_is_stopped(dir))
        survey->options->directory(survey->options->context, dir->at.path, entries, space);
}

static void survey_failed(void *context, const char *path, int error)
{
    const struct survey *survey = context;
    transfer_problem(&survey->options->report, path, "cannot be read", error);
}

int survey_run(struct survey_options *options)
{
    static const struct walk_ops ops = {
        .visit = survey_visit, .leave = survey_leave, .failed = survey_failed
    };
    struct survey survey = { .options = options };
    int err = links_new(&survey.links);
    if (err < 0)
        return err;
    struct walk_options walk = { .tree = options->tree,
        .start = options->name,
        .ops = &ops,
        .context = &survey,
        .worker_count = options->worker_count,
        .stop = options->stop };
    err = walk_run(&walk);
    links_free(survey.links);
    return err;
}

static void remove_one(const struct removal_options *options, struct walk_dir *dir,
    const char *name, enum tree_type type)
{
    struct transfer_stats *stats = options->report.stats;
    int err = options->tree->ops->remove(options->tree, &dir->at, name, type == TREE_DIRECTORY);
    if (err < 0 && err != -ENOENT) { /* gone already is what was wanted */
        char *path = tree_join(dir->at.path, name);
        transfer_problem(&options->report, path == NULL ? name : path, "cannot be removed", err);
        free(path);
    } else if (type == TREE_DIRECTORY) {
        transfer_count(&stats->directories, 1);
    } else if (type == TREE_REGULAR) {
        transfer_count(&stats->files, 1);
    } else {
        transfer_count(type == TREE_SYMLINK ? &stats->symlinks : &stats->others, 1);
    }
}

static void removal_visit(
    void *context, struct walk_dir *dir, const char *name, const struct tree_attr *attr)
{
    remove_one(context, dir, name, attr->type);
}

static void removal_leave(void *context, struct walk_dir *dir)
{
    if (!walk_is_stopped(dir))
        remove_one(context, dir->parent, dir->name, TREE_DIRECTORY);
}

static void removal_failed(void *context, const char *path, int error)
{
    const struct removal_options *options = context;
    transfer_problem(&options->report, path, "cannot be read", error);
}

int removal_run(const struct removal_options *options)
{
    static const struct walk_ops ops = {
        .visit = removal_visit, .leave = removal_leave, .failed = removal_failed
    };
    assert(options->name != NULL);
    struct removal_options copy = *options; /* a context that is not const */
    struct walk_options walk = { .tree = options->tree,
        .start = options->name,
        .ops = &ops,
        .context = &copy,
        .worker_count = options->worker_count,
        .stop = options->stop };
    return walk_run(&walk);
}
