/*
 * control/actions.h - which operation a method and a path mean: rows of control/actions.def.
 */
#pragma once

#include "control/api.h"

#define ACTION(name, method, path, handler, status, iam) api_handler handler;
#include "control/actions.def"
#undef ACTION

struct action {
    const char *name;
    const char *method;
    const char *path;
    api_handler *handler;
    unsigned status; /* of success */
    const char *iam_action;
};

/* Places of actions in the table; METRIC_API_SECONDS is counted by them. */
size_t action_count(void);
const struct action *action_at(size_t index); /* NULL: no such row */
size_t action_index(const struct action *action);
/* The names, by place; static. */
const char *const *action_names(void);

/* The action for a method and a raw path; *out_value is what {Name} matched, still encoded (size 0: nothing).
 * NULL: none; *out_path_known then tells whether the path has actions under other methods. */
const struct action *action_find(
    const char *method, const char *path, struct slice *out_value, bool *out_path_known);
