/*
 * datastore/postgres/documents.c - market data, indicators and results: one row each (room: datastore). Their ids are the rows'
 * numbers; within one second the larger number was written later.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "datastore/postgres/backend.h"

/* ---- Saving ---- */

struct save {
    const struct shoal_data_document *document;
    int64_t time_s;
    uint8_t key[16];
    int64_t id;
};

static int32_t save_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    /* An earlier attempt that is still being committed makes the insert wait; then the second half finds its row. */
    static const struct pg_statement insert = { "save_document",
        "INSERT INTO shoal_data.documents (key, kind, symbol, timeframe, name, generation, time_s,"
        " size_bytes, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " ON CONFLICT (key) DO NOTHING RETURNING id" };
    static const struct pg_statement find = { "find_saved",
        "SELECT id FROM shoal_data.documents WHERE key = $1" };
    struct save *save = context;
    const struct shoal_data_document *document = save->document;
    struct pg_params params = { 0 };
    pg_add_uuid(&params, save->key);
    pg_add_int4(&params, document->kind);
    pg_add_text(&params, document->symbol == NULL ? "" : document->symbol);
    pg_add_text(&params, document->timeframe == NULL ? "" : document->timeframe);
    pg_add_text(&params, document->name == NULL ? "" : document->name);
    pg_add_int8(&params, document->generation);
    pg_add_int8(&params, save->time_s);
    pg_add_int8(&params, (int64_t)document->json_size);
    pg_add_text_sized(&params, document->json, document->json_size);
    PGresult *result = NULL;
    int32_t status = pg_begin(conn, document->json_size / 1000, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &insert, &params, &result, error);
    if (status == SHOAL_DATA_OK && PQntuples(result) == 0) {
        PQclear(result);
        result = NULL;
        params = (struct pg_params){ 0 };
        pg_add_uuid(&params, save->key);
        status = pg_query(conn, &find, &params, &result, error);
    }
    if (status == SHOAL_DATA_OK && PQntuples(result) == 1)
        save->id = pg_int8(result, 0, 0);
    PQclear(result);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

int32_t pg_save_document(void *handle, const struct shoal_data_document *document, char *out_id,
    struct shoal_data_error *error)
{
    struct save save = { .document = document,
        .time_s = document->time_s == 0 ? data_now_s() : document->time_s };
    pg_new_key(save.key);
    int32_t status = pg_run(handle, save_once, &save, error);
    if (status == SHOAL_DATA_OK)
        (void)snprintf(out_id, DATA_ID_SIZE_MAX, "%" PRId64, save.id); /* fits */
    return status;
}

/* ---- Loading ---- */

#define FIELDS "id, name, symbol, timeframe, time_s, generation, size_bytes"

struct load {
    const struct shoal_data_query *query;
    int32_t kind; /* of one document, with its id */
    int64_t id;
    struct shoal_data_list *list;
};

static int add_row(struct shoal_data_list *list, const PGresult *result, int row)
{
    char id[24];
    (void)snprintf(id, sizeof id, "%" PRId64, pg_int8(result, row, 0)); /* fits */
    struct shoal_data_item item = { .id = id,
        .name = pg_text(result, row, 1),
        .symbol = pg_text(result, row, 2),
        .timeframe = pg_text(result, row, 3),
        .time_s = pg_int8(result, row, 4),
        .generation = pg_int8(result, row, 5),
        .size_bytes = (uint64_t)pg_int8(result, row, 6) };
    if (PQnfields(result) <= 7)
        return data_list_add(list, &item);
    item.text = pg_text(result, row, 7);
    if (item.size_bytes != pg_size(result, row, 7) ||
        data_check_json(item.text, item.size_bytes, NULL) != SHOAL_DATA_OK)
        return data_list_add_problem(list,
            "The document %s in shoal_data.documents is no JSON text of %" PRIu64 " bytes.", id,
            item.size_bytes);
    return data_list_add(list, &item);
}

static int32_t take_rows(
    struct pg_conn *conn, struct load *load, const PGresult *result, struct shoal_data_error *error)
{
    shoal_data_list_free(load->list); /* of an earlier attempt */
    load->list = data_list_new();
    int err = load->list == NULL ? -ENOMEM : 0;
    for (int row = 0; err == 0 && row < PQntuples(result); row++)
        err = add_row(load->list, result, row);
    return err < 0 ? pg_no_memory(conn, error) : SHOAL_DATA_OK;
}

/* The statement for the parts of a query that are there. Each combination is prepared by the server on its own. */
static void make_query(
    const struct shoal_data_query *query, struct pg_params *params, char *sql, size_t size)
{
    size_t used = 0;
    int err = text_append(sql, size, &used,
        "SELECT " FIELDS
        "%s FROM shoal_data.documents WHERE kind = $1 AND time_s >= $2 AND time_s < $3",
        (query->flags & SHOAL_DATA_WITHOUT_TEXT) != 0 ? "" : ", body");
    pg_add_int4(params, query->kind);
    pg_add_int8(params, query->from_s);
    pg_add_int8(params, query->to_s);
    const char *const names[] = { "symbol", "timeframe", "name" };
    const char *const values[] = { query->symbol, query->timeframe, query->name };
    for (size_t i = 0; err == 0 && i < ARRAY_SIZE(names); i++) {
        if (values[i] == NULL)
            continue;
        pg_add_text(params, values[i]);
        err = text_append(sql, size, &used, " AND %s = $%d", names[i], params->count);
    }
    if (err == 0 && query->generation != SHOAL_DATA_ANY_GENERATION) {
        pg_add_int8(params, query->generation);
        err = text_append(sql, size, &used, " AND generation = $%d", params->count);
    }
    pg_add_int8(params, (int64_t)min_u64(query->limit, INT64_MAX));
    if (err == 0)
        err = text_append(
            sql, size, &used, " ORDER BY time_s DESC, id DESC LIMIT $%d", params->count);
    assert(err == 0);
}

static int32_t load_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    struct load *load = context;
    char sql[512];
    struct pg_params params = { 0 };
    make_query(load->query, &params, sql, sizeof sql);
    struct pg_statement statement = { "", sql };
    bool may_prepare = conn->may_prepare;
    conn->may_prepare = false; /* its text is not a constant */
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &statement, &params, &result, error);
    conn->may_prepare = may_prepare;
    if (status == SHOAL_DATA_OK)
        status = take_rows(conn, load, result, error);
    PQclear(result);
    return status;
}

int32_t pg_load_documents(void *handle, const struct shoal_data_query *query,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct load load = { .query = query };
    int32_t status = pg_run(handle, load_once, &load, error);
    if (status != SHOAL_DATA_OK) {
        shoal_data_list_free(load.list);
        return status;
    }
    *out_list = load.list;
    return data_list_status(load.list, error);
}

/* Gives NOT_FOUND for what is no id of ours: nothing has it. */
static int32_t parse_id(const char *id, int64_t *out_id, struct shoal_data_error *error)
{
    uint64_t number;
    if (text_parse_u64(id, INT64_MAX, &number) < 0)
        return data_fail(error, SHOAL_DATA_NOT_FOUND, "There is no document \"%.100s\".", id);
    *out_id = (int64_t)number;
    return SHOAL_DATA_OK;
}

static int32_t load_one(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "load_document",
        "SELECT " FIELDS ", body FROM shoal_data.documents WHERE id = $1 AND kind = $2" };
    struct load *load = context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, load->id);
    pg_add_int4(&params, load->kind);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &find, &params, &result, error);
    if (status == SHOAL_DATA_OK && PQntuples(result) == 0)
        status = data_fail(error, SHOAL_DATA_NOT_FOUND,
            "There is no document %" PRId64 " of that kind.", load->id);
    if (status == SHOAL_DATA_OK)
        status = take_rows(conn, load, result, error);
    PQclear(result);
    return status;
}

int32_t pg_load_document(void *handle, int32_t kind, const char *id,
    struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    struct load load = { .kind = kind };
    int32_t status = parse_id(id, &load.id, error);
    if (status == SHOAL_DATA_OK)
        status = pg_run(handle, load_one, &load, error);
    if (status == SHOAL_DATA_OK)
        status = data_list_status(load.list, error);
    if (status == SHOAL_DATA_OK)
        *out_list = load.list;
    else
        shoal_data_list_free(load.list);
    return status;
}

/* ---- Removing ---- */

struct removal {
    int32_t kind;
    int64_t id;
    uint8_t key[16];
};

static int32_t delete_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement remove = { "delete_document",
        "DELETE FROM shoal_data.documents WHERE id = $1 AND kind = $2 RETURNING 1" };
    struct removal *removal = context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, removal->id);
    pg_add_int4(&params, removal->kind);
    PGresult *result = NULL;
    bool is_done = false;
    int32_t status = pg_begin(conn, 0, error);
    if (status == SHOAL_DATA_OK)
        status = pg_note_call(conn, removal->key, &is_done, error);
    if (status == SHOAL_DATA_OK && !is_done) {
        status = pg_query(conn, &remove, &params, &result, error);
        if (status == SHOAL_DATA_OK && PQntuples(result) == 0)
            status = data_fail(error, SHOAL_DATA_NOT_FOUND,
                "There is no document %" PRId64 " of that kind.", removal->id);
        PQclear(result);
    }
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

int32_t pg_delete_document(
    void *handle, int32_t kind, const char *id, struct shoal_data_error *error)
{
    struct removal removal = { .kind = kind };
    int32_t status = parse_id(id, &removal.id, error);
    if (status != SHOAL_DATA_OK)
        return status;
    pg_new_key(removal.key);
    return pg_run(handle, delete_once, &removal, error);
}
