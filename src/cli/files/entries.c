/* cli/files/entries.c - the entries of one directory (room: cli). */
#include "cli/files/entries.h"

#include <stdlib.h>

static int add(void *context, struct slice name, const struct tree_attr *attr, int error)
{
    struct entries *entries = context;
    if (entries->count == entries->room) {
        size_t room = entries->room == 0 ? 64 : entries->room * 2;
        struct entry *grown = reallocarray(entries->list, room, sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        entries->list = grown;
        entries->room = room;
    }
    struct entry *entry = &entries->list[entries->count];
    *entry = (struct entry){ .attr = *attr, .error = error };
    entry->name = strndup((const char *)name.data, name.size);
    if (entry->name == NULL)
        return -ENOMEM;
    entries->count++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

int entries_read(struct tree *tree, const struct tree_dir *dir, struct entries *out_entries)
{
    struct entries entries = { 0 };
    int err = tree->ops->list(tree, dir, add, &entries);
    if (err < 0) {
        entries_free(&entries);
        return err;
    }
    if (entries.count > 0)
        qsort(entries.list, entries.count, sizeof *entries.list, by_name);
    *out_entries = entries;
    return 0;
}

void entries_free(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->list[i].name);
    free(entries->list);
    *entries = (struct entries){ 0 };
}
