/* parquet/bytes_out.c - bytes that grow at their end (room: parquet). */
#include "parquet/bytes_out.h"

#include <endian.h>
#include <stdlib.h>

#define CAPACITY_MIN 256u

uint8_t *bytes_out_room(struct bytes_out *out, size_t size)
{
    if (out->failed)
        return NULL;
    if (size <= out->capacity - out->size && out->data != NULL)
        return out->data + out->size;
    size_t capacity = out->capacity < CAPACITY_MIN ? CAPACITY_MIN : out->capacity;
    while (capacity - out->size < size && capacity <= SIZE_MAX / 4)
        capacity *= 2;
    uint8_t *data = capacity - out->size < size ? NULL : realloc(out->data, capacity);
    if (data == NULL) {
        out->failed = true;
        return NULL;
    }
    out->data = data;
    out->capacity = capacity;
    return data + out->size;
}

void bytes_out_put(struct bytes_out *out, const void *data, size_t size)
{
    uint8_t *room = bytes_out_room(out, size);
    if (room == NULL || size == 0)
        return;
    memcpy(room, data, size);
    out->size += size;
}

void bytes_out_put_u8(struct bytes_out *out, uint8_t value)
{
    bytes_out_put(out, &value, 1);
}

void bytes_out_put_le32(struct bytes_out *out, uint32_t value)
{
    value = htole32(value);
    bytes_out_put(out, &value, sizeof value);
}

void bytes_out_put_varint(struct bytes_out *out, uint64_t value)
{
    uint8_t *room = bytes_out_room(out, 10);
    if (room == NULL)
        return;
    for (; value >= 0x80; value >>= 7) {
        *room++ = (uint8_t)(value | 0x80);
        out->size++;
    }
    *room = (uint8_t)value;
    out->size++;
}

void bytes_out_put_zigzag(struct bytes_out *out, int64_t value)
{
    bytes_out_put_varint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

void bytes_out_fini(struct bytes_out *out)
{
    free(out->data);
    *out = (struct bytes_out){ 0 };
}
