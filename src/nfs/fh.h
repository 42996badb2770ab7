/*
 * nfs/fh.h - filehandles: what a client holds to name a file for ever.
 *
 * A handle is 44 bytes: version, kind, two zeros, the file system's tag, inode, generation, access point tag, and
 * a SipHash of all that with a secret of the node, so that no client can make up the handle of a file it was never
 * shown. Handles survive restarts (RFC 8881 section 4.2.2). Format: docs/formats/filehandle.md.
 */
#pragma once

#include "base/base.h"
#include "base/hash.h"
#include "fs/fs.h"

#define FH_SIZE 44u

enum fh_kind {
    FH_PSEUDO = 1, /* the root above all file systems */
    FH_NODE = 2,   /* a node of a file system */
};

struct fh {
    enum fh_kind kind;
    uint64_t fs_tag;       /* FH_NODE: which file system; see fh_fs_tag() */
    struct fs_node node;   /* FH_NODE */
    uint64_t access_point; /* the tag of the access point it was shown through; 0: none */
};

static inline bool fh_equal(const struct fh *a, const struct fh *b)
{
    return a->kind == b->kind && a->fs_tag == b->fs_tag && fs_node_equal(a->node, b->node);
}

/* The number that stands for a file system id in handles and in the fsid attribute: the same on every node and in
 * every run, and never 0. */
uint64_t fh_fs_tag(const char *fs_id);

void fh_encode(const struct hash_key *key, const struct fh *fh, uint8_t out_bytes[FH_SIZE]);
/* Errors: -EBADMSG: not a handle that fh_encode() made with this key. */
MUST_CHECK int fh_decode(const struct hash_key *key, struct slice bytes, struct fh *out_fh);
