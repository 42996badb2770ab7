/* client/attr.h - attributes of a file, to and from NFSv4's bitmap and values. */
#pragma once

#include "client/call.h"

struct nfs_attr {
    int error; /* 0, or why nothing else is here: in a directory's listing */
    enum nfs_ftype4 type;
    uint32_t mode; /* the 12 permission bits */
    uint32_t link_count;
    uint32_t uid; /* 65534 when the server gives a name, not a number */
    uint32_t gid;
    uint32_t device_major;
    uint32_t device_minor;
    uint64_t change;
    uint64_t size_bytes;
    uint64_t space_used_bytes;
    uint64_t fileid;
    struct fsid4 fsid;
    struct nfstime4 atime;
    struct nfstime4 mtime;
    struct nfstime4 ctime;
    struct nfs_fh fh;
};

/* Attributes to set; those whose flag is false stay. */
struct nfs_setattr {
    bool set_mode, set_uid, set_gid, set_size, set_atime, set_mtime;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size_bytes;
    struct nfstime4 atime;
    struct nfstime4 mtime;
};

/* What READDIR asks for to fill a struct nfs_attr per entry; constant. */
struct bitmap4 nfs_attr_wanted_in_list(void);
/* Adds GETATTR of all of it. */
void nfs_attr_ask(struct nfs_call *call);
/* Reads what nfs_attr_ask() asked for. Errors: as nfs_call_result(); -EBADMSG: not decodable. */
MUST_CHECK int nfs_attr_result(struct nfs_call *call, struct nfs_attr *out_attr);
/* False: the server sent what was not asked for, or it is cut short. */
MUST_CHECK bool nfs_attr_decode(const struct fattr4 *from, struct nfs_attr *out_attr);
/* Adds SETATTR with `stateid`. Set-user-id bits are set once more by a second SETATTR when an owner is set too: servers
 * that change the owner last clear them. False: no memory. */
MUST_CHECK bool nfs_attr_set(
    struct nfs_call *call, const struct nfs_setattr *attr, struct stateid4 stateid);
/* Reads over the results of nfs_attr_set(). */
MUST_CHECK int nfs_attr_set_result(struct nfs_call *call, const struct nfs_setattr *attr);
/* Gives the encoding, in memory of the call. False: no memory. */
MUST_CHECK bool nfs_attr_encode(
    struct nfs_call *call, const struct nfs_setattr *attr, struct fattr4 *out);
