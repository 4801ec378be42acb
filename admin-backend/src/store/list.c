#include "store/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "service/view.h"

#define SQL_MAX    4096
#define VALUES_MAX 32
#define SET_MAX    16
#define SEARCH_MAX 200

/* One query as it grows: literals of the spec in `sql`, the request's values in `values`. */
struct plan {
    char     sql[SQL_MAX];
    size_t   len;
    bool     overflow;
    int      count;
    struct {
        bool        is_text;
        int64_t     number;
        const char *text; /* borrowed, or from `owned` */
    } values[VALUES_MAX];
    char  *owned[VALUES_MAX];
    int    owned_count;
    bool   has_where;
};

static const struct list_sort *find_sort(const struct list_spec *spec, const char *name, bool *descending);
static bool add_filters(struct plan *plan, const struct list_spec *spec, const struct list_query *query,
                        struct service_error *error);
static bool add_cursor(struct plan *plan, const struct list_spec *spec, const struct list_sort *sort, bool descending,
                       const char *cursor, struct service_error *error);
static enum db_result fetch(struct db *db, const struct plan *plan, const struct list_spec *spec,
                            const struct list_sort *sort, int page_size, json_t **data, json_t **cursor);
static enum db_result count_all(struct db *db, const struct plan *plan, int64_t *total);
static void           plan_free(struct plan *plan);

static void
put(struct plan *plan, const char *text)
{
    size_t len = strlen(text);

    if (plan->len + len >= sizeof(plan->sql)) {
        plan->overflow = true;
        return;
    }
    memcpy(plan->sql + plan->len, text, len + 1);
    plan->len += len;
}

/* Copies a condition of the spec; each `?` becomes the parameter `index`. */
static void
put_condition(struct plan *plan, const char *sql, int index)
{
    char piece[16];

    for (; *sql != '\0'; sql++) {
        if (*sql == '?')
            snprintf(piece, sizeof(piece), "$%d", index);
        else
            snprintf(piece, sizeof(piece), "%c", *sql);
        put(plan, piece);
    }
}

static void
put_where(struct plan *plan)
{
    put(plan, plan->has_where ? " AND " : " WHERE ");
    plan->has_where = true;
}

static int
bind_number(struct plan *plan, int64_t number)
{
    if (plan->count == VALUES_MAX) {
        plan->overflow = true;
        return plan->count;
    }
    plan->values[plan->count].is_text = false;
    plan->values[plan->count].number = number;
    return ++plan->count;
}

static int
bind_text(struct plan *plan, const char *text)
{
    if (plan->count == VALUES_MAX) {
        plan->overflow = true;
        return plan->count;
    }
    plan->values[plan->count].is_text = true;
    plan->values[plan->count].text = text;
    return ++plan->count;
}

static char *
own(struct plan *plan, char *text)
{
    if (text == NULL || plan->owned_count == VALUES_MAX) {
        free(text);
        plan->overflow = true;
        return NULL;
    }
    return plan->owned[plan->owned_count++] = text;
}

enum service_result
list_run(struct db *db, const struct list_spec *spec, const struct list_query *query, json_t **page,
         struct service_error *error)
{
    struct plan             *plan = calloc(1, sizeof(*plan)), *total_plan = calloc(1, sizeof(*total_plan));
    const struct list_sort  *sort;
    bool                     descending = true;
    int                      page_size = query->page_size == 0 ? LIST_PAGE_DEFAULT : query->page_size;
    json_t                  *data = NULL, *cursor = NULL;
    int64_t                  total = 0;
    enum service_result      result = SERVICE_INVALID;
    enum db_result           rc;

    if (plan == NULL || total_plan == NULL) {
        result = service_refuse(error, SERVICE_UNAVAILABLE, "no_memory", "The server is out of memory.");
        goto done;
    }
    if (page_size < 1 || page_size > LIST_PAGE_MAX) {
        service_invalid(error, "page_size", "is none of 1 to 500");
        goto done;
    }
    sort = find_sort(spec, query->sort, &descending);
    if (sort == NULL) {
        service_invalid(error, "sort", "is no sort of this list");
        goto done;
    }

    put(total_plan, "SELECT COUNT(*) AS n");
    put(total_plan, spec->from);
    put(plan, spec->select);
    if (!add_filters(total_plan, spec, query, error) || !add_filters(plan, spec, query, error)
        || !add_cursor(plan, spec, sort, descending, query->cursor, error))
        goto done;
    put(plan, " ORDER BY ");
    put(plan, sort->sql);
    put(plan, descending ? " DESC, " : ", ");
    put(plan, spec->id);
    put(plan, descending ? " DESC LIMIT " : " LIMIT ");
    put_condition(plan, "?", bind_number(plan, page_size + 1));
    if (plan->overflow || total_plan->overflow) {
        result = service_invalid(error, "filters", "are too many at once");
        goto done;
    }

    rc = fetch(db, plan, spec, sort, page_size, &data, &cursor);
    if (rc == DB_OK)
        rc = count_all(db, total_plan, &total);
    if (rc != DB_OK) {
        result = service_from_db(error, rc, "list_run");
        goto done;
    }
    *page = json_pack("{s:O, s:O, s:I, s:b}", "data", data, "next_cursor", cursor, "total", (json_int_t) total,
                      "total_exact", 1);
    result = SERVICE_OK;

done:
    json_decref(data);
    json_decref(cursor);
    plan_free(plan);
    plan_free(total_plan);
    return result;
}

static void
plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->owned_count; i++)
        free(plan->owned[i]);
    free(plan);
}

static const struct list_sort *
find_sort(const struct list_spec *spec, const char *name, bool *descending)
{
    if (name == NULL)
        return &spec->sorts[0];
    *descending = *name == '-';
    name += *descending;
    for (const struct list_sort *sort = spec->sorts; sort->name != NULL; sort++) {
        if (strcmp(sort->name, name) == 0)
            return sort;
    }
    return NULL;
}

/* ---- filters ---- */

/* '!' escapes LIKE's own characters; ASCII is folded here, as lower() of the column is in SQL. */
static char *
search_pattern(const char *value)
{
    char *pattern = malloc(2 * strlen(value) + 3), *out = pattern;

    if (pattern == NULL)
        return NULL;
    *out++ = '%';
    for (; *value != '\0'; value++) {
        if (*value == '%' || *value == '_' || *value == '!')
            *out++ = '!';
        *out++ = *value >= 'A' && *value <= 'Z' ? (char) (*value + 32) : *value;
    }
    *out++ = '%';
    *out = '\0';
    return pattern;
}

static bool
add_set(struct plan *plan, const struct list_filter *filter, const char *value)
{
    char *copy = own(plan, strdup(value)), *rest = copy, *item;
    int   items = 0;

    if (copy == NULL)
        return false;
    put(plan, "(");
    while ((item = strsep(&rest, ",")) != NULL) {
        if (*item == '\0' || ++items > SET_MAX)
            return false;
        if (items > 1)
            put(plan, " OR ");
        put_condition(plan, filter->sql, bind_text(plan, item));
    }
    put(plan, ")");
    return true;
}

static bool
add_filter(struct plan *plan, const struct list_filter *filter, const char *value)
{
    int64_t number;

    put_where(plan);
    switch (filter->type) {
    case LIST_INT:
        if (!view_parse_id(value, &number))
            return false;
        put_condition(plan, filter->sql, bind_number(plan, number));
        return true;
    case LIST_TIME:
        if (!view_parse_time_us(value, &number))
            return false;
        put_condition(plan, filter->sql, bind_number(plan, number));
        return true;
    case LIST_TEXT:
        put_condition(plan, filter->sql, bind_text(plan, value));
        return true;
    case LIST_TEXT_SET:
        return add_set(plan, filter, value);
    case LIST_SEARCH:
        if (strlen(value) > SEARCH_MAX)
            return false;
        value = own(plan, search_pattern(value));
        put_condition(plan, filter->sql, bind_text(plan, value));
        return value != NULL;
    }
    return false;
}

static bool
add_filters(struct plan *plan, const struct list_spec *spec, const struct list_query *query,
            struct service_error *error)
{
    for (int i = 0; i < query->count; i++) {
        const struct list_filter *filter = spec->filters;

        while (filter->name != NULL && strcmp(filter->name, query->filters[i].name) != 0)
            filter++;
        if (filter->name == NULL) {
            service_invalid(error, query->filters[i].name, "is no parameter of this list");
            return false;
        }
        if (!add_filter(plan, filter, query->filters[i].value)) {
            service_invalid(error, query->filters[i].name, "has a value that this filter does not take");
            return false;
        }
    }
    return true;
}

/* ---- cursors: base64url of ["sort name", direction, sort value, id] ---- */

#define CURSOR_MAX 600

static json_t *
cursor_read(const char *cursor)
{
    unsigned char bytes[CURSOR_MAX];
    size_t        len;

    if (strlen(cursor) > CURSOR_MAX
        || sodium_base642bin(bytes, sizeof(bytes), cursor, strlen(cursor), NULL, &len, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING)
               != 0)
        return NULL;
    return json_loadb((const char *) bytes, len, 0, NULL);
}

static bool
add_cursor(struct plan *plan, const struct list_spec *spec, const struct list_sort *sort, bool descending,
           const char *cursor, struct service_error *error)
{
    json_t     *parsed = cursor == NULL ? NULL : cursor_read(cursor), *value = NULL;
    const char *name = NULL;
    json_int_t  id = 0;
    int         down = 0, first;
    bool        sound;

    if (cursor == NULL)
        return true;
    sound = parsed != NULL && json_unpack(parsed, "[s, b, o, I]", &name, &down, &value, &id) == 0
            && strcmp(name, sort->name) == 0 && (down != 0) == descending
            && (sort->type == LIST_INT ? json_is_integer(value) : json_is_string(value));
    if (sound) {
        put_where(plan);
        put(plan, "(");
        put(plan, sort->sql);
        put(plan, ", ");
        put(plan, spec->id);
        put(plan, descending ? ") < (" : ") > (");
        first = sort->type == LIST_INT ? bind_number(plan, json_integer_value(value))
                                       : bind_text(plan, own(plan, strdup(json_string_value(value))));
        put_condition(plan, "?", first);
        put(plan, ", ");
        put_condition(plan, "?", bind_number(plan, id));
        put(plan, ")");
    } else {
        service_invalid(error, "cursor", "is no cursor of this list in this order");
    }
    json_decref(parsed);
    return sound;
}

static json_t *
cursor_write(const struct list_sort *sort, bool descending, json_t *value, int64_t id)
{
    char    encoded[CURSOR_MAX * 2];
    json_t *cursor = json_pack("[s, b, O, I]", sort->name, descending, value, (json_int_t) id), *out = NULL;
    char   *text = cursor == NULL ? NULL : json_dumps(cursor, JSON_COMPACT);

    if (text != NULL && strlen(text) <= CURSOR_MAX * 3 / 4) {
        sodium_bin2base64(encoded, sizeof(encoded), (const unsigned char *) text, strlen(text),
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        out = json_string(encoded);
    }
    free(text);
    json_decref(cursor);
    return out == NULL ? json_null() : out;
}

/* ---- running ---- */

static struct db_stmt *
prepare(struct db *db, const struct plan *plan)
{
    struct db_stmt *stmt = db_prepare(db, plan->sql);

    for (int i = 0; stmt != NULL && i < plan->count; i++) {
        if (plan->values[i].is_text)
            db_bind_text(stmt, i + 1, plan->values[i].text);
        else
            db_bind_int(stmt, i + 1, plan->values[i].number);
    }
    return stmt;
}

/* The last part of "r.created_us": what the select calls that column. */
static const char *
column_of(const char *sql)
{
    const char *dot = strrchr(sql, '.');

    return dot == NULL ? sql : dot + 1;
}

static enum db_result
fetch(struct db *db, const struct plan *plan, const struct list_spec *spec, const struct list_sort *sort, int page_size,
      json_t **data, json_t **cursor)
{
    struct db_stmt *row = prepare(db, plan);
    const char     *column = column_of(sort->sql);
    bool            descending = strstr(plan->sql, " DESC LIMIT ") != NULL;
    json_t         *last = NULL;
    int64_t         last_id = 0;
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    *data = json_array();
    *cursor = json_null();
    while ((rc = db_step(row)) == DB_ROW) {
        if ((int) json_array_size(*data) == page_size) { /* one more than the page: there is a next one */
            *cursor = cursor_write(sort, descending, last, last_id);
            rc = DB_DONE;
            break;
        }
        json_array_append_new(*data, spec->view(row));
        json_decref(last);
        last = sort->type == LIST_INT ? json_integer(db_int(row, column)) : json_string(db_text(row, column));
        last_id = db_int(row, "id");
    }
    json_decref(last);
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

static enum db_result
count_all(struct db *db, const struct plan *plan, int64_t *total)
{
    struct db_stmt *row = prepare(db, plan);
    enum db_result  rc;

    if (row == NULL)
        return DB_FAILED;
    rc = db_step(row);
    if (rc == DB_ROW)
        *total = db_int(row, "n");
    db_end(row);
    return rc == DB_ROW ? DB_OK : rc == DB_DONE ? DB_FAILED : rc;
}

enum db_result
list_one(struct db *db, const struct list_spec *spec, int64_t id, json_t **object)
{
    struct plan    *plan = calloc(1, sizeof(*plan));
    struct db_stmt *row;
    enum db_result  rc = DB_FAILED;

    if (plan == NULL)
        return DB_FAILED;
    put(plan, spec->select);
    put_where(plan);
    put(plan, spec->id);
    put(plan, " = ");
    put_condition(plan, "?", bind_number(plan, id));
    row = prepare(db, plan);
    if (row != NULL) {
        rc = db_step(row);
        if (rc == DB_ROW && (*object = spec->view(row)) == NULL)
            rc = DB_FAILED;
        db_end(row);
    }
    plan_free(plan);
    return rc;
}
