/*
 * cli/files/place.h - what a word like `default:/dir/file` names: a path here, or in a file system of a service.
 *
 *   fs-0123456789abcdef0:/path   by the file system's id          127.16.0.10:/path        by a server's address
 *   default:/path                by its name (the tag Name)       [fd00::1]:2049:/path     with a port
 *   default                      its root                         dir/file, ./a:b, /a:b    a path on this machine
 *
 * The part before the first ':' names a file system unless it holds a '/'. Only words are looked at here, nothing
 * is asked for.
 */
#pragma once

#include "base/base.h"

#define PLACE_HOST_SIZE 256
#define PLACE_PATH_SIZE 4096

enum place_kind { PLACE_LOCAL, PLACE_FILE_SYSTEM, PLACE_ADDRESS };

struct place {
    enum place_kind kind;
    const char *word;           /* as the person wrote it; borrowed */
    char host[PLACE_HOST_SIZE]; /* file system or address */
    uint16_t port;              /* 0: not given */
    int head_size;              /* bytes of `word` before the ':' of its path */
    /* Of a remote place: absolute, without "." and "..", no slash at the end but for "/". Of a local one: as written. */
    char path[PLACE_PATH_SIZE];
};

/* Reads a word that names a place in a file system, with or without a path. Gives CLI_OK, or CLI_USAGE after the
 * sentence. */
MUST_CHECK int place_parse_remote(const char *word, struct place *out_place);
/* Reads a word that may also be a local path. */
MUST_CHECK int place_parse(const char *word, struct place *out_place);
/* ADDRESS or ADDRESS:PORT. Gives CLI_OK or CLI_USAGE. */
MUST_CHECK int place_parse_server(const char *word, struct place *out_place);
/* Gives a remote place another path, made absolute and free of "." and "..". Gives CLI_OK, or CLI_USAGE: too long, or out
 * of the file system. */
MUST_CHECK int place_set_path(struct place *place, const char *path);
/* The last part of the path; "" for the root. */
const char *place_name(const struct place *place);
/* Appends a name to the path. Gives CLI_OK, or CLI_USAGE: too long. */
MUST_CHECK int place_append(struct place *place, const char *name);
