/*
 * One bit is flipped anywhere in the files of a file system that nobody has open; then everything is read. What is read is
 * what was written, or there is an error: never anything else, and never a crash.
 *
 * Twice: of a file system that was closed in order, and of one whose process was killed. There the last batch of the journal is left
 * out of the comparison: damaged, it looks like one that a power cut tore, which was not acknowledged.
 *
 * SHOAL_FLIPS: how many bits in all. SHOAL_SEED: which.
 */
#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/sys.h"
#include "fixture.h"

#include <cmocka.h>

#define FLIPS_DEFAULT   200u
#define SEEN_BYTES      (1u << 20)
#define NAMES           120u
#define PIECE           65536u
#define FILES_MAX       512u
#define STATE_TIMEOUT_S 120u

enum outcome { SAME, REFUSED, DIFFERENT };

/* What somebody who reads everything sees; shared with the processes that are forked. */
struct seen {
    size_t size;
    char text[SEEN_BYTES];
};

struct place {
    char original[64];
    char copy[80];
    struct seen *golden;
    struct seen *now;
};

static const struct engine_options options = { .segment_blocks = 256,
    .small_file_bytes = 8192,
    .write_buffer_bytes = 256 << 10,
    .journal_file_bytes = 512 << 10 };
static uint8_t bytes[PIECE];

/* ---- making one ----------------------------------------------------------------------------------------- */

static struct fs_node make(
    struct fixture *f, struct fs_node dir, const char *name, const struct fs_create *how)
{
    struct fs_created out;
    assert_int_equal(fs_create(f->fs, NULL, dir, slice_str(name), how, &out), 0);
    return out.attr.node;
}

static void fill_bytes(uint64_t *random)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)fixture_random(random);
}

static void set_xattr(struct fixture *f, struct fs_node node, const char *name, size_t size)
{
    const struct fs_setxattr set = { slice_str(name), slice_of(bytes, size), FS_XATTR_EITHER };
    struct fs_change change;
    assert_int_equal(fs_setxattr(f->fs, NULL, node, &set, &change), 0);
}

/* Some of everything. */
static void fill_part(struct fixture *f, struct fs_node dir, uint64_t *random)
{
    const struct fs_create file = { .type = FS_REGULAR,
        .attr = { .set_mode = true, .mode = 0640 } };
    const struct fs_create link = { .type = FS_SYMLINK, .symlink = slice_str("../there/and/back") };
    struct fs_attr attr;
    struct fs_change change;
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "name-%u", i);
        struct fs_node node = make(f, dir, name, &file);
        fill_bytes(random);
        if (i % 10 == 0)
            fixture_write(f, node, 0, bytes, 100 + i * 60, FS_FILE_SYNC);
        if (i % 40 == 1)
            set_xattr(f, node, "small", 20);
        if (i % 40 == 2)
            set_xattr(f, node, "large", 5000);
    }
    struct fs_node large = make(f, dir, "large", &file);
    for (unsigned i = 0; i < 12; i++) {
        fill_bytes(random);
        fixture_write(f, large, i * UINT64_C(2) * PIECE, bytes, PIECE, FS_UNSTABLE);
    }
    assert_int_equal(fs_commit(f->fs, large, 0, 0), 0);
    const struct fs_clone clone = { .source = large, .target = make(f, dir, "clone", &file) };
    assert_int_equal(fs_clone(f->fs, NULL, &clone, &attr), 0);
    assert_int_equal(fs_link(f->fs, NULL, large, dir, slice_str("again"), &change), 0);
    (void)make(f, dir, "link", &link);
    const struct fs_quota_limits limits = { .hard_bytes = 1 << 30 };
    assert_int_equal(fs_quota_set(f->fs, dir, &limits), 0);
}

/* In a process of its own, which ends without closing if `is_killed`. */
static void make_file_system(struct place *place, uint64_t seed, bool is_killed)
{
    static const char *const dirs[] = { "one", "two", "three" };
    const struct fs_create how = { .type = FS_DIRECTORY,
        .attr = { .set_mode = true, .mode = 0755 } };
    const struct fs_create file = { .type = FS_REGULAR };
    struct fixture f;
    fixture_init(&f, &options);
    struct fs_node last = make(&f, f.root, "last", &how);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        fill_part(&f, make(&f, f.root, dirs[i], &how), &seed);
        if (i + 1 < ARRAY_SIZE(dirs))
            fixture_reopen(&f); /* more tables, and entries in the list of them */
    }
    memcpy(place->original, f.directory, sizeof place->original);
    (void)make(&f, last, "batch", &file);
    if (!is_killed)
        fixture_detach(&f);
}

/* ---- reading one ---------------------------------------------------------------------------------------- */

struct reader {
    struct fixture *f;
    struct seen *seen;
    bool is_refused;
    struct fs_dirent entries[NAMES + 16];
    char names[NAMES + 16][32];
    unsigned count;
};

static void see(struct seen *seen, const char *format, ...) PRINTF_LIKE(2, 3);
static void see(struct seen *seen, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(seen->text + seen->size, SEEN_BYTES - seen->size, format, arguments);
    va_end(arguments);
    assert_true(size > 0 && seen->size + (size_t)size < SEEN_BYTES);
    seen->size += (size_t)size;
}

/* Whether the call gave what it must; an error that says so is one that may be. */
static bool is_good(struct reader *reader, int err)
{
    if (err == -EIO)
        reader->is_refused = true;
    else if (err < 0)
        see(reader->seen, " error %d", err);
    return err >= 0;
}

static bool emit(void *context, const struct fs_dirent *entry)
{
    struct reader *reader = context;
    assert_true(reader->count < ARRAY_SIZE(reader->entries) && entry->name.size < 32);
    memcpy(reader->names[reader->count], entry->name.data, entry->name.size);
    reader->names[reader->count][entry->name.size] = '\0';
    reader->entries[reader->count++] = *entry;
    return true;
}

static void read_data(struct reader *reader, const struct fs_attr *attr)
{
    uint64_t hash = 0;
    struct fs_read read = { .size = 1 };
    for (uint64_t at = 0; at < attr->size_bytes && read.size > 0; at += read.size) {
        if (!is_good(reader, fs_read(reader->f->fs, attr->node, at, bytes, sizeof bytes, &read)))
            return;
        for (size_t i = 0; i < read.size; i++)
            hash = hash * 1099511628211u + bytes[i];
    }
    see(reader->seen, " data %llx", (unsigned long long)hash);
}

static bool emit_xattr(void *context, struct slice name, uint64_t cookie)
{
    struct reader *reader = context;
    see(reader->seen, " xattr %.*s %llx", (int)name.size, (const char *)name.data,
        (unsigned long long)cookie);
    return true;
}

static void read_xattrs(struct reader *reader, const struct fs_attr *attr)
{
    static const char *const names[] = { "small", "large" };
    struct fs *fs = reader->f->fs;
    (void)is_good(reader, fs_listxattr(fs, NULL, attr->node, 0, emit_xattr, reader));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct fs_buffer buffer = { .bytes = bytes, .capacity = sizeof bytes };
        int err = fs_getxattr(fs, NULL, attr->node, slice_str(names[i]), &buffer);
        if (err == -ENODATA || !is_good(reader, err))
            continue;
        uint64_t hash = 0;
        for (size_t k = 0; k < buffer.out_size; k++)
            hash = hash * 1099511628211u + bytes[k];
        see(reader->seen, " value %zu %llx", buffer.out_size, (unsigned long long)hash);
    }
}

static void read_node(struct reader *reader, struct fs_node dir, const char *name)
{
    struct fs *fs = reader->f->fs;
    struct fs_attr attr;
    see(reader->seen, "%s", name);
    if (!is_good(reader, fs_lookup(fs, NULL, dir, slice_str(name), &attr)))
        return;
    see(reader->seen, " %llu %llx %d %o %u %llu %llu %llu %lld",
        (unsigned long long)attr.node.inode, (unsigned long long)attr.node.generation,
        (int)attr.type, attr.mode, attr.link_count, (unsigned long long)attr.size_bytes,
        (unsigned long long)attr.space_used_bytes, (unsigned long long)attr.change,
        (long long)attr.mtime.seconds);
    if (attr.type == FS_REGULAR)
        read_data(reader, &attr);
    if (attr.type == FS_SYMLINK) {
        size_t size = 0;
        if (is_good(reader, fs_readlink(fs, attr.node, bytes, sizeof bytes, &size)))
            see(reader->seen, " to %.*s", (int)size, (const char *)bytes);
    }
    read_xattrs(reader, &attr);
    see(reader->seen, "\n");
}

static void read_dir(struct reader *reader, const char *name)
{
    struct fs *fs = reader->f->fs;
    struct fs_attr attr;
    see(reader->seen, "%s/", name);
    if (!is_good(reader, fs_lookup(fs, NULL, reader->f->root, slice_str(name), &attr)))
        return;
    reader->count = 0;
    int err = fs_readdir(fs, NULL, attr.node, 0, emit, reader);
    if (!is_good(reader, err))
        return;
    see(reader->seen, " %d: %u\n", err, reader->count);
    for (unsigned i = 0; i < reader->count; i++) {
        if (is_good(reader, reader->entries[i].attr_error))
            see(reader->seen, "%llx %llu ", (unsigned long long)reader->entries[i].cookie,
                (unsigned long long)reader->entries[i].attr.node.inode);
        read_node(reader, attr.node, reader->names[i]);
    }
    struct fs_usage usage;
    struct fs_quota quota;
    if (is_good(reader, fs_usage(fs, NULL, attr.node, &usage)))
        see(reader->seen, "usage %llu %llu\n", (unsigned long long)usage.space_bytes,
            (unsigned long long)usage.files);
    if (is_good(reader, fs_quota_get(fs, attr.node, &quota)))
        see(reader->seen, "quota %llu\n", (unsigned long long)quota.limits.hard_bytes);
}

/* Opens the file system in `directory` and reads all of it. */
static bool read_all(const char *directory, struct seen *seen)
{
    static struct reader reader;
    struct fixture f;
    seen->size = 0;
    fixture_attach(&f, &options, directory);
    log_set_level(LOG_LEVEL_ERROR);
    if (fixture_open(&f) < 0)
        return false;
    reader = (struct reader){ .f = &f, .seen = seen };
    read_dir(&reader, "one");
    read_dir(&reader, "two");
    read_dir(&reader, "three");
    return !reader.is_refused;
}

/* ---- flipping ------------------------------------------------------------------------------------------- */

static char *paths[FILES_MAX];
static uint64_t sizes[FILES_MAX];
static unsigned path_count;

static int note_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F && st->st_size > 0) {
        assert_true(path_count < FILES_MAX);
        paths[path_count] = strdup(path);
        sizes[path_count++] = (uint64_t)st->st_size;
    }
    return 0;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_files(const char *directory)
{
    struct stat st;
    while (path_count > 0)
        free(paths[--path_count]);
    assert_int_equal(nftw(directory, note_file, 16, FTW_PHYS), 0);
    qsort(paths, path_count, sizeof(char *), compare_paths);
    for (unsigned i = 0; i < path_count; i++) {
        assert_int_equal(stat(paths[i], &st), 0);
        sizes[i] = (uint64_t)st.st_size;
    }
}

/* Every other time each file is as likely, else each byte. */
static void choose(uint64_t *random, unsigned *out_file, uint64_t *out_offset)
{
    uint64_t total = 0;
    *out_file = (unsigned)(fixture_random(random) % path_count);
    *out_offset = fixture_random(random) % sizes[*out_file];
    if (fixture_random(random) % 2 == 0)
        return;
    for (unsigned i = 0; i < path_count; i++)
        total += sizes[i];
    uint64_t at = fixture_random(random) % total;
    for (*out_file = 0; at >= sizes[*out_file]; at -= sizes[(*out_file)++])
        continue;
    *out_offset = at;
}

static void flip(const char *path, uint64_t offset, unsigned bit)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= (uint8_t)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    (void)close(fd);
}

/* Gives the exit status of a process that reads `directory`; more than 2: it crashed. */
static int try(struct place *place, const char *directory)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(STATE_TIMEOUT_S);
        log_set_level(LOG_LEVEL_ERROR);
        bool is_whole = read_all(directory, place->now);
        if (!is_whole)
            _exit(REFUSED);
        _exit(place->golden->size == place->now->size &&
                      memcmp(place->golden->text, place->now->text, place->now->size) == 0
                  ? SAME
                  : DIFFERENT);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

/* The first line that is another one. */
static void print_difference(const struct place *place)
{
    const char *wanted = place->golden->text;
    const char *got = place->now->text;
    size_t at = 0;
    while (at < place->golden->size && at < place->now->size && wanted[at] == got[at])
        at++;
    while (at > 0 && wanted[at - 1] != '\n')
        at--;
    print_error("wanted: %.*s\ngot:    %.*s\n", (int)strcspn(wanted + at, "\n"), wanted + at,
        (int)strcspn(got + at, "\n"), got + at);
}

static void copy_to(const struct place *place)
{
    char command[256];
    (void)snprintf(
        command, sizeof command, "cp -a --sparse=always %s %s", place->original, place->copy);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): both paths are our own
}

static struct place *place_new(uint64_t seed, bool is_killed)
{
    struct place *place =
        mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct seen *seen =
        mmap(NULL, 2 * sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)place != MAP_FAILED && (void *)seen != MAP_FAILED);
    place->golden = &seen[0];
    place->now = &seen[1];
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        make_file_system(place, seed, is_killed);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)snprintf(place->copy, sizeof place->copy, "%s-copy", place->original);
    copy_to(place);
    struct seen *golden = place->golden;
    assert_int_equal(try(place, place->copy), DIFFERENT); /* nothing is known yet */
    memcpy(golden, place->now, sizeof *golden);
    assert_true(golden->size > 100 * NAMES);
    assert_int_equal(sys_remove_tree(AT_FDCWD, place->copy), 0);
    list_files(place->original);
    return place;
}

static void try_flips(uint64_t count, bool is_killed)
{
    uint64_t random = fixture_seed();
    struct place *place = place_new(random, is_killed);
    unsigned outcomes[2] = { 0, 0 };
    for (uint64_t i = 0; i < count; i++) {
        char path[256];
        unsigned file;
        uint64_t offset;
        choose(&random, &file, &offset);
        unsigned bit = (unsigned)(fixture_random(&random) % 8);
        copy_to(place);
        const char *name = paths[file] + strlen(place->original);
        (void)snprintf(path, sizeof path, "%s%s", place->copy, name);
        flip(path, offset, bit);
        int outcome = try(place, place->copy);
        if (outcome == DIFFERENT)
            print_difference(place);
        if (outcome > REFUSED)
            fail_msg("bit %u of byte %llu of %s: %s (%d); kept in %s and %s", bit,
                (unsigned long long)offset, name,
                outcome == DIFFERENT ? "something else is read" : "it crashes", outcome,
                place->original, place->copy);
        outcomes[outcome]++;
        assert_int_equal(sys_remove_tree(AT_FDCWD, place->copy), 0);
    }
    print_message("%llu bits in %u files: %u are an error, %u change nothing that is read\n",
        (unsigned long long)count, path_count, outcomes[REFUSED], outcomes[SAME]);
    assert_true(outcomes[REFUSED] > 0 && outcomes[SAME] > 0);
    assert_int_equal(sys_remove_tree(AT_FDCWD, place->original), 0);
}

static uint64_t flips(void)
{
    const char *text = getenv("SHOAL_FLIPS");
    return text != NULL ? strtoull(text, NULL, 10) : FLIPS_DEFAULT;
}

static void a_flipped_bit_is_noticed_when_it_was_closed_in_order(void **state)
{
    (void)state;
    try_flips(flips() / 2, false);
}

static void a_flipped_bit_is_noticed_after_a_kill(void **state)
{
    (void)state;
    try_flips(flips() / 2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_is_noticed_when_it_was_closed_in_order),
        cmocka_unit_test(a_flipped_bit_is_noticed_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
