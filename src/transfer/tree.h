/*
 * transfer/tree.h - a tree of files to copy from or to: a local directory, or a directory of an NFS server.
 *
 * A tree has a root directory and never leads out of it: no symbolic link below the root is followed. A directory
 * is named by its path below the root (local trees use it, messages show it) and its handle (NFS trees use it). All
 * operations may be called from any thread. Errors are -errno. Only tree_local.c and tree_nfs.c know which kind a
 * tree is.
 */
#pragma once

#include "base/clock.h"
#include "client/file.h"
#include "client/whole.h"

#define TREE_NAME_SIZE_MAX 255u
#define TREE_LINK_SIZE_MAX 4096u
#define TREE_PIECE_BYTES \
    (1u << 20) /* of one read or write; a tree may want less: tree->piece_bytes */

enum tree_type {
    TREE_REGULAR = 1,
    TREE_DIRECTORY,
    TREE_SYMLINK,
    TREE_FIFO,
    TREE_SOCKET,
    TREE_BLOCK,
    TREE_CHARACTER,
};

struct tree_attr {
    enum tree_type type;
    uint32_t mode;
    uint32_t link_count;
    uint32_t uid;
    uint32_t gid;
    uint32_t device_major;
    uint32_t device_minor;
    uint64_t size_bytes;
    uint64_t space_used_bytes;
    uint64_t filesystem; /* with `inode`: what the file is, whatever its names */
    uint64_t inode;
    struct clock_time atime;
    struct clock_time mtime;
    struct clock_time ctime;
    struct nfs_fh fh; /* in an NFS tree */
};

/* A directory of a tree. */
struct tree_dir {
    char *path; /* "" is the root; owned by whoever owns the struct */
    struct nfs_fh fh;
};

/* Attributes to give; type and links are not among them. */
struct tree_set {
    bool set_owner, set_size;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size_bytes;
    struct clock_time atime;
    struct clock_time mtime;
};

/* Bytes of a file, borrowed until tree_piece_end(). */
struct tree_piece {
    struct slice data;
    enum { PIECE_NONE, PIECE_BUFFER, PIECE_READ, PIECE_WHOLE } kind;
    union {
        uint8_t *buffer;
        struct nfs_read read;
        struct nfs_whole whole;
    };
};

/* An open file: to read, or to write. */
struct tree_file {
    struct tree *tree;
};

/* Takes one entry of a listing; a negative value ends it. An entry without attributes has `error`. */
typedef int tree_emit(void *context, struct slice name, const struct tree_attr *attr, int error);

/* A small regular file to make. */
struct tree_store {
    struct slice data;
    struct tree_set set;
    struct nfs_fh *out_fh;
};

/* A node to make that is no regular file. */
struct tree_make {
    enum tree_type type;
    const char *link_target;
    uint32_t device_major, device_minor;
    struct tree_set set;
};

struct tree_ops {
    int (*root)(struct tree *tree, struct tree_attr *out_attr);
    int (*list)(struct tree *tree, const struct tree_dir *dir, tree_emit *emit, void *context);
    int (*lookup)(struct tree *tree, const struct tree_dir *dir, const char *name,
        struct tree_attr *out_attr);
    /* Looks up and, of a regular file of at most `size` bytes, reads all: one request where possible. */
    int (*fetch)(struct tree *tree, const struct tree_dir *dir, const char *name, uint32_t size,
        struct tree_piece *out_piece, struct tree_attr *out_attr);
    /* Writes the target of a symbolic link and a NUL to `buffer`, of TREE_LINK_SIZE_MAX + 1 bytes. */
    int (*readlink)(struct tree *tree, const struct tree_dir *dir, const char *name,
        const struct tree_attr *attr, char *buffer);
    int (*open)(struct tree *tree, const struct tree_dir *dir, const char *name,
        const struct tree_attr *attr, struct tree_file **out_file);
    /* Reads up to `size` bytes, all of them unless the file ends before. */
    int (*read)(
        struct tree_file *file, uint64_t offset, uint32_t size, struct tree_piece *out_piece);
    /* The next stretch at or after `offset` that is no hole. -ENXIO: only holes up to the end. */
    int (*next_data)(
        struct tree_file *file, uint64_t offset, uint64_t *out_start, uint64_t *out_end);
    /* Makes or empties a regular file, to write to it. */
    int (*create)(struct tree *tree, const struct tree_dir *dir, const char *name,
        struct tree_file **out_file);
    int (*write)(
        struct tree_file *file, uint64_t offset, struct slice data, struct nfs_unstable *unstable);
    /* As nfs_file_commit(): 1 says that what was written is to be written again. */
    int (*commit)(struct tree_file *file, struct nfs_unstable *unstable);
    /* Gives a written file its attributes. */
    int (*finish)(struct tree_file *file, const struct tree_set *set, struct nfs_fh *out_fh);
    int (*close)(struct tree_file *file);
    /* Makes or replaces a small regular file, durable where the tree can do that at once. */
    int (*store)(struct tree *tree, const struct tree_dir *dir, const char *name,
        const struct tree_store *store);
    /* Makes a node that is no regular file. A directory gets its attributes with set(), later. */
    int (*make)(struct tree *tree, const struct tree_dir *dir, const char *name,
        const struct tree_make *make, struct tree_attr *out_attr);
    int (*link)(struct tree *tree, const struct tree_dir *target, const struct tree_dir *dir,
        const char *name);
    /* Gives a directory its attributes. */
    int (*set)(struct tree *tree, const struct tree_dir *dir, const struct tree_set *set);
    int (*remove)(
        struct tree *tree, const struct tree_dir *dir, const char *name, bool is_directory);
    /* Makes everything durable that is not yet. */
    int (*sync)(struct tree *tree);
    void (*free)(struct tree *tree);
};

struct tree {
    const struct tree_ops *ops;
    uint32_t piece_bytes;
};

/* The directory `path` of this machine. Errors: of open(2). */
MUST_CHECK int tree_local_open(const char *path, struct tree **out_tree);
/* The directory `root` of a server; `client` is borrowed for the life of the tree. */
MUST_CHECK int tree_nfs_open(
    struct nfs_client *client, const struct nfs_attr *root, struct tree **out_tree);
/* The attributes as a tree has them. */
void tree_attr_of_nfs(const struct nfs_attr *from, struct tree_attr *out_attr);
/* NULL is allowed. */
void tree_close(struct tree *tree);

void tree_piece_end(struct tree_piece *piece);

/* The path of `name` ("": the directory itself) in the directory `path`, on the heap; NULL: no memory. */
MUST_CHECK char *tree_join(const char *path, const char *name);
