/*
 * engine/quota_internal.h - what the files of quotas share.
 */
#pragma once

#include "engine/committer.h"
#include "engine/quota.h"

struct quota {
    struct quota *hash_next;
    struct quota *touched_next;
    uint64_t dir;
    struct fs_quota state; /* with what was used after the last batch */
    struct fs_quota next;  /* after this one, if `has_next` */
    uint64_t reserved_bytes;
    uint64_t charged_bytes; /* this and what follows: of the running batch */
    uint64_t charged_entries;
    uint64_t released_bytes;
    bool is_touched;
    bool has_next;
    bool is_replaced; /* another record, or none, goes with this batch */
    bool is_removed;
};

/* The quotas above a file, as of a version; all blocks that are new to the file are reserved in each. */
struct quota_hold {
    uint64_t version;
    uint64_t blocks;
    uint32_t count;
    uint32_t capacity;
    uint64_t dirs[];
};

/* NULL: the directory has none. */
struct quota *quota_at_locked(const struct quotas *quotas, uint64_t dir) REQUIRES(quotas->lock);
bool quota_fits_locked(const struct quota *quota, uint64_t bytes, uint64_t entries);
/* The limits that hold now, hard or soft; 0: none. */
uint64_t quota_bytes_limit(const struct fs_quota *state);
uint64_t quota_entries_limit(const struct fs_quota *state);

struct op_quota {
    struct request request;
    struct inode *inode;
    const struct fs_quota_limits *limits;
    struct quota *quota; /* the caller's, to be taken; NULL afterwards: it was */
    bool is_removal;
};
request_execute op_quota_execute;
request_publish op_quota_publish;
