/*
 * control/xml.c - a small XML writer (room: control). Source: XML 1.0, sections 2.2 and 2.4.
 */
#include "control/xml.h"

#include <stdlib.h>

int xml_init(struct xml *xml)
{
    *xml = (struct xml){ 0 };
    xml->stream = open_memstream(&xml->text, &xml->size);
    if (xml->stream == NULL)
        return -ENOMEM;
    (void)fputs(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", xml->stream); /* errors: xml_take() */
    return 0;
}

static void put_escaped(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        if (byte == '<')
            (void)fputs("&lt;", stream);
        else if (byte == '>')
            (void)fputs("&gt;", stream);
        else if (byte == '&')
            (void)fputs("&amp;", stream);
        else if (byte == '"')
            (void)fputs("&quot;", stream);
        else if (byte >= 0x20 || byte == '\t' || byte == '\n' || byte == '\r')
            (void)fputc(byte, stream);
    }
}

void xml_open(struct xml *xml, const char *name, const char *namespace_uri)
{
    assert(xml->depth < XML_DEPTH_MAX);
    xml->open[xml->depth++] = name;
    (void)fprintf(xml->stream, "<%s", name);
    if (namespace_uri != NULL) {
        (void)fputs(" xmlns=\"", xml->stream);
        put_escaped(xml->stream, namespace_uri);
        (void)fputc('"', xml->stream);
    }
    (void)fputc('>', xml->stream);
}

void xml_close(struct xml *xml)
{
    assert(xml->depth > 0);
    (void)fprintf(xml->stream, "</%s>", xml->open[--xml->depth]);
}

void xml_element(struct xml *xml, const char *name, const char *text)
{
    (void)fprintf(xml->stream, "<%s>", name);
    put_escaped(xml->stream, text);
    (void)fprintf(xml->stream, "</%s>", name);
}

char *xml_take(struct xml *xml, size_t *out_size)
{
    assert(xml->depth == 0);
    bool failed = ferror(xml->stream) != 0;
    failed = fclose(xml->stream) != 0 || failed;
    xml->stream = NULL;
    if (failed) {
        free(xml->text);
        return NULL;
    }
    *out_size = xml->size;
    return xml->text;
}
