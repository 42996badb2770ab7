/*
 * engine/volume_key.c - the data key of an encrypted file system (room: engine).
 */
#include "engine/volume_key.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "base/sys.h"
#include "metrics/metrics.h"

#define FILE_NAME     "key"
#define FILE_SIZE_MAX (64u + 2 * FS_WRAPPED_KEY_BYTES)

static const char first_line[] = "shoal-engine-key 1\nwrapped ";

static int write_file(const struct key_place *place, const uint8_t *wrapped, size_t size)
{
    char text[FILE_SIZE_MAX];
    size_t at = sizeof first_line - 1;
    memcpy(text, first_line, at);
    for (size_t i = 0; i < size; i++, at += 2)
        (void)snprintf(text + at, sizeof text - at, "%02x", wrapped[i]);
    text[at++] = '\n';
    return sys_replace_file(place->dir_fd, FILE_NAME, text, at, 0600);
}

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static int parse_file(const char *text, uint8_t out[FS_WRAPPED_KEY_BYTES], size_t *out_size)
{
    if (strncmp(text, "shoal-engine-key ", 17) == 0 && strncmp(text, first_line, 19) != 0)
        return -EPROTO;
    if (strncmp(text, first_line, sizeof first_line - 1) != 0)
        return -EBADMSG;
    const char *digits = text + sizeof first_line - 1;
    size_t size = 0;
    while (size < FS_WRAPPED_KEY_BYTES && digit_of(digits[0]) >= 0 && digit_of(digits[1]) >= 0) {
        out[size++] = (uint8_t)(digit_of(digits[0]) << 4 | digit_of(digits[1]));
        digits += 2;
    }
    if (size == 0 || strcmp(digits, "\n") != 0)
        return -EBADMSG;
    *out_size = size;
    return 0;
}

static int read_file(const struct key_place *place, uint8_t *out, size_t *out_size)
{
    char *text;
    int err = sys_read_file(place->dir_fd, FILE_NAME, FILE_SIZE_MAX, &text);
    if (err == 0) {
        err = parse_file(text, out, out_size);
        free(text);
    }
    if (err == -ENOENT || err == -EFBIG)
        err = -EBADMSG;
    if (err < 0)
        LOG_ERROR("the file `key` of an encrypted file system is missing, damaged or newer",
            "fs=%s error=%d", place->fs_id, err);
    return err;
}

static int wrap(const struct key_place *place, const char *key_id, const uint8_t *data_key)
{
    const struct fs_keeper *keeper = place->engine->options.keeper;
    uint8_t wrapped[FS_WRAPPED_KEY_BYTES];
    int size =
        keeper->wrap(keeper->context, key_id, slice_of(place->uuid, UUID_BYTES), data_key, wrapped);
    assert(size <= (int)sizeof wrapped);
    return size < 0 ? size : write_file(place, wrapped, (size_t)size);
}

int volume_key_make(const struct key_place *place, const char *key_id, struct crypt **out_crypt)
{
    uint8_t data_key[FS_DATA_KEY_BYTES];
    if (place->engine->options.keeper == NULL)
        return -ENOKEY;
    random_bytes(data_key, sizeof data_key);
    int err = wrap(place, key_id, data_key);
    if (err == 0)
        err = crypt_new(data_key, 0, out_crypt);
    OPENSSL_cleanse(data_key, sizeof data_key);
    return err;
}

/* The caller wipes the key. */
static int unwrap(const struct key_place *place, uint8_t *out_data_key)
{
    const struct fs_keeper *keeper = place->engine->options.keeper;
    uint8_t wrapped[FS_WRAPPED_KEY_BYTES];
    char key_id[FS_KEY_ID_SIZE] = "";
    size_t size = 0;
    int err = read_file(place, wrapped, &size);
    if (err < 0)
        return err;
    int result = -ENOKEY;
    if (keeper != NULL)
        result = keeper->unwrap(keeper->context, slice_of(wrapped, size),
            slice_of(place->uuid, UUID_BYTES), key_id, out_data_key);
    if (result < 0) {
        metrics_add(METRIC_ENGINE_KEY_FAILURES, 0, 1);
        LOG_WARN("the key of an encrypted file system cannot be used", "fs=%s key=%s error=%d",
            place->fs_id, key_id, result);
        return result;
    }
    if (result == 0 || place->is_read_only)
        return 0;
    err = wrap(place, key_id, out_data_key);
    if (err < 0) /* the old version is kept and does as well */
        LOG_WARN("a data key could not be wrapped with the new version of its key",
            "fs=%s key=%s error=%d", place->fs_id, key_id, err);
    else
        LOG_INFO("a data key was wrapped with the new version of its key", "fs=%s key=%s",
            place->fs_id, key_id);
    return 0;
}

int volume_key_open(const struct key_place *place, struct crypt **out_crypt)
{
    uint8_t data_key[FS_DATA_KEY_BYTES];
    int err = unwrap(place, data_key);
    if (err == 0)
        err = crypt_new(data_key, CRYPT_NUMBER_MAX, out_crypt);
    OPENSSL_cleanse(data_key, sizeof data_key);
    return err;
}

int volume_key_renew(const struct key_place *place)
{
    uint8_t data_key[FS_DATA_KEY_BYTES];
    int err = unwrap(place, data_key);
    OPENSSL_cleanse(data_key, sizeof data_key);
    return err;
}
