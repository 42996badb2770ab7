/*
 * cli/efs_conf.c - line by line through a file of [sections] and key = value (room: cli).
 * Source: Python's configparser, which reads that file: keys in any case, '=' or ':', continued by indented lines.
 */
#include "cli/efs_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The line from `at`, without its end; *out_next is behind it. */
static struct slice line_at(const char *at, const char **out_next)
{
    size_t size = strcspn(at, "\n");
    *out_next = at[size] == '\n' ? at + size + 1 : at + size;
    return slice_of(at, size);
}

static bool is_section(struct slice line)
{
    return line.size >= 2 && line.data[0] == '[' && memchr(line.data, ']', line.size) != NULL;
}

static bool is_named(struct slice line, const char *section)
{
    size_t size = strlen(section);
    return is_section(line) && line.size >= size + 2 && line.data[size + 1] == ']' &&
           memcmp(line.data + 1, section, size) == 0;
}

static bool sets_key(struct slice line, const char *key)
{
    size_t size = strlen(key);
    if (line.size <= size || strncasecmp((const char *)line.data, key, size) != 0)
        return false;
    while (size < line.size && (line.data[size] == ' ' || line.data[size] == '\t'))
        size++;
    return size < line.size && (line.data[size] == '=' || line.data[size] == ':');
}

static bool continues(const char *at)
{
    return (*at == ' ' || *at == '\t') && strspn(at, " \t") < strcspn(at, "\n");
}

bool efs_conf_has_section(const char *text, const char *section)
{
    while (*text != '\0') {
        if (is_named(line_at(text, &text), section))
            return true;
    }
    return false;
}

static bool has_key(const char *text, const char *section, const char *key)
{
    bool inside = false;
    while (*text != '\0') {
        struct slice line = line_at(text, &text);
        if (is_section(line))
            inside = is_named(line, section);
        else if (inside && sets_key(line, key))
            return true;
    }
    return false;
}

static void copy(
    FILE *to, const char *text, const char *section, const char *key, const char *value)
{
    bool replaces = has_key(text, section, key);
    bool inside = false;
    bool ends_line = true;
    while (*text != '\0') {
        const char *start = text;
        struct slice line = line_at(text, &text);
        ends_line = text[-1] == '\n';
        if (is_section(line))
            inside = is_named(line, section);
        if (replaces && inside && !is_section(line) && sets_key(line, key)) {
            while (continues(text))
                (void)line_at(text, &text);
            (void)fprintf(to, "%s = %s\n", key, value);
            ends_line = true;
            continue;
        }
        (void)fwrite(start, 1, (size_t)(text - start), to); /* told by fclose() */
        if (!replaces && is_named(line, section)) {
            (void)fprintf(to, "%s%s = %s\n", ends_line ? "" : "\n", key, value);
            ends_line = true;
        }
    }
    if (!ends_line)
        (void)fputc('\n', to);
}

int efs_conf_set(
    const char *text, const char *section, const char *key, const char *value, char **out_text)
{
    char *made = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&made, &size);
    if (to == NULL)
        return -ENOMEM;
    copy(to, text, section, key, value);
    if (!efs_conf_has_section(text, section))
        (void)fprintf(to, "\n[%s]\n%s = %s\n", section, key, value);
    if (fclose(to) != 0) {
        free(made);
        return -ENOMEM;
    }
    *out_text = made;
    return 0;
}
