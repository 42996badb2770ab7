/*
 * datastore/files/documents.c - market data, indicators and results: one JSON file each (room: datastore).
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "datastore/files/document_names.h"
#include "datastore/json.h"

#define NAME_TRIES_MAX 1000u
#define WAITS_ALONE    8

/* One file that a query may give out. */
struct candidate {
    char *path; /* below the kind's directory: "gen_3/x.json" or "x.json" */
    int64_t time_s;
    uint64_t sequence;
};

struct candidates {
    struct candidate *items;
    size_t count, room;
};

static void candidates_fini(struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        free(candidates->items[i].path);
    free(candidates->items);
}

/* ---- Saving ---- */

static int open_for_saving(const struct files_store *store,
    const struct shoal_data_document *document, char *directory, size_t size)
{
    size_t used = 0;
    int err = text_append(directory, size, &used, "%s", document_directory(document->kind));
    if (err == 0 && document->kind == SHOAL_DATA_GENERATION)
        err = text_append(directory, size, &used, "/gen_%" PRId64, document->generation);
    return err < 0 ? err : files_open_directory(store, directory, true);
}

/* Microseconds since 1970: what tells documents of one second apart, the later one larger. */
static uint64_t now_us(void)
{
    struct clock_time now = clock_wall();
    return (uint64_t)now.seconds * 1000000 + now.nanoseconds / 1000;
}

/* Finds a name that is free, and gives it to a file with the document. */
static int publish_document(
    int dir_fd, const struct shoal_data_document *document, char name[DOCUMENT_NAME_SIZE])
{
    int64_t time_s = document->time_s == 0 ? data_now_s() : document->time_s;
    uint64_t sequence = 0;
    int err = -EEXIST;
    for (unsigned i = 0; i < NAME_TRIES_MAX && err == -EEXIST; i++) {
        err = document_name_format(name, document, time_s, sequence);
        /* A name that is seen to be taken spares the writing; who takes it meanwhile is met by the link. */
        if (err == 0 && faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            err = -EEXIST;
        else if (err == 0)
            err = files_publish(
                dir_fd, name, document->json, (size_t)document->json_size, 0644, false);
        uint64_t now = now_us();
        sequence = now > sequence ? now : sequence + 1;
    }
    return err < 0 ? err : sys_fsync(dir_fd);
}

int32_t files_save_document(void *backend, const struct shoal_data_document *document, char *out_id,
    struct shoal_data_error *error)
{
    struct files_store *store = backend;
    char directory[96];
    char name[DOCUMENT_NAME_SIZE] = "";
    int dir_fd = open_for_saving(store, document, directory, sizeof directory);
    if (dir_fd < 0)
        return data_fail_errno(error, dir_fd, "Cannot open the directory", directory);
    int err = publish_document(dir_fd, document, name);
    (void)close(dir_fd); /* read only */
    if (err == -ENAMETOOLONG)
        return data_fail(error, SHOAL_DATA_INVALID,
            "The names \"%s\" and \"%s\" are too long together for a file's name.",
            document->symbol == NULL ? "" : document->symbol,
            document->name == NULL ? "" : document->name);
    if (err < 0)
        return data_fail_errno(error, err, "Cannot write the document", name);
    name[strlen(name) - strlen(".json")] = '\0';
    if (document->kind == SHOAL_DATA_GENERATION)
        (void)snprintf(
            out_id, DATA_ID_SIZE_MAX, "gen_%" PRId64 "/%s", document->generation, name); /* fits */
    else
        (void)snprintf(out_id, DATA_ID_SIZE_MAX, "%s", name); /* fits */
    return SHOAL_DATA_OK;
}

/* ---- Finding ---- */

static bool is_wanted(const struct shoal_data_query *query, const struct document_name *name)
{
    return name->time_s >= query->from_s && name->time_s < query->to_s &&
           (query->symbol == NULL || strcmp(query->symbol, name->symbol) == 0) &&
           (query->timeframe == NULL || strcmp(query->timeframe, name->timeframe) == 0) &&
           (query->name == NULL || strcmp(query->name, name->name) == 0);
}

static int add_candidate(struct candidates *candidates, const char *directory, const char *file,
    const struct document_name *name)
{
    if (candidates->count == candidates->room) {
        size_t room = candidates->room == 0 ? 64 : candidates->room * 2;
        struct candidate *items = reallocarray(candidates->items, room, sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        candidates->items = items;
        candidates->room = room;
    }
    char *path = NULL;
    if (directory == NULL)
        path = strdup(file);
    else if (asprintf(&path, "%s/%s", directory, file) < 0)
        path = NULL;
    if (path == NULL)
        return -ENOMEM;
    candidates->items[candidates->count++] =
        (struct candidate){ .path = path, .time_s = name->time_s, .sequence = name->sequence };
    return 0;
}

/* Adds what the query wants of one directory; `dir_fd` stays the caller's. */
static int find_in(int dir_fd, const char *directory, const struct shoal_data_query *query,
    struct candidates *candidates)
{
    int copy = sys_openat(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (copy < 0)
        return copy;
    DIR *dir = fdopendir(copy);
    if (dir == NULL) {
        (void)close(copy); /* read only */
        return -ENOMEM;
    }
    int err = 0;
    struct dirent *entry;
    errno = 0;
    while (
        err == 0 && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): own DIR */
        struct document_name name;
        struct stat st;
        if (document_name_parse(query->kind, entry->d_name, &name) < 0)
            continue;
        if (name.time_s < 0) {
            if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                st.st_mtim.tv_sec < 0)
                continue; /* gone meanwhile */
            name.time_s = st.st_mtim.tv_sec;
        }
        if (is_wanted(query, &name))
            err = add_candidate(candidates, directory, entry->d_name, &name);
        errno = 0;
    }
    if (err == 0 && errno != 0)
        err = -errno;
    (void)closedir(dir); /* read only */
    return err;
}

static int find_in_generation(int results_fd, const char *directory,
    const struct shoal_data_query *query, struct candidates *candidates)
{
    int fd = sys_openat(results_fd, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return 0; /* no such generation */
    if (fd < 0)
        return fd;
    int err = find_in(fd, directory, query, candidates);
    (void)close(fd); /* read only */
    return err;
}

static int find_generations(
    int results_fd, const struct shoal_data_query *query, struct candidates *candidates)
{
    char directory[32];
    if (query->generation != SHOAL_DATA_ANY_GENERATION) {
        (void)snprintf(directory, sizeof directory, "gen_%" PRId64, query->generation); /* fits */
        return find_in_generation(results_fd, directory, query, candidates);
    }
    int copy = sys_openat(results_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL) {
        if (copy >= 0)
            (void)close(copy); /* read only */
        return copy < 0 ? copy : -ENOMEM;
    }
    int err = 0;
    struct dirent *entry;
    while (
        err == 0 && (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): own DIR */
        if (document_generation(entry->d_name) >= 0)
            err = find_in_generation(results_fd, entry->d_name, query, candidates);
    }
    (void)closedir(dir); /* read only */
    return err;
}

/* The newest first, of the same second the later written first. */
static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;
    if (a->time_s != b->time_s)
        return a->time_s < b->time_s ? 1 : -1;
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? 1 : -1;
    return strcmp(a->path, b->path);
}

/* ---- Loading ---- */

struct loading {
    uint64_t first; /* index of what data_parallel() calls 0 */
    int dir_fd;
    int32_t kind;
    bool without_text;
    const struct candidate *candidates;
    struct loaded *loaded;
};

struct loaded {
    char *text;
    size_t size;
    int err; /* -ENOENT: removed since it was found; -EILSEQ: no JSON */
    struct json_problem problem;
};

static void load_one(void *context, uint64_t number)
{
    struct loading *loading = context;
    uint64_t index = loading->first + number;
    struct loaded *loaded = &loading->loaded[index];
    const char *path = loading->candidates[index].path;
    struct stat st;
    if (loading->without_text) {
        loaded->err = fstatat(loading->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        loaded->size = loaded->err == 0 ? (size_t)st.st_size : 0;
        return;
    }
    loaded->err = files_read_whole(
        loading->dir_fd, path, SHOAL_DATA_JSON_SIZE_MAX, &loaded->text, &loaded->size);
    /* Python writes NaN and Infinity, which JSON has not: such files of older programs are read. */
    if (loaded->err == 0 && !json_is_valid(loaded->text, loaded->size, true, &loaded->problem))
        loaded->err = -EILSEQ;
}

static int add_problem(struct shoal_data_list *list, const char *directory, const char *path,
    const struct loaded *loaded)
{
    char reason[128];
    if (loaded->err == -EILSEQ)
        return data_list_add_problem(list, "The file %s/%s is no JSON: byte %zu has %s.", directory,
            path, loaded->problem.offset, loaded->problem.reason);
    if (loaded->err == -EBADF || loaded->err == -ELOOP)
        return data_list_add_problem(list, "%s/%s is no regular file.", directory, path);
    return data_list_add_problem(list, "Cannot read the file %s/%s: %s.", directory, path,
        strerror_r(-loaded->err, reason, sizeof reason));
}

/* Puts a loaded file on the list, or what is wrong with it; takes the text. */
static int add_loaded(struct shoal_data_list *list, int32_t kind, struct loaded *loaded,
    const struct candidate *candidate)
{
    if (loaded->err == -ENOENT || loaded->err == -ESTALE)
        return 0; /* cleaned up meanwhile: as if the query had come later */
    if (loaded->err < 0)
        return add_problem(list, document_directory(kind), candidate->path, loaded);
    struct document_name name;
    const char *slash = strchr(candidate->path, '/');
    int err = document_name_parse(kind, slash == NULL ? candidate->path : slash + 1, &name);
    char id[DATA_ID_SIZE_MAX];
    if (err == 0)
        err = text_copy(id, sizeof id, candidate->path);
    if (err < 0)
        return err;
    id[strlen(id) - strlen(".json")] = '\0';
    struct shoal_data_item item = { .id = id,
        .name = name.name,
        .symbol = name.symbol,
        .timeframe = name.timeframe,
        .time_s = candidate->time_s,
        .generation = -1,
        .size_bytes = loaded->size,
        .text = loaded->text };
    if (kind == SHOAL_DATA_GENERATION) {
        char directory[32] = "";
        memcpy(directory, id, min_size(strcspn(id, "/"), sizeof directory - 1));
        item.generation = document_generation(directory);
    }
    loaded->text = NULL;
    return data_list_add_taking(list, &item);
}

/* How often this thread has waited, for a disk or a network. */
static long waits_so_far(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : usage.ru_nvcsw;
}

/* Loads all. Files in this machine's cache take two microseconds each, and starting threads would cost more: they come when
 * this one has begun to wait. */
static void load_all(const struct files_store *store, struct loading *loading, size_t count)
{
    long waits_max = waits_so_far() + WAITS_ALONE;
    for (; loading->first < count; loading->first++) {
        if (loading->first % 16 == 0 && waits_so_far() > waits_max)
            break;
        load_one(loading, 0);
    }
    data_parallel(files_wait_threads(store), count - loading->first, load_one, loading);
}

/* Loads the first `count` candidates into a new list. */
static int load_candidates(const struct files_store *store, struct loading *loading, size_t count,
    struct shoal_data_list **out_list)
{
    struct shoal_data_list *list = data_list_new();
    loading->loaded = calloc(count + 1, sizeof *loading->loaded);
    int err = list == NULL || loading->loaded == NULL ? -ENOMEM : 0;
    if (err < 0)
        goto out;
    load_all(store, loading, count);
    for (size_t i = 0; i < count && err == 0; i++)
        err = add_loaded(list, loading->kind, &loading->loaded[i], &loading->candidates[i]);
    if (err == 0) {
        *out_list = list;
        list = NULL;
    }
    for (size_t i = 0; i < count; i++)
        free(loading->loaded[i].text);
out:
    free(loading->loaded);
    shoal_data_list_free(list);
    return err;
}

int32_t files_load_documents(void *backend, const struct shoal_data_query *query,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct files_store *store = backend;
    struct candidates candidates = { 0 };
    struct shoal_data_list *list = NULL;
    const char *directory = document_directory(query->kind);
    int dir_fd = files_open_directory(store, directory, false);
    int err = dir_fd == -ENOENT ? 0 : dir_fd; /* nobody has saved one yet */
    if (dir_fd >= 0)
        err = query->kind == SHOAL_DATA_GENERATION ? find_generations(dir_fd, query, &candidates)
                                                   : find_in(dir_fd, NULL, query, &candidates);
    if (err >= 0) {
        if (candidates.count > 1)
            qsort(candidates.items, candidates.count, sizeof *candidates.items, compare_candidates);
        struct loading loading = { .dir_fd = dir_fd,
            .kind = query->kind,
            .without_text = (query->flags & SHOAL_DATA_WITHOUT_TEXT) != 0,
            .candidates = candidates.items };
        err = load_candidates(
            store, &loading, (size_t)min_u64(candidates.count, query->limit), &list);
    }
    candidates_fini(&candidates);
    if (dir_fd >= 0)
        (void)close(dir_fd); /* read only */
    if (err < 0)
        return data_fail_errno(error, err, "Cannot read the directory", directory);
    *out_list = list;
    return data_list_status(list, error);
}

/* ---- By id ---- */

/* The path of an id below the kind's directory, and what its name says. */
static int32_t path_of_id(int32_t kind, const char *id, char path[DATA_ID_SIZE_MAX + 8],
    struct document_name *out_name, struct shoal_data_error *error)
{
    (void)snprintf(path, DATA_ID_SIZE_MAX + 8, "%s.json", id); /* fits: core checked the size */
    const char *file = path;
    bool is_good = true;
    if (kind == SHOAL_DATA_GENERATION) {
        char directory[32] = "";
        size_t size = strcspn(path, "/");
        is_good = path[size] == '/' && size < sizeof directory;
        if (is_good) {
            memcpy(directory, path, size);
            is_good = document_generation(directory) >= 0;
            file = path + size + 1;
        }
    }
    is_good =
        is_good && strchr(file, '/') == NULL && document_name_parse(kind, file, out_name) == 0;
    if (!is_good)
        return data_fail(error, SHOAL_DATA_INVALID, "The id \"%.300s\" is none of that kind.", id);
    return SHOAL_DATA_OK;
}

static int32_t fail_for_id(
    struct shoal_data_error *error, int err, const char *doing, int32_t kind, const char *path)
{
    char full[DATA_ID_SIZE_MAX + 64];
    (void)snprintf(full, sizeof full, "%s/%s", document_directory(kind), path); /* fits */
    return data_fail_errno(error, err, doing, full);
}

int32_t files_load_document(void *backend, int32_t kind, const char *id,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct files_store *store = backend;
    char path[DATA_ID_SIZE_MAX + 8];
    struct document_name name = { .time_s = -1 };
    struct stat st;
    int32_t status = path_of_id(kind, id, path, &name, error);
    if (status != SHOAL_DATA_OK)
        return status;
    int dir_fd = files_open_directory(store, document_directory(kind), false);
    if (dir_fd < 0)
        return fail_for_id(error, dir_fd, "Cannot read the file", kind, path);
    struct candidate candidate = { .path = path, .time_s = name.time_s };
    int err = 0;
    if (name.time_s < 0) {
        err = fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        candidate.time_s = err < 0 ? 0 : st.st_mtim.tv_sec;
    }
    struct loading loading = { .dir_fd = dir_fd, .kind = kind, .candidates = &candidate };
    struct shoal_data_list *list = NULL;
    if (err == 0)
        err = load_candidates(store, &loading, 1, &list);
    (void)close(dir_fd); /* read only */
    if (err == 0 && shoal_data_list_count(list) == 0 && shoal_data_list_problem_count(list) == 0)
        err = -ENOENT;
    if (err < 0)
        status = fail_for_id(error, err, "Cannot read the file", kind, path);
    else
        status = data_list_status(list, error);
    if (status != SHOAL_DATA_OK) {
        shoal_data_list_free(list);
        return status;
    }
    *out_list = list;
    return SHOAL_DATA_OK;
}

int32_t files_delete_document(
    void *backend, int32_t kind, const char *id, struct shoal_data_error *error)
{
    struct files_store *store = backend;
    char path[DATA_ID_SIZE_MAX + 8];
    char directory[96];
    struct document_name name;
    int32_t status = path_of_id(kind, id, path, &name, error);
    if (status != SHOAL_DATA_OK)
        return status;
    char *file = strrchr(path, '/');
    file = file == NULL ? path : file + 1;
    (void)snprintf(directory, sizeof directory, "%s%s%.*s", document_directory(kind),
        file == path ? "" : "/", file == path ? 0 : (int)(file - path) - 1, path); /* fits */
    int dir_fd = files_open_directory(store, directory, false);
    int err = dir_fd < 0 ? dir_fd : 0;
    if (err == 0 && unlinkat(dir_fd, file, 0) < 0)
        err = -errno;
    if (err == 0)
        err = sys_fsync(dir_fd);
    if (dir_fd >= 0)
        (void)close(dir_fd); /* read only */
    return err < 0 ? fail_for_id(error, err, "Cannot remove the file", kind, path) : SHOAL_DATA_OK;
}
