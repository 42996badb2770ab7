/* A keeper of keys for tests. */
#include "fake_keeper.h"

#include "base/bytes.h"

#define WRAPPED_BYTES (1u + FS_DATA_KEY_BYTES + 8u)

static uint64_t sum_of(const uint8_t *wrapped, struct slice binding)
{
    uint64_t sum = 3;
    for (size_t i = 0; i < 1 + FS_DATA_KEY_BYTES; i++)
        sum = sum * 1099511628211u + wrapped[i];
    for (size_t i = 0; i < binding.size; i++)
        sum = sum * 1099511628211u + binding.data[i];
    return sum;
}

static int fake_wrap(void *context, const char *key_id, struct slice binding,
    const uint8_t data_key[FS_DATA_KEY_BYTES], uint8_t *out)
{
    struct fake_keeper *fake = context;
    if (strcmp(key_id, FAKE_KEY_ID) != 0)
        return -ENOKEY;
    if (fake->is_disabled)
        return -EKEYREVOKED;
    out[0] = fake->version;
    for (size_t i = 0; i < FS_DATA_KEY_BYTES; i++)
        out[1 + i] = (uint8_t)(data_key[i] + 1);
    store_be64(out + 1 + FS_DATA_KEY_BYTES, sum_of(out, binding));
    fake->wrap_count++;
    return WRAPPED_BYTES;
}

static int fake_unwrap(void *context, struct slice wrapped, struct slice binding,
    char out_key_id[FS_KEY_ID_SIZE], uint8_t out_data_key[FS_DATA_KEY_BYTES])
{
    struct fake_keeper *fake = context;
    memcpy(out_key_id, FAKE_KEY_ID, sizeof FAKE_KEY_ID);
    if (fake->is_disabled)
        return -EKEYREVOKED;
    if (wrapped.size != WRAPPED_BYTES ||
        load_be64(wrapped.data + 1 + FS_DATA_KEY_BYTES) != sum_of(wrapped.data, binding))
        return -EBADMSG;
    for (size_t i = 0; i < FS_DATA_KEY_BYTES; i++)
        out_data_key[i] = (uint8_t)(wrapped.data[1 + i] - 1);
    return wrapped.data[0] != fake->version ? 1 : 0;
}

void fake_keeper_init(struct fake_keeper *fake)
{
    *fake = (struct fake_keeper){
        .keeper = { .context = fake, .wrap = fake_wrap, .unwrap = fake_unwrap }, .version = 1
    };
}
