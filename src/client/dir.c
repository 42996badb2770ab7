/*
 * client/dir.c - READDIR, page by page (room: client library). Source: RFC 8881 section 18.23.
 */
#include "client/dir.h"

#include "client/internal.h"

#define PAGE_BYTES_MAX (256u * 1024)
#define PAGE_HEADROOM  1024u /* of the reply around the listing */

struct position {
    uint64_t cookie;
    uint8_t verifier[NFS4_VERIFIER_SIZE];
    bool at_end;
};

static int emit_page(
    struct READDIR4resok *page, struct position *at, nfs_dir_emit *emit, void *context)
{
    memcpy(at->verifier, page->cookieverf, sizeof at->verifier);
    at->at_end = page->reply.eof;
    if (page->reply.entries == NULL && !page->reply.eof)
        return -EBADMSG; /* neither entries nor an end: it would never end */
    for (const struct entry4 *entry = page->reply.entries; entry != NULL;
         entry = entry->nextentry) {
        struct nfs_attr attr;
        if (entry->name.size == 0 || memchr(entry->name.data, '/', entry->name.size) != NULL ||
            memchr(entry->name.data, '\0', entry->name.size) != NULL ||
            slice_equal(entry->name, slice_str(".")) || slice_equal(entry->name, slice_str("..")) ||
            !nfs_attr_decode(&entry->attrs, &attr))
            return -EBADMSG; /* such a name could lead a copy out of its tree */
        at->cookie = entry->cookie;
        int err = emit(context, entry->name, &attr);
        if (err < 0)
            return err;
    }
    return 0;
}

int nfs_dir_list(
    struct nfs_client *client, const struct nfs_fh *dir, nfs_dir_emit *emit, void *context)
{
    struct position at = { 0 };
    uint32_t page_bytes = min_u32(PAGE_BYTES_MAX, client->response_size_max - PAGE_HEADROOM);
    int err = 0;
    while (err == 0 && !at.at_end) {
        struct nfs_call call;
        union nfs_resop4 res;
        union nfs_argop4 arg = { .opreaddir = { .cookie = at.cookie,
                                     .dircount = page_bytes / 4,
                                     .maxcount = page_bytes,
                                     .attr_request = nfs_attr_wanted_in_list() } };
        memcpy(arg.opreaddir.cookieverf, at.verifier, sizeof at.verifier);
        nfs_call_init(&call, client, NFS_CALL_PLAIN);
        nfs_call_put_fh(&call, dir);
        nfs_call_add(&call, OP_READDIR, &arg);
        err = nfs_call_run(&call);
        if (err == 0)
            err = nfs_call_skip(&call, OP_PUTFH);
        if (err == 0)
            err = nfs_call_result(&call, OP_READDIR, &res);
        if (err == 0)
            err = emit_page(&res.opreaddir.resok4, &at, emit, context);
        nfs_call_fini(&call);
    }
    return err;
}
