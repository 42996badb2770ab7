/*
 * tests/fuzz/fuzz_nfs4_xdr.c - the generated codec on any bytes: it must not harm, and what it accepts must
 * encode and decode to the same. First byte: which of the four unions; second: the operation.
 */
#include <stdlib.h>

#include "flatten.h"
#include "xdr/nfs4_xdr.h"

#define ARENA_BYTES_MAX (16 * MIB)
#define FUZZ_ONE(name)                                                                        \
    static bool name##_one(struct xdr_decoder *dec, uint32_t opcode, struct xdr_encoder *enc) \
    {                                                                                         \
        union name value;                                                                     \
        if (!name##_decode(dec, opcode, &value))                                              \
            return false;                                                                     \
        name##_encode(enc, opcode, &value);                                                   \
        return true;                                                                          \
    }

FUZZ_ONE(nfs_argop4)
FUZZ_ONE(nfs_resop4)
FUZZ_ONE(nfs_cb_argop4)
FUZZ_ONE(nfs_cb_resop4)

typedef bool (*fuzz_one)(struct xdr_decoder *, uint32_t, struct xdr_encoder *);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const fuzz_one all[] = { nfs_argop4_one, nfs_resop4_one, nfs_cb_argop4_one,
        nfs_cb_resop4_one };
    if (size < 2)
        return 0;
    fuzz_one one = all[data[0] % ARRAY_SIZE(all)];
    uint32_t opcode = data[1];
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct xdr_decoder dec = xdr_decoder_of(slice_of(data + 2, size - 2), &arena);
    struct xdr_encoder first;
    xdr_encoder_init(&first, &arena, ARENA_BYTES_MAX);
    if (one(&dec, opcode, &first) && !first.failed) {
        struct slice bytes = flatten(&first, &arena);
        struct xdr_encoder second;
        xdr_encoder_init(&second, &arena, ARENA_BYTES_MAX);
        dec = xdr_decoder_of(bytes, &arena);
        if (!one(&dec, opcode, &second) || xdr_left(&dec) != 0 ||
            !slice_equal(flatten(&second, &arena), bytes))
            abort();
    }
    arena_fini(&arena);
    return 0;
}
