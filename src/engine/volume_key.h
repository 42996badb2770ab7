/*
 * engine/volume_key.h - the data key of an encrypted file system: made, kept wrapped in its file `key`, and
 * unwrapped by the engine's keeper. Format: docs/formats/engine.md.
 */
#pragma once

#include "engine/crypt.h"
#include "engine/volume.h"

/* Where a file system's key is. */
struct key_place {
    struct engine *engine;
    const char *fs_id; /* for the log */
    int dir_fd;
    const uint8_t *uuid;
    bool is_read_only; /* it is not wrapped again */
};

/* Makes a data key, wrapped with `key_id`, and its file. Errors: -ENOKEY, -EKEYREVOKED: there is no keeper, or it has no
 * such key, or none that can be used. */
MUST_CHECK int volume_key_make(
    const struct key_place *place, const char *key_id, struct crypt **out_crypt);
/* Opens it; wraps it again if there is a newer version of what wraps it. Errors: -EKEYREVOKED, -ENOKEY: it cannot be
 * used now (logged); -EBADMSG: the file is missing or damaged. */
MUST_CHECK int volume_key_open(const struct key_place *place, struct crypt **out_crypt);
/* Asks again whether the key can be used, and wraps again if need be. Errors: as volume_key_open(). */
MUST_CHECK int volume_key_renew(const struct key_place *place);
