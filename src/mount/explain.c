/*
 * mount/explain.c - the sentences about a mount that the kernel refused (room: mount).
 */
#include "mount/explain.h"

#include <stdio.h>

#include "mount/kernel.h"

/* "access denied" has three causes; the API tells which can be ruled out. */
static int explain_access(const struct explain *explain, struct problem *problem)
{
    char path[RESOLVE_NAME_SIZE];
    json_t *reply = NULL;
    struct problem ignored;
    const char *id = explain->target->file_system;
    const char *as = explain->options->iam   ? "as the IAM identity of the keys"
                     : explain->options->tls ? "anonymous, with TLS"
                                             : "anonymous, without TLS";
    int has_policy = -EIO;
    (void)snprintf(path, sizeof path, "/file-systems/%.100s/policy", id);
    if (id[0] != '\0')
        has_policy = service_get(explain->service, path, "", &reply, &ignored);
    json_decref(reply);
    if (has_policy == 0) {
        return problem_say(problem, explain->err,
            "The policy of %s does not let this client mount it (%s): no statement grants "
            "elasticfilesystem:ClientMount to it, or one denies it. Change the policy (aws efs "
            "put-file-system-policy), or mount with what it asks for (tls, iam, accesspoint=).",
            id, as);
    }
    if (has_policy == -ENOENT) {
        return problem_say(problem, explain->err,
            "The server lets nobody with these ids into %s of %s: it has no policy, so a directory "
            "of the path, or the root of the access point, lacks the x permission for them. Look "
            "with: shoal stat %s:%s",
            explain->target->path, id, id, explain->target->path);
    }
    return problem_say(problem, explain->err,
        "The server at %s does not let this client (%s) mount %s. Either the file system's policy "
        "does not grant elasticfilesystem:ClientMount to it, or a directory of the path lacks the "
        "x permission. shoal doctor %s tells which.",
        explain->target->address, as, explain->target->path, explain->source);
}

static int explain_invalid(const struct explain *explain, struct problem *problem)
{
    const char *unknown = explain->options->unknown;
    if (unknown[0] == '\0')
        return problem_say(problem, explain->err,
            "The kernel does not take the mount options %s. An option's value is wrong, or two "
            "exclude each other.",
            explain->options->nfs);
    const char *nearest = options_nearest(unknown);
    return problem_say(problem, explain->err, "There is no mount option %s%s%s%s", unknown,
        nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "?" : ".");
}

int explain_mount(const struct explain *explain, struct problem *problem)
{
    const struct target *target = explain->target;
    switch (-explain->err) {
    case EACCES:
        return explain_access(explain, problem);
    case EPERM:
        if (kernel_may_mount())
            return explain_access(explain, problem); /* the server's NFS4ERR_PERM */
        return problem_say(problem, explain->err,
            "The kernel does not let this process mount (CAP_SYS_ADMIN is missing, as in most "
            "containers). Mount on the host and pass the directory in, or use shoal cp, which "
            "needs "
            "no mount.");
    case EINVAL:
        return explain_invalid(explain, problem);
    case ENODEV:
        return problem_say(problem, explain->err,
            "This kernel has no NFSv4 client: load it (modprobe nfsv4), or use a kernel that has "
            "one. shoal cp and its fellows need none.");
    case ENOENT:
        return problem_say(problem, explain->err,
            "There is no directory %s at %s. Make it first (shoal mkdir -p %s), or mount what is "
            "above it.",
            target->path, target->label, explain->source);
    case ENOTDIR:
        return problem_say(problem, explain->err,
            "%s at %s is not a directory; mount the one it is in.", target->path, target->label);
    case EPROTONOSUPPORT:
        return problem_say(problem, explain->err,
            "The server, or this kernel, does not speak the version of NFS that is asked for: use "
            "nfsvers=4.1 (or 4.0, 4.2).");
    case ETIMEDOUT:
        return problem_say(problem, explain->err,
            "The mount was not done within %llu s: the server took the connection but did not "
            "finish. A server that restarts lets nobody in for up to a lease (60 s); try again, or "
            "give timeout=SECONDS. Nothing is left behind.",
            (unsigned long long)(explain->limit_ms / 1000));
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return problem_say(problem, explain->err,
            "The connection to %s port %u broke while mounting: %s. Is the service up (shoal "
            "status)?",
            target->address, target->port, strerrordesc_np(-explain->err));
    case EIO: /* what Linux makes of RPC's SYSTEM_ERR, among others */
        return problem_say(problem, explain->err,
            "The server at %s port %u answered with an error, or the connection broke while "
            "mounting: the file system cannot be opened (the key that encrypts it cannot be used, "
            "or its disk fails). shoal doctor %s names the server's reason.",
            target->address, target->port, explain->source);
    case ESTALE:
        return problem_say(problem, explain->err,
            "The file system behind %s is being deleted, or was replaced by another.",
            target->label);
    default:
        return problem_say(problem, explain->err, "The kernel refuses to mount %s on %s: %s.",
            explain->source, explain->point, strerrordesc_np(-explain->err));
    }
}
