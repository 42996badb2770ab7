/*
 * mount/probe.c - names, TCP and the NULL procedure, each with a time limit (room: mount).
 */
#include "mount/probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/random.h"
#include "mount/child.h"

#define CALL_SIZE      44u /* record mark, xid, and eight words with two empty AUTH_NONE */
#define REPLY_SIZE_MIN 28u /* record mark to accept_stat */
#define NFS_PROGRAM    100003u
#define NFS_VERSION    4u
#define RPC_VERSION    2u
#define LAST_FRAGMENT  0x80000000u

static int resolve_work(void *context, void *result)
{
    struct probe_addresses *addresses = result;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    int status = getaddrinfo(context, NULL, &hints, &list);
    if (status != 0)
        return status == EAI_AGAIN ? -EAGAIN : -ENOENT;
    const int families[] = { AF_INET, AF_INET6 };
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
            if (at->ai_family == families[i] && addresses->count < PROBE_ADDRESSES_MAX &&
                getnameinfo(at->ai_addr, at->ai_addrlen, addresses->list[addresses->count],
                    PROBE_ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) == 0)
                addresses->count++;
        }
    }
    freeaddrinfo(list);
    return addresses->count > 0 ? 0 : -ENOENT;
}

int probe_resolve(const char *host, uint64_t limit_ms, struct probe_addresses *out_addresses)
{
    char name[512];
    (void)snprintf(name, sizeof name, "%s", host);
    return child_run(resolve_work, name, limit_ms, out_addresses, sizeof *out_addresses, NULL);
}

static int fill_address(
    const char *address, uint16_t port, struct sockaddr_storage *out, socklen_t *out_size)
{
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        *out_size = sizeof *four;
        return 0;
    }
    if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        *out_size = sizeof *six;
        return 0;
    }
    return -EINVAL;
}

/* Waits until the socket is ready for `events`. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = child_now_ms();
        struct pollfd ready = { .fd = fd, .events = events };
        int count = poll(&ready, 1, now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0);
        if (count > 0)
            return 0;
        if (count == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

int probe_connect(const char *address, uint16_t port, uint64_t limit_ms)
{
    struct sockaddr_storage to;
    socklen_t size = 0;
    int err = fill_address(address, port, &to, &size);
    if (err < 0)
        return err;
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    err = connect(fd, (const struct sockaddr *)&to, size) < 0 ? -errno : 0;
    if (err == -EINPROGRESS) {
        int status = 0;
        socklen_t status_size = sizeof status;
        err = wait_for(fd, POLLOUT, child_now_ms() + limit_ms);
        if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &status_size) < 0)
            err = -errno;
        if (err == 0)
            err = -status;
    }
    if (err == 0 && fcntl(fd, F_SETFL, 0) < 0)
        err = -errno;
    if (err == 0)
        return fd;
    (void)close(fd); /* nothing was sent */
    return err;
}

static void build_null_call(uint8_t call[CALL_SIZE], uint32_t xid)
{
    const uint32_t words[] = { LAST_FRAGMENT | (CALL_SIZE - 4), xid, 0, RPC_VERSION, NFS_PROGRAM,
        NFS_VERSION, 0, 0, 0, 0, 0 };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        store_be32(call + 4 * i, words[i]);
}

static int receive(int fd, uint8_t *to, size_t size, uint64_t deadline_ms)
{
    for (size_t got = 0; got < size;) {
        int err = wait_for(fd, POLLIN, deadline_ms);
        if (err < 0)
            return err;
        ssize_t count = recv(fd, to + got, size - got, 0);
        if (count == 0)
            return got == 0 ? -ECONNRESET : -EPROTO;
        if (count < 0 && errno != EINTR)
            return got == 0 ? -ECONNRESET : -errno;
        got += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

int probe_nfs(const char *address, uint16_t port, uint64_t limit_ms, bool *out_reached)
{
    uint64_t deadline_ms = child_now_ms() + limit_ms;
    uint8_t call[CALL_SIZE];
    uint8_t reply[REPLY_SIZE_MIN];
    uint32_t xid = (uint32_t)random_u64();
    *out_reached = false;
    int fd = probe_connect(address, port, limit_ms);
    if (fd < 0)
        return fd;
    *out_reached = true;
    build_null_call(call, xid);
    int err = send(fd, call, sizeof call, MSG_NOSIGNAL) == (ssize_t)sizeof call ? 0 : -ECONNRESET;
    if (err == 0)
        err = receive(fd, reply, sizeof reply, deadline_ms);
    if (err == 0 && ((load_be32(reply) & LAST_FRAGMENT) == 0 || load_be32(reply + 4) != xid ||
                        load_be32(reply + 8) != 1))
        err = -EPROTO;
    if (err == 0 && (load_be32(reply + 12) != 0 || load_be32(reply + 24) != 0))
        err = -EPROTONOSUPPORT; /* an RPC server, but none of NFSv4 */
    (void)close(fd);            /* the answer is here */
    return err;
}

int probe_explain(int err, bool reached, const char *what, uint16_t port, struct problem *problem)
{
    if (err == 0)
        return 0;
    if (err == -ECONNREFUSED)
        return problem_say(problem, err,
            "Nothing listens at %s port %u: the service does not run there, or its NFS port is "
            "another one (option port=).",
            what, port);
    if (!reached && err == -ETIMEDOUT)
        return problem_say(problem, err,
            "%s port %u does not answer: a firewall or security group drops it, or the address is "
            "not reached from here. Allow TCP %u from this machine.",
            what, port, port);
    if (!reached)
        return problem_say(problem, err,
            "%s port %u cannot be reached: %s. Check address, route and network.", what, port,
            strerrordesc_np(-err));
    if (err == -ECONNRESET) {
        return problem_say(problem, err,
            "%s port %u takes the connection and closes it: it is no mount target (any more), "
            "nfs.listen of shoald leaves the address out, or a security group does not let this "
            "machine in.",
            what, port);
    }
    if (err == -EPROTO)
        return problem_say(problem, err,
            "Something answers at %s port %u, but not NFS. Check the port (option port=).", what,
            port);
    if (err == -EPROTONOSUPPORT)
        return problem_say(
            problem, err, "The server at %s port %u does not speak NFSv4.", what, port);
    return problem_say(problem, err,
        "%s port %u takes the connection but does not answer an NFS call within the limit (%s): "
        "the server hangs or is overloaded, or something else listens there (option port=).",
        what, port, strerrordesc_np(-err));
}
