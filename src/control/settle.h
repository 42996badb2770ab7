/*
 * control/settle.h - settings of a file system that come into force in steps: backup policy and replication.
 *
 *   backup:       ENABLING --> ENABLED, DISABLING --> DISABLED
 *   replication:  ENABLING --(destination available)--> ERROR; DELETING --> none
 *
 * Called on a thread of the worker. The states are in the catalog, so a restart goes on where a crash stopped.
 */
#pragma once

#include "catalog/records.h"

/* Whether the record has a setting that is on its way. */
bool settle_is_due(const struct catalog_fs *fs);
/* Takes the steps that can be taken now. Repeating it is harmless. Errors: those of catalog_change(). */
MUST_CHECK int settle_fs(struct catalog *catalog, const char *fs_id);
