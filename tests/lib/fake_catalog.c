/* tests/lib/fake_catalog.c - which file systems there are, in an array. */
#include "tests/lib/fake_catalog.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_SYSTEMS_MAX 64
#define ACCESSES_MAX     8

static struct {
    const char *fs_id; /* NULL: free */
    struct in_addr address;
    enum catalog_profile profile;
    const char *policy;
    bool is_read_only;
} file_systems[FILE_SYSTEMS_MAX];
static const struct catalog_access *accesses[ACCESSES_MAX];
static uint64_t generation;

void fake_catalog_reset(void)
{
    memset(file_systems, 0, sizeof file_systems);
    memset(accesses, 0, sizeof accesses);
    generation++;
}

void fake_catalog_add(const char *fs_id, const char *address)
{
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL)
            continue;
        file_systems[i].fs_id = fs_id;
        file_systems[i].address.s_addr = 0;
        file_systems[i].profile = CATALOG_PROFILE_DEFAULT;
        file_systems[i].policy = NULL;
        file_systems[i].is_read_only = false;
        if (address != NULL && inet_pton(AF_INET, address, &file_systems[i].address) != 1)
            abort();
        generation++;
        return;
    }
    abort();
}

void fake_catalog_set_profile(const char *fs_id, enum catalog_profile profile)
{
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0)
            file_systems[i].profile = profile;
    }
    generation++;
}

bool catalog_fs_is_read_only(const struct catalog *catalog, const char *fs_id)
{
    (void)catalog;
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0)
            return file_systems[i].is_read_only;
    }
    return false;
}

void fake_catalog_set_read_only(const char *fs_id, bool is_read_only)
{
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0)
            file_systems[i].is_read_only = is_read_only;
    }
    generation++;
}

enum catalog_profile catalog_fs_profile(const struct catalog *catalog, const char *fs_id)
{
    (void)catalog;
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0)
            return file_systems[i].profile;
    }
    return CATALOG_PROFILE_DEFAULT;
}

void fake_catalog_set_policy(const char *fs_id, const char *policy)
{
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0)
            file_systems[i].policy = policy;
    }
    generation++;
}

int catalog_fs_policy(const struct catalog *catalog, const char *fs_id, char **out_policy)
{
    (void)catalog;
    *out_policy = NULL;
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0 &&
            file_systems[i].policy != NULL &&
            (*out_policy = strdup(file_systems[i].policy)) == NULL)
            abort();
    }
    return 0;
}

void catalog_arn(
    const struct catalog *catalog, const char *kind, const char *id, char out_arn[CATALOG_ARN_SIZE])
{
    (void)catalog;
    (void)snprintf(out_arn, CATALOG_ARN_SIZE,
        "arn:aws:elasticfilesystem:us-east-1:000000000000:%s/%s", kind, id);
}

void fake_catalog_remove(const char *fs_id)
{
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0)
            file_systems[i].fs_id = NULL;
    }
    generation++;
}

int catalog_find_export(
    const struct catalog *catalog, struct in_addr address, struct catalog_export *out_export)
{
    (void)catalog;
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        const char *fs_id = file_systems[i].fs_id;
        if (fs_id == NULL || file_systems[i].address.s_addr != address.s_addr)
            continue;
        *out_export = (struct catalog_export){ .mount_target_id = "fsmt-1" };
        memcpy(out_export->fs_id, fs_id, strlen(fs_id) + 1);
        return 0;
    }
    return -ENOENT;
}

int catalog_check_fs(const struct catalog *catalog, const char *fs_id)
{
    (void)catalog;
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && strcmp(file_systems[i].fs_id, fs_id) == 0)
            return 0;
    }
    return -ENOENT;
}

void catalog_each_fs(
    const struct catalog *catalog, bool (*emit)(void *context, const char *fs_id), void *context)
{
    (void)catalog;
    for (size_t i = 0; i < FILE_SYSTEMS_MAX; i++) {
        if (file_systems[i].fs_id != NULL && !emit(context, file_systems[i].fs_id))
            return;
    }
}

void fake_catalog_add_access(const struct catalog_access *access)
{
    size_t i = 0;
    while (i < ACCESSES_MAX && accesses[i] != NULL)
        i++;
    if (i == ACCESSES_MAX)
        abort();
    accesses[i] = access;
    generation++;
}

int catalog_find_access(
    const struct catalog *catalog, uint64_t tag, struct catalog_access *out_access)
{
    (void)catalog;
    for (size_t i = 0; i < ACCESSES_MAX; i++) {
        if (accesses[i] == NULL || catalog_access_tag(accesses[i]->id) != tag)
            continue;
        *out_access = *accesses[i];
        return 0;
    }
    return -ENOENT;
}

uint64_t catalog_generation(const struct catalog *catalog)
{
    (void)catalog;
    return generation;
}
