/*
 * cli/files/cmd_stat.c - shoal stat: all attributes of a file (room: cli).
 */
#include <inttypes.h>

#include "cli/files/format.h"
#include "cli/files/remote.h"

static void print_table(const struct place *place, const struct tree_attr *attr,
    const struct nfs_attr *nfs, const char *target)
{
    char text[FORMAT_SIZE];
    (void)printf("       name  ");
    format_print_name(place->word);
    if (attr->type == TREE_SYMLINK) {
        (void)printf(" -> ");
        format_print_name(target);
    }
    (void)printf("\n       type  %s\n", format_type(attr->type));
    (void)printf("       mode  %04o (%s)\n", attr->mode, format_mode(text, attr->type, attr->mode));
    (void)printf("      owner  %u:%u\n", attr->uid, attr->gid);
    (void)printf("       size  %" PRIu64 " bytes (%s)\n", attr->size_bytes,
        format_bytes(text, attr->size_bytes));
    (void)printf("      space  %" PRIu64 " bytes (%s)\n", attr->space_used_bytes,
        format_bytes(text, attr->space_used_bytes));
    (void)printf("      links  %u\n", attr->link_count);
    if (attr->type == TREE_BLOCK || attr->type == TREE_CHARACTER)
        (void)printf("     device  %u, %u\n", attr->device_major, attr->device_minor);
    (void)printf("    file id  %" PRIu64 "\n", attr->inode);
    (void)printf("file system  %" PRIx64 ":%" PRIx64 "\n", nfs->fsid.major, nfs->fsid.minor);
    (void)printf("   accessed  %s\n", format_time(text, attr->atime));
    (void)printf("   modified  %s\n", format_time(text, attr->mtime));
    (void)printf("    changed  %s\n", format_time(text, attr->ctime));
    (void)printf("     change  %" PRIu64 "\n", nfs->change);
}

static json_t *make_json(const struct place *place, const struct tree_attr *attr,
    const struct nfs_attr *nfs, const char *target)
{
    char handle[2 * NFS4_FHSIZE + 1] = "";
    for (uint32_t i = 0; i < nfs->fh.size; i++)
        (void)snprintf(handle + 2 * i, 3, "%02x", nfs->fh.data[i]); /* fits */
    json_t *json = format_attr_json(place->word, attr);
    if (json == NULL ||
        json_object_set_new(json, "change", json_integer((json_int_t)nfs->change)) < 0 ||
        json_object_set_new(json, "handle", json_string(handle)) < 0) {
        json_decref(json);
        return NULL;
    }
    if (attr->type == TREE_SYMLINK)
        (void)json_object_set_new(json, "target", json_string(target)); /* left out when no UTF-8 */
    return json;
}

static int look_at(struct remotes *remotes, const char *word, json_t *list, bool *is_first)
{
    struct place place;
    struct remote *remote;
    struct nfs_attr nfs;
    struct tree_attr attr;
    char target[TREE_LINK_SIZE_MAX + 1] = "";
    int status = place_parse_remote(word, &place);
    if (status == CLI_OK)
        status = remotes_find(remotes, &place, &remote);
    if (status == CLI_OK)
        status = remote_lookup(remote, &place, &nfs);
    if (status != CLI_OK)
        return status;
    tree_attr_of_nfs(&nfs, &attr);
    if (nfs.type == NF4LNK) {
        size_t size = 0;
        int err = nfs_node_readlink(remote->client, &nfs.fh, target, sizeof target - 1, &size);
        target[err < 0 ? 0 : size] = '\0';
    }
    if (list != NULL) {
        json_t *json = make_json(&place, &attr, &nfs, target);
        return json == NULL || json_array_append_new(list, json) < 0
                   ? cli_fail("There is no memory left.")
                   : CLI_OK;
    }
    if (!*is_first)
        (void)putchar('\n');
    *is_first = false;
    print_table(&place, &attr, &nfs, target);
    return CLI_OK;
}

int cmd_stat(int argc, char **argv)
{
    bool as_json = false;
    struct remote_options options = { 0 };
    struct cli_option rows[] = { REMOTE_OPTIONS(options),
        { .name = "--json", .is_given = &as_json } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 2)
        return cli_usage("Which file? For example: shoal stat default:/");
    struct remotes remotes;
    remotes_init(&remotes, &options);
    json_t *list = as_json ? json_array() : NULL;
    bool is_first = true;
    for (int i = 1; i < argc; i++) {
        int result = look_at(&remotes, argv[i], list, &is_first);
        status = result != CLI_OK ? result : status;
    }
    if (as_json) {
        int printed = format_print_json(list);
        status = status == CLI_OK ? printed : status;
    }
    remotes_close(&remotes);
    return status;
}
