/*
 * client/conn.h - one TCP connection to the server, and the thread that receives on it.
 *
 * Senders write under the connection's lock; its thread reads replies, wakes the callers, and when the
 * connection breaks makes it anew and sends every unanswered call again, unchanged: the session's slots make
 * that harmless. So a caller never sees a broken connection, only a late answer.
 */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "base/lock.h"

struct nfs_call;
struct nfs_client;

struct nfs_conn {
    struct nfs_client *client;
    pthread_t thread;
    bool has_thread;

    struct mutex
        send_lock; /* one writes at a time; taken before `lock`; `fd` is not closed while it is held */
    struct mutex lock;      /* of all below; never held while waiting for the network */
    pthread_cond_t changed; /* stopping was set; a call is no longer `sending` */
    int fd;                 /* -1: broken, being made anew */
    uint32_t epoch; /* counts the connections; a call carries that of the last one it was sent on */
    bool stopping;
    struct list unanswered; /* nfs_call.link, oldest first */

    /* of the thread alone */
    pthread_t resender;
    bool has_resender;
    int resend_fd;
    uint64_t lost_ms; /* since when there is no connection; 0: there is one */
    uint8_t *input;   /* bytes received and not consumed: from input_start to input_end */
    size_t input_start;
    size_t input_end;
};

/* Connects (waiting) and starts the thread. Errors: of connect(2), -ENOMEM, -EAGAIN. */
MUST_CHECK int nfs_conn_open(struct nfs_conn *conn, struct nfs_client *client);
/* Stops the thread, closes. A connection that was never opened (all zero) is allowed. */
void nfs_conn_close(struct nfs_conn *conn);
/* Sends, or keeps for sending when the connection is there again. */
void nfs_conn_send(struct nfs_conn *conn, struct nfs_call *call);
/* Makes the thread look at the client's dead_error now. */
void nfs_conn_kick(struct nfs_conn *conn);
