/* What every list and object has in common: six handlers for all resources. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/http.h"
#include "service/csv.h"
#include "service/decide.h"
#include "service/view.h"

#define BULK_MAX     500
#define CSV_ROWS_MAX 50000

struct reading {
    const struct list_spec  *spec;
    const struct service    *service;
    const struct list_query *query;
    const struct actor      *viewer;
    int64_t                  id;
    json_t                  *json;
    struct service_error    *error;
    enum service_result      result;
};

static enum db_result
read_list(struct db *db, void *ctx)
{
    struct reading *reading = ctx;
    json_t         *object;
    size_t          i;

    reading->result = list_run(db, reading->spec, reading->query, &reading->json, reading->error);
    json_array_foreach(json_object_get(reading->json, "data"), i, object)
        list_complete(reading->spec, object, reading->service);
    return reading->result == SERVICE_OK ? DB_OK : DB_ABORT;
}

bool
query_fill(const struct http_request *request, struct list_query *query, struct service_error *error)
{
    for (int i = 0; i < request->query_count; i++) {
        const char *name = request->query[i].name, *value = request->query[i].value;
        int64_t     number;

        if (strcmp(name, "page_size") == 0) {
            if (!view_parse_id(value, &number) || number > LIST_PAGE_MAX) {
                service_invalid(error, "page_size", "is none of 1 to 500");
                return false;
            }
            query->page_size = (int) number;
        } else if (strcmp(name, "cursor") == 0) {
            query->cursor = value;
        } else if (strcmp(name, "sort") == 0) {
            query->sort = value;
        } else if (query->count == LIST_FILTERS_MAX) {
            service_invalid(error, name, "is one parameter too many");
            return false;
        } else {
            query->filters[query->count].name = name;
            query->filters[query->count++].value = value;
        }
    }
    return true;
}

/* One page; false: *result is why not. */
static bool
read_page(const struct http_request *request, const struct list_query *query, json_t **page,
          enum service_result *result, struct service_error *error)
{
    struct reading reading = { .spec = request->route->resource->list, .service = request->service, .query = query,
                               .error = error };
    enum db_result rc = db_read(request->service->pool, read_list, &reading);

    *result = rc != DB_OK && rc != DB_ABORT ? service_from_db(error, rc, "list") : reading.result;
    *page = reading.json;
    return *result == SERVICE_OK;
}

/* The whole list, page by page, so that no reader holds up the database; with a page_size or a cursor that page. */
static char *
read_csv(const struct http_request *request, struct list_query *query, enum service_result *result,
         struct service_error *error)
{
    bool    whole = query->page_size == 0 && query->cursor == NULL;
    json_t *rows = json_array(), *page = NULL, *last = NULL;
    char   *text = NULL;

    if (whole)
        query->page_size = LIST_PAGE_MAX;
    while (read_page(request, query, &page, result, error)) {
        json_array_extend(rows, json_object_get(page, "data"));
        json_decref(last);
        last = page;
        query->cursor = json_string_value(json_object_get(page, "next_cursor"));
        if (!whole || query->cursor == NULL)
            break;
        if (json_array_size(rows) >= CSV_ROWS_MAX) {
            *result = service_invalid(error, "from", "and to, or another filter, must leave at most 50,000 rows");
            break;
        }
    }
    if (*result == SERVICE_OK && (text = csv_of(rows)) == NULL)
        *result = service_refuse(error, SERVICE_UNAVAILABLE, "no_memory", "The server is short of memory; try again.");
    json_decref(last);
    json_decref(rows);
    return text;
}

void
resource_list(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    struct list_query    query = { .viewer = &request->session.actor };
    json_t              *page = NULL;
    char                *csv = NULL;
    enum service_result  result = SERVICE_INVALID;

    if (!query_fill(request, &query, &error))
        ;
    else if (request_wants_csv(request))
        csv = read_csv(request, &query, &result, &error);
    else
        read_page(request, &query, &page, &result, &error);
    if (result != SERVICE_OK)
        answer_service(answer, result, &error);
    else if (csv != NULL)
        answer_csv(answer, csv);
    else
        answer_json(answer, 200, page);
}

static enum db_result
read_one(struct db *db, void *ctx)
{
    struct reading *reading = ctx;
    enum db_result  rc = list_seen(db, reading->spec, reading->viewer, reading->id, &reading->json);

    list_complete(reading->spec, reading->json, reading->service);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

void
resource_get(struct http_request *request, struct http_answer *answer)
{
    const struct resource *resource = request->route->resource;
    struct service_error   error = { .fields = NULL };
    struct reading         reading = { .spec = resource->list, .service = request->service,
                                       .viewer = &request->session.actor };
    enum service_result    result;
    enum db_result         rc;

    if (!request_id(request, answer, 0, resource->name, &reading.id))
        return;
    rc = db_read(request->service->pool, read_one, &reading);
    if (rc != DB_OK)
        result = service_from_db(&error, rc, "get");
    else if (reading.json == NULL)
        result = service_refuse(&error, SERVICE_NOT_FOUND, "not_found", "There is no such %s.", resource->name);
    else
        result = SERVICE_OK;
    answer_object(answer, 200, result, reading.json, &error);
}

void
resource_create(struct http_request *request, struct http_answer *answer)
{
    struct service_error error = { .fields = NULL };
    json_t              *object = NULL;
    enum service_result  result;

    result = request->route->resource->create(request->service, &request->session.actor, request->body, &object,
                                              &error);
    answer_created(request, answer, result, object, &error);
}

void
resource_edit(struct http_request *request, struct http_answer *answer)
{
    const struct resource *resource = request->route->resource;
    struct service_error   error = { .fields = NULL };
    json_t                *object = NULL;
    int64_t                id;
    enum service_result    result;

    if (!request_id(request, answer, 0, resource->name, &id))
        return;
    result = resource->edit(request->service, &request->session.actor, id, request_version(request), request->body,
                            &object, &error);
    answer_object(answer, 200, result, object, &error);
}

/* What others refer to is archived, never deleted: a link's clicks keep leading somewhere. */
void
resource_archive(struct http_request *request, struct http_answer *answer)
{
    static const char *const no_names[] = { NULL };
    const struct resource   *resource = request->route->resource;
    struct service_error     error = { .fields = NULL };
    json_t                  *patch, *object = NULL;
    int64_t                  id;
    enum service_result      result;

    if (!request_id(request, answer, 0, resource->name, &id) || !body_only(request, answer, no_names))
        return;
    patch = json_pack("{s:s}", "state", "archived");
    result = resource->edit(request->service, &request->session.actor, id, request_version(request), patch, &object,
                            &error);
    json_decref(patch);
    answer_object(answer, 200, result, object, &error);
}

/* ---- bulk: one decision an id, each with its own verdict ---- */

/* The key of one id, so that a retry of the whole repeats none of it. No client's own key has a '/'. */
static void
sub_key(struct http_request *request, const char *id)
{
    if (request->session.actor.once != NULL)
        snprintf(request->once_key, sizeof(request->once_key), "%s/%.20s",
                 request_header(request, "Idempotency-Key"), id);
}

/* One sentence: the first field's complaint says more than "some fields are not acceptable". */
static json_t *
verdict_error(const struct service_error *error)
{
    const char *field = json_object_iter_key(json_object_iter(error->fields));

    if (field == NULL)
        return json_pack("{s:s, s:s}", "code", error->code, "message", error->message);
    return json_pack("{s:s, s:o}", "code", error->code, "message",
                     json_sprintf("%s %s", field, json_string_value(json_object_get(error->fields, field))));
}

static json_t *
act_on(struct http_request *request, const char *text, bulk_step step, const void *ctx)
{
    struct service_error error = { .fields = NULL };
    enum service_result  result;
    json_t              *verdict;
    int64_t              id;

    if (view_parse_id(text, &id)) {
        sub_key(request, text);
        result = step(request, id, ctx, &error);
    } else {
        result = service_refuse(&error, SERVICE_NOT_FOUND, "not_found", "There is no such %s.",
                                request->route->resource->name);
    }
    verdict = json_pack("{s:s, s:b}", "id", text, "ok", result == SERVICE_OK);
    if (result != SERVICE_OK)
        json_object_set_new(verdict, "error", verdict_error(&error));
    service_error_clear(&error);
    return verdict;
}

static bool
are_texts(const json_t *list)
{
    size_t  i;
    json_t *item;

    json_array_foreach(list, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(list);
}

void
resource_bulk_each(struct http_request *request, struct http_answer *answer, bulk_step step, const void *ctx)
{
    struct service_error error = { .fields = NULL };
    const json_t        *ids = json_object_get(request->body, "ids");
    json_t              *id, *verdicts;
    size_t               i;
    enum service_result  result;

    if (!are_texts(ids) || json_array_size(ids) == 0 || json_array_size(ids) > BULK_MAX)
        result = service_invalid(&error, "ids", "is no list of 1 to 500 ids");
    else
        result = decide_claim(request->service, &request->session.actor, &error);
    if (result != SERVICE_OK) {
        answer_service(answer, result, &error);
        return;
    }
    verdicts = json_array();
    json_array_foreach(ids, i, id) {
        json_array_append_new(verdicts, act_on(request, json_string_value(id), step, ctx));
    }
    answer_json(answer, 200, json_pack("{s:o}", "data", verdicts));
}

struct action {
    const char *name, *reason;
};

static enum service_result
act(struct http_request *request, int64_t id, const void *ctx, struct service_error *error)
{
    const struct action *action = ctx;

    return request->route->resource->act(request->service, &request->session.actor, id, action->name, action->reason,
                                         NULL, error);
}

void
resource_bulk(struct http_request *request, struct http_answer *answer)
{
    static const char *const names[] = { "ids", "action", "reason", NULL };
    struct action            action;

    if (!body_only(request, answer, names) || !body_text(request, answer, "action", true, &action.name)
        || !body_text(request, answer, "reason", false, &action.reason))
        return;
    resource_bulk_each(request, answer, act, &action);
}

/* ---- members of small bodies ---- */

bool
body_only(const struct http_request *request, struct http_answer *answer, const char *const names[])
{
    struct service_error error = { .fields = NULL };
    const char          *name;
    json_t              *value;
    bool                 sound = true;

    json_object_foreach(request->body, name, value) {
        int i = 0;

        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL) {
            service_invalid(&error, name, "is no field of this request");
            sound = false;
        }
    }
    if (!sound)
        answer_service(answer, SERVICE_INVALID, &error);
    return sound;
}

bool
body_text(const struct http_request *request, struct http_answer *answer, const char *name, bool required,
          const char **text)
{
    struct service_error error = { .fields = NULL };
    json_t              *value = json_object_get(request->body, name);

    *text = json_string_value(value);
    if (*text != NULL && strlen(*text) == json_string_length(value) && json_string_length(value) <= 4000)
        return true;
    if ((value == NULL || json_is_null(value)) && !required)
        return true;
    service_invalid(&error, name, value == NULL ? "is required" : "is no text of at most 4000 bytes");
    answer_service(answer, SERVICE_INVALID, &error);
    return false;
}
