/*
 * auth/key_wrap.c - one key wrapped by another (room: auth).
 *
 * A key wraps a few thousand others at most, so random nonces of 96 bits do not repeat.
 */
#include "auth/key_wrap.h"

#include <openssl/evp.h>

#include "base/random.h"

#define NONCE_BYTES 12u
#define TAG_BYTES   16

int key_wrap(const uint8_t with[KEY_BYTES], struct slice binding, const uint8_t key[KEY_BYTES],
    uint8_t out[KEY_WRAP_BYTES])
{
    int done = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    random_bytes(out, NONCE_BYTES);
    uint8_t *to = out + NONCE_BYTES;
    bool is_done =
        cipher != NULL && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, with, out) == 1 &&
        EVP_EncryptUpdate(cipher, NULL, &done, binding.data, (int)binding.size) == 1 &&
        EVP_EncryptUpdate(cipher, to, &done, key, KEY_BYTES) == 1 &&
        EVP_EncryptFinal_ex(cipher, to + KEY_BYTES, &done) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, to + KEY_BYTES) == 1;
    EVP_CIPHER_CTX_free(cipher); /* NULL is allowed */
    return is_done ? 0 : -ENOMEM;
}

int key_unwrap(const uint8_t with[KEY_BYTES], struct slice binding,
    const uint8_t wrapped[KEY_WRAP_BYTES], uint8_t out_key[KEY_BYTES])
{
    int done = 0;
    uint8_t tag[TAG_BYTES]; /* OpenSSL wants it without `const` */
    const uint8_t *from = wrapped + NONCE_BYTES;
    memcpy(tag, from + KEY_BYTES, sizeof tag);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int err = -ENOMEM;
    if (cipher != NULL && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, with, wrapped) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
        EVP_DecryptUpdate(cipher, NULL, &done, binding.data, (int)binding.size) == 1 &&
        EVP_DecryptUpdate(cipher, out_key, &done, from, KEY_BYTES) == 1)
        err = EVP_DecryptFinal_ex(cipher, out_key + KEY_BYTES, &done) == 1 ? 0 : -EBADMSG;
    EVP_CIPHER_CTX_free(cipher);
    if (err < 0)
        explicit_bzero(out_key, KEY_BYTES);
    return err;
}
