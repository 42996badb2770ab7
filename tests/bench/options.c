/* tests/bench/options.c - the command line. */
#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define MIB_MAX (1u << 20)

static const char usage[] =
    "usage: shoal-bench --server ADDRESS[:PORT] --path /EXPORT/PATH [options]\n"
    "  --op NAME[,NAME...]   what to measure (default: all)\n"
    "  --connections N       each is a client of its own (4)\n"
    "  --inflight N          requests at a time on each connection (16)\n"
    "  --threads N           that drive the connections (1)\n"
    "  --seconds S           of each operation (5)\n"
    "  --size BYTES          of each read and write, a multiple of 4096 (by operation)\n"
    "  --file-size MIB       of each connection's data file (64)\n"
    "  --files N             that are made to be unlinked, in all (20000)\n"
    "  --entries N           of each directory to list (1000)\n"
    "  --server-pid PID      measure that process's CPU\n"
    "  --json                results as JSON\n"
    "  --tls                 encrypted from the first byte\n"
    "operations: seqread seqwrite randread randwrite stablewrite getattr lookup open create\n"
    "  create_write unlink rename readdir lock\n";

enum {
    OPTION_SERVER = 1,
    OPTION_PATH,
    OPTION_OP,
    OPTION_CONNECTIONS,
    OPTION_IN_FLIGHT,
    OPTION_THREADS,
    OPTION_SECONDS,
    OPTION_SIZE,
    OPTION_FILE_SIZE,
    OPTION_FILES,
    OPTION_ENTRIES,
    OPTION_SERVER_PID,
    OPTION_JSON,
    OPTION_TLS,
};

static const struct option long_options[] = {
    { "server", required_argument, NULL, OPTION_SERVER },
    { "path", required_argument, NULL, OPTION_PATH },
    { "op", required_argument, NULL, OPTION_OP },
    { "connections", required_argument, NULL, OPTION_CONNECTIONS },
    { "inflight", required_argument, NULL, OPTION_IN_FLIGHT },
    { "threads", required_argument, NULL, OPTION_THREADS },
    { "seconds", required_argument, NULL, OPTION_SECONDS },
    { "size", required_argument, NULL, OPTION_SIZE },
    { "file-size", required_argument, NULL, OPTION_FILE_SIZE },
    { "files", required_argument, NULL, OPTION_FILES },
    { "entries", required_argument, NULL, OPTION_ENTRIES },
    { "server-pid", required_argument, NULL, OPTION_SERVER_PID },
    { "json", no_argument, NULL, OPTION_JSON },
    { "tls", no_argument, NULL, OPTION_TLS },
    { 0 },
};

/* A whole number from `min` to `max`. */
static bool parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_seconds(const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value < 86400))
        return false;
    *out = value;
    return true;
}

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT. */
static bool parse_server(const char *text, struct options *options)
{
    char host[256];
    const char *port = "2049";
    const char *colon = strrchr(text, ':');
    size_t size = strlen(text);
    if (colon != NULL && (strchr(text, ':') == colon || colon[-1] == ']')) {
        port = colon + 1;
        size = (size_t)(colon - text);
    }
    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size == 0 || size >= sizeof host)
        return false;
    memcpy(host, text, size);
    host[size] = '\0';
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return false;
    memcpy(&options->server, found->ai_addr, found->ai_addrlen);
    options->server_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool parse_one(int option, const char *value, struct options *options)
{
    uint32_t number = 0;
    switch (option) {
    case OPTION_SERVER:
        return parse_server(value, options);
    case OPTION_PATH:
        options->path = value;
        return true;
    case OPTION_OP:
        options->operations = value;
        return true;
    case OPTION_CONNECTIONS:
        return parse_number(value, 1, CONNECTIONS_MAX, &options->connections);
    case OPTION_IN_FLIGHT:
        return parse_number(value, 1, SLOTS_MAX, &options->in_flight);
    case OPTION_THREADS:
        return parse_number(value, 1, CONNECTIONS_MAX, &options->threads);
    case OPTION_SECONDS:
        return parse_seconds(value, &options->seconds);
    case OPTION_SIZE:
        return parse_number(value, BLOCK_BYTES, IO_SIZE_MAX, &options->io_size) &&
               options->io_size % BLOCK_BYTES == 0;
    case OPTION_FILE_SIZE:
        if (!parse_number(value, 1, MIB_MAX, &number))
            return false;
        options->file_bytes = number * MIB;
        return true;
    case OPTION_FILES:
        return parse_number(value, 1, UINT32_MAX, &options->files);
    case OPTION_ENTRIES:
        return parse_number(value, 1, UINT32_MAX, &options->entries);
    case OPTION_SERVER_PID:
        if (!parse_number(value, 1, INT32_MAX, &number))
            return false;
        options->server_pid = (pid_t)number;
        return true;
    case OPTION_JSON:
        options->json = true;
        return true;
    case OPTION_TLS:
        options->tls = true;
        return true;
    default:
        return false;
    }
}

bool options_parse(int argc, char **argv, struct options *out_options)
{
    struct options options = {
        .operations = "getattr,lookup,open,create,create_write,unlink,rename,readdir,lock,"
                      "seqwrite,seqread,randread,randwrite,stablewrite",
        .connections = 4,
        .in_flight = 16,
        .threads = 1,
        .seconds = 5,
        .file_bytes = 64 * MIB,
        .files = 20000,
        .entries = 1000,
    };
    int option;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread is made */
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!parse_one(option, optarg, &options)) {
            (void)fprintf(stderr, "shoal-bench: not usable: %s\n%s", argv[optind - 1], usage);
            return false;
        }
    }
    if (optind < argc || options.server_size == 0 || options.path == NULL) {
        (void)fputs(usage, stderr);
        return false;
    }
    options.threads = min_u32(options.threads, options.connections);
    *out_options = options;
    return true;
}
