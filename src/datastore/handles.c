/*
 * datastore/handles.c - errors, and the lists, frames and reports that calls give out (room: datastore).
 * They are built by one thread and then only read.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/datastore.h"

#define FRAME_ALIGNMENT 64u
#define FRAME_COLUMNS   5u

/* A growing array of sentences. */
struct problems {
    char **texts;
    size_t count;
    size_t room;
};

struct shoal_data_list {
    struct shoal_data_item *items;
    size_t count;
    size_t room;
    char *json; /* shoal_data_list_json(); NULL: not asked for yet */
    size_t json_size;
    struct problems problems;
};

struct shoal_data_frame {
    uint64_t count;
    int64_t *timestamps;
    double *columns[FRAME_COLUMNS];
    struct problems problems;
};

struct shoal_data_report {
    struct shoal_data_report_row *rows;
    size_t count;
    size_t room;
    struct problems problems;
};

/* ---- Errors ---- */

static const char *const status_names[] = { "OK", "INVALID", "NOT_FOUND", "EXISTS",
    "SCHEMA_MISMATCH", "DAMAGED", "CHECKSUM", "NO_SPACE", "UNAVAILABLE", "BUSY", "IO", "NO_MEMORY",
    "UNSUPPORTED", "PERMISSION" };

const char *shoal_data_status_name(int32_t status)
{
    if (status < 0 || (size_t)status >= ARRAY_SIZE(status_names))
        return "UNKNOWN";
    return status_names[status];
}

int32_t data_fail(struct shoal_data_error *error, int32_t status, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        error->status = status;
        (void)vsnprintf(error->message, sizeof error->message, format, args); /* cut is fine */
        va_end(args);
    }
    return status;
}

static int32_t status_of_errno(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ESTALE:
        return SHOAL_DATA_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return SHOAL_DATA_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return SHOAL_DATA_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return SHOAL_DATA_PERMISSION;
    case ENOMEM:
        return SHOAL_DATA_NO_MEMORY;
    case EBUSY:
    case EAGAIN:
        return SHOAL_DATA_BUSY;
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
        return SHOAL_DATA_UNAVAILABLE;
    case EOPNOTSUPP:
    case ENOSYS:
    case EXDEV:
        return SHOAL_DATA_UNSUPPORTED;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
        return SHOAL_DATA_INVALID;
    default:
        return SHOAL_DATA_IO;
    }
}

int32_t data_fail_errno(
    struct shoal_data_error *error, int err, const char *doing, const char *what)
{
    char reason[128];
    const char *text = strerror_r(-err, reason, sizeof reason);
    return data_fail(error, status_of_errno(-err), "%s %s: %s.", doing, what, text);
}

/* ---- Growing arrays ---- */

/* Sees to room for one more of `unit` bytes. */
static int grow(void **items, size_t *room, size_t count, size_t unit)
{
    if (count < *room)
        return 0;
    size_t wanted = *room == 0 ? 16 : *room * 2;
    void *bigger = reallocarray(*items, wanted, unit);
    if (bigger == NULL)
        return -ENOMEM;
    *items = bigger;
    *room = wanted;
    return 0;
}

static int problems_add(struct problems *problems, const char *format, va_list args)
    PRINTF_LIKE(2, 0);
static int problems_add(struct problems *problems, const char *format, va_list args)
{
    void *texts = problems->texts;
    int err = grow(&texts, &problems->room, problems->count, sizeof *problems->texts);
    problems->texts = texts;
    char *text = NULL;
    if (err < 0 || vasprintf(&text, format, args) < 0)
        return -ENOMEM;
    problems->texts[problems->count++] = text;
    return 0;
}

static const char *problems_at(const struct problems *problems, uint64_t index)
{
    return index < problems->count ? problems->texts[index] : NULL;
}

static int32_t problems_status(
    const struct problems *problems, int32_t status, struct shoal_data_error *error)
{
    if (problems->count == 0)
        return SHOAL_DATA_OK;
    if (problems->count == 1)
        return data_fail(error, status, "%s", problems->texts[0]);
    return data_fail(error, status, "%s (and %zu more)", problems->texts[0], problems->count - 1);
}

static void problems_fini(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        free(problems->texts[i]);
    free(problems->texts);
}

/* ---- Lists ---- */

struct shoal_data_list *data_list_new(void)
{
    return calloc(1, sizeof(struct shoal_data_list));
}

static void free_const(const char *text)
{
    void *own; /* ours: the const is for callers */
    memcpy(&own, &text, sizeof own);
    free(own);
}

static void item_fini(struct shoal_data_item *item)
{
    free_const(item->id);
    free_const(item->name);
    free_const(item->symbol);
    free_const(item->timeframe);
    free_const(item->text);
}

static const char *copy_or_empty(const char *text)
{
    return strdup(text == NULL ? "" : text);
}

int data_list_add_taking(struct shoal_data_list *list, const struct shoal_data_item *item)
{
    void *items = list->items;
    int err = grow(&items, &list->room, list->count, sizeof *list->items);
    list->items = items;
    struct shoal_data_item copy = *item;
    copy.id = copy_or_empty(item->id);
    copy.name = copy_or_empty(item->name);
    copy.symbol = copy_or_empty(item->symbol);
    copy.timeframe = copy_or_empty(item->timeframe);
    if (err < 0 || copy.id == NULL || copy.name == NULL || copy.symbol == NULL ||
        copy.timeframe == NULL) {
        item_fini(&copy);
        return -ENOMEM;
    }
    list->items[list->count++] = copy;
    return 0;
}

int data_list_add(struct shoal_data_list *list, const struct shoal_data_item *item)
{
    struct shoal_data_item copy = *item;
    if (item->text != NULL) {
        char *text = malloc(item->size_bytes + 1);
        if (text == NULL)
            return -ENOMEM;
        memcpy(text, item->text, item->size_bytes);
        text[item->size_bytes] = '\0';
        copy.text = text;
    }
    return data_list_add_taking(list, &copy);
}

int data_list_add_problem(struct shoal_data_list *list, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int err = problems_add(&list->problems, format, args);
    va_end(args);
    return err;
}

struct shoal_data_item *data_list_at(struct shoal_data_list *list, uint64_t index)
{
    assert(index < list->count);
    return &list->items[index];
}

void data_list_sort(struct shoal_data_list *list, int (*compare)(const void *, const void *))
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, compare);
}

int32_t data_list_status(const struct shoal_data_list *list, struct shoal_data_error *error)
{
    return problems_status(&list->problems, SHOAL_DATA_DAMAGED, error);
}

uint64_t shoal_data_list_count(const struct shoal_data_list *list)
{
    return list == NULL ? 0 : list->count;
}

const struct shoal_data_item *shoal_data_list_item(
    const struct shoal_data_list *list, uint64_t index)
{
    return list != NULL && index < list->count ? &list->items[index] : NULL;
}

static struct slice json_of(const struct shoal_data_item *item)
{
    return slice_str(item->text == NULL ? "null" : item->text);
}

static char *put_bytes(char *at, struct slice bytes)
{
    memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* The items' texts are whole and in memory, so the sum of their sizes is no overflow. */
static char *join_texts(const struct shoal_data_list *list, size_t *out_size)
{
    size_t size = 3; /* brackets and NUL */
    for (size_t i = 0; i < list->count; i++)
        size += json_of(&list->items[i]).size + 1;
    char *json = malloc(size);
    if (json == NULL)
        return NULL;
    char *at = json;
    *at++ = '[';
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            *at++ = ',';
        at = put_bytes(at, json_of(&list->items[i]));
    }
    *at++ = ']';
    *at = '\0';
    *out_size = (size_t)(at - json);
    return json;
}

const char *shoal_data_list_json(struct shoal_data_list *list, uint64_t *out_size)
{
    if (list == NULL)
        return NULL;
    if (list->json == NULL)
        list->json = join_texts(list, &list->json_size);
    if (out_size != NULL)
        *out_size = list->json == NULL ? 0 : list->json_size;
    return list->json;
}

uint64_t shoal_data_list_problem_count(const struct shoal_data_list *list)
{
    return list == NULL ? 0 : list->problems.count;
}

const char *shoal_data_list_problem(const struct shoal_data_list *list, uint64_t index)
{
    return list == NULL ? NULL : problems_at(&list->problems, index);
}

void shoal_data_list_free(struct shoal_data_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        item_fini(&list->items[i]);
    free(list->items);
    free(list->json);
    problems_fini(&list->problems);
    free(list);
}

/* ---- Frames ---- */

struct shoal_data_frame *data_frame_new(uint64_t count, uint32_t columns)
{
    struct shoal_data_frame *frame = calloc(1, sizeof *frame);
    if (frame == NULL || count > SIZE_MAX / 16)
        goto fail;
    size_t size = (size_t)round_up(count * 8 + 1, FRAME_ALIGNMENT);
    frame->count = count;
    frame->timestamps = aligned_alloc(FRAME_ALIGNMENT, size);
    if (frame->timestamps == NULL)
        goto fail;
    for (unsigned i = 0; i < FRAME_COLUMNS; i++) {
        if ((columns & (1u << i)) == 0)
            continue;
        frame->columns[i] = aligned_alloc(FRAME_ALIGNMENT, size);
        if (frame->columns[i] == NULL)
            goto fail;
    }
    return frame;
fail:
    shoal_data_frame_free(frame);
    return NULL;
}

int64_t *data_frame_timestamps(struct shoal_data_frame *frame)
{
    return frame->timestamps;
}

double *data_frame_column(struct shoal_data_frame *frame, unsigned index)
{
    assert(index < FRAME_COLUMNS);
    return frame->columns[index];
}

void data_frame_set_count(struct shoal_data_frame *frame, uint64_t count)
{
    assert(count <= frame->count);
    frame->count = count;
}

int data_frame_add_problem(struct shoal_data_frame *frame, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int err = problems_add(&frame->problems, format, args);
    va_end(args);
    return err;
}

int32_t data_frame_status(const struct shoal_data_frame *frame, struct shoal_data_error *error)
{
    return problems_status(&frame->problems, SHOAL_DATA_DAMAGED, error);
}

void shoal_data_frame_bars(const struct shoal_data_frame *frame, struct shoal_data_bars *out_bars)
{
    *out_bars = (struct shoal_data_bars){ .count = frame->count,
        .timestamp_ns = frame->timestamps,
        .open = frame->columns[0],
        .high = frame->columns[1],
        .low = frame->columns[2],
        .close = frame->columns[3],
        .volume = frame->columns[4] };
}

uint64_t shoal_data_frame_problem_count(const struct shoal_data_frame *frame)
{
    return frame == NULL ? 0 : frame->problems.count;
}

const char *shoal_data_frame_problem(const struct shoal_data_frame *frame, uint64_t index)
{
    return frame == NULL ? NULL : problems_at(&frame->problems, index);
}

void shoal_data_frame_free(struct shoal_data_frame *frame)
{
    if (frame == NULL)
        return;
    free(frame->timestamps);
    for (unsigned i = 0; i < FRAME_COLUMNS; i++)
        free(frame->columns[i]);
    problems_fini(&frame->problems);
    free(frame);
}

/* ---- Reports ---- */

struct shoal_data_report *data_report_new(void)
{
    return calloc(1, sizeof(struct shoal_data_report));
}

int data_report_add(
    struct shoal_data_report *report, const char *directory, uint64_t files, uint64_t bytes)
{
    for (size_t i = 0; i < report->count; i++) {
        if (strcmp(report->rows[i].directory, directory) == 0) {
            report->rows[i].files += files;
            report->rows[i].bytes += bytes;
            return 0;
        }
    }
    void *rows = report->rows;
    int err = grow(&rows, &report->room, report->count, sizeof *report->rows);
    report->rows = rows;
    char *name = strdup(directory);
    if (err < 0 || name == NULL) {
        free(name);
        return -ENOMEM;
    }
    report->rows[report->count++] =
        (struct shoal_data_report_row){ .directory = name, .files = files, .bytes = bytes };
    return 0;
}

int data_report_add_problem(struct shoal_data_report *report, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int err = problems_add(&report->problems, format, args);
    va_end(args);
    return err;
}

int32_t data_report_status(const struct shoal_data_report *report, struct shoal_data_error *error)
{
    return problems_status(&report->problems, SHOAL_DATA_IO, error);
}

uint64_t shoal_data_report_count(const struct shoal_data_report *report)
{
    return report == NULL ? 0 : report->count;
}

const struct shoal_data_report_row *shoal_data_report_row(
    const struct shoal_data_report *report, uint64_t index)
{
    return report != NULL && index < report->count ? &report->rows[index] : NULL;
}

void shoal_data_report_total(
    const struct shoal_data_report *report, struct shoal_data_report_row *out_total)
{
    *out_total = (struct shoal_data_report_row){ .directory = "" };
    for (size_t i = 0; i < report->count; i++) {
        out_total->files += report->rows[i].files;
        out_total->bytes += report->rows[i].bytes;
    }
}

uint64_t shoal_data_report_problem_count(const struct shoal_data_report *report)
{
    return report == NULL ? 0 : report->problems.count;
}

const char *shoal_data_report_problem(const struct shoal_data_report *report, uint64_t index)
{
    return report == NULL ? NULL : problems_at(&report->problems, index);
}

void shoal_data_report_free(struct shoal_data_report *report)
{
    if (report == NULL)
        return;
    for (size_t i = 0; i < report->count; i++)
        free_const(report->rows[i].directory);
    free(report->rows);
    problems_fini(&report->problems);
    free(report);
}
