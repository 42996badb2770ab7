/*
 * cli/verification.h - verifying file systems of a running service: what `shoal fsck` and `shoal scrub` share.
 *
 * The service's own operations StartVerification, StopVerification and DescribeVerification (docs/compat-api.md), called with the
 * administrator's keys. All functions print a sentence when they fail and give the exit code.
 */
#pragma once

#include "cli/api.h"

struct verification {
    struct instance instance;
    struct api api;
    json_t *file_systems; /* as the API lists them */
};

/* The service on `data`, which runs. The caller calls verification_close() whatever comes out. */
MUST_CHECK int verification_open(const char *data, struct verification *out);
void verification_close(struct verification *verification);
/* The id of the file system with this id or name; valid until it is closed. */
MUST_CHECK int verification_find(
    const struct verification *verification, const char *name, const char **out_id);

/* Calls one of the operations; *out_answer is the caller's. */
struct verification_call {
    const char *operation; /* "StartVerification" */
    const char *fs_id;
    const char *kind;
};
MUST_CHECK int verification_ask(const struct verification *verification,
    const struct verification_call *call, json_t **out_answer);
/* Asks until it runs no more; `shows_progress`: a line on stderr that is written again and again. */
MUST_CHECK int verification_await(const struct verification *verification, const char *fs_id,
    const char *kind, bool shows_progress, json_t **out_answer);

uint64_t verification_number(const json_t *answer, const char *name);
/* "running", "done", ... */
const char *verification_state(const json_t *answer);
/* The findings, one a line with the id in front. */
void verification_print_findings(const json_t *answer, const char *fs_id);
