/*
 * auth/refusals.c - a table of fixed size; each entry has the number of its last refusal, the smallest number gives way.
 */
#include "auth/refusals.h"

#include <stdlib.h>

#include "auth/audit.h"
#include "base/lock.h"
#include "base/text.h"

struct refusals {
    struct mutex lock;
    uint64_t serial_last;
    uint64_t serials[REFUSALS_MAX]; /* 0: free */
    struct refusal list[REFUSALS_MAX];
};

const char *refusal_stage_name(enum refusal_stage stage)
{
    static const char *const names[REFUSED_STAGE_COUNT] = {
        [REFUSED_CONNECTION] = "connection",
        [REFUSED_TLS] = "tls",
        [REFUSED_CERTIFICATE] = "certificate",
        [REFUSED_MOUNT] = "mount",
        [REFUSED_GARBAGE] = "garbage",
    };
    assert(stage < REFUSED_STAGE_COUNT);
    return names[stage];
}

int refusals_new(struct refusals **out_refusals)
{
    struct refusals *refusals = calloc(1, sizeof *refusals);
    if (refusals == NULL)
        return -ENOMEM;
    refusals->lock = (struct mutex){ .pthread = PTHREAD_MUTEX_INITIALIZER };
    *out_refusals = refusals;
    return 0;
}

void refusals_free(struct refusals *refusals)
{
    free(refusals);
}

static bool is_same(const struct refusal *a, const struct refusal *b)
{
    return a->stage == b->stage && strcmp(a->source, b->source) == 0 &&
           strcmp(a->target, b->target) == 0 && strcmp(a->file_system, b->file_system) == 0 &&
           strcmp(a->reason, b->reason) == 0;
}

/* The place of the same refusal, or the one that is to give way. */
static size_t find_place(const struct refusals *refusals, const struct refusal *wanted)
    REQUIRES(refusals->lock)
{
    size_t oldest = 0;
    for (size_t i = 0; i < REFUSALS_MAX; i++) {
        if (refusals->serials[i] != 0 && is_same(&refusals->list[i], wanted))
            return i;
        if (refusals->serials[i] < refusals->serials[oldest])
            oldest = i;
    }
    return oldest;
}

/* Copies as much as fits. */
static void copy_cut(char *to, size_t size, const char *from)
{
    size_t length = from != NULL ? strnlen(from, size - 1) : 0;
    memcpy(to, from != NULL ? from : "", length);
    to[length] = '\0';
}

void refusals_note(struct refusals *refusals, const struct refusal_note *note)
{
    struct refusal wanted = { .now_ms = note->now_ms, .stage = note->stage, .count = 1 };
    if (refusals == NULL)
        return;
    audit_address_text(note->source, wanted.source);
    audit_address_text(note->target, wanted.target);
    copy_cut(wanted.file_system, sizeof wanted.file_system, note->file_system);
    copy_cut(wanted.reason, sizeof wanted.reason, note->reason);
    mutex_lock(&refusals->lock);
    size_t place = find_place(refusals, &wanted);
    if (refusals->serials[place] != 0 && is_same(&refusals->list[place], &wanted))
        wanted.count += refusals->list[place].count;
    refusals->list[place] = wanted;
    refusals->serials[place] = ++refusals->serial_last;
    mutex_unlock(&refusals->lock);
}

static bool is_asked_for(const struct refusal *refusal, const char *source, const char *file_system)
{
    return (source[0] == '\0' || strcmp(source, refusal->source) == 0) &&
           (file_system[0] == '\0' || refusal->file_system[0] == '\0' ||
               strcmp(file_system, refusal->file_system) == 0);
}

size_t refusals_list(struct refusals *refusals, const char *source, const char *file_system,
    size_t count_max, struct refusal *out_list)
{
    size_t count = 0;
    uint64_t below = UINT64_MAX;
    mutex_lock(&refusals->lock);
    while (count < count_max) {
        size_t newest = REFUSALS_MAX;
        for (size_t i = 0; i < REFUSALS_MAX; i++) {
            uint64_t serial = refusals->serials[i];
            if (serial != 0 && serial < below &&
                (newest == REFUSALS_MAX || serial > refusals->serials[newest]) &&
                is_asked_for(&refusals->list[i], source, file_system))
                newest = i;
        }
        if (newest == REFUSALS_MAX)
            break;
        below = refusals->serials[newest];
        out_list[count++] = refusals->list[newest];
    }
    mutex_unlock(&refusals->lock);
    return count;
}
