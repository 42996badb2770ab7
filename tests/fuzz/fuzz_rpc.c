/*
 * tests/fuzz/fuzz_rpc.c - any bytes as a call header, as a reply header, and a call that was read must be written
 * back as the same header.
 */
#include "rpc/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 1u << 16);
    struct xdr_decoder dec = xdr_decoder_of(slice_of(data, size), &arena);
    struct rpc_call call = { 0 };
    bool known = rpc_get_call(&dec, &call) == 0 &&
                 (call.cred.flavor == RPC_AUTH_NONE || call.cred.flavor == RPC_AUTH_SYS);
    if (known) {
        struct xdr_encoder enc;
        xdr_encoder_init(&enc, &arena, 4096);
        rpc_put_call(&enc, &call);
        assert(!enc.failed);
        struct rpc_call again = { 0 };
        dec = xdr_decoder_of(slice_of(enc.data, enc.size), &arena);
        int err = rpc_get_call(&dec, &again);
        assert(err == 0 && again.xid == call.xid && again.procedure == call.procedure);
        assert(again.cred.group_count == call.cred.group_count);
        (void)err;
    }
    uint32_t xid;
    dec = xdr_decoder_of(slice_of(data, size), &arena);
    (void)rpc_get_reply(&dec, &xid); /* only that it ends */
    arena_fini(&arena);
    return 0;
}
