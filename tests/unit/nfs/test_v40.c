/* tests/unit/nfs/test_v40.c - version 4.0: SETCLIENTID, and opens and locks whose owners number their requests. */
#include "harness.h"

#include "base/bytes.h"

struct v40 {
    struct harness *h;
    uint64_t clientid;
    uint32_t seqid; /* of the open owner: the last one used */
};

static union nfs_argop4 setclientid_args(const char *id, const char *verifier)
{
    union nfs_argop4 arg = {
        .opsetclientid = { .client = { .id = slice_str(id) },
            .callback = { .cb_location = { slice_str("tcp"), slice_str("0.0.0.0.0.0") } } }
    };
    memcpy(arg.opsetclientid.client.verifier, verifier, NFS4_VERIFIER_SIZE);
    return arg;
}

static struct v40 start(void **state)
{
    struct harness *h = *state;
    struct v40 v = { .h = h };
    h->client->minor = 0;
    union nfs_argop4 arg = setclientid_args("client", "verifier");
    compound_begin(h);
    add_op(h, OP_SETCLIENTID, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct SETCLIENTID4resok *set = &result(h, 0, OP_SETCLIENTID)->opsetclientid.resok4;
    union nfs_argop4 confirm = { .opsetclientid_confirm = { .clientid = set->clientid } };
    memcpy(confirm.opsetclientid_confirm.setclientid_confirm, set->setclientid_confirm,
        NFS4_VERIFIER_SIZE);
    v.clientid = set->clientid;
    compound_begin(h);
    add_op(h, OP_SETCLIENTID_CONFIRM, &confirm);
    assert_int_equal(compound_run(h), NFS4_OK);
    return v;
}

static void begin_open(struct v40 *v, const char *name)
{
    union nfs_argop4 arg = {
        .opopen = { .seqid = v->seqid,
            .share_access = OPEN4_SHARE_ACCESS_BOTH,
            .owner = { .clientid = v->clientid, .owner = slice_str("o") },
            .openhow = { .opentype = OPEN4_CREATE,
                .how = { .mode = UNCHECKED4, .createattrs = fattr_mode(v->h, 0644) } },
            .claim = { .claim = CLAIM_NULL, .file = slice_str(name) } }
    };
    compound_begin(v->h);
    add_putrootfh(v->h);
    add_op(v->h, OP_OPEN, &arg);
    add_getfh(v->h);
}

/* Opens and, when the owner is new, confirms. */
static struct stateid4 open_confirmed(struct v40 *v, const char *name, struct slice *out_fh)
{
    v->seqid++;
    begin_open(v, name);
    assert_int_equal(compound_run(v->h), NFS4_OK);
    const struct OPEN4resok *opened = &result(v->h, 1, OP_OPEN)->opopen.resok4;
    *out_fh = result(v->h, 2, OP_GETFH)->opgetfh.resok4.object;
    if ((opened->rflags & OPEN4_RESULT_CONFIRM) == 0)
        return opened->stateid;
    union nfs_argop4 arg = { .opopen_confirm = {
                                 .open_stateid = opened->stateid, .seqid = ++v->seqid } };
    compound_begin(v->h);
    add_putfh(v->h, *out_fh);
    add_op(v->h, OP_OPEN_CONFIRM, &arg);
    assert_int_equal(compound_run(v->h), NFS4_OK);
    return result(v->h, 1, OP_OPEN_CONFIRM)->opopen_confirm.resok4.open_stateid;
}

static enum nfsstat4 close_file(struct v40 *v, struct slice fh, struct stateid4 stateid)
{
    compound_begin(v->h);
    add_putfh(v->h, fh);
    add_op(v->h, OP_CLOSE,
        &(union nfs_argop4){ .opclose = { .seqid = v->seqid, .open_stateid = stateid } });
    return compound_run(v->h);
}

static void a_new_owner_confirms_its_first_open(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    v.seqid = 7; /* the client chooses where to begin */
    begin_open(&v, "file");
    assert_int_equal(compound_run(v.h), NFS4_OK);
    const struct OPEN4resok *opened = &result(v.h, 1, OP_OPEN)->opopen.resok4;
    assert_int_equal(opened->rflags, OPEN4_RESULT_CONFIRM | OPEN4_RESULT_LOCKTYPE_POSIX);
    struct stateid4 stateid = opened->stateid;
    fh = result(v.h, 2, OP_GETFH)->opgetfh.resok4.object;
    v.seqid++;
    assert_int_equal(close_file(&v, fh, stateid), NFS4ERR_BAD_STATEID);
    (void)open_confirmed(&v, "file", &fh);
    v.seqid++;
    begin_open(&v, "other");
    assert_int_equal(compound_run(v.h), NFS4_OK);
    assert_int_equal(result(v.h, 1, OP_OPEN)->opopen.resok4.rflags, OPEN4_RESULT_LOCKTYPE_POSIX);
}

static void a_retried_open_gets_its_first_answer_and_filehandle(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    (void)open_confirmed(&v, "first", &fh);
    v.seqid++;
    begin_open(&v, "file");
    assert_int_equal(compound_run(v.h), NFS4_OK);
    struct slice first = v.h->raw;
    unsigned creates = fake_fs_call_count(v.h->fs_a, "create");
    begin_open(&v, "file");
    assert_int_equal(compound_run(v.h), NFS4_OK);
    assert_true(slice_equal(v.h->raw, first));
    assert_int_equal(fake_fs_call_count(v.h->fs_a, "create"), creates);
    v.seqid += 5;
    begin_open(&v, "file");
    assert_int_equal(compound_run(v.h), NFS4ERR_BAD_SEQID);
}

static void another_operation_with_the_last_number_is_no_retry(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    struct stateid4 stateid = open_confirmed(&v, "file", &fh);
    compound_begin(v.h);
    add_putfh(v.h, fh);
    add_op(v.h, OP_LOCKU,
        &(union nfs_argop4){
            .oplocku = {
                .locktype = READ_LT, .seqid = v.seqid, .lock_stateid = stateid, .length = 1 } });
    assert_int_equal(compound_run(v.h), NFS4ERR_BAD_SEQID);
    assert_int_equal(close_file(&v, fh, stateid), NFS4ERR_BAD_SEQID);
    v.seqid++;
    assert_int_equal(close_file(&v, fh, stateid), NFS4_OK);
}

static void a_failed_open_takes_its_number_and_is_answered_again(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    (void)open_confirmed(&v, "file", &fh);
    (void)make_dir(v.h, "dir");
    v.seqid++;
    begin_open(&v, "dir");
    assert_int_equal(compound_run(v.h), NFS4ERR_ISDIR);
    begin_open(&v, "dir");
    assert_int_equal(compound_run(v.h), NFS4ERR_ISDIR);
    assert_int_equal(v.h->result_count, 2);
    v.seqid++;
    begin_open(&v, "file");
    assert_int_equal(compound_run(v.h), NFS4_OK);
}

static void a_close_can_be_retried(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    struct stateid4 stateid = open_confirmed(&v, "file", &fh);
    v.seqid++;
    assert_int_equal(close_file(&v, fh, stateid), NFS4_OK);
    struct slice first = v.h->raw;
    assert_int_equal(close_file(&v, fh, stateid), NFS4_OK);
    assert_true(slice_equal(v.h->raw, first));
    assert_int_equal(fake_fs_hold_count(v.h->fs_a), 0);
}

static void locks_are_numbered_by_two_owners(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    struct stateid4 stateid = open_confirmed(&v, "file", &fh);
    struct open_to_lock_owner4 by_open = { .open_seqid = ++v.seqid,
        .open_stateid = stateid,
        .lock_seqid = 1,
        .lock_owner = { .clientid = v.clientid, .owner = slice_str("lock owner") } };
    union nfs_argop4 lock = { .oplock = { .locktype = WRITE_LT,
                                  .length = 10,
                                  .locker = { .new_lock_owner = true, .open_owner = by_open } } };
    lock.oplock.locker.open_owner.lock_owner.clientid++;
    compound_begin(v.h);
    add_putfh(v.h, fh);
    add_op(v.h, OP_LOCK, &lock);
    assert_int_equal(compound_run(v.h), NFS4ERR_STALE_CLIENTID);
    lock.oplock.locker.open_owner.lock_owner.clientid--;
    struct slice first = { 0 };
    for (int attempt = 0; attempt < 2; attempt++) {
        compound_begin(v.h);
        add_putfh(v.h, fh);
        add_op(v.h, OP_LOCK, &lock);
        assert_int_equal(compound_run(v.h), NFS4_OK);
        assert_true(attempt == 0 || slice_equal(v.h->raw, first));
        first = v.h->raw;
    }
    struct stateid4 held = result(v.h, 1, OP_LOCK)->oplock.resok4.lock_stateid;
    union nfs_argop4 release = { .oprelease_lockowner = { .lock_owner = by_open.lock_owner } };
    compound_begin(v.h);
    add_op(v.h, OP_RELEASE_LOCKOWNER, &release);
    assert_int_equal(compound_run(v.h), NFS4ERR_LOCKS_HELD);
    union nfs_argop4 unlock = {
        .oplocku = { .locktype = WRITE_LT, .seqid = 2, .lock_stateid = held, .length = 10 }
    };
    compound_begin(v.h);
    add_putfh(v.h, fh);
    add_op(v.h, OP_LOCKU, &unlock);
    add_op(v.h, OP_RELEASE_LOCKOWNER, &release);
    assert_int_equal(compound_run(v.h), NFS4_OK);
}

static void an_open_is_downgraded_in_its_turn(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    struct stateid4 stateid = open_confirmed(&v, "file", &fh);
    union nfs_argop4 arg = { .opopen_downgrade = { .open_stateid = stateid,
                                 .seqid = v.seqid + 9,
                                 .share_access = OPEN4_SHARE_ACCESS_BOTH } };
    compound_begin(v.h);
    add_putfh(v.h, fh);
    add_op(v.h, OP_OPEN_DOWNGRADE, &arg);
    assert_int_equal(compound_run(v.h), NFS4ERR_BAD_SEQID);
    arg.opopen_downgrade.seqid = ++v.seqid;
    compound_begin(v.h);
    add_putfh(v.h, fh);
    add_op(v.h, OP_OPEN_DOWNGRADE, &arg);
    assert_int_equal(compound_run(v.h), NFS4_OK);
}

static void data_is_written_through_the_open(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    struct stateid4 stateid = open_confirmed(&v, "file", &fh);
    compound_begin(v.h);
    add_putfh(v.h, fh);
    add_op(v.h, OP_WRITE,
        &(union nfs_argop4){ .opwrite = { .stateid = stateid, .data = slice_str("text") } });
    add_op(v.h, OP_READ, &(union nfs_argop4){ .opread = { .stateid = stateid, .count = 9 } });
    assert_int_equal(compound_run(v.h), NFS4_OK);
    assert_true(slice_equal(result(v.h, 2, OP_READ)->opread.resok4.data, slice_str("text")));
}

static void leases_are_renewed_by_request(void **state)
{
    struct v40 v = start(state);
    union nfs_argop4 arg = { .oprenew = { .clientid = v.clientid } };
    compound_begin(v.h);
    add_op(v.h, OP_RENEW, &arg);
    assert_int_equal(compound_run(v.h), NFS4_OK);
    arg.oprenew.clientid = 12345;
    compound_begin(v.h);
    add_op(v.h, OP_RENEW, &arg);
    assert_int_equal(compound_run(v.h), NFS4ERR_STALE_CLIENTID);
}

static void a_client_in_use_is_not_given_away(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    (void)open_confirmed(&v, "file", &fh);
    union nfs_argop4 arg = setclientid_args("client", "another!");
    v.h->client->cred.uid = 77;
    compound_begin(v.h);
    add_op(v.h, OP_SETCLIENTID, &arg);
    assert_int_equal(compound_run(v.h), NFS4ERR_CLID_INUSE);
    const struct netaddr4 *holder = &result(v.h, 0, OP_SETCLIENTID)->opsetclientid.client_using;
    assert_true(slice_equal(holder->na_r_netid, slice_str("tcp")));
    assert_true(slice_equal(holder->na_r_addr, slice_str("0.0.0.0.0.0")));
    char long_address[NFS4_NETADDR_MAX];
    memset(long_address, '1', sizeof long_address);
    arg.opsetclientid.callback.cb_location.na_r_addr = slice_of(long_address, sizeof long_address);
    compound_begin(v.h);
    add_op(v.h, OP_SETCLIENTID, &arg);
    assert_int_equal(compound_run(v.h), NFS4ERR_INVAL);
}

static void types_are_refused_as_version_40_does(void **state)
{
    struct v40 v = start(state);
    struct slice fh;
    compound_begin(v.h);
    add_putrootfh(v.h);
    add_op(v.h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4FIFO }, .objname = slice_str("fifo") } });
    add_op(v.h, OP_READ, &(union nfs_argop4){ 0 });
    assert_int_equal(compound_run(v.h), NFS4ERR_INVAL);
    compound_begin(v.h);
    add_op(v.h, OP_RESTOREFH, NULL);
    assert_int_equal(compound_run(v.h), NFS4ERR_RESTOREFH);
    (void)open_confirmed(&v, "file", &fh);
    v.seqid++;
    begin_open(&v, "fifo");
    assert_int_equal(compound_run(v.h), NFS4ERR_SYMLINK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup_bare, harness_teardown)
        TEST(a_new_owner_confirms_its_first_open),
        TEST(a_retried_open_gets_its_first_answer_and_filehandle),
        TEST(another_operation_with_the_last_number_is_no_retry),
        TEST(a_failed_open_takes_its_number_and_is_answered_again),
        TEST(a_close_can_be_retried),
        TEST(locks_are_numbered_by_two_owners),
        TEST(an_open_is_downgraded_in_its_turn),
        TEST(data_is_written_through_the_open),
        TEST(leases_are_renewed_by_request),
        TEST(a_client_in_use_is_not_given_away),
        TEST(types_are_refused_as_version_40_does),
    };
    return cmocka_run_group_tests_name("nfs: version 4.0", tests, NULL, NULL);
}
