/*
 * engine/crypt.c - sealing with the keys of one file system (room: engine).
 *
 * Setting up a key costs as much as sealing some hundred bytes, so contexts that have theirs are kept, a few for each
 * file system: as many as there were ever threads at it at once. One is used by one thread at a time.
 */
#include "engine/crypt.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/lock.h"
#include "base/random.h"
#include "engine/gcm.h"

#define KEY_BYTES 32u

struct crypt_context {
    struct crypt_context *next;
    struct gcm *block;
    struct gcm *value;
    uint8_t *bounce;
};

struct crypt {
    struct mutex lock;
    struct crypt_context *free; /* not in use */
    uint8_t block_key[KEY_BYTES];
    uint8_t value_key[KEY_BYTES];
    struct hash_key name_key;
    uint64_t value_salt; /* of this opening */
    _Atomic uint64_t number_next;
};

/* HKDF's expansion: the data key is random already. */
static int derive(const uint8_t *data_key, const char *purpose, uint8_t *out, size_t size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    uint8_t key[FS_DATA_KEY_BYTES]; /* OpenSSL wants them without `const` */
    char info[32];
    size_t info_size = strlen(purpose);
    assert(info_size < sizeof info);
    memcpy(key, data_key, sizeof key);
    // NOLINTNEXTLINE(bugprone-not-null-terminated-result): its size is told
    memcpy(info, purpose, info_size);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, sizeof key),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_size),
        OSSL_PARAM_construct_end(),
    };
    bool is_done = context != NULL && EVP_KDF_derive(context, out, size, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    OPENSSL_cleanse(key, sizeof key);
    return is_done ? 0 : -ENOMEM;
}

int crypt_new(
    const uint8_t data_key[FS_DATA_KEY_BYTES], uint64_t number_next, struct crypt **out_crypt)
{
    struct crypt *crypt = calloc(1, sizeof *crypt);
    if (crypt == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&crypt->lock.pthread, NULL);
    uint8_t name_key[16];
    int err = derive(data_key, "shoal blocks", crypt->block_key, KEY_BYTES);
    if (err == 0)
        err = derive(data_key, "shoal values", crypt->value_key, KEY_BYTES);
    if (err == 0)
        err = derive(data_key, "shoal names", name_key, sizeof name_key);
    if (err < 0) {
        crypt_free(crypt);
        return err;
    }
    crypt->name_key = (struct hash_key){ load_be64(name_key), load_be64(name_key + 8) };
    crypt->value_salt = crypt_salt();
    crypt->number_next = number_next;
    *out_crypt = crypt;
    return 0;
}

static void context_free(struct crypt_context *context)
{
    gcm_free(context->block);
    gcm_free(context->value);
    free(context->bounce);
    free(context);
}

void crypt_free(struct crypt *crypt)
{
    if (crypt == NULL)
        return;
    while (crypt->free != NULL) {
        struct crypt_context *next = crypt->free->next;
        context_free(crypt->free);
        crypt->free = next;
    }
    (void)pthread_mutex_destroy(&crypt->lock.pthread);
    OPENSSL_cleanse(crypt, sizeof *crypt);
    free(crypt);
}

void crypt_start_numbers(struct crypt *crypt, uint64_t number_next)
{
    crypt->number_next = number_next;
}

uint64_t crypt_number_next(const struct crypt *crypt)
{
    return crypt->number_next;
}

struct hash_key crypt_name_key(const struct crypt *crypt)
{
    return crypt->name_key;
}

uint64_t crypt_salt(void)
{
    return random_u64() & CRYPT_SALT_MASK;
}

int crypt_context_get(struct crypt *crypt, struct crypt_context **out_context)
{
    mutex_lock(&crypt->lock);
    struct crypt_context *context = crypt->free;
    if (context != NULL)
        crypt->free = context->next;
    mutex_unlock(&crypt->lock);
    if (context == NULL) {
        context = calloc(1, sizeof *context);
        if (context == NULL)
            return -ENOMEM;
        context->bounce = malloc(CRYPT_BOUNCE_BYTES);
        if (context->bounce == NULL || gcm_new(crypt->block_key, &context->block) < 0 ||
            gcm_new(crypt->value_key, &context->value) < 0) {
            context_free(context);
            return -ENOMEM;
        }
    }
    *out_context = context;
    return 0;
}

void crypt_context_put(struct crypt *crypt, struct crypt_context *context)
{
    mutex_lock(&crypt->lock);
    context->next = crypt->free;
    crypt->free = context;
    mutex_unlock(&crypt->lock);
}

uint8_t *crypt_context_bounce(struct crypt_context *context)
{
    return context->bounce;
}

static void make_nonce(uint64_t number, uint64_t salt, uint8_t out[CRYPT_NONCE_BYTES])
{
    assert(number <= CRYPT_NUMBER_MAX);
    store_be16(out, (uint16_t)(number >> 32));
    store_be32(out + 2, (uint32_t)number);
    store_be16(out + 6, (uint16_t)(salt >> 32));
    store_be32(out + 8, (uint32_t)salt);
}

void crypt_block_seal(struct crypt_context *context, uint64_t address, uint64_t salt,
    const uint8_t *bytes, uint8_t *out, uint8_t out_tag[CRYPT_TAG_BYTES])
{
    uint8_t nonce[CRYPT_NONCE_BYTES];
    make_nonce(address, salt, nonce);
    gcm_seal(context->block, nonce, slice_of(NULL, 0), slice_of(bytes, BLOCK_BYTES), out, out_tag);
}

bool crypt_block_open(struct crypt_context *context, uint64_t address, uint64_t salt,
    uint8_t *bytes, const uint8_t tag[CRYPT_TAG_BYTES])
{
    uint8_t nonce[CRYPT_NONCE_BYTES];
    make_nonce(address, salt, nonce);
    return gcm_open(
        context->block, nonce, slice_of(NULL, 0), slice_of(bytes, BLOCK_BYTES), bytes, tag);
}

void crypt_value_seal(struct crypt *crypt, struct crypt_context *context, struct slice key,
    struct slice value, uint8_t *out)
{
    uint64_t number = atomic_fetch_add_explicit(&crypt->number_next, 1, memory_order_relaxed);
    make_nonce(number, crypt->value_salt, out);
    uint8_t *sealed = out + CRYPT_NONCE_BYTES;
    gcm_seal(context->value, out, key, value, sealed, sealed + value.size);
}

int crypt_value_open(struct crypt *crypt, struct slice key, struct slice sealed, uint8_t *out)
{
    assert(sealed.size >= CRYPT_VALUE_BYTES);
    struct crypt_context *context;
    int err = crypt_context_get(crypt, &context);
    if (err < 0)
        return err;
    size_t size = sealed.size - CRYPT_VALUE_BYTES;
    const uint8_t *from = sealed.data + CRYPT_NONCE_BYTES;
    bool is_good =
        gcm_open(context->value, sealed.data, key, slice_of(from, size), out, from + size);
    crypt_context_put(crypt, context);
    return is_good ? 0 : -EBADMSG;
}
