/*
 * tests/fuzz/conversation_ops.c - the operations that a step of a conversation can be.
 */
#include "tests/fuzz/conversation_ops.h"

static const char *const names[] = { "f0", "f1", "f2", "f3", "d", "l", "n0", "n1", "f0", "f1", "d",
    "n0", "", ".", "..", "a/b" };

struct slice name_of(uint8_t byte)
{
    return slice_str(names[byte % ARRAY_SIZE(names)]);
}

uint64_t offset_of(uint8_t byte)
{
    static const uint64_t odd[] = { UINT64_MAX, UINT64_MAX - 1, INT64_MAX, (uint64_t)INT64_MAX + 1,
        UINT64_C(1) << 40, 65535, 4096, 1 };
    return byte >= 0xf8 ? odd[byte & 7] : (uint64_t)byte * 16;
}

uint32_t count_of(uint8_t byte)
{
    return byte >= 0xf8 ? UINT32_MAX >> (byte & 7) * 4 : byte * 16u;
}

struct stateid4 stateid_of(struct talk *talk, uint8_t byte)
{
    struct stateid4 id = { 0 };
    uint32_t known = talk->stateid_count < STATEID_COUNT ? talk->stateid_count : STATEID_COUNT;
    if (known > 0)
        id = talk->stateids[(talk->stateid_count - 1 - (byte & 31u) % known) % STATEID_COUNT].id;
    switch (byte >> 5) {
    case 3:
        id.seqid--;
        break;
    case 4:
        id.seqid++;
        break;
    case 5:
        id.seqid = 0;
        break;
    case 6:
        id.other[byte % sizeof id.other] ^= 0x10;
        break;
    case 7: /* anonymous, of a READ bypass, current, invalid */
        memset(&id, 0, sizeof id);
        if ((byte & 3) == 1)
            memset(&id, 0xff, sizeof id);
        if ((byte & 3) == 2)
            id.seqid = 1;
        if ((byte & 3) == 3)
            id.seqid = UINT32_MAX;
        break;
    default:
        break;
    }
    return id;
}

uint32_t owner_seqid(uint32_t next, uint8_t extra)
{
    switch (extra >> 5) {
    case 6:
        return next - 1;
    case 7:
        return next + 1;
    default:
        return next;
    }
}

struct slice owner_name(uint8_t flags)
{
    return slice_str((flags & 0x80) != 0 ? "owner two" : "owner");
}

struct fattr4 attrs_of(struct talk *talk, const struct step *step)
{
    if ((step->flags & 1) != 0)
        return fattr_size(talk->h, offset_of(step->offset));
    return fattr_mode(talk->h, (step->extra * 8u) & 07777);
}

/* ---- data ---- */

static void build_read(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer; /* READ_PLUS and IO_ADVISE begin alike */
    arg->opread = (struct READ4args){ .stateid = stateid_of(talk, step->stateid),
        .offset = offset_of(step->offset),
        .count = count_of(step->length) };
}

static void build_read_plus(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opread_plus = (struct READ_PLUS4args){ .rpa_stateid = stateid_of(talk, step->stateid),
        .rpa_offset = offset_of(step->offset),
        .rpa_count = count_of(step->length) };
}

static void build_write(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    static const uint8_t data[UINT8_MAX] = { 'x', 'y' }; /* no longer: encoded in place */
    (void)peer;
    arg->opwrite = (struct WRITE4args){ .stateid = stateid_of(talk, step->stateid),
        .offset = offset_of(step->offset),
        .stable = (enum stable_how4)(step->flags % 3),
        .data = slice_of(data, step->length) };
}

static void build_commit(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    (void)peer;
    arg->opcommit =
        (struct COMMIT4args){ .offset = offset_of(step->offset), .count = count_of(step->length) };
}

static void build_setattr(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opsetattr = (struct SETATTR4args){ .stateid = stateid_of(talk, step->stateid),
        .obj_attributes = attrs_of(talk, step) };
}

static void build_allocate(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opallocate = (struct ALLOCATE4args){ .aa_stateid = stateid_of(talk, step->stateid),
        .aa_offset = offset_of(step->offset),
        .aa_length = offset_of(step->length) };
}

static void build_deallocate(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opdeallocate = (struct DEALLOCATE4args){ .da_stateid = stateid_of(talk, step->stateid),
        .da_offset = offset_of(step->offset),
        .da_length = offset_of(step->length) };
}

static void build_seek(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opseek = (struct SEEK4args){ .sa_stateid = stateid_of(talk, step->stateid),
        .sa_offset = offset_of(step->offset),
        .sa_what = (enum data_content4)(step->flags & 1) };
}

/* COPY and CLONE: the saved filehandle is set by build's caller, or by steps before. */
static void build_copy(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opcopy = (struct COPY4args){ .ca_src_stateid = stateid_of(talk, step->stateid),
        .ca_dst_stateid = stateid_of(talk, step->extra),
        .ca_src_offset = offset_of(step->offset),
        .ca_dst_offset = offset_of((uint8_t)(step->offset ^ step->flags)),
        .ca_count = offset_of(step->length),
        .ca_consecutive = true,
        .ca_synchronous = true }; /* fake_fs is for one thread */
}

static void build_clone(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opclone = (struct CLONE4args){ .cl_src_stateid = stateid_of(talk, step->stateid),
        .cl_dst_stateid = stateid_of(talk, step->extra),
        .cl_src_offset = (uint64_t)step->offset << 12,
        .cl_dst_offset = (uint64_t)(step->offset ^ step->flags) << 12,
        .cl_count = (uint64_t)step->length << 10 };
}

static void build_offload_status(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer; /* OFFLOAD_CANCEL has the same arguments */
    arg->opoffload_status.osa_stateid = stateid_of(talk, step->stateid);
}

/* ---- names and attributes ---- */

static void build_access(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    (void)peer;
    arg->opaccess.access = step->flags;
}

static void build_getattr(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opgetattr.attr_request =
        bitmap(talk->h, step->flags * 0x01010101u, step->extra * 0x01010101u, step->length & 7u);
}

static void build_create(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    static const enum nfs_ftype4 types[] = { NF4DIR, NF4LNK, NF4FIFO, NF4SOCK };
    (void)peer;
    struct createtype4 type = { .type = types[step->flags >> 1 & 3] };
    if (type.type == NF4LNK)
        type.linkdata = slice_str("f0");
    arg->opcreate = (struct CREATE4args){ .objtype = type,
        .objname = name_of(step->place >> 3),
        .createattrs = fattr_mode(talk->h, 0755) };
}

/* LOOKUP, REMOVE, LINK: a name is all they have. */
static void build_name(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    (void)peer;
    arg->oplookup.objname = name_of(step->place >> 3);
}

static void build_rename(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    (void)peer;
    arg->oprename = (struct RENAME4args){ .oldname = name_of(step->place >> 3),
        .newname = name_of(step->extra) };
}

static void build_readdir(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opreaddir = (struct READDIR4args){ .cookie = step->offset,
        .dircount = count_of(step->length),
        .maxcount = count_of(step->length),
        .attr_request = bitmap(talk->h, step->flags * 0x01010101u, 0, 0) };
}

static void build_setxattr(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    (void)peer;
    arg->opsetxattr =
        (struct SETXATTR4args){ .sxa_option = (enum setxattr_option4)(step->flags % 3),
            .sxa_key = name_of(step->extra),
            .sxa_value = name_of(step->length) };
}

static void build_getxattr(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk; /* REMOVEXATTR has the same arguments */
    (void)peer;
    arg->opgetxattr.gxa_name = name_of(step->extra);
}

static void build_listxattrs(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    (void)peer;
    arg->oplistxattrs = (struct LISTXATTRS4args){ .lxa_cookie = step->offset,
        .lxa_maxcount = count_of(step->length) };
}

/* What the operation stands on, set before it. */
enum needs { NOTHING, DIRECTORY, OBJECT, TWO };

struct op_row {
    uint32_t opcode;
    uint8_t minor_min, minor_max;
    enum needs needs;
    build_op *build; /* NULL: no arguments */
};

static const struct op_row ops[] = {
    { OP_OPEN, 0, 2, DIRECTORY, build_open },
    { OP_CLOSE, 0, 2, OBJECT, build_close },
    { OP_LOCK, 0, 2, OBJECT, build_lock },
    { OP_LOCKU, 0, 2, OBJECT, build_locku },
    { OP_LOCKT, 0, 2, OBJECT, build_lockt },
    { OP_READ, 0, 2, OBJECT, build_read },
    { OP_WRITE, 0, 2, OBJECT, build_write },
    { OP_DELEGRETURN, 0, 2, OBJECT, build_delegreturn },
    { OP_OPEN_DOWNGRADE, 0, 2, OBJECT, build_open_downgrade },
    { OP_OPEN_CONFIRM, 0, 0, OBJECT, build_open_confirm },
    { OP_SETATTR, 0, 2, OBJECT, build_setattr },
    { OP_GETATTR, 0, 2, OBJECT, build_getattr },
    { OP_COMMIT, 0, 2, OBJECT, build_commit },
    { OP_ACCESS, 0, 2, OBJECT, build_access },
    { OP_CREATE, 0, 2, DIRECTORY, build_create },
    { OP_REMOVE, 0, 2, DIRECTORY, build_name },
    { OP_RENAME, 0, 2, DIRECTORY, build_rename },
    { OP_LINK, 0, 2, TWO, build_name },
    { OP_LOOKUP, 0, 2, DIRECTORY, build_name },
    { OP_LOOKUPP, 0, 2, OBJECT, NULL },
    { OP_READDIR, 0, 2, DIRECTORY, build_readdir },
    { OP_READLINK, 0, 2, OBJECT, NULL },
    { OP_GETFH, 0, 2, OBJECT, NULL },
    { OP_SAVEFH, 0, 2, OBJECT, NULL },
    { OP_RESTOREFH, 0, 2, NOTHING, NULL },
    { OP_SECINFO, 0, 2, DIRECTORY, build_name },
    { OP_SETCLIENTID, 0, 0, NOTHING, build_setclientid },
    { OP_SETCLIENTID_CONFIRM, 0, 0, NOTHING, build_setclientid_confirm },
    { OP_RENEW, 0, 0, NOTHING, build_renew },
    { OP_RELEASE_LOCKOWNER, 0, 0, NOTHING, build_release_lockowner },
    { OP_EXCHANGE_ID, 1, 2, NOTHING, build_exchange_id },
    { OP_CREATE_SESSION, 1, 2, NOTHING, build_create_session },
    { OP_DESTROY_SESSION, 1, 2, NOTHING, build_destroy_session },
    { OP_DESTROY_CLIENTID, 1, 2, NOTHING, build_destroy_clientid },
    { OP_BIND_CONN_TO_SESSION, 1, 2, NOTHING, build_bind_conn },
    { OP_RECLAIM_COMPLETE, 1, 2, NOTHING, build_reclaim_complete },
    { OP_FREE_STATEID, 1, 2, NOTHING, build_free_stateid },
    { OP_TEST_STATEID, 1, 2, NOTHING, build_test_stateid },
    { OP_ALLOCATE, 2, 2, OBJECT, build_allocate },
    { OP_DEALLOCATE, 2, 2, OBJECT, build_deallocate },
    { OP_SEEK, 2, 2, OBJECT, build_seek },
    { OP_READ_PLUS, 2, 2, OBJECT, build_read_plus },
    { OP_COPY, 2, 2, TWO, build_copy },
    { OP_CLONE, 2, 2, TWO, build_clone },
    { OP_OFFLOAD_STATUS, 2, 2, NOTHING, build_offload_status },
    { OP_OFFLOAD_CANCEL, 2, 2, NOTHING, build_offload_status },
    { OP_SETXATTR, 2, 2, OBJECT, build_setxattr },
    { OP_GETXATTR, 2, 2, OBJECT, build_getxattr },
    { OP_REMOVEXATTR, 2, 2, OBJECT, build_getxattr },
    { OP_LISTXATTRS, 2, 2, OBJECT, build_listxattrs },
};

/* The current filehandle: by name from the root, a remembered handle, a damaged one, or what is there. */
static void add_place(struct talk *talk, const struct step *step, enum needs needs)
{
    uint8_t how = step->place & 7;
    uint8_t which = step->place >> 3;
    if (how == 7)
        return;
    if (how >= 5 && talk->handle_count > 0) {
        uint32_t known = talk->handle_count < HANDLE_COUNT ? talk->handle_count : HANDLE_COUNT;
        struct slice handle = talk->handles[which % known];
        uint8_t *copy = arena_alloc(&talk->h->arena, handle.size);
        assert_non_null(copy);
        memcpy(copy, handle.data, handle.size);
        if (how == 6 && handle.size > 0 && (step->extra & 1) != 0)
            copy[step->extra % handle.size] ^= 1;
        add_putfh(talk->h, slice_of(copy, handle.size));
        return;
    }
    add_putrootfh(talk->h);
    if (needs == OBJECT || needs == TWO)
        add_lookup(talk->h, names[which % 8]);
}

bool step_is_alone(const struct step *step)
{
    uint32_t opcode = ops[step->op % ARRAY_SIZE(ops)].opcode;
    return (step->flags & 4) == 0 &&
           (opcode == OP_EXCHANGE_ID || opcode == OP_CREATE_SESSION ||
               opcode == OP_DESTROY_SESSION || opcode == OP_DESTROY_CLIENTID ||
               opcode == OP_BIND_CONN_TO_SESSION);
}

void add_step_op(struct talk *talk, struct peer *peer, const struct step *step)
{
    const struct op_row *row = &ops[step->op % ARRAY_SIZE(ops)];
    bool is_foreign = peer->minor < row->minor_min || peer->minor > row->minor_max;
    if (is_foreign && (step->extra & 0x0f) != 0x0f)
        return;
    peer->wrong_turn |= step->extra >> 5 >= 6;
    union nfs_argop4 arg;
    memset(&arg, 0, sizeof arg);
    if (row->build != NULL)
        row->build(talk, peer, step, &arg);
    if (row->opcode == OP_RENAME && (step->place & 7) < 4) {
        add_putrootfh(talk->h);
        add_savefh(talk->h);
    }
    if (row->needs != NOTHING)
        add_place(talk, step, row->needs);
    if (row->needs == TWO && (step->place & 7) < 4) {
        add_savefh(talk->h);
        add_putrootfh(talk->h);
        if (row->opcode != OP_LINK)
            add_lookup(talk->h, names[step->flags % 4]);
    }
    add_op(talk->h, row->opcode, row->build != NULL ? &arg : NULL);
    if (row->opcode == OP_OPEN || row->opcode == OP_CREATE)
        add_getfh(talk->h);
}
