/*
 * engine/format.c - the file `format` of a file system (room: engine).
 */
#include "engine/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FORMAT_ENCRYPTED 3 /* what was encrypted before usage was counted; all else is older */
#define FORMAT_SIZE_MAX  512u
#define FORMAT_CHECKED   5u /* from here on the file ends with its checksum */
#define CIPHER           "aes-256-gcm"

/* The last line of the file; its number is XXH3 of all before it. */
static const char checksum_word[] = "\nchecksum ";

int format_write(int dir_fd, const struct format *format)
{
    char text[FORMAT_SIZE_MAX];
    char uuid[2 * UUID_BYTES + 1];
    for (size_t i = 0; i < UUID_BYTES; i++)
        (void)snprintf(uuid + 2 * i, 3, "%02x", format->uuid[i]);
    int size = snprintf(text, sizeof text,
        "shoal-engine %u\nuuid %s\nname-key %016" PRIx64 "%016" PRIx64 "\nsegment-blocks %u\n%s",
        FORMAT_VERSION, uuid, format->name_key.k0, format->name_key.k1, format->segment_blocks,
        format->is_encrypted ? "cipher " CIPHER "\n" : "");
    uint64_t checksum = XXH3_64bits(text, (size_t)size);
    size +=
        snprintf(text + size, sizeof text - (size_t)size, "checksum %016" PRIx64 "\n", checksum);
    return sys_replace_file(dir_fd, "format", text, (size_t)size, 0600);
}

/* Whether the file is whole: its last line, if there is one, is the checksum of the rest, exactly as it was written. */
static bool is_whole(const char *text, bool must_have)
{
    const char *line = strstr(text, checksum_word);
    char wanted[sizeof checksum_word + 20];
    if (line == NULL)
        return !must_have;
    uint64_t checksum = XXH3_64bits(text, (size_t)(line + 1 - text));
    (void)snprintf(wanted, sizeof wanted, "%s%016" PRIx64 "\n", checksum_word, checksum);
    return strcmp(line, wanted) == 0;
}

int format_read(int dir_fd, struct format *out_format)
{
    char *text;
    int err = sys_read_file(dir_fd, "format", FORMAT_SIZE_MAX, &text);
    if (err < 0)
        return err == -EFBIG ? -EBADMSG : err;
    unsigned version = 0;
    char uuid[2 * UUID_BYTES + 1] = "";
    char cipher[32] = "";
    struct format format = { .version = FORMAT_VERSION };
    // NOLINTNEXTLINE(cert-err34-c): what does not fit is refused below, by values and their count
    int fields = sscanf(text,
        "shoal-engine %u uuid %32[0-9a-f] name-key %16" SCNx64 "%16" SCNx64
        " segment-blocks %u cipher %31s",
        &version, uuid, &format.name_key.k0, &format.name_key.k1, &format.segment_blocks, cipher);
    bool is_good = is_whole(text, version >= FORMAT_CHECKED);
    free(text);
    if (fields < 1 || version == 0)
        return -EBADMSG;
    if (version > FORMAT_VERSION) /* a newer one may have other lines */
        return -EPROTO;
    if (!is_good)
        return -EBADMSG;
    format.is_encrypted = strcmp(cipher, CIPHER) == 0;
    if (fields == 6 && !format.is_encrypted)
        return -EPROTO;
    uint32_t blocks = format.segment_blocks;
    bool may_be =
        version > FORMAT_ENCRYPTED || format.is_encrypted == (version == FORMAT_ENCRYPTED);
    if (fields < 5 || !may_be || strlen(uuid) != 2 * UUID_BYTES || blocks < SEGMENT_BLOCKS_MIN ||
        blocks > SEGMENT_BLOCKS_MAX || (blocks & (blocks - 1)) != 0)
        return -EBADMSG;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        unsigned byte = 0;
        // NOLINTNEXTLINE(cert-err34-c): two hexadecimal digits, as was checked
        (void)sscanf(uuid + 2 * i, "%2x", &byte);
        format.uuid[i] = (uint8_t)byte;
    }
    format.version = version;
    *out_format = format;
    return 0;
}
