#include "store/list.h"

#include <arpa/inet.h>
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
#define COUNT_MAX  100000 /* rows looked at for a total: a few milliseconds */

/* One query as it grows: literals of the spec in `sql`, the request's values in `values`. */
struct plan {
    const struct list_spec *spec;
    const struct list_sort *sort;
    bool                    descending;
    int                     page_size;

    char     sql[SQL_MAX];
    size_t   len;
    bool     overflow;
    int      count;
    struct {
        enum { VALUE_NUMBER, VALUE_TEXT, VALUE_BYTES } type;
        int64_t     number; /* BYTES: how many */
        const char *text;   /* borrowed, or from `owned` */
    } values[VALUES_MAX];
    char  *owned[VALUES_MAX];
    int    owned_count;
    bool   has_where;
};

static bool find_sort(struct plan *plan, const char *name, struct service_error *error);
static bool add_filters(struct plan *plan, const struct list_query *query, struct service_error *error);
static bool add_cursor(struct plan *plan, const char *cursor, struct service_error *error);
static enum db_result fetch(struct db *db, const struct plan *plan, json_t **data, json_t **cursor);
static enum db_result count_all(struct db *db, const struct plan *plan, int64_t *total);

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
    plan->values[plan->count].type = VALUE_NUMBER;
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
    plan->values[plan->count].type = VALUE_TEXT;
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

static struct plan *
plan_new(const struct list_spec *spec)
{
    struct plan *plan = calloc(1, sizeof(*plan));

    if (plan != NULL)
        plan->spec = spec;
    return plan;
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

/* In one place for lists, objects and changes (decide.c). */
static void
add_viewer(struct plan *plan, const struct actor *viewer)
{
    const char *condition = NULL;

    if (viewer == NULL)
        return;
    if (strcmp(viewer->role, "agent") == 0)
        condition = plan->spec->agents;
    else if (strcmp(viewer->role, "affiliate") == 0)
        condition = plan->spec->affiliates != NULL ? plan->spec->affiliates : "1 = 0";
    if (condition == NULL)
        return;
    put_where(plan);
    put_condition(plan, condition, strchr(condition, '?') == NULL ? 0 : bind_number(plan, viewer->id));
}

static bool
plan_page(struct plan *plan, const struct list_query *query, struct service_error *error)
{
    plan->page_size = query->page_size == 0 ? LIST_PAGE_DEFAULT : query->page_size;
    if (plan->page_size < 1 || plan->page_size > LIST_PAGE_MAX) {
        service_invalid(error, "page_size", "is none of 1 to 500");
        return false;
    }
    put(plan, plan->spec->select);
    add_viewer(plan, query->viewer);
    if (!find_sort(plan, query->sort, error) || !add_filters(plan, query, error)
        || !add_cursor(plan, query->cursor, error))
        return false;
    put(plan, " ORDER BY ");
    put(plan, plan->sort->sql);
    put(plan, plan->descending ? " DESC, " : ", ");
    put(plan, plan->spec->id);
    put(plan, plan->descending ? " DESC LIMIT " : " LIMIT ");
    put_condition(plan, "?", bind_number(plan, plan->page_size + 1));
    return true;
}

/* A total is exact while that is cheap; beyond COUNT_MAX it says "at least". */
static bool
plan_total(struct plan *plan, const struct list_query *query, struct service_error *error)
{
    put(plan, "SELECT COUNT(*) AS n FROM (SELECT 1 AS one");
    put(plan, plan->spec->from);
    add_viewer(plan, query->viewer);
    if (!add_filters(plan, query, error))
        return false;
    put(plan, " LIMIT ");
    put_condition(plan, "?", bind_number(plan, COUNT_MAX + 1));
    put(plan, ") counted");
    return true;
}

static enum db_result
extend_all(struct db *db, const struct list_spec *spec, json_t *data)
{
    enum db_result rc = DB_OK;
    json_t        *object;
    size_t         i;

    if (spec->extend == NULL)
        return DB_OK;
    json_array_foreach(data, i, object) {
        if ((rc = spec->extend(db, object)) != DB_OK)
            break;
    }
    return rc;
}

static enum service_result
run(struct db *db, const struct plan *plan, const struct plan *total_plan, json_t **page, struct service_error *error)
{
    json_t        *data = NULL, *cursor = NULL;
    int64_t        total = 0;
    enum db_result rc = fetch(db, plan, &data, &cursor);

    if (rc == DB_OK)
        rc = extend_all(db, plan->spec, data);
    if (rc == DB_OK)
        rc = count_all(db, total_plan, &total);
    if (rc != DB_OK) {
        json_decref(data);
        json_decref(cursor);
        return service_from_db(error, rc, "list_run");
    }
    *page = json_pack("{s:o, s:o, s:I, s:b}", "data", data, "next_cursor", cursor, "total",
                      (json_int_t) (total > COUNT_MAX ? COUNT_MAX : total), "total_exact", total <= COUNT_MAX);
    return SERVICE_OK;
}

enum service_result
list_run(struct db *db, const struct list_spec *spec, const struct list_query *query, json_t **page,
         struct service_error *error)
{
    struct plan        *plan = plan_new(spec), *total_plan = plan_new(spec);
    enum service_result result;

    if (plan == NULL || total_plan == NULL)
        result = service_refuse(error, SERVICE_UNAVAILABLE, "no_memory", "The server is short of memory; try again.");
    else if (!plan_page(plan, query, error) || !plan_total(total_plan, query, error))
        result = SERVICE_INVALID;
    else if (plan->overflow || total_plan->overflow)
        result = service_invalid(error, "filters", "are too many at once");
    else
        result = run(db, plan, total_plan, page, error);
    plan_free(plan);
    plan_free(total_plan);
    return result;
}

static bool
find_sort(struct plan *plan, const char *name, struct service_error *error)
{
    plan->sort = plan->spec->sorts;
    plan->descending = name == NULL || *name == '-';
    if (name == NULL)
        return true;
    name += plan->descending;
    for (; plan->sort->name != NULL; plan->sort++) {
        if (strcmp(plan->sort->name, name) == 0)
            return true;
    }
    service_invalid(error, "sort", "is no sort of this list");
    return false;
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
add_address(struct plan *plan, const struct list_filter *filter, const char *value)
{
    char *bytes = own(plan, malloc(16));
    int   index;

    if (bytes == NULL)
        return false;
    index = bind_text(plan, bytes);
    put_condition(plan, filter->sql, index);
    if (plan->overflow)
        return true;
    plan->values[index - 1].type = VALUE_BYTES;
    plan->values[index - 1].number = strchr(value, ':') == NULL ? 4 : 16;
    return inet_pton(strchr(value, ':') == NULL ? AF_INET : AF_INET6, value, bytes) == 1;
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
    case LIST_ADDRESS:
        return add_address(plan, filter, value);
    }
    return false;
}

static bool
add_filters(struct plan *plan, const struct list_query *query, struct service_error *error)
{
    for (int i = 0; i < query->count; i++) {
        const struct list_filter *filter = plan->spec->filters;

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
add_cursor(struct plan *plan, const char *cursor, struct service_error *error)
{
    const struct list_sort *sort = plan->sort;
    json_t     *parsed = cursor == NULL ? NULL : cursor_read(cursor), *value = NULL;
    const char *name = NULL;
    json_int_t  id = 0;
    int         down = 0;
    bool        sound;

    if (cursor == NULL)
        return true;
    sound = parsed != NULL && json_unpack(parsed, "[s, b, o, I]", &name, &down, &value, &id) == 0
            && strcmp(name, sort->name) == 0 && (down != 0) == plan->descending
            && (sort->type == LIST_INT ? json_is_integer(value) : json_is_string(value));
    if (sound) {
        put_where(plan);
        put(plan, "(");
        put(plan, sort->sql);
        put(plan, ", ");
        put(plan, plan->spec->id);
        put(plan, plan->descending ? ") < (" : ") > (");
        put_condition(plan, "?", sort->type == LIST_INT
                                     ? bind_number(plan, json_integer_value(value))
                                     : bind_text(plan, own(plan, strdup(json_string_value(value)))));
        put(plan, ", ");
        put_condition(plan, "?", bind_number(plan, id));
        put(plan, ")");
    } else {
        service_invalid(error, "cursor", "is no cursor of this list in this order");
    }
    json_decref(parsed);
    return sound;
}

/* NULL: it cannot be made. Sort values are names and numbers: they fit. */
static json_t *
cursor_write(const struct plan *plan, json_t *value, int64_t id)
{
    char    encoded[CURSOR_MAX + 1];
    json_t *cursor = json_pack("[s, b, O, I]", plan->sort->name, plan->descending, value, (json_int_t) id), *out = NULL;
    char   *text = cursor == NULL ? NULL : json_dumps(cursor, JSON_COMPACT);

    if (text != NULL && strlen(text) <= CURSOR_MAX * 3 / 4) {
        sodium_bin2base64(encoded, sizeof(encoded), (const unsigned char *) text, strlen(text),
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        out = json_string(encoded);
    }
    free(text);
    json_decref(cursor);
    return out;
}

/* ---- running ---- */

static struct db_stmt *
prepare(struct db *db, const struct plan *plan)
{
    struct db_stmt *stmt = db_prepare(db, plan->sql);

    for (int i = 0; stmt != NULL && i < plan->count; i++) {
        switch (plan->values[i].type) {
        case VALUE_NUMBER:
            db_bind_int(stmt, i + 1, plan->values[i].number);
            break;
        case VALUE_TEXT:
            db_bind_text(stmt, i + 1, plan->values[i].text);
            break;
        case VALUE_BYTES:
            db_bind_bytes(stmt, i + 1, plan->values[i].text, (size_t) plan->values[i].number);
            break;
        }
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

static json_t *
sort_value(const struct plan *plan, struct db_stmt *row)
{
    const char *column = column_of(plan->sort->sql);

    return plan->sort->type == LIST_INT ? json_integer(db_int(row, column)) : json_string(db_text(row, column));
}

/*
 * A row more than the page was asked for: when it comes, there is a next page, which begins after the last
 * one shown.
 */
static enum db_result
fetch(struct db *db, const struct plan *plan, json_t **data, json_t **cursor)
{
    struct db_stmt *row = prepare(db, plan);
    json_t         *last = NULL;
    int64_t         last_id = 0;
    enum db_result  rc = row == NULL ? DB_FAILED : DB_ROW;

    *data = json_array();
    *cursor = NULL;
    while (rc == DB_ROW && (rc = db_step(row)) == DB_ROW) {
        if ((int) json_array_size(*data) == plan->page_size) {
            *cursor = cursor_write(plan, last, last_id);
            rc = *cursor == NULL ? DB_FAILED : DB_DONE;
        } else {
            json_decref(last);
            last = sort_value(plan, row);
            last_id = db_int(row, "id");
            rc = json_array_append_new(*data, plan->spec->view(row)) == 0 ? DB_ROW : DB_FAILED;
        }
    }
    json_decref(last);
    db_end(row);
    if (*cursor == NULL)
        *cursor = json_null();
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

static enum db_result
complete_one(struct db *db, const struct list_spec *spec, int64_t id, json_t *object)
{
    enum db_result rc = spec->extend == NULL ? DB_OK : spec->extend(db, object);

    return rc == DB_OK && spec->details != NULL ? spec->details(db, id, object) : rc;
}

enum db_result
list_one(struct db *db, const struct list_spec *spec, int64_t id, json_t **object)
{
    return list_seen(db, spec, NULL, id, object);
}

enum db_result
list_seen(struct db *db, const struct list_spec *spec, const struct actor *viewer, int64_t id, json_t **object)
{
    struct plan    *plan = plan_new(spec);
    struct db_stmt *row;
    enum db_result  rc = DB_FAILED;

    if (plan == NULL)
        return DB_FAILED;
    put(plan, spec->select);
    add_viewer(plan, viewer);
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
    if (rc == DB_ROW && complete_one(db, spec, id, *object) != DB_OK) {
        json_decref(*object);
        *object = NULL;
        rc = DB_FAILED;
    }
    return rc;
}
