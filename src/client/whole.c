/*
 * client/whole.c - small files in one request (room: client library).
 *
 * A file is made with mode 0600 and empty, and gets its own mode, owner and times last: so that nobody reads it
 * before it may be read, and so that a repetition after a crash finds a file it can write.
 */
#include "client/whole.h"

#include "base/bytes.h"
#include "client/internal.h"

/* "What the operation before gave" (RFC 8881 section 8.2.3). */
static const struct stateid4 stateid_current = { .seqid = 1 };

static bool add_open(struct nfs_call *call, const struct nfs_put *put, uint8_t owner[8])
{
    struct nfs_setattr fresh = { .set_mode = true, .mode = 0600, .set_size = true };
    union nfs_argop4 arg = {
        .opopen = { .share_access = OPEN4_SHARE_ACCESS_WRITE | OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
            .share_deny = OPEN4_SHARE_DENY_NONE,
            .owner = { .clientid = call->client->clientid, .owner = slice_of(owner, 8) },
            .openhow = { .opentype = OPEN4_CREATE, .how = { .mode = UNCHECKED4 } },
            .claim = { .claim = CLAIM_NULL, .file = put->name } }
    };
    if (!nfs_attr_encode(call, &fresh, &arg.opopen.openhow.how.createattrs))
        return false;
    nfs_call_add(call, OP_OPEN, &arg);
    nfs_call_add(call, OP_GETFH, NULL);
    return true;
}

static bool build_put(struct nfs_call *call, const struct nfs_put *put, uint8_t owner[8])
{
    nfs_call_put_fh(call, &put->dir);
    if (!add_open(call, put, owner))
        return false;
    if (put->data.size > 0) {
        union nfs_argop4 write = {
            .opwrite = { .stateid = stateid_current, .stable = FILE_SYNC4, .data = put->data }
        };
        nfs_call_add(call, OP_WRITE, &write);
    }
    if (!nfs_attr_set(call, &put->attr, stateid_current))
        return false;
    union nfs_argop4 close_it = { .opclose = { .open_stateid = stateid_current } };
    nfs_call_add(call, OP_CLOSE, &close_it);
    return true;
}

/* The request failed after its OPEN: closes what it opened. */
static void close_opened(
    struct nfs_client *client, const struct nfs_fh *fh, struct stateid4 stateid)
{
    struct nfs_call call;
    union nfs_argop4 arg = { .opclose = { .open_stateid = stateid } };
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    nfs_call_put_fh(&call, fh);
    nfs_call_add(&call, OP_CLOSE, &arg);
    (void)!nfs_call_run(
        &call); /* the error that led here is the one to report; the lease ends the open */
    nfs_call_fini(&call);
}

static int put_result(struct nfs_call *call, const struct nfs_put *put, struct nfs_fh *out_fh)
{
    union nfs_resop4 res;
    int err = nfs_call_skip(call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(call, OP_OPEN, &res);
    if (err < 0)
        return err;
    struct stateid4 stateid = res.opopen.resok4.stateid;
    err = nfs_call_result(call, OP_GETFH, &res);
    if (err < 0)
        return err;
    out_fh->size = (uint32_t)res.opgetfh.resok4.object.size;
    memcpy(out_fh->data, res.opgetfh.resok4.object.data, out_fh->size);
    if (put->data.size > 0)
        err = nfs_call_result(call, OP_WRITE, &res);
    if (err == 0 && put->data.size > 0 &&
        (res.opwrite.resok4.count != put->data.size || res.opwrite.resok4.committed != FILE_SYNC4))
        err = -EIO;
    if (err == 0)
        err = nfs_attr_set_result(call, &put->attr);
    if (err == 0)
        err = nfs_call_result(call, OP_CLOSE, &res);
    if (err < 0)
        close_opened(call->client, out_fh, stateid);
    return err;
}

int nfs_whole_put(struct nfs_client *client, const struct nfs_put *put, struct nfs_fh *out_fh)
{
    assert(put->data.size <= client->io_size);
    struct nfs_call call;
    struct nfs_fh fh;
    uint8_t owner[8];
    store_be64(owner, atomic_fetch_add(&client->next_owner, 1));
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    int err = -ENOMEM;
    if (build_put(&call, put, owner)) {
        err = nfs_call_run(&call);
        int result = call.record == NULL ? err : put_result(&call, put, &fh);
        err = err == 0 ? result : err;
    }
    nfs_call_fini(&call);
    if (err == 0)
        *out_fh = fh;
    return err;
}

int nfs_whole_get(struct nfs_client *client, struct nfs_whole *whole, const struct nfs_fh *dir,
    struct slice name, uint32_t size)
{
    struct nfs_call *call = &whole->call;
    union nfs_resop4 res;
    whole->data = slice_of(NULL, 0);
    whole->eof = false;
    whole->read_error = 0;
    nfs_call_init(call, client, NFS_CALL_PLAIN);
    nfs_call_put_fh(call, dir);
    nfs_call_lookup(call, name);
    nfs_attr_ask(call);
    if (size > 0) {
        union nfs_argop4 read = { .opread = { .count = size } }; /* the anonymous stateid */
        nfs_call_add(call, OP_READ, &read);
    }
    int failed = nfs_call_run(call);
    int err = call->record == NULL ? failed : nfs_call_skip(call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_skip(call, OP_LOOKUP);
    if (err == 0)
        err = nfs_attr_result(call, &whole->attr);
    if (err == 0 && size > 0)
        whole->read_error = nfs_call_result(call, OP_READ, &res);
    if (err == 0 && size > 0 && whole->read_error == 0) {
        whole->data = res.opread.resok4.data;
        whole->eof = res.opread.resok4.eof;
    }
    return err;
}

void nfs_whole_end(struct nfs_whole *whole)
{
    nfs_call_fini(&whole->call);
}
