/*
 * engine/gcm.h - AES-256-GCM under one key that is set up once.
 *
 * OpenSSL does it everywhere. Where Intel's multi-buffer crypto library is there, and the processor has what it is fast
 * with, that one does: a block of 4 KiB in a third of the time. The result is the same. One thread uses a struct gcm at a time.
 */
#pragma once

#include "base/base.h"

#define GCM_KEY_BYTES   32u
#define GCM_NONCE_BYTES 12u
#define GCM_TAG_BYTES   16u

struct gcm;

/* Errors: -ENOMEM. */
MUST_CHECK int gcm_new(const uint8_t key[GCM_KEY_BYTES], struct gcm **out_gcm);
/* Wipes the key. NULL is allowed. */
void gcm_free(struct gcm *gcm);
/* `to` has room for from.size bytes and may be from.data; `extra` is authenticated too. Takes no memory, cannot fail. */
void gcm_seal(struct gcm *gcm, const uint8_t nonce[GCM_NONCE_BYTES], struct slice extra,
    struct slice from, uint8_t *to, uint8_t out_tag[GCM_TAG_BYTES]);
/* False: it is not what was sealed; what is in `to` means nothing then. */
MUST_CHECK bool gcm_open(struct gcm *gcm, const uint8_t nonce[GCM_NONCE_BYTES], struct slice extra,
    struct slice from, uint8_t *to, const uint8_t tag[GCM_TAG_BYTES]);
