/*
 * tests/lib/fake_fs_internal.h - what the files of the fake file system share.
 */
#pragma once

#include "base/list.h"
#include "tests/lib/fake_fs.h"

#define CALL_NAMES_MAX 64

struct fake_node {
    struct list link;
    struct fs_attr attr;
    struct fs_node parent; /* of directories */
    struct list pages;     /* of files; what has none is zeros */
    struct list xattrs;    /* in the order of cookies */
    uint8_t *symlink;
    size_t symlink_size;
    uint8_t verifier[FS_VERIFIER_SIZE];
    bool has_verifier;
    unsigned hold_count;
};

#define PAGE_BYTES 4096u

struct fake_page {
    struct list link;
    uint64_t offset;
    uint8_t data[PAGE_BYTES];
};

struct fake_xattr {
    struct list link;
    uint64_t cookie;
    size_t name_size, value_size;
    uint8_t name[FS_XATTR_NAME_SIZE_MAX];
    uint8_t *value;
};

struct fake_entry {
    struct list link;
    struct fs_node dir;
    struct fake_node *node;
    uint64_t cookie;
    size_t name_size;
    uint8_t name[FS_NAME_SIZE_MAX];
};

struct fake_record {
    struct list link;
    size_t key_size, value_size;
    uint8_t key[128];
    uint8_t value[4096];
};

struct fake_fs {
    struct fs fs;
    struct list nodes;
    struct list entries; /* in the order of cookies */
    struct list records;
    uint64_t next_inode;
    uint64_t next_cookie;
    int64_t now_s;
    uint64_t writeverf;
    uint64_t used_bytes;
    const char *fail_op;
    unsigned fail_after;
    int fail_error;
    struct {
        const char *name;
        unsigned count;
    } calls[CALL_NAMES_MAX];
};

/* Counts a call; 0, or the error it was told to give. */
int fake_begin(struct fake_fs *fake, const char *op);
/* NULL: dead, or never there. */
struct fake_node *fake_node_find(struct fake_fs *fake, struct fs_node id);
/* A change of a node: its times and its counter. */
void fake_changed(struct fake_fs *fake, struct fake_node *node, bool data);

/* fake_fs_data.c */
void fake_data_resize(struct fake_fs *fake, struct fake_node *node, uint64_t size);
int fake_read(struct fs *fs, struct fs_node id, uint64_t offset, uint8_t *buffer, size_t size,
    struct fs_read *out);
int fake_write(
    struct fs *fs, struct fs_node id, const struct fs_write *write, struct fs_written *out);
int fake_commit(struct fs *fs, struct fs_node id, uint64_t offset, uint64_t size_bytes);
struct fake_page *fake_page_find(struct fake_node *node, uint64_t offset);
struct fake_page *fake_page_get(struct fake_fs *fake, struct fake_node *node, uint64_t offset);
void fake_page_drop(struct fake_fs *fake, struct fake_node *node, struct fake_page *page);
/* A live regular file. Errors: -ESTALE, -EISDIR, -EINVAL. */
int fake_file_find(struct fake_fs *fake, struct fs_node id, struct fake_node **out_node);

/* fake_fs_extra.c: what version 4.2 adds */
int fake_seek(struct fs *fs, struct fs_node id, uint64_t offset, enum fs_seek_what what,
    uint64_t *out_offset);
int fake_read_segments(struct fs *fs, struct fs_node id, struct fs_read_segments *read);
int fake_allocate(struct fs *fs, const struct fs_cred *cred, struct fs_node id, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr);
int fake_deallocate(struct fs *fs, const struct fs_cred *cred, struct fs_node id, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr);
int fake_clone(struct fs *fs, const struct fs_cred *cred, const struct fs_clone *how,
    struct fs_attr *out_attr);
int fake_getxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id, struct slice name,
    struct fs_buffer *buffer);
int fake_setxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id,
    const struct fs_setxattr *how, struct fs_change *out_change);
int fake_listxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id, uint64_t cookie,
    fs_xattr_emit *emit, void *context);
int fake_removexattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id,
    struct slice name, struct fs_change *out_change);
void fake_xattrs_free(struct fake_node *node);

static inline struct fake_fs *fake_of(struct fs *fs)
{
    return CONTAINER_OF(fs, struct fake_fs, fs);
}
int fake_usage(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_usage *out_usage);
int fake_quota_set(struct fs *fs, struct fs_node dir, const struct fs_quota_limits *limits);
int fake_quota_get(struct fs *fs, struct fs_node dir, struct fs_quota *out_quota);
int fake_quota_space(struct fs *fs, struct fs_node node, struct fs_space *space);
int fake_verify_start(struct fs *fs, enum fs_verify_kind kind);
int fake_verify_get(struct fs *fs, enum fs_verify_kind kind, const struct fs_verify_get *get);
int fake_snapshot_create(struct fs *fs, struct slice name, struct fs_snapshot *out_snapshot);
int fake_snapshot_delete(struct fs *fs, struct slice name);
int fake_snapshot_list(struct fs *fs, fs_snapshot_emit *emit, void *context);
int fake_snapshot_dir(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr);
enum fs_place fake_place_of(struct fs *fs, struct fs_node node);
