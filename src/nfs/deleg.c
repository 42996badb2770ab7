/*
 * nfs/deleg.c - recalling delegations, and waiting for them a little (room: NFS).
 *
 * Sources: RFC 8881 sections 10.4, 20.1, 20.2, 20.6 and 20.11.
 */
#include "nfs/deleg.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "io/event.h"
#include "nfs/callback.h"
#include "nfs/deleg_time.h"
#include "nfs/view.h"

#define WAIT_COUNT_MAX \
    64u /* requests that may wait at one time; others are told NFS4ERR_DELAY at once */
#define RETRY_MS  1000u /* a recall that failed is tried again, in the next tick */
#define NS_PER_MS UINT64_C(1000000)

/* What the holder of a write delegation said. */
struct answer {
    uint64_t change, size_bytes;
    bool has_times;
    struct state_time atime, mtime;
};

/* One request that waits: for the file's delegation to come back, or (serial > 0) for the answer of that number. */
struct deleg_wait {
    struct list node;
    struct event event;
    uint64_t deadline_ns;
    const struct state_files *files;
    struct state_file_key key;
    uint64_t serial;
    bool answered;
    struct answer answer;
};

/* ---- waiting ---- */

static void timespec_of(uint64_t ns, struct timespec *out)
{
    out->tv_sec = (time_t)(ns / (1000 * NS_PER_MS));
    out->tv_nsec = (long)(ns % (1000 * NS_PER_MS));
}

/* Takes the wait off the list and lets its request go on. */
static void wait_end_locked(struct deleg_waits *waits, struct deleg_wait *wait)
{
    list_remove(&wait->node);
    waits->count--;
    event_signal(&wait->event); /* it may be gone now */
}

/* Ends waits whose time is over. */
static void *waits_run(void *argument)
{
    struct deleg_waits *waits = argument;
    (void)pthread_mutex_lock(&waits->lock);
    while (!waits->stopping) {
        if (list_is_empty(&waits->waits)) {
            (void)pthread_cond_wait(&waits->changed, &waits->lock);
            continue;
        }
        struct deleg_wait *first = LIST_ENTRY(waits->waits.next, struct deleg_wait, node);
        if (clock_monotonic_ns() >= first->deadline_ns) {
            wait_end_locked(waits, first);
            continue;
        }
        struct timespec deadline;
        timespec_of(first->deadline_ns, &deadline);
        (void)pthread_cond_timedwait(&waits->changed, &waits->lock, &deadline);
    }
    (void)pthread_mutex_unlock(&waits->lock);
    return NULL;
}

int deleg_waits_init(struct deleg_waits *waits)
{
    pthread_condattr_t attr;
    (void)pthread_mutex_init(&waits->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&waits->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    list_init(&waits->waits);
    waits->has_thread = pthread_create(&waits->thread, NULL, waits_run, waits) == 0;
    return waits->has_thread ? 0 : -EAGAIN;
}

void deleg_waits_fini(struct deleg_waits *waits)
{
    if (!waits->has_thread)
        return;
    (void)pthread_mutex_lock(&waits->lock);
    assert(list_is_empty(&waits->waits));
    waits->stopping = true;
    (void)pthread_cond_broadcast(&waits->changed);
    (void)pthread_mutex_unlock(&waits->lock);
    (void)pthread_join(waits->thread, NULL);
    (void)pthread_cond_destroy(&waits->changed);
    (void)pthread_mutex_destroy(&waits->lock);
}

/* Joins those who wait, before it is looked whether there is anything to wait for. False: too many do. */
static bool wait_begin(struct deleg_waits *waits, struct deleg_wait *wait,
    const struct state_file_ref *file, uint64_t deadline_ns)
{
    *wait =
        (struct deleg_wait){ .deadline_ns = deadline_ns, .files = file->files, .key = file->key };
    event_init(&wait->event);
    (void)pthread_mutex_lock(&waits->lock);
    bool joins = waits->count < WAIT_COUNT_MAX;
    if (joins) {
        waits->count++;
        struct list *after = waits->waits.prev;
        while (after != &waits->waits &&
               LIST_ENTRY(after, struct deleg_wait, node)->deadline_ns > deadline_ns)
            after = after->prev;
        list_add_head(after, &wait->node);
        (void)pthread_cond_signal(&waits->changed);
    }
    (void)pthread_mutex_unlock(&waits->lock);
    return joins;
}

/* There is nothing to wait for. */
static void wait_cancel(struct deleg_waits *waits, struct deleg_wait *wait)
{
    (void)pthread_mutex_lock(&waits->lock);
    bool waiting = !list_is_empty(&wait->node);
    if (waiting) {
        list_remove(&wait->node);
        waits->count--;
    }
    (void)pthread_mutex_unlock(&waits->lock);
    if (!waiting)
        event_wait(&wait->event); /* who took it off has signalled it, or is about to */
}

void deleg_returned(struct nfs_server *server, const struct state_file_ref *file)
{
    struct deleg_waits *waits = &server->waits;
    (void)pthread_mutex_lock(&waits->lock);
    LIST_FOR_EACH_SAFE(node, &waits->waits)
    {
        struct deleg_wait *wait = LIST_ENTRY(node, struct deleg_wait, node);
        if (wait->serial == 0 && wait->files == file->files && wait->key.inode == file->key.inode &&
            wait->key.generation == file->key.generation)
            wait_end_locked(waits, wait);
    }
    (void)pthread_mutex_unlock(&waits->lock);
}

static uint64_t deadline_now(void)
{
    return clock_monotonic_ns() + DELEG_WAIT_MS * NS_PER_MS;
}

enum nfsstat4 deleg_clear_file(struct nfs_server *server, const struct state_caller *caller,
    const struct state_file_ref *file, enum state_deleg_use use)
{
    struct state_caller now = *caller;
    uint64_t deadline_ns = deadline_now();
    for (;;) {
        struct deleg_wait wait;
        bool waits = wait_begin(&server->waits, &wait, file, deadline_ns);
        enum state_status status = state_deleg_clear(&now, file, use);
        deleg_pump(server);
        bool is_over = clock_monotonic_ns() >= deadline_ns;
        if (waits && (status != STATE_DELAY || is_over))
            wait_cancel(&server->waits, &wait);
        if (!waits || status != STATE_DELAY || is_over)
            return nfs_state_status(status);
        event_wait(&wait.event);
        now.now_ms = clock_coarse_ms();
    }
}

enum nfsstat4 deleg_clear_name(
    struct compound *compound, const struct place *dir, struct slice name)
{
    if (LIKELY(!state_files_have_delegs(dir->volume->files)))
        return NFS4_OK;
    struct fs_attr attr;
    if (fs_lookup(dir->volume->fs, &compound->cred, dir->node, name, &attr) < 0 ||
        attr.type != FS_REGULAR)
        return NFS4_OK; /* the operation itself says what is wrong */
    return deleg_clear(compound, dir->volume, attr.node, STATE_USE_CHANGE);
}

/* ---- CB_GETATTR ---- */

/* Who asked: the number of a wait. The wait may be over when the answer comes. */
struct question {
    uint64_t serial;
};

#define TIMES_BITS (1u << (FATTR4_TIME_DELEG_ACCESS - 64) | 1u << (FATTR4_TIME_DELEG_MODIFY - 64))

static bool read_time(struct xdr_decoder *dec, struct state_time *out)
{
    uint64_t seconds;
    if (!xdr_get_u64(dec, &seconds) || !xdr_get_u32(dec, &out->nanoseconds))
        return false;
    out->seconds = (int64_t)seconds;
    return out->nanoseconds < 1000000000;
}

static bool read_answer(const union nfs_cb_resop4 *res, struct answer *out)
{
    if (res->opcbgetattr.status != NFS4_OK)
        return false;
    const struct fattr4 *attributes = &res->opcbgetattr.resok4.obj_attributes;
    const struct bitmap4 *mask = &attributes->attrmask;
    const uint32_t wanted = 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE;
    /* Both, and nothing before them, so that they come first; others after them do not matter. */
    if (mask->count == 0 || (mask->items[0] & (wanted | (wanted - 1))) != wanted)
        return false;
    struct xdr_decoder dec = xdr_decoder_of(attributes->attr_vals, NULL);
    if (!xdr_get_u64(&dec, &out->change) || !xdr_get_u64(&dec, &out->size_bytes))
        return false;
    /* The times come next if nothing is between them. */
    out->has_times = mask->count == 3 && mask->items[0] == wanted && mask->items[1] == 0 &&
                     mask->items[2] == TIMES_BITS && read_time(&dec, &out->atime) &&
                     read_time(&dec, &out->mtime);
    return true;
}

static void getattr_done(
    struct nfs_server *server, void *context, int err, const union nfs_cb_resop4 *res)
{
    struct question *question = context;
    struct deleg_waits *waits = &server->waits;
    struct answer answer = { .change = 0 };
    bool answered = err == 0 && read_answer(res, &answer);
    (void)pthread_mutex_lock(&waits->lock);
    LIST_FOR_EACH_SAFE(node, &waits->waits)
    {
        struct deleg_wait *wait = LIST_ENTRY(node, struct deleg_wait, node);
        if (wait->serial != question->serial)
            continue;
        wait->answered = answered;
        wait->answer = answer;
        wait_end_locked(waits, wait);
    }
    (void)pthread_mutex_unlock(&waits->lock);
    free(question);
}

/* The handle by which the client itself knows the file: one that it got through an access point says so. */
static void put_fh(struct nfs_server *server, uint64_t fs_tag, struct state_file_key key,
    uint64_t view_tag, uint8_t bytes[FH_SIZE])
{
    struct fh fh = { .kind = FH_NODE,
        .fs_tag = fs_tag,
        .node = { .inode = key.inode, .generation = key.generation },
        .access_point = view_tag };
    fh_encode(&server->options.fh_key, &fh, bytes);
}

/* Asks the client; true: it answered in time. */
static bool ask(struct nfs_server *server, const struct nfs_volume *volume,
    const struct state_file_ref *file, const struct state_deleg_writer *writer,
    struct deleg_wait *wait)
{
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL)
        return false;
    uint8_t fh[FH_SIZE];
    uint32_t words[] = { 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE, 0, TIMES_BITS };
    uint32_t word_count = writer->has_times ? 3 : 1;
    put_fh(server, volume->tag, file->key, writer->view_tag, fh);
    union nfs_cb_argop4 arg = { .opcbgetattr = { .fh = slice_of(fh, sizeof fh),
                                    .attr_request = { .count = word_count, .items = words } } };
    if (!wait_begin(&server->waits, wait, file, deadline_now())) {
        free(question);
        return false;
    }
    (void)pthread_mutex_lock(&server->waits.lock);
    question->serial = wait->serial = ++server->waits.serial;
    (void)pthread_mutex_unlock(&server->waits.lock);
    int err = callback_send(server, writer->clientid, OP_CB_GETATTR, &arg, getattr_done, question);
    if (err < 0) {
        wait_cancel(&server->waits, wait);
        free(question);
        return false;
    }
    event_wait(&wait->event);
    return wait->answered;
}

/* The client has changed the file and not written it back yet: its change counter moves on, once for each state that
 * the client tells of (RFC 8881 section 10.4.3). Its time is the client's where it keeps that, else now. */
static enum nfsstat4 note_change(
    struct place *place, const struct state_deleg_writer *writer, bool has_times)
{
    struct fs_cred root = { .uid = 0 };
    struct clock_time now = clock_wall();
    struct fs_setattr touch = { .mtime_how = FS_TIME_SERVER };
    struct fs_setattr told = { .mtime_how = FS_TIME_KEEP };
    if (has_times &&
        deleg_times_to_set(writer,
            (struct fs_time){ .seconds = now.seconds, .nanoseconds = now.nanoseconds }, &told)) {
        touch = told;
    } else if (has_times) {
        touch = (struct fs_setattr){ .mtime_how = FS_TIME_CLIENT, .mtime = place->attr.mtime };
    }
    return nfs_status(fs_setattr(place->volume->fs, &root, place->node, &touch, &place->attr));
}

static bool times_equal(struct state_time a, struct state_time b)
{
    return a.seconds == b.seconds && a.nanoseconds == b.nanoseconds;
}

/* Takes over what was answered. False: nothing but what was said before. */
static bool writer_update(struct state_deleg_writer *writer, const struct answer *answer)
{
    bool is_news =
        answer->change != writer->said_change || answer->size_bytes != writer->said_size_bytes;
    writer->said_change = answer->change;
    writer->said_size_bytes = answer->size_bytes;
    if (writer->has_times && answer->has_times) {
        is_news |= !times_equal(answer->mtime, writer->said_mtime) ||
                   !times_equal(answer->atime, writer->said_atime);
        writer->said_mtime = answer->mtime;
        writer->said_atime = answer->atime;
    }
    return is_news;
}

/* Whether the client has something that is not here yet. Linux tells the counter that it got with the delegation while it
 * has nothing to write back, and one more while it has: what came back already is no change, and its time is right here. */
static bool is_ahead(const struct state_deleg_writer *writer, const struct answer *answer,
    const struct fs_attr *here)
{
    return answer->change != writer->change || answer->size_bytes != here->size_bytes ||
           (writer->has_times && answer->has_times);
}

enum nfsstat4 deleg_ask_writer(struct compound *compound, struct place *place)
{
    struct state_file_ref file = { .files = place->volume->files, .key = file_key_of(place->node) };
    struct state_deleg_writer writer;
    if (!state_deleg_writer(&compound->caller, &file, &writer))
        return NFS4_OK;
    struct deleg_wait wait;
    enum nfsstat4 status;
    if (writer.is_recalled || !ask(compound->server, place->volume, &file, &writer, &wait)) {
        status = deleg_clear_file(compound->server, &compound->caller, &file, STATE_USE_READ);
        place->has_attr = false;
        return status != NFS4_OK ? status : place_get_attr(compound, place);
    }
    if (writer_update(&writer, &wait.answer)) {
        status = NFS4_OK;
        if (is_ahead(&writer, &wait.answer, &place->attr))
            status = note_change(place, &writer, writer.has_times && wait.answer.has_times);
        if (status != NFS4_OK)
            return status;
        state_deleg_writer_said(&file, &writer);
    }
    place->attr.size_bytes = wait.answer.size_bytes;
    return NFS4_OK;
}

/* ---- CB_RECALL, CB_NOTIFY_LOCK, CB_RECALL_ANY ---- */

static void recall_done(
    struct nfs_server *server, void *context, int err, const union nfs_cb_resop4 *res)
{
    struct state_recall *recall = context;
    /* BAD_STATEID, BADHANDLE: our reply that gave it is still on its way, or its return is. */
    bool has_it = err == 0 && res->opcbrecall.status == NFS4_OK;
    state_recall_sent(
        server->state, recall, clock_coarse_ms(), has_it ? UINT64_MAX : (uint64_t)RETRY_MS);
    free(recall);
}

static void send_recall(struct nfs_server *server, const struct state_recall *recall)
{
    struct state_recall *context = malloc(sizeof *context);
    int err = -ENOMEM;
    if (context != NULL) {
        uint8_t fh[FH_SIZE];
        *context = *recall;
        put_fh(server, recall->fs_tag, recall->key, recall->view_tag, fh);
        union nfs_cb_argop4 arg = { .opcbrecall = { .fh = slice_of(fh, sizeof fh) } };
        compound_put_stateid(&arg.opcbrecall.stateid, &recall->stateid);
        err = callback_send(server, recall->clientid, OP_CB_RECALL, &arg, recall_done, context);
    }
    if (err < 0) {
        free(context);
        state_recall_sent(server->state, recall, clock_coarse_ms(), RETRY_MS);
    }
}

/* What comes of it is the client's affair: it asks again anyhow, or keeps what it has. */
static void hint_done(
    struct nfs_server *server, void *context, int err, const union nfs_cb_resop4 *res)
{
    (void)server;
    (void)context;
    (void)err;
    (void)res;
}

static void send_notice(struct nfs_server *server, const struct state_lock_notice *notice)
{
    uint8_t fh[FH_SIZE];
    put_fh(server, notice->fs_tag, notice->key, notice->view_tag, fh);
    union nfs_cb_argop4 arg = { .opcbnotify_lock = { .cnla_fh = slice_of(fh, sizeof fh),
                                    .cnla_lock_owner = {
                                        .clientid = notice->clientid, .owner = notice->owner } } };
    /* A waiter that cannot be told asks again by itself. */
    (void)callback_send(server, notice->clientid, OP_CB_NOTIFY_LOCK, &arg, hint_done, NULL);
}

void deleg_pump(struct nfs_server *server)
{
    struct state_recall recall;
    while (state_recall_next(server->state, &recall))
        send_recall(server, &recall);
    struct state_lock_notice notice;
    while (state_lock_notice_next(server->state, &notice))
        send_notice(server, &notice);
}

static void recall_slots(struct nfs_server *server)
{
    uint32_t cursor = 0, target;
    uint8_t sessionid[NFS4_SESSIONID_SIZE];
    while (state_slots_recall_next(server->state, &cursor, sessionid, &target)) {
        union nfs_cb_argop4 arg = { .opcbrecall_slot = { .rsa_target_highest_slotid = target } };
        callback_hint(server, sessionid, OP_CB_RECALL_SLOT, &arg);
    }
}

void deleg_tick(struct nfs_server *server, uint64_t now_ms)
{
    deleg_pump(server);
    recall_slots(server);
    uint32_t cursor = 0, keep_count;
    uint64_t clientid;
    while (state_deleg_pressure(server->state, now_ms, &cursor, &clientid, &keep_count)) {
        uint32_t words[] = { 1u << RCA4_TYPE_MASK_RDATA_DLG | 1u << RCA4_TYPE_MASK_WDATA_DLG };
        union nfs_cb_argop4 arg = { .opcbrecall_any = { .craa_objects_to_keep = keep_count,
                                        .craa_type_mask = { .count = 1, .items = words } } };
        (void)callback_send(server, clientid, OP_CB_RECALL_ANY, &arg, hint_done, NULL);
    }
}
