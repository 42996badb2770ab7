/* transfer/crew.c - threads that work through queues (room: transfer). */
#include "transfer/crew.h"

#include <stdlib.h>

#include "base/lock.h"

#define FILES_WAITING_MAX 1024u

struct queue {
    struct crew_task *first;
    struct crew_task *last;
    unsigned count;
};

struct crew {
    struct mutex lock;
    pthread_cond_t added;
    pthread_cond_t idle;
    struct queue queues[CREW_QUEUES]; /* in the order in which they are served */
    uint64_t unfinished;              /* waiting or running */
    bool ending;
    unsigned worker_count;
    pthread_t workers[];
};

/* The next task, by the order of the queues up to `last_queue`; NULL: none. */
static struct crew_task *take_locked(
    struct crew *crew, enum crew_queue first_queue, enum crew_queue last_queue) REQUIRES(crew->lock)
{
    for (unsigned i = first_queue; i <= last_queue; i++) {
        struct queue *queue = &crew->queues[i];
        struct crew_task *task = queue->first;
        if (task == NULL)
            continue;
        queue->first = task->next;
        if (queue->first == NULL)
            queue->last = NULL;
        queue->count--;
        return task;
    }
    return NULL;
}

static void finish_locked(struct crew *crew) REQUIRES(crew->lock)
{
    if (--crew->unfinished == 0)
        (void)pthread_cond_broadcast(&crew->idle);
}

static void *worker_main(void *argument)
{
    struct crew *crew = argument;
    mutex_lock(&crew->lock);
    for (;;) {
        struct crew_task *task = take_locked(crew, CREW_PIECES, CREW_DIRECTORIES);
        if (task != NULL) {
            mutex_unlock(&crew->lock);
            task->run(task); /* `task` may be gone after this */
            mutex_lock(&crew->lock);
            finish_locked(crew);
        } else if (crew->ending) {
            break;
        } else {
            (void)pthread_cond_wait(&crew->added, &crew->lock.pthread);
        }
    }
    mutex_unlock(&crew->lock);
    return NULL;
}

int crew_new(unsigned worker_count, struct crew **out_crew)
{
    assert(worker_count >= 1 && worker_count <= 256);
    struct crew *crew = calloc(1, sizeof *crew + worker_count * sizeof crew->workers[0]);
    if (crew == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&crew->lock.pthread, NULL); /* cannot fail without attributes */
    (void)pthread_cond_init(&crew->added, NULL);
    (void)pthread_cond_init(&crew->idle, NULL);
    int err = 0;
    while (crew->worker_count < worker_count && err == 0) {
        err = pthread_create(&crew->workers[crew->worker_count], NULL, worker_main, crew);
        crew->worker_count += err == 0;
    }
    if (crew->worker_count == 0) {
        crew_free(crew);
        return -err;
    }
    *out_crew = crew; /* fewer threads than asked for will do too */
    return 0;
}

unsigned crew_size(const struct crew *crew)
{
    return crew->worker_count;
}

void crew_add(struct crew *crew, enum crew_queue queue, struct crew_task *task)
{
    struct queue *to = &crew->queues[queue];
    mutex_lock(&crew->lock);
    task->next = NULL;
    if (to->first == NULL) {
        to->first = to->last = task;
    } else if (queue == CREW_DIRECTORIES) {
        task->next = to->first;
        to->first = task;
    } else {
        to->last->next = task;
        to->last = task;
    }
    to->count++;
    crew->unfinished++;
    (void)pthread_cond_signal(&crew->added);
    mutex_unlock(&crew->lock);
}

bool crew_is_full(struct crew *crew)
{
    mutex_lock(&crew->lock);
    bool full = crew->queues[CREW_FILES].count >= FILES_WAITING_MAX;
    mutex_unlock(&crew->lock);
    return full;
}

bool crew_help(struct crew *crew)
{
    mutex_lock(&crew->lock);
    struct crew_task *task = take_locked(crew, CREW_FILES, CREW_FILES);
    mutex_unlock(&crew->lock);
    if (task == NULL)
        return false;
    task->run(task);
    mutex_lock(&crew->lock);
    finish_locked(crew);
    mutex_unlock(&crew->lock);
    return true;
}

void crew_wait(struct crew *crew)
{
    mutex_lock(&crew->lock);
    while (crew->unfinished > 0)
        (void)pthread_cond_wait(&crew->idle, &crew->lock.pthread);
    mutex_unlock(&crew->lock);
}

void crew_free(struct crew *crew)
{
    if (crew == NULL)
        return;
    mutex_lock(&crew->lock);
    assert(crew->unfinished == 0);
    crew->ending = true;
    (void)pthread_cond_broadcast(&crew->added);
    mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->worker_count; i++)
        (void)pthread_join(crew->workers[i], NULL); /* ours, and not joined yet */
    (void)pthread_cond_destroy(&crew->added);       /* nobody waits */
    (void)pthread_cond_destroy(&crew->idle);
    (void)pthread_mutex_destroy(&crew->lock.pthread);
    free(crew);
}
