/*
 * tests/bench/bench.h - the load generator: NFSv4.1 over any number of connections, any number in flight.
 *
 * A run is a row of phases; a phase drives one workload on all connections until its time is up or nothing
 * is left to do. Each connection is an NFS client of its own with one session; each slot of it runs one
 * operation after the other, an operation being one or more steps (COMPOUNDs). All of a connection's state
 * belongs to the one thread that drives it; nothing is shared but what is constant during a phase.
 */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "histogram.h"
#include "rpc/rpc.h"
#include "xdr/nfs4_xdr.h"

#define BLOCK_BYTES     4096u /* the unit of the data pattern and of all offsets and sizes */
#define IO_SIZE_MAX     NFS4_DATA_MAX
#define SLOTS_MAX       1024u
#define CONNECTIONS_MAX 4096u
#define SAMPLE_FILES    256u /* of a connection, for operations on existing files */
#define ERRORS_MAX      1000u
#define SILENCE_MAX_MS  60000

struct options {
    struct sockaddr_storage server;
    socklen_t server_size;
    const char *path;
    const char *operations; /* names joined by commas */
    uint32_t connections;
    uint32_t in_flight; /* per connection */
    uint32_t threads;
    double seconds;
    uint32_t io_size;    /* 0: as the workload has it */
    uint64_t file_bytes; /* of each connection's data file */
    uint32_t files;      /* made for unlink, over all connections */
    uint32_t entries;    /* of each directory that readdir lists */
    pid_t server_pid;    /* 0: the server's CPU is not measured */
    bool json;
    bool tls; /* from the first byte */
};

struct file_handle {
    uint32_t size;
    uint8_t bytes[NFS4_FHSIZE];
};

struct sample_file {
    struct file_handle handle;
    uint64_t fileid;
};

/* One request in flight, and the operation it belongs to. */
struct slot {
    uint32_t index;
    uint32_t sequence; /* of the last request sent */
    uint32_t step;     /* of the operation, from 0 */
    uint64_t number;   /* which file, block or entry the operation is about */
    uint64_t started_ns;
    struct file_handle handle;
    struct stateid4 open_stateid;
    struct stateid4 lock_stateid;
    bool has_lock_stateid;
    uint64_t cookie; /* of READDIR */
    uint8_t cookieverf[NFS4_VERIFIER_SIZE];
    uint64_t entries_seen;
    uint64_t entries_sum;
    uint8_t *data; /* what a WRITE sends; IO_SIZE_MAX bytes, made when first needed */
};

/* What was counted in one phase. */
struct counters {
    uint64_t operations;
    uint64_t bytes;
    uint64_t errors;
    uint64_t delays; /* NFS4ERR_DELAY answers, each followed by a retry */
    struct histogram latency;
};

struct workload;
struct phase;

struct conn {
    uint32_t index;
    const struct options *options;
    const struct phase *phase;
    struct counters *counters; /* of the driving thread */
    int fd;
    struct ssl_st *tls; /* of OpenSSL; NULL: plain */
    bool has_unread;    /* `tls` may hold bytes that the socket does not show */
    int epoll_fd;
    bool waits_to_send;
    uint32_t outstanding;
    uint64_t now_ns; /* when the bytes at hand were received */
    struct slot *slots;

    /* sending: whole records, until they have left */
    struct arena out_arena;
    struct xdr_encoder out;
    uint8_t *out_start; /* the buffer that `out` begins with */
    size_t sent_bytes;
    uint32_t xid_high;

    /* receiving: bytes [in_start, in_end) of `in` are not yet handled */
    uint8_t *in;
    size_t in_start;
    size_t in_end;
    struct arena in_arena;

    /* the client and its session */
    uint64_t clientid;
    uint32_t client_sequence;
    uint8_t sessionid[NFS4_SESSIONID_SIZE];

    /* what the workloads work on */
    struct file_handle parent;
    struct file_handle directory; /* own, made for each workload */
    struct file_handle data_file;
    struct stateid4 data_stateid;
    uint8_t *generations; /* per block of the data file: 0 never written */
    struct sample_file *samples;
    uint32_t sample_count;
    uint64_t next_number; /* of the phase */
    uint64_t made_count;  /* files that `create` made */
    uint64_t random;
    uint8_t writeverf[NFS4_VERIFIER_SIZE];
    bool has_writeverf;
};

/* A reply whose headers and SEQUENCE were read. */
struct reply {
    struct xdr_decoder dec;
    enum nfsstat4 status;
    uint32_t left; /* results not yet read */
};

/* A request being encoded. */
struct request {
    struct xdr_encoder *enc;
    size_t mark_at;
    size_t count_at;
    size_t start;
    uint32_t op_count;
};

enum outcome {
    OUTCOME_NEXT,  /* the operation goes on with its next step */
    OUTCOME_DONE,  /* the operation is complete and counts */
    OUTCOME_WRONG, /* the answer is not what it must be */
};

enum needs_data { DATA_NONE, DATA_EMPTY, DATA_FILLED };
enum needs_files { FILES_NONE, FILES_SAMPLE, FILES_MANY, FILES_ENTRIES };

struct workload {
    const char *name;
    enum needs_files files;
    enum needs_data data;
    uint32_t io_size; /* 0: moves no data */
    bool writes;      /* data is committed at the end and read back */
    /* Chooses what the slot does next; false: nothing is left. */
    bool (*begin)(struct conn *conn, struct slot *slot);
    /* Adds the operations of the slot's step. */
    void (*encode)(struct conn *conn, struct slot *slot, struct request *request);
    /* Reads the results of the step; all operations succeeded. */
    enum outcome (*answer)(struct conn *conn, struct slot *slot, struct reply *reply);
};

/* One drive of one workload. */
struct phase {
    const struct workload *workload;
    uint32_t io_size;
    uint64_t deadline_ns;    /* 0: until nothing is left */
    enum nfsstat4 tolerated; /* an answer that counts as success beside NFS4_OK */
};

/* What is told of an operation. */
struct result {
    const struct workload *workload;
    const struct options *options;
    uint32_t io_size;
    double seconds;
    double client_cpu_seconds;
    double server_cpu_seconds; /* negative: not measured */
    struct counters counters;
};

struct bench {
    struct options options;
    struct conn *conns;
};

/* compound.c: requests and replies. */
void request_begin(struct conn *conn, struct slot *slot, struct request *out_request);
void request_begin_without_session(struct conn *conn, struct request *out_request);
void request_add(struct request *request, uint32_t opcode, const union nfs_argop4 *args);
void request_add_handle(struct request *request, const struct file_handle *handle);
void request_end(struct request *request);
/* Reads the headers of a record: its slot and its reply. False: not a reply we can use. */
MUST_CHECK bool reply_begin(
    struct conn *conn, struct slice record, uint32_t *out_slot_index, struct reply *out_reply);
/* Reads SEQUENCE's result; false when the session did not take the request. */
MUST_CHECK bool reply_sequence(struct reply *reply);
/* Reads the next result, which must be a success of `opcode`. */
MUST_CHECK bool reply_read(struct reply *reply, uint32_t opcode, union nfs_resop4 *out_result);
MUST_CHECK bool reply_skip(struct reply *reply, uint32_t opcode);
struct slice handle_slice(const struct file_handle *handle);
MUST_CHECK bool handle_set(struct file_handle *handle, struct slice bytes);

/* conn.c: bytes. */
MUST_CHECK int conn_open(struct conn *conn, const struct options *options, uint32_t index);
void conn_close(struct conn *conn);
/* Sends what can be sent now; the rest leaves when epoll tells. */
MUST_CHECK int conn_flush(struct conn *conn);
/* Receives what is there. Errors: -ECONNRESET: the server closed. */
MUST_CHECK int conn_receive(struct conn *conn);
/* Gives 1 and the next whole record, valid until the next conn_receive(); or 0. Error: -EPROTO. */
MUST_CHECK int conn_next_record(struct conn *conn, struct slice *out_record);
/* Sends, and waits for one reply. */
MUST_CHECK int conn_call(struct conn *conn, struct request *request, struct reply *out_reply);

/* session.c: set-up and tear-down, one call at a time. */
MUST_CHECK int session_open(struct conn *conn);
void session_close(struct conn *conn);
MUST_CHECK int session_find_path(struct conn *conn, const char *path);
MUST_CHECK int session_make_directory(struct conn *conn, const char *name);
MUST_CHECK int session_remove_directory(struct conn *conn, const char *name);
MUST_CHECK int session_open_data(struct conn *conn);
MUST_CHECK int session_close_data(struct conn *conn);
MUST_CHECK int session_commit_data(struct conn *conn);

/* options.c: false after a message on stderr. */
MUST_CHECK bool options_parse(int argc, char **argv, struct options *out_options);

/* run.c: all of one operation, from its directories to their removal. */
MUST_CHECK int run_operation(
    struct bench *bench, const struct workload *workload, struct result *out_result);

/* report.c: results as a table or as JSON. */
void report_table_head(void);
void report_table_row(const struct result *result);
struct json_t;
void report_json_add(struct json_t *list, const struct result *result);

/* drive.c: runs a phase; the counters of all threads together. */
MUST_CHECK int drive(struct bench *bench, const struct phase *phase, struct counters *out_counters);

/* op_*.c: the workloads. */
extern const struct workload workload_getattr, workload_lookup, workload_readdir, workload_rename,
    workload_unlink, workload_open, workload_create, workload_create_write, workload_lock,
    workload_seqread, workload_randread, workload_seqwrite, workload_randwrite,
    workload_stablewrite;
/* Used before and after the measured ones: */
extern const struct workload workload_populate, workload_sweep, workload_fill, workload_verify,
    workload_verify_created;

/* Shared by the workloads. */
uint64_t conn_random(struct conn *conn);
/* The slot's IO_SIZE_MAX bytes; they must stay as they are until the reply. */
uint8_t *slot_data(struct slot *slot);
void request_add_open(
    struct conn *conn, struct slot *slot, struct request *request, char kind, bool creates);
MUST_CHECK bool reply_read_open(struct reply *reply, struct slot *slot);
void request_add_close(struct slot *slot, struct request *request);
void request_add_getattr(struct request *request);
struct slice file_name(char kind, uint64_t number, char out_name[16]);
MUST_CHECK bool attributes_match(const struct fattr4 *attributes, uint64_t *out_fileid);
