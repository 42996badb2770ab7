/*
 * tests/fuzz/fuzz_efs_proxy_xdr.c - the generated codec of program 400123 on any bytes: it must not harm, and what it
 * accepts must encode and decode to the same. First byte: which of the types.
 */
#include <stdlib.h>

#include "flatten.h"
#include "xdr/efs_proxy_xdr.h"

#define ARENA_BYTES_MAX (1 * MIB)
#define FUZZ_ONE(name)                                                       \
    static bool name##_one(struct xdr_decoder *dec, struct xdr_encoder *enc) \
    {                                                                        \
        struct name value;                                                   \
        if (!xdr_get_##name(dec, &value))                                    \
            return false;                                                    \
        xdr_put_##name(enc, &value);                                         \
        return true;                                                         \
    }

FUZZ_ONE(ProxyIdentifier)
FUZZ_ONE(BindClientResponse)
FUZZ_ONE(AwsFileChannelInitArgs)
FUZZ_ONE(AwsFileChannelInitRes)

typedef bool (*fuzz_one)(struct xdr_decoder *, struct xdr_encoder *);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const fuzz_one all[] = { ProxyIdentifier_one, BindClientResponse_one,
        AwsFileChannelInitArgs_one, AwsFileChannelInitRes_one };
    if (size < 1)
        return 0;
    fuzz_one one = all[data[0] % ARRAY_SIZE(all)];
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct xdr_decoder dec = xdr_decoder_of(slice_of(data + 1, size - 1), &arena);
    struct xdr_encoder first;
    xdr_encoder_init(&first, &arena, ARENA_BYTES_MAX);
    if (one(&dec, &first) && !first.failed) {
        struct slice bytes = flatten(&first, &arena);
        struct xdr_encoder second;
        xdr_encoder_init(&second, &arena, ARENA_BYTES_MAX);
        dec = xdr_decoder_of(bytes, &arena);
        if (!one(&dec, &second) || xdr_left(&dec) != 0 ||
            !slice_equal(flatten(&second, &arena), bytes))
            abort();
    }
    arena_fini(&arena);
    return 0;
}
