/*
 * auth/key_wrap.h - one key wrapped by another: AES-256-GCM under a random nonce. Pure but for the nonce.
 */
#pragma once

#include "base/base.h"

#define KEY_BYTES      32u
#define KEY_WRAP_BYTES (12u + KEY_BYTES + 16u) /* nonce, key, tag */

/* Errors: -ENOMEM. */
MUST_CHECK int key_wrap(const uint8_t with[KEY_BYTES], struct slice binding,
    const uint8_t key[KEY_BYTES], uint8_t out[KEY_WRAP_BYTES]);
/* Errors: -EBADMSG: wrapped with another key or binding, or changed; -ENOMEM. */
MUST_CHECK int key_unwrap(const uint8_t with[KEY_BYTES], struct slice binding,
    const uint8_t wrapped[KEY_WRAP_BYTES], uint8_t out_key[KEY_BYTES]);
