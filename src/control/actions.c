/*
 * control/actions.c - the table of operations and the look-up by method and path (room: control).
 */
#include "control/actions.h"

static const struct action actions[] = {
#define ACTION(name, method, path, handler, status, iam) \
    { #name, #method, path, handler, status, iam },
#include "control/actions.def"
#undef ACTION
};

static const char *const names[] = {
#define ACTION(name, method, path, handler, status, iam) #name,
#include "control/actions.def"
#undef ACTION
};

size_t action_count(void)
{
    return ARRAY_SIZE(actions);
}

const struct action *action_at(size_t index)
{
    return index < ARRAY_SIZE(actions) ? &actions[index] : NULL;
}

size_t action_index(const struct action *action)
{
    return (size_t)(action - actions);
}

const char *const *action_names(void)
{
    return names;
}

/* Whether a raw path fits a template; a slash at the end of either is no difference. */
static bool matches(const char *template, const char *path, struct slice *out_value)
{
    while (*template != '\0' && *path != '\0') {
        size_t template_size = strcspn(template + 1, "/") + 1; /* both begin with '/' */
        size_t size = strcspn(path + 1, "/") + 1;
        if (template[1] == '{')
            *out_value = slice_of(path + 1, size - 1);
        else if (size != template_size || strncmp(template, path, size) != 0)
            return false;
        template += template_size;
        path += size;
    }
    return (*template == '\0' || strcmp(template, "/") == 0) &&
           (*path == '\0' || strcmp(path, "/") == 0);
}

const struct action *action_find(
    const char *method, const char *path, struct slice *out_value, bool *out_path_known)
{
    *out_path_known = false;
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        struct slice value = { 0 };
        if (!matches(actions[i].path, path, &value))
            continue;
        *out_path_known = true;
        if (strcmp(actions[i].method, method) == 0) {
            *out_value = value;
            return &actions[i];
        }
    }
    return NULL;
}
