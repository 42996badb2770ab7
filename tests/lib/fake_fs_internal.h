/*
 * tests/lib/fake_fs_internal.h - what the files of the fake file system share.
 */
#pragma once

#include "base/list.h"
#include "tests/lib/fake_fs.h"

#define CALL_NAMES_MAX 32

struct fake_node {
    struct list link;
    struct fs_attr attr;
    struct fs_node parent; /* of directories */
    struct list pages;     /* of files; what has none is zeros */
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

static inline struct fake_fs *fake_of(struct fs *fs)
{
    return CONTAINER_OF(fs, struct fake_fs, fs);
}
