/*
 * daemon/names.c - the DNS answerer of this node (room: daemon).
 *
 * A mount target is answered while clients that connect to its address would be served: nfs.listen lets them in, and the address is
 * this machine's. An address that has gone (of an interface that is down, of a gateway that has moved) is answered no more.
 */
#include "daemon/names.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "dns/server.h"
#include "dns/zone.h"

static_assert(ENDPOINT_COUNT_MAX <= DNS_LISTEN_MAX, "the option's list fits");

struct names {
    const struct options *options;
    struct dns_zone zone;
    struct dns_answerer *answerer;
    struct dns_server *server;
};

/* Whether the address is one of this machine's: then a socket can be bound to it. */
static bool is_local(struct in_addr address)
{
    const struct sockaddr_in wanted = { .sin_family = AF_INET, .sin_addr = address };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; /* out of descriptors: no reason to take an address away */
    bool bound = bind(fd, (const struct sockaddr *)&wanted, sizeof wanted) == 0;
    (void)close(fd);
    return bound;
}

static bool serves(void *context, struct in_addr address)
{
    const struct names *names = context;
    return cidr_list_contains(&names->options->nfs_listen, address) && is_local(address);
}

static void explain(
    int err, const struct endpoint_list *listen, unsigned failed, struct problem *out_problem)
{
    if (failed >= listen->count) {
        problem_set(out_problem, "Cannot start the DNS answerer: %s.", strerrordesc_np(-err));
        return;
    }
    char address[ENDPOINT_TEXT_SIZE];
    endpoint_format(&listen->items[failed], address);
    const char *advice = "";
    if (err == -EADDRINUSE)
        advice = " Another program answers there (ss -lunp names it): choose another port with "
                 "dns.listen.";
    else if (err == -EACCES)
        advice = " Ports below 1024 need root or CAP_NET_BIND_SERVICE: choose one above, and let "
                 "the resolver forward to it.";
    else if (err == -EADDRNOTAVAIL)
        advice = " The address is none of this machine's.";
    problem_set(
        out_problem, "Cannot listen for DNS on %s: %s.%s", address, strerrordesc_np(-err), advice);
}

int names_start(const struct options *options, const struct catalog *catalog,
    struct names **out_names, struct problem *out_problem)
{
    *out_names = NULL;
    if (options->dns_listen.count == 0)
        return 0;
    char zone[2 * OPTION_TEXT_SIZE + 8];
    (void)snprintf(zone, sizeof zone, "efs.%s.%s", options->node_region, options->node_suffix);
    unsigned failed = options->dns_listen.count;
    struct names *names = calloc(1, sizeof *names);
    int err = names == NULL ? -ENOMEM : 0;
    if (err == 0) {
        names->options = options;
        names->zone.options =
            (struct dns_zone_options){ .catalog = catalog, .serves = serves, .context = names };
        err = dns_answerer_new(&(struct dns_answerer_options){ .zone = zone,
                                   .ttl_s = (uint32_t)options->dns_ttl,
                                   .source = dns_zone_source(&names->zone) },
            &names->answerer);
    }
    if (err == 0) {
        err = dns_server_new(&(struct dns_server_options){ .listen = options->dns_listen.items,
                                 .listen_count = options->dns_listen.count,
                                 .rate = (uint32_t)options->dns_rate,
                                 .answerer = names->answerer },
            &failed, &names->server);
    }
    if (err < 0) {
        explain(err, &options->dns_listen, failed, out_problem);
        names_stop(names);
        return err;
    }
    LOG_INFO("answering DNS", "zone=%s", zone);
    *out_names = names;
    return 0;
}

void names_tick(struct names *names)
{
    if (names != NULL)
        dns_server_tick(names->server);
}

void names_stop(struct names *names)
{
    if (names == NULL)
        return;
    dns_server_free(names->server);
    dns_answerer_free(names->answerer);
    free(names);
}

void names_listening(const struct names *names, struct endpoint_list *out_list)
{
    *out_list = (struct endpoint_list){ 0 };
    if (names == NULL)
        return;
    for (unsigned i = 0; i < names->options->dns_listen.count; i++)
        out_list->items[out_list->count++] = *dns_server_address(names->server, i);
}
