/* engine/gcm_fast_none.c - there is nothing faster than OpenSSL (room: engine). */
#include <stdlib.h>

#include "engine/gcm_fast.h"

struct gcm_fast *gcm_fast_new(const uint8_t key[GCM_KEY_BYTES])
{
    (void)key;
    return NULL;
}

void gcm_fast_free(struct gcm_fast *fast)
{
    assert(fast == NULL);
}

void gcm_fast_seal(struct gcm_fast *fast, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *out_tag)
{
    (void)fast, (void)nonce, (void)extra, (void)from, (void)to, (void)out_tag;
    abort(); /* nobody has one */
}

void gcm_fast_open(struct gcm_fast *fast, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *out_tag)
{
    (void)fast, (void)nonce, (void)extra, (void)from, (void)to, (void)out_tag;
    abort();
}
