/*
 * engine/crypt.h - the keys of one encrypted file system, and sealing with them: AES-256-GCM.
 *
 * What is sealed how, and why no nonce comes twice: docs/design/0005-encryption.md. A nonce is a number of 48 bits that
 * the caller never gives twice for the same kind of thing, and a salt of 48 random bits.
 *
 * All functions are thread-safe; none waits for anything but memory. What fails for no memory gives -ENOMEM.
 */
#pragma once

#include "base/base.h"
#include "base/hash.h"
#include "engine/keys.h"
#include "fs/volumes.h"

#define CRYPT_TAG_BYTES    16u
#define CRYPT_NONCE_BYTES  12u
#define CRYPT_VALUE_BYTES  (CRYPT_NONCE_BYTES + CRYPT_TAG_BYTES) /* a sealed value is longer by */
#define CRYPT_NUMBER_MAX   ((UINT64_C(1) << 48) - 1)
#define CRYPT_SALT_MASK    CRYPT_NUMBER_MAX
#define CRYPT_BOUNCE_BYTES (32u * BLOCK_BYTES)

struct crypt;

/* Derives what is needed from a data key. The first value is sealed under the number `number_next`. */
MUST_CHECK int crypt_new(
    const uint8_t data_key[FS_DATA_KEY_BYTES], uint64_t number_next, struct crypt **out_crypt);
/* Wipes the keys. Nothing is in use any more. NULL is allowed. */
void crypt_free(struct crypt *crypt);
/* Numbers of values begin here now; before the first is sealed in earnest. */
void crypt_start_numbers(struct crypt *crypt, uint64_t number_next);
/* The number that the next value gets. */
uint64_t crypt_number_next(const struct crypt *crypt);
/* Of the names in keys. */
struct hash_key crypt_name_key(const struct crypt *crypt);
/* A new salt. */
uint64_t crypt_salt(void);

/* What one thread seals with at a time. */
struct crypt_context;
MUST_CHECK int crypt_context_get(struct crypt *crypt, struct crypt_context **out_context);
void crypt_context_put(struct crypt *crypt, struct crypt_context *context);
/* Room of CRYPT_BOUNCE_BYTES for what is sealed on its way to the disk. */
uint8_t *crypt_context_bounce(struct crypt_context *context);

/* Seals one block; `out` may be `bytes`. */
void crypt_block_seal(struct crypt_context *context, uint64_t address, uint64_t salt,
    const uint8_t *bytes, uint8_t *out, uint8_t out_tag[CRYPT_TAG_BYTES]);
/* Opens a block in place. False: it is not what was sealed under this address with this tag; its bytes mean nothing
 * then. */
MUST_CHECK bool crypt_block_open(struct crypt_context *context, uint64_t address, uint64_t salt,
    uint8_t *bytes, const uint8_t tag[CRYPT_TAG_BYTES]);

/* Seals a value that stands under `key` in the database, for which `out` has room of its size and
 * CRYPT_VALUE_BYTES. */
void crypt_value_seal(struct crypt *crypt, struct crypt_context *context, struct slice key,
    struct slice value, uint8_t *out);
/* Opens one, whose size is at least CRYPT_VALUE_BYTES, into `out` of its size less those. Errors: -EBADMSG. */
MUST_CHECK int crypt_value_open(
    struct crypt *crypt, struct slice key, struct slice sealed, uint8_t *out);
