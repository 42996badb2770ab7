/*
 * mount/options.h - the list after -o: what is ours, what is the kernel's, and what a profile adds.
 *
 * Ours: tls notls iam accesspoint= az= mounttargetip= server= region= suffix= endpoint= data= cafile= awsprofile= port=
 * profile= timeout= noverify tlsport=. Flags of mount(2) become bits. What only /etc/fstab and systemd understand (_netdev, nofail,
 * x-...) is dropped. All the rest goes to the kernel as it is. Pure functions: they only read and write words.
 * Source: EFS User Guide, "Recommended NFS mount options"; mount.efs of amazon-efs-utils; nfs(5), mount(8).
 */
#pragma once

#include "mount/problem.h"

#define OPTIONS_NFS_SIZE  3072 /* the kernel takes one page in all */
#define OPTIONS_WORD_SIZE 256
#define OPTIONS_PATH_SIZE 1024

enum options_profile { PROFILE_GENERAL, PROFILE_MAXIO, PROFILE_STRICT };

struct mount_options {
    bool tls; /* by option, or because accesspoint or iam ask for it */
    bool iam;
    bool remount;
    bool no_verify; /* the server's certificate is not checked */
    char access_point[OPTIONS_WORD_SIZE];
    char az[OPTIONS_WORD_SIZE];
    char target_ip[OPTIONS_WORD_SIZE];
    char server[OPTIONS_WORD_SIZE];
    char region[OPTIONS_WORD_SIZE];
    char suffix[OPTIONS_WORD_SIZE];
    char endpoint[OPTIONS_WORD_SIZE];
    char aws_profile[OPTIONS_WORD_SIZE];
    char data[OPTIONS_PATH_SIZE];
    char ca_file[OPTIONS_PATH_SIZE];
    uint16_t port;         /* of NFS at the target; 0: not given */
    uint16_t tunnel_port;  /* tlsport=; 0: the first that is free */
    uint32_t timeout_s;    /* of mounting; 0: not given */
    unsigned long flags;   /* MS_RDONLY... */
    unsigned long cleared; /* flags that were said off: rw, exec... */
    bool has_nfs_options;  /* some were given, beside those of the profile */
    enum options_profile profile;
    char nfs[OPTIONS_NFS_SIZE]; /* for the kernel, with those of the profile */
    char unknown
        [OPTIONS_WORD_SIZE]; /* one that no known kernel has, or empty: passed on all the same */
    char remark[PROBLEM_TEXT_SIZE]; /* about options that do nothing (any more), or empty */
};

/* Reads a list ("a,b=c"; NULL is none). Errors: -EINVAL with the sentence: a bad value, options that exclude each other, one of
 * an older or another tool with its replacement; -ENOSPC: too long. */
MUST_CHECK int options_parse(
    const char *list, struct mount_options *out_options, struct problem *problem);
/* The name of the profile, for messages. */
const char *options_profile_name(enum options_profile profile);
/* What an option of older mounts means now, as the end of a sentence ("is ignored since..."); NULL: it is no such option. */
const char *options_replacement(const char *name);
/* Whether the NFS client or mount(8) knows the option. */
bool options_is_known(const char *name);
/* The known name nearest to `name`, NULL: none is near. */
const char *options_nearest(const char *name);
/* Whether two lists ask for the same mount, but for flags such as ro. */
bool options_differ_in_flags_only(const struct mount_options *a, const struct mount_options *b);
