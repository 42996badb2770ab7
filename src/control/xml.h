/*
 * control/xml.h - a small XML writer: every text is escaped, every element closed.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

#define XML_DEPTH_MAX 12

struct xml {
    FILE *stream; /* over a heap text */
    char *text;
    size_t size;
    unsigned depth;
    const char *open[XML_DEPTH_MAX]; /* borrowed names of the elements that are open */
};

MUST_CHECK int xml_init(struct xml *xml); /* Errors: -ENOMEM */
/* `namespace_uri` NULL: none. Names must be static and valid. */
void xml_open(struct xml *xml, const char *name, const char *namespace_uri);
void xml_close(struct xml *xml);
/* <name>text</name>, with the letters that XML gives a meaning escaped and control bytes left out. */
void xml_element(struct xml *xml, const char *name, const char *text);
/* Ends it; all elements must be closed. The caller owns the text. NULL: out of memory. */
MUST_CHECK char *xml_take(struct xml *xml, size_t *out_size);
