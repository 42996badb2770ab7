/*
 * engine/ops.h - the changes of names and attributes, as the committer executes them.
 *
 * Each is filled in by calls_change.c, which pins the inodes it points to until the request is
 * done. Permissions and existence are checked in execute(), against the batch: what the caller saw
 * before may have changed.
 */
#pragma once

#include "engine/committer.h"

struct op_create {
    struct request request;
    const struct fs_cred *cred;
    struct inode *dir;
    struct slice name;
    uint64_t hash;
    const struct fs_create *how;
    struct fs_created *out;
    struct inode *out_inode; /* pinned for the caller; NULL: the request failed */
};

struct op_link {
    struct request request;
    const struct fs_cred *cred;
    struct inode *inode;
    struct inode *dir;
    struct slice name;
    uint64_t hash;
    struct fs_change *out_change;
};

struct op_remove {
    struct request request;
    const struct fs_cred *cred;
    struct inode *dir;
    struct slice name;
    uint64_t hash;
    struct fs_change *out_change;
    struct inode *victim; /* when its last name went; pinned for publish() */
};

struct op_rename {
    struct request request;
    const struct fs_cred *cred;
    struct inode *from_dir;
    struct slice from_name;
    uint64_t from_hash;
    struct inode *to_dir;
    struct slice to_name;
    uint64_t to_hash;
    struct fs_renamed *out;
    struct inode *victim;
};

struct op_setattr {
    struct request request;
    const struct fs_cred *cred;
    struct inode *inode;
    struct fs_setattr change; /* without a size */
};

struct op_record {
    struct request request;
    struct slice key;
    struct slice value;
    bool is_delete;
};

request_execute op_create_execute;
request_execute op_link_execute;
request_execute op_remove_execute;
request_publish op_remove_publish;
request_execute op_rename_execute;
request_publish op_rename_publish;
request_execute op_setattr_execute;
request_execute op_record_execute;

/* Applies what perm_check_setattr() allowed, except the size, to a record of the batch. */
void setattr_apply(struct batch *batch, struct pending *pending, const struct fs_setattr *change);
/* A directory of the batch that can take changes of names. Errors: -ENOTDIR, -ESTALE (removed). */
MUST_CHECK int directory_touch(
    struct batch *batch, struct inode *inode, struct pending **out_pending);
/* What a directory's record takes from one name more or less. */
void directory_changed(struct batch *batch, struct pending *dir, struct fs_change *out_change);
/* The last name of `pending` goes: its record and data too, now or when nobody holds it.
 * True: op_*_publish() must be told. */
void victim_unlink(struct batch *batch, struct pending *pending);
/* After the batch: hands the data of an unlinked inode to the reaper unless it is held. */
void victim_publish(struct batch *batch, struct inode *inode);
