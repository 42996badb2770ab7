/* datastore/migrate/internal.h - a migration at work; only for the files of this folder. */
#pragma once

#include "base/lock.h"
#include "datastore/migrate/migrate.h"

struct migration {
    struct shoal_data *from;
    struct shoal_data *to;
    const struct migrate_options *options;
    bool is_first_pass;
    _Atomic uint64_t copied; /* items that this pass has copied anything of */
    _Atomic uint64_t series; /* that this pass has seen, as the next two */
    _Atomic uint64_t documents;
    _Atomic uint64_t versions;
    struct mutex lock;
    struct shoal_data_error first_error; /* under `lock`; status OK: none */
};

bool migration_is_stopped(const struct migration *migration);
/* Keeps the first failure; `what` names the item. */
void migration_fail(
    struct migration *migration, const char *what, const struct shoal_data_error *error);
/* Counts up what is to be done, and what has been. */
void migration_expect(struct migration *migration, uint64_t items);
void migration_done(struct migration *migration, uint64_t items);

/* Each compares and copies all things of its kind; failures go to migration_fail(). */
void migrate_bars(struct migration *migration);
void migrate_documents(struct migration *migration, int32_t kind);
void migrate_checkpoints(struct migration *migration);
