/*
 * What the data layer's files backend reads from a directory that anybody may have written: JSON, manifests, names of files. jansson is
 * the judge of JSON: what it takes is JSON, and what we take it takes too, within its limits.
 */
#include <stdlib.h>

#include <jansson.h>

#include "datastore/files/document_names.h"
#include "datastore/files/shard.h"
#include "datastore/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* jansson's own limits: valid JSON that it does not take. */
static bool is_limit(enum json_error_code code)
{
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_stack_overflow;
}

static void compare_json(const char *text, size_t size)
{
    struct json_problem problem = { 0 };
    json_error_t error;
    bool is_valid = json_is_valid(text, size, false, &problem);
    json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool has_nul = memchr(text, '\0', size) != NULL; /* which jansson takes for the end */
    if (value != NULL && !is_valid && !has_nul)
        abort();
    if (value == NULL && is_valid && !is_limit(json_error_code(&error)))
        abort();
    if (!is_valid && problem.offset > size)
        abort();
    if (is_valid && !json_is_valid(text, size, true, &problem))
        abort();
    json_decref(value);
}

static void try_manifest(const char *text, size_t size)
{
    struct manifest manifest;
    if (manifest_parse(text, size, &manifest) < 0)
        return;
    uint64_t total = 0;
    for (uint32_t i = 0; i < manifest.shard_count; i++)
        total += manifest.shards[i].size;
    if (total != manifest.size)
        abort();
    manifest_fini(&manifest);
}

/* A name that is read is one that can be asked for. */
static void try_names(const char *file)
{
    struct document_name name;
    for (int32_t kind = SHOAL_DATA_MARKET_DATA; kind <= SHOAL_DATA_GENERATION; kind++) {
        if (document_name_parse(kind, file, &name) < 0)
            continue;
        if (kind <= SHOAL_DATA_INDICATOR &&
            (data_check_name("symbol", name.symbol, NULL) != SHOAL_DATA_OK ||
                data_check_timeframe(name.timeframe, NULL) != SHOAL_DATA_OK))
            abort();
        if (kind > SHOAL_DATA_INDICATOR &&
            data_check_name("name", name.name, NULL) != SHOAL_DATA_OK)
            abort();
    }
    (void)document_generation(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    compare_json(text, size);
    try_manifest(text, size);
    if (strchr(text, '/') == NULL)
        try_names(text);
    free(text);
    return 0;
}
