/*
 * cli/api_query.c - forms out, XML in, for the services beside EFS (room: cli).
 */
#include "cli/api_query.h"

#include <ctype.h>
#include <stdlib.h>

#include <libxml/parser.h>

#include "base/text.h"
#include "cli/cli.h"

#define XML_DEPTH_MAX 32
#define NAME_SIZE     128

void api_form_init(struct api_form *form, const char *action, const char *version)
{
    *form = (struct api_form){ .text = malloc(API_FORM_SIZE_MAX) };
    form->is_full = form->text == NULL;
    api_form_add(form, "Action", action);
    api_form_add(form, "Version", version);
}

void api_form_fini(struct api_form *form)
{
    free(form->text);
    *form = (struct api_form){ 0 };
}

static void add_encoded(struct api_form *form, const char *text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < size && !form->is_full; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (form->size + 4 > API_FORM_SIZE_MAX) {
            form->is_full = true;
        } else if (isalnum(byte) || strchr("-._~", byte) != NULL) {
            form->text[form->size++] = (char)byte;
        } else {
            form->text[form->size++] = '%';
            form->text[form->size++] = digits[byte >> 4];
            form->text[form->size++] = digits[byte & 15];
        }
    }
}

static void add_sized(struct api_form *form, const char *name, const char *value, size_t size)
{
    if (form->size > 0 && !form->is_full)
        form->text[form->size++] = '&'; /* add_encoded() leaves room for it */
    add_encoded(form, name, strlen(name));
    if (!form->is_full)
        form->text[form->size++] = '=';
    add_encoded(form, value, size);
}

void api_form_add(struct api_form *form, const char *name, const char *value)
{
    if (value != NULL)
        add_sized(form, name, value, strlen(value));
}

void api_form_add_list(struct api_form *form, const char *name, const char *list)
{
    unsigned number = 1;
    while (list != NULL && *list != '\0') {
        char numbered[NAME_SIZE];
        size_t size = strcspn(list, ",");
        (void)snprintf(numbered, sizeof numbered, "%s.%u", name, number++); /* names are ours */
        add_sized(form, numbered, list, size);
        list += size;
        list += *list == ',';
    }
}

/* Whether all elements in this one carry the name of list members. */
static bool is_list(const xmlNode *node)
{
    bool found = false;
    for (const xmlNode *child = node->children; child != NULL; child = child->next) {
        if (child->type != XML_ELEMENT_NODE)
            continue;
        const char *name = (const char *)child->name;
        if (strcmp(name, "item") != 0 && strcmp(name, "member") != 0)
            return false;
        found = true;
    }
    return found;
}

static bool has_elements(const xmlNode *node)
{
    for (const xmlNode *child = node->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE)
            return true;
    }
    return false;
}

static json_t *text_of_node(const xmlNode *node)
{
    for (const xmlNode *child = node->children; child != NULL; child = child->next) {
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE)
            return json_string((const char *)child->content);
    }
    return json_string("");
}

/* The recursion is as deep as the document, which is bounded here. */
static json_t *node_to_json(const xmlNode *node, unsigned depth)
{
    if (depth > XML_DEPTH_MAX)
        return NULL;
    if (!has_elements(node))
        return text_of_node(node);
    bool list = is_list(node);
    json_t *json = list ? json_array() : json_object();
    for (const xmlNode *child = node->children; json != NULL && child != NULL;
         child = child->next) {
        if (child->type != XML_ELEMENT_NODE)
            continue;
        json_t *value = node_to_json(child, depth + 1); /* NULL is refused by both below */
        int err = list ? json_array_append_new(json, value)
                       : json_object_set_new(json, (const char *)child->name, value);
        if (err < 0) {
            json_decref(json);
            json = NULL;
        }
    }
    return json;
}

json_t *api_xml_to_json(const char *xml, size_t size)
{
    if (size > INT32_MAX)
        return NULL;
    xmlDoc *doc = xmlReadMemory(xml, (int)size, NULL, NULL,
        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
    const xmlNode *root = doc != NULL ? xmlDocGetRootElement(doc) : NULL;
    json_t *json = root != NULL ? node_to_json(root, 0) : NULL;
    xmlFreeDoc(doc);
    return json;
}

/* The Error element: EC2 has it in Errors, the others at the top. */
static const json_t *find_error(const json_t *body)
{
    const json_t *error = json_object_get(json_object_get(body, "Errors"), "Error");
    return error != NULL ? error : json_object_get(body, "Error");
}

/* Puts the error's name and words where api_fail() finds them. */
static void take_error(struct api_reply *reply, const char *name, const char *message)
{
    if (name == NULL || text_copy(reply->error, sizeof reply->error, name) < 0)
        reply->error[0] = '\0';
    if (message != NULL && json_object_set_new(reply->body, "Message", json_string(message)) < 0)
        reply->error[0] = '\0'; /* no memory: the status is told all the same */
}

int api_query(const struct api *api, const char *service, const struct api_form *form,
    struct api_reply *out_reply)
{
    if (form->is_full)
        return cli_fail("The words of this call are too long for the service.");
    const struct api_message message = { .service = service,
        .method = "POST",
        .path = "/",
        .query = "",
        .content_type = "application/x-www-form-urlencoded; charset=utf-8",
        .body = slice_of(form->text, form->size) };
    struct http_reply http = { 0 };
    int status = api_send(api, &message, &http);
    if (status != CLI_OK)
        return status;
    *out_reply = (struct api_reply){ .status = http.status,
        .body = api_xml_to_json(http.body, http.body_size) };
    http_reply_fini(&http);
    const json_t *error = find_error(out_reply->body);
    if (error != NULL)
        take_error(out_reply, json_string_value(json_object_get(error, "Code")),
            json_string_value(json_object_get(error, "Message")));
    return CLI_OK;
}

int api_target(const struct api *api, const char *service, const char *target, const json_t *body,
    struct api_reply *out_reply)
{
    char *text = json_dumps(body, JSON_COMPACT);
    if (text == NULL)
        return cli_fail("There is no memory left.");
    const struct api_message message = { .service = service,
        .method = "POST",
        .path = "/",
        .query = "",
        .content_type = "application/x-amz-json-1.1",
        .target = target,
        .body = slice_str(text) };
    struct http_reply http = { 0 };
    int status = api_send(api, &message, &http);
    free(text);
    if (status != CLI_OK)
        return status;
    *out_reply = (struct api_reply){ .status = http.status };
    if (http.body_size > 0)
        out_reply->body = json_loadb(http.body, http.body_size, 0, NULL);
    http_reply_fini(&http);
    const char *type = json_string_value(json_object_get(out_reply->body, "__type"));
    if (type != NULL) {
        const char *hash = strchr(type, '#');
        const char *words = json_string_value(json_object_get(out_reply->body, "message"));
        take_error(out_reply, hash != NULL ? hash + 1 : type, words);
    }
    return CLI_OK;
}
