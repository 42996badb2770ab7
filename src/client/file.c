/*
 * client/file.c - opening, I/O with stateids, commits, and recovery of opens (room: client library).
 *
 * Every open has an open-owner of its own, so that closing one never closes another of the same file. A request
 * that meets a stateid the server no longer knows makes the file known again (by handle, CLAIM_FH) and is sent
 * again. Sources: RFC 8881 sections 8.2 (stateids), 8.4.2.1 (reclaim), 18.2, 18.3, 18.16, 18.22, 18.32.
 */
#include "client/file.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "client/internal.h"
#include "client/node.h"

#define STATEID_ATTEMPTS_MAX 8

struct nfs_file {
    struct nfs_client *client;
    struct list link;    /* in client->files, under client->lock */
    unsigned references; /* under client->lock: the opener's, and that of a reclaim */
    uint32_t share_access;
    uint8_t owner[8];
    struct nfs_fh fh;
    struct mutex lock; /* of the two below */
    struct stateid4 stateid;
    uint64_t stateid_version; /* grows when the stateid is replaced */
    struct mutex reopen_lock; /* one thread opens it anew */
};

static struct nfs_file *file_new(struct nfs_client *client, uint32_t share_access)
{
    struct nfs_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->client = client;
    file->references = 1;
    file->share_access = share_access | OPEN4_SHARE_ACCESS_WANT_NO_DELEG;
    list_init(&file->link);
    (void)pthread_mutex_init(&file->lock.pthread, NULL); /* cannot fail without attributes */
    (void)pthread_mutex_init(&file->reopen_lock.pthread, NULL);
    store_be64(file->owner, atomic_fetch_add(&client->next_owner, 1));
    return file;
}

static void file_unref(struct nfs_file *file)
{
    struct nfs_client *client = file->client;
    mutex_lock(&client->lock);
    bool last = --file->references == 0;
    if (last)
        list_remove(&file->link);
    mutex_unlock(&client->lock);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&file->lock.pthread);
    (void)pthread_mutex_destroy(&file->reopen_lock.pthread);
    free(file);
}

static struct stateid4 current_stateid(struct nfs_file *file, uint64_t *out_version)
{
    mutex_lock(&file->lock);
    struct stateid4 stateid = file->stateid;
    *out_version = file->stateid_version;
    mutex_unlock(&file->lock);
    return stateid;
}

static void set_stateid(struct nfs_file *file, const struct stateid4 *stateid)
{
    mutex_lock(&file->lock);
    file->stateid = *stateid;
    file->stateid_version++;
    mutex_unlock(&file->lock);
}

/* OPEN's arguments but for how it names the file and whether it makes it. */
static union nfs_argop4 open_args(struct nfs_file *file)
{
    return (union nfs_argop4){ .opopen = {
                                   .share_access = file->share_access,
                                   .share_deny = OPEN4_SHARE_DENY_NONE,
                                   .owner = { .clientid = file->client->clientid,
                                       .owner = slice_of(file->owner, sizeof file->owner) },
                               } };
}

/* Opens by handle, as a new open or as one held before the server's restart. */
static int open_by_handle(struct nfs_file *file, enum open_claim_type4 claim)
{
    struct nfs_call call;
    union nfs_resop4 res;
    union nfs_argop4 arg = open_args(file);
    arg.opopen.claim.claim = claim; /* CLAIM_PREVIOUS: no delegation was held, which is 0 */
    nfs_call_init(&call, file->client,
        NFS_CALL_CACHED | (claim == CLAIM_PREVIOUS ? NFS_CALL_RECOVERY : NFS_CALL_PLAIN));
    nfs_call_put_fh(&call, &file->fh);
    nfs_call_add(&call, OP_OPEN, &arg);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(&call, OP_OPEN, &res);
    if (err == 0)
        set_stateid(file, &res.opopen.resok4.stateid);
    nfs_call_fini(&call);
    return err;
}

static void remember(struct nfs_file *file)
{
    struct nfs_client *client = file->client;
    mutex_lock(&client->lock);
    list_add_tail(&client->files, &file->link);
    mutex_unlock(&client->lock);
}

int nfs_file_open(struct nfs_client *client, const struct nfs_fh *fh, enum nfs_access access,
    struct nfs_file **out_file)
{
    struct nfs_file *file = file_new(client, (uint32_t)access);
    if (file == NULL)
        return -ENOMEM;
    file->fh = *fh;
    int err = open_by_handle(file, CLAIM_FH);
    if (err < 0) {
        file_unref(file);
        return err;
    }
    remember(file);
    *out_file = file;
    return 0;
}

int nfs_file_create(struct nfs_client *client, const struct nfs_fh *dir, struct slice name,
    const struct nfs_setattr *attr, struct nfs_file **out_file)
{
    struct nfs_file *file = file_new(client, NFS_WRITE);
    if (file == NULL)
        return -ENOMEM;
    struct nfs_call call;
    union nfs_resop4 res;
    union nfs_argop4 arg = open_args(file);
    arg.opopen.openhow.opentype = OPEN4_CREATE;
    arg.opopen.openhow.how.mode = UNCHECKED4;
    arg.opopen.claim = (struct open_claim4){ .claim = CLAIM_NULL, .file = name };
    nfs_call_init(&call, client, NFS_CALL_CACHED);
    nfs_call_put_fh(&call, dir);
    int err = -ENOMEM;
    if (nfs_attr_encode(&call, attr, &arg.opopen.openhow.how.createattrs)) {
        nfs_call_add(&call, OP_OPEN, &arg);
        nfs_call_add(&call, OP_GETFH, NULL);
        err = nfs_call_run(&call);
    }
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(&call, OP_OPEN, &res);
    if (err == 0) {
        set_stateid(file, &res.opopen.resok4.stateid);
        err = nfs_call_result(&call, OP_GETFH, &res);
    }
    if (err == 0) {
        file->fh.size = (uint32_t)res.opgetfh.resok4.object.size;
        memcpy(file->fh.data, res.opgetfh.resok4.object.data, file->fh.size);
        remember(file);
        *out_file = file;
    } else {
        file_unref(file);
    }
    nfs_call_fini(&call);
    return err;
}

const struct nfs_fh *nfs_file_handle(const struct nfs_file *file)
{
    return &file->fh;
}

static bool is_stateid_error(enum nfsstat4 status)
{
    return status == NFS4ERR_BAD_STATEID || status == NFS4ERR_STALE_STATEID ||
           status == NFS4ERR_OLD_STATEID || status == NFS4ERR_EXPIRED ||
           status == NFS4ERR_ADMIN_REVOKED;
}

/* Opens the file anew, unless that was done since `version` of its stateid was used. */
static int reopen(struct nfs_file *file, uint64_t version)
{
    uint64_t now;
    int err = 0;
    mutex_lock(&file->reopen_lock);
    (void)current_stateid(file, &now);
    if (now == version)
        err = open_by_handle(file, CLAIM_FH);
    mutex_unlock(&file->reopen_lock);
    return err;
}

int nfs_file_close(struct nfs_file *file)
{
    if (file == NULL)
        return 0;
    struct nfs_call call;
    union nfs_argop4 arg = { .opclose = { .seqid = 0 } };
    uint64_t version;
    arg.opclose.open_stateid = current_stateid(file, &version);
    nfs_call_init(&call, file->client, NFS_CALL_CACHED);
    nfs_call_put_fh(&call, &file->fh);
    nfs_call_add(&call, OP_CLOSE, &arg);
    int err = nfs_call_run(&call);
    if (is_stateid_error(call.status))
        err = 0; /* the server has closed it already */
    nfs_call_fini(&call);
    file_unref(file);
    return err;
}

void nfs_read_start(struct nfs_read *read, struct nfs_file *file, uint64_t offset, uint32_t size)
{
    assert(size <= file->client->io_size);
    union nfs_argop4 arg = { .opread = { .offset = offset, .count = size } };
    read->file = file;
    read->offset = offset;
    read->size = size;
    arg.opread.stateid = current_stateid(file, &read->stateid_version);
    nfs_call_init(&read->call, file->client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&read->call, &file->fh);
    nfs_call_add(&read->call, OP_READ, &arg);
    nfs_call_start(&read->call);
}

int nfs_read_finish(struct nfs_read *read)
{
    int err = nfs_call_finish(&read->call);
    for (int attempt = 0; is_stateid_error(read->call.status) && err < 0; attempt++) {
        if (attempt == STATEID_ATTEMPTS_MAX)
            return err;
        err = reopen(read->file, read->stateid_version);
        if (err < 0)
            return err;
        nfs_call_fini(&read->call);
        nfs_read_start(read, read->file, read->offset, read->size);
        err = nfs_call_finish(&read->call);
    }
    union nfs_resop4 res;
    if (err == 0)
        err = nfs_call_skip(&read->call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(&read->call, OP_READ, &res);
    if (err == 0 && res.opread.resok4.data.size > read->size)
        err = -EBADMSG;
    if (err != 0)
        return err;
    read->data = res.opread.resok4.data;
    read->eof = res.opread.resok4.eof;
    return 0;
}

void nfs_read_end(struct nfs_read *read)
{
    nfs_call_fini(&read->call);
}

void nfs_write_start(struct nfs_write *write, struct nfs_file *file, uint64_t offset,
    struct slice data, enum stable_how4 stable)
{
    assert(data.size <= file->client->io_size);
    union nfs_argop4 arg = { .opwrite = { .offset = offset, .stable = stable, .data = data } };
    write->file = file;
    write->offset = offset;
    write->data = data;
    write->stable = stable;
    arg.opwrite.stateid = current_stateid(file, &write->stateid_version);
    nfs_call_init(&write->call, file->client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&write->call, &file->fh);
    nfs_call_add(&write->call, OP_WRITE, &arg);
    nfs_call_start(&write->call);
}

static void note_unstable(struct nfs_unstable *unstable, const struct WRITE4resok *done)
{
    if (done->committed != UNSTABLE4 || unstable == NULL)
        return;
    if (unstable->any && memcmp(unstable->verifier, done->writeverf, NFS4_VERIFIER_SIZE) != 0)
        unstable->lost = true;
    unstable->any = true;
    memcpy(unstable->verifier, done->writeverf, NFS4_VERIFIER_SIZE);
}

/* Reads the result; *out_written tells how much of the data the server took. */
static int write_result(struct nfs_write *write, struct nfs_unstable *unstable, size_t *out_written)
{
    union nfs_resop4 res;
    int err = nfs_call_skip(&write->call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(&write->call, OP_WRITE, &res);
    if (err != 0)
        return err;
    const struct WRITE4resok *done = &res.opwrite.resok4;
    if (done->count > write->data.size || (done->count == 0 && write->data.size > 0) ||
        done->committed < write->stable)
        return -EBADMSG;
    note_unstable(unstable, done);
    *out_written = done->count;
    return 0;
}

int nfs_write_finish(struct nfs_write *write, struct nfs_unstable *unstable)
{
    assert(unstable != NULL || write->stable == FILE_SYNC4);
    for (int attempt = 0;;) {
        size_t written = 0;
        int err = nfs_call_finish(&write->call);
        bool unknown = err < 0 && is_stateid_error(write->call.status);
        if (unknown && attempt++ < STATEID_ATTEMPTS_MAX)
            err = reopen(write->file, write->stateid_version);
        else if (err == 0)
            err = write_result(write, unstable, &written);
        nfs_call_fini(&write->call);
        if (err < 0)
            return err;
        struct slice rest = slice_of(write->data.data + written, write->data.size - written);
        if (rest.size == 0 && !unknown)
            return 0;
        nfs_write_start(write, write->file, write->offset + written, rest, write->stable);
    }
}

int nfs_file_commit(struct nfs_file *file, struct nfs_unstable *unstable)
{
    if (!unstable->any)
        return 0;
    struct nfs_call call;
    union nfs_resop4 res;
    union nfs_argop4 arg = { .opcommit = { .offset = 0, .count = 0 } }; /* all of the file */
    nfs_call_init(&call, file->client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&call, &file->fh);
    nfs_call_add(&call, OP_COMMIT, &arg);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(&call, OP_COMMIT, &res);
    if (err == 0) {
        const uint8_t *verifier = res.opcommit.resok4.writeverf;
        err = unstable->lost || memcmp(unstable->verifier, verifier, NFS4_VERIFIER_SIZE) != 0;
        *unstable = (struct nfs_unstable){ 0 };
    }
    nfs_call_fini(&call);
    return err;
}

/* All open files, each with a reference; the caller frees the array. */
static struct nfs_file **take_all(struct nfs_client *client, size_t *out_count)
{
    struct nfs_file **files = NULL;
    size_t count = 0;
    mutex_lock(&client->lock);
    LIST_FOR_EACH(node, &client->files)
    count++;
    files = calloc(count + 1, sizeof(struct nfs_file *));
    count = 0;
    if (files != NULL) {
        LIST_FOR_EACH(node, &client->files)
        {
            files[count] = LIST_ENTRY(node, struct nfs_file, link);
            files[count++]->references++;
        }
    }
    mutex_unlock(&client->lock);
    *out_count = count;
    return files;
}

void nfs_file_reclaim_all(struct nfs_client *client)
{
    size_t count;
    struct nfs_file **files = take_all(client, &count);
    for (size_t i = 0; i < count; i++) {
        if (open_by_handle(files[i], CLAIM_PREVIOUS) == 0)
            atomic_fetch_add(&client->reclaimed, 1);
        file_unref(files[i]);
    }
    free(files);
}
