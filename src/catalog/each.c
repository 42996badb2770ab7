/*
 * catalog/each.c - visiting all records of a kind, a page at a time (room: catalog).
 *
 * Nothing is locked while a record is visited, so the visitor may change the catalog; what is made or removed meanwhile may be
 * visited or not.
 */
#include "catalog/identities.h"
#include "catalog/nets.h"
#include "catalog/records.h"

#define PAGE_SIZE 64

/* The body of each function: `list` fills `page` behind `after`, `key` is the member that the list is sorted by. */
#define VISIT_PAGES(list, key, put)                                \
    do {                                                           \
        bool wanted = true;                                        \
        size_t count = PAGE_SIZE;                                  \
        while (wanted && count == PAGE_SIZE) {                     \
            count = (list);                                        \
            if (count > 0)                                         \
                memcpy(after, page[count - 1]->key, sizeof after); \
            for (size_t i = 0; i < count; i++) {                   \
                wanted = wanted && visit(context, page[i]);        \
                put(page[i]);                                      \
            }                                                      \
        }                                                          \
    } while (false)

void catalog_fs_each(const struct catalog *catalog,
    bool (*visit)(void *context, const struct catalog_fs *fs), void *context)
{
    const struct catalog_fs *page[PAGE_SIZE];
    char after[CATALOG_ID_SIZE] = "";
    VISIT_PAGES(catalog_fs_list(catalog, after, PAGE_SIZE, page), id, catalog_fs_put);
}

void catalog_mount_target_each(const struct catalog *catalog, const char *fs_id,
    bool (*visit)(void *context, const struct catalog_mount_target *target), void *context)
{
    const struct catalog_mount_target *page[PAGE_SIZE];
    char after[CATALOG_ID_SIZE] = "";
    VISIT_PAGES(catalog_mount_target_list(catalog, fs_id, after, PAGE_SIZE, page), id,
        catalog_mount_target_put);
}

void catalog_access_point_each(const struct catalog *catalog, const char *fs_id,
    bool (*visit)(void *context, const struct catalog_access_point *point), void *context)
{
    const struct catalog_access_point *page[PAGE_SIZE];
    char after[CATALOG_ID_SIZE] = "";
    VISIT_PAGES(catalog_access_point_list(catalog, fs_id, after, PAGE_SIZE, page), id,
        catalog_access_point_put);
}

void catalog_net_each(const struct catalog *catalog, enum catalog_net_kind kind,
    bool (*visit)(void *context, const struct catalog_net *net), void *context)
{
    const struct catalog_net *page[PAGE_SIZE];
    char after[CATALOG_ID_SIZE] = "";
    VISIT_PAGES(catalog_net_list(catalog, kind, after, PAGE_SIZE, page), id, catalog_net_put);
}

void catalog_identity_each(const struct catalog *catalog, enum catalog_identity_kind kind,
    bool (*visit)(void *context, const struct catalog_identity *identity), void *context)
{
    const struct catalog_identity *page[PAGE_SIZE];
    char after[CATALOG_IAM_NAME_SIZE] = "";
    VISIT_PAGES(catalog_identity_list(catalog, kind, after, PAGE_SIZE, page), folded_name,
        catalog_identity_put);
}
