/*
 * A model of some files, the operations on them that follow from a seed, and what a crash may leave of them.
 *
 * A thread that works in a directory of its own, and says how many operations were acknowledged, can be played on
 * the model by somebody else, who then knows what must be there: all of those, and the next one whole or not at all.
 */
#pragma once

#include "fixture.h"

#define MODEL_NAMES       6u
#define MODEL_FILE_BYTES  (128u * 1024)
#define MODEL_FILE_BLOCKS (MODEL_FILE_BYTES / 4096)
#define MODEL_VERSIONS    8u

/* A file as the model knows it: its content after each operation since all of it was durable. */
struct model_file {
    bool exists;
    uint32_t version;                  /* the newest */
    uint64_t size;                     /* now */
    uint64_t size_least, size_most;    /* what a crash may leave */
    uint32_t least[MODEL_FILE_BLOCKS]; /* the oldest version a block may go back to */
    uint8_t xattr;                     /* 0: none */
    uint8_t *content[MODEL_VERSIONS];  /* MODEL_FILE_BYTES each */
};

struct model {
    uint64_t random;
    uint32_t entries_max; /* the quota of its directory; 0: none */
    struct model_file files[MODEL_NAMES];
    bool has_snapshot;
    struct model_file kept[MODEL_NAMES]; /* as they are in it: version 0 */
};

enum op_kind {
    OP_CREATE,
    OP_REMOVE,
    OP_RENAME,
    OP_CLONE, /* all of `other` in place of what `file` is: as a rename of a copy */
    OP_WRITE,
    OP_COMMIT,
    OP_TRUNCATE,
    OP_PUNCH,
    OP_XATTR,    /* the attribute "model" becomes `fill` */
    OP_QUOTA,    /* of the directory, by `fill` */
    OP_SNAPSHOT, /* is made, or deleted when `fill` says that there is one */
};

struct op {
    enum op_kind kind;
    uint32_t file, other;
    uint64_t offset, size;
    enum fs_stability stability;
    uint8_t fill;
    bool is_refused; /* it goes beyond the quota: nothing changes */
};

/* `count` models, shared with the processes that are forked; they go with the process. */
struct model *models_new(unsigned count);
/* The arrays are copied too. */
void model_copy(struct model *to, const struct model *from);

/* The operation that follows; the same for the same random state and the same files. */
struct op model_next_op(struct model *model);
/* Does it; `bytes` is room for MODEL_FILE_BYTES. */
int model_perform(struct fs *fs, struct fs_node dir, const struct op *op, uint8_t *bytes);
/* What the model is once it is acknowledged. */
void model_apply(struct model *model, const struct op *op);

/* The directory "threadN" of the root, made if need be. */
struct fs_node model_directory(struct fixture *f, unsigned thread);
/* Why what is in `dir` is not what the model, and with it one more operation, allow; NULL: it is. `ahead` is room
 * for the model after that operation. */
const char *model_judge_crash(
    struct fs *fs, struct fs_node dir, const struct model *model, struct model *ahead);
/* Takes what was found as the durable beginning of the next round. */
void model_adopt(struct fs *fs, struct fs_node dir, struct model *model);
/* Why what is in `dir` is not what the model allows; NULL: it is. */
const char *model_judge(struct fs *fs, struct fs_node dir, const struct model *model);
/* The file system was closed in order: all that was written is durable. */
void model_settle(struct model *model);
/* The operation failed, but not for a quota: a write may be there or not, block by block, and the model goes on from what is there;
 * all else changed nothing. False: what is there is neither old nor new. */
bool model_after_failure(
    struct fs *fs, struct fs_node dir, struct model *model, const struct op *op);
