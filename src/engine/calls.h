/*
 * engine/calls.h - the functions behind fs.h; engine_ops in calls_read.c lists them. What each does
 * stands in fs/fs.h.
 */
#pragma once

#include "fs/fs.h"

struct volume;

/* The attributes of an inode, from memory or the database (waits). Errors: -ESTALE. */
MUST_CHECK int calls_attr(struct volume *volume, uint64_t id, struct fs_attr *out_attr);

int call_setattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    const struct fs_setattr *change, struct fs_attr *out_attr);
int call_create(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct slice name,
    const struct fs_create *how, struct fs_created *out);
int call_link(struct fs *fs, const struct fs_cred *cred, struct fs_node node, struct fs_node dir,
    struct slice name, struct fs_change *out_change);
int call_remove(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct slice name,
    struct fs_change *out_change);
int call_rename(
    struct fs *fs, const struct fs_cred *cred, const struct fs_rename *how, struct fs_renamed *out);
int call_readdir(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, uint64_t cookie,
    fs_emit *emit, void *context);
int call_hold(struct fs *fs, struct fs_node node);
void call_release(struct fs *fs, struct fs_node node);
int call_record_put(struct fs *fs, struct slice key, struct slice value);
int call_record_delete(struct fs *fs, struct slice key);
int call_getxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node, struct slice name,
    struct fs_buffer *buffer);
int call_setxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    const struct fs_setxattr *how, struct fs_change *out_change);
int call_listxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t cookie,
    fs_xattr_emit *emit, void *context);
int call_removexattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    struct slice name, struct fs_change *out_change);
int call_quota_set(struct fs *fs, struct fs_node dir, const struct fs_quota_limits *limits);
int call_quota_get(struct fs *fs, struct fs_node dir, struct fs_quota *out_quota);
int call_quota_space(struct fs *fs, struct fs_node node, struct fs_space *space);
int call_usage(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_usage *out_usage);
int call_snapshot_create(struct fs *fs, struct slice name, struct fs_snapshot *out_snapshot);
int call_snapshot_delete(struct fs *fs, struct slice name);
int call_snapshot_list(struct fs *fs, fs_snapshot_emit *emit, void *context);
int call_snapshot_dir(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr);
enum fs_place call_place_of(struct fs *fs, struct fs_node node);
