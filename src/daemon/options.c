/*
 * daemon/options.c - the table of options, and one value at a time: parse, format, explain (room:
 * daemon).
 */
#include "daemon/options.h"

#include <inttypes.h>

#include "base/text.h"

static const struct option_row rows[] = {
#define OPTION(section_, key_, flag_, type_, unit_, fallback_, low_, high_, when_, help_) \
    { .section = #section_,                                                               \
        .key = #key_,                                                                     \
        .flag = (flag_),                                                                  \
        .unit = (unit_),                                                                  \
        .fallback = (fallback_),                                                          \
        .help = (help_),                                                                  \
        .low = (low_),                                                                    \
        .high = (high_),                                                                  \
        .offset = offsetof(struct options, section_##_##key_),                            \
        .type = OPTION_##type_,                                                           \
        .when = OPTION_##when_ },
#include "daemon/options.def"
#undef OPTION
};

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static const struct {
    const char *suffix;
    unsigned shift;
} byte_units[] = { { "GiB", 30 }, { "MiB", 20 }, { "KiB", 10 } };

unsigned option_count(void)
{
    return ARRAY_SIZE(rows);
}

const struct option_row *option_at(unsigned index)
{
    return index < ARRAY_SIZE(rows) ? &rows[index] : NULL;
}

const struct option_row *option_find(
    const char *section, const char *key, struct problem *out_problem)
{
    char names[ARRAY_SIZE(rows)][64];
    const char *words[ARRAY_SIZE(rows)];
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].section, section) == 0 && strcmp(rows[i].key, key) == 0)
            return &rows[i];
        (void)snprintf(names[i], sizeof names[i], "%s.%s", rows[i].section, rows[i].key);
        words[i] = names[i];
    }
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "%s.%s", section, key);
    int nearest = text_nearest(wanted, words, ARRAY_SIZE(rows));
    if (nearest >= 0)
        problem_set(out_problem, "There is no option %s; did you mean %s?", wanted, words[nearest]);
    else
        problem_set(out_problem, "There is no option %s; shoald --print-config lists all.", wanted);
    return NULL;
}

static void *member_of(const struct option_row *row, struct options *options)
{
    return (char *)options + row->offset;
}

static const void *const_member_of(const struct option_row *row, const struct options *options)
{
    return (const char *)options + row->offset;
}

static bool is_word_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Labels of letters, digits and '-', with dots between them (RFC 1035 section 2.3.1). */
static bool is_domain(const char *text)
{
    for (;;) {
        size_t size = strcspn(text, ".");
        if (size == 0 || size > 63 || text[0] == '-' || text[size - 1] == '-')
            return false;
        for (size_t i = 0; i < size; i++) {
            if (!is_word_letter(text[i]))
                return false;
        }
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
}

static int parse_text(const struct option_row *row, const char *text, char *out_text)
{
    size_t size = strlen(text);
    if (size < row->low || size > row->high)
        return -EINVAL;
    for (const char *at = text; *at != '\0'; at++) {
        bool is_digit = *at >= '0' && *at <= '9';
        if ((row->type == OPTION_WORD && !is_word_letter(*at)) ||
            (row->type == OPTION_DIGITS && !is_digit) || (uint8_t)*at < 0x20)
            return -EINVAL;
    }
    if (row->type == OPTION_DOMAIN && !is_domain(text))
        return -EINVAL;
    return text_copy(out_text, OPTION_TEXT_SIZE, text) < 0 ? -EINVAL : 0;
}

static int parse_number(const struct option_row *row, const char *text, uint64_t *out_value)
{
    char digits[24];
    unsigned shift = 0;
    size_t size = strlen(text);
    for (size_t i = 0; row->type == OPTION_BYTES && i < ARRAY_SIZE(byte_units); i++) {
        size_t suffix_size = strlen(byte_units[i].suffix);
        if (size > suffix_size && strcmp(text + size - suffix_size, byte_units[i].suffix) == 0) {
            shift = byte_units[i].shift;
            size -= suffix_size;
            break;
        }
    }
    if (size >= sizeof digits)
        return -EINVAL;
    memcpy(digits, text, size);
    digits[size] = '\0';
    uint64_t value;
    if (text_parse_u64(digits, row->high >> shift, &value) < 0 || value << shift < row->low)
        return -EINVAL;
    *out_value = value << shift;
    return 0;
}

static int parse_member(const struct option_row *row, const char *text, void *member)
{
    switch (row->type) {
    case OPTION_TEXT:
    case OPTION_WORD:
    case OPTION_DIGITS:
    case OPTION_DOMAIN:
        return parse_text(row, text, member);
    case OPTION_NUMBER:
    case OPTION_BYTES:
        return parse_number(row, text, member);
    case OPTION_LEVEL:
        return log_parse_level(text, member);
    case OPTION_PROFILE:
        return catalog_profile_parse(text, member);
    case OPTION_ADDRESS:
        return address_parse(text, member);
    case OPTION_CIDRS:
        return cidr_list_parse(text, member);
    case OPTION_ENDPOINTS:
        return endpoint_list_parse(text, member);
    }
    assert(false);
    return -EINVAL;
}

static void format_bytes(uint64_t value, char *out_text, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(byte_units); i++) {
        uint64_t unit = UINT64_C(1) << byte_units[i].shift;
        if (value != 0 && value % unit == 0) {
            (void)snprintf(out_text, size, "%" PRIu64 "%s", value / unit, byte_units[i].suffix);
            return;
        }
    }
    (void)snprintf(out_text, size, "%" PRIu64, value);
}

/* What a right value looks like. */
static void describe_values(const struct option_row *row, char *out_text, size_t size)
{
    char low[32];
    char high[32];
    format_bytes(row->low, low, sizeof low);
    format_bytes(row->high, high, sizeof high);
    switch (row->type) {
    case OPTION_TEXT:
        (void)snprintf(
            out_text, size, "a text of %" PRIu64 " to %" PRIu64 " bytes", row->low, row->high);
        break;
    case OPTION_WORD:
        (void)snprintf(out_text, size,
            "a word of letters, digits and '-', of %" PRIu64 " to %" PRIu64, row->low, row->high);
        break;
    case OPTION_DIGITS:
        (void)snprintf(out_text, size, "%" PRIu64 " digits", row->high);
        break;
    case OPTION_DOMAIN:
        (void)snprintf(out_text, size,
            "a domain name of up to %" PRIu64 " bytes, such as example.org", row->high);
        break;
    case OPTION_NUMBER:
        (void)snprintf(out_text, size, "a number from %" PRIu64 " to %" PRIu64 "%s%s", row->low,
            row->high, row->unit[0] != '\0' ? ", in " : "", row->unit);
        break;
    case OPTION_BYTES:
        (void)snprintf(out_text, size,
            "a number of bytes from %s to %s; KiB, MiB and GiB are units", low, high);
        break;
    case OPTION_LEVEL:
        (void)snprintf(out_text, size, "error, warn, info or debug");
        break;
    case OPTION_PROFILE:
        (void)snprintf(out_text, size, "extended or strict");
        break;
    case OPTION_ADDRESS:
        (void)snprintf(out_text, size, "an IPv4 address and a port, such as 127.0.0.1:8049");
        break;
    case OPTION_CIDRS:
        (void)snprintf(out_text, size,
            "networks or addresses between commas, at most %u, such as 127.0.0.0/8, 10.0.0.5",
            CIDR_COUNT_MAX);
        break;
    case OPTION_ENDPOINTS:
        (void)snprintf(out_text, size,
            "off, or at most %u addresses with ports between commas, such as 127.0.0.1:53, "
            "[::1]:53",
            ENDPOINT_COUNT_MAX);
        break;
    }
}

int option_parse(const struct option_row *row, const char *text, struct options *options,
    struct problem *out_problem)
{
    if (parse_member(row, text, member_of(row, options)) == 0)
        return 0;
    char wanted[160];
    char quoted[128];
    describe_values(row, wanted, sizeof wanted);
    problem_set(out_problem, "%s.%s takes %s, not %s.", row->section, row->key, wanted,
        log_quote(quoted, sizeof quoted, slice_str(text)));
    return -EINVAL;
}

void option_format(
    const struct option_row *row, const struct options *options, char *out_text, size_t size)
{
    static_assert(CIDR_TEXT_SIZE >= OPTION_TEXT_SIZE && CIDR_TEXT_SIZE >= ENDPOINT_LIST_TEXT_SIZE,
        "what holds a list holds any value");
    assert(size >= CIDR_TEXT_SIZE);
    const void *member = const_member_of(row, options);
    switch (row->type) {
    case OPTION_TEXT:
    case OPTION_WORD:
    case OPTION_DIGITS:
    case OPTION_DOMAIN:
        (void)snprintf(out_text, size, "%s", (const char *)member);
        break;
    case OPTION_NUMBER:
        (void)snprintf(out_text, size, "%" PRIu64, *(const uint64_t *)member);
        break;
    case OPTION_BYTES:
        format_bytes(*(const uint64_t *)member, out_text, size);
        break;
    case OPTION_LEVEL:
        (void)snprintf(out_text, size, "%s", level_names[*(const enum log_level *)member]);
        break;
    case OPTION_PROFILE:
        (void)snprintf(
            out_text, size, "%s", catalog_profile_name(*(const enum catalog_profile *)member));
        break;
    case OPTION_ADDRESS:
        address_format(member, out_text);
        break;
    case OPTION_CIDRS:
        cidr_list_format(member, out_text);
        break;
    case OPTION_ENDPOINTS:
        endpoint_list_format(member, out_text);
        break;
    }
}

void options_init(struct options *options)
{
    memset(options, 0, sizeof *options);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct problem problem;
        if (rows[i].fallback[0] == '\0')
            continue;
        int err = option_parse(&rows[i], rows[i].fallback, options, &problem);
        assert(err == 0); /* the table's own defaults are right */
        (void)err;
    }
}

const struct option_row *options_reload(struct options *options, const struct options *fresh)
{
    const struct option_row *needs_start = NULL;
    char old_text[CIDR_TEXT_SIZE];
    char new_text[CIDR_TEXT_SIZE];
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        option_format(&rows[i], options, old_text, sizeof old_text);
        option_format(&rows[i], fresh, new_text, sizeof new_text);
        if (strcmp(old_text, new_text) == 0)
            continue;
        struct problem problem;
        if (rows[i].when == OPTION_START)
            needs_start = needs_start != NULL ? needs_start : &rows[i];
        else if (option_parse(&rows[i], new_text, options, &problem) < 0)
            assert(false); /* option_format() writes what option_parse() reads */
    }
    return needs_start;
}

static void print_wrapped(FILE *to, const char *text)
{
    const size_t width = 96;
    while (*text != '\0') {
        size_t size = strlen(text);
        if (size > width) {
            size = width;
            while (size > 0 && text[size] != ' ')
                size--;
        }
        (void)fprintf(to, "# %.*s\n", (int)size, text);
        text += size;
        text += strspn(text, " ");
    }
}

void options_print(const struct options *options, FILE *to)
{
    const char *section = "";
    char value[CIDR_TEXT_SIZE];
    char values[160];
    (void)fprintf(to,
        "# shoald.conf - options of shoald %s. Commented lines show the default.\n"
        "# Each can also be given as SHOAL_SECTION_KEY in the environment, or with\n"
        "# --set section.key=value, which count more than this file.\n",
        SHOAL_VERSION);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct option_row *row = &rows[i];
        if (strcmp(section, row->section) != 0)
            (void)fprintf(to, "\n[%s]\n", row->section);
        section = row->section;
        option_format(row, options, value, sizeof value);
        describe_values(row, values, sizeof values);
        print_wrapped(to, row->help);
        (void)fprintf(to, "# (%s%s)\n", values,
            row->when == OPTION_RELOAD ? "; SIGHUP takes over a change" : "");
        bool is_default = strcmp(value, row->fallback) == 0;
        (void)fprintf(to, "%s%s =%s%s\n", is_default ? "#" : "", row->key,
            value[0] != '\0' ? " " : "", value);
    }
}

void options_print_help(FILE *to)
{
    (void)fprintf(to,
        "Usage: shoald --data DIR [options]\n"
        "Serves EFS-compatible file systems: the EFS API over HTTP, and NFSv4.1.\n\n");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].flag == NULL)
            continue;
        (void)fprintf(to, "  %-12s VALUE  %s", rows[i].flag, rows[i].help);
        if (rows[i].fallback[0] != '\0')
            (void)fprintf(to, " [%s]", rows[i].fallback);
        (void)fputc('\n', to);
    }
    (void)fprintf(to,
        "  --config FILE       Reads options from FILE (see shoald.conf(5)).\n"
        "  --set S.KEY=VALUE   Sets any option; --print-config lists them.\n"
        "  --check-config      Checks all options, says what is wrong, and ends.\n"
        "  --print-config      Prints the options that are in force, as a file, and ends.\n"
        "  --help, --version   Prints this, or the version, and ends.\n\n"
        "Signals: SIGTERM and SIGINT finish what runs and end with 0; SIGHUP reads the options "
        "again.\n"
        "Exit codes: 0 ended as asked, 1 could not start or serve, 2 wrong options.\n");
}
