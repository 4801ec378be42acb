/*
 * list.h - every list page of the product, described once per resource.
 *
 * A list is described by literals only: what it selects, its filters and its
 * sorts, each on an index.  A request picks among them by name; its values are
 * bound, never spelled into SQL.  Pages are cut by keyset: the cursor is the
 * last row's sort value and id, opaque to clients.
 */
#ifndef AFFILIATED_STORE_LIST_H
#define AFFILIATED_STORE_LIST_H

#include "service/service.h"

#define LIST_PAGE_DEFAULT 50
#define LIST_PAGE_MAX     500
#define LIST_FILTERS_MAX  16

enum list_type {
    LIST_INT,
    LIST_TEXT,
    LIST_TEXT_SET, /* "a,b,c" */
    LIST_TIME,     /* RFC 3339 to _us */
    LIST_SEARCH,
    LIST_ADDRESS   /* IPv4 or IPv6, to its bytes */
};

struct list_filter {
    const char    *name; /* the query parameter: "affiliate_id", "status", "from", "q" */
    enum list_type type;
    const char    *sql;  /* a condition; every `?` stands for the one value: "r.created_us >= ?"; SET: OR'ed per value;
                          * SEARCH: the value is lower-cased, escaped and wrapped for  LIKE ? ESCAPE '!' */
};
struct list_sort {
    const char    *name; /* "created_at": ascending; a leading '-' in the request turns it */
    const char    *sql;  /* column, indexed together with the id */
    enum list_type type; /* LIST_INT or LIST_TEXT */
};
struct list_spec {
    const char *select;  /* "SELECT r.id AS id, ... FROM referrals r JOIN ..."; its columns feed view() */
    const char *from;    /* the same FROM part alone, for the total */
    const char *id;      /* "r.id" */
    const struct list_filter *filters; /* ends with name NULL */
    const struct list_sort   *sorts;   /* ends with name NULL; the first one, descending, is the default */
    json_t    *(*view)(struct db_stmt *row); /* one object in the API's shape; new reference */
    /* Adds to an object what lies in rows of their own: a query an object, so for short lists. May be NULL. */
    enum db_result (*extend)(struct db *db, json_t *object);
    /* Adds to an object what no row knows: addresses that depend on the configuration. May be NULL. */
    void       (*complete)(json_t *object, const struct service *service);
    /* Adds to a single object what pages do not show, in the same transaction. May be NULL. */
    enum db_result (*details)(struct db *db, int64_t id, json_t *object);
    /* Members that speak of a person, NULL at the end: the audit log, which is never erased, goes without. May be NULL. */
    const char *const *personal;
    /*
     * What an agent sees: a condition, whose every `?` is their staff id; NULL: everything.  What an affiliate sees:
     * likewise, by its id; NULL: nothing.  Whatever somebody asks for or changes goes through it.
     */
    const char *agents, *affiliates;
};

/* What a request asked for; strings borrowed.  HTTP fills it from the query, other callers by hand. */
struct list_query {
    int         page_size; /* 0: LIST_PAGE_DEFAULT */
    const char *cursor;    /* NULL: the first page */
    const char *sort;      /* NULL: the default */
    const struct actor *viewer; /* who asks; NULL: we ourselves */
    int         count;
    struct { const char *name, *value; } filters[LIST_FILTERS_MAX];
};

static inline void
list_complete(const struct list_spec *spec, json_t *object, const struct service *service)
{
    if (spec->complete != NULL && object != NULL)
        spec->complete(object, service);
}

/* One object by id through the same select and view. DB_ROW with *object a new reference, DB_DONE, or an error. */
enum db_result list_one(struct db *db, const struct list_spec *spec, int64_t id, json_t **object);
/* The same for somebody: DB_DONE also when it is none of their business. */
enum db_result list_seen(struct db *db, const struct list_spec *spec, const struct actor *viewer, int64_t id,
                         json_t **object);

/*
 * *page: {"data":[...],"next_cursor":string|null,"total":n,"total_exact":bool}; beyond 100,000 the total says
 * "at least".
 * An unknown name or bad value is SERVICE_INVALID with its field.
 */
enum service_result list_run(struct db *db, const struct list_spec *spec, const struct list_query *query,
                             json_t **page, struct service_error *error);

#endif
