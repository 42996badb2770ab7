/*
 * mount/persist.c - fstab lines and units (room: mount).
 */
#include "mount/persist.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/text.h"

#define LINE_SIZE      8192
#define UNIT_SIZE      8192
#define FILE_SIZE_MAX  ((size_t)1 << 20)
#define FIELDS         3
#define UNIT_NAME_SIZE (NAME_MAX + 1 - sizeof ".automount")

int persist_escape(const char *path, char *out_name, size_t size)
{
    size_t used = 0;
    int err = 0;
    if (path[0] != '/')
        return -EINVAL;
    out_name[0] = '\0';
    for (const char *at = path; *at != '\0' && err == 0; at++) {
        bool is_end = at[1] == '\0' || at[1] == '/';
        if (*at == '/') {
            if (used > 0 && !is_end)
                err = text_append(out_name, size, &used, "-");
        } else if ((isalnum((unsigned char)*at) && (unsigned char)*at < 0x80) || *at == ':' ||
                   *at == '_' || (*at == '.' && used > 0)) {
            err = text_append(out_name, size, &used, "%c", *at);
        } else {
            err = text_append(out_name, size, &used, "\\x%02x", (unsigned char)*at);
        }
    }
    if (used == 0 && err == 0)
        err = text_append(out_name, size, &used, "-");
    return err;
}

static int add_field(char *line, size_t size, size_t *used, const char *text)
{
    int err = 0;
    for (; *text != '\0' && err == 0; text++) {
        bool is_special = strchr(" \t\n\\", *text) != NULL;
        err = is_special ? text_append(line, size, used, "\\%03o", (unsigned)(unsigned char)*text)
                         : text_append(line, size, used, "%c", *text);
    }
    return err;
}

/* Whether a list has the word. */
static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (; *list != '\0'; list += *list == ',') {
        size_t found = strcspn(list, ",");
        if (found == size && strncmp(list, word, size) == 0)
            return true;
        list += found;
    }
    return false;
}

/* The options as both forms need them: the network must be up, and a boot does not fail without the mount. */
static int make_options(const char *options, char *out, size_t size)
{
    size_t used = 0;
    int err = text_append(out, size, &used, "%s", options);
    const char *const words[] = { "_netdev", "nofail" };
    for (size_t i = 0; i < ARRAY_SIZE(words) && err == 0; i++) {
        if (!has_word(options, words[i]))
            err = text_append(out, size, &used, "%s%s", used > 0 ? "," : "", words[i]);
    }
    return err;
}

int persist_fstab_line(const struct persist_entry *entry, char *out_line, size_t size)
{
    char options[LINE_SIZE];
    size_t used = 0;
    int err = make_options(entry->options, options, sizeof options);
    out_line[0] = '\0';
    if (err == 0)
        err = add_field(out_line, size, &used, entry->source);
    if (err == 0)
        err = text_append(out_line, size, &used, "\t");
    if (err == 0)
        err = add_field(out_line, size, &used, entry->point);
    if (err == 0)
        err = text_append(out_line, size, &used, "\tshoal\t");
    if (err == 0)
        err = add_field(out_line, size, &used, options);
    return err < 0 ? err : text_append(out_line, size, &used, "\t0\t0\n");
}

/* A value of a unit: '%' begins a specifier there. */
static int add_value(char *text, size_t size, size_t *used, const char *key, const char *value)
{
    if (strchr(value, '\n') != NULL)
        return -EINVAL;
    int err = text_append(text, size, used, "%s=", key);
    for (; *value != '\0' && err == 0; value++)
        err = text_append(text, size, used, *value == '%' ? "%%%c" : "%c", *value);
    return err < 0 ? err : text_append(text, size, used, "\n");
}

int persist_mount_unit(const struct persist_entry *entry, char *out_text, size_t size)
{
    char options[LINE_SIZE];
    size_t used = 0;
    int err = make_options(entry->options, options, sizeof options);
    if (err == 0)
        err = text_append(out_text, size, &used, "[Unit]\n");
    if (err == 0)
        err = add_value(out_text, size, &used, "Description", entry->source);
    if (err == 0)
        err = text_append(out_text, size, &used,
            "Documentation=man:mount.shoal(8)\nWants=network-online.target\n"
            "After=network-online.target\n\n[Mount]\n");
    if (err == 0)
        err = add_value(out_text, size, &used, "What", entry->source);
    if (err == 0)
        err = add_value(out_text, size, &used, "Where", entry->point);
    if (err == 0)
        err = text_append(out_text, size, &used, "Type=shoal\n");
    if (err == 0)
        err = add_value(out_text, size, &used, "Options", options);
    return err < 0 ? err
                   : text_append(out_text, size, &used,
                         "TimeoutSec=90\n\n[Install]\nWantedBy=remote-fs.target\n");
}

int persist_automount_unit(const struct persist_entry *entry, char *out_text, size_t size)
{
    size_t used = 0;
    int err = text_append(out_text, size, &used, "[Unit]\n");
    if (err == 0)
        err = add_value(out_text, size, &used, "Description", entry->source);
    if (err == 0)
        err =
            text_append(out_text, size, &used, "Documentation=man:mount.shoal(8)\n\n[Automount]\n");
    if (err == 0)
        err = add_value(out_text, size, &used, "Where", entry->point);
    return err < 0 ? err
                   : text_append(out_text, size, &used, "\n[Install]\nWantedBy=remote-fs.target\n");
}

/* Finds the fields of a line of fstab; gives how many there are, at most FIELDS. */
static int split_line(const char *line, size_t size, struct slice fields[FIELDS])
{
    int count = 0;
    size_t at = 0;
    while (at < size && count < FIELDS) {
        while (at < size && (line[at] == ' ' || line[at] == '\t'))
            at++;
        size_t begin = at;
        while (at < size && line[at] != ' ' && line[at] != '\t')
            at++;
        if (at > begin)
            fields[count++] = slice_of(line + begin, at - begin);
    }
    return count > 0 && fields[0].data[0] == '#' ? 0 : count;
}

int persist_edit_fstab(const char *text, const struct persist_entry *entry, char **out_text)
{
    char line[LINE_SIZE];
    char point[LINE_SIZE];
    size_t point_size = 0;
    size_t used = 0;
    point[0] = '\0';
    int err = persist_fstab_line(entry, line, sizeof line);
    if (err == 0)
        err = add_field(point, sizeof point, &point_size, entry->point);
    size_t size = strlen(text) + sizeof line + 2;
    char *edited = err < 0 ? NULL : malloc(size);
    if (edited == NULL)
        return err < 0 ? err : -ENOMEM;
    edited[0] = '\0';
    bool is_written = false;
    for (const char *at = text; *at != '\0' && err == 0; at += *at == '\n') {
        struct slice fields[FIELDS];
        size_t line_size = strcspn(at, "\n");
        int count = split_line(at, line_size, fields);
        bool is_same = count >= 2 && slice_equal(fields[1], slice_of(point, point_size));
        if (is_same && (count < FIELDS || !slice_equal(fields[2], slice_str("shoal"))))
            err = -EEXIST;
        else if (is_same && is_written)
            err = 0; /* a second one of ours goes */
        else
            err = is_same ? text_append(edited, size, &used, "%s", line)
                          : text_append(edited, size, &used, "%.*s\n", (int)line_size, at);
        is_written = is_written || is_same;
        at += line_size;
    }
    if (err == 0 && !is_written)
        err = text_append(edited, size, &used, "%s", line);
    if (err == 0) {
        *out_text = edited;
        edited = NULL;
    }
    free(edited);
    return err;
}

static int save_fstab(
    int etc_fd, const char *etc, const struct persist_entry *entry, struct problem *out_told)
{
    char *text = NULL;
    char *edited = NULL;
    int err = sys_read_file(etc_fd, "fstab", FILE_SIZE_MAX, &text);
    if (err == -ENOENT)
        err = persist_edit_fstab("", entry, &edited);
    else if (err == 0)
        err = persist_edit_fstab(text, entry, &edited);
    if (err == 0 && (text == NULL || strcmp(text, edited) != 0))
        err = sys_replace_file(etc_fd, "fstab", edited, strlen(edited), 0644);
    free(text);
    free(edited);
    if (err == -EEXIST)
        return problem_say(out_told, err,
            "%s/fstab has an entry for %s that is not of type shoal: remove that line first.", etc,
            entry->point);
    if (err < 0)
        return problem_say(out_told, err, "Cannot write %s/fstab: %s.", etc, strerrordesc_np(-err));
    problem_add(out_told, "%s/fstab has its line: mount %s mounts it, and so does a boot.", etc,
        entry->point);
    return 0;
}

typedef int make_unit(const struct persist_entry *entry, char *out_text, size_t size);

static int save_unit(
    int dir_fd, const char *name, const struct persist_entry *entry, make_unit *make)
{
    char text[UNIT_SIZE];
    int err = make(entry, text, sizeof text);
    return err < 0 ? err : sys_replace_file(dir_fd, name, text, strlen(text), 0644);
}

static int save_units(enum persist_kind kind, int etc_fd, const char *etc,
    const struct persist_entry *entry, struct problem *out_told)
{
    char name[UNIT_NAME_SIZE];
    char file[NAME_MAX + 1];
    bool automount = kind == PERSIST_AUTOMOUNT_UNIT;
    int dir_fd = -1;
    int err = persist_escape(entry->point, name, sizeof name);
    if (err == 0)
        err = sys_mkdirat(etc_fd, "systemd", 0755);
    if (err == 0)
        err = sys_mkdirat(etc_fd, "systemd/system", 0755);
    if (err == 0) {
        dir_fd = sys_openat(etc_fd, "systemd/system", O_RDONLY | O_DIRECTORY, 0);
        err = dir_fd < 0 ? dir_fd : 0;
    }
    (void)snprintf(file, sizeof file, "%s.mount", name); /* fits */
    if (err == 0)
        err = save_unit(dir_fd, file, entry, persist_mount_unit);
    if (err == 0 && automount) {
        (void)snprintf(file, sizeof file, "%s.automount", name); /* fits */
        err = save_unit(dir_fd, file, entry, persist_automount_unit);
    }
    if (dir_fd >= 0)
        (void)close(dir_fd); /* a directory: nothing can be lost */
    if (err < 0)
        return problem_say(out_told, err,
            "Cannot write the unit of %s below %s/systemd/system: %s.", entry->point, etc,
            strerrordesc_np(-err));
    problem_add(out_told,
        "%s/systemd/system/%s is there: systemctl daemon-reload && systemctl enable '%s'.", etc,
        file, file);
    return 0;
}

int persist_save(enum persist_kind kind, const struct persist_entry *entry, const char *etc,
    struct problem *out_told)
{
    if (kind == PERSIST_NONE)
        return 0;
    if (etc == NULL)
        etc = "/etc";
    int etc_fd = sys_openat(AT_FDCWD, etc, O_RDONLY | O_DIRECTORY, 0);
    if (etc_fd < 0)
        return problem_say(out_told, etc_fd, "Cannot open %s: %s.", etc, strerrordesc_np(-etc_fd));
    int err = kind == PERSIST_FSTAB ? save_fstab(etc_fd, etc, entry, out_told)
                                    : save_units(kind, etc_fd, etc, entry, out_told);
    (void)close(etc_fd); /* a directory: nothing can be lost */
    return err;
}
