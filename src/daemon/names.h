/*
 * daemon/names.h - the DNS answerer of this node, when dns.listen says so.
 */
#pragma once

#include "catalog/catalog.h"
#include "daemon/options.h"

struct names;

/* Answers from now on; *out_names is NULL when dns.listen is off. `options` and `catalog` are borrowed for its life. The NFS server
 * has to be up. Errors: -errno, with a sentence that says what to do. */
MUST_CHECK int names_start(const struct options *options, const struct catalog *catalog,
    struct names **out_names, struct problem *out_problem);
/* Work that is due about once a second. NULL is allowed in all of these. */
void names_tick(struct names *names);
void names_stop(struct names *names);
/* Where it listens, with real ports; none when it is off. */
void names_listening(const struct names *names, struct endpoint_list *out_list);
