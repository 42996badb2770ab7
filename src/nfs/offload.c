/*
 * nfs/offload.c - copies that go on behind the answer of COPY (room: NFS).
 *
 * The lock is held for list work only. A copy in the list is freed by who takes it out: the thread for one that runs,
 * `done` of the callback for one that is being told, else whoever finds it.
 *
 * Sources: RFC 7862 sections 4.2, 15.8, 15.9 and 16.1.
 */
#include "nfs/offload.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/random.h"
#include "nfs/compound.h"
#include "state/back.h"

#define COPIES_MAX            128u
#define COPIES_PER_CLIENT_MAX 16u

enum offload_phase { OFFLOAD_RUNNING, OFFLOAD_ENDED };

struct offload {
    struct list node;
    struct nfs_volume *from, *to; /* pinned while RUNNING */
    uint64_t clientid;
    struct stateid4 stateid;
    uint8_t fh[FH_SIZE];
    uint8_t writeverf[NFS4_VERIFIER_SIZE];
    uint32_t groups[RPC_AUTH_SYS_GROUPS_MAX];
    struct copier copier; /* of the thread */
    /* Under the lock from here on. */
    uint64_t done;
    enum offload_phase phase;
    enum nfsstat4 status; /* ENDED */
    bool is_busy;         /* a piece runs, or its end is being told */
    bool is_dropped;      /* nobody wants it any more: to be freed when not busy */
    bool was_tried;       /* in this round of offload_tick() */
};

void offloads_init(struct offloads *offloads)
{
    (void)pthread_mutex_init(&offloads->lock.pthread, NULL);
    (void)pthread_cond_init(&offloads->changed, NULL);
    list_init(&offloads->copies);
}

static void take_out_locked(struct offloads *offloads, struct offload *copy)
    REQUIRES(offloads->lock)
{
    list_remove(&copy->node);
    offloads->count--;
}

/* Of a copy that is in no list any more. */
static void offload_free(struct offload *copy)
{
    if (copy->phase == OFFLOAD_RUNNING) {
        nfs_volume_unpin(copy->from);
        nfs_volume_unpin(copy->to);
    }
    free(copy);
}

/* Takes out and frees, or leaves to whoever is busy with it. `matches` NULL: all. */
static void drop_all(struct offloads *offloads,
    bool (*matches)(const struct offload *copy, const void *what), const void *what)
{
    struct list dropped;
    list_init(&dropped);
    mutex_lock(&offloads->lock);
    LIST_FOR_EACH_SAFE(at, &offloads->copies)
    {
        struct offload *copy = LIST_ENTRY(at, struct offload, node);
        if (matches != NULL && !matches(copy, what))
            continue;
        copy->is_dropped = true;
        if (copy->is_busy)
            continue;
        take_out_locked(offloads, copy);
        list_add_tail(&dropped, &copy->node);
    }
    mutex_unlock(&offloads->lock);
    LIST_FOR_EACH_SAFE(at, &dropped)
    offload_free(LIST_ENTRY(at, struct offload, node));
}

void offloads_stop(struct offloads *offloads)
{
    mutex_lock(&offloads->lock);
    offloads->stopping = true;
    (void)pthread_cond_broadcast(&offloads->changed);
    mutex_unlock(&offloads->lock);
    if (offloads->has_thread)
        (void)pthread_join(offloads->thread, NULL);
    offloads->has_thread = false;
    drop_all(offloads, NULL, NULL);
}

void offloads_fini(struct offloads *offloads)
{
    assert(list_is_empty(&offloads->copies)); /* no connection is left, so none is being told */
    (void)pthread_cond_destroy(&offloads->changed);
    (void)pthread_mutex_destroy(&offloads->lock.pthread);
}

/* ---- telling the end ---- */

static void told(struct nfs_server *server, void *context, int err, const union nfs_cb_resop4 *res)
{
    (void)res; /* any answer is one */
    struct offload *copy = context;
    mutex_lock(&server->offloads.lock);
    copy->is_busy = false;
    bool is_over = err == 0 || copy->is_dropped;
    if (is_over)
        take_out_locked(&server->offloads, copy);
    mutex_unlock(&server->offloads.lock);
    if (is_over)
        offload_free(copy);
}

/* Sends CB_OFFLOAD for an ENDED copy that the caller has made busy. */
static void tell(struct nfs_server *server, struct offload *copy)
{
    union nfs_cb_argop4 arg = { .opcboffload = { .coa_fh = slice_of(copy->fh, sizeof copy->fh),
                                    .coa_stateid = copy->stateid } };
    struct offload_info4 *info = &arg.opcboffload.coa_offload_info;
    info->coa_status = copy->status;
    if (copy->status == NFS4_OK) {
        info->coa_resok4.wr_count = copy->done;
        info->coa_resok4.wr_committed = copy->copier.is_unstable ? UNSTABLE4 : FILE_SYNC4;
        memcpy(info->coa_resok4.wr_writeverf, copy->writeverf, NFS4_VERIFIER_SIZE);
    } else {
        info->coa_bytes_copied = copy->done;
    }
    int err = callback_send(server, copy->clientid, OP_CB_OFFLOAD, &arg, told, copy);
    if (err < 0)
        told(server, copy, err, NULL);
}

/* ---- the thread ---- */

/* The next copy to work at, made busy; NULL: stop. */
static struct offload *next_copy(struct offloads *offloads)
{
    struct offload *found = NULL;
    mutex_lock(&offloads->lock);
    while (found == NULL && !offloads->stopping) {
        LIST_FOR_EACH(at, &offloads->copies)
        {
            struct offload *copy = LIST_ENTRY(at, struct offload, node);
            if (copy->phase == OFFLOAD_RUNNING && !copy->is_busy) {
                found = copy;
                break;
            }
        }
        if (found == NULL)
            (void)pthread_cond_wait(&offloads->changed, &offloads->lock.pthread);
    }
    if (found != NULL) {
        found->is_busy = true;
        list_remove(&found->node); /* to the end: the others come first now */
        list_add_tail(&offloads->copies, &found->node);
    }
    mutex_unlock(&offloads->lock);
    return found;
}

/* One piece, and what follows the last: what was written becomes durable. */
static int work(struct offload *copy)
{
    struct copier *copier = &copy->copier;
    int err = copier->left > 0 ? copier_step(copier) : 0;
    if (err < 0 || copier->left > 0 || !copier->is_unstable)
        return err;
    uint8_t writeverf[NFS4_VERIFIER_SIZE];
    err = fs_commit(copier->to_fs, copier->to, 0, 0);
    fs_writeverf(copier->to_fs, writeverf);
    if (err == 0 && memcmp(writeverf, copy->writeverf, sizeof writeverf) == 0)
        copier->is_unstable = false; /* else COMMIT tells the client to begin again */
    return err;
}

static void work_and_tell(struct nfs_server *server, struct offload *copy)
{
    struct offloads *offloads = &server->offloads;
    bool is_wanted = state_client_is_known(server->state, copy->clientid);
    int err = is_wanted ? work(copy) : 0;
    bool has_ended = err < 0 || copy->copier.left == 0;
    mutex_lock(&offloads->lock);
    copy->done = copy->copier.done;
    is_wanted = is_wanted && !copy->is_dropped;
    if (!is_wanted)
        take_out_locked(offloads, copy);
    else if (!has_ended)
        copy->is_busy = false;
    mutex_unlock(&offloads->lock);
    if (!is_wanted) {
        offload_free(copy);
        return;
    }
    if (!has_ended)
        return;
    mutex_lock(&offloads->lock);
    copy->phase = OFFLOAD_ENDED;
    copy->status = nfs_status(err);
    mutex_unlock(&offloads->lock);
    nfs_volume_unpin(copy->from);
    nfs_volume_unpin(copy->to);
    tell(server, copy);
}

static void *offloads_main(void *argument)
{
    struct nfs_server *server = argument;
    uint8_t *buffer = malloc(COPIER_BUFFER_SIZE);
    struct offload *copy;
    while ((copy = next_copy(&server->offloads)) != NULL) {
        if (buffer == NULL)
            buffer = malloc(COPIER_BUFFER_SIZE);
        copy->copier.buffer = buffer;
        work_and_tell(server, copy);
    }
    free(buffer);
    return NULL;
}

/* ---- what requests do ---- */

static struct offload *offload_new(struct compound *compound, const struct copier *copier)
{
    struct offload *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->from = compound->saved.volume;
    copy->to = compound->current.volume;
    copy->clientid = state_client_id(compound->caller.client);
    copy->stateid.seqid = 1;
    random_bytes(copy->stateid.other, sizeof copy->stateid.other);
    struct fh fh = place_fh(&compound->current);
    fh_encode(&compound->server->options.fh_key, &fh, copy->fh);
    copy->copier = *copier;
    copy->done = copier->done;
    uint32_t group_count = copier->cred.group_count;
    assert(group_count <= RPC_AUTH_SYS_GROUPS_MAX);
    if (group_count > 0)
        memcpy(copy->groups, copier->cred.groups, group_count * sizeof copy->groups[0]);
    copy->copier.cred.groups = copy->groups;
    copy->phase = OFFLOAD_ENDED; /* has no pins yet */
    return copy;
}

/* Whether there is room for one more; starts the thread when it is the first. */
static bool admit_locked(struct offloads *offloads, struct nfs_server *server, uint64_t clientid)
    REQUIRES(offloads->lock)
{
    uint32_t of_client = 0;
    LIST_FOR_EACH(at, &offloads->copies)
    of_client += LIST_ENTRY(at, struct offload, node)->clientid == clientid;
    if (offloads->count >= COPIES_MAX || of_client >= COPIES_PER_CLIENT_MAX)
        return false;
    if (!offloads->has_thread)
        offloads->has_thread = pthread_create(&offloads->thread, NULL, offloads_main, server) == 0;
    return offloads->has_thread;
}

enum nfsstat4 offload_begin(struct compound *compound, const struct copier *copier,
    const uint8_t writeverf[NFS4_VERIFIER_SIZE], struct stateid4 *out_stateid)
{
    struct offloads *offloads = &compound->server->offloads;
    if (!state_back_is_up(compound->caller.client))
        return NFS4ERR_DELAY;
    struct offload *copy = offload_new(compound, copier);
    if (copy == NULL)
        return NFS4ERR_DELAY;
    memcpy(copy->writeverf, writeverf, sizeof copy->writeverf);
    if (!nfs_volume_pin(copy->from)) {
        offload_free(copy);
        return NFS4ERR_DELAY;
    }
    if (!nfs_volume_pin(copy->to)) {
        nfs_volume_unpin(copy->from);
        offload_free(copy);
        return NFS4ERR_DELAY;
    }
    copy->phase = OFFLOAD_RUNNING;
    *out_stateid = copy->stateid;
    mutex_lock(&offloads->lock);
    bool is_admitted = admit_locked(offloads, compound->server, copy->clientid);
    if (is_admitted) {
        list_add_tail(&offloads->copies, &copy->node);
        offloads->count++;
        (void)pthread_cond_broadcast(&offloads->changed);
    }
    mutex_unlock(&offloads->lock);
    if (!is_admitted)
        offload_free(copy);
    return is_admitted ? NFS4_OK : NFS4ERR_DELAY;
}

/* A copy of the client that asks, that nobody has given up; NULL: none. */
static struct offload *find_locked(struct offloads *offloads, const struct compound *compound,
    const struct stateid4 *stateid) REQUIRES(offloads->lock)
{
    uint64_t clientid = state_client_id(compound->caller.client);
    LIST_FOR_EACH(at, &offloads->copies)
    {
        struct offload *copy = LIST_ENTRY(at, struct offload, node);
        bool is_it = memcmp(copy->stateid.other, stateid->other, sizeof stateid->other) == 0;
        if (is_it && copy->clientid == clientid && !copy->is_dropped)
            return copy;
    }
    return NULL;
}

enum nfsstat4 offload_status(
    struct compound *compound, const struct stateid4 *stateid, struct OFFLOAD_STATUS4resok *out)
{
    struct offloads *offloads = &compound->server->offloads;
    enum nfsstat4 *complete = arena_alloc(compound->arena, sizeof *complete);
    if (complete == NULL)
        return NFS4ERR_DELAY;
    mutex_lock(&offloads->lock);
    const struct offload *copy = find_locked(offloads, compound, stateid);
    if (copy != NULL) {
        out->osr_count = copy->done;
        *complete = copy->status;
        out->osr_complete.count = copy->phase == OFFLOAD_ENDED ? 1 : 0;
        out->osr_complete.items = complete;
    }
    mutex_unlock(&offloads->lock);
    return copy != NULL ? NFS4_OK : NFS4ERR_BAD_STATEID;
}

enum nfsstat4 offload_cancel(struct compound *compound, const struct stateid4 *stateid)
{
    struct offloads *offloads = &compound->server->offloads;
    struct offload *unused = NULL;
    enum nfsstat4 status = NFS4_OK;
    mutex_lock(&offloads->lock);
    struct offload *copy = find_locked(offloads, compound, stateid);
    if (copy == NULL) {
        status = NFS4ERR_BAD_STATEID;
    } else if (copy->phase == OFFLOAD_ENDED) {
        status = NFS4ERR_COMPLETE_ALREADY;
    } else {
        copy->is_dropped = true;
        if (!copy->is_busy) {
            take_out_locked(offloads, copy);
            unused = copy;
        }
    }
    mutex_unlock(&offloads->lock);
    if (unused != NULL)
        offload_free(unused);
    return status;
}

/* ---- volumes and clients that go ---- */

static bool works_on(const struct offload *copy, const void *what)
{
    return copy->from == what || copy->to == what;
}

void offload_forget_volume(struct nfs_server *server, const struct nfs_volume *volume)
{
    drop_all(&server->offloads, works_on, volume);
}

/* An ENDED copy that was not tried in this round, made busy; NULL: none is left. */
static struct offload *next_untold(struct offloads *offloads)
{
    struct offload *found = NULL;
    mutex_lock(&offloads->lock);
    LIST_FOR_EACH(at, &offloads->copies)
    {
        struct offload *copy = LIST_ENTRY(at, struct offload, node);
        if (copy->phase == OFFLOAD_ENDED && !copy->is_busy && !copy->was_tried) {
            found = copy;
            break;
        }
    }
    if (found != NULL)
        found->is_busy = found->was_tried = true;
    mutex_unlock(&offloads->lock);
    return found;
}

void offload_tick(struct nfs_server *server)
{
    struct offloads *offloads = &server->offloads;
    mutex_lock(&offloads->lock);
    LIST_FOR_EACH(at, &offloads->copies)
    LIST_ENTRY(at, struct offload, node)->was_tried = false;
    mutex_unlock(&offloads->lock);
    struct offload *copy;
    while ((copy = next_untold(offloads)) != NULL) {
        if (state_client_is_known(server->state, copy->clientid)) {
            tell(server, copy);
        } else {
            mutex_lock(&offloads->lock);
            take_out_locked(offloads, copy);
            mutex_unlock(&offloads->lock);
            offload_free(copy);
        }
    }
}
