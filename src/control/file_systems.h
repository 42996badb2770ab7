/*
 * control/file_systems.h - what CreateFileSystem and CreateReplicationConfiguration share when they make a file system.
 */
#pragma once

#include "control/api.h"

#define FILE_SYSTEMS_NEW_BYTES 6144 /* the root directory, as EFS meters it */

/* Fills in a record that was just added: a file system in all zones, `creating`, with EFS's defaults. */
void file_systems_init(struct catalog_fs *fs, const char *id, int64_t now_ms);
/* For use in a change: refuses (FileSystemLimitExceeded) when there are as many as EFS allows. */
MUST_CHECK int file_systems_check_quota(struct api_call *call);
/* For use in a change: refuses (IncorrectFileSystemLifeCycleState) one that is not `available`. */
MUST_CHECK int file_systems_check_available(struct api_call *call, const struct catalog_fs *fs);
