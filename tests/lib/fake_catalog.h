/*
 * tests/lib/fake_catalog.h - the data plane's half of catalog/catalog.h, without records.
 *
 * Link it instead of the real catalog. There is one of it in a process; `struct catalog *` arguments are ignored.
 */
#pragma once

#include "catalog/catalog.h"

/* Forgets everything. */
void fake_catalog_reset(void);
/* Adds a file system; `address` may be NULL: it has no mount target. Both strings are borrowed. */
void fake_catalog_add(const char *fs_id, const char *address);
/* As if it were the destination of a replication. */
void fake_catalog_set_read_only(const char *fs_id, bool is_read_only);
/* What catalog_fs_profile() answers for it. */
void fake_catalog_set_profile(const char *fs_id, enum catalog_profile profile);
/* Its policy, JSON, borrowed; NULL: none. */
void fake_catalog_set_policy(const char *fs_id, const char *policy);
/* Takes a file system and its mount target away. */
void fake_catalog_remove(const char *fs_id);
/* Adds an access point, borrowed. */
void fake_catalog_add_access(const struct catalog_access *access);
