/*
 * nfs/names.c - which names the protocol accepts (room: NFS).
 *
 * Sources: RFC 8881 sections 14.5 and 18.13.3 ("." and ".." are no names a client may look up).
 */
#include "nfs/names.h"

#include "fs/fs.h"

enum nfsstat4 name_check(struct slice name)
{
    if (name.size == 0)
        return NFS4ERR_INVAL;
    if (name.size > FS_NAME_SIZE_MAX)
        return NFS4ERR_NAMETOOLONG;
    if (name.data[0] == '.' && (name.size == 1 || (name.size == 2 && name.data[1] == '.')))
        return NFS4ERR_BADNAME;
    if (memchr(name.data, '/', name.size) != NULL || memchr(name.data, '\0', name.size) != NULL)
        return NFS4ERR_BADCHAR;
    return NFS4_OK;
}

enum nfsstat4 name_check_symlink(struct slice target, size_t size_max)
{
    if (target.size == 0)
        return NFS4ERR_INVAL;
    if (target.size > size_max)
        return NFS4ERR_NAMETOOLONG;
    if (memchr(target.data, '\0', target.size) != NULL)
        return NFS4ERR_INVAL;
    return NFS4_OK;
}

/* The size of the character that `data` begins with; 0: it is none. */
static size_t utf8_size(const uint8_t *data, size_t left)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least; /* below it, a shorter form exists */
    } forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 },
        { 0xf8, 0xf0, 0x10000 } };
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if ((data[0] & forms[i].mask) != forms[i].lead)
            continue;
        if (left < i + 1)
            return 0;
        uint32_t code = data[0] & (uint8_t)~forms[i].mask;
        for (size_t next = 1; next <= i; next++) {
            if ((data[next] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (data[next] & 0x3f);
        }
        bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
        return code >= forms[i].least && code <= 0x10ffff && !is_surrogate ? i + 1 : 0;
    }
    return 0;
}

bool name_is_utf8(struct slice text)
{
    size_t at = 0;
    while (at < text.size) {
        size_t size = utf8_size(text.data + at, text.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}
