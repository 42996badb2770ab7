/* cli/nouns/noun_fs.h - what the files about file systems share. */
#pragma once

#include "cli/nouns/noun.h"

/* The mount targets, and the access points, of a file system; new references. Give CLI_OK, or the exit code after the
 * sentence. */
MUST_CHECK int fs_targets(struct noun_call *call, const char *id, json_t **out_list);
MUST_CHECK int fs_access_points(struct noun_call *call, const char *id, json_t **out_list);
