/*
 * engine/verify.h - what verifies an open volume in the background: `records` (engine/check.h, on a snapshot of the database) and
 * `data` (engine/scrub.h), each on a thread of its own while it runs.
 *
 * How a scrub went, or how far it is, stands in the file `scrub` of the file system's directory, so it goes on after the next
 * opening. Format: docs/formats/engine.md.
 */
#pragma once

#include "fs/fs.h"

struct verifier;
struct volume;

/* For a volume that is being opened; nothing runs. Errors: -ENOMEM. */
MUST_CHECK int verifier_new(struct volume *volume, struct verifier **out_verifier);
/* Goes on with a scrub that the last run did not end. */
void verifier_resume(struct verifier *verifier);
/* Stops what runs and waits for it; a scrub goes on at the next opening. Before the rest of the volume is closed. */
void verifier_stop(struct verifier *verifier);
/* NULL is allowed. */
void verifier_free(struct verifier *verifier);

/* What stands in fs.h. */
int call_verify_start(struct fs *fs, enum fs_verify_kind kind);
int call_verify_stop(struct fs *fs, enum fs_verify_kind kind);
int call_verify_get(struct fs *fs, enum fs_verify_kind kind, const struct fs_verify_get *get);
