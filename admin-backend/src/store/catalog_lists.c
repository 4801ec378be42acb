/* How the catalog looks outside, and what its lists select, filter and sort by. */
#include <string.h>

#include "service/catalog.h"
#include "service/people.h"
#include "service/plan_view.h"
#include "service/view.h"
#include "store/plan.h"

static json_t *program_view(struct db_stmt *row);
static json_t *group_view(struct db_stmt *row);
static json_t *affiliate_view(struct db_stmt *row);
static json_t *campaign_view(struct db_stmt *row);
static json_t *link_view(struct db_stmt *row);
static json_t *api_user_view(struct db_stmt *row);
static enum db_result api_user_extend(struct db *db, json_t *user);
static void    api_user_complete(json_t *user, const struct service *service);
static json_t *audit_view(struct db_stmt *row);
static json_t *staff_view(struct db_stmt *row);

static const struct list_filter no_filters[] = { { NULL, LIST_INT, NULL } };

static const struct list_sort program_sorts[] = { { "created_at", "p.created_us", LIST_INT }, { NULL, NULL, LIST_INT } };
const struct list_spec program_list = {
    .select = "SELECT p.id AS id, p.name AS name, p.currency AS currency, p.time_zone AS time_zone,"
              " p.attribution AS attribution, p.cookie_days AS cookie_days, p.fallback AS fallback,"
              " p.tracking_domain AS tracking_domain, p.state AS state, p.created_us AS created_us,"
              " p.first_share_ppm AS first_share_ppm, p.precedence AS precedence, p.recurring_events AS recurring_events,"
              " p.platform_url AS platform_url, p.platform_user_id AS platform_user_id,"
              " p.version AS version, " PLAN_COLUMNS " FROM programs p" PLAN_JOIN("program", "p.id"),
    .from = " FROM programs p",
    .id = "p.id",
    .filters = no_filters,
    .sorts = program_sorts,
    .view = program_view,
};

static json_t *
program_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "name", view_column_text(row, "name"),
                     "currency", view_column_text(row, "currency"),
                     "time_zone", view_column_text(row, "time_zone"),
                     "attribution", view_column_text(row, "attribution"),
                     "first_share", view_ppm(db_int(row, "first_share_ppm")),
                     "precedence", view_column_json(row, "precedence"),
                     "recurring_events", view_column_json(row, "recurring_events"),
                     "cookie_days", (json_int_t) db_int(row, "cookie_days"),
                     "fallback", view_column_text(row, "fallback"),
                     "tracking_domain", view_column_text(row, "tracking_domain"),
                     "platform_url", view_column_text(row, "platform_url"),
                     "platform_user_id", view_column_id(row, "platform_user_id"),
                     "commission", plan_row_view(row),
                     "state", view_column_text(row, "state"),
                     "created_at", view_column_time(row, "created_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

static const struct list_filter group_filters[] = {
    { "q", LIST_SEARCH, "lower(g.name) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort group_sorts[] = {
    { "created_at", "g.created_us", LIST_INT },
    { "name", "g.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
#define GROUP_FROM " FROM affiliate_groups g JOIN programs p ON p.id = g.program_id"
const struct list_spec group_list = {
    .select = "SELECT g.id AS id, g.name AS name, g.minimum_payout_minor AS minimum_minor, p.currency AS currency,"
              " g.payout_frequency AS payout_frequency, g.payout_methods AS payout_methods,"
              " (SELECT COUNT(*) FROM affiliates a WHERE a.group_id = g.id) AS affiliate_count,"
              " g.created_us AS created_us, g.version AS version, " PLAN_COLUMNS GROUP_FROM PLAN_JOIN("group", "g.id"),
    .from = GROUP_FROM,
    .id = "g.id",
    .filters = group_filters,
    .sorts = group_sorts,
    .view = group_view,
};

static json_t *
group_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "name", view_column_text(row, "name"),
                     "commission", plan_row_view(row),
                     "minimum_payout", view_column_money(row, "minimum_minor", "currency"),
                     "payout_frequency", view_column_text(row, "payout_frequency"),
                     "payout_methods", view_column_json(row, "payout_methods"),
                     "affiliate_count", (json_int_t) db_int(row, "affiliate_count"),
                     "created_at", view_column_time(row, "created_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

static const struct list_filter affiliate_filters[] = {
    { "status", LIST_TEXT_SET, "a.status = ?" },
    { "group_id", LIST_INT, "a.group_id = ?" },
    { "agent_id", LIST_INT, "a.agent_id = ?" },
    { "from", LIST_TIME, "a.created_us >= ?" },
    { "to", LIST_TIME, "a.created_us < ?" },
    { "q", LIST_SEARCH, "(lower(a.name) LIKE ? ESCAPE '!' OR a.email LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort affiliate_sorts[] = {
    { "created_at", "a.created_us", LIST_INT },
    { "name", "a.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
#define AFFILIATE_FROM " FROM affiliates a LEFT JOIN affiliate_groups g ON g.id = a.group_id"
const struct list_spec affiliate_list = {
    .select = "SELECT a.id AS id, a.name AS name, a.email AS email, a.status AS status, a.group_id AS group_id,"
              " g.name AS group_name, a.api_user_id AS api_user_id, a.agent_id AS agent_id,"
              " a.trader_id AS trader_id, a.notes AS notes,"
              " a.created_us AS created_us, a.updated_us AS updated_us, a.version AS version,"
              " " PLAN_COLUMNS AFFILIATE_FROM PLAN_JOIN("affiliate", "a.id"),
    .from = AFFILIATE_FROM,
    .id = "a.id",
    .filters = affiliate_filters,
    .sorts = affiliate_sorts,
    .view = affiliate_view,
};

static json_t *
affiliate_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "name", view_column_text(row, "name"),
                     "email", view_column_text(row, "email"),
                     "status", view_column_text(row, "status"),
                     "group_id", view_column_id(row, "group_id"),
                     "group_name", view_column_text(row, "group_name"),
                     "commission", plan_row_view(row),
                     "api_user_id", view_column_id(row, "api_user_id"),
                     "agent_id", view_column_id(row, "agent_id"),
                     "trader_id", view_column_text(row, "trader_id"),
                     "notes", view_column_text(row, "notes"),
                     "created_at", view_column_time(row, "created_us"),
                     "updated_at", view_column_time(row, "updated_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

#define LIMIT_COLUMNS(table)                                                                                         \
    ", " table ".starts_us AS starts_us, " table ".ends_us AS ends_us, " table ".cap_day AS cap_day, " table          \
    ".cap_total AS cap_total, " table ".capped_until_ms AS capped_until_ms"

/* Steals object, whose last members these become but for its dates and its version. */
static json_t *
add_limits(json_t *object, struct db_stmt *row)
{
    int64_t capped_ms = db_int(row, "capped_until_ms");
    json_t *limits = json_pack("{s:o, s:o, s:I, s:I, s:o}",
                               "starts_at", view_column_time(row, "starts_us"),
                               "ends_at", view_column_time(row, "ends_us"),
                               "cap_day", (json_int_t) db_int(row, "cap_day"),
                               "cap_total", (json_int_t) db_int(row, "cap_total"),
                               "capped_until", capped_ms == 0 ? json_null() : view_time_us(capped_ms * 1000));

    if (object != NULL && (limits == NULL || json_object_update(object, limits) != 0)) {
        json_decref(object);
        object = NULL;
    }
    json_decref(limits);
    return object;
}

static const struct list_filter campaign_filters[] = {
    { "status", LIST_TEXT_SET, "c.state = ?" },
    { "q", LIST_SEARCH, "lower(c.name) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort campaign_sorts[] = {
    { "created_at", "c.created_us", LIST_INT },
    { "name", "c.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec campaign_list = {
    .select = "SELECT c.id AS id, c.name AS name, c.state AS state, c.window_days AS window_days,"
              " c.fallback AS fallback, c.deep_link_hosts AS deep_link_hosts" LIMIT_COLUMNS("c")
              ", c.created_us AS created_us, c.version AS version FROM campaigns c",
    .from = " FROM campaigns c",
    .id = "c.id",
    .filters = campaign_filters,
    .sorts = campaign_sorts,
    .view = campaign_view,
};

static json_t *
campaign_view(struct db_stmt *row)
{
    json_t *campaign = json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:I}",
                                 "id", view_column_id(row, "id"),
                                 "name", view_column_text(row, "name"),
                                 "state", view_column_text(row, "state"),
                                 "window_days", (json_int_t) db_int(row, "window_days"),
                                 "fallback", view_column_text(row, "fallback"),
                                 "deep_link_hosts", view_column_json(row, "deep_link_hosts"),
                                 "created_at", view_column_time(row, "created_us"),
                                 "version", (json_int_t) db_int(row, "version"));

    return add_limits(campaign, row);
}

static const struct list_filter link_filters[] = {
    { "affiliate_id", LIST_INT, "l.affiliate_id = ?" },
    { "campaign_id", LIST_INT, "l.campaign_id = ?" },
    { "status", LIST_TEXT_SET, "l.state = ?" },
    { "code", LIST_TEXT, "l.code = ?" },
    { "q", LIST_SEARCH, "(lower(l.code) LIKE ? ESCAPE '!' OR lower(l.destination) LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort link_sorts[] = {
    { "created_at", "l.created_us", LIST_INT },
    { "code", "l.code", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec link_list = {
    .select = "SELECT l.id AS id, l.code AS code, l.affiliate_id AS affiliate_id, l.campaign_id AS campaign_id,"
              " l.destination AS destination, l.append_click_id AS append_click_id, l.state AS state,"
              " l.rules AS rules, l.redirect_status AS redirect_status, l.referrer_policy AS referrer_policy,"
              " l.pass_unknown_parameters AS pass_unknown_parameters, l.deep_links AS deep_links" LIMIT_COLUMNS("l")
              ", (SELECT p.tracking_domain FROM campaigns c JOIN programs p ON p.id = c.program_id"
              " WHERE c.id = l.campaign_id) AS tracking_domain,"
              " l.created_us AS created_us, l.updated_us AS updated_us, l.version AS version FROM links l",
    .from = " FROM links l",
    .id = "l.id",
    .filters = link_filters,
    .sorts = link_sorts,
    .view = link_view,
    .complete = link_complete,
};

/* "url" is the tracking domain until link_complete makes the whole address of it. */
static json_t *
link_view(struct db_stmt *row)
{
    json_t *redirect = db_is_null(row, "redirect_status") ? json_null() : json_integer(db_int(row, "redirect_status"));
    json_t *link = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:I}",
                             "id", view_column_id(row, "id"),
                             "code", view_column_text(row, "code"),
                             "url", view_column_text(row, "tracking_domain"),
                             "affiliate_id", view_column_id(row, "affiliate_id"),
                             "campaign_id", view_column_id(row, "campaign_id"),
                             "destination", view_column_text(row, "destination"),
                             "append_click_id", (int) db_int(row, "append_click_id"),
                             "state", view_column_text(row, "state"),
                             "rules", view_column_json(row, "rules"),
                             "redirect_status", redirect,
                             "referrer_policy", view_column_text(row, "referrer_policy"),
                             "pass_unknown_parameters", (int) db_int(row, "pass_unknown_parameters"),
                             "deep_links", (int) db_int(row, "deep_links"),
                             "created_at", view_column_time(row, "created_us"),
                             "updated_at", view_column_time(row, "updated_us"),
                             "version", (json_int_t) db_int(row, "version"));

    return add_limits(link, row);
}

/* A program's own domain has the installation's scheme; its ports are the usual ones. */
void
link_complete(json_t *link, const struct service *service)
{
    const char *domain = json_string_value(json_object_get(link, "url"));
    const char *code = json_string_value(json_object_get(link, "code"));
    const char *path = service->click_path != NULL ? service->click_path : "/c/";
    int         scheme = (int) (strstr(service->base_url, "://") + 3 - service->base_url);

    if (domain == NULL || domain[0] == '\0')
        json_object_set_new(link, "url", json_sprintf("%s%s%s", service->base_url, path, code));
    else
        json_object_set_new(link, "url", json_sprintf("%.*s%s%s%s", scheme, service->base_url, domain, path, code));
}

static const struct list_filter api_user_filters[] = {
    { "affiliate_id", LIST_INT, "u.affiliate_id = ?" },
    { "source_id", LIST_INT, "u.source_id = ?" },
    { "trader_id", LIST_INT, "u.trader_id = ?" },
    { "role", LIST_TEXT_SET, "u.role = ?" },
    { "expires_before", LIST_TIME, "u.expires_us < ?" },
    { "status", LIST_TEXT_SET, "u.state = ?" },
    { "q", LIST_SEARCH, "lower(u.name) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort api_user_sorts[] = {
    { "created_at", "u.created_us", LIST_INT },
    { "name", "u.name", LIST_TEXT },
    { NULL, NULL, LIST_INT },
};
/* At most two keys of a user are active (api_key_add). */
#define KEY_COLUMN(column, nth, name)                                                                                \
    ", (SELECT k." column " FROM api_keys k WHERE k.api_user_id = u.id AND k.state = 'active'"                       \
    " ORDER BY k.id LIMIT 1 OFFSET " nth ") AS " name
const struct list_spec api_user_list = {
    .select = "SELECT u.id AS id, u.name AS name, u.role AS role, u.affiliate_id AS affiliate_id, u.scopes AS scopes,"
              " u.state AS state, u.expires_us AS expires_us, u.whitelist AS whitelist, u.ranges AS ranges,"
              " u.rate_minute AS rate_minute, u.secret IS NOT NULL AS has_secret, u.source_id AS source_id,"
              " (SELECT s.name FROM lead_sources s WHERE s.id = u.source_id) AS source_name, u.trader_id AS trader_id,"
              " u.account AS account, u.autologin AS autologin, u.test AS test, u.created_us AS created_us,"
              " u.version AS version"
              KEY_COLUMN("id", "0", "key1_id") KEY_COLUMN("prefix", "0", "key1_prefix")
              KEY_COLUMN("id", "1", "key2_id") KEY_COLUMN("prefix", "1", "key2_prefix")
              " FROM api_users u",
    .from = " FROM api_users u",
    .id = "u.id",
    .filters = api_user_filters,
    .sorts = api_user_sorts,
    .view = api_user_view,
    .extend = api_user_extend,
    .complete = api_user_complete,
};

static json_t *
keys_view(struct db_stmt *row)
{
    json_t *keys = json_array();

    if (!db_is_null(row, "key1_id"))
        json_array_append_new(keys, json_pack("{s:o, s:o}", "id", view_column_id(row, "key1_id"), "prefix",
                                              view_column_text(row, "key1_prefix")));
    if (!db_is_null(row, "key2_id"))
        json_array_append_new(keys, json_pack("{s:o, s:o}", "id", view_column_id(row, "key2_id"), "prefix",
                                              view_column_text(row, "key2_prefix")));
    return keys;
}

static json_t *
api_user_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:[], s:{s:b, s:o}, s:I, s:b, s:o, s:o,"
                     " s:I}",
                     "id", view_column_id(row, "id"),
                     "name", view_column_text(row, "name"),
                     "role", view_column_text(row, "role"),
                     "affiliate_id", view_column_id(row, "affiliate_id"),
                     "source_id", view_column_id(row, "source_id"),
                     "source_name", view_column_text(row, "source_name"),
                     "trader_id", view_column_id(row, "trader_id"),
                     "account", view_column_text(row, "account"),
                     "autologin", (int) db_int(row, "autologin"),
                     "test", (int) db_int(row, "test"),
                     "scopes", view_column_json(row, "scopes"),
                     "state", view_column_text(row, "state"),
                     "expires_at", view_column_time(row, "expires_us"),
                     "warnings",
                     "ip_whitelist",
                     "enabled", (int) db_int(row, "whitelist"),
                     "ranges", view_column_json(row, "ranges"),
                     "rate_per_minute", (json_int_t) db_int(row, "rate_minute"),
                     "has_secret", (int) db_int(row, "has_secret"),
                     "keys", keys_view(row),
                     "created_at", view_column_time(row, "created_us"),
                     "version", (json_int_t) db_int(row, "version"));
}

/* Which warnings of this expiry were given; those of an earlier one are over. */
static enum db_result
api_user_extend(struct db *db, json_t *user)
{
    struct db_stmt *row = db_prepare(db, "SELECT w.days AS days, w.at_us AS at_us FROM key_warnings w"
                                         " JOIN api_users u ON u.id = w.api_user_id AND u.expires_us = w.expires_us"
                                         " WHERE w.api_user_id = $1 ORDER BY w.days DESC");
    json_t         *warnings = json_object_get(user, "warnings"), *warning;
    int64_t         id = 0;
    enum db_result  rc;

    view_parse_id(json_string_value(json_object_get(user, "id")), &id);
    db_bind_int(row, 1, id);
    while ((rc = db_step(row)) == DB_ROW) {
        warning = json_pack("{s:I, s:o}", "days", (json_int_t) db_int(row, "days"), "at", view_column_time(row, "at_us"));
        if (json_array_append_new(warnings, warning) != 0) {
            rc = DB_FAILED;
            break;
        }
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

#define US_PER_DAY INT64_C(86400000000)
#define SOON_DAYS  30

/* What an edge makes of it now, in one word. */
static const char *
effective_state(const json_t *user, bool expires, int64_t left_us)
{
    if (strcmp(json_string_value(json_object_get(user, "state")), "active") != 0)
        return "paused";
    if (expires && left_us <= 0)
        return "key_expired";
    if (strcmp(json_string_value(json_object_get(user, "role")), "affiliate") == 0
        && json_is_null(json_object_get(user, "affiliate_id")))
        return "unassigned";
    if (json_array_size(json_object_get(user, "keys")) == 0)
        return "no_key";
    return expires && left_us < SOON_DAYS * US_PER_DAY ? "expires_soon" : "active";
}

static void
api_user_complete(json_t *user, const struct service *service)
{
    int64_t expires_us = 0, left_us = 0;
    bool    expires = view_parse_time_us(json_string_value(json_object_get(user, "expires_at")), &expires_us);

    if (expires)
        left_us = expires_us - (int64_t) service->now_us();
    json_object_set_new(user, "expires_in_days",
                        expires ? json_integer(left_us <= 0 ? 0 : left_us / US_PER_DAY) : json_null());
    json_object_set_new(user, "effective_state", json_string(effective_state(user, expires, left_us)));
}

static const struct list_filter audit_filters[] = {
    { "actor", LIST_TEXT, "w.actor = ?" },
    { "object_type", LIST_TEXT, "w.object_type = ?" },
    { "object_id", LIST_TEXT, "w.object_id = ?" },
    { "from", LIST_TIME, "w.at_us >= ?" },
    { "to", LIST_TIME, "w.at_us < ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort audit_sorts[] = { { "at", "w.id", LIST_INT }, { NULL, NULL, LIST_INT } };
const struct list_spec audit_list = {
    .select = "SELECT w.id AS id, w.at_us AS at_us, w.actor AS actor, w.action AS action,"
              " w.object_type AS object_type, w.object_id AS object_id, w.before AS before, w.after AS after,"
              " w.reason AS reason FROM audit_log w",
    .from = " FROM audit_log w",
    .id = "w.id",
    .filters = audit_filters,
    .sorts = audit_sorts,
    .view = audit_view,
};

static json_t *
audit_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "at", view_column_time(row, "at_us"),
                     "actor", view_column_text(row, "actor"),
                     "action", view_column_text(row, "action"),
                     "object_type", view_column_text(row, "object_type"),
                     "object_id", view_column_text(row, "object_id"),
                     "before", view_column_json(row, "before"),
                     "after", view_column_json(row, "after"),
                     "reason", view_column_text(row, "reason"));
}

static const struct list_filter staff_filters[] = {
    { "email", LIST_TEXT, "s.email = ?" },
    { "role", LIST_TEXT_SET, "s.role = ?" },
    { "department_id", LIST_INT, "s.department_id = ?" },
    { "status", LIST_TEXT_SET, "s.state = ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort staff_sorts[] = {
    { "created_at", "s.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec staff_list = {
    .select = "SELECT s.id AS id, s.email AS email, s.name AS name, s.role AS role, s.state AS state,"
              " s.department_id AS department_id, s.created_us AS created_us, s.version AS version FROM staff s",
    .from = " FROM staff s",
    .id = "s.id",
    .filters = staff_filters,
    .sorts = staff_sorts,
    .view = staff_view,
};

static json_t *
staff_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
                     "id", view_column_id(row, "id"),
                     "email", view_column_text(row, "email"),
                     "name", view_column_text(row, "name"),
                     "role", view_column_text(row, "role"),
                     "state", view_column_text(row, "state"),
                     "department_id", view_column_id(row, "department_id"),
                     "created_at", view_column_time(row, "created_us"),
                     "version", (json_int_t) db_int(row, "version"));
}
