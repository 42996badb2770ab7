/*
 * nfs/op_open.c - OPEN (room: NFS).
 *
 * The order: arguments, grace and recovery record, name, the file itself (found or made, in one step), its type, the
 * user's rights, share reservations, truncation. A file that was made by a request that fails later stays: nobody can
 * tell any more that it is still the one that was made.
 *
 * Sources: RFC 8881 section 18.16; RFC 7530 section 16.16.
 */
#include "fs/perm.h"
#include "nfs/compound.h"
#include "nfs/deleg.h"
#include "nfs/names.h"
#include "nfs/op_deleg.h"
#include "nfs/pseudo.h"

#define WANT_BITS                                                                                 \
    (OPEN4_SHARE_ACCESS_WANT_DELEG_MASK | OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL | \
        OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED)
#define WANT_BITS_42 \
    (OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS | OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION)

/* An OPEN on its way. */
struct opening {
    struct compound *compound;
    const struct OPEN4args *args;
    uint32_t access;           /* without the WANT bits */
    struct attr_change change; /* attributes for a new file */
    struct fs_attr attr;       /* of the file */
    struct fs_change dir_change;
    struct attr_mask attrset; /* what was set */
    bool is_made;             /* by this request: its mode does not bind it */
    bool truncates;           /* the file was there, and becomes empty */
};

static enum nfsstat4 check_share(const struct compound *compound, const struct OPEN4args *args)
{
    uint32_t allowed = OPEN4_SHARE_ACCESS_BOTH;
    if (compound->minor >= 1)
        allowed |=
            WANT_BITS | WANT_BITS_42; /* those of 4.2 mean nothing to 4.1, and are wishes only */
    if ((args->share_access & ~allowed) != 0 ||
        (args->share_access & OPEN4_SHARE_ACCESS_BOTH) == 0 ||
        args->share_deny > OPEN4_SHARE_DENY_BOTH)
        return NFS4ERR_INVAL;
    if (args->share_deny != OPEN4_SHARE_DENY_NONE &&
        view_is_strict(compound->conn, compound->current.volume))
        return NFS4ERR_NOTSUPP;
    return NFS4_OK;
}

/* Which claims there are, and which may create. */
static enum nfsstat4 check_claim(const struct compound *compound, const struct OPEN4args *args)
{
    switch (args->claim.claim) {
    case CLAIM_NULL:
        return NFS4_OK;
    case CLAIM_PREVIOUS:
        return args->openhow.opentype == OPEN4_CREATE ? NFS4ERR_INVAL : NFS4_OK;
    case CLAIM_FH:
        if (compound->minor == 0 || args->openhow.opentype == OPEN4_CREATE)
            return NFS4ERR_INVAL;
        return NFS4_OK;
    case CLAIM_DELEG_CUR_FH:
    case CLAIM_DELEGATE_CUR:
        if ((compound->minor == 0 && args->claim.claim == CLAIM_DELEG_CUR_FH) ||
            !view_allows_delegations(compound->conn, compound->current.volume))
            return NFS4ERR_NOTSUPP;
        return args->openhow.opentype == OPEN4_CREATE ? NFS4ERR_INVAL : NFS4_OK;
    default:
        return NFS4ERR_NOTSUPP; /* delegations do not outlive their client */
    }
}

/* How the file is to be made. */
static enum nfsstat4 get_createhow(struct opening *opening, struct fs_create *out_how)
{
    const struct createhow4 *how = &opening->args->openhow.how;
    const struct fattr4 *attrs = NULL;
    out_how->type = FS_REGULAR;
    switch (how->mode) {
    case UNCHECKED4:
    case GUARDED4:
        out_how->mode = how->mode == GUARDED4 ? FS_CREATE_GUARDED : FS_CREATE_UNCHECKED;
        attrs = &how->createattrs;
        break;
    case EXCLUSIVE4:
        out_how->mode = FS_CREATE_EXCLUSIVE;
        memcpy(out_how->verifier, how->createverf, sizeof out_how->verifier);
        break;
    case EXCLUSIVE4_1:
        if (opening->compound->minor == 0)
            return NFS4ERR_BADXDR;
        out_how->mode = FS_CREATE_EXCLUSIVE;
        memcpy(out_how->verifier, how->ch_createboth.cva_verf, sizeof out_how->verifier);
        attrs = &how->ch_createboth.cva_attrs;
        break;
    default:
        return NFS4ERR_BADXDR;
    }
    if (attrs == NULL)
        return NFS4_OK;
    enum nfsstat4 status = attr_get(
        attrs, compound_versions(opening->compound) & ~(unsigned)DELEG_TIMES, &opening->change);
    if (status == NFS4_OK && opening->change.set.set_size &&
        opening->change.set.size_bytes > FS_FILE_SIZE_MAX)
        status = NFS4ERR_FBIG;
    out_how->attr = opening->change.set;
    return status;
}

/* OPEN4_NOCREATE, by name. */
static enum nfsstat4 find_file(struct opening *opening, struct slice name)
{
    struct compound *compound = opening->compound;
    struct place *dir = &compound->current;
    if (place_is_pseudo(dir)) {
        struct place before = *dir;
        enum nfsstat4 status = pseudo_lookup(compound, name);
        *dir = before;
        return status != NFS4_OK ? status : NFS4ERR_ISDIR;
    }
    struct fs_attr dir_attr;
    int err = fs_getattr(dir->volume->fs, dir->node, &dir_attr);
    if (err == 0)
        err = fs_lookup(dir->volume->fs, &compound->cred, dir->node, name, &opening->attr);
    opening->dir_change = (struct fs_change){ dir_attr.change, dir_attr.change };
    return nfs_status(err);
}

/* OPEN4_CREATE where nothing may be changed: what is there can be opened, as by Linux on a read-only mount. */
static enum nfsstat4 find_instead(
    struct opening *opening, struct slice name, const struct fs_create *how)
{
    if (place_is_pseudo(&opening->compound->current))
        return NFS4ERR_ROFS;
    enum nfsstat4 status = find_file(opening, name);
    if (status == NFS4ERR_NOENT || (status == NFS4_OK && opening->change.set.set_size))
        return NFS4ERR_ROFS;
    return status == NFS4_OK && how->mode != FS_CREATE_UNCHECKED ? NFS4ERR_EXIST : status;
}

/* OPEN4_CREATE: the file is made, or is there already. */
static enum nfsstat4 make_file(struct opening *opening, struct slice name)
{
    struct compound *compound = opening->compound;
    struct place *dir = &compound->current;
    struct fs_create how = { 0 };
    enum nfsstat4 status = get_createhow(opening, &how);
    if (status != NFS4_OK)
        return status;
    if (!compound_may_write(compound))
        return find_instead(opening, name, &how);
    struct fs_created created;
    int err = fs_create(dir->volume->fs, &compound->cred, dir->node, name, &how, &created);
    if (err < 0)
        return nfs_status(err);
    opening->attr = created.attr;
    opening->dir_change = created.change;
    /* A retried exclusive create finds its own file. */
    opening->is_made = !created.existed || how.mode == FS_CREATE_EXCLUSIVE;
    if (opening->is_made) {
        opening->attrset = opening->change.mask;
    } else if (opening->change.set.set_size && opening->change.set.size_bytes == 0) {
        opening->truncates = true;
        attr_mask_add(&opening->attrset, FATTR4_SIZE);
    }
    return NFS4_OK;
}

/* Which file is to be opened. */
static enum nfsstat4 get_file(struct opening *opening)
{
    struct compound *compound = opening->compound;
    const struct OPEN4args *args = opening->args;
    bool by_name = args->claim.claim == CLAIM_NULL || args->claim.claim == CLAIM_DELEGATE_CUR;
    if (!by_name) {
        enum nfsstat4 status = place_get_attr(compound, &compound->current);
        opening->attr = compound->current.attr;
        return status;
    }
    enum nfsstat4 status = compound_require_directory(compound);
    struct slice name = args->claim.claim == CLAIM_DELEGATE_CUR ? args->claim.delegate_cur_info.file
                                                                : args->claim.file;
    if (status == NFS4_OK)
        status = name_check(name);
    if (status != NFS4_OK)
        return status;
    return args->openhow.opentype == OPEN4_CREATE ? make_file(opening, name)
                                                  : find_file(opening, name);
}

static bool is_by_delegation(const struct OPEN4args *args)
{
    return args->claim.claim == CLAIM_DELEGATE_CUR || args->claim.claim == CLAIM_DELEG_CUR_FH;
}

static bool writes(const struct opening *opening)
{
    return (opening->access & OPEN4_SHARE_ACCESS_WRITE) != 0 || opening->truncates;
}

/* Whether the user has the rights that it takes to open the file. */
static enum nfsstat4 check_user(const struct opening *opening)
{
    unsigned wanted = 0;
    if ((opening->access & OPEN4_SHARE_ACCESS_READ) != 0)
        wanted |= PERM_READ;
    if (writes(opening))
        wanted |= PERM_WRITE;
    return nfs_status(perm_check_data(&opening->compound->cred, &opening->attr, wanted));
}

/* Whether it can be opened at all, and by this user. */
static enum nfsstat4 check_file(const struct opening *opening)
{
    const struct compound *compound = opening->compound;
    switch (opening->attr.type) {
    case FS_REGULAR:
        break;
    case FS_DIRECTORY:
        return NFS4ERR_ISDIR;
    case FS_SYMLINK:
        return NFS4ERR_SYMLINK;
    default:
        return compound->minor == 0 ? NFS4ERR_SYMLINK : NFS4ERR_WRONG_TYPE;
    }
    if (opening->is_made)
        return NFS4_OK;
    if (writes(opening) && !compound_may_write(compound))
        return NFS4ERR_ROFS;
    if (opening->args->claim.claim == CLAIM_PREVIOUS)
        return NFS4_OK;
    if (is_by_delegation(opening->args) &&
        (compound->cred.uid == 0 || compound->cred.uid == opening->attr.uid))
        return NFS4_OK; /* it is open at the client already; the mode may have changed since */
    return check_user(opening);
}

/* Tells whose I/O goes on when the mode changes. A reclaim is not refused by the mode, so it proves nothing. */
static void note_user(const struct opening *opening, struct state_open_args *open_args)
{
    open_args->has_user = !open_args->reclaim || check_user(opening) == NFS4_OK;
    open_args->user = opening->compound->cred.uid;
}

/* Makes the opened file empty; what was opened is taken back when that fails. */
static enum nfsstat4 truncate_file(struct opening *opening, struct nfs_volume *volume,
    const struct state_open_args *open_args, const struct state_opened *opened)
{
    struct compound *compound = opening->compound;
    struct fs_setattr set = { .set_size = true, .size_bytes = 0 };
    int err = fs_setattr(volume->fs, &compound->cred, opening->attr.node, &set, &opening->attr);
    if (err < 0)
        state_open_revert(&compound->caller, open_args, opened);
    return nfs_status(err);
}

/* Has delegations of others that are in the way recalled, and waits a little for them. */
static enum nfsstat4 clear_delegations(struct opening *opening, struct nfs_volume *volume)
{
    struct compound *compound = opening->compound;
    bool changes = (opening->access & OPEN4_SHARE_ACCESS_WRITE) != 0 || opening->truncates ||
                   opening->args->share_deny != OPEN4_SHARE_DENY_NONE;
    enum state_deleg_use use = changes ? STATE_USE_CHANGE : STATE_USE_READ;
    struct fs_node node = opening->attr.node;
    struct state_file_key key = file_key_of(node);
    if (!state_deleg_may_exist(volume->files, &key, use))
        return NFS4_OK;
    enum nfsstat4 status = deleg_clear(compound, volume, node, use);
    if (status != NFS4_OK)
        return status;
    return nfs_status(fs_getattr(volume->fs, node, &opening->attr)); /* as it came back */
}

/* Opens the file, after what others may hold of it. */
static enum nfsstat4 open_state(struct opening *opening, struct nfs_volume *volume,
    const struct state_open_args *open_args, struct state_opened *opened)
{
    struct compound *compound = opening->compound;
    enum nfsstat4 status = NFS4_OK;
    if (is_by_delegation(opening->args))
        status = open_check_delegation(compound, opening->args, &open_args->file);
    else
        status = clear_delegations(opening, volume);
    if (status != NFS4_OK)
        return status;
    status = nfs_state_status(state_open(&compound->caller, open_args, opened));
    if (status == NFS4ERR_DELAY)
        deleg_pump(compound->server); /* one was given meanwhile */
    if (status == NFS4_OK && opening->truncates)
        status = truncate_file(opening, volume, open_args, opened);
    return status;
}

/* A delegation alone is enough for a client that says so: then nothing stays open. RFC 9754 section 4 */
static bool gives_no_open(const struct opening *opening, const struct state_opened *opened)
{
    const struct OPEN4args *args = opening->args;
    return opening->compound->minor >= 2 && opened->is_new &&
           (args->share_access & OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION) != 0 &&
           args->share_deny == OPEN4_SHARE_DENY_NONE;
}

/* What the file's stateid and delegation are. */
static void put_state(struct opening *opening, const struct state_open_args *open_args,
    const struct state_opened *opened, struct OPEN4resok *resok)
{
    struct compound *compound = opening->compound;
    struct state_stateid delegation;
    bool given = open_put_delegation(
        compound, opening->args, &opening->attr, &resok->delegation, &delegation);
    compound->current.stateid = opened->stateid;
    if (given && gives_no_open(opening, opened)) {
        state_open_revert(&compound->caller, open_args, opened);
        compound->current.stateid = delegation;
        resok->rflags |= OPEN4_RESULT_NO_OPEN_STATEID;
        return;
    }
    compound_put_stateid(&resok->stateid, &opened->stateid);
}

/* OPEN */
enum nfsstat4 op_open(struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct OPEN4args *args = &arg->opopen;
    bool reclaim = args->claim.claim == CLAIM_PREVIOUS;
    struct opening *opening = arena_calloc(compound->arena, 1, sizeof *opening);
    if (opening == NULL)
        return NFS4ERR_DELAY;
    opening->compound = compound;
    opening->args = args;
    opening->access = args->share_access & OPEN4_SHARE_ACCESS_BOTH;
    enum nfsstat4 status = check_share(compound, args);
    if (status == NFS4_OK)
        status = check_claim(compound, args);
    struct nfs_volume *volume = compound->current.volume;
    if (status == NFS4_OK && volume != NULL)
        status = nfs_state_status(state_open_permitted(&compound->caller, volume->files, reclaim));
    if (status == NFS4_OK)
        status = get_file(opening);
    if (status == NFS4_OK)
        status = check_file(opening);
    if (status != NFS4_OK)
        return status;
    assert(volume != NULL); /* the pseudo root has no files */
    struct state_open_args open_args = { .file = { .files = volume->files,
                                             .key = file_key_of(opening->attr.node) },
        .owner = args->owner.owner,
        .access = opening->access,
        .deny = args->share_deny,
        .reclaim = reclaim };
    note_user(opening, &open_args);
    struct state_opened opened;
    status = open_state(opening, volume, &open_args, &opened);
    if (status != NFS4_OK)
        return status;
    compound_set_node(compound, volume, &opening->attr);
    struct OPEN4resok *resok = &res->opopen.resok4;
    *resok = (struct OPEN4resok){ .rflags = OPEN4_RESULT_LOCKTYPE_POSIX };
    resok->cinfo = change_info_of(opening->dir_change);
    if (compound->minor > 0) {
        resok->rflags |= OPEN4_RESULT_PRESERVE_UNLINKED;
        if (view_allows_delegations(compound->conn, volume) &&
            state_back_is_up(compound->caller.client)) /* else it shall ask often */
            resok->rflags |= OPEN4_RESULT_MAY_NOTIFY_LOCK;
    } else if (compound->turn.needs_confirm && !reclaim) {
        resok->rflags |= OPEN4_RESULT_CONFIRM;
    }
    resok->attrset = attr_mask_bitmap(&opening->attrset);
    put_state(opening, &open_args, &opened, resok);
    return NFS4_OK;
}
