/* tests/sim/disk_log.h - what the recorder (disk_record.c) tells the player (disk.c). */
#pragma once

#include "tests/sim/disk.h"

enum disk_event_kind {
    EVENT_FILE,     /* there at the beginning: `name` in directory `parent` is `item` */
    EVENT_DIR,      /* the same of a directory; the first is the root, without name */
    EVENT_MAKE,     /* a new file */
    EVENT_MAKE_DIR, /* a new directory */
    EVENT_WRITE,    /* `size` bytes at `offset`, which follow */
    EVENT_ZEROS,    /* the same of zeros, which do not follow */
    EVENT_TRUNCATE, /* to `size` */
    EVENT_ALLOCATE, /* so that the file is at least `offset` + `size` long */
    EVENT_PUNCH,
    EVENT_SYNC,   /* of file or directory */
    EVENT_RENAME, /* `name` in `parent` to the name that follows it */
    EVENT_REMOVE,
    EVENT_ACKNOWLEDGE, /* of thread `item` */
};

struct disk_event {
    uint32_t kind;
    uint32_t item;
    uint32_t parent;
    uint32_t name_size; /* of the first name, with its end mark */
    uint64_t offset;
    uint64_t size;
    uint64_t payload_size; /* names, or data; then padding to 8 bytes */
    _Alignas(8) uint8_t payload[];
};

struct disk_log {
    size_t capacity; /* of `bytes` */
    size_t used;
    uint64_t events;
    bool is_full;
    _Alignas(8) uint8_t bytes[];
};

static inline size_t disk_event_size(const struct disk_event *event)
{
    return sizeof *event + ((event->payload_size + 7) & ~(size_t)7);
}

static inline const char *disk_event_name(const struct disk_event *event)
{
    return (const char *)event->payload;
}

static inline const char *disk_event_second_name(const struct disk_event *event)
{
    return (const char *)event->payload + event->name_size;
}
