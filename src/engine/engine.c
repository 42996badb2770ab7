/*
 * engine/engine.c - the provider of embedded file systems (room: engine).
 */
#include "engine/engine.h"

#include <stdlib.h>

#include "base/sys.h"
#include "engine/volume.h"

#define CACHE_BYTES_DEFAULT        (UINT64_C(256) * MIB)
#define BLOCK_CACHE_BYTES_DEFAULT  (UINT64_C(128) * MIB)
#define WRITE_BUFFER_BYTES_DEFAULT (UINT64_C(64) * MIB)
#define RESERVE_BYTES_DEFAULT      (UINT64_C(256) * MIB)
#define SEGMENT_BLOCKS_DEFAULT     16384u
#define SMALL_FILE_BYTES_DEFAULT   8192u
#define DIR_NAMES_DEFAULT          262144u
#define STEP_BLOCKS_DEFAULT        65536u
#define SYNC_THREADS               3u
#define DIRTY_AGE_MS_DEFAULT       30000u

/* Provider calls may come from a fiber, and need a deep stack and the disk: they run on the pool.
 */
struct provider_call {
    struct engine *engine;
    const char *fs_id;
    const char *key_id;
    struct volume *volume;
    int result;
};

static void create_on_pool(void *argument)
{
    struct provider_call *call = argument;
    call->result = volume_create(call->engine, call->fs_id, call->key_id);
}

static void destroy_on_pool(void *argument)
{
    struct provider_call *call = argument;
    call->result = volume_destroy(call->engine, call->fs_id);
}

static void rekey_on_pool(void *argument)
{
    struct provider_call *call = argument;
    call->result = volume_rekey(call->engine, call->fs_id, call->volume);
}

static void open_on_pool(void *argument)
{
    struct provider_call *call = argument;
    call->result = volume_open(call->engine, call->fs_id, &call->volume);
}

static void close_on_pool(void *argument)
{
    struct provider_call *call = argument;
    volume_close(call->volume);
}

static int provider_create(void *context, const char *fs_id, const char *key_id)
{
    struct engine *engine = context;
    struct provider_call call = { .engine = engine, .fs_id = fs_id, .key_id = key_id };
    pool_call(engine->pool, create_on_pool, &call);
    return call.result;
}

static int provider_open(void *context, const char *fs_id, struct fs **out_fs)
{
    struct engine *engine = context;
    struct provider_call call = { .engine = engine, .fs_id = fs_id };
    pool_call(engine->pool, open_on_pool, &call);
    if (call.result == 0)
        *out_fs = &call.volume->fs;
    return call.result;
}

static void provider_close(void *context, struct fs *fs)
{
    struct engine *engine = context;
    struct provider_call call = { .engine = engine, .volume = volume_of(fs) };
    pool_call(engine->pool, close_on_pool, &call);
}

static int provider_destroy(void *context, const char *fs_id)
{
    struct engine *engine = context;
    struct provider_call call = { .engine = engine, .fs_id = fs_id };
    pool_call(engine->pool, destroy_on_pool, &call);
    return call.result;
}

static int provider_rekey(void *context, const char *fs_id, struct fs *fs)
{
    struct engine *engine = context;
    struct provider_call call = {
        .engine = engine, .fs_id = fs_id, .volume = fs != NULL ? volume_of(fs) : NULL
    };
    pool_call(engine->pool, rekey_on_pool, &call);
    return call.result;
}

static void set_default(uint64_t *option, uint64_t value)
{
    if (*option == 0)
        *option = value;
}

static void set_default_u32(uint32_t *option, uint32_t value)
{
    if (*option == 0)
        *option = value;
}

int engine_new(const struct engine_options *options, struct engine **out_engine)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return -ENOMEM;
    engine->options = *options;
    set_default(&engine->options.cache_bytes, CACHE_BYTES_DEFAULT);
    set_default(&engine->options.block_cache_bytes, BLOCK_CACHE_BYTES_DEFAULT);
    set_default(&engine->options.write_buffer_bytes, WRITE_BUFFER_BYTES_DEFAULT);
    set_default(&engine->options.reserve_bytes, RESERVE_BYTES_DEFAULT);
    set_default_u32(&engine->options.segment_blocks, SEGMENT_BLOCKS_DEFAULT);
    set_default_u32(&engine->options.small_file_bytes, SMALL_FILE_BYTES_DEFAULT);
    set_default_u32(&engine->options.dir_names_max, DIR_NAMES_DEFAULT);
    set_default_u32(&engine->options.step_blocks, STEP_BLOCKS_DEFAULT);
    set_default_u32(&engine->options.dirty_age_ms, DIRTY_AGE_MS_DEFAULT);
    uint32_t blocks = engine->options.segment_blocks;
    assert(blocks >= SEGMENT_BLOCKS_MIN && blocks <= SEGMENT_BLOCKS_MAX &&
           (blocks & (blocks - 1)) == 0);
    engine->pool = options->pool;
    engine->provider = (struct fs_provider){ .name = "engine",
        .context = engine,
        .create = provider_create,
        .open = provider_open,
        .close = provider_close,
        .destroy = provider_destroy,
        .rekey = provider_rekey };
    struct store_options stores = { engine->options.block_cache_bytes,
        engine->options.write_buffer_bytes };
    engine->dir_fd = sys_openat(AT_FDCWD, options->directory, O_RDONLY | O_DIRECTORY, 0);
    int err = min_int(engine->dir_fd, 0);
    engine->directory = strdup(options->directory);
    if (err == 0 && engine->directory == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = pool_new(SYNC_THREADS, &engine->sync_pool);
    if (err == 0)
        err = store_shared_new(&stores, &engine->stores);
    if (err < 0) {
        engine_free(engine);
        return err;
    }
    *out_engine = engine;
    return 0;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    pool_free(engine->sync_pool);
    store_shared_free(engine->stores);
    if (engine->dir_fd >= 0)
        (void)close(engine->dir_fd);
    free(engine->directory);
    free(engine);
}

const struct fs_provider *engine_provider(struct engine *engine)
{
    return &engine->provider;
}
