/* engine/gcm_fast.h - AES-256-GCM by a library for this kind of processor; gcm.c decides. */
#pragma once

#include "engine/gcm.h"

struct gcm_fast;

/* NULL: this build, or this machine, has nothing faster than OpenSSL; or no memory. */
struct gcm_fast *gcm_fast_new(const uint8_t key[GCM_KEY_BYTES]);
/* Wipes the key. NULL is allowed. */
void gcm_fast_free(struct gcm_fast *fast);
void gcm_fast_seal(struct gcm_fast *fast, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *out_tag);
/* Only decrypts, and says what the tag should be. */
void gcm_fast_open(struct gcm_fast *fast, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *out_tag);
