/*
 * engine/gcm_fast_ipsec.c - AES-256-GCM by Intel's multi-buffer crypto library (room: engine).
 *
 * Its calls for one whole message keep no state but the key's, so one manager, which is a table of functions for this processor,
 * serves all threads.
 */
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "engine/gcm_fast.h"

#define FEATURES (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_AVX2)

struct gcm_fast {
    struct gcm_key_data key; /* aligned to 64 */
    struct gcm_context_data context;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static IMB_MGR *manager; /* NULL: not for this machine; made once, kept for the process */

static void make_manager(void)
{
    IMB_ARCH arch;
    IMB_MGR *made = alloc_mb_mgr(0);
    if (made == NULL)
        return;
    if ((made->features & FEATURES) == FEATURES)
        init_mb_mgr_auto(made, &arch);
    if ((made->features & FEATURES) != FEATURES || imb_get_errno(made) != 0)
        free_mb_mgr(made);
    else
        manager = made;
}

struct gcm_fast *gcm_fast_new(const uint8_t key[GCM_KEY_BYTES])
{
    (void)pthread_once(&once, make_manager);
    if (manager == NULL)
        return NULL;
    struct gcm_fast *fast = aligned_alloc(64, round_up(sizeof *fast, 64));
    if (fast == NULL)
        return NULL;
    memset(fast, 0, sizeof *fast);
    IMB_AES256_GCM_PRE(manager, key, &fast->key);
    return fast;
}

void gcm_fast_free(struct gcm_fast *fast)
{
    if (fast == NULL)
        return;
    OPENSSL_cleanse(fast, sizeof *fast);
    free(fast);
}

void gcm_fast_seal(struct gcm_fast *fast, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *out_tag)
{
    IMB_AES256_GCM_ENC(manager, &fast->key, &fast->context, to, from.data, from.size, nonce,
        extra.data, extra.size, out_tag, GCM_TAG_BYTES);
}

void gcm_fast_open(struct gcm_fast *fast, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *out_tag)
{
    IMB_AES256_GCM_DEC(manager, &fast->key, &fast->context, to, from.data, from.size, nonce,
        extra.data, extra.size, out_tag, GCM_TAG_BYTES);
}
