/*
 * cli/efs_conf.h - changing single values of efs-utils' configuration, and nothing else of it.
 */
#pragma once

#include "base/base.h"

/* Sets `key` of section [`section`] in the text of a configuration file: in the place of the line that sets it, or as the
 * first line of the section, or in a new section at the end. Comments and all other lines stay as they are. The caller
 * frees *out_text. Errors: -ENOMEM. */
MUST_CHECK int efs_conf_set(
    const char *text, const char *section, const char *key, const char *value, char **out_text);
/* Whether the text has a section of that name. */
bool efs_conf_has_section(const char *text, const char *section);
