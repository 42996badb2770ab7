/*
 * transfer/links.h - which files with several names were met already, so that hard links stay hard links.
 *
 * The first who meets a file copies it; those who meet it meanwhile leave a note and go on; when the copy is
 * there, or has failed, the first gets the notes. A file whose every name was met is forgotten. Thread-safe.
 */
#pragma once

#include "transfer/tree.h"

struct links;

struct links_key {
    uint64_t filesystem;
    uint64_t inode;
};

/* What a later name leaves: embedded in the caller's struct. */
struct links_note {
    struct links_note *next;
};

enum links_answer {
    LINKS_FIRST,   /* copy it, then call links_publish() */
    LINKS_READY,   /* *out_target is the copy */
    LINKS_WAITING, /* the note is kept; links_publish() gives it to the first */
    LINKS_FAILED,  /* the copy failed; *out_error says how */
};

MUST_CHECK int links_new(struct links **out_links);
void links_free(struct links *links);

struct links_found {
    struct tree_dir target; /* of LINKS_READY; the caller frees its path */
    int error;
};

/* Announces one of the `link_count` names of the file. `note` NULL: the caller does not care to wait.
 * Errors: -ENOMEM. */
MUST_CHECK int links_meet(struct links *links, struct links_key key, uint32_t link_count,
    struct links_note *note, enum links_answer *out_answer, struct links_found *out_found);
/* The first is done: `target` (its path is copied) is the copy, or `error` says why there is none. Gives the
 * notes left so far. */
struct links_note *links_publish(
    struct links *links, struct links_key key, const struct tree_dir *target, int error);
