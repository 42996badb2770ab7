/*
 * datastore/migrate/migrate_documents.c - documents: those of the same names and second form a group on either side; a text
 * that a group has more often in the source is saved in the destination (room: datastore). Ids differ between stores, so they
 * say nothing.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/migrate/internal.h"

struct group {
    uint64_t first; /* in the sorted list of the source, as the next */
    uint64_t count;
    uint64_t there_first; /* in that of the destination */
    uint64_t there_count;
};

struct documents_call {
    struct migration *migration;
    int32_t kind;
    struct shoal_data_list *source;
    struct shoal_data_list *there;
    struct group *groups;
};

static int compare_names(const struct shoal_data_item *a, const struct shoal_data_item *b)
{
    int order = strcmp(a->symbol, b->symbol);
    order = order != 0 ? order : strcmp(a->timeframe, b->timeframe);
    order = order != 0 ? order : strcmp(a->name, b->name);
    if (order == 0 && a->generation != b->generation)
        order = a->generation < b->generation ? -1 : 1;
    if (order == 0 && a->time_s != b->time_s)
        order = a->time_s < b->time_s ? -1 : 1;
    return order;
}

/* A list comes newest first; `version`, which documents do not have, keeps that order while sorting. */
static int compare_items(const void *left, const void *right)
{
    const struct shoal_data_item *a = left;
    const struct shoal_data_item *b = right;
    int order = compare_names(a, b);
    if (order != 0)
        return order;
    return a->version < b->version ? -1 : a->version > b->version;
}

static int32_t load_sorted(struct shoal_data *store, int32_t kind,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct shoal_data_query query = { .struct_size = sizeof query,
        .kind = kind,
        .generation = SHOAL_DATA_ANY_GENERATION,
        .limit = UINT64_MAX,
        .flags = SHOAL_DATA_WITHOUT_TEXT };
    int32_t status = shoal_data_load_documents(store, &query, out_list, error);
    uint64_t count = shoal_data_list_count(*out_list);
    for (uint64_t i = 0; i < count; i++)
        data_list_at(*out_list, i)->version = count - i; /* the oldest first */
    if (count > 0)
        data_list_sort(*out_list, compare_items);
    return status;
}

/* ---- One group ---- */

struct texts {
    struct shoal_data_list **lists; /* of one document each */
    uint64_t count;
};

static void texts_fini(struct texts *texts)
{
    for (uint64_t i = 0; i < texts->count && texts->lists != NULL; i++)
        shoal_data_list_free(texts->lists[i]);
    free(texts->lists);
}

/* Loads them all. One that was removed meanwhile is left out. */
static int32_t texts_load(struct texts *texts, struct shoal_data *store, int32_t kind,
    const struct shoal_data_item *items, uint64_t count, struct shoal_data_error *error)
{
    texts->lists = calloc(count + 1, sizeof(struct shoal_data_list *));
    if (texts->lists == NULL)
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    for (uint64_t i = 0; i < count; i++) {
        int32_t status =
            shoal_data_load_document(store, kind, items[i].id, &texts->lists[texts->count], error);
        if (status == SHOAL_DATA_OK)
            texts->count++;
        else if (status != SHOAL_DATA_NOT_FOUND)
            return status;
    }
    return SHOAL_DATA_OK;
}

/* Takes one document with the same text out of `there`. False: there is none. */
static bool take_equal(struct texts *there, const struct shoal_data_item *item)
{
    for (uint64_t i = 0; i < there->count; i++) {
        const struct shoal_data_item *other = shoal_data_list_item(there->lists[i], 0);
        if (other->size_bytes != item->size_bytes ||
            memcmp(other->text, item->text, item->size_bytes) != 0)
            continue;
        shoal_data_list_free(there->lists[i]);
        there->lists[i] = there->lists[--there->count];
        return true;
    }
    return false;
}

static int32_t save_copy(struct migration *migration, int32_t kind,
    const struct shoal_data_item *item, struct shoal_data_error *error)
{
    struct shoal_data_document document = { .struct_size = sizeof document,
        .kind = kind,
        .symbol = item->symbol,
        .timeframe = item->timeframe,
        .name = item->name,
        .generation = item->generation,
        .time_s = item->time_s,
        .json = item->text,
        .json_size = item->size_bytes };
    int32_t status = shoal_data_save_document(migration->to, &document, NULL, 0, error);
    if (status == SHOAL_DATA_OK) {
        atomic_fetch_add(&migration->copied, 1);
        atomic_fetch_add(&migration->options->progress->documents, 1);
        atomic_fetch_add(&migration->options->progress->bytes, item->size_bytes);
    }
    return status;
}

static void copy_group(void *context, uint64_t index)
{
    struct documents_call *call = context;
    struct migration *migration = call->migration;
    const struct group *group = &call->groups[index];
    struct shoal_data_error error;
    struct texts source = { 0 };
    struct texts there = { 0 };
    if (migration_is_stopped(migration))
        return;
    const struct shoal_data_item *first = data_list_at(call->source, group->first);
    int32_t status = texts_load(&source, migration->from, call->kind, first, group->count, &error);
    if (status == SHOAL_DATA_OK && group->there_count > 0)
        status = texts_load(&there, migration->to, call->kind,
            data_list_at(call->there, group->there_first), group->there_count, &error);
    for (uint64_t i = 0; i < source.count && status == SHOAL_DATA_OK; i++) {
        const struct shoal_data_item *item = shoal_data_list_item(source.lists[i], 0);
        if (!take_equal(&there, item))
            status = save_copy(migration, call->kind, item, &error);
    }
    if (status != SHOAL_DATA_OK)
        migration_fail(migration, first->id, &error);
    atomic_fetch_add(&migration->documents, group->count);
    migration_done(migration, group->count);
    texts_fini(&source);
    texts_fini(&there);
}

/* ---- All groups ---- */

/* Cuts the sorted lists into groups; gives their number. */
static uint64_t cut_groups(struct documents_call *call)
{
    uint64_t count = shoal_data_list_count(call->source);
    uint64_t there_count = shoal_data_list_count(call->there);
    uint64_t groups = 0;
    uint64_t k = 0;
    for (uint64_t i = 0; i < count;) {
        const struct shoal_data_item *item = data_list_at(call->source, i);
        struct group group = { .first = i };
        while (i < count && compare_names(item, data_list_at(call->source, i)) == 0)
            i++;
        group.count = i - group.first;
        while (k < there_count && compare_names(data_list_at(call->there, k), item) < 0)
            k++;
        group.there_first = k;
        while (k < there_count && compare_names(data_list_at(call->there, k), item) == 0)
            k++;
        group.there_count = k - group.there_first;
        call->groups[groups++] = group;
    }
    return groups;
}

void migrate_documents(struct migration *migration, int32_t kind)
{
    struct documents_call call = { .migration = migration, .kind = kind };
    struct shoal_data_error error;
    int32_t status = load_sorted(migration->from, kind, &call.source, &error);
    if (status == SHOAL_DATA_OK)
        status = load_sorted(migration->to, kind, &call.there, &error);
    uint64_t count = shoal_data_list_count(call.source);
    call.groups = calloc(count + 1, sizeof *call.groups);
    if (status == SHOAL_DATA_OK && call.groups == NULL)
        status = data_fail(&error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    if (status == SHOAL_DATA_OK && count > 0) {
        migration_expect(migration, count);
        data_parallel(migration->options->threads, cut_groups(&call), copy_group, &call);
    }
    if (status != SHOAL_DATA_OK)
        migration_fail(migration, "The documents", &error);
    free(call.groups);
    shoal_data_list_free(call.source);
    shoal_data_list_free(call.there);
}
