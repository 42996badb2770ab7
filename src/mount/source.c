/*
 * mount/source.c - reading the source of a mount (room: mount).
 */
#include "mount/source.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "base/text.h"

#define ID_DIGITS_MIN 8
#define ID_DIGITS_MAX 40

/* Whether the first `size` bytes are `prefix` and hexadecimal digits. */
static bool is_id(const char *text, size_t size, const char *prefix)
{
    size_t skip = strlen(prefix);
    if (size < skip + ID_DIGITS_MIN || size > skip + ID_DIGITS_MAX ||
        strncmp(text, prefix, skip) != 0)
        return false;
    for (size_t i = skip; i < size; i++) {
        if (!isxdigit((unsigned char)text[i]) || isupper((unsigned char)text[i]))
            return false;
    }
    return true;
}

bool source_is_file_system_id(const char *text)
{
    return is_id(text, strlen(text), "fs-");
}

bool source_is_access_point_id(const char *text)
{
    return is_id(text, strlen(text), "fsap-");
}

static bool is_address(const char *host)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* fs-0123.efs.us-east-1.suffix, or zone.fs-0123.efs...: notes the id. */
static void find_id_in_name(struct source *source)
{
    const char *at = source->host;
    for (int label = 0; label < 2; label++) {
        size_t size = strcspn(at, ".");
        if (is_id(at, size, "fs-")) {
            (void)snprintf(source->file_system, sizeof source->file_system, "%.*s", (int)size, at);
            return;
        }
        at += size;
        if (*at++ != '.')
            return;
    }
}

static int check_name(const struct source *source, const char *word, struct problem *problem)
{
    for (const char *at = source->host; *at != '\0'; at++) {
        if (!isgraph((unsigned char)*at) || strchr("/,\\\"'", *at) != NULL)
            return problem_say(problem, -EINVAL,
                "\"%s\" is no source: write fs-ID:/path, NAME:/path, fsap-ID, or HOST:/path.",
                word);
    }
    if (strncmp(source->host, "fs-", 3) == 0 && strchr(source->host, '.') == NULL)
        return problem_say(problem, -EINVAL,
            "\"%s\" is no id of a file system: it is fs- and 8 to 40 digits of 0-9 and a-f "
            "(shoal status lists them).",
            source->host);
    if (strncmp(source->host, "fsap-", 5) == 0)
        return problem_say(problem, -EINVAL,
            "\"%s\" is no id of an access point: it is fsap- and 8 to 40 digits of 0-9 and a-f.",
            source->host);
    return 0;
}

/* Cuts the word into host and path: at "]" for a bracketed address, else at ":/", at the last ":" with nothing after it, or at
 * the first "/". */
static int cut(const char *word, struct source *source, const char **out_path)
{
    const char *host = word;
    size_t size;
    if (word[0] == '[') {
        host = word + 1;
        size = strcspn(host, "]");
        if (host[size] != ']')
            return -EINVAL;
        *out_path = host + size + 1;
    } else {
        const char *colon = strstr(word, ":/");
        size = colon != NULL ? (size_t)(colon - word) : strcspn(word, "/");
        if (colon == NULL && size > 0 && word[size] == '\0' && word[size - 1] == ':')
            size--;
        *out_path = word + size;
    }
    if (**out_path == ':')
        (*out_path)++;
    if (size == 0 || size >= sizeof source->host)
        return -EINVAL;
    memcpy(source->host, host, size);
    source->host[size] = '\0';
    return 0;
}

int source_parse(const char *word, struct source *out_source, struct problem *problem)
{
    struct source *source = out_source;
    const char *path = "";
    *source = (struct source){ 0 };
    if (cut(word, source, &path) < 0 || (*path != '\0' && *path != '/'))
        return problem_say(problem, -EINVAL,
            "\"%s\" is no source: write fs-ID:/path, NAME:/path, fsap-ID, or HOST:/path.", word);
    if (text_copy(source->path, sizeof source->path, *path == '\0' ? "/" : path) < 0)
        return problem_say(problem, -EINVAL, "The path in \"%.64s...\" is too long.", word);
    if (strstr(path, "/../") != NULL ||
        (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
        return problem_say(problem, -EINVAL, "The path %s must not go up with \"..\".", path);
    if (is_address(source->host)) {
        source->kind = SOURCE_ADDRESS;
    } else if (source_is_file_system_id(source->host)) {
        source->kind = SOURCE_FILE_SYSTEM;
        (void)text_copy(source->file_system, sizeof source->file_system, source->host);
        return 0;
    } else if (source_is_access_point_id(source->host)) {
        source->kind = SOURCE_ACCESS_POINT;
        return 0;
    } else {
        source->kind = strchr(source->host, '.') != NULL || strcmp(source->host, "localhost") == 0
                           ? SOURCE_DNS
                           : SOURCE_NAME;
        find_id_in_name(source);
    }
    size_t first = strcspn(source->path + 1, "/");
    if (source->file_system[0] == '\0' && is_id(source->path + 1, first, "fs-"))
        (void)snprintf(
            source->file_system, sizeof source->file_system, "%.*s", (int)first, source->path + 1);
    return source->kind == SOURCE_ADDRESS ? 0 : check_name(source, word, problem);
}
