/*
 * auth/text_builder.c - a heap text that grows (room: auth).
 */
#include "auth/text_builder.h"

#include <stdlib.h>

#define CAPACITY_MIN 256

void text_builder_bytes(struct text_builder *text, const char *bytes, size_t size)
{
    if (text->failed)
        return;
    if (size > text->capacity - text->size) {
        size_t capacity = text->capacity < CAPACITY_MIN ? CAPACITY_MIN : text->capacity;
        while (capacity - text->size < size)
            capacity *= 2;
        char *data = realloc(text->data, capacity);
        if (data == NULL) {
            text->failed = true;
            return;
        }
        text->data = data;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
}

void text_builder_text(struct text_builder *text, const char *string)
{
    text_builder_bytes(text, string, strlen(string));
}

void text_builder_byte(struct text_builder *text, char byte)
{
    text_builder_bytes(text, &byte, 1);
}

char *text_builder_take(struct text_builder *text)
{
    text_builder_byte(text, '\0');
    char *data = text->data;
    if (text->failed) {
        free(data);
        data = NULL;
    }
    *text = (struct text_builder){ 0 };
    return data;
}
