/* datastore/migrate/migrate.c - the passes (room: datastore). */
#include "datastore/migrate/migrate.h"

#include <stdatomic.h>

#include "datastore/migrate/internal.h"

bool migration_is_stopped(const struct migration *migration)
{
    return migration->options->stop != NULL && atomic_load(migration->options->stop);
}

void migration_fail(
    struct migration *migration, const char *what, const struct shoal_data_error *error)
{
    mutex_lock(&migration->lock);
    if (migration->first_error.status == SHOAL_DATA_OK) {
        int32_t status = data_fail(
            &migration->first_error, error->status, "%.100s: %.400s", what, error->message);
        (void)status; /* it is in the error */
    }
    mutex_unlock(&migration->lock);
}

void migration_expect(struct migration *migration, uint64_t items)
{
    atomic_fetch_add(&migration->options->progress->items_known, items);
}

void migration_done(struct migration *migration, uint64_t items)
{
    atomic_fetch_add(&migration->options->progress->items, items);
}

static void run_pass(struct migration *migration)
{
    migration->copied = 0;
    migration->series = 0;
    migration->documents = 0;
    migration->versions = 0;
    migrate_bars(migration);
    for (int32_t kind = SHOAL_DATA_MARKET_DATA; kind <= SHOAL_DATA_GENERATION; kind++)
        migrate_documents(migration, kind);
    migrate_checkpoints(migration);
}

int32_t migrate_run(struct shoal_data *from, struct shoal_data *to,
    const struct migrate_options *options, struct migrate_result *out_result,
    struct shoal_data_error *error)
{
    struct migration migration = { .from = from, .to = to, .options = options };
    (void)pthread_mutex_init(&migration.lock.pthread, NULL); /* cannot fail without attributes */
    int32_t status = SHOAL_DATA_OK;
    bool is_same = false;
    for (unsigned pass = 1; pass <= MIGRATE_PASSES_MAX && status == SHOAL_DATA_OK && !is_same;
         pass++) {
        migration.is_first_pass = pass == 1;
        atomic_store(&options->progress->pass, pass);
        run_pass(&migration);
        status = migration.first_error.status;
        is_same = migration.copied == 0;
        if (migration_is_stopped(&migration))
            break;
    }
    (void)pthread_mutex_destroy(&migration.lock.pthread); /* nobody holds it */
    if (status != SHOAL_DATA_OK) {
        *error = migration.first_error;
        return status;
    }
    if (migration_is_stopped(&migration))
        return data_fail(error, SHOAL_DATA_BUSY, "Stopped. Run it again to go on from here.");
    if (!is_same)
        return data_fail(error, SHOAL_DATA_BUSY,
            "The source has changed during each of %u passes: stop its writers, and run it again.",
            MIGRATE_PASSES_MAX);
    *out_result = (struct migrate_result){
        .series = migration.series, .documents = migration.documents, .versions = migration.versions
    };
    return SHOAL_DATA_OK;
}
