/* datastore/store.h - the open store, as core.c and core_checkpoints.c share it; nobody else includes this. */
#pragma once

#include "datastore/datastore.h"

struct shoal_data {
    const struct datastore_ops *ops;
    void *backend;
    unsigned threads; /* that a call on many things may use */
};

struct shoal_data_writer {
    const struct datastore_ops *ops;
    void *writer;
};

struct shoal_data_checkpoint {
    const struct datastore_ops *ops;
    void *checkpoint;
    uint64_t size_bytes;
};

/* The caller's error, or the given one when that is NULL. */
static inline struct shoal_data_error *error_or(
    struct shoal_data_error *error, struct shoal_data_error *own)
{
    return error != NULL ? error : own;
}

/* Copies the caller's struct of options, which may be an older and shorter one, over zeros. INVALID when its
 * struct_size is none: less than `size_min` or more than 4 KiB. */
int32_t store_take_options(void *to, size_t size, size_t size_min, const void *from,
    const char *what, struct shoal_data_error *error);
