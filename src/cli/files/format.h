/* cli/files/format.h - numbers, times and names as people read them, and as JSON. */
#pragma once

#include <jansson.h>

#include "base/clock.h"
#include "transfer/tree.h"

#define FORMAT_SIZE 48

/* "1.5 MiB". Gives `buffer`, of FORMAT_SIZE bytes, as all these do. */
const char *format_bytes(char *buffer, uint64_t bytes);
/* "1,234,567" */
const char *format_count(char *buffer, uint64_t count);
/* "0:07", "12:31", "3:05:00" */
const char *format_duration(char *buffer, double seconds);
/* "2026-01-02 03:04:05.123456789 +0000", in local time */
const char *format_time(char *buffer, struct clock_time time);
/* "drwxr-xr-x" */
const char *format_mode(char *buffer, enum tree_type type, uint32_t mode);
const char *format_type(enum tree_type type);

/* Prints a name: as it is, or, when standard output is a terminal, with '?' for what a terminal would act on. */
void format_print_name(const char *name);
/* The attributes as an object; a new reference, NULL: no memory. A name that is no UTF-8 is given in hexadecimal as
 * `name_hex`, beside a readable `name`. */
json_t *format_attr_json(const char *name, const struct tree_attr *attr);
/* Prints the value and a newline, and releases it. Gives CLI_OK or CLI_FAILED. */
int format_print_json(json_t *json);
