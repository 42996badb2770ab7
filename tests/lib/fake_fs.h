/*
 * tests/lib/fake_fs.h - a whole file system in memory: struct fs_ops without a disk.
 *
 * It does what fs/fs.h says, for one thread, simply: linear searches, every write stable at once. It can be told to
 * fail.
 */
#pragma once

#include "fs/fs.h"

/* The caller owns the file system; fake_fs_free() takes it back. Never NULL. */
struct fs *fake_fs_new(void);
void fake_fs_free(struct fs *fs);

/* The `after`-th call from now (1: the next one) of the operation of struct fs_ops with this name gives `error`
 * (-errno). One order at a time. */
void fake_fs_fail(struct fs *fs, const char *op, unsigned after, int error);
/* fs_hold() calls that no fs_release() has answered yet. */
unsigned fake_fs_hold_count(const struct fs *fs);
/* Calls of that operation so far. */
unsigned fake_fs_call_count(const struct fs *fs, const char *op);
/* A new write verifier, as after lost UNSTABLE data. */
void fake_fs_change_writeverf(struct fs *fs);
/* Kept records, e.g. of clients that may reclaim. */
unsigned fake_fs_record_count(const struct fs *fs);
