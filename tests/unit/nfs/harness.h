/*
 * tests/unit/nfs/harness.h - an NFS server over fake file systems, driven by whole COMPOUNDs as bytes.
 *
 *   compound_begin(h);                     SEQUENCE is added by itself once session_start() was called
 *   add_putrootfh(h); add_lookup(h, "a");
 *   assert_int_equal(compound_run(h), NFS4ERR_NOENT);
 *   result(h, 1)->oplookup ...             results by position, SEQUENCE not counted
 *
 * There are two file systems: "fs-a" with mount target 127.0.0.1, "fs-b" with 127.0.0.2. 127.0.0.9 is no mount
 * target.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nfs/ops.h"
#include "nfs/server.h"
#include "tests/lib/fake_fs.h"

#define HARNESS_OPS_MAX 64

struct harness_client {
    struct rpc_conn conn;
    bool is_connected;
    bool was_closed; /* by the server: rpc_conn_close() */
    bool has_session;
    uint64_t clientid;
    uint8_t sessionid[NFS4_SESSIONID_SIZE];
    uint32_t seqid; /* of slot 0: the last one used */
    uint32_t minor;
    struct rpc_cred cred;
};

struct harness {
    struct fs *fs_a, *fs_b;
    struct fs_volumes *volumes;
    struct fs_provider provider;
    struct nfs_server_options options;
    struct nfs_server *server;
    struct rpc_program program;
    struct harness_client *client; /* whose COMPOUND is being built */
    struct harness_client first;
    struct arena arena;
    struct xdr_encoder request;
    /* Called with each callback that the server sends; NULL: it cannot be sent. */
    bool (*receive)(struct harness *h, struct rpc_conn *conn, struct slice record);
    size_t count_at;
    uint32_t op_count;
    bool cachethis;   /* of the next SEQUENCE */
    bool no_sequence; /* leaves SEQUENCE out of the next COMPOUND */
    const char *tag;  /* of the next COMPOUND */
    uint32_t
        xid; /* of the next one; grows by itself. Running a COMPOUND twice sends the same bytes twice */
    struct slice raw; /* the last COMPOUND4res */
    uint32_t sequence_status;
    union nfs_resop4 sequence;
    struct slice reply_tag;
    uint32_t result_count; /* without SEQUENCE */
    uint32_t opcodes[HARNESS_OPS_MAX];
    union nfs_resop4 results[HARNESS_OPS_MAX];
};

/* cmocka's setup and teardown: the first client has a session on fs-a, and the grace period is over. */
int harness_setup(void **state);
int harness_teardown(void **state);
/* As harness_setup(), with the first client connected to 127.0.0.9: it sees the pseudo root. */
int harness_setup_pseudo(void **state);
/* As harness_setup(), without a session. */
int harness_setup_bare(void **state);

/* Stops the server and starts another one on the same file systems; connections and sessions are gone. */
void harness_restart(struct harness *h, uint32_t lease_ms);

void client_connect(struct harness *h, struct harness_client *client, const char *address);
void client_disconnect(struct harness *h, struct harness_client *client);
/* EXCHANGE_ID and CREATE_SESSION as the client `owner`. */
void client_make_session(
    struct harness *h, struct harness_client *client, const char *owner, uint64_t verifier);
/* And RECLAIM_COMPLETE. */
void client_start_session(
    struct harness *h, struct harness_client *client, const char *owner, uint64_t verifier);

void compound_begin(struct harness *h);
/* `arg`: NULL for none at all. */
void add_op(struct harness *h, uint32_t opcode, const union nfs_argop4 *arg);
/* Serves the request and decodes the reply; gives the status of the COMPOUND. */
enum nfsstat4 compound_run(struct harness *h);
/* As compound_run(), but gives what `serve` answered to RPC; results are decoded only for RPC_SUCCESS. */
int compound_run_rpc(struct harness *h, enum nfsstat4 *out_status);
/* One result of the last COMPOUND; fails the test when there is none at this place. */
const union nfs_resop4 *result(const struct harness *h, uint32_t index, uint32_t opcode);

/* The operations that most tests need. */
void add_putrootfh(struct harness *h);
void add_lookup(struct harness *h, const char *name);
void add_getfh(struct harness *h);
void add_putfh(struct harness *h, struct slice fh);
void add_savefh(struct harness *h);
void add_getattr(struct harness *h, uint32_t word0, uint32_t word1, uint32_t word2);
/* OPEN by name in the current directory; `how`: NULL to not create. */
void add_open(struct harness *h, const char *name, uint32_t access, const struct createhow4 *how);
void add_create_dir(struct harness *h, const char *name);

/* Whole requests. A file or directory of the root of the current client's view; the handle is in `h->arena`, which
 * lasts as long as the harness. */
struct slice make_file(struct harness *h, const char *name);
struct slice make_dir(struct harness *h, const char *name);
struct slice look_up(struct harness *h, const char *name);
/* Opens a file of the root; `fh` may be NULL. */
struct stateid4 open_file(
    struct harness *h, const char *name, uint32_t access, struct slice *out_fh);
void write_file(struct harness *h, const char *name, const char *text);

struct fattr4 fattr_mode(struct harness *h, uint32_t mode);
struct fattr4 fattr_size(struct harness *h, uint64_t size);
struct bitmap4 bitmap(struct harness *h, uint32_t word0, uint32_t word1, uint32_t word2);
