/*
 * auth/session.c - sealing and opening session tokens (room: auth).
 *
 * A token is Base64 of: one byte of version, 12 random bytes (the nonce), the encrypted JSON, 16 bytes of tag. The
 * version is authenticated, too. Random nonces of 96 bits under one key are safe for 2^32 tokens (NIST SP 800-38D).
 */
#include "auth/session.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "auth/credentials.h"
#include "base/random.h"
#include "base/text.h"

#define TOKEN_VERSION 1
#define NONCE_SIZE    12
#define TAG_SIZE      16
#define HEAD_SIZE     (1 + NONCE_SIZE)
#define KEY_SIZE      32

/* A key for one purpose, from the catalog's secret. */
static void derive(
    const struct catalog *catalog, const char *purpose, const char *what, uint8_t out_key[KEY_SIZE])
{
    char text[2 * CATALOG_ID_SIZE];
    size_t used = 0;
    unsigned size = 0;
    int err = text_append(text, sizeof text, &used, "%s:%s", purpose, what);
    assert(err == 0); /* key ids are short */
    const uint8_t *made = HMAC(EVP_sha256(), catalog_session_secret(catalog),
        CATALOG_SESSION_SECRET_SIZE, (const uint8_t *)text, used, out_key, &size);
    assert(made != NULL && size == KEY_SIZE);
}

void session_secret(
    const struct catalog *catalog, const char *key_id, char out_secret[SESSION_SECRET_SIZE])
{
    uint8_t key[KEY_SIZE];
    uint8_t text[4 * ((KEY_SIZE + 2) / 3) + 1];
    derive(catalog, "secret", key_id, key);
    (void)EVP_EncodeBlock(text, key, sizeof key); /* 44 letters; 40 of them are 240 bits */
    memcpy(out_secret, text, SESSION_SECRET_SIZE - 1);
    out_secret[SESSION_SECRET_SIZE - 1] = '\0';
    explicit_bzero(key, sizeof key);
    explicit_bzero(text, sizeof text);
}

/* Encrypts `text` into `out`, which has room for HEAD_SIZE + size + TAG_SIZE bytes. */
static bool seal_text(const uint8_t key[KEY_SIZE], const char *text, size_t size, uint8_t *out)
{
    int done = 0;
    int rest = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    out[0] = TOKEN_VERSION;
    random_bytes(out + 1, NONCE_SIZE);
    bool ok =
        cipher != NULL && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, out + 1) == 1 &&
        EVP_EncryptUpdate(cipher, NULL, &done, out, 1) == 1 &&
        EVP_EncryptUpdate(cipher, out + HEAD_SIZE, &done, (const uint8_t *)text, (int)size) == 1 &&
        EVP_EncryptFinal_ex(cipher, out + HEAD_SIZE + done, &rest) == 1 &&
        EVP_CIPHER_CTX_ctrl(
            cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out + HEAD_SIZE + done + rest) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return ok;
}

/* Decrypts in place of `out`, which has room for size - HEAD_SIZE - TAG_SIZE + 1 bytes. */
static bool open_text(const uint8_t key[KEY_SIZE], uint8_t *sealed, size_t size, char *out)
{
    int done = 0;
    int rest = 0;
    size_t text_size = size - HEAD_SIZE - TAG_SIZE;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    bool ok =
        cipher != NULL &&
        EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, sealed + 1) == 1 &&
        EVP_DecryptUpdate(cipher, NULL, &done, sealed, 1) == 1 &&
        EVP_DecryptUpdate(cipher, (uint8_t *)out, &done, sealed + HEAD_SIZE, (int)text_size) == 1 &&
        EVP_CIPHER_CTX_ctrl(
            cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, sealed + HEAD_SIZE + text_size) == 1 &&
        EVP_DecryptFinal_ex(cipher, (uint8_t *)out + done, &rest) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (ok)
        out[text_size] = '\0';
    return ok;
}

static int seal(const struct catalog *catalog, const char *text, char **out_token)
{
    size_t size = strlen(text);
    size_t sealed_size = HEAD_SIZE + size + TAG_SIZE;
    if (sealed_size > SESSION_TOKEN_SIZE_MAX / 4 * 3)
        return -E2BIG;
    uint8_t key[KEY_SIZE];
    uint8_t *sealed = malloc(sealed_size);
    char *token = malloc(4 * ((sealed_size + 2) / 3) + 1);
    int err = sealed == NULL || token == NULL ? -ENOMEM : 0;
    if (err == 0) {
        derive(catalog, "token", "", key);
        err = seal_text(key, text, size, sealed) ? 0 : -EIO;
        explicit_bzero(key, sizeof key);
    }
    if (err == 0) {
        (void)EVP_EncodeBlock((uint8_t *)token, sealed, (int)sealed_size);
        *out_token = token;
        token = NULL;
    }
    free(sealed);
    free(token);
    return err;
}

int session_seal(const struct catalog *catalog, struct session *session, char **out_token)
{
    credentials_make_id(SESSION_KEY_PREFIX, CREDENTIALS_KEY_LETTERS, session->key_id);
    json_t *object = json_pack("{ss ss ss sI sI ss*}", "k", session->key_id, "r", session->role_id,
        "s", session->name, "i", (json_int_t)session->issued_ms, "x",
        (json_int_t)session->expires_ms, "p", session->policy);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    int err = text == NULL ? -ENOMEM : seal(catalog, text, out_token);
    free(text);
    return err;
}

/* Takes what a token says; it is ours, so it has all of it. */
static int take_session(const char *text, struct session *out)
{
    json_t *object = json_loads(text, 0, NULL);
    const char *key_id = json_string_value(json_object_get(object, "k"));
    const char *role_id = json_string_value(json_object_get(object, "r"));
    const char *name = json_string_value(json_object_get(object, "s"));
    int err = -EBADMSG;
    *out = (struct session){ 0 };
    if (key_id != NULL && role_id != NULL && name != NULL &&
        text_copy(out->key_id, sizeof out->key_id, key_id) == 0 &&
        text_copy(out->role_id, sizeof out->role_id, role_id) == 0 &&
        text_copy(out->name, sizeof out->name, name) == 0)
        err = 0;
    out->issued_ms = json_integer_value(json_object_get(object, "i"));
    out->expires_ms = json_integer_value(json_object_get(object, "x"));
    if (err == 0)
        err = catalog_text_set(&out->policy, json_string_value(json_object_get(object, "p")));
    json_decref(object);
    return err;
}

int session_open(const struct catalog *catalog, const char *token, struct session *out_session)
{
    size_t size = strlen(token);
    if (size == 0 || size % 4 != 0 || size > SESSION_TOKEN_SIZE_MAX)
        return -EBADMSG;
    uint8_t key[KEY_SIZE];
    uint8_t *sealed = malloc(size / 4 * 3 + 1);
    char *text = malloc(size / 4 * 3 + 1);
    int err = sealed == NULL || text == NULL ? -ENOMEM : 0;
    int decoded = err == 0 ? EVP_DecodeBlock(sealed, (const uint8_t *)token, (int)size) : 0;
    for (size_t i = size; err == 0 && decoded > 0 && i > size - 2 && token[i - 1] == '='; i--)
        decoded--; /* the library counts the padding, too */
    if (err == 0 && (decoded < HEAD_SIZE + TAG_SIZE || sealed[0] != TOKEN_VERSION))
        err = -EBADMSG;
    if (err == 0) {
        derive(catalog, "token", "", key);
        err = open_text(key, sealed, (size_t)decoded, text) ? take_session(text, out_session)
                                                            : -EBADMSG;
        explicit_bzero(key, sizeof key);
    }
    free(sealed);
    free(text);
    return err;
}

void session_fini(struct session *session)
{
    free(session->policy);
    session->policy = NULL;
}
