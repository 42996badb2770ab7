/*
 * nfs/op_attr.c - ACCESS, GETATTR, SETATTR, VERIFY and NVERIFY (room: NFS).
 *
 * Sources: RFC 8881 sections 18.1, 18.7, 18.30, 18.31 and 18.15.
 */
#include "nfs/op_attr.h"
#include "base/clock.h"
#include "fs/perm.h"
#include "nfs/attr.h"
#include "nfs/compound.h"
#include "nfs/deleg.h"
#include "nfs/deleg_time.h"
#include "nfs/grant.h"
#include "nfs/op_io.h"
#include "nfs/pseudo.h"

#define ACCESS_BITS_DIRECTORY \
    (ACCESS4_READ | ACCESS4_LOOKUP | ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_DELETE)
#define ACCESS_BITS_XATTR (ACCESS4_XAREAD | ACCESS4_XAWRITE | ACCESS4_XALIST)
#define ACCESS_BITS_FILE  (ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_EXECUTE)

/* ACCESS - which of the asked rights the user has; those of no meaning for the type are not reported on. */
enum nfsstat4 op_access(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    enum nfsstat4 status = place_get_attr(compound, &compound->current);
    if (status != NFS4_OK)
        return status;
    const struct fs_attr *attr = &compound->current.attr;
    bool is_directory = attr->type == FS_DIRECTORY;
    uint32_t known = is_directory ? ACCESS_BITS_DIRECTORY : ACCESS_BITS_FILE;
    if ((attr->type == FS_REGULAR || is_directory) && (compound_versions(compound) & XATTRS) != 0)
        known |= ACCESS_BITS_XATTR;
    unsigned granted = perm_granted(&compound->cred, attr, PERM_READ | PERM_WRITE | PERM_EXECUTE);
    if (!compound_may_write(compound))
        granted &= ~(unsigned)PERM_WRITE;
    uint32_t access = 0;
    if ((granted & PERM_READ) != 0)
        access |= ACCESS4_READ | ACCESS4_XAREAD | ACCESS4_XALIST;
    if ((granted & PERM_WRITE) != 0)
        access |= ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_DELETE | ACCESS4_XAWRITE;
    if ((granted & PERM_EXECUTE) != 0)
        access |= ACCESS4_LOOKUP | ACCESS4_EXECUTE;
    res->opaccess.resok4.supported = known & arg->opaccess.access;
    res->opaccess.resok4.access = known & access & arg->opaccess.access;
    return NFS4_OK;
}

/* Everything but the file's own attributes. `space` gets what is in *out_space's type when `mask` wants it. */
enum nfsstat4 attr_source_init(struct compound *compound, struct place *place,
    const struct attr_mask *mask, struct fs_space *space, struct attr_source *out)
{
    *out = (struct attr_source){ .versions = compound_versions(compound),
        .fh = place_fh(place),
        .fh_key = &compound->server->options.fh_key,
        .lease_s = compound->server->options.lease_ms / 1000 };
    if (!attr_mask_meets(mask, &attr_mask_space))
        return NFS4_OK;
    *space = (struct fs_space){ 0 };
    out->space = space;
    if (place_is_pseudo(place))
        return NFS4_OK;
    int err = fs_space(place->volume->fs, space);
    if (err == 0)
        err = fs_quota_space(place->volume->fs, place->node, space);
    return nfs_status(err);
}

uint64_t attr_mounted_on_fileid(struct compound *compound, const struct place *place)
{
    struct fs_node root;
    if (compound->conn->volume != NULL || place_is_pseudo(place))
        return place->node.inode;
    root = place->volume->root;
    if (UNLIKELY(place->access_tag != 0) &&
        nfs_grant_root(compound->conn, place->volume, place->access_tag, false, &root) != NFS4_OK)
        return place->node.inode;
    return fs_node_equal(place->node, root)
               ? pseudo_junction_fileid(place->volume->tag ^ place->access_tag)
               : place->node.inode;
}

/* Whether a client that writes to the file on its own may know better. */
static bool needs_writer(const struct place *place, const struct attr_mask *mask)
{
    if (place->type != FS_REGULAR || place_is_pseudo(place))
        return false;
    struct state_file_key key = file_key_of(place->node);
    if (LIKELY(!state_deleg_may_exist(place->volume->files, &key, STATE_USE_READ)))
        return false;
    return attr_mask_meets(mask, &attr_mask_writer);
}

/* The current file's attributes, encoded as an fattr4. */
static enum nfsstat4 put_current(
    struct compound *compound, struct xdr_encoder *enc, const struct attr_plan *plan)
{
    struct place *current = &compound->current;
    struct attr_source source;
    struct fs_space space;
    enum nfsstat4 status = place_get_attr(compound, current);
    if (status == NFS4_OK && needs_writer(current, &plan->mask))
        status = deleg_ask_writer(compound, current);
    if (status != NFS4_OK)
        return status;
    status = attr_source_init(compound, current, &plan->mask, &space, &source);
    if (status != NFS4_OK)
        return status;
    source.attr = &current->attr;
    source.mounted_on_fileid = attr_mounted_on_fileid(compound, current);
    attr_put(enc, &source, plan);
    return NFS4_OK;
}

/* GETATTR - attributes that are not supported are left out, without an error. */
enum nfsstat4 op_getattr(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    struct attr_mask wanted = attr_mask_of(&arg->opgetattr.attr_request, NULL);
    struct attr_plan plan;
    enum nfsstat4 status = attr_plan_init(&plan, &wanted, compound_versions(compound));
    if (status != NFS4_OK)
        return status;
    return put_current(compound, compound->enc, &plan);
}

/* Whether the stateid allows setting the size, and whether through an open file. */
static enum nfsstat4 check_size(
    struct compound *compound, const struct stateid4 *stateid4, struct fs_setattr *set)
{
    enum nfsstat4 status = compound_require_regular(compound);
    if (status != NFS4_OK)
        return status == NFS4ERR_ISDIR ? status : NFS4ERR_INVAL;
    if (set->size_bytes > FS_FILE_SIZE_MAX)
        return NFS4ERR_FBIG;
    struct state_file_ref file = compound_file_ref(compound);
    struct state_stateid stateid = compound_stateid(compound, stateid4);
    struct state_io_grant grant;
    enum state_status granted =
        state_io_check(&compound->caller, &file, &stateid, STATE_IO_WRITE, &grant);
    if (granted != STATE_OK)
        return nfs_state_status(granted);
    if (grant.by_open && compound->minor == 0)
        callpath_note(compound, state_stateid_clientid(&stateid));
    /* Linux opens a file of its write delegation with O_RDONLY | O_TRUNC by itself, without asking whether the user may write, and
     * truncates as the user that the delegation was given to. Refused, it returns the delegation where somebody has the file
     * open for writing, and else refuses the open. */
    if (grant.by_delegation && !state_file_has_writer(&file))
        return NFS4ERR_OPENMODE;
    if (grant.by_open) { /* as of WRITE */
        status = place_get_attr(compound, &compound->current);
        set->size_by_open_file =
            io_is_permitted(compound, &grant) || compound->cred.uid == compound->current.attr.uid;
    }
    return status;
}

/* Changes attributes that nobody has a delegation on meanwhile. */
static enum nfsstat4 change_attr(struct compound *compound, const struct fs_setattr *set)
{
    struct place *file = &compound->current;
    struct state_file_key key = file_key_of(file->node);
    struct fs_attr attr;
    state_change_begin(file->volume->files, &key);
    enum nfsstat4 status = deleg_clear(compound, file->volume, file->node, STATE_USE_CHANGE);
    if (status == NFS4_OK)
        status = nfs_status(fs_setattr(file->volume->fs, &compound->cred, file->node, set, &attr));
    state_change_end(file->volume->files, &key);
    if (status != NFS4_OK)
        return status;
    compound_set_attr(compound, &attr);
    if ((set->atime_how != FS_TIME_KEEP || set->mtime_how != FS_TIME_KEEP) &&
        state_deleg_may_exist(file->volume->files, &key, STATE_USE_READ)) {
        struct state_file_ref ref = place_file_ref(file);
        state_deleg_times_begin(
            &compound->caller, &ref, deleg_time_of(attr.atime), deleg_time_of(attr.mtime));
    }
    return NFS4_OK;
}

/* Whether times that the holder of a write delegation tells may be set: *out has them. It needs no right but the
 * delegation. */
static enum nfsstat4 check_deleg_times(struct compound *compound, const struct stateid4 *stateid4,
    const struct attr_change *change, struct state_deleg_writer *out)
{
    bool has_atime = attr_mask_has(&change->mask, FATTR4_TIME_DELEG_ACCESS);
    bool has_mtime = attr_mask_has(&change->mask, FATTR4_TIME_DELEG_MODIFY);
    if (place_is_pseudo(&compound->current) ||
        (has_atime && change->set.atime_how != FS_TIME_KEEP) ||
        (has_mtime && change->set.mtime_how != FS_TIME_KEEP))
        return NFS4ERR_INVAL;
    struct state_file_ref file = compound_file_ref(compound);
    struct state_stateid stateid = compound_stateid(compound, stateid4);
    enum state_status found = state_deleg_times(&compound->caller, &file, &stateid, out);
    if (found != STATE_OK)
        return nfs_state_status(found);
    if (has_atime)
        out->said_atime = deleg_time_of(change->deleg_atime);
    if (has_mtime)
        out->said_mtime = deleg_time_of(change->deleg_mtime);
    return NFS4_OK;
}

static enum nfsstat4 set_deleg_times(
    struct compound *compound, const struct state_deleg_writer *writer)
{
    struct place *place = &compound->current;
    struct state_file_ref file = compound_file_ref(compound);
    struct clock_time now = clock_wall();
    struct fs_setattr set = { .mtime_how = FS_TIME_KEEP };
    if (!deleg_times_to_set(writer,
            (struct fs_time){ .seconds = now.seconds, .nanoseconds = now.nanoseconds }, &set))
        return NFS4_OK;
    struct fs_cred root = { .uid = 0 };
    struct fs_attr attr;
    int err = fs_setattr(place->volume->fs, &root, place->node, &set, &attr);
    if (err < 0)
        return nfs_status(err);
    compound_set_attr(compound, &attr);
    state_deleg_writer_said(&file, writer);
    return NFS4_OK;
}

/* What a SETATTR sets that is not the holder's alone. */
static struct attr_mask without_deleg_times(const struct attr_mask *mask)
{
    struct attr_mask others = *mask;
    attr_mask_remove(&others, FATTR4_TIME_DELEG_ACCESS);
    attr_mask_remove(&others, FATTR4_TIME_DELEG_MODIFY);
    return others;
}

/* Sets what may fail for want of a right first, so that only a fault of the storage can leave a part undone. *out_set:
 * what was set. */
static enum nfsstat4 set_attr(struct compound *compound, const struct stateid4 *stateid,
    const struct attr_change *change, struct attr_mask *out_set)
{
    struct attr_mask others = without_deleg_times(&change->mask);
    bool has_times = attr_change_has_deleg_times(change);
    struct state_deleg_writer writer;
    enum nfsstat4 status = NFS4_OK;
    *out_set = (struct attr_mask){ { 0 } };
    if (has_times)
        status = check_deleg_times(compound, stateid, change, &writer);
    if (status == NFS4_OK && (!has_times || !attr_mask_is_empty(&others)))
        status = change_attr(compound, &change->set);
    if (status != NFS4_OK)
        return status;
    *out_set = others;
    if (has_times)
        status = set_deleg_times(compound, &writer);
    if (status == NFS4_OK)
        *out_set = change->mask;
    return status;
}

/* SETATTR - all or none. What was set is told even with an error. */
enum nfsstat4 op_setattr(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct SETATTR4args *args = &arg->opsetattr;
    struct attr_change *change = arena_alloc(compound->arena, sizeof *change);
    if (change == NULL)
        return NFS4ERR_DELAY;
    enum nfsstat4 status = attr_get(&args->obj_attributes, compound_versions(compound), change);
    if (status != NFS4_OK)
        return status;
    if (attr_mask_has(&change->mask, FATTR4_MODE_UMASK))
        return NFS4ERR_INVAL; /* RFC 8275 section 4.1: only where something is created */
    if (change->set.set_size) {
        status = check_size(compound, &args->stateid, &change->set);
        if (status != NFS4_OK)
            return status;
    }
    if (change->set.set_mode) {
        status = place_get_attr(compound, &compound->current);
        if (status != NFS4_OK)
            return status;
        if (compound->current.type == FS_SYMLINK)
            change->set.set_mode = false; /* it has none; chmod of a tree shall not fail on it */
    }
    struct attr_mask set;
    status = set_attr(compound, &args->stateid, change, &set);
    change->mask = set; /* the reply points to it */
    res->opsetattr.attrsset = attr_mask_bitmap(&change->mask);
    return status;
}

/* Compares given values with the file's, as encoded: NFS4ERR_SAME or NFS4ERR_NOT_SAME. */
static enum nfsstat4 compare(struct compound *compound, const struct fattr4 *given)
{
    bool beyond;
    struct attr_mask mask = attr_mask_of(&given->attrmask, &beyond);
    struct attr_mask supported = attr_supported(compound_versions(compound));
    for (uint32_t word = 0; word < ATTR_WORDS; word++)
        beyond |= (mask.words[word] & ~supported.words[word]) != 0;
    if (beyond)
        return NFS4ERR_ATTRNOTSUPP;
    if (attr_mask_has(&mask, FATTR4_RDATTR_ERROR))
        return NFS4ERR_INVAL;
    struct attr_plan plan;
    enum nfsstat4 status = attr_plan_init(&plan, &mask, compound_versions(compound));
    if (status != NFS4_OK)
        return status;
    struct xdr_encoder values;
    struct bitmap4 bitmap = attr_mask_bitmap(&mask);
    xdr_encoder_init(&values, compound->arena, NFS4_ATTRS_SIZE_MAX);
    status = put_current(compound, &values, &plan);
    if (status != NFS4_OK)
        return status;
    if (values.failed)
        return NFS4ERR_DELAY;
    size_t header = 4 + 4 * (size_t)bitmap.count + 4;
    struct slice actual = slice_of(values.data + header, values.size - header);
    return slice_equal(actual, given->attr_vals) ? NFS4ERR_SAME : NFS4ERR_NOT_SAME;
}

/* VERIFY, NVERIFY - go on only if the attributes are, or are not, these. */
enum nfsstat4 op_verify(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    enum nfsstat4 status = compare(compound, &arg->opverify.obj_attributes);
    return status == NFS4ERR_SAME ? NFS4_OK : status;
}

enum nfsstat4 op_nverify(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    enum nfsstat4 status = compare(compound, &arg->opnverify.obj_attributes);
    return status == NFS4ERR_NOT_SAME ? NFS4_OK : status;
}
