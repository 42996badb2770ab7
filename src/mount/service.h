/*
 * mount/service.h - the EFS API as whoever mounts can reach it: where it is, with which keys, in which region.
 *
 * Where: option endpoint=, AWS_ENDPOINT_URL_EFS, AWS_ENDPOINT_URL, the data directory (option data= or SHOAL_DATA). Keys: those of
 * the data directory when data= names it, AWS_ACCESS_KEY_ID and its fellows, the profile in ~/.aws/credentials
 * (AWS_SHARED_CREDENTIALS_FILE), those of SHOAL_DATA. None of it is needed for a mount by address.
 */
#pragma once

#include <jansson.h>

#include "mount/conf.h"
#include "mount/options.h"

#define SERVICE_TOKEN_SIZE 8192

struct service {
    char endpoint[OPTIONS_WORD_SIZE]; /* empty: not known */
    char key_id[OPTIONS_WORD_SIZE];   /* empty: no keys */
    char secret[OPTIONS_WORD_SIZE];
    char token[SERVICE_TOKEN_SIZE]; /* of temporary keys; or empty */
    char data[OPTIONS_PATH_SIZE];   /* the data directory when that is where it is known from */
    uint16_t nfs_port;              /* 0: not known */
    struct efs_conf conf;           /* region and suffix are filled in from all sources, or empty */
};

/* Looks for all of it. Errors: -EINVAL with the sentence: something that was named cannot be read. */
MUST_CHECK int service_find(
    const struct mount_options *options, struct service *out_service, struct problem *problem);
/* Wipes the secrets. */
void service_fini(struct service *service);
/* One signed GET. `path` follows /2015-02-01, `query` is encoded. Errors with the sentence: -ENOENT (404; out of the API's error),
 * -EACCES (refused), -EIO, -ENOTCONN (no endpoint or no keys are known), and those of http_client_call(). */
MUST_CHECK int service_get(const struct service *service, const char *path, const char *query,
    json_t **out_reply, struct problem *problem);
/* One operation of the service "shoal", e.g. "ListRefusals". Errors: as service_get(). */
MUST_CHECK int service_ask_shoal(const struct service *service, const char *operation,
    const json_t *input, json_t **out_reply, struct problem *problem);
/* A text member of an object, "" when there is none. */
const char *service_text(const json_t *json, const char *name);
