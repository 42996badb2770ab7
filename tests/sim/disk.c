/* disk.c - plays a recording, and builds what a power cut may leave of it. */
#include "tests/sim/disk_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR    512u
#define PATH_SIZE 1024u

struct entry {
    const char *name; /* in the log */
    uint32_t item;
};

struct entries {
    struct entry *list;
    uint32_t count, capacity;
};

struct item {
    bool is_dir;
    const struct disk_event **pending; /* since its last sync */
    uint32_t pending_count, pending_capacity;
    struct entries entries; /* durable ones of a directory */
};

struct disk {
    const struct disk_log *log;
    char scratch[PATH_SIZE]; /* holds the durable content of each file, named by its number */
    struct item *items;
    uint32_t item_count, item_capacity;
    size_t at;       /* of the next event, in the log */
    uint64_t number; /* of events that were played */
};

static void check(bool is_good, const char *what)
{
    if (!is_good) {
        perror(what);
        abort();
    }
}

static void *grown(void *list, uint32_t count, uint32_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity == 0 ? 8 : *capacity * 2;
    void *larger = realloc(list, *capacity * item_size);
    check(larger != NULL, "memory");
    return larger;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* ---- names --------------------------------------------------------------------------------------------- */

static void entry_put(struct entries *entries, const char *name, uint32_t item)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->list[i].name, name) == 0) {
            entries->list[i].item = item;
            return;
        }
    }
    entries->list = grown(entries->list, entries->count, &entries->capacity, sizeof *entries->list);
    entries->list[entries->count++] = (struct entry){ name, item };
}

static void entry_remove(struct entries *entries, const char *name)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->list[i].name, name) == 0) {
            entries->list[i] = entries->list[--entries->count];
            return;
        }
    }
}

static void apply_name(struct entries *entries, const struct disk_event *event)
{
    if (event->kind == EVENT_REMOVE) {
        entry_remove(entries, disk_event_name(event));
    } else if (event->kind == EVENT_RENAME) {
        entry_remove(entries, disk_event_name(event));
        entry_put(entries, disk_event_second_name(event), event->item);
    } else {
        entry_put(entries, disk_event_name(event), event->item);
    }
}

/* ---- data ---------------------------------------------------------------------------------------------- */

static void write_bytes(int fd, const uint8_t *bytes, uint64_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, bytes, size, (off_t)offset);
        check(n > 0, "pwrite");
        bytes += n;
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
}

static void grow_to(int fd, uint64_t size)
{
    struct stat st;
    check(fstat(fd, &st) == 0, "fstat");
    check((uint64_t)st.st_size >= size || ftruncate(fd, (off_t)size) == 0, "ftruncate");
}

/* Zeros in [offset, offset + size), as holes, within the file's size. */
static void punch(int fd, uint64_t offset, uint64_t size)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    check(size == 0 || fallocate(fd, mode, (off_t)offset, (off_t)size) == 0, "punch");
}

static void apply_write(int fd, const struct disk_event *event, uint64_t offset, uint64_t size)
{
    if (event->kind == EVENT_WRITE) {
        write_bytes(fd, event->payload + (offset - event->offset), size, offset);
    } else {
        grow_to(fd, offset + size);
        punch(fd, offset, size);
    }
}

static void apply_data(int fd, const struct disk_event *event)
{
    if (event->kind == EVENT_WRITE || event->kind == EVENT_ZEROS) {
        apply_write(fd, event, event->offset, event->size);
    } else if (event->kind == EVENT_TRUNCATE) {
        check(ftruncate(fd, (off_t)event->size) == 0, "ftruncate");
    } else if (event->kind == EVENT_ALLOCATE) {
        grow_to(fd, event->offset + event->size);
    } else {
        punch(fd, event->offset, event->size);
    }
}

/* Each sector of the write by chance. */
static void apply_torn(int fd, const struct disk_event *event, uint64_t *random)
{
    if (event->kind != EVENT_WRITE && event->kind != EVENT_ZEROS) {
        apply_data(fd, event);
        return;
    }
    uint64_t end = event->offset + event->size;
    for (uint64_t from = event->offset; from < end;) {
        uint64_t to = min_u64(end, (from / SECTOR + 1) * SECTOR);
        if (next_random(random) % 2 == 0)
            apply_write(fd, event, from, to - from);
        from = to;
    }
}

/* Holes stay holes. */
static void copy_file(const char *from, int to)
{
    static uint8_t buffer[1 << 20];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    struct stat st;
    check(fd >= 0 && fstat(fd, &st) == 0, from);
    check(ftruncate(to, st.st_size) == 0, "ftruncate");
    for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
        off_t end = lseek(fd, at, SEEK_HOLE);
        while (at < end) {
            ssize_t n = pread(fd, buffer, min_size(sizeof buffer, (size_t)(end - at)), at);
            check(n > 0, "pread");
            write_bytes(to, buffer, (uint64_t)n, (uint64_t)at);
            at += n;
        }
    }
    (void)close(fd);
}

static void store_path(const struct disk *disk, uint32_t item, char out_path[PATH_SIZE + 16])
{
    (void)snprintf(out_path, PATH_SIZE + 16, "%s/%u", disk->scratch, item);
}

static int open_store(const struct disk *disk, uint32_t item)
{
    char path[PATH_SIZE + 16];
    store_path(disk, item, path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    check(fd >= 0, path);
    return fd;
}

/* ---- playing ------------------------------------------------------------------------------------------- */

static struct item *new_item(struct disk *disk, uint32_t number, bool is_dir)
{
    check(number == disk->item_count, "items come in order");
    disk->items = grown(disk->items, disk->item_count, &disk->item_capacity, sizeof *disk->items);
    disk->items[number] = (struct item){ .is_dir = is_dir };
    disk->item_count++;
    return &disk->items[number];
}

static void pend(struct disk *disk, uint32_t number, const struct disk_event *event)
{
    struct item *item = &disk->items[number];
    item->pending = grown(
        item->pending, item->pending_count, &item->pending_capacity, sizeof(struct disk_event *));
    item->pending[item->pending_count++] = event;
}

static void make_durable(struct disk *disk, uint32_t number)
{
    struct item *item = &disk->items[number];
    int fd = item->is_dir || item->pending_count == 0 ? -1 : open_store(disk, number);
    for (uint32_t i = 0; i < item->pending_count; i++) {
        if (item->is_dir)
            apply_name(&item->entries, item->pending[i]);
        else
            apply_data(fd, item->pending[i]);
    }
    item->pending_count = 0;
    if (fd >= 0)
        (void)close(fd);
}

static void play(struct disk *disk, const struct disk_event *event)
{
    switch ((enum disk_event_kind)event->kind) {
    case EVENT_FILE:
    case EVENT_DIR:
        new_item(disk, event->item, event->kind == EVENT_DIR);
        if (event->item > 0)
            entry_put(&disk->items[event->parent].entries, disk_event_name(event), event->item);
        break;
    case EVENT_MAKE:
    case EVENT_MAKE_DIR:
        new_item(disk, event->item, event->kind == EVENT_MAKE_DIR);
        pend(disk, event->parent, event);
        if (event->kind == EVENT_MAKE)
            (void)close(open_store(disk, event->item));
        break;
    case EVENT_RENAME:
    case EVENT_REMOVE:
        pend(disk, event->parent, event);
        break;
    case EVENT_WRITE:
    case EVENT_ZEROS:
    case EVENT_TRUNCATE:
    case EVENT_ALLOCATE:
    case EVENT_PUNCH:
        pend(disk, event->item, event);
        break;
    case EVENT_SYNC:
        make_durable(disk, event->item);
        break;
    case EVENT_ACKNOWLEDGE:
        break;
    }
}

void disk_advance(struct disk *disk, uint64_t event_number,
    void (*acknowledged)(void *context, unsigned thread), void *context)
{
    while (disk->number <= event_number && disk->number < disk->log->events) {
        const struct disk_event *event =
            (const struct disk_event *)(const void *)(disk->log->bytes + disk->at);
        play(disk, event);
        if (event->kind == EVENT_ACKNOWLEDGE)
            acknowledged(context, event->item);
        disk->at += disk_event_size(event);
        disk->number++;
    }
}

static void copy_originals(struct disk *disk, uint32_t dir, const char *path)
{
    for (uint32_t i = 0; i < disk->items[dir].entries.count; i++) {
        struct entry entry = disk->items[dir].entries.list[i];
        char below[PATH_SIZE];
        int size = snprintf(below, sizeof below, "%s/%s", path, entry.name);
        check(size > 0 && (size_t)size < sizeof below, "path");
        if (disk->items[entry.item].is_dir) {
            copy_originals(disk, entry.item, below);
            continue;
        }
        int fd = open_store(disk, entry.item);
        copy_file(below, fd);
        (void)close(fd);
    }
}

struct disk *disk_new(const struct disk_log *log, const char *original, const char *scratch)
{
    struct disk *disk = calloc(1, sizeof *disk);
    check(disk != NULL, "memory");
    disk->log = log;
    (void)snprintf(disk->scratch, sizeof disk->scratch, "%s", scratch);
    while (disk->number < log->events) {
        const struct disk_event *event =
            (const struct disk_event *)(const void *)(log->bytes + disk->at);
        if (event->kind != EVENT_FILE && event->kind != EVENT_DIR)
            break;
        play(disk, event);
        disk->at += disk_event_size(event);
        disk->number++;
    }
    copy_originals(disk, 0, original);
    return disk;
}

void disk_free(struct disk *disk)
{
    for (uint32_t i = 0; i < disk->item_count; i++) {
        free((void *)disk->items[i].pending);
        free(disk->items[i].entries.list);
    }
    free(disk->items);
    free(disk);
}

/* ---- building ------------------------------------------------------------------------------------------ */

static void build_file(const struct disk *disk, uint32_t number, enum disk_choice choice,
    uint64_t *random, const char *path)
{
    const struct item *item = &disk->items[number];
    char store[PATH_SIZE + 16];
    store_path(disk, number, store);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    check(fd >= 0, path);
    copy_file(store, fd);
    for (uint32_t i = 0; i < item->pending_count && choice != DISK_NOTHING; i++) {
        if (choice != DISK_ALL && next_random(random) % 3 == 0)
            continue;
        if (choice == DISK_TORN && next_random(random) % 2 == 0)
            apply_torn(fd, item->pending[i], random);
        else
            apply_data(fd, item->pending[i]);
    }
    (void)close(fd);
}

static void build_dir(const struct disk *disk, uint32_t number, enum disk_choice choice,
    uint64_t *random, const char *path)
{
    const struct item *item = &disk->items[number];
    struct entries entries = { 0 };
    for (uint32_t i = 0; i < item->entries.count; i++)
        entry_put(&entries, item->entries.list[i].name, item->entries.list[i].item);
    uint32_t count = choice == DISK_NOTHING ? 0 : item->pending_count;
    if (choice == DISK_SOME || choice == DISK_TORN)
        count = (uint32_t)(next_random(random) % (item->pending_count + 1));
    for (uint32_t i = 0; i < count; i++)
        apply_name(&entries, item->pending[i]);
    for (uint32_t i = 0; i < entries.count; i++) {
        char below[PATH_SIZE];
        int size = snprintf(below, sizeof below, "%s/%s", path, entries.list[i].name);
        check(size > 0 && (size_t)size < sizeof below, "path");
        if (disk->items[entries.list[i].item].is_dir) {
            check(mkdir(below, 0700) == 0, below);
            build_dir(disk, entries.list[i].item, choice, random, below);
        } else {
            build_file(disk, entries.list[i].item, choice, random, below);
        }
    }
    free(entries.list);
}

void disk_build(
    const struct disk *disk, enum disk_choice choice, uint64_t *random, const char *directory)
{
    build_dir(disk, 0, choice, random, directory);
}
