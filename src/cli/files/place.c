/*
 * cli/files/place.c - reading words that name places (room: cli).
 */
#include "cli/files/place.h"

#include <arpa/inet.h>

#include "base/text.h"
#include "cli/cli.h"

/* Appends one component of a path; ".." takes the last one away, as no link is followed. False: above the root. */
static bool add_component(char *path, size_t *used, const char *name, size_t size)
{
    if (size == 0 || (size == 1 && name[0] == '.'))
        return true;
    if (size == 2 && name[0] == '.' && name[1] == '.') {
        if (*used == 0)
            return false;
        while (path[--*used] != '/')
            continue;
        path[*used] = '\0';
        return true;
    }
    path[(*used)++] = '/';
    memcpy(path + *used, name, size);
    *used += size;
    path[*used] = '\0';
    return true;
}

int place_set_path(struct place *place, const char *path)
{
    size_t used = 0;
    if (strlen(path) + 2 > sizeof place->path)
        return cli_usage(
            "%.64s...: the path is longer than %d bytes.", place->word, PLACE_PATH_SIZE - 2);
    place->path[0] = '\0';
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        if (!add_component(place->path, &used, path, size))
            return cli_usage("%s: \"..\" leads out of the file system.", place->word);
        path += size + (path[size] == '/');
    }
    if (used == 0)
        (void)text_copy(place->path, sizeof place->path, "/"); /* fits */
    return CLI_OK;
}

static bool is_address(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1 ||
           strcmp(host, "localhost") == 0;
}

/* Takes the host off the word: up to ':' or the end, or what is in brackets. Gives the rest, NULL when it is not a
 * host. */
static const char *take_host(const char *word, struct place *place)
{
    bool in_brackets = word[0] == '[';
    const char *start = word + in_brackets;
    size_t size = strcspn(start, in_brackets ? "]" : ":");
    if (size >= sizeof place->host || (in_brackets && start[size] != ']'))
        return NULL;
    memcpy(place->host, start, size);
    place->host[size] = '\0';
    return start + size + in_brackets;
}

/* Takes ":PORT" off `rest` when it is there. */
static int take_port(const char **rest, struct place *place)
{
    char digits[8];
    size_t size = **rest == ':' ? strspn(*rest + 1, "0123456789") : 0;
    if (size == 0)
        return CLI_OK;
    char after = (*rest)[1 + size];
    if (after != '\0' && after != ':')
        return CLI_OK; /* a path that begins with digits; the caller complains of it */
    uint64_t port = 0;
    if (size < sizeof digits) {
        memcpy(digits, *rest + 1, size);
        digits[size] = '\0';
    }
    if (size >= sizeof digits || text_parse_u64(digits, UINT16_MAX, &port) < 0 || port == 0)
        return cli_usage(
            "%s: %.*s is no port; ports are 1 to 65535.", place->word, (int)size, *rest + 1);
    place->port = (uint16_t)port;
    place->kind = PLACE_ADDRESS;
    *rest += 1 + size;
    return CLI_OK;
}

int place_parse_remote(const char *word, struct place *out_place)
{
    struct place *place = out_place;
    *place = (struct place){ .kind = PLACE_FILE_SYSTEM, .word = word };
    const char *rest = take_host(word, place);
    if (rest == NULL || strchr(place->host, '/') != NULL)
        return cli_usage(
            "%s names no file system: write NAME:/path, fs-ID:/path or ADDRESS:/path.", word);
    if (is_address(place->host))
        place->kind = PLACE_ADDRESS;
    int status = take_port(&rest, place);
    if (status != CLI_OK)
        return status;
    if (*rest != '\0' && *rest != ':')
        return cli_usage("%s: a ':' is missing before %s.", word, rest);
    place->head_size = (int)(rest - word);
    rest += *rest == ':';
    if (*rest != '\0' && *rest != '/')
        return cli_usage("%s: a path in a file system begins with '/'; did you mean %.*s:/%s?",
            word, place->head_size, word, rest);
    return place_set_path(place, rest);
}

int place_parse(const char *word, struct place *out_place)
{
    size_t before_colon = strcspn(word, ":");
    bool has_colon = word[before_colon] == ':';
    bool is_remote = has_colon && (word[0] == '[' || strcspn(word, "/") > before_colon);
    if (is_remote)
        return place_parse_remote(word, out_place);
    *out_place = (struct place){ .kind = PLACE_LOCAL, .word = word };
    if (word[0] == '\0')
        return cli_usage("An empty word names no file.");
    if (text_copy(out_place->path, sizeof out_place->path, word) < 0)
        return cli_usage("%.64s...: the path is longer than %d bytes.", word, PLACE_PATH_SIZE - 1);
    return CLI_OK;
}

int place_parse_server(const char *word, struct place *out_place)
{
    struct place *place = out_place;
    *place = (struct place){ .kind = PLACE_ADDRESS, .word = word, .path = "/" };
    const char *rest = take_host(word, place);
    if (rest == NULL || place->host[0] == '\0')
        return cli_usage("--server %s: write ADDRESS or ADDRESS:PORT.", word);
    int status = take_port(&rest, place);
    if (status == CLI_OK && *rest != '\0')
        status = cli_usage("--server %s: write ADDRESS or ADDRESS:PORT, without a path.", word);
    place->kind = PLACE_ADDRESS;
    return status;
}

const char *place_name(const struct place *place)
{
    const char *slash = strrchr(place->path, '/');
    return slash == NULL ? place->path : slash + 1;
}

int place_append(struct place *place, const char *name)
{
    size_t used = strlen(place->path);
    if (used > 0 && place->path[used - 1] == '/')
        place->path[--used] = '\0';
    if (text_append(place->path, sizeof place->path, &used, "/%s", name) < 0)
        return cli_usage("%s: the path gets too long with %s.", place->word, name);
    return CLI_OK;
}
