/*
 * tests/lib/fake_keeper.h - a keeper of keys for tests: one key, that can be rotated and taken away.
 *
 * It hides nothing: what it "wraps" is the data key with a number added to each byte, and a sum over all.
 */
#pragma once

#include <stdatomic.h>

#include "fs/volumes.h"

#define FAKE_KEY_ID "key-1"

struct fake_keeper {
    struct fs_keeper keeper;
    _Atomic bool is_disabled;
    _Atomic uint8_t version;
    _Atomic unsigned wrap_count;
};

void fake_keeper_init(struct fake_keeper *fake);
