/*
 * engine/manifest.c - the records of a RocksDB's MANIFEST (room: engine).
 *
 * The file is blocks of 32 KiB; a record is one or more fragments, none of which crosses a block's end: CRC-32C,
 * masked, over type and payload (4 bytes, little endian, as the next), size of the payload (2), type (1), payload.
 * Source: RocksDB's wiki, "Write Ahead Log File Format".
 */
#include "engine/manifest.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/sys.h"

#define BLOCK_BYTES    (UINT64_C(32) * 1024)
#define HEADER_BYTES   7u
#define SIZE_MAX_BYTES (UINT64_C(64) * 1024 * 1024)
#define TORN_MAX_BYTES (UINT64_C(64) * 1024) /* what is written between two syncs is far smaller */
#define CRC_POLYNOMIAL UINT32_C(0x82f63b78)  /* Castagnoli's, reflected */
#define CRC_MASK       UINT32_C(0xa282ead8)

enum fragment_type { FRAGMENT_FULL = 1, FRAGMENT_FIRST, FRAGMENT_MIDDLE, FRAGMENT_LAST };

static uint32_t masked_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ CRC_POLYNOMIAL : crc >> 1;
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + CRC_MASK;
}

/* The size of the valid fragment at `offset`, with its header; 0: there is none. */
static size_t fragment_at(struct slice file, size_t offset, enum fragment_type *out_type)
{
    const uint8_t *bytes = file.data;
    uint32_t crc;
    uint16_t size;
    size_t room = min_size(file.size - offset, (size_t)(BLOCK_BYTES - offset % BLOCK_BYTES));
    if (room < HEADER_BYTES)
        return 0;
    memcpy(&crc, bytes + offset, sizeof crc);
    memcpy(&size, bytes + offset + 4, sizeof size);
    unsigned type = bytes[offset + 6];
    size_t whole = HEADER_BYTES + (size_t)le16toh(size);
    if (type < FRAGMENT_FULL || type > FRAGMENT_LAST || whole > room ||
        masked_crc(bytes + offset + 6, whole - 6) != le32toh(crc))
        return 0;
    *out_type = (enum fragment_type)type;
    return whole;
}

/* Where the last whole record ends; *out_bad: where no valid fragment is, though the file goes on. */
static size_t end_of_records(struct slice file, size_t *out_bad)
{
    size_t end = 0;
    size_t offset = 0;
    while (offset < file.size) {
        enum fragment_type type;
        size_t left = (size_t)(BLOCK_BYTES - offset % BLOCK_BYTES);
        if (left < HEADER_BYTES) { /* filled up */
            offset += left;
            continue;
        }
        size_t size = fragment_at(file, offset, &type);
        if (size == 0)
            break;
        offset += size;
        if (type == FRAGMENT_FULL || type == FRAGMENT_LAST)
            end = offset;
    }
    *out_bad = min_size(offset, file.size);
    return end;
}

static bool has_fragment_behind(struct slice file, size_t bad)
{
    enum fragment_type type;
    for (size_t offset = bad + 1; offset < file.size; offset++) {
        if (fragment_at(file, offset, &type) > 0)
            return true;
    }
    return false;
}

/* What of the file stays: the records before the torn ones. */
static int find_torn(struct slice file, size_t *out_size)
{
    size_t bad;
    size_t end = end_of_records(file, &bad);
    *out_size = file.size;
    if (bad == file.size)
        return 0; /* RocksDB itself takes a last record that ends too early */
    if (end == 0 || file.size - bad > TORN_MAX_BYTES || has_fragment_behind(file, bad))
        return -EBADMSG;
    *out_size = end;
    return 0;
}

static int read_whole(int fd, uint8_t **out_bytes, size_t *out_size)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > SIZE_MAX_BYTES)
        return -EBADMSG;
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    if (bytes == NULL)
        return -ENOMEM;
    int err = sys_pread_all(fd, bytes, (size_t)st.st_size, 0);
    if (err < 0) {
        free(bytes);
        return err;
    }
    *out_bytes = bytes;
    *out_size = (size_t)st.st_size;
    return 0;
}

static int cut_file(int fd, uint64_t *out_cut_bytes)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    size_t kept = 0;
    int err = read_whole(fd, &bytes, &size);
    if (err < 0)
        return err;
    err = find_torn(slice_of(bytes, size), &kept);
    free(bytes);
    if (err == 0 && kept < size) {
        err = ftruncate(fd, (off_t)kept) < 0 ? -errno : sys_fsync(fd);
        *out_cut_bytes = err == 0 ? size - kept : 0;
    }
    return err;
}

int manifest_cut_torn(const char *path, uint64_t *out_cut_bytes)
{
    char *name = NULL;
    *out_cut_bytes = 0;
    int dir_fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (dir_fd < 0)
        return dir_fd;
    int fd = -1;
    int err = sys_read_file(dir_fd, "CURRENT", 64, &name);
    if (err < 0)
        goto out;
    name[strcspn(name, "\n")] = '\0';
    err = -EBADMSG;
    if (strncmp(name, "MANIFEST-", 9) != 0 || strchr(name, '/') != NULL)
        goto out;
    fd = sys_openat(dir_fd, name, O_RDWR | O_NOFOLLOW, 0);
    err = fd < 0 ? fd : cut_file(fd, out_cut_bytes);
out:
    free(name);
    if (fd >= 0)
        (void)close(fd); /* synced, or unchanged */
    (void)close(dir_fd); /* read only */
    return err;
}
