/*
 * auth/text_builder.h - a heap text that grows; an allocation that fails is remembered until the end.
 * Callers bound what they add: requests have a bounded size.
 */
#pragma once

#include "base/base.h"

/* All zero is the empty text. */
struct text_builder {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void text_builder_bytes(struct text_builder *text, const char *bytes, size_t size);
void text_builder_text(struct text_builder *text, const char *string);
void text_builder_byte(struct text_builder *text, char byte);
/* The NUL-terminated text, now the caller's to free; NULL when an allocation failed. */
MUST_CHECK char *text_builder_take(struct text_builder *text);
