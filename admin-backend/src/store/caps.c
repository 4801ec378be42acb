#include "store/caps.h"

#define COUNTED(column, table, day)                                                                                  \
    "(SELECT COALESCE(SUM(s.clicks), 0) FROM click_stats s WHERE s." column " = " table ".id" day ")"
#define SELECT_CAPS(table, column)                                                                                   \
    "SELECT id, cap_day, cap_total, capped_until_ms,"                                                                \
    " CASE WHEN cap_day > 0 THEN " COUNTED(column, table, " AND s.day = $1") " ELSE 0 END AS today,"                 \
    " CASE WHEN cap_total > 0 THEN " COUNTED(column, table, "") " ELSE 0 END AS total FROM " table

static const struct {
    const char *each, *one, *write;
} queries[] = {
    [CAP_LINK] = { SELECT_CAPS("links", "link_id") " WHERE cap_day > 0 OR cap_total > 0 ORDER BY id",
                   SELECT_CAPS("links", "link_id") " WHERE id = $2",
                   "UPDATE links SET capped_until_ms = $2, capped_version = $3 WHERE id = $1" },
    [CAP_CAMPAIGN] = { SELECT_CAPS("campaigns", "campaign_id") " WHERE cap_day > 0 OR cap_total > 0 ORDER BY id",
                       SELECT_CAPS("campaigns", "campaign_id") " WHERE id = $2",
                       "UPDATE campaigns SET capped_until_ms = $2, capped_version = $3 WHERE id = $1" },
};

static struct cap_row
read_cap(struct db_stmt *stmt)
{
    return (struct cap_row){
        .id = db_int(stmt, "id"),
        .cap_day = db_int(stmt, "cap_day"),
        .cap_total = db_int(stmt, "cap_total"),
        .capped_until_ms = db_int(stmt, "capped_until_ms"),
        .today = db_int(stmt, "today"),
        .total = db_int(stmt, "total"),
    };
}

enum db_result
caps_each(struct db *db, enum cap_table table, int64_t day, cap_visit visit, void *ctx)
{
    struct db_stmt *stmt = db_prepare(db, queries[table].each);
    enum db_result  rc;

    db_bind_int(stmt, 1, day);
    while ((rc = db_step(stmt)) == DB_ROW) {
        const struct cap_row row = read_cap(stmt);

        if ((rc = visit(ctx, table, &row)) != DB_OK)
            break;
    }
    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
cap_load(struct db *db, enum cap_table table, int64_t id, int64_t day, struct cap_row *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt, queries[table].one, "ii", day, id);

    if (rc != DB_ROW)
        return rc;
    *row = read_cap(stmt);
    db_end(stmt);
    return DB_ROW;
}

enum db_result
cap_write(struct db *db, enum cap_table table, int64_t id, int64_t until_ms, int64_t version)
{
    return db_exec(db, queries[table].write, "iii", id, until_ms, version);
}
