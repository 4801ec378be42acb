#include "store/lead_view.h"

static enum db_result
add_part(struct db *db, int64_t id, json_t *object, const struct details_part *part)
{
    struct db_stmt *row = db_prepare(db, part->sql);
    json_t         *rows = json_array();
    enum db_result  rc;

    json_object_set_new(object, part->name, rows);
    if (row == NULL || rows == NULL)
        return DB_FAILED;
    db_bind_int(row, 1, id);
    while ((rc = db_step(row)) == DB_ROW) {
        if (json_array_append_new(rows, part->view(row)) != 0) {
            rc = DB_FAILED;
            break;
        }
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
details_add(struct db *db, int64_t id, json_t *object, const struct details_part *parts)
{
    enum db_result rc = DB_OK;

    for (; rc == DB_OK && parts->name != NULL; parts++)
        rc = add_part(db, id, object, parts);
    return rc;
}
