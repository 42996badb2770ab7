/*
 * mount/manager.c - the steps of a mount (room: mount).
 */
#include "mount/manager.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/text.h"
#include "mount/child.h"
#include "mount/explain.h"
#include "mount/tunnel.h"

#define PATH_LIMIT_MS   5000
#define PROBE_LIMIT_MS  8000
#define VERIFY_LIMIT_MS 15000

/* Everything about one mount while it is being made. */
struct plan {
    const struct manager_request *request;
    struct manager_result *result;
    struct problem *problem;
    struct mount_options options;
    struct service service;
    struct source source;
    struct kernel_mount kernel;
    struct tunnel_spec tunnel;
    uint16_t tunnel_port; /* 0: none */
    bool tunnel_started;  /* by us, so it ends when the mount fails */
    uint64_t limit_ms;
    uint64_t begin_ms;
};

static uint64_t left_ms(const struct plan *plan, uint64_t at_most_ms)
{
    uint64_t spent_ms = child_now_ms() - plan->begin_ms;
    return spent_ms >= plan->limit_ms ? 1 : min_u64(at_most_ms, plan->limit_ms - spent_ms);
}

/* The path of a mount point as mountinfo names it. A path that is a mount point by its words is not looked at, as what is
 * mounted there may hang; others are freed of symbolic links. */
static int find_point(const char *word, char *out_point, struct problem *problem)
{
    char *text = NULL;
    char *directory = get_current_dir_name();
    struct mountinfo mount;
    if (word[0] == '\0')
        return problem_say(problem, -EINVAL, "The mount point is empty.");
    int err = mountinfo_clean_path(directory != NULL ? directory : "/", word, out_point);
    free(directory);
    if (err < 0)
        return problem_say(problem, err, "The path of the mount point is too long.");
    if (strcmp(out_point, "/") == 0)
        return problem_say(problem, -EINVAL, "Nothing is mounted over /: name a directory.");
    err = mountinfo_read(&text);
    if (err < 0)
        return problem_say(
            problem, err, "Cannot read /proc/self/mountinfo: %s.", strerrordesc_np(-err));
    bool is_point = mountinfo_at(text, out_point, &mount) == 0;
    free(text);
    if (is_point)
        return 0;
    char real[MOUNTINFO_PATH_SIZE];
    err = kernel_real_path(out_point, PATH_LIMIT_MS, real);
    if (err == 0)
        return text_copy(out_point, MOUNTINFO_PATH_SIZE, real);
    if (err == -ENOENT)
        return 0; /* it is made later */
    return problem_say(problem, err,
        err == -ETIMEDOUT ? "%s lies in a mount that does not answer (%s): unmount that one first."
                          : "Cannot look at %s: %s.",
        out_point, strerrordesc_np(-err));
}

static int make_label(struct plan *plan)
{
    const struct target *target = &plan->result->target;
    bool is_six = strchr(target->label, ':') != NULL;
    size_t used = 0;
    int err = text_append(plan->kernel.source, sizeof plan->kernel.source, &used,
        is_six ? "[%s]:%s" : "%s:%s", target->label, target->path);
    if (err == 0)
        err = text_copy(plan->result->label, sizeof plan->result->label, plan->kernel.source);
    return err < 0 ? problem_say(plan->problem, err, "The source is too long.") : 0;
}

/* What the kernel is given. */
static int make_data(struct plan *plan, const char *address, uint16_t port)
{
    char own[PROBE_ADDRESS_SIZE];
    size_t used = 0;
    int err = kernel_own_address(address, own, sizeof own);
    if (err < 0)
        return problem_say(plan->problem, err, "There is no way to %s from here: %s.", address,
            strerrordesc_np(-err));
    err = text_append(plan->kernel.data, sizeof plan->kernel.data, &used,
        "%s,proto=%s,port=%u,clientaddr=%s,addr=%s", plan->options.nfs,
        strchr(address, ':') != NULL ? "tcp6" : "tcp", port, own, address);
    return err < 0 ? problem_say(plan->problem, err, "The mount options are too long.") : 0;
}

/* Reads the words and finds the target. */
static int prepare(struct plan *plan)
{
    const struct manager_request *request = plan->request;
    int err = options_parse(request->options, &plan->options, plan->problem);
    if (err == 0)
        err = source_parse(request->source, &plan->source, plan->problem);
    if (err == 0)
        err = find_point(request->point, plan->result->point, plan->problem);
    if (err == 0)
        err = service_find(&plan->options, &plan->service, plan->problem);
    if (err < 0)
        return err;
    plan->limit_ms =
        plan->options.timeout_s > 0 ? plan->options.timeout_s * 1000ull : MANAGER_LIMIT_MS;
    if (plan->options.remark[0] != '\0')
        problem_add(&plan->result->remarks, "%s", plan->options.remark);
    err = resolve_target(
        &plan->source, &plan->options, &plan->service, &plan->result->target, plan->problem);
    if (err == 0)
        err = make_label(plan);
    plan->kernel.flags = plan->options.flags;
    return err < 0 ? err
                   : text_copy(plan->kernel.point, sizeof plan->kernel.point, plan->result->point);
}

/* Says what is in the way, when it is not the same mount. */
static int compare(struct plan *plan, const struct mountinfo *mount)
{
    const char *point = plan->result->point;
    char ignored[8];
    bool is_read_only = mountinfo_option(mount->options, "ro", ignored, sizeof ignored) == 0;
    struct state_mount state;
    bool is_ours = state_read(point, &state) == 0;
    /* Two mounts of one file system share what the kernel calls their source: then our own note tells. */
    bool is_same = strcmp(mount->source, plan->kernel.source) == 0 ||
                   (is_ours && strcmp(state.label, plan->kernel.source) == 0);
    if (!mountinfo_is_nfs(mount) || !is_same)
        return problem_say(plan->problem, -EBUSY,
            "%s has %s (%s) mounted already. Unmount it first (shoal umount %s), or choose another "
            "directory.",
            point, mount->source, mount->type, point);
    if (is_read_only != ((plan->options.flags & MS_RDONLY) != 0))
        return problem_say(plan->problem, -EBUSY,
            "%s is mounted on %s already, but %s. To change that: shoal remount %s -o %s",
            mount->source, point, is_read_only ? "read-only" : "for writing too", point,
            is_read_only ? "rw" : "ro");
    const char *options = plan->request->options != NULL ? plan->request->options : "";
    if (is_ours && strcmp(state.options, options) != 0) {
        return problem_say(plan->problem, -EBUSY,
            "%s is mounted on %s already, with other options (%s). To change them: shoal remount "
            "%s "
            "-o OPTIONS",
            mount->source, point, state.options[0] != '\0' ? state.options : "none", point);
    }
    return 0;
}

/* A mount whose tunnel was killed with its supervisor waits at a port where nobody listens: a new one takes the port. */
static int heal_tunnel(struct plan *plan)
{
    struct state_mount state;
    if (state_read(plan->result->point, &state) < 0 || state.tunnel_port == 0)
        return 0;
    plan->tunnel_port = state.tunnel_port;
    if (tunnel_is_alive(state.tunnel_port))
        return 0;
    plan->options.tunnel_port = state.tunnel_port;
    int err = tunnel_start(&plan->tunnel, &plan->tunnel_port, &plan->tunnel_started, plan->problem);
    if (err == 0)
        problem_add(&plan->result->remarks, "Its tunnel was gone and was started again.");
    plan->tunnel_started = false; /* it belongs to a mount that is there */
    return err;
}

/* Whether it is mounted already; *out_same when it is the same. */
static int look_for_mount(struct plan *plan, bool *out_same)
{
    struct mountinfo mount;
    struct kernel_space space;
    char *text = NULL;
    *out_same = false;
    int err = mountinfo_read(&text);
    if (err < 0)
        return problem_say(
            plan->problem, err, "Cannot read /proc/self/mountinfo: %s.", strerrordesc_np(-err));
    err = mountinfo_at(text, plan->result->point, &mount);
    free(text);
    if (err == -ENOENT || (err == 0 && strcmp(mount.type, "autofs") == 0))
        return 0; /* free, or an automount that waits for us */
    err = compare(plan, &mount);
    if (err == 0 && plan->options.tls)
        err = heal_tunnel(plan);
    if (err < 0)
        return err;
    err = kernel_space(plan->result->point, VERIFY_LIMIT_MS, &space);
    if (err < 0)
        return problem_say(plan->problem, err,
            "%s is mounted on %s already, but does not answer (%s). If the server does not come "
            "back: shoal remount %s",
            mount.source, plan->result->point, strerrordesc_np(-err), plan->result->point);
    *out_same = true;
    return 0;
}

static int ask_target(struct plan *plan)
{
    const struct target *target = &plan->result->target;
    bool reached = false;
    int err = probe_nfs(target->address, target->port, left_ms(plan, PROBE_LIMIT_MS), &reached);
    if (err == 0)
        return 0;
    char what[RESOLVE_NAME_SIZE + PROBE_ADDRESS_SIZE + 4];
    bool is_same = strcmp(target->label, target->address) == 0;
    (void)snprintf(what, sizeof what, is_same ? "%s" : "%s (%s)", target->address, target->label);
    return probe_explain(err, reached, what, target->port, plan->problem);
}

static int make_point(struct plan *plan)
{
    int err = kernel_make_directory(plan->result->point, PATH_LIMIT_MS);
    if (err == -ENOTDIR)
        return problem_say(plan->problem, err,
            "%s, or something above it, is not a directory: choose another mount point.",
            plan->result->point);
    if (err < 0)
        return problem_say(plan->problem, err, "Cannot make the mount point %s: %s.",
            plan->result->point, strerrordesc_np(-err));
    return 0;
}

/* Looks whether what was mounted is there and answers; takes it away again when it does not. */
static int verify(struct plan *plan)
{
    struct kernel_space space;
    struct mountinfo mount;
    enum kernel_unmount_way way;
    char *text = NULL;
    const char *point = plan->result->point;
    int err = mountinfo_read(&text);
    if (err == 0)
        err = mountinfo_at(text, point, &mount);
    free(text);
    if (err == 0 && !mountinfo_is_nfs(&mount))
        err = -ENOENT;
    if (err < 0)
        return problem_say(plan->problem, err,
            "The kernel said that %s is mounted, but it is not there: something unmounts it, or "
            "this runs in a mount namespace of its own.",
            point);
    err = kernel_space(point, left_ms(plan, VERIFY_LIMIT_MS), &space);
    if (err == 0)
        return 0;
    const struct kernel_unmount undo = {
        .point = point, .may_be_lazy = true, .is_dead = true, .limit_ms = PATH_LIMIT_MS
    };
    if (kernel_unmount(&undo, &way) < 0)
        problem_add(&plan->result->remarks, "%s could not be unmounted.", point);
    return problem_say(plan->problem, err,
        "%s was mounted but does not answer (%s), so it was unmounted again. Is the server up?",
        plan->kernel.source, strerrordesc_np(-err));
}

static int mount_it(struct plan *plan)
{
    const struct target *target = &plan->result->target;
    int err = plan->tunnel_port != 0 ? make_data(plan, TUNNEL_ADDRESS, plan->tunnel_port)
                                     : make_data(plan, target->address, target->port);
    if (err == 0)
        err = make_point(plan);
    if (err < 0)
        return err;
    uint64_t limit_ms = left_ms(plan, plan->limit_ms);
    err = kernel_mount(&plan->kernel, limit_ms);
    const struct explain explain = { .err = err,
        .target = target,
        .options = &plan->options,
        .service = &plan->service,
        .source = plan->request->source,
        .point = plan->result->point,
        .limit_ms = plan->limit_ms };
    return err < 0 ? explain_mount(&explain, plan->problem) : verify(plan);
}

static int remember(struct plan *plan)
{
    struct state_mount state = { 0 };
    const char *options = plan->request->options != NULL ? plan->request->options : "";
    int err = text_copy(state.source, sizeof state.source, plan->request->source);
    if (err == 0)
        err = text_copy(state.options, sizeof state.options, options);
    if (err == 0)
        err = text_copy(state.label, sizeof state.label, plan->kernel.source);
    state.tunnel_port = plan->tunnel_port;
    if (err == 0)
        err = state_write(plan->result->point, &state);
    if (err < 0)
        problem_add(&plan->result->remarks,
            "Cannot write below %s: %s; shoal remount will not know this mount's options.",
            state_dir(), strerrordesc_np(-err));
    const struct persist_entry entry = {
        .source = plan->request->source, .point = plan->result->point, .options = options
    };
    struct problem told = { "" };
    err = persist_save(plan->request->persist, &entry, plan->request->etc, &told);
    problem_add(err < 0 ? plan->problem : &plan->result->remarks, "%s", told.text);
    return err;
}

/* TLS: looks whether it works at all, then starts the tunnel and asks the target through it. */
static int open_tunnel(struct plan *plan)
{
    bool reached = false;
    int err = tunnel_try(&plan->tunnel, left_ms(plan, PROBE_LIMIT_MS), plan->problem);
    if (err < 0 || plan->request->only_check)
        return err;
    err = tunnel_start(&plan->tunnel, &plan->tunnel_port, &plan->tunnel_started, plan->problem);
    if (err < 0)
        return err;
    err = probe_nfs(TUNNEL_ADDRESS, plan->tunnel_port, left_ms(plan, PROBE_LIMIT_MS), &reached);
    if (err == 0)
        return 0;
    return problem_say(plan->problem, err,
        "%s takes the TLS connection but answers no NFS call over it: it refuses the certificate "
        "of "
        "this mount (file system, access point or IAM identity in it), or a security group leaves "
        "this machine out. shoal doctor tells more, and so does the log of shoald.",
        plan->result->target.address);
}

static int run(struct plan *plan)
{
    bool is_same = false;
    int err = prepare(plan);
    if (err == 0 && plan->options.tls)
        err = tunnel_prepare(
            &plan->options, &plan->service, &plan->result->target, &plan->tunnel, plan->problem);
    if (err == 0)
        err = look_for_mount(plan, &is_same);
    plan->result->was_mounted = is_same;
    if (err == 0 && !is_same)
        err = plan->options.tls ? open_tunnel(plan) : ask_target(plan);
    if (err < 0 || plan->request->only_check)
        return err;
    if (!is_same)
        err = mount_it(plan);
    return err < 0 ? err : remember(plan);
}

int manager_mount(const struct manager_request *request, struct manager_result *out_result,
    struct problem *problem)
{
    if (geteuid() != 0 && !request->only_check)
        return problem_say(problem, -EPERM,
            "Mounting needs root: use sudo. Without root, shoal cp, ls, cat and their fellows "
            "reach "
            "the same files.");
    struct plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return problem_say(problem, -ENOMEM, "There is no memory left.");
    *out_result = (struct manager_result){ 0 };
    problem->text[0] = '\0';
    plan->request = request;
    plan->result = out_result;
    plan->problem = problem;
    plan->limit_ms = MANAGER_LIMIT_MS;
    plan->begin_ms = child_now_ms();
    int err = run(plan);
    if (err < 0 && plan->tunnel_started)
        tunnel_end(plan->tunnel_port);
    out_result->took_ms = child_now_ms() - plan->begin_ms;
    service_fini(&plan->service);
    free(plan);
    return err;
}

static int explain_unmount(int err, const char *point, struct problem *problem)
{
    if (err == -EBUSY) {
        return problem_say(problem, err,
            "%s is in use: a process has a file or its working directory there (fuser -vm %s lists "
            "them), or something is mounted below it. End them, or take only the name away with: "
            "shoal umount --lazy %s",
            point, point, point);
    }
    if (err == -EPERM)
        return problem_say(problem, err, "Unmounting needs root: use sudo.");
    return problem_say(problem, err, "Cannot unmount %s: %s.", point, strerrordesc_np(-err));
}

int manager_unmount(const char *point, bool may_be_lazy, uint64_t limit_ms,
    struct manager_unmounted *out_done, struct problem *problem)
{
    struct mountinfo mount;
    struct kernel_space space;
    struct state_mount state;
    char *text = NULL;
    *out_done = (struct manager_unmounted){ 0 };
    int err = find_point(point, out_done->point, problem);
    if (err < 0)
        return err;
    err = mountinfo_read(&text);
    if (err < 0)
        return problem_say(
            problem, err, "Cannot read /proc/self/mountinfo: %s.", strerrordesc_np(-err));
    out_done->was_mounted = mountinfo_at(text, out_done->point, &mount) == 0;
    free(text);
    if (!out_done->was_mounted) {
        state_remove(out_done->point);
        return 0;
    }
    if (!mountinfo_is_nfs(&mount))
        return problem_say(problem, -EINVAL,
            "%s has %s (%s) mounted, which is no NFS mount: use umount for it.", out_done->point,
            mount.source, mount.type);
    const struct kernel_unmount request = { .point = out_done->point,
        .may_be_lazy = may_be_lazy,
        .is_dead = kernel_space(out_done->point, limit_ms, &space) == -ETIMEDOUT,
        .limit_ms = limit_ms };
    bool was_ours = state_read(out_done->point, &state) == 0;
    err = kernel_unmount(&request, &out_done->way);
    if (err < 0)
        return explain_unmount(err, out_done->point, problem);
    state_remove(out_done->point);
    if (was_ours && state.tunnel_port != 0)
        tunnel_end(state.tunnel_port);
    return 0;
}

/* Whether the two lists differ in flags of the mount only, so that a remount can do it. */
static bool only_flags_differ(const char *before, const char *after, struct problem *ignored)
{
    struct mount_options one;
    struct mount_options two;
    if (options_parse(before, &one, ignored) < 0 || options_parse(after, &two, ignored) < 0)
        return false;
    return options_differ_in_flags_only(&one, &two);
}

static int change_flags(const char *point, const struct state_mount *state, const char *options,
    struct problem *problem)
{
    struct mount_options parsed;
    struct state_mount changed = *state;
    int err = options_parse(options, &parsed, problem);
    if (err < 0)
        return err;
    err = kernel_remount(point, parsed.flags, MANAGER_LIMIT_MS);
    if (err < 0)
        return problem_say(problem, err, "The kernel does not change the flags of %s: %s.%s", point,
            strerrordesc_np(-err),
            err == -EBUSY ? " A file is open for writing there; close it first." : "");
    if (text_copy(changed.options, sizeof changed.options, options) == 0)
        (void)!state_write(point, &changed); /* it is mounted; only the note is older */
    return 0;
}

int manager_remount(const char *point, const char *options, struct manager_result *out_result,
    struct problem *problem)
{
    struct state_mount state;
    struct kernel_space space;
    struct manager_unmounted done;
    *out_result = (struct manager_result){ 0 };
    int err = find_point(point, out_result->point, problem);
    if (err == 0 && state_read(out_result->point, &state) < 0)
        err = problem_say(problem, -ENOENT,
            "%s was not mounted by shoal since the last boot: use shoal mount.", out_result->point);
    if (err < 0)
        return err;
    const char *wanted = options != NULL ? options : state.options;
    bool answers = kernel_space(out_result->point, PATH_LIMIT_MS, &space) == 0;
    if (answers && space.type == 0x6969 && only_flags_differ(state.options, wanted, problem)) {
        out_result->was_mounted = true;
        (void)text_copy(out_result->label, sizeof out_result->label, state.label);
        return change_flags(out_result->point, &state, wanted, problem);
    }
    char kept[MOUNTINFO_PATH_SIZE];
    (void)text_copy(kept, sizeof kept, out_result->point); /* same size */
    err = manager_unmount(kept, !answers, PATH_LIMIT_MS, &done, problem);
    if (err < 0)
        return err;
    const struct manager_request request = {
        .source = state.source, .point = kept, .options = wanted
    };
    return manager_mount(&request, out_result, problem);
}
