/*
 * datastore/postgres/schema.c - the migrations (room: datastore). One that has been released never changes: a change of the
 * tables is a new row at the end, and docs/formats/datastore-postgres.md first.
 */
#include "datastore/postgres/schema.h"

/* Makes of two numbers one lock of this database: "Shoa", 0. */
#define LOCK_MIGRATION "SELECT pg_advisory_xact_lock(1399353185, 0)"

static const char migration_1[] =
    "CREATE TABLE shoal_data.calls ("
    "  key uuid PRIMARY KEY,"
    "  at_s bigint NOT NULL DEFAULT extract(epoch FROM clock_timestamp())::bigint);"
    "CREATE INDEX calls_at ON shoal_data.calls (at_s);"

    "CREATE TABLE shoal_data.series ("
    "  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  symbol text COLLATE \"C\" NOT NULL,"
    "  timeframe text COLLATE \"C\" NOT NULL,"
    "  UNIQUE (symbol, timeframe));"
    "CREATE TABLE shoal_data.bars ("
    "  series_id integer NOT NULL,"
    "  written_min integer NOT NULL," /* minutes since 1970: when it was written; as large as the gap it fills */
    "  ts bigint NOT NULL,"
    "  open double precision NOT NULL,"
    "  high double precision NOT NULL,"
    "  low double precision NOT NULL,"
    "  close double precision NOT NULL,"
    "  volume double precision NOT NULL,"
    "  PRIMARY KEY (series_id, ts)) PARTITION BY HASH (series_id);"
    "CREATE INDEX bars_written ON shoal_data.bars USING brin (written_min);"
    "DO $$ BEGIN"
    "  FOR i IN 0..7 LOOP"
    "    EXECUTE format('CREATE TABLE shoal_data.bars_%s PARTITION OF shoal_data.bars"
    "      FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);"
    "  END LOOP;"
    "END $$;"
    /* Finds or makes the series, keeps other writers of it out until the end of the transaction, and notes the call:
     * is_done when it has been noted before; is_tail when no stored bar is as late as first_ts. */
    "CREATE FUNCTION shoal_data.begin_append(call uuid, sym text, tf text, first_ts bigint,"
    "  OUT series integer, OUT is_done boolean, OUT is_tail boolean, OUT written integer) LANGUAGE "
    "plpgsql AS $$ "
    "BEGIN"
    "  SELECT s.id INTO series FROM shoal_data.series s WHERE s.symbol = sym AND s.timeframe = tf;"
    "  IF series IS NULL THEN"
    "    INSERT INTO shoal_data.series (symbol, timeframe) VALUES (sym, tf) ON CONFLICT DO NOTHING;"
    "    SELECT s.id INTO STRICT series FROM shoal_data.series s"
    "      WHERE s.symbol = sym AND s.timeframe = tf;"
    "  END IF;"
    "  PERFORM pg_advisory_xact_lock(1399353186, series);"
    "  INSERT INTO shoal_data.calls (key) VALUES (call) ON CONFLICT DO NOTHING;"
    "  is_done := NOT FOUND;"
    "  written := extract(epoch FROM clock_timestamp())::bigint / 60;"
    "  is_tail := NOT EXISTS (SELECT FROM shoal_data.bars b"
    "    WHERE b.series_id = series AND b.ts >= first_ts);"
    "END $$;"

    "CREATE TABLE shoal_data.documents ("
    "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  key uuid NOT NULL UNIQUE,"
    "  kind smallint NOT NULL,"
    "  symbol text COLLATE \"C\" NOT NULL,"
    "  timeframe text COLLATE \"C\" NOT NULL,"
    "  name text COLLATE \"C\" NOT NULL,"
    "  generation bigint NOT NULL,"
    "  time_s bigint NOT NULL,"
    "  saved_s bigint NOT NULL DEFAULT extract(epoch FROM clock_timestamp())::bigint,"
    "  size_bytes bigint NOT NULL,"
    "  body text NOT NULL);"
    "CREATE INDEX documents_by_time ON shoal_data.documents (kind, time_s DESC, id DESC);"
    "CREATE INDEX documents_by_symbol"
    "  ON shoal_data.documents (kind, symbol, timeframe, time_s DESC, id DESC);"
    "CREATE INDEX documents_by_name ON shoal_data.documents (kind, name, time_s DESC, id DESC);"
    "CREATE INDEX documents_by_saved ON shoal_data.documents (kind, saved_s);"
    "CREATE INDEX documents_by_generation"
    "  ON shoal_data.documents (kind, generation, time_s DESC, id DESC) WHERE generation >= 0;"

    "CREATE TABLE shoal_data.checkpoints ("
    "  id text COLLATE \"C\" PRIMARY KEY,"
    "  latest bigint NOT NULL,"
    "  last_version bigint NOT NULL);"
    "CREATE TABLE shoal_data.versions ("
    "  checkpoint text COLLATE \"C\" NOT NULL REFERENCES shoal_data.checkpoints (id),"
    "  version bigint NOT NULL,"
    "  key uuid NOT NULL UNIQUE,"
    "  saved_s bigint NOT NULL,"
    "  size_bytes bigint NOT NULL,"
    "  shard_count integer NOT NULL,"
    "  metadata text NOT NULL,"
    "  PRIMARY KEY (checkpoint, version));"
    "CREATE TABLE shoal_data.shards ("
    "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  checkpoint text COLLATE \"C\" NOT NULL,"
    "  session text COLLATE \"C\" NOT NULL,"
    "  shard_index integer NOT NULL,"
    "  shard_count integer NOT NULL,"
    "  state smallint NOT NULL," /* 0 being written, 1 finished, 2 of a version, 3 to be removed */
    "  version bigint NOT NULL DEFAULT 0,"
    "  start_bytes bigint NOT NULL DEFAULT 0,"
    "  size_bytes bigint NOT NULL DEFAULT 0,"
    "  begun_s bigint NOT NULL);"
    "CREATE UNIQUE INDEX shards_session ON shoal_data.shards (checkpoint, session, shard_index)"
    "  WHERE state < 2;"
    "CREATE INDEX shards_version ON shoal_data.shards (checkpoint, version) WHERE state = 2;"
    "CREATE INDEX shards_gone ON shoal_data.shards (id) WHERE state = 3;"
    "CREATE TABLE shoal_data.chunks ("
    "  shard_id bigint NOT NULL REFERENCES shoal_data.shards (id),"
    "  chunk bigint NOT NULL,"
    "  checksum bigint NOT NULL,"
    "  data bytea NOT NULL,"
    "  PRIMARY KEY (shard_id, chunk));"
    "ALTER TABLE shoal_data.chunks ALTER COLUMN data SET STORAGE EXTERNAL;";

static const char *const migrations[] = { migration_1 };

int64_t pg_schema_version(void)
{
    return (int64_t)ARRAY_SIZE(migrations);
}

/* The version in the database; -1: there is no schema of ours. */
static int32_t read_version(
    struct pg_conn *conn, int64_t *out_version, struct shoal_data_error *error)
{
    /* Not to_regclass(): it may answer from what the session has cached before it waited for the lock. */
    static const struct pg_statement exists = { "",
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
        " ON n.oid = c.relnamespace WHERE n.nspname = 'shoal_data' AND c.relname = "
        "'schema_version')" };
    static const struct pg_statement last = { "",
        "SELECT coalesce(max(version), 0) FROM shoal_data.schema_version" };
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &exists, NULL, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    bool is_there = pg_bool(result, 0, 0);
    PQclear(result);
    *out_version = -1;
    if (!is_there)
        return SHOAL_DATA_OK;
    status = pg_query(conn, &last, NULL, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    *out_version = pg_int8(result, 0, 0);
    PQclear(result);
    return SHOAL_DATA_OK;
}

/* Makes the next step, if nobody has made it meanwhile, and tells what the version is then. */
static int32_t migrate_one(struct pg_conn *conn, int64_t *version, struct shoal_data_error *error)
{
    static const struct pg_statement note = { "",
        "INSERT INTO shoal_data.schema_version (version) VALUES ($1)" };
    int32_t status = pg_begin(conn, 600000, error);
    if (status == SHOAL_DATA_OK)
        status = pg_command(conn, LOCK_MIGRATION, error);
    if (status == SHOAL_DATA_OK)
        status = read_version(conn, version, error);
    if (status == SHOAL_DATA_OK && *version < 0) {
        status = pg_command(conn,
            "CREATE SCHEMA IF NOT EXISTS shoal_data;"
            "CREATE TABLE shoal_data.schema_version ("
            "  version bigint PRIMARY KEY,"
            "  applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
            error);
        *version = 0;
    }
    if (status == SHOAL_DATA_OK && *version < pg_schema_version()) {
        struct pg_params params = { 0 };
        pg_add_int8(&params, *version + 1);
        status = pg_command(conn, migrations[*version], error);
        if (status == SHOAL_DATA_OK)
            status = pg_query(conn, &note, &params, NULL, error);
        *version += 1;
    }
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

int32_t pg_schema_prepare(struct pg_conn *conn, bool create, struct shoal_data_error *error)
{
    int64_t version = 0;
    bool may_prepare = conn->may_prepare;
    conn->may_prepare = false; /* these run once */
    int32_t status = read_version(conn, &version, error);
    if (status == SHOAL_DATA_OK && version < 0 && !create)
        status = data_fail(error, SHOAL_DATA_NOT_FOUND,
            "The database %s has no schema shoal_data; open it with `create` to make it.",
            conn->target->shown);
    while (status == SHOAL_DATA_OK && version < pg_schema_version())
        status = migrate_one(conn, &version, error);
    if (status == SHOAL_DATA_OK && version > pg_schema_version()) {
        conn->may_retry = false;
        status = data_fail(error, SHOAL_DATA_SCHEMA_MISMATCH,
            "The schema of %s has version %lld, and this program knows versions up to %lld: use a "
            "newer one.",
            conn->target->shown, (long long)version, (long long)pg_schema_version());
    }
    conn->may_prepare = may_prepare;
    return status;
}
