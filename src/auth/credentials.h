/*
 * auth/credentials.h - access keys: making them, and the file that hands them to the administrator.
 *
 * The file is in the form of ~/.aws/credentials, so AWS_SHARED_CREDENTIALS_FILE can name it; mode 0600.
 */
#pragma once

#include "catalog/identities.h"

#define CREDENTIALS_FILE_NAME "admin-credentials"

struct credentials {
    char key_id[CATALOG_ID_SIZE];
    char secret[CATALOG_NAME_SIZE];
};

/* A new random id: the prefix ("AKIA", "AIDA") and so many letters of base 32. */
#define CREDENTIALS_KEY_LETTERS 16
#define CREDENTIALS_ID_LETTERS  17 /* of users, groups, roles and policies */
void credentials_make_id(const char *prefix, size_t letters, char out_id[CATALOG_ID_SIZE]);
/* A new random pair: AKIA and 16 letters, and 40 letters. */
void credentials_make(struct credentials *out_credentials);
/* Reads the profile [default] of a file. Errors: -EINVAL: no such profile or key in it; -EFBIG; the system's. */
MUST_CHECK int credentials_read(
    int dir_fd, const char *file_name, struct credentials *out_credentials);
/* Sees to it that the catalog has an administrator's key, and the directory the file with it: both are made at the
 * first start, and the file again when it is missing or its key is no longer in use. Errors: those of catalog_change() and sys_replace_file(). */
MUST_CHECK int credentials_provide_admin(struct catalog *catalog, int dir_fd, int64_t now_ms);
