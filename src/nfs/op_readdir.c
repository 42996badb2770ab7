/*
 * nfs/op_readdir.c - READDIR: entries go from the file system straight into the reply (room: NFS).
 *
 * The result is encoded here, not from a struct: each entry is one pass over memory, and one that does not fit is
 * taken back. Cookies 0, 1 and 2 belong to the protocol; ours are the file system's, so the verifier is always 0.
 * An entry whose attributes a client with a write delegation knows better is set aside, since the file system may not be
 * left waiting: the client is asked, and the listing goes on behind it.
 *
 * Sources: RFC 8881 sections 18.23 and 10.4.3.
 */
#include "nfs/compound.h"
#include "nfs/deleg.h"
#include "nfs/op_attr.h"
#include "nfs/pseudo.h"

#define LIST_END_BYTES 8u /* no next entry, eof */
#define ASKS_MAX \
    16u /* clients that one READDIR asks; then it ends, so that slow ones do not add up */

struct listing {
    struct compound *compound;
    struct xdr_encoder *enc;
    struct attr_plan plan;
    struct attr_source source; /* all but the entry's own */
    size_t limit;              /* position in the reply beyond which no entry may go */
    uint64_t dir_room; /* bytes of names and cookies that the client still wants; UINT64_MAX: any */
    uint32_t count;
    bool is_full;
    enum nfsstat4 error; /* of an entry, when the client did not ask for rdattr_error */
    bool asks;           /* attributes are wanted that a writer may know better */
    uint32_t ask_count;
    bool is_aside; /* the listing stopped at `aside`, whose writer is to be asked */
    struct fs_dirent aside;
    uint8_t aside_name[FS_NAME_SIZE_MAX];
};

static void put_entry(struct listing *listing, const struct fs_dirent *entry)
{
    struct attr_source *source = &listing->source;
    source->error = nfs_status(entry->attr_error);
    source->attr = &entry->attr;
    const struct place *dir = &listing->compound->current;
    if (!place_is_pseudo(dir)) {
        source->fh.node = entry->attr.node;
        source->mounted_on_fileid = entry->attr.node.inode;
    } else {
        source->fh = (struct fh){ .kind = FH_NODE,
            .fs_tag = fh_fs_tag((const char *)entry->name.data),
            .node = entry->attr.node };
        source->mounted_on_fileid = pseudo_junction_fileid(source->fh.fs_tag);
    }
    xdr_put_bool(listing->enc, true);
    xdr_put_u64(listing->enc, entry->cookie);
    xdr_put_opaque(listing->enc, entry->name);
    attr_put(listing->enc, source, &listing->plan);
}

/* Puts the entry into the reply if there is room for it. */
static bool emit_known(struct listing *listing, const struct fs_dirent *entry)
{
    uint64_t dir_bytes = 4 + 8 + 4 + round_up(entry->name.size, 4);
    if (dir_bytes > listing->dir_room && listing->count > 0) {
        listing->is_full = true;
        return false;
    }
    struct xdr_mark mark = xdr_mark(listing->enc);
    put_entry(listing, entry);
    if (listing->enc->failed || xdr_position(listing->enc) > listing->limit) {
        xdr_rewind(listing->enc, mark);
        listing->is_full = true;
        return false;
    }
    if (listing->dir_room != UINT64_MAX)
        listing->dir_room -= min_u64(dir_bytes, listing->dir_room);
    listing->count++;
    return true;
}

/* Whether another client writes to the file by delegation. */
static bool has_writer(const struct listing *listing, const struct fs_attr *attr)
{
    struct state_file_ref file = { .files = listing->compound->current.volume->files,
        .key = file_key_of(attr->node) };
    struct state_deleg_writer writer;
    return attr->type == FS_REGULAR &&
           UNLIKELY(state_deleg_may_exist(file.files, &file.key, STATE_USE_READ)) &&
           state_deleg_writer(&listing->compound->caller, &file, &writer);
}

static void set_aside(struct listing *listing, const struct fs_dirent *entry)
{
    listing->is_aside = true;
    listing->aside = *entry;
    memcpy(listing->aside_name, entry->name.data, entry->name.size);
    listing->aside.name = slice_of(listing->aside_name, entry->name.size);
}

static bool emit_entry(void *context, const struct fs_dirent *entry)
{
    struct listing *listing = context;
    if (entry->attr_error == -ESTALE)
        return true; /* removed while we looked */
    if (entry->attr_error != 0 && !attr_mask_has(&listing->plan.mask, FATTR4_RDATTR_ERROR)) {
        listing->error = nfs_status(entry->attr_error);
        return false;
    }
    if (listing->asks && entry->attr_error == 0 && has_writer(listing, &entry->attr)) {
        set_aside(listing, entry);
        return false;
    }
    return emit_known(listing, entry);
}

/* Asks the writer of the entry that was set aside, and puts the entry. False: the listing ends before it. */
static bool emit_aside(struct listing *listing)
{
    const struct place *dir = &listing->compound->current;
    struct place file = { .is_set = true,
        .has_attr = true,
        .type = FS_REGULAR,
        .volume = dir->volume,
        .access_tag = dir->access_tag,
        .node = listing->aside.attr.node,
        .attr = listing->aside.attr };
    listing->is_aside = false;
    if (listing->ask_count == ASKS_MAX) {
        listing->is_full = true;
        return false;
    }
    listing->ask_count++;
    enum nfsstat4 status = deleg_ask_writer(listing->compound, &file);
    if (status == NFS4ERR_STALE || status == NFS4ERR_NOENT)
        return true; /* removed while we asked */
    if (status != NFS4_OK) {
        listing->error = status;
        return false;
    }
    listing->aside.attr = file.attr;
    return emit_known(listing, &listing->aside);
}

/* Puts the entries behind a cookie. As fs_readdir(). */
static int list_entries(struct listing *listing, uint64_t cookie)
{
    struct compound *compound = listing->compound;
    struct place *dir = &compound->current;
    if (place_is_pseudo(dir))
        return pseudo_readdir(compound, cookie, emit_entry, listing);
    for (;;) {
        int err =
            fs_readdir(dir->volume->fs, &compound->cred, dir->node, cookie, emit_entry, listing);
        if (LIKELY(!listing->is_aside) || err < 0)
            return err;
        cookie = listing->aside.cookie;
        if (!emit_aside(listing))
            return 0;
    }
}

static enum nfsstat4 check_args(const struct compound *compound, const struct READDIR4args *args)
{
    static const uint8_t zeros[NFS4_VERIFIER_SIZE];
    if (args->cookie != 0 && args->cookie < FS_COOKIE_FIRST)
        return NFS4ERR_BAD_COOKIE;
    if (args->cookie != 0 && memcmp(args->cookieverf, zeros, sizeof zeros) != 0)
        return NFS4ERR_NOT_SAME; /* we never gave out another one */
    if (args->maxcount < NFS4_VERIFIER_SIZE + LIST_END_BYTES)
        return NFS4ERR_TOOSMALL;
    (void)compound;
    return NFS4_OK;
}

/* READDIR - the entries after a cookie, as many as the client has room for. */
enum nfsstat4 op_readdir(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const struct READDIR4args *args = &arg->opreaddir;
    struct xdr_encoder *enc = compound->enc;
    enum nfsstat4 status = check_args(compound, args);
    if (status != NFS4_OK)
        return status;
    struct listing listing = { .compound = compound,
        .enc = enc,
        .dir_room = args->dircount != 0 ? args->dircount : UINT64_MAX };
    struct attr_mask wanted = attr_mask_of(&args->attr_request, NULL);
    status = attr_plan_init(&listing.plan, &wanted, compound_versions(compound));
    if (status != NFS4_OK)
        return status;
    struct fs_space space;
    status =
        attr_source_init(compound, &compound->current, &listing.plan.mask, &space, &listing.source);
    if (status != NFS4_OK)
        return status;
    listing.asks = !place_is_pseudo(&compound->current) &&
                   attr_mask_meets(&listing.plan.mask, &attr_mask_writer);
    size_t room = min_size(args->maxcount, compound_room(compound));
    if (room < NFS4_VERIFIER_SIZE + LIST_END_BYTES)
        return compound->too_big;
    listing.limit = xdr_position(enc) + room - LIST_END_BYTES;
    xdr_put_u64(enc, 0); /* cookieverf */
    int err = list_entries(&listing, args->cookie);
    if (err < 0)
        return nfs_status(err);
    if (listing.error != NFS4_OK && listing.count == 0)
        return listing.error;
    if (listing.is_full && listing.count == 0)
        return room < args->maxcount ? compound->too_big : NFS4ERR_TOOSMALL;
    xdr_put_bool(enc, false);
    xdr_put_bool(enc, err == 1);
    return NFS4_OK;
}
