/* cli/nouns/noun_user.h - what the files about users share. */
#pragma once

#include "cli/nouns/noun.h"

#define IAM_VERSION "2010-05-08"

/* One call of IAM; `doing` is for the sentence of a refusal, NULL: the action. *out_result (may be NULL) is a new reference to the element ACTIONResult. Gives CLI_OK, or the exit code
 * after the sentence. */
MUST_CHECK int user_iam(struct noun_call *call, const char *action, const char *const words[][2],
    size_t word_count, const char *doing, json_t **out_result);
/* All pages of a list; `user` may be NULL. A new reference. */
MUST_CHECK int user_iam_list(struct noun_call *call, const char *action, const char *user,
    const char *list_name, json_t **out_list);
/* Deletes a user with all that hangs on it. */
MUST_CHECK int user_remove(struct noun_call *call, const char *name);
