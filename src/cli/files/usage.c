/*
 * cli/files/usage.c - what the server has counted of directories (room: cli).
 *
 * A server of ours has the extended attribute "shoal.usage" on each directory: numbers with names, and blanks between
 * them (docs/compat.md). Names that are not known are passed over.
 */
#include "cli/files/usage.h"

#include <stdlib.h>

#include "base/text.h"
#include "client/dir.h"
#include "client/xattr.h"
#include "transfer/tree.h"

/* One "name=number". Errors: -EBADMSG. */
static int take_pair(char *pair, struct usage *usage)
{
    char *number = strchr(pair, '=');
    uint64_t value;
    if (number == NULL)
        return -EBADMSG;
    *number++ = '\0';
    if (text_parse_u64(number, UINT64_MAX, &value) < 0)
        return -EBADMSG;
    if (strcmp(pair, "bytes") == 0)
        usage->space_bytes = value;
    else if (strcmp(pair, "files") == 0 || strcmp(pair, "directories") == 0 ||
             strcmp(pair, "others") == 0)
        usage->entries += value;
    return 0;
}

int usage_get(struct nfs_client *client, const struct nfs_fh *directory, struct usage *out_usage)
{
    struct nfs_xattr value;
    struct usage usage = { 0 };
    int err = nfs_xattr_get(client, directory, slice_str("shoal.usage"), &value);
    if (err == 0 && value.size == sizeof value.bytes)
        err = -EBADMSG;
    if (err < 0)
        return err;
    value.bytes[value.size] = '\0';
    char *rest = (char *)value.bytes;
    char *pair;
    while (err == 0 && (pair = strsep(&rest, " ")) != NULL)
        err = take_pair(pair, &usage);
    if (err == 0)
        *out_usage = usage;
    return err;
}

struct found {
    char *path;
    struct nfs_fh fh;
    uint64_t depth;
    struct usage usage;
};

struct finding {
    struct nfs_client *client;
    struct found *list; /* each behind the one it is in */
    size_t count, capacity;
    size_t at; /* the one that is listed */
};

static int add(struct finding *finding, char *path, const struct nfs_fh *fh, uint64_t depth)
{
    if (finding->count == finding->capacity) {
        size_t capacity = 2 * finding->capacity + 64;
        struct found *larger = realloc(finding->list, capacity * sizeof *larger);
        if (larger == NULL) {
            free(path);
            return -ENOMEM;
        }
        finding->list = larger;
        finding->capacity = capacity;
    }
    finding->list[finding->count++] = (struct found){ .path = path, .fh = *fh, .depth = depth };
    return path == NULL ? -ENOMEM : 0;
}

static int take_entry(void *context, struct slice name, const struct nfs_attr *attr)
{
    struct finding *finding = context;
    const struct found *parent = &finding->list[finding->at];
    char text[TREE_NAME_SIZE_MAX + 1];
    if (attr->error != 0 || attr->type != NF4DIR)
        return 0;
    if (name.size > TREE_NAME_SIZE_MAX)
        return -ENAMETOOLONG;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return add(finding, tree_join(parent->path, text), &attr->fh, parent->depth + 1);
}

int usage_list(struct nfs_client *client, const struct nfs_fh *directory, uint64_t depth_max,
    usage_emit *emit, void *context)
{
    struct finding finding = { .client = client };
    int err = add(&finding, strdup(""), directory, 0);
    for (; err == 0 && finding.at < finding.count; finding.at++) {
        struct nfs_fh fh = finding.list[finding.at].fh; /* the list may move */
        err = usage_get(client, &fh, &finding.list[finding.at].usage);
        if (err == 0 && finding.list[finding.at].depth < depth_max)
            err = nfs_dir_list(client, &fh, take_entry, &finding);
    }
    for (size_t i = finding.count; i-- > 0;) {
        if (err == 0)
            emit(context, finding.list[i].path, &finding.list[i].usage);
        free(finding.list[i].path);
    }
    free(finding.list);
    return err;
}
