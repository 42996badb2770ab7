/*
 * engine/manifest.h - what a power cut may leave of a RocksDB's MANIFEST.
 *
 * RocksDB appends a record to it and syncs. Cut in between, file systems may leave the new length with some sectors of
 * zeros: RocksDB takes that for damage and does not open. What was not synced nothing relies on, so it can go.
 * Damage that valid records follow is none of a cut. That the last record, synced, was damaged later looks the same:
 * then the database is older than the journal's first batch, or tables are missing, and opening it fails as before.
 */
#pragma once

#include "base/base.h"

/* Cuts torn records off the end of the MANIFEST that CURRENT names, in the database at `path`, which nobody has open.
 * *out_cut_bytes: how much went; 0: nothing was wrong. Errors: -EBADMSG: it is damaged elsewhere, or is none; -ENOMEM;
 * the system's. Nothing is changed then. */
MUST_CHECK int manifest_cut_torn(const char *path, uint64_t *out_cut_bytes);
