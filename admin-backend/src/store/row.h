/*
 * row.h - a table's row as a C struct, described once: which column lies where.
 *
 * Every row begins with its id and its version (struct row_head).  Texts of a loaded row are owned by it
 * (row_free); rows to be written only borrow theirs.
 */
#ifndef AFFILIATED_STORE_ROW_H
#define AFFILIATED_STORE_ROW_H

#include "db/db.h"

enum row_type {
    ROW_INT,      /* int64_t */
    ROW_OPTIONAL, /* int64_t; 0 is stored as NULL: ids and times that may be absent */
    ROW_TEXT,     /* char * */
    ROW_NULLABLE, /* char *; NULL is NULL */
    ROW_BYTES     /* struct row_bytes; none is NULL */
};

struct row_bytes {
    uint8_t *data;
    size_t   len;
};

struct row_head {
    int64_t id, version;
};

struct row_column {
    const char   *name; /* NULL ends a list */
    enum row_type type;
    size_t        offset;
};

struct row_table {
    const char              *select; /* ... WHERE id = $1 */
    const char              *insert; /* parameters: the columns in order, then the time; RETURNING id */
    const char              *update; /* parameters: the columns in order, then id, then (when dated) the time */
    bool                     dated;
    const struct row_column *columns;
    size_t                   size; /* of the struct */
};

/* `columns` and `values`: "name, state, version" and "$1, $2, $3"; created and id: the parameters after them. */
#define ROW_TABLE(table, names, values, next, row_columns, row_struct)                                               \
    { "SELECT id, " names " FROM " table " WHERE id = $1",                                                           \
      "INSERT INTO " table " (" names ", created_us) VALUES (" values ", " next ") RETURNING id",                    \
      "UPDATE " table " SET (" names ") = (" values ") WHERE id = " next, false, row_columns, sizeof(row_struct) }
#define ROW_TABLE_DATED(table, names, values, next, last, row_columns, row_struct)                                   \
    { "SELECT id, " names " FROM " table " WHERE id = $1",                                                           \
      "INSERT INTO " table " (" names ", created_us, updated_us) VALUES (" values ", " next ", " next                \
      ") RETURNING id",                                                                                              \
      "UPDATE " table " SET (" names ", updated_us) = (" values ", " last ") WHERE id = " next, true, row_columns,   \
      sizeof(row_struct) }

/* DB_ROW, DB_DONE or an error. */
enum db_result row_load(struct db *db, const struct row_table *table, int64_t id, void *row);
/* Of a statement whose select names the table's columns and which stands on a row. */
void           row_read(struct db_stmt *stmt, const struct row_table *table, void *row);
/* Sets the row's id. */
enum db_result row_insert(struct db *db, const struct row_table *table, void *row, uint64_t now_us);
/* Writes every column of the row that its id names. */
enum db_result row_update(struct db *db, const struct row_table *table, const void *row, uint64_t now_us);
void           row_free(const struct row_table *table, void *row);

#endif
