/*
 * Writers killed with SIGKILL at random points, a thousand times in all: what they acknowledged is there, whole, and readers never
 * see half of anything. SHOAL_TEST_SEED repeats a run; SHOAL_TEST_KILLS changes how many; SHOAL_TEST_DIRECTORY where. By default that is
 * in memory: SIGKILL loses nothing that a system call has taken, so a slow disk would only make the points fewer.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "contract.h"

#define WRITES_MAX      12 /* of one writer, so that checking stays quick */
#define KILLS_PER_STORE 10 /* a new directory after so many, so that checking stays quick */
#define DELAY_US_MAX    6000u
#define DOCUMENT_TIME   1700000000
#define SIZE_MAX_BYTES  (3u << 20)

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)random_state * limit >> 32);
}

static uint32_t number_from_environment(const char *name, uint32_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : (uint32_t)strtoul(text, NULL, 10);
}

static struct shoal_data *open_store(const char *path, uint32_t threads)
{
    struct shoal_data *store = NULL;
    struct shoal_data_options options = {
        .struct_size = sizeof options, .create = 1, .threads = threads
    };
    return shoal_data_open(path, &options, &store, NULL) == SHOAL_DATA_OK ? store : NULL;
}

/* ---- The writers: the child that is killed. They tell what is done on a pipe. ---- */

static void acknowledge(int pipe_fd, uint32_t number)
{
    static unsigned count;
    if (write(pipe_fd, &number, sizeof number) != sizeof number)
        _exit(3);
    if (++count == WRITES_MAX)
        (void)pause(); /* enough: the kill comes */
}

static void write_documents(struct shoal_data *store, int pipe_fd, uint32_t number)
{
    char *json = malloc(40000);
    if (json == NULL)
        _exit(4);
    for (;; number++) {
        uint32_t pad = number % 8 == 0 ? number * 7919 % 30000 : number % 100;
        int size = snprintf(json, 40000, "{\"n\": %u, \"pad\": \"%*s\"}", number, (int)pad, "");
        struct shoal_data_document document = { .struct_size = sizeof document,
            .symbol = "BTC/USD",
            .timeframe = "1m",
            .time_s = DOCUMENT_TIME, /* all of one second */
            .json = json,
            .json_size = (uint64_t)size };
        if (shoal_data_save_document(store, &document, NULL, 0, NULL) != SHOAL_DATA_OK)
            _exit(5);
        acknowledge(pipe_fd, number);
    }
}

static uint32_t size_of(uint32_t number)
{
    return number % 3 == 0 ? number * 104729 % SIZE_MAX_BYTES + 1 : number * 104729 % 5000 + 1;
}

/* A checkpoint's bytes all are its number's last byte. */
static void write_checkpoints(struct shoal_data *store, int pipe_fd, uint32_t number)
{
    uint8_t *data = malloc(SIZE_MAX_BYTES + 1);
    if (data == NULL)
        _exit(4);
    for (;; number++) {
        char metadata[32];
        (void)snprintf(metadata, sizeof metadata, "{\"n\": %u}", number); /* fits */
        memset(data, (int)(number & 0xFF), size_of(number));
        if (shoal_data_save_checkpoint(store, "net", data, size_of(number), metadata, NULL, NULL) !=
            SHOAL_DATA_OK)
            _exit(5);
        acknowledge(pipe_fd, number);
    }
}

/* The same in two shards and a commit. */
static void write_shards(struct shoal_data *store, int pipe_fd, uint32_t number)
{
    uint8_t *data = malloc(SIZE_MAX_BYTES + 1);
    if (data == NULL)
        _exit(4);
    for (;; number++) {
        char metadata[32];
        char session[32];
        (void)snprintf(metadata, sizeof metadata, "{\"n\": %u}", number); /* fits */
        (void)snprintf(session, sizeof session, "step-%u", number);       /* fits */
        memset(data, (int)(number & 0xFF), size_of(number));
        for (uint32_t i = 0; i < 2; i++) {
            uint64_t first = size_of(number) / 3;
            uint64_t size = i == 0 ? first : size_of(number) - first;
            struct shoal_data_writer *writer = NULL;
            struct shoal_data_writer_options options = { .struct_size = sizeof options,
                .shard_index = i,
                .shard_count = 2,
                .session = session };
            if (shoal_data_writer_begin(store, "net", &options, &writer, NULL) != SHOAL_DATA_OK ||
                shoal_data_writer_write(writer, 0, data, size, NULL) != SHOAL_DATA_OK ||
                shoal_data_writer_finish(writer, NULL) != SHOAL_DATA_OK)
                _exit(5);
        }
        if (shoal_data_commit_checkpoint(store, "net", session, 2, metadata, NULL, NULL) !=
            SHOAL_DATA_OK)
            _exit(6);
        acknowledge(pipe_fd, number);
    }
}

/* ---- The checks: the parent, while the child writes and after it was killed ---- */

struct round {
    const char *path;
    struct shoal_data *store;
    uint32_t *acknowledged; /* of this store, in order */
    uint32_t count;
};

static uint32_t number_in(const char *json)
{
    unsigned number = 0;
    const char *at = strstr(json, "\"n\": ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"n\": %u", &number), 1);
    return number;
}

static void check_documents(const struct round *round)
{
    struct shoal_data_list *list = NULL;
    struct shoal_data_error error;
    struct shoal_data_query query = {
        .struct_size = sizeof query, .symbol = "BTC/USD", .limit = 100000
    };
    if (shoal_data_load_documents(round->store, &query, &list, &error) != SHOAL_DATA_OK)
        fail_msg("%s", error.message); /* a torn file would be damaged JSON */
    uint64_t loaded = shoal_data_list_count(list);
    uint64_t at = 0;
    assert_in_range(loaded, round->count, UINT32_MAX);
    /* Newest first: acknowledged numbers in descending order, with some that were not acknowledged between. */
    for (uint32_t i = round->count; i > 0; i--) {
        while (at < loaded &&
               number_in(shoal_data_list_item(list, at)->text) != round->acknowledged[i - 1])
            at++;
        if (at == loaded)
            fail_msg("document %u was acknowledged and is missing", round->acknowledged[i - 1]);
    }
    shoal_data_list_free(list);
}

static uint64_t check_bytes(const uint8_t *data, uint64_t size, uint32_t number)
{
    assert_int_equal(size, size_of(number));
    for (uint64_t i = 0; i < size; i++) {
        if (data[i] != (uint8_t)number)
            fail_msg("checkpoint %u has a wrong byte at %llu", number, (unsigned long long)i);
    }
    return size;
}

static void check_checkpoints(const struct round *round)
{
    static uint8_t data[SIZE_MAX_BYTES + 1];
    struct shoal_data_checkpoint *checkpoint = NULL;
    struct shoal_data_checkpoint_info info;
    struct shoal_data_error error;
    int32_t status = shoal_data_checkpoint_open(round->store, "net", 0, &checkpoint, &error);
    if (status == SHOAL_DATA_NOT_FOUND && round->count == 0)
        return;
    if (status != SHOAL_DATA_OK)
        fail_msg("%s", error.message);
    shoal_data_checkpoint_info(checkpoint, &info);
    uint32_t number = number_in(info.metadata_json);
    if (round->count > 0)
        assert_in_range(number, round->acknowledged[round->count - 1], UINT32_MAX);
    if (shoal_data_checkpoint_read(checkpoint, 0, data, info.size_bytes, &error) != SHOAL_DATA_OK)
        fail_msg("%s", error.message);
    (void)check_bytes(data, info.size_bytes, number);
    shoal_data_checkpoint_close(checkpoint);

    char path[512]; /* the name that older programs know: whole as well */
    struct stat st;
    (void)snprintf(
        path, sizeof path, "%s/models/checkpoints/net/model.pkl", round->path); /* fits */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && round->count == 0)
        return; /* killed between the first version and its name */
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_in_range(st.st_size, 1, SIZE_MAX_BYTES);
    assert_int_equal(sys_pread_all(fd, data, (size_t)st.st_size, 0), 0);
    for (off_t i = 1; i < st.st_size; i++)
        assert_int_equal(data[i], data[0]);
    (void)close(fd);
}

/* ---- Rounds ---- */

typedef void write_function(struct shoal_data *store, int pipe_fd, uint32_t number);
typedef void check_function(const struct round *round);

static pid_t start_writer(const char *path, write_function *write_all, int pipe_fd, uint32_t number)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct shoal_data *store = open_store(path, 2);
        if (store == NULL)
            _exit(2);
        write_all(store, pipe_fd, number);
    }
    return pid;
}

/* Lets a writer run for a random time, while this process reads, and kills it. Gives the next number to write. */
static uint32_t run_and_kill(
    struct round *round, write_function *write_all, check_function *check, uint32_t number)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* the writer may wait for room */
    pid_t pid = start_writer(round->path, write_all, ends[1], number);
    (void)close(ends[1]);
    if (random_below(2) ==
        0) { /* killed in its second piece of work or later; else in its first, or before */
        struct pollfd ready = { .fd = ends[0], .events = POLLIN };
        assert_int_equal(poll(&ready, 1, 30000), 1);
    }
    uint64_t until = clock_monotonic_ns() + (uint64_t)random_below(DELAY_US_MAX) * 1000;
    if (random_below(4) == 0)
        check(round); /* a reader meanwhile; it takes what time it takes */
    while (clock_monotonic_ns() < until)
        (void)usleep(200);
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status))
        fail_msg("the writer ended by itself with %d", WEXITSTATUS(status));
    uint32_t acknowledged;
    while (read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
        round->acknowledged[round->count++] = acknowledged;
        number = acknowledged + 1;
    }
    (void)close(ends[0]);
    return number + 1; /* the one under way may be there or not: its number is not used again */
}

static void make_directory(char *path, size_t size)
{
    const char *parent = getenv("SHOAL_TEST_DIRECTORY");
    if (parent == NULL)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    assert_in_range(snprintf(path, size, "%s/shoal-test-kill-XXXXXX", parent), 1, size - 1);
    assert_non_null(mkdtemp(path));
}

static void kill_many(write_function *write_all, check_function *check, uint32_t kills)
{
    uint64_t acknowledged = 0;
    for (uint32_t done = 0; done < kills;) {
        char path[256];
        make_directory(path, sizeof path);
        struct round round = { .path = path,
            .store = open_store(path, 2),
            .acknowledged = calloc(1 << 20, sizeof(uint32_t)) };
        assert_non_null(round.store);
        assert_non_null(round.acknowledged);
        uint32_t number = 1;
        for (uint32_t i = 0; i < KILLS_PER_STORE && done < kills; i++, done++) {
            number = run_and_kill(&round, write_all, check, number);
            check(&round);
        }
        acknowledged += round.count;
        shoal_data_close(round.store);
        free(round.acknowledged);
        assert_int_equal(sys_remove_tree(AT_FDCWD, path), 0);
    }
    print_message("%u kills, %llu acknowledged\n", kills, (unsigned long long)acknowledged);
    assert_true(acknowledged > 0 || kills < 100);
}

static uint32_t kills_of(uint32_t percent)
{
    return number_from_environment("SHOAL_TEST_KILLS", 1000) * percent / 100;
}

static void documents_survive(void **state)
{
    (void)state;
    kill_many(write_documents, check_documents, kills_of(40));
}

static void checkpoints_survive(void **state)
{
    (void)state;
    kill_many(write_checkpoints, check_checkpoints, kills_of(40));
}

static void shards_survive(void **state)
{
    (void)state;
    kill_many(write_shards, check_checkpoints, kills_of(20));
}

int main(void)
{
    random_state = number_from_environment("SHOAL_TEST_SEED", (uint32_t)getpid());
    print_message("SHOAL_TEST_SEED=%u\n", random_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_survive),
        cmocka_unit_test(checkpoints_survive),
        cmocka_unit_test(shards_survive),
    };
    return cmocka_run_group_tests_name("writers are killed", tests, NULL, NULL);
}
