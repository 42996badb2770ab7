/*
 * fs/fs.h - what a file-system backend offers; the protocols know nothing else of it.
 *
 * Always holds, for every backend:
 *  1. A call that changes something returns only when the change survives a power cut, and no call
 * shows a state that a power cut could undo. (Exception: FS_UNSTABLE writes, until fs_commit().)
 *  2. A change is atomic: a reader, and whoever opens the file system after a crash, sees all of it
 * or nothing.
 *  3. Calls may wait for storage, never for another client. They may be made from a fiber of a
 * reactor, which then serves others, or from any thread, which then blocks. No lock may be held
 * across one.
 *  4. Permissions are checked here, at the moment of the change, by the rules of fs/perm.h, with
 * the `cred` that is given. A NULL `cred` is the server itself: everything is allowed.
 *
 * All functions are thread-safe. Errors are -errno; beside those listed: -EIO (device, or a
 * checksum that does not match), -ESTALE (the node is gone), -ENOMEM, -EROFS, and for changes
 * -ENOSPC and -EDQUOT. Sources: RFC 8881; POSIX.1-2017.
 */
#pragma once

#include "base/base.h"

#define FS_NAME_SIZE_MAX    255u
#define FS_SYMLINK_SIZE_MAX 4095u                    /* what Linux can follow: PATH_MAX less NUL */
#define FS_FILE_SIZE_MAX    UINT64_C(52673613135872) /* EFS: 47.9 TiB */
#define FS_LINK_COUNT_MAX   32000u
#define FS_VERIFIER_SIZE    8u
#define FS_IO_SIZE_MAX      (1u << 20) /* of one read or write */
#define FS_COOKIE_FIRST     3u         /* 0, 1 and 2 are NFSv4's own */

#define FS_CLONE_BLOCK_BYTES    4096u /* what fs_clone() wants offsets and sizes aligned to */
#define FS_XATTR_NAME_SIZE_MAX  255u  /* without "user." */
#define FS_XATTR_VALUE_SIZE_MAX (64u * 1024)  /* of one */
#define FS_XATTRS_SIZE_MAX      (256u * 1024) /* names and values of one file together */

/* What not every backend can do; struct fs_ops says which. Calls without their bit give -EOPNOTSUPP. */
enum {
    FS_CAP_HOLES = 1u << 0,     /* fs_seek() finds holes, fs_deallocate() makes them */
    FS_CAP_CLONE = 1u << 1,     /* fs_clone() */
    FS_CAP_XATTRS = 1u << 2,    /* fs_getxattr() and its sisters */
    FS_CAP_USAGE = 1u << 3,     /* fs_usage() */
    FS_CAP_QUOTAS = 1u << 4,    /* fs_quota_set() and fs_quota_get() */
    FS_CAP_VERIFY = 1u << 5,    /* fs_verify_start() and its sisters */
    FS_CAP_SNAPSHOTS = 1u << 6, /* fs_snapshot_create() and its sisters */
};

enum fs_type {
    FS_REGULAR = 1,
    FS_DIRECTORY,
    FS_SYMLINK,
    FS_FIFO,
    FS_SOCKET,
    FS_BLOCK,
    FS_CHARACTER,
};

/* What names a file for ever: opaque to callers, comparable byte by byte. In the embedded engine:
 * the inode number and its generation; of what is in a snapshot, both with the snapshot mixed in. */
struct fs_node {
    uint64_t inode;
    uint64_t generation;
};

static inline bool fs_node_equal(struct fs_node a, struct fs_node b)
{
    return a.inode == b.inode && a.generation == b.generation;
}

struct fs_time {
    int64_t seconds;
    uint32_t nanoseconds; /* below 1,000,000,000 */
};

struct fs_attr {
    struct fs_node node; /* node.inode is the file id that users see; never 0 */
    enum fs_type type;
    uint32_t mode; /* the 12 permission bits */
    uint32_t link_count;
    uint32_t uid;
    uint32_t gid;
    uint32_t device_major; /* of FS_BLOCK and FS_CHARACTER */
    uint32_t device_minor;
    uint64_t size_bytes;
    uint64_t space_used_bytes;
    uint64_t change; /* grows with each change of data or attributes; persistent */
    struct fs_time atime;
    struct fs_time mtime;
    struct fs_time ctime;
    struct fs_time btime; /* of birth */
};

/* Who asks. Borrowed for the call. */
struct fs_cred {
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count; /* supplementary; 0..16 */
    const uint32_t *groups;
};

enum fs_time_how { FS_TIME_KEEP, FS_TIME_SERVER, FS_TIME_CLIENT };

/* Attributes to set; those whose flag is false stay. */
struct fs_setattr {
    bool set_mode, set_uid, set_gid, set_size;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size_bytes;
    enum fs_time_how atime_how, mtime_how;
    struct fs_time atime, mtime; /* for FS_TIME_CLIENT */
    bool set_btime;
    struct fs_time btime;
    bool size_by_open_file; /* the size is set through a file opened for writing: no mode check */
};

/* A directory's change counter just before and after one change of it; always atomic. */
struct fs_change {
    uint64_t before;
    uint64_t after;
};

enum fs_create_mode {
    FS_CREATE_GUARDED,   /* -EEXIST when the name exists */
    FS_CREATE_UNCHECKED, /* a name that exists is success, `out->existed` */
    FS_CREATE_EXCLUSIVE, /* one that was made with the same verifier is success; else -EEXIST */
};

struct fs_create {
    enum fs_type type;
    enum fs_create_mode mode;           /* other than GUARDED for FS_REGULAR only */
    uint8_t verifier[FS_VERIFIER_SIZE]; /* FS_CREATE_EXCLUSIVE: kept with the inode */
    struct fs_setattr
        attr;             /* default: mode 0, owner `cred`, group as the directory's setgid says */
    struct slice symlink; /* FS_SYMLINK: the target, 1..FS_SYMLINK_SIZE_MAX bytes */
    uint32_t device_major, device_minor;
};

struct fs_created {
    struct fs_attr attr;
    struct fs_change change; /* of the directory; before == after when nothing was made */
    bool existed;
};

enum fs_stability { FS_UNSTABLE, FS_DATA_SYNC, FS_FILE_SYNC }; /* as stable_how4 */

struct fs_written {
    enum fs_stability stability; /* at least what was asked */
    struct fs_attr attr;         /* after the write */
};

struct fs_dirent {
    struct slice name;
    uint64_t cookie;     /* FS_COOKIE_FIRST..2^63-1; the same for the life of the entry */
    struct fs_attr attr; /* of what it names */
    int attr_error;      /* 0, or why `attr` is not there (-ESTALE: removed meanwhile; -EIO) */
};

/* Takes one entry; false: no room, stop before it. May not call the file system. */
typedef bool fs_emit(void *context, const struct fs_dirent *entry);

struct fs_space {
    uint64_t total_bytes, free_bytes, available_bytes;
    uint64_t total_files, free_files;
    uint64_t used_bytes; /* by file data of this file system */
    uint64_t used_files;
};

/* What lies below a directory, at any depth; not its own entry. An inode counts once, at one of its names. */
struct fs_usage {
    uint64_t
        space_bytes; /* as space_used_bytes of struct fs_attr; a shared block counts for each user */
    uint64_t size_bytes; /* of regular files */
    uint64_t files;      /* regular ones */
    uint64_t directories;
    uint64_t others;
};

/* Limits of what fs_usage() tells of a directory; 0: none. Bytes are space_bytes, entries the sum of its counts. */
struct fs_quota_limits {
    uint64_t hard_bytes, hard_entries; /* never passed */
    uint64_t soft_bytes, soft_entries; /* passed for `grace_s` at most, then as hard ones */
    uint32_t grace_s;
};

struct fs_quota {
    struct fs_quota_limits limits;
    uint64_t used_bytes, used_entries;
    int64_t bytes_over_since_s; /* when a soft limit was passed, seconds since 1970; 0: it is not */
    int64_t entries_over_since_s;
};

/* What a backend can verify of itself while it serves. */
enum fs_verify_kind {
    FS_VERIFY_RECORDS, /* all records agree with each other, as of a moment */
    FS_VERIFY_DATA,    /* everything that is stored can be read and is what was written */
    FS_VERIFY_KINDS,
};

enum fs_verify_state {
    FS_VERIFY_NEVER,
    FS_VERIFY_RUNNING,
    FS_VERIFY_DONE,
    FS_VERIFY_STOPPED, /* by somebody; the next start begins anew */
    FS_VERIFY_FAILED,  /* it could not be done: `error` */
};

struct fs_verify {
    enum fs_verify_state state;
    int64_t started_s, ended_s;       /* seconds since 1970; 0: not */
    uint64_t done_bytes, total_bytes; /* of file data; total is about */
    uint64_t done_records;
    uint64_t wrong_count; /* what was found; 0 at the end: all is well */
    int error;
};

/* Takes one finding, a text of key=value pairs; may not call the file system. */
typedef void fs_verify_emit(void *context, const char *finding);

struct fs_verify_get {
    struct fs_verify *out; /* filled */
    fs_verify_emit *emit;  /* NULL: findings are not wanted; of many the first 1000 are kept */
    void *context;
};

#define FS_SNAPSHOT_NAME_MAX 128u  /* letters, digits and . _ : @ + - ; not with a dot first */
#define FS_SNAPSHOTS_MAX     1024u /* of one file system */

/* Where a node is. Nothing that is not FS_LIVE can be changed: -EROFS. */
enum fs_place {
    FS_LIVE,
    FS_SNAPSHOT_LIST, /* what fs_snapshot_dir() gives: its entries are the snapshots of a directory */
    FS_IN_SNAPSHOT,
};

struct fs_snapshot {
    char name[FS_SNAPSHOT_NAME_MAX + 1];
    struct fs_time created;
    struct fs_usage usage; /* of the whole tree at that moment */
    bool is_going; /* deleted, but its space is not all back yet; no directory shows it any more */
};

/* Takes one snapshot; false stops. May not call the file system. */
typedef bool fs_snapshot_emit(void *context, const struct fs_snapshot *snapshot);

/* Takes one recovery record; false stops the scan. */
typedef bool fs_record_emit(void *context, struct slice key, struct slice value);

struct fs_rename {
    struct fs_node from_dir;
    struct slice from_name;
    struct fs_node to_dir;
    struct slice to_name;
};

struct fs_renamed {
    struct fs_change from_change; /* of from_dir */
    struct fs_change to_change; /* of to_dir; equal to from_change when it is the same directory */
};

struct fs_read {
    size_t size; /* bytes read; fewer than asked only at the end of the file */
    bool at_end; /* offset + size is at or beyond the end of the file */
};

struct fs_write {
    uint64_t offset;
    struct slice data; /* up to FS_IO_SIZE_MAX bytes */
    enum fs_stability stability;
    const struct fs_cred *cred; /* only to decide whether setuid and setgid bits are cleared */
};

enum fs_seek_what { FS_SEEK_DATA, FS_SEEK_HOLE };

/* A piece of a file that is all data or all hole. */
struct fs_segment {
    uint64_t offset;
    uint64_t size_bytes; /* at least 1 */
    bool is_hole;
};

struct fs_read_segments {
    uint64_t offset;
    uint8_t *buffer; /* of `size` bytes, filled as by fs_read(): holes are zeros */
    size_t size;     /* 1..FS_IO_SIZE_MAX */
    struct fs_segment *segments;
    uint32_t segment_max; /* 1 or more: room in `segments` */
    uint32_t out_segment_count;
    struct fs_read
        out; /* ends early, and not at the end, when there were more segments than room */
};

struct fs_clone {
    struct fs_node source;
    uint64_t source_offset;
    struct fs_node target;
    uint64_t target_offset;
    uint64_t size_bytes; /* 0: to the end of the source */
};

/* Where a value of unknown size goes. */
struct fs_buffer {
    uint8_t *bytes;
    size_t capacity;
    size_t out_size;
};

enum fs_xattr_how {
    FS_XATTR_EITHER,
    FS_XATTR_CREATE,  /* -EEXIST when it is there */
    FS_XATTR_REPLACE, /* -ENODATA when it is not */
};

struct fs_setxattr {
    struct slice name; /* 1..FS_XATTR_NAME_SIZE_MAX bytes, what follows "user." */
    struct slice value;
    enum fs_xattr_how how;
};

/* Takes the name of one attribute; false: no room, stop before it. May not call the file system. */
typedef bool fs_xattr_emit(void *context, struct slice name, uint64_t cookie);

struct fs;

/* Every backend fills one of these; no member is NULL. What each does stands at its wrapper below.
 */
struct fs_ops {
    const char *name;
    uint32_t caps; /* FS_CAP_ bits */
    int (*root)(struct fs *fs, struct fs_node *out_node);
    int (*getattr)(struct fs *fs, struct fs_node node, struct fs_attr *out_attr);
    int (*setattr)(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
        const struct fs_setattr *change, struct fs_attr *out_attr);
    int (*lookup)(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct slice name,
        struct fs_attr *out_attr);
    int (*parent)(
        struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr);
    int (*create)(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct slice name,
        const struct fs_create *how, struct fs_created *out);
    int (*link)(struct fs *fs, const struct fs_cred *cred, struct fs_node node, struct fs_node dir,
        struct slice name, struct fs_change *out_change);
    int (*remove)(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct slice name,
        struct fs_change *out_change);
    int (*rename)(struct fs *fs, const struct fs_cred *cred, const struct fs_rename *how,
        struct fs_renamed *out);
    int (*readlink)(
        struct fs *fs, struct fs_node node, uint8_t *buffer, size_t capacity, size_t *out_size);
    int (*readdir)(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, uint64_t cookie,
        fs_emit *emit, void *context);
    int (*read)(struct fs *fs, struct fs_node node, uint64_t offset, uint8_t *buffer, size_t size,
        struct fs_read *out);
    int (*write)(
        struct fs *fs, struct fs_node node, const struct fs_write *write, struct fs_written *out);
    int (*commit)(struct fs *fs, struct fs_node node, uint64_t offset, uint64_t size_bytes);
    void (*writeverf)(struct fs *fs, uint8_t out_verifier[FS_VERIFIER_SIZE]);
    int (*hold)(struct fs *fs, struct fs_node node);
    void (*release)(struct fs *fs, struct fs_node node);
    int (*space)(struct fs *fs, struct fs_space *out_space);
    int (*record_put)(struct fs *fs, struct slice key, struct slice value);
    int (*record_delete)(struct fs *fs, struct slice key);
    int (*record_scan)(struct fs *fs, fs_record_emit *emit, void *context);
    int (*seek)(struct fs *fs, struct fs_node node, uint64_t offset, enum fs_seek_what what,
        uint64_t *out_offset);
    int (*read_segments)(struct fs *fs, struct fs_node node, struct fs_read_segments *read);
    int (*allocate)(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t offset,
        uint64_t size_bytes, struct fs_attr *out_attr);
    int (*deallocate)(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
        uint64_t offset, uint64_t size_bytes, struct fs_attr *out_attr);
    int (*clone)(struct fs *fs, const struct fs_cred *cred, const struct fs_clone *how,
        struct fs_attr *out_attr);
    int (*getxattr)(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
        struct slice name, struct fs_buffer *buffer);
    int (*setxattr)(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
        const struct fs_setxattr *how, struct fs_change *out_change);
    int (*listxattr)(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
        uint64_t cookie, fs_xattr_emit *emit, void *context);
    int (*removexattr)(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
        struct slice name, struct fs_change *out_change);
    int (*usage)(
        struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_usage *out_usage);
    int (*quota_set)(struct fs *fs, struct fs_node dir, const struct fs_quota_limits *limits);
    int (*quota_get)(struct fs *fs, struct fs_node dir, struct fs_quota *out_quota);
    int (*quota_space)(struct fs *fs, struct fs_node node, struct fs_space *space);
    int (*verify_start)(struct fs *fs, enum fs_verify_kind kind);
    int (*verify_stop)(struct fs *fs, enum fs_verify_kind kind);
    int (*verify_get)(struct fs *fs, enum fs_verify_kind kind, const struct fs_verify_get *get);

    int (*snapshot_create)(struct fs *fs, struct slice name, struct fs_snapshot *out_snapshot);
    int (*snapshot_delete)(struct fs *fs, struct slice name);
    int (*snapshot_list)(struct fs *fs, fs_snapshot_emit *emit, void *context);
    int (*snapshot_dir)(
        struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr);
    enum fs_place (*place_of)(struct fs *fs, struct fs_node node);
};

struct fs {
    const struct fs_ops *ops;
};

/* The root directory: owner 0:0, mode 0755 when new. */
MUST_CHECK static inline int fs_root(struct fs *fs, struct fs_node *out_node)
{
    return fs->ops->root(fs, out_node);
}

/* The attributes, with all that was written so far by anyone, UNSTABLE too. Answers from memory
 * when it can. No permission is needed. */
MUST_CHECK static inline int fs_getattr(
    struct fs *fs, struct fs_node node, struct fs_attr *out_attr)
{
    return fs->ops->getattr(fs, node, out_attr);
}

/* Sets attributes by POSIX's rules (chmod, chown, utimensat, truncate), all or none.
 * Errors: -EPERM, -EACCES, -EINVAL (size of a non-file; -EISDIR of a directory), -EFBIG. */
MUST_CHECK static inline int fs_setattr(struct fs *fs, const struct fs_cred *cred,
    struct fs_node node, const struct fs_setattr *change, struct fs_attr *out_attr)
{
    return fs->ops->setattr(fs, cred, node, change, out_attr);
}

/* Finds `name` (1..255 bytes, checked by the caller for the protocol's rules) in `dir`; needs
 * search permission. Errors: -ENOENT, -ENOTDIR, -EACCES. */
MUST_CHECK static inline int fs_lookup(struct fs *fs, const struct fs_cred *cred,
    struct fs_node dir, struct slice name, struct fs_attr *out_attr)
{
    return fs->ops->lookup(fs, cred, dir, name, out_attr);
}

/* The directory that holds `dir`; needs search permission on `dir`. Errors: -ENOENT at the root. */
MUST_CHECK static inline int fs_parent(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr)
{
    return fs->ops->parent(fs, cred, dir, out_attr);
}

/* Makes a file, directory, symbolic link or special file, with its attributes, in one step.
 * Errors: -EEXIST, -ENOTDIR, -EACCES, -EPERM, -EINVAL. */
MUST_CHECK static inline int fs_create(struct fs *fs, const struct fs_cred *cred,
    struct fs_node dir, struct slice name, const struct fs_create *how, struct fs_created *out)
{
    return fs->ops->create(fs, cred, dir, name, how, out);
}

/* Gives `node` (not a directory: -EISDIR) one more name. Errors: -EEXIST, -EMLINK, -EACCES. */
MUST_CHECK static inline int fs_link(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    struct fs_node dir, struct slice name, struct fs_change *out_change)
{
    return fs->ops->link(fs, cred, node, dir, name, out_change);
}

/* Removes a name, of a directory too when it is empty (-ENOTEMPTY). A file whose last name goes
 * lives on while it is held. Errors: -ENOENT, -EACCES, -EPERM (sticky directory). */
MUST_CHECK static inline int fs_remove(struct fs *fs, const struct fs_cred *cred,
    struct fs_node dir, struct slice name, struct fs_change *out_change)
{
    return fs->ops->remove(fs, cred, dir, name, out_change);
}

/* Renames, replacing what stands at the new name if it may. Both names of one inode: nothing
 * happens. Errors: -ENOENT, -EISDIR (file onto directory), -ENOTDIR (directory onto file),
 * -ENOTEMPTY, -EINVAL (into its own subtree), -EACCES, -EPERM. */
MUST_CHECK static inline int fs_rename(
    struct fs *fs, const struct fs_cred *cred, const struct fs_rename *how, struct fs_renamed *out)
{
    return fs->ops->rename(fs, cred, how, out);
}

/* The target of a symbolic link. Errors: -EINVAL when it is none, -ERANGE when `capacity` is small.
 */
MUST_CHECK static inline int fs_readlink(
    struct fs *fs, struct fs_node node, uint8_t *buffer, size_t capacity, size_t *out_size)
{
    return fs->ops->readlink(fs, node, buffer, capacity, out_size);
}

/* Emits the entries whose cookie is greater than `cookie`, in the order of cookies, without "." and
 * "..", until `emit` says no or none is left. Needs read permission. Gives 1 when all were emitted
 * (the end of the directory), 0 when `emit` stopped it. Errors: -ENOTDIR, -EACCES. */
MUST_CHECK static inline int fs_readdir(struct fs *fs, const struct fs_cred *cred,
    struct fs_node dir, uint64_t cookie, fs_emit *emit, void *context)
{
    return fs->ops->readdir(fs, cred, dir, cookie, emit, context);
}

/* Reads up to `size` bytes (at most FS_IO_SIZE_MAX) into `buffer`; holes are zeros. Every byte was
 * verified against its checksum. The caller has checked permission. Errors: -EISDIR, -EINVAL. */
MUST_CHECK static inline int fs_read(struct fs *fs, struct fs_node node, uint64_t offset,
    uint8_t *buffer, size_t size, struct fs_read *out)
{
    return fs->ops->read(fs, node, offset, buffer, size, out);
}

/* Writes all of the data or nothing. The caller has checked permission. What is UNSTABLE is visible
 * at once to everyone, and may be lost in a crash until fs_commit(). Errors: -EFBIG, -EISDIR,
 * -EINVAL. */
MUST_CHECK static inline int fs_write(
    struct fs *fs, struct fs_node node, const struct fs_write *write, struct fs_written *out)
{
    return fs->ops->write(fs, node, write, out);
}

/* Makes all earlier writes of the range durable; `size_bytes` 0 means to the end of the file. */
MUST_CHECK static inline int fs_commit(
    struct fs *fs, struct fs_node node, uint64_t offset, uint64_t size_bytes)
{
    return fs->ops->commit(fs, node, offset, size_bytes);
}

/* A value that changes whenever UNSTABLE data may have been lost: at each opening, and after a
 * failed write-back. */
static inline void fs_writeverf(struct fs *fs, uint8_t out_verifier[FS_VERIFIER_SIZE])
{
    fs->ops->writeverf(fs, out_verifier);
}

/* Keeps the node's data readable and writable though its last name is removed, until as many
 * fs_release() calls; forgotten when the process ends. Cheap; does not wait. */
MUST_CHECK static inline int fs_hold(struct fs *fs, struct fs_node node)
{
    return fs->ops->hold(fs, node);
}

static inline void fs_release(struct fs *fs, struct fs_node node)
{
    fs->ops->release(fs, node);
}

MUST_CHECK static inline int fs_space(struct fs *fs, struct fs_space *out_space)
{
    return fs->ops->space(fs, out_space);
}

/* Small records (key up to 128 bytes, value up to 4 KiB) that the protocol keeps beside the files,
 * durable on return: who may reclaim state after a restart. */
MUST_CHECK static inline int fs_record_put(struct fs *fs, struct slice key, struct slice value)
{
    return fs->ops->record_put(fs, key, value);
}

MUST_CHECK static inline int fs_record_delete(struct fs *fs, struct slice key)
{
    return fs->ops->record_delete(fs, key);
}

MUST_CHECK static inline int fs_record_scan(struct fs *fs, fs_record_emit *emit, void *context)
{
    return fs->ops->record_scan(fs, emit, context);
}

/* Finds where data, or a hole, begins at or behind `offset`. There is a hole at the end of every file. A backend
 * may take zeros for data, never data for a hole. Errors: -ENXIO: `offset` is not inside the file, or no data
 * follows; -EISDIR, -EINVAL. */
MUST_CHECK static inline int fs_seek(struct fs *fs, struct fs_node node, uint64_t offset,
    enum fs_seek_what what, uint64_t *out_offset)
{
    return fs->ops->seek(fs, node, offset, what, out_offset);
}

/* Reads as fs_read() does and tells which parts are holes: `segments` cover what was read, in order, without gaps;
 * two that follow each other may be of one kind. Bytes and segments are those of one moment. Needs no FS_CAP_HOLES:
 * without it all is data. Errors: those of fs_read(). */
MUST_CHECK static inline int fs_read_segments(
    struct fs *fs, struct fs_node node, struct fs_read_segments *read)
{
    return fs->ops->read_segments(fs, node, read);
}

/* As posix_fallocate(): the file is at least offset + size_bytes long afterwards, and writes to the range should not
 * fail for space. The promise is as good as the backend's; one that never overwrites in place can only say that
 * there is room enough now. setuid and setgid go as by a write. The caller has checked permission.
 * Errors: -EFBIG, -EINVAL (no size, or no file), -EISDIR, -ENOSPC. */
MUST_CHECK static inline int fs_allocate(struct fs *fs, const struct fs_cred *cred,
    struct fs_node node, uint64_t offset, uint64_t size_bytes, struct fs_attr *out_attr)
{
    return fs->ops->allocate(fs, cred, node, offset, size_bytes, out_attr);
}

/* Makes a hole: the range reads as zeros, its blocks are given back, the size stays. A range behind the end is
 * nothing, and a success. setuid and setgid go as by a write. The caller has checked permission.
 * Errors: -EINVAL (no size, or no file; the range ends beyond 2^64), -EISDIR. */
MUST_CHECK static inline int fs_deallocate(struct fs *fs, const struct fs_cred *cred,
    struct fs_node node, uint64_t offset, uint64_t size_bytes, struct fs_attr *out_attr)
{
    return fs->ops->deallocate(fs, cred, node, offset, size_bytes, out_attr);
}

/* Makes a range of the target have the bytes of a range of the source, sharing the blocks; the target grows when it
 * must. What was written to either so far counts, UNSTABLE too. Offsets and size are multiples of
 * FS_CLONE_BLOCK_BYTES; but a range that ends at the end of the source may end at any byte where that is at or
 * behind the end of the target. Both may be one file when the ranges do not overlap. Gives the target's attributes.
 * The caller has checked permissions. Source: RFC 7862 section 15.13.
 * Errors: -EINVAL: misaligned, overlapping, beyond the end of the source, no file; -EISDIR, -EFBIG. */
MUST_CHECK static inline int fs_clone(
    struct fs *fs, const struct fs_cred *cred, const struct fs_clone *how, struct fs_attr *out_attr)
{
    return fs->ops->clone(fs, cred, how, out_attr);
}

/* The value of an extended attribute; capacity 0 only asks for its size. Permissions: perm_check_xattr().
 * Source: RFC 8276. Errors: -ENODATA, -ERANGE (larger than capacity), -EACCES, -EINVAL (name). */
MUST_CHECK static inline int fs_getxattr(struct fs *fs, const struct fs_cred *cred,
    struct fs_node node, struct slice name, struct fs_buffer *buffer)
{
    return fs->ops->getxattr(fs, cred, node, name, buffer);
}

/* Sets one; moves change counter and ctime. `out_change`: of the node. Errors: -EEXIST, -ENODATA, -EINVAL (name), -E2BIG
 * (value over FS_XATTR_VALUE_SIZE_MAX), -ENOSPC (more than FS_XATTRS_SIZE_MAX in all), -EACCES, -EPERM. */
MUST_CHECK static inline int fs_setxattr(struct fs *fs, const struct fs_cred *cred,
    struct fs_node node, const struct fs_setxattr *how, struct fs_change *out_change)
{
    return fs->ops->setxattr(fs, cred, node, how, out_change);
}

/* Emits the names whose cookie is greater than `cookie` (0: all), in the order of cookies. An attribute keeps its
 * cookie. Gives 1 when all were emitted, 0 when `emit` stopped it. Errors: -EACCES. */
MUST_CHECK static inline int fs_listxattr(struct fs *fs, const struct fs_cred *cred,
    struct fs_node node, uint64_t cookie, fs_xattr_emit *emit, void *context)
{
    return fs->ops->listxattr(fs, cred, node, cookie, emit, context);
}

/* Removes one; moves change counter and ctime. Errors: -ENODATA, -EINVAL (name), -EACCES, -EPERM. */
MUST_CHECK static inline int fs_removexattr(struct fs *fs, const struct fs_cred *cred,
    struct fs_node node, struct slice name, struct fs_change *out_change)
{
    return fs->ops->removexattr(fs, cred, node, name, out_change);
}

/* What lies below a directory, without looking at it: all changes that have returned, but for UNSTABLE data that is
 * not committed. Needs read permission. Errors: -ENOTDIR, -EACCES. */
MUST_CHECK static inline int fs_usage(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_usage *out_usage)
{
    return fs->ops->usage(fs, cred, dir, out_usage);
}

/* Sets, replaces, or with no limit at all removes, the quota of a directory; durable on return. What takes more than is
 * left then fails with -EDQUOT: making, linking and moving entries, and writes, UNSTABLE ones when they are
 * made, of blocks that the file has not. The limits may be below what is used: then nothing more is taken.
 * Errors: -ENOTDIR, -EINVAL: a limit of 2^63 or more. */
MUST_CHECK static inline int fs_quota_set(
    struct fs *fs, struct fs_node dir, const struct fs_quota_limits *limits)
{
    return fs->ops->quota_set(fs, dir, limits);
}

/* Errors: -ENODATA: this directory has none; -ENOTDIR. */
MUST_CHECK static inline int fs_quota_get(
    struct fs *fs, struct fs_node dir, struct fs_quota *out_quota)
{
    return fs->ops->quota_get(fs, dir, out_quota);
}

/* Makes what fs_space() gave what it is under the quotas above a node, or on it: total is the limit that leaves least, free
 * and available what it leaves. Needs no FS_CAP_QUOTAS: without it nothing changes. */
MUST_CHECK static inline int fs_quota_space(
    struct fs *fs, struct fs_node node, struct fs_space *space)
{
    return fs->ops->quota_space(fs, node, space);
}

/* Begins to verify in the background, and returns. Errors: -EALREADY: that is running. */
MUST_CHECK static inline int fs_verify_start(struct fs *fs, enum fs_verify_kind kind)
{
    return fs->ops->verify_start(fs, kind);
}

/* Has what runs end soon; nothing that runs is success. */
MUST_CHECK static inline int fs_verify_stop(struct fs *fs, enum fs_verify_kind kind)
{
    return fs->ops->verify_stop(fs, kind);
}

/* How the last one went, or how far it is. */
MUST_CHECK static inline int fs_verify_get(
    struct fs *fs, enum fs_verify_kind kind, const struct fs_verify_get *get)
{
    return fs->ops->verify_get(fs, kind, get);
}

/* Keeps the whole file system as it is now under `name`, with all that was written so far, UNSTABLE too. `out_snapshot`
 * may not be NULL. Errors: -EEXIST; -EINVAL: not a name; -EMLINK: there are FS_SNAPSHOTS_MAX; -EOPNOTSUPP. */
MUST_CHECK static inline int fs_snapshot_create(
    struct fs *fs, struct slice name, struct fs_snapshot *out_snapshot)
{
    return fs->ops->snapshot_create(fs, name, out_snapshot);
}

/* Nobody sees the snapshot any more when this returns: its nodes are -ESTALE. What only it had is given back in the
 * background. Errors: -ENOENT, -EOPNOTSUPP. */
MUST_CHECK static inline int fs_snapshot_delete(struct fs *fs, struct slice name)
{
    return fs->ops->snapshot_delete(fs, name);
}

/* Tells all snapshots, oldest first, those that are going too. Errors: -EOPNOTSUPP. */
MUST_CHECK static inline int fs_snapshot_list(struct fs *fs, fs_snapshot_emit *emit, void *context)
{
    return fs->ops->snapshot_list(fs, emit, context);
}

/* The directory of the snapshots of a directory: fs_lookup() in it finds the directory as it was, fs_readdir() lists
 * the snapshots that have it, fs_parent() leads back. It is no entry of the directory. Needs search permission.
 * Errors: -ENOTDIR; -EACCES; -ENOENT: `dir` is in a snapshot itself; -EOPNOTSUPP. */
MUST_CHECK static inline int fs_snapshot_dir(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr)
{
    return fs->ops->snapshot_dir(fs, cred, dir, out_attr);
}

/* Does not wait, and does not say that there is such a node. */
static inline enum fs_place fs_place_of(struct fs *fs, struct fs_node node)
{
    return fs->ops->place_of(fs, node);
}
