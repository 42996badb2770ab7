/*
 * datastore/files/names.c - names of symbols, strategies and checkpoints as parts of file names (room: datastore).
 */
#include "datastore/files/files.h"

static const char escaped_bytes[] = "/%:*?\"<>|";
static const char digits[] = "0123456789ABCDEF";

void files_escape(char *to, const char *name, bool is_part)
{
    for (; *name != '\0'; name++) {
        if (strchr(escaped_bytes, *name) == NULL && !(is_part && *name == '_')) {
            *to++ = *name;
            continue;
        }
        *to++ = '%';
        *to++ = digits[(unsigned char)*name >> 4];
        *to++ = digits[(unsigned char)*name & 15];
    }
    *to = '\0';
}

static int digit_of(char c)
{
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

int files_unescape(char *to, const char *name, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (c == '%') {
            int high = i + 2 < size ? digit_of(name[i + 1]) : -1; /* -1: cut off at the end */
            int low = i + 2 < size ? digit_of(name[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (used >= DATA_NAME_SIZE_MAX || c == '\0')
            return -EINVAL;
        to[used++] = c;
    }
    to[used] = '\0';
    return data_check_name("name", to, NULL) == SHOAL_DATA_OK ? 0 : -EINVAL;
}
