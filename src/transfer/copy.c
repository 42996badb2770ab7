/*
 * transfer/copy.c - what is done with each entry of a tree that is copied (room: transfer).
 *
 * Directories are made with mode 0700 and get their own mode and times when all in them is done: a copy that is
 * under way can be entered by its owner only, and writing into it would change its times. The data of regular
 * files is copy_data.c.
 */
#include "transfer/copy.h"

#include <stdlib.h>

#include "transfer/copy_internal.h"

#define RETRIES_MAX 2u

struct tree_set copy_set_of(const struct copy *copy, const struct tree_attr *attr)
{
    return (struct tree_set){ .set_owner = atomic_load(&copy->keep_owner),
        .mode = attr->mode,
        .uid = attr->uid,
        .gid = attr->gid,
        .atime = attr->atime,
        .mtime = attr->mtime };
}

static void report(const struct copy *copy, const struct walk_dir *dir, const char *name,
    const char *what, int error)
{
    char *path = tree_join(dir->at.path, name);
    transfer_problem(&copy->options.report, path == NULL ? name : path, what, error);
    free(path);
}

/* The name that an entry of `dir` gets. */
static const char *name_in_copy(
    const struct copy *copy, const struct walk_dir *dir, const char *name)
{
    return dir->parent == NULL && copy->options.to_name != NULL ? copy->options.to_name : name;
}

bool copy_gave_up_owner(struct copy *copy, const struct tree_set *tried, int error)
{
    if (error != -EPERM || !tried->set_owner)
        return false;
    atomic_store(&copy->keep_owner, false);
    return true;
}

bool copy_made_way(struct copy_entry *entry, int error, unsigned *attempt)
{
    struct tree *to = entry->copy->options.to;
    struct tree_attr found;
    if (++*attempt > RETRIES_MAX || (error != -EEXIST && error != -ELOOP && error != -EACCES &&
                                        error != -EINVAL && error != -ENXIO && error != -ETXTBSY))
        return false;
    return to->ops->lookup(to, entry->to, entry->to_name, &found) == 0 &&
           found.type != TREE_DIRECTORY &&
           to->ops->remove(to, entry->to, entry->to_name, false) == 0;
}

static void make_link(struct copy_entry *entry, const struct tree_dir *target)
{
    struct tree *to = entry->copy->options.to;
    unsigned attempt = 0;
    int err;
    do {
        err = to->ops->link(to, target, entry->to, entry->to_name);
    } while (copy_made_way(entry, err, &attempt));
    entry->has_links = false; /* it was not the first */
    if (err == -EMLINK || err == -EXDEV || err == -EOPNOTSUPP) {
        copy_regular(entry); /* better a file of its own than none */
        return;
    }
    if (err == 0)
        transfer_count(&entry->copy->options.report.stats->hard_links, 1);
    copy_entry_done(entry, NULL, "cannot be linked", err);
}

/* Tells the table of links how the first copy ended, and serves those who waited for it. */
static void publish(struct copy_entry *entry, const struct nfs_fh *fh, int error)
{
    struct links_key key = { entry->attr.filesystem, entry->attr.inode };
    struct tree_dir target = { .path = NULL };
    if (error == 0) {
        assert(fh != NULL);
        target.path = tree_join(entry->to->path, entry->to_name);
        target.fh = *fh;
        if (target.path == NULL)
            error = -ENOMEM;
    }
    struct links_note *notes = links_publish(entry->copy->links, key, &target, error);
    while (notes != NULL) {
        struct copy_entry *waiting = CONTAINER_OF(notes, struct copy_entry, note);
        notes = notes->next;
        if (error == 0) {
            make_link(waiting, &target);
        } else {
            waiting->has_links = false;
            copy_entry_done(
                waiting, NULL, "cannot be linked: its first name was not copied", error);
        }
    }
    free(target.path);
}

void copy_entry_done(struct copy_entry *entry, const struct nfs_fh *fh, const char *what, int error)
{
    if (error < 0 && !(error == -ECANCELED && walk_is_stopped(entry->dir)))
        report(entry->copy, entry->dir, entry->name, what, error);
    if (entry->has_links)
        publish(entry, fh, error);
    walk_release(entry->dir);
    free(entry);
}

static void copy_linked(struct copy_entry *entry)
{
    struct links_key key = { entry->attr.filesystem, entry->attr.inode };
    struct links_found found = { .error = 0 };
    enum links_answer answer;
    int err =
        links_meet(entry->copy->links, key, entry->attr.link_count, &entry->note, &answer, &found);
    if (err < 0) {
        copy_entry_done(entry, NULL, "cannot be copied", err);
        return;
    }
    switch (answer) {
    case LINKS_FIRST:
        entry->has_links = true;
        copy_regular(entry);
        break;
    case LINKS_READY:
        make_link(entry, &found.target);
        free(found.target.path);
        break;
    case LINKS_WAITING:
        break; /* whoever publishes goes on with it; it may be gone already */
    case LINKS_FAILED:
        copy_entry_done(
            entry, NULL, "cannot be linked: its first name was not copied", found.error);
        break;
    }
}

static void copy_node(struct copy_entry *entry)
{
    struct copy *copy = entry->copy;
    struct tree *from = copy->options.from;
    struct tree *to = copy->options.to;
    char target[TREE_LINK_SIZE_MAX + 1];
    struct tree_make make = { .type = entry->attr.type,
        .link_target = target,
        .device_major = entry->attr.device_major,
        .device_minor = entry->attr.device_minor };
    struct tree_attr made;
    unsigned attempt = 0;
    int err = 0;
    if (entry->attr.type == TREE_SYMLINK)
        err = from->ops->readlink(from, &entry->dir->at, entry->name, &entry->attr, target);
    if (err == 0) {
        do {
            make.set = copy_set_of(copy, &entry->attr);
            err = to->ops->make(to, entry->to, entry->to_name, &make, &made);
        } while (copy_gave_up_owner(copy, &make.set, err) || copy_made_way(entry, err, &attempt));
    }
    if (err == 0 && entry->attr.type == TREE_SYMLINK &&
        (made.mtime.seconds != make.set.mtime.seconds ||
            made.mtime.nanoseconds != make.set.mtime.nanoseconds))
        atomic_store(&copy->lost_link_times, true); /* some servers cannot set them */
    if (err == 0)
        transfer_count(entry->attr.type == TREE_SYMLINK ? &copy->options.report.stats->symlinks
                                                        : &copy->options.report.stats->others,
            1);
    copy_entry_done(entry, NULL, "cannot be made", err);
}

static void visit(
    void *context, struct walk_dir *dir, const char *name, const struct tree_attr *attr)
{
    struct copy *copy = context;
    struct copy_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        report(copy, dir, name, "cannot be copied", -ENOMEM);
        return;
    }
    size_t size = strlen(name) + 1;
    assert(size <= sizeof entry->name);
    memcpy(entry->name, name, size);
    entry->copy = copy;
    entry->dir = dir;
    entry->to = dir->user;
    entry->to_name = name_in_copy(copy, dir, entry->name);
    entry->attr = *attr;
    walk_hold(dir);
    if (attr->type != TREE_REGULAR)
        copy_node(entry);
    else if (attr->link_count > 1)
        copy_linked(entry);
    else
        copy_regular(entry);
}

/* Makes the directory, or takes the one that is there. */
static int make_directory(
    struct copy *copy, const struct walk_dir *dir, const char *name, struct tree_attr *out_attr)
{
    struct tree *to = copy->options.to;
    const struct tree_dir *parent = dir->parent->user;
    if (dir->parent->parent == NULL && copy->options.to_name == NULL)
        return to->ops->root(to, out_attr);
    struct tree_make make = { .type = TREE_DIRECTORY };
    int err = to->ops->make(to, parent, name, &make, out_attr);
    if (err == -EEXIST)
        err = to->ops->lookup(to, parent, name, out_attr);
    if (err == 0 && out_attr->type != TREE_DIRECTORY)
        err = -ENOTDIR;
    return err;
}

static bool is_same(
    const struct copy *copy, const struct tree_attr *in_from, const struct tree_attr *in_to)
{
    return copy->options.from->ops == copy->options.to->ops && in_from->inode == in_to->inode &&
           in_from->filesystem == in_to->filesystem;
}

static int enter(void *context, struct walk_dir *dir)
{
    struct copy *copy = context;
    const char *name = name_in_copy(copy, dir->parent, dir->name);
    struct tree_attr made;
    if (copy->has_to_start && is_same(copy, &dir->attr, &copy->to_start)) {
        transfer_problem(&copy->options.report, dir->at.path,
            "is the destination of this copy, and is not copied into itself", 0);
        return -EINVAL;
    }
    int err = make_directory(copy, dir, name, &made);
    struct tree_dir *to = calloc(1, sizeof *to);
    const struct tree_dir *parent = dir->parent->user;
    bool at_root = dir->parent->parent == NULL && copy->options.to_name == NULL;
    if (err == 0 && to != NULL) {
        to->fh = made.fh;
        to->path = at_root ? strdup("") : tree_join(parent->path, name);
    }
    if (err == 0 && (to == NULL || to->path == NULL))
        err = -ENOMEM;
    if (err < 0) {
        free(to);
        transfer_problem(&copy->options.report, dir->at.path, "cannot be made", err);
        return err;
    }
    if (dir->parent->parent == NULL) { /* the start: alone, before all others */
        copy->to_start = made;
        copy->has_to_start = true;
    }
    dir->user = to;
    return 0;
}

static void leave(void *context, struct walk_dir *dir)
{
    struct copy *copy = context;
    struct tree *to = copy->options.to;
    struct tree_dir *copied = dir->user;
    struct tree_set set;
    int err;
    do {
        set = copy_set_of(copy, &dir->attr);
        err = to->ops->set(to, copied, &set);
    } while (copy_gave_up_owner(copy, &set, err));
    if (err < 0)
        transfer_problem(
            &copy->options.report, dir->at.path, "cannot be given its mode and times", err);
    else
        transfer_count(&copy->options.report.stats->directories, 1);
    free(copied->path);
    free(copied);
}

static void failed(void *context, const char *path, int error)
{
    const struct copy *copy = context;
    transfer_problem(&copy->options.report, path, "cannot be read", error);
}

int copy_run(const struct copy_options *options, struct copy_result *out_result)
{
    static const struct walk_ops ops = {
        .enter = enter, .visit = visit, .leave = leave, .failed = failed
    };
    struct copy copy = { .options = *options, .keep_owner = options->keep_owner };
    struct tree_attr root;
    char top_path[] = "";
    struct tree_dir top = { .path = top_path };
    int err = options->to->ops->root(options->to, &root);
    if (err == 0)
        err = links_new(&copy.links);
    if (err < 0)
        return err;
    top.fh = root.fh;
    struct walk_options walk = { .tree = options->from,
        .start = options->from_name,
        .ops = &ops,
        .context = &copy,
        .top_user = &top,
        .worker_count = options->worker_count,
        .stop = options->stop };
    err = walk_run(&walk);
    links_free(copy.links);
    int sync_err = options->to->ops->sync(options->to);
    *out_result = (struct copy_result){ .kept_owner = atomic_load(&copy.keep_owner),
        .kept_link_times = !atomic_load(&copy.lost_link_times) };
    return err < 0 ? err : sync_err;
}
