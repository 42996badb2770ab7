/*
 * cli/doctor/files.c - the checks behind the door: policy, export, identity, and a file that is written and read back (room: cli).
 *
 * With the NFS client library, in a child: neither a mount nor root is needed, and what hangs is killed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/text.h"
#include "cli/doctor/doctor.h"
#include "client/file.h"
#include "client/node.h"

#define PROBE_SIZE  4096u
#define NAME_SIZE   48
#define NOT_REACHED (-ENOTSUP)

/* What the child found; NOT_REACHED where it did not get. */
struct findings {
    int connect, root, export, create, write, commit, read, remove;
    bool is_directory;
    bool is_equal;
    uint32_t dir_mode, dir_uid, dir_gid;
    uint32_t owner_uid, owner_gid;
};

struct visit {
    const struct doctor *doctor;
    const char *address;
    uint16_t port;
};

static void write_and_read(
    struct nfs_client *client, const struct nfs_fh *dir, struct findings *findings)
{
    char name[NAME_SIZE];
    uint8_t data[PROBE_SIZE];
    struct nfs_file *file = NULL;
    struct nfs_unstable unstable = { 0 };
    struct nfs_write writing = { 0 };
    struct nfs_attr attr;
    const struct nfs_setattr wanted = { .set_mode = true, .mode = 0600 };
    (void)snprintf(name, sizeof name, ".shoal-doctor-%016llx", (unsigned long long)random_u64());
    random_bytes(data, sizeof data);
    findings->create = nfs_file_create(client, dir, slice_str(name), &wanted, &file);
    if (findings->create < 0)
        return;
    if (nfs_node_getattr(client, nfs_file_handle(file), &attr) == 0) {
        findings->owner_uid = attr.uid;
        findings->owner_gid = attr.gid;
    }
    nfs_write_start(&writing, file, 0, slice_of(data, sizeof data), UNSTABLE4);
    findings->write = nfs_write_finish(&writing, &unstable);
    if (findings->write == 0)
        findings->commit = nfs_file_commit(file, &unstable);
    struct nfs_fh handle = *nfs_file_handle(file);
    (void)nfs_file_close(file); /* nothing is left to be written */
    if (findings->commit == 0 &&
        (findings->read = nfs_file_open(client, &handle, NFS_READ, &file)) == 0) {
        struct nfs_read reading = { 0 };
        nfs_read_start(&reading, file, 0, PROBE_SIZE);
        findings->read = nfs_read_finish(&reading);
        findings->is_equal =
            findings->read == 0 && slice_equal(reading.data, slice_of(data, sizeof data));
        nfs_read_end(&reading);
        (void)nfs_file_close(file); /* opened for reading */
    }
    findings->remove = nfs_node_remove(client, dir, slice_str(name));
}

static int visit_work(void *context, void *result)
{
    const struct visit *visit = context;
    struct findings *findings = result;
    struct nfs_client *client = NULL;
    struct nfs_attr root;
    struct nfs_attr attr;
    *findings = (struct findings){ .root = NOT_REACHED,
        .export = NOT_REACHED,
        .create = NOT_REACHED,
        .write = NOT_REACHED,
        .commit = NOT_REACHED,
        .read = NOT_REACHED };
    const struct nfs_client_options options = { .address = visit->address,
        .port = visit->port,
        .connection_count = 1,
        .slot_count = 4,
        .uid = visit->doctor->uid,
        .gid = visit->doctor->gid,
        .timeout_ms = visit->doctor->limit_ms,
        .give_up_ms = visit->doctor->limit_ms };
    findings->connect = nfs_client_connect(&options, &client);
    if (findings->connect < 0)
        return 0;
    findings->root = nfs_node_root(client, &root);
    if (findings->root == 0)
        findings->export =
            nfs_node_lookup_path(client, &root.fh, slice_str(visit->doctor->target.path), &attr);
    if (findings->export == 0) {
        findings->is_directory = attr.type == NF4DIR;
        findings->dir_mode = attr.mode;
        findings->dir_uid = attr.uid;
        findings->dir_gid = attr.gid;
        if (findings->is_directory)
            write_and_read(client, &attr.fh, findings);
    }
    nfs_client_close(client);
    return 0;
}

/* Whether the file system has a policy: 1, 0, or -1 when the API cannot say. */
static int has_policy(const struct doctor *doctor)
{
    char path[256];
    struct problem ignored;
    json_t *reply = NULL;
    if (doctor->target.file_system[0] == '\0')
        return -1;
    (void)snprintf(path, sizeof path, "/file-systems/%.100s/policy", doctor->target.file_system);
    int err = service_get(&doctor->service, path, "", &reply, &ignored);
    json_decref(reply);
    return err == 0 ? 1 : err == -ENOENT ? 0 : -1;
}

static const char *who(const struct doctor *doctor)
{
    return doctor->options.iam   ? "as the keys' identity"
           : doctor->options.tls ? "anonymous, with TLS"
                                 : "anonymous, without TLS";
}

static bool is_refusal(int err)
{
    return err == -EACCES || err == -EPERM;
}

/* Gives whether the export can be looked at. */
static bool tell_policy(struct doctor *doctor, const struct findings *findings)
{
    char found[DOCTOR_TEXT_SIZE];
    int policy = has_policy(doctor);
    const char *id = doctor->target.file_system;
    if (findings->connect < 0 && !is_refusal(findings->connect)) {
        (void)snprintf(found, sizeof found, "no NFSv4.1 session is had: %s",
            strerrordesc_np(-findings->connect));
        doctor_add_server_reason(doctor, found, sizeof found);
        doctor_set(doctor, CHECK_POLICY, DOCTOR_FAIL, found,
            "the server may be in its first seconds or overloaded: try again, then look into its "
            "log");
        return false;
    }
    if (is_refusal(findings->connect) || is_refusal(findings->root)) {
        (void)snprintf(found, sizeof found, "the server does not let this client (%s) mount%s%s",
            who(doctor), policy == 1 ? ": the policy of " : "", policy == 1 ? id : "");
        doctor_add_server_reason(doctor, found, sizeof found);
        doctor_set(doctor, CHECK_POLICY, DOCTOR_FAIL, found,
            policy == 1
                ? "grant elasticfilesystem:ClientMount to it (aws efs put-file-system-policy), "
                  "or mount with what the policy asks for: -o tls, iam or accesspoint="
                : "grant elasticfilesystem:ClientMount in the policy; shoald's log names the "
                  "reason");
        return false;
    }
    (void)snprintf(found, sizeof found, "%s lets this client (%s) mount",
        policy == 1   ? "the policy"
        : policy == 0 ? "no policy is set, which"
                      : "the server",
        who(doctor));
    doctor_set(doctor, CHECK_POLICY, DOCTOR_OK, found, "");
    return true;
}

static bool tell_export(struct doctor *doctor, const struct findings *findings)
{
    char found[DOCTOR_TEXT_SIZE];
    char fix[DOCTOR_TEXT_SIZE];
    const struct target *target = &doctor->target;
    int err = findings->root < 0 ? findings->root : findings->export;
    if (err == 0 && findings->is_directory) {
        (void)snprintf(found, sizeof found, "%s is a directory of %u:%u with mode %04o",
            target->path, findings->dir_uid, findings->dir_gid, findings->dir_mode);
        doctor_set(doctor, CHECK_EXPORT, DOCTOR_OK, found, "");
        return true;
    }
    if (err == -ENOENT) {
        (void)snprintf(found, sizeof found, "there is no %s", target->path);
        (void)snprintf(fix, sizeof fix, "make it (shoal mkdir -p %s), or mount what is above it",
            doctor->subject);
    } else if (err == 0 || err == -ENOTDIR) {
        (void)snprintf(found, sizeof found, "%s is not a directory", target->path);
        (void)snprintf(fix, sizeof fix, "mount the directory it is in");
    } else if (is_refusal(err)) {
        (void)snprintf(
            found, sizeof found, "user %u may not go through %s", doctor->uid, target->path);
        (void)snprintf(fix, sizeof fix,
            "give it x on the directories of the path (shoal stat shows their modes)");
    } else {
        (void)snprintf(
            found, sizeof found, "%s cannot be looked at: %s", target->path, strerrordesc_np(-err));
        (void)snprintf(fix, sizeof fix, "look into the log of shoald");
    }
    doctor_set(doctor, CHECK_EXPORT, DOCTOR_FAIL, found, fix);
    return false;
}

static void tell_identity(struct doctor *doctor, const struct findings *findings)
{
    char found[DOCTOR_TEXT_SIZE];
    if (findings->create < 0) {
        (void)snprintf(found, sizeof found, "asks as %u:%u", doctor->uid, doctor->gid);
        doctor_set(doctor, CHECK_IDENTITY, DOCTOR_OK, found, "");
        return;
    }
    bool is_same = findings->owner_uid == doctor->uid;
    (void)snprintf(found, sizeof found, "what %u:%u makes belongs to %u:%u", doctor->uid,
        doctor->gid, findings->owner_uid, findings->owner_gid);
    doctor_set(doctor, CHECK_IDENTITY, is_same ? DOCTOR_OK : DOCTOR_WARN, found,
        is_same ? ""
        : doctor->target.access_point[0] != '\0'
            ? "that is the access point's POSIX user; it is meant so"
            : "the policy withholds elasticfilesystem:ClientRootAccess, so root is nobody: grant "
              "it, or "
              "work as another user");
}

static void tell_write(struct doctor *doctor, const struct findings *findings)
{
    char found[DOCTOR_TEXT_SIZE];
    int err = findings->create < 0 ? findings->create : findings->write;
    if (err == 0) {
        doctor_set(doctor, CHECK_WRITE, DOCTOR_OK, "a file was made and written", "");
        return;
    }
    (void)snprintf(found, sizeof found, "user %u:%u cannot write into %s (mode %04o, of %u:%u): %s",
        doctor->uid, doctor->gid, doctor->target.path, findings->dir_mode, findings->dir_uid,
        findings->dir_gid, strerrordesc_np(-err));
    doctor_set(doctor, CHECK_WRITE, DOCTOR_FAIL, found,
        err == -EROFS ? "the policy withholds elasticfilesystem:ClientWrite from this client, or "
                        "the file system "
                        "is read-only after a failed disk (then shoald's log says so)"
        : is_refusal(err)
            ? "give the directory to that user (chown, chmod), or use an access point "
              "with that POSIX user"
        : err == -ENOSPC || err == -EDQUOT
            ? "remove files, or raise the limit: the space is used up"
            : "look into the log of shoald");
}

static void tell_rest(struct doctor *doctor, const struct findings *findings)
{
    char found[DOCTOR_TEXT_SIZE];
    if (findings->commit == NOT_REACHED)
        return;
    (void)snprintf(found, sizeof found, "%s",
        findings->commit == 0  ? "the server made it durable"
        : findings->commit > 0 ? "the server was restarted between write and fsync"
                               : strerrordesc_np(-findings->commit));
    doctor_set(doctor, CHECK_FSYNC, findings->commit == 0 ? DOCTOR_OK : DOCTOR_FAIL, found,
        findings->commit == 0 ? "" : "look into the log of shoald: the disk, or its space");
    if (findings->read == NOT_REACHED)
        return;
    bool is_fine = findings->read == 0 && findings->is_equal;
    (void)snprintf(found, sizeof found, "%s",
        is_fine              ? "every byte is the same; the file is removed"
        : findings->read < 0 ? strerrordesc_np(-findings->read)
                             : "other data came back than was written");
    doctor_set(doctor, CHECK_READ_BACK, is_fine ? DOCTOR_OK : DOCTOR_FAIL, found,
        is_fine ? "" : "look into the log of shoald and check the disk");
}

void doctor_check_files(struct doctor *doctor)
{
    struct findings findings = { 0 };
    struct visit visit = {
        .doctor = doctor, .address = doctor->target.address, .port = doctor->target.port
    };
    struct tunnel_loan loan = { 0 };
    int err = 0;
    if (doctor->options.tls) {
        err = tunnel_borrow(&doctor->tunnel, &loan);
        visit.address = TUNNEL_ADDRESS;
        visit.port = loan.port;
    }
    if (err == 0)
        err = child_run(visit_work, &visit, 3 * doctor->limit_ms, &findings, sizeof findings, NULL);
    tunnel_give_back(&loan);
    if (err < 0) {
        char found[DOCTOR_TEXT_SIZE];
        (void)snprintf(
            found, sizeof found, "the NFS checks did not end: %s", strerrordesc_np(-err));
        doctor_set(doctor, CHECK_POLICY, DOCTOR_FAIL, found,
            "the server hangs or is overloaded: look into its log");
        return;
    }
    if (!tell_policy(doctor, &findings) || !tell_export(doctor, &findings))
        return;
    tell_identity(doctor, &findings);
    tell_write(doctor, &findings);
    tell_rest(doctor, &findings);
}
