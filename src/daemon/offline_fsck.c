/*
 * daemon/offline_fsck.c - shoald fsck: checks file systems that nobody has open (room: daemon).
 *
 * One line on standard output for each finding, one for each file system at its end. Exit codes as of fsck(8): 0: all is well; 4:
 * something is wrong, nothing was changed; 8: it could not be done; 16: wrong words.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/offline.h"
#include "engine/check.h"
#include "engine/inspect.h"
#include "engine/scrub.h"

struct fsck {
    struct offline offline;
    const char *fs_id;
    bool reads_data;
    bool is_quiet;
    uint64_t wrong_count;
    struct inspection *inspection;
};

static void print_finding(void *context, const char *text)
{
    struct fsck *fsck = context;
    fsck->wrong_count++;
    (void)printf("%s: %s\n", fsck->fs_id, text);
}

static void print_damage(void *context, const struct scrub_damage *damage)
{
    struct fsck *fsck = context;
    char path[4096] = "?";
    if (damage->inode != 0)
        inspect_path(fsck->inspection->volume, damage->inode, path, sizeof path);
    fsck->wrong_count++;
    (void)printf("%s: what=damaged-data inode=%" PRIu64 " offset=%" PRIu64
                 " bytes=%u segment=%" PRIu64 " block=%" PRIu64 " kind=%c path=%s\n",
        fsck->fs_id, damage->inode, damage->offset, damage->size_bytes, damage->segment,
        damage->block, damage->kind, path);
}

static bool goes_on(void *context)
{
    (void)context;
    return false;
}

static int read_data(struct fsck *fsck, uint64_t *out_bytes)
{
    struct scrub scrub = { .volume = fsck->inspection->volume,
        .context = fsck,
        .damaged = print_damage,
        .stepped = goes_on };
    int err = scrub_run(&scrub);
    *out_bytes = scrub.done_bytes;
    return err;
}

/* Why it does not open, and what to do. */
static const char *reason_of(int err)
{
    switch (err) {
    case -EPROTO:
        return "its format is newer than this program: use the release that wrote it";
    case -EBUSY:
        return "another process has it open: stop that one, or check it while it runs (without "
               "--offline)";
    case -ENOENT:
        return "there is no such file system, or it was never made whole";
    case -ENOKEY:
    case -EKEYREVOKED:
        return "its key cannot be used: give the master key with --master, or enable the key";
    default:
        return strerrordesc_np(-err);
    }
}

static int refuse(struct fsck *fsck, int err)
{
    if (err == -EBADMSG) {
        fsck->wrong_count++;
        (void)printf("%s: what=does-not-open: it is damaged; the lines above say where. Restore it "
                     "from a backup\n",
            fsck->fs_id);
        return OFFLINE_WRONG;
    }
    (void)fprintf(stderr, "shoald: %s cannot be checked: %s.\n", fsck->fs_id, reason_of(err));
    return OFFLINE_FAILED;
}

static int check_fs(struct fsck *fsck)
{
    const struct check_sink sink = { .context = fsck, .finding = print_finding };
    struct check_report report = { 0 };
    uint64_t bytes = 0;
    fsck->wrong_count = 0;
    int err =
        inspect_directory(fsck->offline.engine, fsck->fs_id, offline_scratch(), &fsck->inspection);
    if (err < 0)
        return refuse(fsck, err);
    err = check_run(fsck->inspection, &sink, &report);
    if (err == 0 && fsck->reads_data)
        err = read_data(fsck, &bytes);
    inspect_close(fsck->inspection);
    if (err < 0)
        return refuse(fsck, err);
    if (!fsck->is_quiet) {
        (void)printf("%s: %" PRIu64 " inodes, %" PRIu64 " names, %" PRIu64 " blocks in %" PRIu64
                     " segments, %" PRIu64 " small blocks",
            fsck->fs_id, report.inodes, report.names, report.segment_blocks, report.segments,
            report.small_blocks);
        if (fsck->reads_data)
            (void)printf(", %" PRIu64 " bytes of data read", bytes);
        if (fsck->wrong_count == 0)
            (void)printf(": clean\n");
        else
            (void)printf(": %" PRIu64 " findings\n", fsck->wrong_count);
    }
    return fsck->wrong_count == 0 ? OFFLINE_GOOD : OFFLINE_WRONG;
}

static bool is_wanted(const char *fs_id, char **wanted, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(wanted[i], fs_id) == 0)
            return true;
    }
    return count == 0;
}

static int run(struct fsck *fsck, const struct offline_place *place, char **wanted, int count)
{
    int status = offline_open(place, &fsck->offline) < 0 ? OFFLINE_FAILED : OFFLINE_GOOD;
    int found = 0;
    for (unsigned i = 0; status != OFFLINE_FAILED && i < fsck->offline.fs_count; i++) {
        fsck->fs_id = fsck->offline.fs_ids[i];
        if (!is_wanted(fsck->fs_id, wanted, count))
            continue;
        found++;
        int result = check_fs(fsck);
        status = result > status ? result : status;
    }
    if (status != OFFLINE_FAILED && found < count) {
        (void)fprintf(stderr,
            "shoald: Not all of these file systems are there; DIR/fs has a directory for each.\n");
        status = OFFLINE_FAILED;
    }
    offline_close(&fsck->offline);
    return fflush(stdout) == 0 ? status : OFFLINE_FAILED;
}

int offline_fsck(int argc, char **argv)
{
    static struct fsck fsck;
    struct offline_place place = { 0 };
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--read-data") == 0)
            fsck.reads_data = true;
        else if (strcmp(argv[at], "-q") == 0)
            fsck.is_quiet = true;
        else if (strcmp(argv[at], "--master") == 0 && at + 1 < argc)
            place.master_path = argv[++at];
        else
            break;
    }
    if (at >= argc || argv[at][0] == '-') {
        (void)fprintf(stderr,
            "shoald: fsck [--read-data] [-q] [--master FILE] DIRECTORY [FS...]: a data directory, "
            "or that of one file system.\n");
        return OFFLINE_USAGE;
    }
    place.path = argv[at++];
    return run(&fsck, &place, argv + at, argc - at);
}
