/*
 * cli/launch.h - starting shoald in the background and waiting until it serves.
 */
#pragma once

#include "cli/instance.h"

/* Starts shoald with these words after its name (a NULL-terminated list), on the data directory `data`, and
 * waits until it serves. Its log goes to DIR/shoald.log. Gives CLI_OK, or the exit code after the sentence:
 * shoald's own where it has one. */
MUST_CHECK int launch(const char *data, char **words);
/* Becomes the program `name` (shoald, for a tool of its own) with these words after its name (a NULL-terminated list). Gives
 * an exit code if that fails, after the sentence. */
int launch_program(const char *name, char **words);
