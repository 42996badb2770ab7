/*
 * auth/credentials.c - access keys and the administrator's file (room: auth).
 */
#include "auth/credentials.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

#define FILE_SIZE_MAX  65536
#define SECRET_SIZE    40
#define ADMIN_KEYS_MAX 8 /* more than root can have */

static void random_letters(char *to, size_t count, const char *letters, size_t letter_count)
{
    assert(256 % letter_count == 0); /* else some letters would be likelier */
    uint8_t bytes[64];
    assert(count <= sizeof bytes);
    random_bytes(bytes, count);
    for (size_t i = 0; i < count; i++)
        to[i] = letters[bytes[i] % letter_count];
    to[count] = '\0';
    explicit_bzero(bytes, sizeof bytes);
}

void credentials_make_id(const char *prefix, size_t letters, char out_id[CATALOG_ID_SIZE])
{
    static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    assert(strlen(prefix) + letters < CATALOG_ID_SIZE);
    int err = text_copy(out_id, CATALOG_ID_SIZE, prefix);
    assert(err == 0);
    random_letters(out_id + strlen(prefix), letters, base32, sizeof base32 - 1);
}

void credentials_make(struct credentials *out_credentials)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    credentials_make_id("AKIA", CREDENTIALS_KEY_LETTERS, out_credentials->key_id);
    random_letters(out_credentials->secret, SECRET_SIZE, base64, sizeof base64 - 1);
}

/* Takes "name = value" of one line when it is `name`. Errors: -EINVAL: too long. */
static int take_value(char *line, const char *name, char *to, size_t size)
{
    line += strspn(line, " \t");
    size_t name_size = strlen(name);
    if (strncmp(line, name, name_size) != 0)
        return 0;
    line += name_size + strspn(line + name_size, " \t");
    if (*line != '=')
        return 0;
    line += 1 + strspn(line + 1, " \t");
    line[strcspn(line, " \t\r")] = '\0';
    return text_copy(to, size, line) < 0 ? -EINVAL : 0;
}

static int parse_file(char *text, struct credentials *out)
{
    bool in_profile = false;
    int err = 0;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); err == 0 && line != NULL; line = strsep(&rest, "\n")) {
        if (line[0] == '[')
            in_profile = strncmp(line, "[default]", strlen("[default]")) == 0;
        else if (in_profile) {
            err = take_value(line, "aws_access_key_id", out->key_id, sizeof out->key_id);
            if (err == 0)
                err = take_value(line, "aws_secret_access_key", out->secret, sizeof out->secret);
        }
    }
    return err == 0 && (out->key_id[0] == '\0' || out->secret[0] == '\0') ? -EINVAL : err;
}

int credentials_read(int dir_fd, const char *file_name, struct credentials *out_credentials)
{
    char *text;
    int err = sys_read_file(dir_fd, file_name, FILE_SIZE_MAX, &text);
    if (err < 0)
        return err;
    struct credentials credentials = { 0 };
    err = parse_file(text, &credentials);
    if (err == 0)
        *out_credentials = credentials;
    explicit_bzero(text, strlen(text));
    free(text);
    return err;
}

static int write_file(int dir_fd, const struct credentials *credentials)
{
    char text[256];
    int size = snprintf(text, sizeof text,
        "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", credentials->key_id,
        credentials->secret);
    assert(size > 0 && (size_t)size < sizeof text);
    int err = sys_replace_file(dir_fd, CREDENTIALS_FILE_NAME, text, (size_t)size, 0600);
    explicit_bzero(text, sizeof text);
    return err;
}

struct new_key {
    const struct credentials *credentials;
    int64_t now_ms;
};

static int add_admin(struct catalog_change *change, void *context)
{
    const struct new_key *new_key = context;
    struct catalog_key *key;
    int err = catalog_add_key(change, &key);
    if (err < 0)
        return err;
    key->created_ms = new_key->now_ms;
    memcpy(key->id, new_key->credentials->key_id, sizeof key->id);
    memcpy(key->secret, new_key->credentials->secret, sizeof key->secret);
    return 0; /* no user id: the account's root */
}

/* An active key of the account's root. False: there is none. */
static bool find_admin(const struct catalog *catalog, struct credentials *out)
{
    const struct catalog_key *keys[ADMIN_KEYS_MAX];
    size_t count = catalog_key_list_of(catalog, "", "", ADMIN_KEYS_MAX, keys);
    bool is_found = false;
    for (size_t i = 0; i < count; i++) {
        if (!is_found && !keys[i]->is_inactive) {
            memcpy(out->key_id, keys[i]->id, sizeof out->key_id);
            memcpy(out->secret, keys[i]->secret, sizeof out->secret);
            is_found = true;
        }
        catalog_key_put(keys[i]);
    }
    return is_found;
}

/* Whether the file is there and names a key of root that is in use; one may have been deleted by the API. */
static bool is_file_good(const struct catalog *catalog, int dir_fd)
{
    struct credentials credentials;
    if (credentials_read(dir_fd, CREDENTIALS_FILE_NAME, &credentials) < 0)
        return false;
    const struct catalog_key *key = catalog_key_get(catalog, credentials.key_id);
    bool is_good = key != NULL && key->user_id[0] == '\0' && !key->is_inactive;
    catalog_key_put(key);
    explicit_bzero(&credentials, sizeof credentials);
    return is_good;
}

int credentials_provide_admin(struct catalog *catalog, int dir_fd, int64_t now_ms)
{
    struct credentials credentials = { 0 };
    int err = 0;
    if (!find_admin(catalog, &credentials)) {
        credentials_make(&credentials);
        struct new_key new_key = { .credentials = &credentials, .now_ms = now_ms };
        err = catalog_change(catalog, add_admin, &new_key);
    }
    if (err == 0 && !is_file_good(catalog, dir_fd))
        err = write_file(dir_fd, &credentials);
    explicit_bzero(&credentials, sizeof credentials);
    return err;
}
