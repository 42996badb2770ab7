/*
 * tests/unit/state/fixture.h - a server with a clock that tests turn, a store of records that can fail, and
 * clients to play with.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/lock.h"
#include "state/client.h"
#include "state/files.h"
#include "state/lock.h"
#include "state/session.h"
#include "state/state.h"

#define FAKE_RECORD_MAX 64u
#define FAKE_HOLD_MAX   64u
#define LEASE_MS        90000u

struct fake_record {
    uint8_t key[8];
    size_t size; /* 0: free */
    uint8_t value[4096];
};

struct fake_hold {
    struct state_file_key file;
    int count;
};

/* What the file system does for state/: in memory, and failing when told to. */
struct fake_fs {
    struct mutex lock;
    struct fake_record records[FAKE_RECORD_MAX];
    struct fake_hold holds[FAKE_HOLD_MAX];
    int put_error, delete_error, hold_error;
    unsigned put_count;
};

struct fixture {
    struct state_options options;
    struct state *state;
    struct state_server *server;
    struct state_server *other_server; /* another view of the same file system */
    struct state_files *files;
    struct fake_fs fs;
    uint64_t now_ms;
};

/* A client as it knows itself. */
struct peer {
    struct fixture *f;
    struct state_server *server;
    const char *owner;
    const char *principal;
    uint64_t verifier;
    uint64_t clientid;
    uint8_t sessionid[STATE_SESSIONID_SIZE];
    uint32_t seqid; /* of slot 0, the newest that was sent */
    uint64_t conn_id;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Ends the process and starts another one on the same records, as after a crash. */
void fixture_restart(struct fixture *f);
/* As fixture_restart(), with options changed in f->options before. */
void fixture_start(struct fixture *f);
void fixture_stop(struct fixture *f);
void fixture_elapse(struct fixture *f, uint64_t ms);

unsigned fake_record_count(const struct fake_fs *fs);
int fake_hold_count(const struct fake_fs *fs, struct state_file_key file);
extern const struct state_files_ops fake_fs_ops;

/* The seed of a random test: $SEED, or another each time; printed. */
unsigned fixture_seed(void);

struct peer peer_of(struct fixture *f, const char *owner);
enum state_status peer_exchange(struct peer *peer, struct state_exchanged *out);
enum state_status peer_create(
    struct peer *peer, uint32_t sequenceid, struct state_session_created *out);
/* EXCHANGE_ID, CREATE_SESSION. */
void peer_connect(struct peer *peer);
/* And RECLAIM_COMPLETE: may open. */
struct peer peer_ready(struct fixture *f, const char *owner);
struct state_session_create peer_create_args(const struct peer *peer, uint32_t sequenceid);
/* The caller of a request of this client; renews its lease. */
struct state_caller peer_caller(struct peer *peer);
/* The same, when SEQUENCE may fail. */
enum state_status peer_sequence(struct peer *peer, struct state_caller *out_caller);
enum state_status peer_reclaim_complete(struct peer *peer);

struct state_file_ref fixture_file(const struct fixture *f, uint64_t inode);
/* OPEN by this client, owner "o", without deny. */
enum state_status peer_open(
    struct peer *peer, uint64_t inode, uint32_t access, struct state_stateid *out);
enum state_status peer_open_deny(struct peer *peer, const char *owner, uint64_t inode,
    uint32_t access, uint32_t deny, struct state_stateid *out);
enum state_status peer_close(
    struct peer *peer, uint64_t inode, const struct state_stateid *stateid);
/* LOCK of [offset, offset + length) by lock owner `owner` through an open. */
enum state_status peer_lock(struct peer *peer, uint64_t inode, const struct state_stateid *open,
    const char *owner, struct state_lock_range range, struct state_stateid *out);
