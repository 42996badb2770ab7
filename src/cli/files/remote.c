/*
 * cli/files/remote.c - finding servers, connecting, looking up (room: cli).
 */
#include "cli/files/remote.h"

#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

#define NFS_PORT        2049u
#define HTTP_OK         200
#define GROUPS_MAX      16
#define CONNECTIONS_MAX 16u
#define GIVE_UP_MS      (60u * 1000)
#define LINKS_MAX       32  /* that one path may lead through */
#define NAMES_MAX       512 /* that a wrong one is compared with */

void remotes_init(struct remotes *remotes, const struct remote_options *options)
{
    *remotes = (struct remotes){ .options = *options };
}

void remotes_close(struct remotes *remotes)
{
    for (unsigned i = 0; i < remotes->count; i++)
        nfs_client_close(remotes->list[i].client);
    remotes->count = 0;
    if (remotes->has_api)
        instance_close(&remotes->instance);
    json_decref(remotes->file_systems);
}

int remote_fail(const struct place *place, const char *doing, int error)
{
    return cli_fail("Cannot %s %s: %s.", doing, place->word, strerrordesc_np(-error));
}

static int parse_connections(const struct remotes *remotes, unsigned *out_count)
{
    uint64_t count = 0;
    const char *text = remotes->options.connections;
    if (text != NULL && (text_parse_u64(text, CONNECTIONS_MAX, &count) < 0 || count == 0))
        return cli_usage("--connections takes 1 to %u, not %s.", CONNECTIONS_MAX, text);
    *out_count = (unsigned)count;
    return CLI_OK;
}

static int explain_connect(const char *host, uint16_t port, int err)
{
    switch (err) {
    case -ECONNREFUSED:
        return cli_fail("Nothing serves NFS at %s port %u: connection refused.", host, port);
    case -EHOSTUNREACH:
        return cli_fail("The address %s cannot be found.", host);
    case -EPROTONOSUPPORT:
        return cli_fail("The server at %s port %u does not speak NFSv4.1.", host, port);
    default:
        return cli_fail("Cannot connect to %s port %u: %s.", host, port, strerrordesc_np(-err));
    }
}

/* UID or UID:GID; the group is the user's number when it is not given. */
static int parse_as(const char *text, uint32_t *out_uid, uint32_t *out_gid)
{
    char uid_text[16];
    uint64_t uid;
    uint64_t gid;
    size_t size = strcspn(text, ":");
    const char *gid_text = text[size] == ':' ? text + size + 1 : NULL;
    bool valid = size < sizeof uid_text;
    if (valid) {
        memcpy(uid_text, text, size);
        uid_text[size] = '\0';
        valid = text_parse_u64(uid_text, UINT32_MAX, &uid) == 0 &&
                text_parse_u64(gid_text == NULL ? uid_text : gid_text, UINT32_MAX, &gid) == 0;
    }
    if (!valid)
        return cli_usage("--as %s: write numbers, UID or UID:GID, e.g. 1000:1000.", text);
    *out_uid = (uint32_t)uid;
    *out_gid = (uint32_t)gid;
    return CLI_OK;
}

/* The groups of the user who runs the command. */
static uint32_t own_groups(uint32_t groups[GROUPS_MAX])
{
    gid_t all[1024];
    int count = getgroups(ARRAY_SIZE(all), all);
    uint32_t used = 0;
    for (int i = 0; i < count && used < GROUPS_MAX; i++)
        groups[used++] = all[i];
    return used;
}

/* Connects; `is_admin`: the address is known from the administrator's own question. */
static int connect_to(
    struct remotes *remotes, const char *host, uint16_t port, bool is_admin, struct remote *remote)
{
    uint32_t groups[GROUPS_MAX];
    struct nfs_client_options options = {
        .address = host, .port = port, .groups = groups, .give_up_ms = GIVE_UP_MS
    };
    int status = parse_connections(remotes, &options.connection_count);
    if (status == CLI_OK && remotes->options.as != NULL)
        status = parse_as(remotes->options.as, &options.uid, &options.gid);
    if (status != CLI_OK)
        return status;
    if (remotes->options.as == NULL && !is_admin) {
        options.uid = geteuid();
        options.gid = getegid();
        options.group_count = own_groups(groups);
    }
    remote->acts_as_root = options.uid == 0;
    int err = nfs_client_connect(&options, &remote->client);
    return err < 0 ? explain_connect(host, port, err) : CLI_OK;
}

/* Where a file system is served. */
struct server {
    const char *host;
    uint16_t port;
    const char *sub_path; /* where its root is, below the server's */
    bool is_admin;
};

/* Connects, finds the root, adds it to the list. */
static int add_remote(
    struct remotes *remotes, const struct server *server, struct remote **out_remote)
{
    if (remotes->count == REMOTES_MAX)
        return cli_usage("More than %d file systems in one command are too many.", REMOTES_MAX);
    struct remote *remote = &remotes->list[remotes->count];
    int status = connect_to(remotes, server->host, server->port, server->is_admin, remote);
    if (status != CLI_OK)
        return status;
    int err =
        nfs_node_lookup_path(remote->client, NULL, slice_str(server->sub_path), &remote->root);
    if (err == 0) {
        remotes->count++;
        *out_remote = remote;
        return CLI_OK;
    }
    nfs_client_close(remote->client);
    return err == -ENOENT ? cli_fail("The server at %s port %u has no %s.", server->host,
                                server->port, server->sub_path)
                          : cli_fail("Cannot read the root of %s port %u: %s.", server->host,
                                server->port, strerrordesc_np(-err));
}

static int open_api(struct remotes *remotes)
{
    if (remotes->has_api)
        return CLI_OK;
    int status = instance_open(remotes->options.data, &remotes->instance);
    if (status != CLI_OK)
        return status;
    remotes->has_api = true;
    status = instance_require(&remotes->instance);
    return status == CLI_OK ? api_open(&remotes->instance, &remotes->api) : status;
}

/* Asks for one list of the API, page by page; `query` is the filter, or "". */
static int fetch_list(struct remotes *remotes, const char *path, const char *query,
    const char *member, json_t **out_list)
{
    json_t *list = json_array();
    char page_query[256];
    int status = list == NULL ? cli_fail("There is no memory left.") : CLI_OK;
    (void)text_copy(page_query, sizeof page_query, query); /* short */
    for (bool more = status == CLI_OK; more && status == CLI_OK;) {
        struct api_reply reply;
        status = api_call(&remotes->api,
            &(struct api_call){ .method = "GET", .path = path, .query = page_query }, &reply);
        if (status != CLI_OK)
            break;
        const char *next = json_string_value(json_object_get(reply.body, "NextMarker"));
        more = next != NULL;
        if (more)
            (void)snprintf(page_query, sizeof page_query, "Marker=%s%s%s", next,
                query[0] == '\0' ? "" : "&", query); /* a cut marker is refused by the service */
        if (reply.status != HTTP_OK)
            status = api_fail(&reply, "the list of file systems");
        else if (json_array_extend(list, json_object_get(reply.body, member)) < 0)
            status = cli_fail("The service gave no list of file systems.");
        api_reply_fini(&reply);
    }
    if (status == CLI_OK)
        *out_list = list;
    else
        json_decref(list);
    return status;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "" : text;
}

static int explain_unknown(const struct remotes *remotes, const char *host)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(remotes->file_systems); i++) {
        const json_t *fs = json_array_get(remotes->file_systems, i);
        const char *candidates[] = { text_of(fs, "Name"), text_of(fs, "FileSystemId") };
        for (size_t j = 0; j < ARRAY_SIZE(candidates); j++) {
            if (candidates[j][0] != '\0' && count < NAMES_MAX)
                names[count++] = candidates[j];
        }
    }
    int nearest = text_nearest(host, names, count);
    if (nearest >= 0)
        return cli_fail("There is no file system %s; did you mean %s?", host, names[nearest]);
    if (count == 0)
        return cli_fail("There is no file system %s; the service has none yet.", host);
    return cli_fail("There is no file system %s; the service has %s%s.", host, names[0],
        count > 1 ? " and others (shoal status lists them)" : "");
}

int remotes_file_system_id(struct remotes *remotes, const char *host, const char **out_id)
{
    const char *found = NULL;
    int status = open_api(remotes);
    if (status == CLI_OK && remotes->file_systems == NULL)
        status = fetch_list(remotes, "/file-systems", "", "FileSystems", &remotes->file_systems);
    if (status != CLI_OK)
        return status;
    for (size_t i = 0; i < json_array_size(remotes->file_systems); i++) {
        const json_t *fs = json_array_get(remotes->file_systems, i);
        const char *id = text_of(fs, "FileSystemId");
        if (strcmp(id, host) == 0) {
            *out_id = id;
            return CLI_OK;
        }
        if (strcmp(text_of(fs, "Name"), host) != 0)
            continue;
        if (found != NULL)
            return cli_fail(
                "Several file systems are named %s: use the id, e.g. %s or %s.", host, found, id);
        found = id;
    }
    *out_id = found;
    return found == NULL ? explain_unknown(remotes, host) : CLI_OK;
}

/* Connects to what an access point shows, below the root of all: as its user, if it has one. */
static int connect_access_point(struct remotes *remotes, const char *id, struct remote **out_remote)
{
    char pseudo_path[PLACE_HOST_SIZE + 1];
    int status = open_api(remotes);
    if (status != CLI_OK)
        return status;
    (void)snprintf(pseudo_path, sizeof pseudo_path, "/%s", id); /* fits */
    struct server server = { .host = "127.0.0.1",
        .port = remotes->instance.nfs_port,
        .sub_path = pseudo_path,
        .is_admin = true };
    return add_remote(remotes, &server, out_remote);
}

/* Connects through a mount target of the file system, or, when it has none, through the root of all. */
static int connect_file_system(
    struct remotes *remotes, const char *host, struct remote **out_remote)
{
    const char *id = NULL;
    char query[96];
    char pseudo_path[64];
    char address[64] = "127.0.0.1";
    json_t *targets = NULL;
    int status = remotes_file_system_id(remotes, host, &id);
    if (status != CLI_OK)
        return status;
    (void)snprintf(query, sizeof query, "FileSystemId=%s", id); /* ids are short */
    (void)snprintf(pseudo_path, sizeof pseudo_path, "/%s", id);
    status = fetch_list(remotes, "/mount-targets", query, "MountTargets", &targets);
    if (status != CLI_OK)
        return status;
    bool has_target = false;
    for (size_t i = 0; i < json_array_size(targets) && !has_target; i++) {
        const json_t *target = json_array_get(targets, i);
        has_target = strcmp(text_of(target, "LifeCycleState"), "available") == 0 &&
                     text_copy(address, sizeof address, text_of(target, "IpAddress")) == 0;
    }
    json_decref(targets);
    struct server server = { .host = address,
        .port = remotes->instance.nfs_port,
        .sub_path = has_target ? "/" : pseudo_path,
        .is_admin = true };
    return add_remote(remotes, &server, out_remote);
}

int remotes_find(struct remotes *remotes, const struct place *place, struct remote **out_remote)
{
    assert(place->kind != PLACE_LOCAL);
    for (unsigned i = 0; i < remotes->count; i++) {
        struct remote *remote = &remotes->list[i];
        if (strcmp(remote->host, place->host) == 0 && remote->port == place->port) {
            *out_remote = remote;
            return CLI_OK;
        }
    }
    int status;
    struct place server = *place;
    char sub_path[PLACE_HOST_SIZE + 1] = "/";
    if (remotes->options.server != NULL && place->kind == PLACE_FILE_SYSTEM) {
        /* With --server the first part is a directory of that server: a file system below the root of all. */
        status = place_parse_server(remotes->options.server, &server);
        (void)snprintf(sub_path, sizeof sub_path, "/%s", place->host); /* fits */
    } else if (place->kind == PLACE_FILE_SYSTEM && place->host[0] == '\0') {
        status = cli_usage("%s names no file system: write NAME:%s.", place->word, place->path);
    } else {
        status = CLI_OK;
    }
    if (status == CLI_OK && server.kind == PLACE_ADDRESS) {
        struct server at = { .host = server.host,
            .port = server.port == 0 ? NFS_PORT : server.port,
            .sub_path = sub_path };
        status = add_remote(remotes, &at, out_remote);
    } else if (status == CLI_OK) {
        status = strncmp(place->host, "fsap-", 5) == 0
                     ? connect_access_point(remotes, place->host, out_remote)
                     : connect_file_system(remotes, place->host, out_remote);
    }
    if (status == CLI_OK) {
        (void)text_copy(
            (*out_remote)->host, sizeof(*out_remote)->host, place->host); /* same size */
        (*out_remote)->port = place->port;
    }
    return status;
}

/* The names of a directory, for a proposal. */
struct names {
    char *list[NAMES_MAX];
    size_t count;
};

static int note_name(void *context, struct slice name, const struct nfs_attr *attr)
{
    struct names *names = context;
    (void)attr;
    if (names->count == NAMES_MAX)
        return -ECANCELED;
    names->list[names->count] = strndup((const char *)name.data, name.size);
    if (names->list[names->count] != NULL)
        names->count++;
    return 0;
}

/* Says which part of the path is missing, and the name nearest to it. */
static int explain_missing(struct remote *remote, const struct place *place)
{
    struct names names = { .count = 0 };
    struct nfs_attr dir = remote->root;
    struct nfs_attr next;
    const char *at = place->path + 1;
    char name[PLACE_PATH_SIZE];
    size_t size;
    for (;;) { /* to the first part that is not there */
        size = strcspn(at, "/");
        memcpy(name, at, size);
        name[size] = '\0';
        if (at[size] == '\0' ||
            nfs_node_lookup(remote->client, &dir.fh, slice_of(name, size), &next) < 0)
            break;
        dir = next;
        at += size + 1;
    }
    (void)!nfs_dir_list(
        remote->client, &dir.fh, note_name, &names); /* without a list: no proposal */
    int nearest = text_nearest(name, (const char *const *)names.list, names.count);
    int parent_size = (int)(at - place->path);
    int missing_size = parent_size + (int)size;
    if (nearest >= 0)
        (void)cli_fail("There is no %.*s:%.*s; did you mean %.*s:%.*s%s?", place->head_size,
            place->word, missing_size, place->path, place->head_size, place->word, parent_size,
            place->path, names.list[nearest]);
    else
        (void)cli_fail(
            "There is no %.*s:%.*s.", place->head_size, place->word, missing_size, place->path);
    for (size_t i = 0; i < names.count; i++)
        free(names.list[i]);
    return CLI_FAILED;
}

/* Puts the target of the link `fh` in the place of the path up to `rest`. `parent_size`: of the path before the link. */
static int splice_target(struct remote *remote, struct place *place, const struct nfs_fh *fh,
    size_t parent_size, size_t rest)
{
    char target[TREE_LINK_SIZE_MAX + 1];
    char path[PLACE_PATH_SIZE + TREE_LINK_SIZE_MAX + 2];
    size_t size = 0;
    int err = nfs_node_readlink(remote->client, fh, target, TREE_LINK_SIZE_MAX, &size);
    if (err < 0)
        return remote_fail(place, "follow the links of", err);
    target[size] = '\0';
    (void)snprintf(path, sizeof path, "%.*s/%s%s", target[0] == '/' ? 0 : (int)parent_size,
        place->path, target, place->path + rest); /* fits */
    return place_set_path(place, path);
}

/* Walks the path part by part up to its end or the first link that is to be followed. *out_rest is where the path goes
 * on behind that link; 0: there was none. */
static int walk_to_link(struct remote *remote, struct place *place, bool follow_last,
    struct nfs_attr *out_attr, size_t *out_rest)
{
    struct nfs_attr attr = remote->root;
    size_t at = 1;
    *out_rest = 0;
    while (place->path[at] != '\0') {
        size_t size = strcspn(place->path + at, "/");
        bool is_last = place->path[at + size] == '\0';
        int err =
            nfs_node_lookup(remote->client, &attr.fh, slice_of(place->path + at, size), &attr);
        if (err == -ENOENT)
            return explain_missing(remote, place);
        if (err == -ENOTDIR)
            return cli_fail("%s: a part of the path is not a directory.", place->word);
        if (err < 0)
            return remote_fail(place, "find", err);
        if (attr.type == NF4LNK && (!is_last || follow_last)) {
            *out_rest = at + size;
            return splice_target(remote, place, &attr.fh, at - 1, at + size);
        }
        at += size + !is_last;
    }
    *out_attr = attr;
    return CLI_OK;
}

/* A path with links: follows one after the other. */
static int lookup_through_links(
    struct remote *remote, const struct place *place, bool follow_last, struct nfs_attr *out_attr)
{
    struct place resolved = *place;
    for (int i = 0; i < LINKS_MAX; i++) {
        size_t rest;
        int status = walk_to_link(remote, &resolved, follow_last, out_attr, &rest);
        if (status != CLI_OK || rest == 0)
            return status;
    }
    return cli_fail("%s: the symbolic links lead in a circle.", place->word);
}

static int lookup(
    struct remote *remote, const struct place *place, bool follow_last, struct nfs_attr *out_attr)
{
    int err =
        nfs_node_lookup_path(remote->client, &remote->root.fh, slice_str(place->path), out_attr);
    if (err == -ENOENT)
        return explain_missing(remote, place);
    if (err == -ELOOP || err == -ENOTDIR || (err == 0 && out_attr->type == NF4LNK && follow_last))
        return lookup_through_links(remote, place, follow_last, out_attr);
    return err < 0 ? remote_fail(place, "find", err) : CLI_OK;
}

int remote_lookup(struct remote *remote, const struct place *place, struct nfs_attr *out_attr)
{
    return lookup(remote, place, false, out_attr);
}

int remote_lookup_target(
    struct remote *remote, const struct place *place, struct nfs_attr *out_attr)
{
    return lookup(remote, place, true, out_attr);
}

int remote_parent_tree(
    struct remote *remote, const struct place *place, struct tree **out_tree, const char **out_name)
{
    struct place parent = *place;
    struct nfs_attr attr;
    const char *name = place_name(place);
    char *slash = strrchr(parent.path, '/');
    slash[slash == parent.path] = '\0'; /* keeps the root's own slash */
    int status = remote_lookup_target(remote, &parent, &attr);
    if (status != CLI_OK)
        return status;
    int err = tree_nfs_open(remote->client, &attr, out_tree);
    if (err < 0)
        return remote_fail(&parent, "open the directory of", err);
    *out_name = name[0] == '\0' ? NULL : name;
    return CLI_OK;
}
