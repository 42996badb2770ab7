/* datastore/files/bars_path.c - directories of the bars store: symbols, timeframes, periods (room: datastore). */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "datastore/files/bars.h"

#define NS_PER_DAY (INT64_C(86400) * 1000000000)

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

/* Days since 1970 of the first day of a month; the proleptic Gregorian calendar, with years that begin in March. */
static int64_t days_of(int64_t year, int64_t month)
{
    int64_t shifted = year - (month <= 2);
    int64_t era = floor_div(shifted, 400);
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

/* The opposite. */
static void month_of(int64_t days, int64_t *out_year, int64_t *out_month)
{
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day = days - era * 146097;
    int64_t year_of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *out_month = month + (month < 10 ? 3 : -9);
    *out_year = year_of_era + era * 400 + (*out_month <= 2);
}

/* The beginning of a day in nanoseconds; beyond what 64 bits can say: the first or last that they can. */
static int64_t clamp_ns(int64_t days)
{
    int64_t ns;
    if (__builtin_mul_overflow(days, NS_PER_DAY, &ns))
        return days < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

static struct bars_period period_from(enum bars_period_kind kind, int64_t year, int64_t month)
{
    bool by_year = kind == BARS_BY_YEAR;
    bool ends_year = by_year || month == 12;
    int64_t end_day = days_of(year + ends_year, ends_year ? 1 : month + 1);
    struct bars_period period = { .start_ns = clamp_ns(days_of(year, by_year ? 1 : month)) };
    period.end_ns = clamp_ns(end_day);
    period.end_ns -= period.end_ns != INT64_MAX;
    if (by_year)
        (void)snprintf(period.name, sizeof period.name, "%04u", (unsigned)year % 10000);
    else
        (void)snprintf(period.name, sizeof period.name, "%04u-%02u", (unsigned)year % 10000,
            (unsigned)month % 100);
    return period;
}

enum bars_period_kind bars_period_kind(const char *timeframe)
{
    const char *unit = timeframe;
    while (isdigit((unsigned char)*unit))
        unit++;
    static const char *const long_units[] = { "h", "H", "d", "D", "w", "W", "M", "mo", "y", "Y" };
    for (size_t i = 0; i < ARRAY_SIZE(long_units); i++) {
        if (strcmp(unit, long_units[i]) == 0)
            return BARS_BY_YEAR;
    }
    return BARS_BY_MONTH;
}

struct bars_period bars_period_of(enum bars_period_kind kind, int64_t timestamp_ns)
{
    int64_t year;
    int64_t month;
    month_of(floor_div(timestamp_ns, NS_PER_DAY), &year, &month);
    return period_from(kind, year, month);
}

int bars_period_parse(const char *name, struct bars_period *out_period)
{
    unsigned number[2] = { 0, 1 };
    size_t size = strlen(name);
    if (size != 4 && (size != 7 || name[4] != '-'))
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        if (i == 4) {
            number[1] = 0;
            continue;
        }
        if (!isdigit((unsigned char)name[i]))
            return -EINVAL;
        number[i > 4] = number[i > 4] * 10 + (unsigned)(name[i] - '0');
    }
    if (number[1] < 1 || number[1] > 12)
        return -EINVAL;
    *out_period = period_from(size == 4 ? BARS_BY_YEAR : BARS_BY_MONTH, number[0], number[1]);
    return 0;
}

/* Letters, digits, '.', '-' and what is not ASCII stay; the rest becomes %XX, as URLs and Hive have it. A '_' stays but in
 * front, where readers take it for hidden or for Hive's own words. */
static char *escape(char *to, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte >= 0x80 || isalnum(byte) || byte == '.' || byte == '-' ||
            (byte == '_' && at != value)) {
            *to++ = (char)byte;
            continue;
        }
        *to++ = '%';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    *to = '\0';
    return to;
}

void bars_path(char *to, const char *symbol, const char *timeframe, const char *period)
{
    char *at = stpcpy(to, BARS_ROOT "/symbol=");
    at = escape(at, symbol);
    at = stpcpy(at, "/timeframe=");
    at = escape(at, timeframe);
    if (period == NULL)
        return;
    at = stpcpy(at, "/period=");
    at = stpcpy(at, period);
    assert((size_t)(at - to) < BARS_PATH_SIZE);
}

int bars_path_join(char *to, const char *directory, const char *name)
{
    size_t used = 0;
    int err = text_append(to, BARS_PATH_SIZE, &used, "%s/%s", directory, name);
    return err < 0 ? -ENAMETOOLONG : 0;
}

int bars_path_value(const char *entry, const char *key, char *to)
{
    size_t size = strlen(key);
    if (strncmp(entry, key, size) != 0 || entry[size] != '=')
        return -EINVAL;
    return files_unescape(to, entry + size + 1, strlen(entry + size + 1));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct bars_names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 16 : names->room * 2;
        char **grown = reallocarray(names->names, room, sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        names->names = grown;
        names->room = room;
    }
    names->names[names->count] = strdup(name);
    if (names->names[names->count] == NULL)
        return -ENOMEM;
    names->count++;
    return 0;
}

int bars_names_read(int dir_fd, const char *prefix, struct bars_names *out_names)
{
    struct bars_names names = { 0 };
    int fd = sys_openat(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0); /* it reads from the beginning */
    if (fd < 0)
        return fd;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int failed = -errno;
        (void)close(fd); /* read only */
        return failed;
    }
    int err = 0;
    size_t prefix_size = strlen(prefix);
    while (err == 0) {
        errno = 0;
        /* A stream of this function alone. NOLINTNEXTLINE(concurrency-mt-unsafe) */
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            err = errno != 0 ? -errno : 1;
            break;
        }
        bool is_hidden = entry->d_name[0] == '.';
        if (is_hidden == (prefix[0] == '.') && strncmp(entry->d_name, prefix, prefix_size) == 0)
            err = add_name(&names, entry->d_name);
    }
    (void)closedir(dir); /* read only */
    if (err < 0) {
        bars_names_fini(&names);
        return err;
    }
    if (names.count > 1)
        qsort(names.names, names.count, sizeof *names.names, compare_names);
    *out_names = names;
    return 0;
}

void bars_names_fini(struct bars_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct bars_names){ 0 };
}
