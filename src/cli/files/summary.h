/* cli/files/summary.h - verifying after a copy or alone, and what is said at the end of both. */
#pragma once

#include "cli/files/progress.h"
#include "cli/files/side.h"

struct summary {
    bool as_json;
    /* of the copy */
    bool copied;
    double copy_seconds;
    uint64_t files, directories, symlinks, hard_links, others, bytes;
    /* of the comparison */
    bool verified;
    double verify_seconds;
    uint64_t verified_entries, verified_bytes;
    bool lost_owner, lost_link_times;
    uint64_t problems;
};

struct verify_options {
    struct side *from;
    struct side *to;
    const char *to_name; /* the name in to->tree that corresponds to from->name */
    bool owners, link_times, allow_extra;
    bool is_quiet;
};

/* Adds the counters of one copy. */
void summary_add_copy(struct summary *summary, const struct transfer_stats *stats, double seconds);
/* Compares, and adds the counters. Gives CLI_OK, or CLI_FAILED after the sentences. */
MUST_CHECK int summary_verify(struct summary *summary, const struct verify_options *options);
/* Says it all, in a sentence or as JSON. Gives CLI_OK, or CLI_FAILED when there were problems. */
MUST_CHECK int summary_print(const struct summary *summary);
