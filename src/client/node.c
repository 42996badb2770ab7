/*
 * client/node.c - lookups, attributes, making and removing names (room: client library).
 *
 * A request that may have taken effect before the session was lost (call.maybe_done) and now finds its own
 * result ("exists", "no such name") has succeeded: nothing else can tell the two apart.
 */
#include "client/node.h"

#define LOOKUPS_PER_CALL 8u

/* Runs a call of PUTFH and then `opcode`. */
static int run_on(struct nfs_call *call, enum nfs_opnum4 opcode, union nfs_resop4 *out_res)
{
    int err = nfs_call_run(call);
    if (err == 0)
        err = nfs_call_skip(call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(call, opcode, out_res);
    return err;
}

int nfs_node_root(struct nfs_client *client, struct nfs_attr *out_attr)
{
    struct nfs_call call;
    nfs_call_init(&call, client, NFS_CALL_PLAIN);
    nfs_call_add(&call, OP_PUTROOTFH, NULL);
    nfs_attr_ask(&call);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTROOTFH);
    if (err == 0)
        err = nfs_attr_result(&call, out_attr);
    nfs_call_fini(&call);
    return err;
}

/* Takes the next component off `path`; false: none is left. */
static bool next_component(struct slice *path, struct slice *out_name)
{
    while (path->size > 0 && path->data[0] == '/')
        *path = slice_of(path->data + 1, path->size - 1);
    const uint8_t *end = path->size == 0 ? NULL : memchr(path->data, '/', path->size);
    size_t size = end == NULL ? path->size : (size_t)(end - path->data);
    *out_name = slice_of(path->data, size);
    *path = slice_of(path->data + size, path->size - size);
    return size > 0;
}

/* Walks up to LOOKUPS_PER_CALL components in one request. */
static int walk_some(struct nfs_client *client, struct slice *path, struct nfs_attr *attr)
{
    struct nfs_call call;
    struct slice name;
    unsigned count = 0;
    nfs_call_init(&call, client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&call, &attr->fh);
    while (count < LOOKUPS_PER_CALL && next_component(path, &name)) {
        nfs_call_lookup(&call, name);
        count++;
    }
    nfs_attr_ask(&call);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTFH);
    for (unsigned i = 0; i < count && err == 0; i++)
        err = nfs_call_skip(&call, OP_LOOKUP);
    if (err == 0)
        err = nfs_attr_result(&call, attr);
    nfs_call_fini(&call);
    return err;
}

int nfs_node_lookup_path(struct nfs_client *client, const struct nfs_fh *from, struct slice path,
    struct nfs_attr *out_attr)
{
    struct nfs_attr attr;
    struct slice rest = path;
    int err = from == NULL ? nfs_node_root(client, &attr) : nfs_node_getattr(client, from, &attr);
    while (err == 0) {
        struct slice probe = rest;
        struct slice name;
        if (!next_component(&probe, &name))
            break;
        err = walk_some(client, &rest, &attr);
    }
    if (err == 0)
        *out_attr = attr;
    return err;
}

int nfs_node_lookup(struct nfs_client *client, const struct nfs_fh *dir, struct slice name,
    struct nfs_attr *out_attr)
{
    struct nfs_call call;
    union nfs_resop4 res;
    nfs_call_init(&call, client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&call, dir);
    nfs_call_lookup(&call, name);
    nfs_attr_ask(&call);
    int err = run_on(&call, OP_LOOKUP, &res);
    if (err == 0)
        err = nfs_attr_result(&call, out_attr);
    nfs_call_fini(&call);
    return err;
}

int nfs_node_getattr(struct nfs_client *client, const struct nfs_fh *fh, struct nfs_attr *out_attr)
{
    struct nfs_call call;
    nfs_call_init(&call, client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&call, fh);
    nfs_attr_ask(&call);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTFH);
    if (err == 0)
        err = nfs_attr_result(&call, out_attr);
    nfs_call_fini(&call);
    return err;
}

int nfs_node_setattr(
    struct nfs_client *client, const struct nfs_fh *fh, const struct nfs_setattr *attr)
{
    static const struct stateid4 anonymous;
    struct nfs_call call;
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    nfs_call_put_fh(&call, fh);
    int err = -ENOMEM;
    if (nfs_attr_set(&call, attr, anonymous))
        err = nfs_call_run(&call);
    nfs_call_fini(&call);
    return err;
}

/* CREATE, and the attributes: a directory's with it, others' by SETATTR, as servers are used to. */
static bool build_make(
    struct nfs_call *call, const struct nfs_fh *dir, struct slice name, const struct nfs_make *make)
{
    static const struct stateid4 anonymous;
    struct nfs_setattr first = { .set_mode = make->type != NF4LNK, .mode = 0600 };
    bool is_dir = make->type == NF4DIR;
    union nfs_argop4 arg = { .opcreate = { .objtype = { .type = make->type }, .objname = name } };
    if (make->type == NF4LNK)
        arg.opcreate.objtype.linkdata = make->link_target;
    else if (make->type == NF4BLK || make->type == NF4CHR)
        arg.opcreate.objtype.devdata = (struct specdata4){ make->device_major, make->device_minor };
    nfs_call_put_fh(call, dir);
    if (!nfs_attr_encode(call, is_dir ? &make->attr : &first, &arg.opcreate.createattrs))
        return false;
    nfs_call_add(call, OP_CREATE, &arg);
    if (!is_dir && !nfs_attr_set(call, &make->attr, anonymous))
        return false;
    nfs_attr_ask(call);
    return true;
}

int nfs_node_make(struct nfs_client *client, const struct nfs_fh *dir, struct slice name,
    const struct nfs_make *make, struct nfs_attr *out_attr)
{
    struct nfs_call call;
    union nfs_resop4 res;
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    int err = -ENOMEM;
    if (build_make(&call, dir, name, make))
        err = run_on(&call, OP_CREATE, &res);
    if (err == 0 && make->type != NF4DIR)
        err = nfs_attr_set_result(&call, &make->attr);
    if (err == 0)
        err = nfs_attr_result(&call, out_attr);
    if (err == -EEXIST && call.maybe_done)
        err = nfs_node_lookup(client, dir, name, out_attr);
    nfs_call_fini(&call);
    return err;
}

int nfs_node_link(
    struct nfs_client *client, const struct nfs_fh *fh, const struct nfs_fh *dir, struct slice name)
{
    struct nfs_call call;
    union nfs_argop4 arg = { .oplink = { .newname = name } };
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    nfs_call_put_fh(&call, fh);
    nfs_call_add(&call, OP_SAVEFH, NULL);
    nfs_call_put_fh(&call, dir);
    nfs_call_add(&call, OP_LINK, &arg);
    int err = nfs_call_run(&call);
    if (err == -EEXIST && call.maybe_done)
        err = 0;
    nfs_call_fini(&call);
    return err;
}

int nfs_node_remove(struct nfs_client *client, const struct nfs_fh *dir, struct slice name)
{
    struct nfs_call call;
    union nfs_argop4 arg = { .opremove = { .target = name } };
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    nfs_call_put_fh(&call, dir);
    nfs_call_add(&call, OP_REMOVE, &arg);
    int err = nfs_call_run(&call);
    if (err == -ENOENT && call.maybe_done)
        err = 0;
    nfs_call_fini(&call);
    return err;
}

int nfs_node_rename(struct nfs_client *client, const struct nfs_fh *from_dir,
    struct slice from_name, const struct nfs_fh *to_dir, struct slice to_name)
{
    struct nfs_call call;
    union nfs_argop4 arg = { .oprename = { .oldname = from_name, .newname = to_name } };
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    nfs_call_put_fh(&call, from_dir);
    nfs_call_add(&call, OP_SAVEFH, NULL);
    nfs_call_put_fh(&call, to_dir);
    nfs_call_add(&call, OP_RENAME, &arg);
    int err = nfs_call_run(&call);
    if (err == -ENOENT && call.maybe_done)
        err = 0;
    nfs_call_fini(&call);
    return err;
}

int nfs_node_readlink(
    struct nfs_client *client, const struct nfs_fh *fh, char *buffer, size_t size, size_t *out_size)
{
    struct nfs_call call;
    union nfs_resop4 res;
    nfs_call_init(&call, client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&call, fh);
    nfs_call_add(&call, OP_READLINK, NULL);
    int err = run_on(&call, OP_READLINK, &res);
    if (err == 0 && res.opreadlink.resok4.link.size > size)
        err = -ENAMETOOLONG;
    if (err == 0) {
        memcpy(buffer, res.opreadlink.resok4.link.data, res.opreadlink.resok4.link.size);
        *out_size = res.opreadlink.resok4.link.size;
    }
    nfs_call_fini(&call);
    return err;
}
