#include "store/row.h"

#include <stdlib.h>
#include <string.h>

static int64_t *
number_at(void *row, const struct row_column *column)
{
    return (int64_t *) (void *) ((char *) row + column->offset);
}

static char **
text_at(void *row, const struct row_column *column)
{
    return (char **) (void *) ((char *) row + column->offset);
}

static struct row_bytes *
bytes_at(void *row, const struct row_column *column)
{
    return (struct row_bytes *) (void *) ((char *) row + column->offset);
}

/* No memory becomes NULL: writers check nothing, the database's NOT NULL does. */
static void
read_column(struct db_stmt *stmt, const struct row_column *column, void *row)
{
    struct row_bytes *bytes;
    const void       *data;
    const char       *text;

    switch (column->type) {
    case ROW_INT:
    case ROW_OPTIONAL:
        *number_at(row, column) = db_int(stmt, column->name);
        return;
    case ROW_TEXT:
    case ROW_NULLABLE:
        text = db_text(stmt, column->name);
        *text_at(row, column) = text == NULL ? NULL : strdup(text);
        return;
    case ROW_BYTES:
        bytes = bytes_at(row, column);
        data = db_bytes(stmt, column->name, &bytes->len);
        bytes->data = data == NULL || bytes->len == 0 ? NULL : malloc(bytes->len);
        if (bytes->data != NULL)
            memcpy(bytes->data, data, bytes->len);
        return;
    }
}

void
row_read(struct db_stmt *stmt, const struct row_table *table, void *row)
{
    memset(row, 0, table->size);
    ((struct row_head *) row)->id = db_int(stmt, "id");
    for (const struct row_column *column = table->columns; column->name != NULL; column++)
        read_column(stmt, column, row);
}

enum db_result
row_load(struct db *db, const struct row_table *table, int64_t id, void *row)
{
    struct db_stmt *stmt;
    enum db_result  rc = db_query(db, &stmt, table->select, "i", id);

    if (rc != DB_ROW)
        return rc;
    row_read(stmt, table, row);
    db_end(stmt);
    return DB_ROW;
}

/* Returns the number of the parameter after the columns. */
static int
bind_columns(struct db_stmt *stmt, const struct row_table *table, const void *from)
{
    void *row = (void *) (uintptr_t) from;
    int   index = 1;

    for (const struct row_column *column = table->columns; column->name != NULL; column++, index++) {
        switch (column->type) {
        case ROW_INT:
            db_bind_int(stmt, index, *number_at(row, column));
            break;
        case ROW_OPTIONAL:
            if (*number_at(row, column) == 0)
                db_bind_null(stmt, index);
            else
                db_bind_int(stmt, index, *number_at(row, column));
            break;
        case ROW_TEXT:
        case ROW_NULLABLE:
            db_bind_text(stmt, index, *text_at(row, column));
            break;
        case ROW_BYTES:
            if (bytes_at(row, column)->data == NULL)
                db_bind_null(stmt, index);
            else
                db_bind_bytes(stmt, index, bytes_at(row, column)->data, bytes_at(row, column)->len);
            break;
        }
    }
    return index;
}

enum db_result
row_insert(struct db *db, const struct row_table *table, void *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, table->insert);
    enum db_result  rc;

    if (stmt == NULL)
        return DB_FAILED;
    db_bind_int(stmt, bind_columns(stmt, table, row), (int64_t) now_us);
    rc = db_step(stmt);
    if (rc == DB_ROW)
        ((struct row_head *) row)->id = db_int(stmt, "id");
    db_end(stmt);
    return rc == DB_ROW ? DB_OK : rc == DB_DONE ? DB_FAILED : rc;
}

enum db_result
row_update(struct db *db, const struct row_table *table, const void *row, uint64_t now_us)
{
    struct db_stmt *stmt = db_prepare(db, table->update);
    enum db_result  rc;
    int             next;

    if (stmt == NULL)
        return DB_FAILED;
    next = bind_columns(stmt, table, row);
    db_bind_int(stmt, next, ((const struct row_head *) row)->id);
    if (table->dated)
        db_bind_int(stmt, next + 1, (int64_t) now_us);
    rc = db_step(stmt);
    db_end(stmt);
    return rc == DB_DONE ? DB_OK : rc;
}

void
row_free(const struct row_table *table, void *row)
{
    for (const struct row_column *column = table->columns; column->name != NULL; column++) {
        if (column->type == ROW_TEXT || column->type == ROW_NULLABLE)
            free(*text_at(row, column));
        else if (column->type == ROW_BYTES)
            free(bytes_at(row, column)->data);
    }
}
