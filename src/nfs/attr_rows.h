/* nfs/attr_rows.h - the encoders and decoders that attrs.def names; for attr.c, attr_encode.c and attr_decode.c. */
#pragma once

#include "nfs/attr.h"

/* Writes the value of one attribute. */
typedef void attr_encoder(struct xdr_encoder *enc, const struct attr_source *source);
/* Reads the value of one attribute into `change`. NFS4ERR_BADXDR, NFS4ERR_INVAL, NFS4ERR_BADOWNER. */
typedef enum nfsstat4 attr_decoder(struct xdr_decoder *dec, struct attr_change *change);

attr_encoder attr_put_supported_attrs, attr_put_type, attr_put_fh_expire_type, attr_put_change,
    attr_put_size, attr_put_true, attr_put_false, attr_put_zero, attr_put_fsid, attr_put_lease_time,
    attr_put_rdattr_error, attr_put_filehandle, attr_put_fileid, attr_put_files_free,
    attr_put_files_total, attr_put_maxfilesize, attr_put_maxlink, attr_put_maxname,
    attr_put_io_size_max, attr_put_mode, attr_put_numlinks, attr_put_owner, attr_put_owner_group,
    attr_put_rawdev, attr_put_space_avail, attr_put_space_free, attr_put_space_total,
    attr_put_space_used, attr_put_time_access, attr_put_time_create, attr_put_time_delta,
    attr_put_time_metadata, attr_put_time_modify, attr_put_mounted_on_fileid,
    attr_put_suppattr_exclcreat, attr_put_clone_blksize, attr_put_change_attr_type,
    attr_put_open_arguments;

attr_decoder attr_get_size, attr_get_mode, attr_get_owner, attr_get_owner_group,
    attr_get_time_access_set, attr_get_time_create, attr_get_time_modify_set, attr_get_mode_umask,
    attr_get_time_deleg_access, attr_get_time_deleg_modify;
