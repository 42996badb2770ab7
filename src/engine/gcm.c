/*
 * engine/gcm.c - AES-256-GCM by OpenSSL, or by what is faster on this machine (room: engine).
 */
#include "engine/gcm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "engine/gcm_fast.h"

struct gcm {
    struct gcm_fast *fast; /* NULL: OpenSSL does it */
    EVP_CIPHER_CTX *cipher;
};

int gcm_new(const uint8_t key[GCM_KEY_BYTES], struct gcm **out_gcm)
{
    struct gcm *gcm = calloc(1, sizeof *gcm);
    if (gcm == NULL)
        return -ENOMEM;
    gcm->fast = gcm_fast_new(key);
    if (gcm->fast == NULL) {
        gcm->cipher = EVP_CIPHER_CTX_new();
        if (gcm->cipher == NULL ||
            EVP_EncryptInit_ex(gcm->cipher, EVP_aes_256_gcm(), NULL, key, NULL) != 1) {
            gcm_free(gcm);
            return -ENOMEM;
        }
    }
    *out_gcm = gcm;
    return 0;
}

void gcm_free(struct gcm *gcm)
{
    if (gcm == NULL)
        return;
    gcm_fast_free(gcm->fast);
    EVP_CIPHER_CTX_free(gcm->cipher); /* wipes the key; NULL is allowed */
    free(gcm);
}

/* Once the key is set nothing takes memory, so this fails by a mistake of ours only. */
static void seal(EVP_CIPHER_CTX *cipher, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *out_tag)
{
    int done = 0;
    bool is_good = EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, nonce) == 1;
    if (extra.size > 0)
        is_good =
            is_good && EVP_EncryptUpdate(cipher, NULL, &done, extra.data, (int)extra.size) == 1;
    if (from.size > 0)
        is_good = is_good && EVP_EncryptUpdate(cipher, to, &done, from.data, (int)from.size) == 1;
    is_good = is_good && EVP_EncryptFinal_ex(cipher, to + from.size, &done) == 1 &&
              EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_BYTES, out_tag) == 1;
    assert(is_good);
}

static bool open_sealed(EVP_CIPHER_CTX *cipher, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, const uint8_t *tag)
{
    int done = 0;
    uint8_t expected[GCM_TAG_BYTES]; /* OpenSSL wants it without `const` */
    memcpy(expected, tag, sizeof expected);
    bool is_good = EVP_DecryptInit_ex(cipher, NULL, NULL, NULL, nonce) == 1 &&
                   EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_BYTES, expected) == 1;
    if (extra.size > 0)
        is_good =
            is_good && EVP_DecryptUpdate(cipher, NULL, &done, extra.data, (int)extra.size) == 1;
    if (from.size > 0)
        is_good = is_good && EVP_DecryptUpdate(cipher, to, &done, from.data, (int)from.size) == 1;
    return is_good && EVP_DecryptFinal_ex(cipher, to + from.size, &done) == 1;
}

void gcm_seal(struct gcm *gcm, const uint8_t nonce[GCM_NONCE_BYTES], struct slice extra,
    struct slice from, uint8_t *to, uint8_t out_tag[GCM_TAG_BYTES])
{
    if (gcm->fast != NULL)
        gcm_fast_seal(gcm->fast, nonce, extra, from, to, out_tag);
    else
        seal(gcm->cipher, nonce, extra, from, to, out_tag);
}

bool gcm_open(struct gcm *gcm, const uint8_t nonce[GCM_NONCE_BYTES], struct slice extra,
    struct slice from, uint8_t *to, const uint8_t tag[GCM_TAG_BYTES])
{
    if (gcm->fast == NULL)
        return open_sealed(gcm->cipher, nonce, extra, from, to, tag);
    uint8_t computed[GCM_TAG_BYTES];
    gcm_fast_open(gcm->fast, nonce, extra, from, to, computed);
    return CRYPTO_memcmp(computed, tag, sizeof computed) == 0;
}
