/*
 * Every described type, with random values: what was encoded is decoded to the same, from all of the bytes
 * and from nothing less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "filler.h"
#include "flatten.h"

#define ROUNDS          50
#define VALUE_SIZE_MAX  4096
#define ARENA_BYTES_MAX (64 * MIB)

union value {
    uint64_t alignment;
    uint8_t bytes[VALUE_SIZE_MAX];
};

struct fixture {
    struct arena arena;
    struct filler filler;
    union value value;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){ 0 };
    arena_init(&fixture.arena, ARENA_BYTES_MAX);
    fixture.filler.arena = &fixture.arena;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_fini(&f->arena);
    return 0;
}

/* The bytes of a random value. */
static struct slice encode_random(struct fixture *f, const struct filler_row *row)
{
    assert_true(row->size <= VALUE_SIZE_MAX);
    row->fill(&f->filler, &f->value);
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &f->arena, ARENA_BYTES_MAX);
    row->put(&enc, &f->value);
    return flatten(&enc, &f->arena);
}

static void every_type_decodes_to_what_was_encoded(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < filler_row_count * ROUNDS; i++) {
        const struct filler_row *row = &filler_rows[i / ROUNDS];
        arena_reset(&f->arena);
        struct slice bytes = encode_random(f, row);
        struct xdr_decoder dec = xdr_decoder_of(bytes, &f->arena);
        memset(&f->value, 0xaa, sizeof f->value);
        if (!row->get(&dec, &f->value) || xdr_left(&dec) != 0)
            fail_msg("%s: %zu of %zu bytes left", row->name, xdr_left(&dec), bytes.size);
        struct xdr_encoder again;
        xdr_encoder_init(&again, &f->arena, ARENA_BYTES_MAX);
        row->put(&again, &f->value);
        if (!slice_equal(flatten(&again, &f->arena), bytes))
            fail_msg("%s: encodes to other bytes", row->name);
    }
}

static void no_type_decodes_from_a_part_of_its_bytes(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < filler_row_count; i++) {
        const struct filler_row *row = &filler_rows[i];
        arena_reset(&f->arena);
        struct slice bytes = encode_random(f, row);
        for (size_t size = 0; size < bytes.size; size += 1 + size / 64) {
            struct xdr_decoder dec = xdr_decoder_of(slice_of(bytes.data, size), &f->arena);
            if (row->get(&dec, &f->value))
                fail_msg("%s: decoded from %zu of %zu bytes", row->name, size, bytes.size);
        }
    }
}

static void changed_bytes_never_harm(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < filler_row_count * ROUNDS; i++) {
        const struct filler_row *row = &filler_rows[i / ROUNDS];
        arena_reset(&f->arena);
        struct slice bytes = encode_random(f, row);
        uint8_t *changed = arena_copy(&f->arena, bytes);
        assert_non_null(changed);
        changed[filler_below(&f->filler, (uint32_t)bytes.size)] =
            (uint8_t)filler_number(&f->filler);
        struct xdr_decoder dec = xdr_decoder_of(slice_of(changed, bytes.size), &f->arena);
        (void)row->get(&dec, &f->value); /* either answer is right; the sanitizers watch */
        assert_false(dec.no_memory);
    }
}

static void failures_to_get_memory_are_told_from_wrong_bytes(void **state)
{
    struct fixture *f = *state;
    const struct stateid4 stateids[3] = { { .seqid = 1 } };
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, &f->arena, ARENA_BYTES_MAX);
    xdr_put_u32(&enc, ARRAY_SIZE(stateids));
    for (size_t i = 0; i < ARRAY_SIZE(stateids); i++)
        xdr_put_stateid4(&enc, &stateids[i]);

    struct arena small;
    arena_init(&small, 32);
    struct TEST_STATEID4args args;
    struct xdr_decoder dec = xdr_decoder_of(slice_of(enc.data, enc.size), &small);
    assert_false(xdr_get_TEST_STATEID4args(&dec, &args));
    assert_true(dec.no_memory);
    arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_type_decodes_to_what_was_encoded, setup, teardown),
        cmocka_unit_test_setup_teardown(no_type_decodes_from_a_part_of_its_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_bytes_never_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(
            failures_to_get_memory_are_told_from_wrong_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
