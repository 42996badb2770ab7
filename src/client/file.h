/*
 * client/file.h - open files: reading and writing, several requests in flight from one thread.
 *
 * An open file survives a restart of the server: it is reclaimed, or opened anew by its handle. What does not
 * survive is data written UNSTABLE and not committed; struct nfs_unstable tells when that happened, and the
 * writer, who still has the data, writes it again.
 * Any number of threads may read and write one file at once; open and close are one thread's.
 */
#pragma once

#include "client/attr.h"

struct nfs_file; /* opaque: file.c */

enum nfs_access { NFS_READ = 1, NFS_WRITE = 2 };

/* Opens the regular file with this handle. */
MUST_CHECK int nfs_file_open(struct nfs_client *client, const struct nfs_fh *fh,
    enum nfs_access access, struct nfs_file **out_file);
/* Makes (or, when it exists and is regular, opens) `name` for writing, with `attr` for a new one; size 0 in
 * `attr` empties an existing one. Errors: -EISDIR, -ELOOP: a directory or a link has that name. */
MUST_CHECK int nfs_file_create(struct nfs_client *client, const struct nfs_fh *dir,
    struct slice name, const struct nfs_setattr *attr, struct nfs_file **out_file);
/* Closes; the struct is gone whatever the result. NULL is allowed. */
int nfs_file_close(struct nfs_file *file);
const struct nfs_fh *nfs_file_handle(const struct nfs_file *file);

/* One READ in flight; `data` borrows from it until nfs_read_end(). */
struct nfs_read {
    struct nfs_call call;
    struct nfs_file *file;
    uint64_t stateid_version;
    uint64_t offset;
    uint32_t size;
    struct slice data;
    bool eof;
};
/* Asks for at most nfs_client_io_size() bytes. */
void nfs_read_start(struct nfs_read *read, struct nfs_file *file, uint64_t offset, uint32_t size);
/* Waits; fills data (may be shorter than asked for) and eof. nfs_read_end() is due whatever it gives. */
MUST_CHECK int nfs_read_finish(struct nfs_read *read);
void nfs_read_end(struct nfs_read *read);

/* What was written UNSTABLE and not committed yet; one thread's. All zero: nothing. */
struct nfs_unstable {
    bool any;
    bool lost; /* the server forgot some of it: all since the last commit is to be written again */
    uint8_t verifier[NFS4_VERIFIER_SIZE];
};

/* One WRITE in flight; `data` is the caller's and stays until nfs_write_finish() returns. */
struct nfs_write {
    struct nfs_call call;
    struct nfs_file *file;
    uint64_t stateid_version;
    uint64_t offset;
    struct slice data;
    enum stable_how4 stable;
};
void nfs_write_start(struct nfs_write *write, struct nfs_file *file, uint64_t offset,
    struct slice data, enum stable_how4 stable);
/* Waits until all of it is written; nothing is due after it. `unstable` may be NULL for FILE_SYNC4. */
MUST_CHECK int nfs_write_finish(struct nfs_write *write, struct nfs_unstable *unstable);

/* Makes what was written durable. Gives 0 and clears *unstable; or 1: data was lost, write again what was
 * written since the last commit; or -errno. */
MUST_CHECK int nfs_file_commit(struct nfs_file *file, struct nfs_unstable *unstable);
