/* tests/bench/op_common.c - names, OPEN, CLOSE and attributes, as all workloads use them. */
#include <stdlib.h>

#include "bench.h"

/* What a Linux client asks of each file it looks at: type, change, size, fsid, fileid, and mode, link
 * count, owners, device, space used, times, mounted-on fileid. */
#define ATTRIBUTES_LOW  0x0010011au
#define ATTRIBUTES_HIGH 0x00b0a23au
#define FILEID_AT       (4 + 8 + 8 + 16) /* behind type, change, size and fsid */

uint64_t conn_random(struct conn *conn)
{
    uint64_t value = conn->random += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

uint8_t *slot_data(struct slot *slot)
{
    if (slot->data == NULL)
        slot->data = malloc(IO_SIZE_MAX);
    assert(slot->data != NULL); /* a bench without memory has no result to save */
    return slot->data;
}

struct slice file_name(char kind, uint64_t number, char out_name[16])
{
    /* By hand: snprintf() would cost more than all the rest of the request. */
    out_name[0] = kind;
    for (size_t i = 9; i > 0; i--) {
        out_name[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return slice_of(out_name, 10);
}

void request_add_open(
    struct conn *conn, struct slot *slot, struct request *request, char kind, bool creates)
{
    char name[16];
    char owner[16];
    uint32_t bits[2] = { 0, 1u << (FATTR4_MODE - 32) };
    static const uint8_t mode[4] = { 0, 0, 0x1, 0xa4 }; /* 0644 */
    union nfs_argop4 args;
    args.opopen = (struct OPEN4args){
        .share_access = OPEN4_SHARE_ACCESS_BOTH | OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
        .share_deny = OPEN4_SHARE_DENY_NONE,
        .owner = { .clientid = conn->clientid, .owner = file_name('o', slot->index, owner) },
        .openhow = { .opentype = creates ? OPEN4_CREATE : OPEN4_NOCREATE },
        .claim = { .claim = CLAIM_NULL, .file = file_name(kind, slot->number, name) },
    };
    if (creates)
        args.opopen.openhow.how = (struct createhow4){ .mode = UNCHECKED4,
            .createattrs = { .attrmask = { .count = 2, .items = bits },
                .attr_vals = slice_of(mode, sizeof mode) } };
    request_add(request, OP_OPEN, &args);
}

bool reply_read_open(struct reply *reply, struct slot *slot)
{
    union nfs_resop4 result;
    if (!reply_read(reply, OP_OPEN, &result))
        return false;
    slot->open_stateid = result.opopen.resok4.stateid;
    return true;
}

void request_add_close(struct slot *slot, struct request *request)
{
    const union nfs_argop4 args = { .opclose = { .open_stateid = slot->open_stateid } };
    request_add(request, OP_CLOSE, &args);
}

void request_add_getattr(struct request *request)
{
    uint32_t bits[2] = { ATTRIBUTES_LOW, ATTRIBUTES_HIGH };
    const union nfs_argop4 args = { .opgetattr = {
                                        .attr_request = { .count = 2, .items = bits } } };
    request_add(request, OP_GETATTR, &args);
}

bool attributes_match(const struct fattr4 *attributes, uint64_t *out_fileid)
{
    if (attributes->attrmask.count < 2 || attributes->attrmask.items[0] != ATTRIBUTES_LOW ||
        attributes->attrmask.items[1] != ATTRIBUTES_HIGH ||
        attributes->attr_vals.size < FILEID_AT + 8)
        return false;
    *out_fileid = load_be64(attributes->attr_vals.data + FILEID_AT);
    return true;
}
