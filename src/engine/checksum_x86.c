/*
 * engine/checksum_x86.c - asks an x86 processor what it can do (room: engine).
 */
#include "engine/checksum_avx2.h"

bool checksum_avx2_is_usable(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
