/*
 * tests/fuzz/fuzz_conversation.c - whole conversations of four clients (4.0, 4.1 and 4.2) with the server, with
 * restarts, lost connections, time that passes, retries and wrong numbers.
 *
 * Checked: every reply and every callback can be decoded; a status comes only from operations that have it; a retry in
 * a session gets the same bytes; a wrong SEQUENCE is refused; limits hold; and when all clients are gone, nothing is left.
 */
#include "tests/fuzz/conversation.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talk talk;
    talk_start(&talk);
    for (size_t at = 0; at + STEP_SIZE <= size && at < (size_t)STEP_MAX * STEP_SIZE;
         at += STEP_SIZE) {
        struct step step;
        memcpy(&step, data + at, sizeof step);
        talk_step(&talk, &step);
    }
    talk_end(&talk);
    return 0;
}

/* xorshift: rand() is libFuzzer's business. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Moves, doubles and drops whole steps, so that the bytes after them keep their meaning; half of the time changes the
 * bytes of one step. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    uint32_t random = seed | 1;
    size_t count = size / STEP_SIZE;
    size_t count_max = size_max / STEP_SIZE < STEP_MAX ? size_max / STEP_SIZE : STEP_MAX;
    if (count == 0 || count > count_max || next_random(&random) % 16 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    uint8_t *one = data + next_random(&random) % count * STEP_SIZE;
    uint8_t *other = data + next_random(&random) % count * STEP_SIZE;
    uint8_t saved[STEP_SIZE];
    memcpy(saved, one, STEP_SIZE);
    switch (next_random(&random) % 8) {
    case 0: /* a step more, like another */
    case 1:
        if (count == count_max)
            break;
        memmove(other + STEP_SIZE, other, (size_t)(data + count * STEP_SIZE - other));
        memcpy(other, saved, STEP_SIZE);
        return (count + 1) * STEP_SIZE;
    case 2: /* one less */
        memmove(one, one + STEP_SIZE, (size_t)(data + count * STEP_SIZE - one) - STEP_SIZE);
        return (count - 1) * STEP_SIZE;
    case 3: /* another order */
        memcpy(one, other, STEP_SIZE);
        memcpy(other, saved, STEP_SIZE);
        return count * STEP_SIZE;
    case 4: /* the same of another client */
        one[1] ^= 1u + next_random(&random) % 3;
        return count * STEP_SIZE;
    default:
        break;
    }
    (void)LLVMFuzzerMutate(one, STEP_SIZE, STEP_SIZE);
    return count * STEP_SIZE;
}
