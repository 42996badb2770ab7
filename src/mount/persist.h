/*
 * mount/persist.h - mounts that come back at boot: a line of /etc/fstab, or units of systemd.
 *
 * Sources: fstab(5), systemd.mount(5), systemd.automount(5), systemd-escape(1). The texts are made by pure functions.
 */
#pragma once

#include "mount/problem.h"

enum persist_kind { PERSIST_NONE, PERSIST_FSTAB, PERSIST_MOUNT_UNIT, PERSIST_AUTOMOUNT_UNIT };

struct persist_entry {
    const char *source;
    const char *point;
    const char *options; /* may be "" */
};

/* Escapes a path as the name of a unit: "/mnt/my data" is "mnt-my\x20data". Errors: -ENOSPC; -EINVAL: not absolute. */
MUST_CHECK int persist_escape(const char *path, char *out_name, size_t size);
/* The line of fstab, with its newline: blanks, tabs, newlines and backslashes as \ooo; _netdev and nofail are added. Errors: -ENOSPC. */
MUST_CHECK int persist_fstab_line(const struct persist_entry *entry, char *out_line, size_t size);
/* The text of the .mount unit, or of the .automount unit. Errors: -ENOSPC; -EINVAL: a newline in a value. */
MUST_CHECK int persist_mount_unit(const struct persist_entry *entry, char *out_text, size_t size);
MUST_CHECK int persist_automount_unit(
    const struct persist_entry *entry, char *out_text, size_t size);
/* fstab's text with the entry for this mount point replaced or added; heap, the caller's. Errors: -EEXIST: there is an entry for
 * it that is not ours; -ENOSPC, -ENOMEM. */
MUST_CHECK int persist_edit_fstab(
    const char *text, const struct persist_entry *entry, char **out_text);
/* Writes below `etc` (NULL: /etc). Saying it again changes nothing. Adds to *out_told what was written and what to do next. */
MUST_CHECK int persist_save(enum persist_kind kind, const struct persist_entry *entry,
    const char *etc, struct problem *out_told);
