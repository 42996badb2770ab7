/*
 * state/share.c - share reservations of one file: four counters and the opens behind them (room: state).
 *
 * A conflict is seen from the counters alone; the list of opens is walked only to find out whether the
 * conflict would go away with clients whose lease is over.
 */
#include "state/internal.h"

static void count_add(uint32_t *counter, bool is_on, int change)
{
    if (is_on)
        *counter += (uint32_t)change;
}

void state_share_count(struct state_file *file, uint32_t access, uint32_t deny, int change)
{
    count_add(&file->reader_count, access & STATE_SHARE_READ, change);
    count_add(&file->writer_count, access & STATE_SHARE_WRITE, change);
    count_add(&file->deny_read_count, deny & STATE_SHARE_READ, change);
    count_add(&file->deny_write_count, deny & STATE_SHARE_WRITE, change);
}

bool state_share_conflicts(uint32_t access_a, uint32_t deny_a, uint32_t access_b, uint32_t deny_b)
{
    return (access_a & deny_b) != 0 || (access_b & deny_a) != 0;
}

enum state_status state_share_check(struct state_file *file, const struct state_open *own,
    uint32_t access, uint32_t deny, uint64_t now_ms, struct state_client **out_rival)
{
    uint32_t own_access = own == NULL ? 0 : own->access;
    uint32_t own_deny = own == NULL ? 0 : own->deny;
    uint32_t others_access =
        (file->reader_count > (own_access & STATE_SHARE_READ ? 1u : 0u) ? STATE_SHARE_READ : 0) |
        (file->writer_count > (own_access & STATE_SHARE_WRITE ? 1u : 0u) ? STATE_SHARE_WRITE : 0);
    uint32_t others_deny =
        (file->deny_read_count > (own_deny & STATE_SHARE_READ ? 1u : 0u) ? STATE_SHARE_READ : 0) |
        (file->deny_write_count > (own_deny & STATE_SHARE_WRITE ? 1u : 0u) ? STATE_SHARE_WRITE : 0);
    if (!state_share_conflicts(access, deny, others_access, others_deny))
        return STATE_OK;

    struct state_client *rival = NULL;
    LIST_FOR_EACH(node, &file->opens)
    {
        struct state_open *open = LIST_ENTRY(node, struct state_open, file_node);
        if (own != NULL && open == own)
            continue;
        if (!state_share_conflicts(access, deny, open->access, open->deny))
            continue;
        if (!state_client_is_expired(open->client, now_ms))
            return STATE_SHARE_DENIED;
        rival = open->client;
    }
    if (rival != NULL) {
        state_client_ref(rival); /* it cannot be freed before its open leaves the file */
        *out_rival = rival;
    }
    return STATE_SHARE_DENIED;
}

/* (The shard is the file's, which the checker of locks cannot see.) */
enum state_status state_share_check_access(struct state_shard *shard,
    const struct state_file_key *key, uint32_t access, uint64_t now_ms,
    struct state_client **out_rival)
{
    enum state_status status = STATE_OK;
    mutex_lock(&shard->lock);
    struct state_file *file = state_file_find(shard, key);
    if (file != NULL)
        status = state_share_check(file, NULL, access, STATE_SHARE_NONE, now_ms, out_rival);
    mutex_unlock(&shard->lock);
    return status;
}

uint32_t state_share_bit(uint32_t access, uint32_t deny)
{
    return 1u << (access * 4 + deny);
}

uint32_t state_share_downgrade(uint32_t history, uint32_t access, uint32_t deny)
{
    uint32_t kept = 0, kept_access = 0, kept_deny = 0;
    for (uint32_t a = STATE_SHARE_READ; a <= STATE_SHARE_BOTH; a++) {
        for (uint32_t d = STATE_SHARE_NONE; d <= STATE_SHARE_BOTH; d++) {
            if ((history & state_share_bit(a, d)) == 0 || (a & ~access) != 0 || (d & ~deny) != 0)
                continue;
            kept |= state_share_bit(a, d);
            kept_access |= a;
            kept_deny |= d;
        }
    }
    return kept_access == access && kept_deny == deny ? kept : 0;
}
