/*
 * transfer/walk.h - visits a tree with many threads: each directory before what is in it, and again after it.
 *
 * For each directory: enter(), then its entries in any order and in parallel (visit() for those that are no
 * directory), then leave(), when everything below is done. What is held in memory does not grow with the tree,
 * only with its depth and the widest level of directories.
 */
#pragma once

#include <stdatomic.h>

#include "transfer/crew.h"
#include "transfer/tree.h"

struct walk;

struct walk_dir {
    struct crew_task task;
    struct walk *walk;
    struct walk_dir
        *parent; /* NULL: above the start of the walk; has no attributes and is not entered */
    struct tree_dir at;
    const char *name; /* the last part of at.path */
    struct tree_attr attr;
    _Atomic uint32_t pending; /* its listing, entries and holds that are not done */
    void *user;               /* the visitor's own */
    _Atomic uint64_t count;   /* the visitor's own */
    _Atomic uint64_t bytes;   /* the visitor's own */
};

struct walk_ops {
    /* Nonzero: does not descend; leave() is then not called. May be NULL, as leave(). */
    int (*enter)(void *context, struct walk_dir *dir);
    void (*visit)(
        void *context, struct walk_dir *dir, const char *name, const struct tree_attr *attr);
    void (*leave)(void *context, struct walk_dir *dir);
    /* A directory cannot be listed, or an entry of it not be looked at. */
    void (*failed)(void *context, const char *path, int error);
};

struct walk_options {
    struct tree *tree;
    const char *start; /* a name in the root to start at; NULL: the root itself */
    const struct walk_ops *ops;
    void *context;
    void *top_user;           /* `user` of the directory above the start */
    unsigned worker_count;    /* 0: 16 */
    const _Atomic bool *stop; /* may be NULL; true: no new work is begun */
};

/* Walks. Errors: -ENOENT and the like for the start itself; -ENOMEM; all others go to failed(). */
MUST_CHECK int walk_run(const struct walk_options *options);

/* Keeps `dir` from being left, from a visit of it until walk_release(). */
void walk_hold(struct walk_dir *dir);
void walk_release(struct walk_dir *dir);
struct crew *walk_crew(const struct walk_dir *dir);
bool walk_is_stopped(const struct walk_dir *dir);
