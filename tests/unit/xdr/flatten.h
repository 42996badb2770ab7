/* tests/unit/xdr/flatten.h - an encoder's buffer and references as the bytes that a socket would carry. */
#pragma once

#include "xdr/xdr.h"

/* The bytes live in `arena`. Ends the process when it is used up. */
struct slice flatten(const struct xdr_encoder *enc, struct arena *arena);
