/*
 * mount/options.c - reading mount options (room: mount).
 */
#include "mount/options.h"

#include <stdio.h>
#include <sys/mount.h>

#include "base/text.h"

#define OLD_NAME_MAX 64

/* Options of the NFS client in the kernel, v4. Source: nfs(5) and fs/nfs/fs_context.c of Linux 6.12. */
static const char *const nfs_names[] = { "ac", "noac", "acdirmax", "acdirmin", "acl", "noacl",
    "acregmax", "acregmin", "actimeo", "addr", "alignwrite", "noalignwrite", "bsize", "clientaddr",
    "cto", "nocto", "fg", "bg", "fsc", "nofsc", "fatal_neterrors", "hard", "softreval",
    "nosoftreval", "local_lock", "lock", "nolock", "lookupcache", "max_connect", "migration",
    "nomigration", "minorversion", "mountaddr", "mounthost", "mountport", "mountproto", "mountvers",
    "namlen", "nconnect", "nfsvers", "posix", "noposix", "proto", "rdirplus", "nordirplus", "rdma",
    "resvport", "noresvport", "retrans", "retry", "rsize", "sec", "sharecache", "nosharecache",
    "sloppy", "soft", "softerr", "source", "tcp", "timeo", "trunkdiscovery", "notrunkdiscovery",
    "udp", "v4", "v4.0", "v4.1", "v4.2", "vers", "write", "wsize", "xprtsec", "cert_serial",
    "privkey_serial" };

struct flag_name {
    const char *name;
    unsigned long flag;
    bool clears;
};
static const struct flag_name flag_names[] = { { "ro", MS_RDONLY, false },
    { "rw", MS_RDONLY, true }, { "nosuid", MS_NOSUID, false }, { "suid", MS_NOSUID, true },
    { "nodev", MS_NODEV, false }, { "dev", MS_NODEV, true }, { "noexec", MS_NOEXEC, false },
    { "exec", MS_NOEXEC, true }, { "sync", MS_SYNCHRONOUS, false },
    { "async", MS_SYNCHRONOUS, true }, { "dirsync", MS_DIRSYNC, false },
    { "noatime", MS_NOATIME, false }, { "atime", MS_NOATIME, true },
    { "nodiratime", MS_NODIRATIME, false }, { "diratime", MS_NODIRATIME, true },
    { "relatime", MS_RELATIME, false }, { "norelatime", MS_RELATIME, true },
    { "strictatime", MS_STRICTATIME, false }, { "silent", MS_SILENT, false } };

/* For mount(8), fstab and systemd only. */
static const char *const dropped_names[] = { "defaults", "_netdev", "nofail", "auto", "noauto",
    "user", "nouser", "users", "owner", "group", "comment", "fg", "uhelper" };

static const char *const own_names[] = { "tls", "notls", "iam", "accesspoint", "az",
    "mounttargetip", "server", "region", "suffix", "endpoint", "data", "cafile", "awsprofile",
    "port", "profile", "timeout", "noverify", "tlsport", "remount" };

struct replacement {
    const char *name;
    const char *text;
    bool is_refused; /* it would not do what it asks for */
};
static const struct replacement replacements[] = {
    { "intr",
        "does nothing since Linux 2.6.25: a signal that kills always gets through; leave it out",
        false },
    { "nointr", "does nothing since Linux 2.6.25; leave it out", false },
    { "nocopy",
        "is an option of a Docker volume, not of NFS: write `volume: {nocopy: true}` at the "
        "service's volume",
        true },
    { "nfs_opts",
        "is of older set-up scripts: write its options one by one after -o, or in driver_opts `o:`",
        true },
    { "bg",
        "does not go with a mount that is checked: use nofail,x-systemd.automount in /etc/fstab",
        true },
    { "retry", "is not used: mounting has one time limit, timeout= in seconds", false },
    { "nolock",
        "would keep locks on this machine only, which NFSv4 does not do; leave it out, locks are "
        "part of the protocol",
        false },
    { "lock", "is always so with NFSv4; leave it out", false },
    { "mountport", "is for NFSv3 and macOS; use port= for another port", false },
    { "mountvers", "is for NFSv3; leave it out", false },
    { "mountproto", "is for NFSv3; leave it out", false },
    { "mounthost", "is for NFSv3; leave it out", false },
    { "mountaddr", "is for NFSv3; leave it out", false },
    { "tcp", "is always so with NFSv4; leave it out", false },
    { "udp", "is not possible: NFSv4 uses TCP; leave it out", true },
    { "rdma", "is not served; leave it out", true },
    { "noocsp", "is of efs-utils; there is no OCSP here, leave it out", false },
    { "ocsp", "is of efs-utils; there is no OCSP here, leave it out", false },
    { "stunnel", "is of efs-utils; the tunnel here is always our own, leave it out", false },
    { "crossaccount", "is of efs-utils and AWS only; leave it out", true },
    { "azid", "is of efs-utils; use az=", true },
    { "verify", "is of efs-utils; use noverify instead of verify=0", true },
    { "capath", "is not taken; use cafile=FILE", true },
    { "rolearn",
        "is of efs-utils; put temporary keys into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
        "AWS_SESSION_TOKEN",
        true },
    { "jwtpath",
        "is of efs-utils; put temporary keys into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
        "AWS_SESSION_TOKEN",
        true },
    { "awscredsuri",
        "is of efs-utils; put temporary keys into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
        "AWS_SESSION_TOKEN",
        true },
};

const char *options_profile_name(enum options_profile profile)
{
    static const char *const names[] = { "general", "maxio", "strict" };
    return names[profile];
}

static bool is_in(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static const struct flag_name *find_flag(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++) {
        if (strcmp(flag_names[i].name, name) == 0)
            return &flag_names[i];
    }
    return NULL;
}

static const struct replacement *find_replacement(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(replacements); i++) {
        if (strcmp(replacements[i].name, name) == 0)
            return &replacements[i];
    }
    return NULL;
}

const char *options_replacement(const char *name)
{
    const struct replacement *found = find_replacement(name);
    return found != NULL ? found->text : NULL;
}

bool options_is_known(const char *name)
{
    return is_in(name, nfs_names, ARRAY_SIZE(nfs_names)) || find_flag(name) != NULL ||
           is_in(name, dropped_names, ARRAY_SIZE(dropped_names)) ||
           is_in(name, own_names, ARRAY_SIZE(own_names)) || strncmp(name, "x-", 2) == 0;
}

const char *options_nearest(const char *name)
{
    const char *names[ARRAY_SIZE(nfs_names) + ARRAY_SIZE(own_names) + ARRAY_SIZE(flag_names)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(own_names); i++)
        names[count++] = own_names[i];
    for (size_t i = 0; i < ARRAY_SIZE(nfs_names); i++)
        names[count++] = nfs_names[i];
    for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
        names[count++] = flag_names[i].name;
    int nearest = text_nearest(name, names, count);
    return nearest < 0 ? NULL : names[nearest];
}

/* One word of the list, cut in two. */
struct word {
    char name[OPTIONS_WORD_SIZE];
    char value[OPTIONS_PATH_SIZE];
    bool has_value;
    const char *whole;
    size_t whole_size;
};

static int split(const char *at, size_t size, struct word *out_word)
{
    const char *equals = memchr(at, '=', size);
    size_t name_size = equals != NULL ? (size_t)(equals - at) : size;
    size_t value_size = equals != NULL ? size - name_size - 1 : 0;
    if (name_size >= sizeof out_word->name || value_size >= sizeof out_word->value)
        return -ENOSPC;
    memcpy(out_word->name, at, name_size);
    out_word->name[name_size] = '\0';
    if (equals != NULL)
        memcpy(out_word->value, equals + 1, value_size);
    out_word->value[value_size] = '\0';
    out_word->has_value = equals != NULL;
    out_word->whole = at;
    out_word->whole_size = size;
    return 0;
}

static int take_number(const struct word *word, uint64_t low, uint64_t high, uint64_t *out_value,
    struct problem *problem)
{
    if (text_parse_u64(word->value, high, out_value) < 0 || *out_value < low)
        return problem_say(problem, -EINVAL,
            "Option %s= takes a number from %llu to %llu, not \"%s\".", word->name,
            (unsigned long long)low, (unsigned long long)high, word->value);
    return 0;
}

static int take_profile(
    const struct word *word, struct mount_options *options, struct problem *problem)
{
    for (unsigned i = PROFILE_GENERAL; i <= PROFILE_STRICT; i++) {
        if (strcmp(word->value, options_profile_name(i)) == 0) {
            options->profile = i;
            return 0;
        }
    }
    return problem_say(problem, -EINVAL,
        "There is no profile \"%s\"; profile= takes general, maxio or strict.", word->value);
}

/* One of our options that is a text. Gives -ENOENT when it is none. */
static int take_text(
    const struct word *word, struct mount_options *options, struct problem *problem)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } texts[] = {
        { "accesspoint", options->access_point, sizeof options->access_point },
        { "az", options->az, sizeof options->az },
        { "mounttargetip", options->target_ip, sizeof options->target_ip },
        { "server", options->server, sizeof options->server },
        { "region", options->region, sizeof options->region },
        { "suffix", options->suffix, sizeof options->suffix },
        { "endpoint", options->endpoint, sizeof options->endpoint },
        { "awsprofile", options->aws_profile, sizeof options->aws_profile },
        { "data", options->data, sizeof options->data },
        { "cafile", options->ca_file, sizeof options->ca_file },
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (strcmp(texts[i].name, word->name) != 0)
            continue;
        if (word->value[0] == '\0' || text_copy(texts[i].to, texts[i].size, word->value) < 0)
            return problem_say(problem, -EINVAL,
                "Option %s needs a value of 1 to %zu letters: %s=...", word->name,
                texts[i].size - 1, word->name);
        return 0;
    }
    return -ENOENT;
}

/* One of our options. Gives -ENOENT when it is none. */
static int take_own(const struct word *word, struct mount_options *options, struct problem *problem)
{
    const struct {
        const char *name;
        bool *to;
        bool value;
    } switches[] = { { "tls", &options->tls, true }, { "notls", &options->tls, false },
        { "remount", &options->remount, true }, { "iam", &options->iam, true },
        { "noverify", &options->no_verify, true } };
    for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
        if (strcmp(switches[i].name, word->name) != 0)
            continue;
        if (word->has_value)
            return problem_say(problem, -EINVAL, "Option %s takes no value.", word->name);
        *switches[i].to = switches[i].value;
        return 0;
    }
    uint64_t number = 0;
    int err;
    if (strcmp(word->name, "port") == 0) {
        err = take_number(word, 1, UINT16_MAX, &number, problem);
        options->port = (uint16_t)number;
        return err;
    }
    if (strcmp(word->name, "tlsport") == 0) {
        err = take_number(word, 1, UINT16_MAX, &number, problem);
        options->tunnel_port = (uint16_t)number;
        return err;
    }
    if (strcmp(word->name, "timeout") == 0) {
        err = take_number(word, 1, 3600, &number, problem);
        options->timeout_s = (uint32_t)number;
        return err;
    }
    if (strcmp(word->name, "profile") == 0)
        return take_profile(word, options, problem);
    return take_text(word, options, problem);
}

static int add_to_kernel(struct mount_options *options, const char *word, size_t size)
{
    size_t used = strlen(options->nfs);
    if (used + size + 2 > sizeof options->nfs)
        return -ENOSPC;
    return text_append(
        options->nfs, sizeof options->nfs, &used, "%s%.*s", used > 0 ? "," : "", (int)size, word);
}

static int take_word(
    const struct word *word, struct mount_options *options, struct problem *problem)
{
    const struct replacement *old = find_replacement(word->name);
    if (old != NULL && old->is_refused)
        return problem_say(problem, -EINVAL, "Option %s %s.", word->name, old->text);
    if (old != NULL) {
        size_t used = strlen(options->remark);
        (void)text_append(options->remark, sizeof options->remark, &used, "%sOption %s %s.",
            used > 0 ? " " : "", word->name, old->text); /* cut when there are too many */
        return 0;
    }
    int err = take_own(word, options, problem);
    if (err != -ENOENT)
        return err;
    const struct flag_name *flag = find_flag(word->name);
    if (flag != NULL && !word->has_value) {
        options->flags = flag->clears ? options->flags & ~flag->flag : options->flags | flag->flag;
        options->cleared =
            flag->clears ? options->cleared | flag->flag : options->cleared & ~flag->flag;
        return 0;
    }
    if (is_in(word->name, dropped_names, ARRAY_SIZE(dropped_names)) ||
        strncmp(word->name, "x-", 2) == 0)
        return 0;
    if (!options_is_known(word->name) && options->unknown[0] == '\0')
        (void)text_copy(options->unknown, sizeof options->unknown, word->name); /* same size */
    options->has_nfs_options = true;
    err = add_to_kernel(options, word->whole, word->whole_size);
    return err < 0 ? problem_say(problem, err, "The mount options are too long for the kernel.")
                   : 0;
}

/* Whether the kernel's list has an option that decides the same as `name`. */
static bool decides(const char *list, const char *name)
{
    static const char *const groups[][8] = {
        { "nfsvers", "vers", "minorversion", "v4", "v4.0", "v4.1", "v4.2", NULL },
        { "hard", "soft", "softerr", NULL },
        { "noresvport", "resvport", NULL },
    };
    const char *const *group = NULL;
    const char *const alone[] = { name, NULL };
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (strcmp(groups[i][0], name) == 0)
            group = groups[i];
    }
    for (group = group != NULL ? group : alone; *group != NULL; group++) {
        size_t size = strlen(*group);
        for (const char *at = list; *at != '\0'; at += *at == ',') {
            size_t word_size = strcspn(at, ",=");
            if (word_size == size && strncmp(at, *group, size) == 0)
                return true;
            at += strcspn(at, ",");
        }
    }
    return false;
}

/* EFS User Guide: "Recommended NFS mount options". `maxio` asks for 64 KiB as macOS clients do; `strict` for what EFS
 * allows, with no caching of attributes. */
static int add_profile(struct mount_options *options)
{
    const char *const io_size = options->profile == PROFILE_MAXIO ? "65536" : "1048576";
    const char *const values[][2] = { { "nfsvers", "4.1" }, { "rsize", io_size },
        { "wsize", io_size }, { "hard", NULL }, { "timeo", "600" }, { "retrans", "2" },
        { "noresvport", NULL }, { "noac", NULL } };
    char given[OPTIONS_NFS_SIZE];
    size_t count = ARRAY_SIZE(values) - (options->profile == PROFILE_STRICT ? 0 : 1);
    memcpy(given, options->nfs, sizeof given);
    options->nfs[0] = '\0';
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        char word[64];
        if (decides(given, values[i][0]))
            continue;
        int size = snprintf(word, sizeof word, "%s%s%s", values[i][0],
            values[i][1] != NULL ? "=" : "", values[i][1] != NULL ? values[i][1] : "");
        err = add_to_kernel(options, word, (size_t)size);
    }
    if (err == 0 && given[0] != '\0')
        err = add_to_kernel(options, given, strlen(given));
    return err;
}

static int check(struct mount_options *options, bool said_no_tls, struct problem *problem)
{
    bool kernel_tls = strstr(options->nfs, "xprtsec=") != NULL;
    if (options->access_point[0] != '\0' && strncmp(options->access_point, "fsap-", 5) != 0)
        return problem_say(problem, -EINVAL,
            "accesspoint= takes the id of an access point (fsap-...), not \"%s\".",
            options->access_point);
    bool needs_tls = options->iam || options->access_point[0] != '\0';
    if (needs_tls && said_no_tls)
        return problem_say(problem, -EINVAL,
            "Option notls does not go with %s: the server learns it from the certificate of TLS. "
            "Leave notls out.",
            options->iam ? "iam" : "accesspoint");
    if ((options->tls || needs_tls) && kernel_tls)
        return problem_say(problem, -EINVAL,
            "Either tls (our tunnel; needed for iam and accesspoint) or xprtsec= (the kernel's "
            "own TLS), not both.");
    options->tls = options->tls || needs_tls;
    if (options->target_ip[0] != '\0' && options->server[0] != '\0')
        return problem_say(problem, -EINVAL,
            "Either mounttargetip= (the address of a mount target) or server= (the server's own "
            "address), not both.");
    if (add_profile(options) < 0)
        return problem_say(problem, -ENOSPC, "The mount options are too long for the kernel.");
    return 0;
}

int options_parse(const char *list, struct mount_options *out_options, struct problem *problem)
{
    struct mount_options *options = out_options;
    *options = (struct mount_options){ 0 };
    bool said_no_tls = false;
    for (const char *at = list != NULL ? list : ""; *at != '\0'; at += *at == ',') {
        struct word word;
        size_t size = strcspn(at, ",");
        int err = split(at, size, &word);
        if (err < 0)
            return problem_say(problem, err, "The mount option \"%.32s...\" is too long.", at);
        at += size;
        if (size == 0)
            continue;
        said_no_tls = said_no_tls || strcmp(word.name, "notls") == 0;
        err = take_word(&word, options, problem);
        if (err < 0)
            return err;
    }
    return check(options, said_no_tls, problem);
}

bool options_differ_in_flags_only(const struct mount_options *a, const struct mount_options *b)
{
    const char *const pairs[][2] = { { a->access_point, b->access_point }, { a->az, b->az },
        { a->target_ip, b->target_ip }, { a->server, b->server }, { a->region, b->region },
        { a->suffix, b->suffix }, { a->endpoint, b->endpoint }, { a->aws_profile, b->aws_profile },
        { a->data, b->data }, { a->ca_file, b->ca_file }, { a->nfs, b->nfs } };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (strcmp(pairs[i][0], pairs[i][1]) != 0)
            return false;
    }
    return a->tls == b->tls && a->iam == b->iam && a->no_verify == b->no_verify &&
           a->port == b->port && a->tunnel_port == b->tunnel_port;
}
