/* What affiliates see, and of whom: every list here says in `affiliates` whose rows it shows. */
#include <string.h>

#include "service/catalog.h"
#include "service/intake.h"
#include "service/portal.h"
#include "service/view.h"

static json_t *user_view(struct db_stmt *row);
static json_t *lead_view(struct db_stmt *row);
static json_t *log_view(struct db_stmt *row);
static json_t *form_view(struct db_stmt *row);
static json_t *link_view(struct db_stmt *row);

static const struct list_filter no_filters[] = { { NULL, LIST_INT, NULL } };

/* ---- who it is ---- */

static const struct list_sort user_sorts[] = { { "created_at", "a.created_us", LIST_INT }, { NULL, NULL, LIST_INT } };
const struct list_spec portal_user_list = {
    .select = "SELECT a.id AS id, a.name AS name, a.email AS email, a.status AS status, a.created_us AS created_us"
              " FROM affiliates a",
    .from = " FROM affiliates a",
    .id = "a.id",
    .filters = no_filters,
    .sorts = user_sorts,
    .view = user_view,
    .affiliates = "a.id = ?",
};

static json_t *
user_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", view_column_id(row, "id"), "name",
                     view_column_text(row, "name"), "email", view_column_text(row, "email"), "status",
                     view_column_text(row, "status"), "created_at", view_column_time(row, "created_us"));
}

/* ---- leads ---- */

#define SHOWN ", (SELECT z.value FROM settings z WHERE z.name = 'portal_leads') AS shown"

static bool
shown_in_full(struct db_stmt *row)
{
    const char *shown = db_text(row, "shown");

    return shown != NULL && strcmp(shown, "\"full\"") == 0;
}

/* "j***@example.com": enough to find one's own lead again. */
static json_t *
email_view(struct db_stmt *row)
{
    const char *email = db_text(row, "email"), *at = email == NULL ? NULL : strrchr(email, '@');
    json_t     *masked;

    if (at == NULL || shown_in_full(row))
        return view_column_text(row, "email");
    masked = (unsigned char) email[0] < 0x80 && email[0] != '@' ? json_sprintf("%c***%s", email[0], at)
                                                                : json_sprintf("***%s", at);
    return masked == NULL ? json_null() : masked;
}

static const struct list_filter lead_filters[] = {
    { "status", LIST_TEXT_SET, "l.status = ?" },
    { "kind", LIST_TEXT_SET, "l.kind = ?" },
    { "form_id", LIST_INT, "l.form_id = ?" },
    { "link_id", LIST_INT, "l.link_id = ?" },
    { "uid", LIST_TEXT, "l.uid = ?" },
    { "from", LIST_TIME, "l.created_us >= ?" },
    { "to", LIST_TIME, "l.created_us < ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort lead_sorts[] = {
    { "created_at", "l.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
const struct list_spec portal_lead_list = {
    .select = "SELECT l.id AS id, l.uid AS uid, l.kind AS kind, l.status AS status, l.test AS test,"
              " l.first_name AS first_name, l.last_name AS last_name, l.email AS email, l.phone AS phone,"
              " l.country AS country, l.form_id AS form_id, l.campaign_id AS campaign_id, l.link_id AS link_id,"
              " l.click_id AS click_id, l.created_us AS created_us" SHOWN " FROM leads l",
    .from = " FROM leads l",
    .id = "l.id",
    .filters = lead_filters,
    .sorts = lead_sorts,
    .view = lead_view,
    .affiliates = "l.affiliate_id = ?",
};

static json_t *
lead_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "uid", view_column_text(row, "uid"),
                     "kind", view_column_text(row, "kind"),
                     "status", view_column_text(row, "status"),
                     "test", db_int(row, "test") != 0,
                     "first_name", view_column_text(row, "first_name"),
                     "last_name", view_column_text(row, "last_name"),
                     "email", email_view(row),
                     "phone", shown_in_full(row) ? view_column_text(row, "phone") : json_null(),
                     "country", view_column_text(row, "country"),
                     "form_id", view_column_id(row, "form_id"),
                     "campaign_id", view_column_id(row, "campaign_id"),
                     "link_id", view_column_id(row, "link_id"),
                     "click_id", view_column_text(row, "click_id"),
                     "created_at", view_column_time(row, "created_us"));
}

/* ---- their log ---- */

static const struct list_filter log_filters[] = {
    { "verdict", LIST_TEXT_SET, "w.verdict = ?" },
    { "kind", LIST_TEXT_SET, "w.kind = ?" },
    { "uid", LIST_TEXT, "w.uid = ?" },
    { "from", LIST_TIME, "w.at_us >= ?" },
    { "to", LIST_TIME, "w.at_us < ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort log_sorts[] = { { "at", "w.at_us", LIST_INT }, { NULL, NULL, LIST_INT } };
/* Whose lead a duplicate is of, is told only where it is one's own. */
const struct list_spec portal_log_list = {
    .select = "SELECT w.id AS id, w.at_us AS at_us, w.uid AS uid, w.kind AS kind, w.form_id AS form_id,"
              " w.verdict AS verdict, w.reason AS reason, w.email AS email,"
              " (SELECT l.id FROM leads l WHERE l.id = w.lead_id AND l.affiliate_id = w.affiliate_id) AS lead_id" SHOWN
              " FROM lead_log w",
    .from = " FROM lead_log w",
    .id = "w.id",
    .filters = log_filters,
    .sorts = log_sorts,
    .view = log_view,
    .affiliates = "w.affiliate_id = ?",
};

static json_t *
log_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "id", view_column_id(row, "id"),
                     "at", view_column_time(row, "at_us"),
                     "uid", view_column_text(row, "uid"),
                     "lead_id", view_column_id(row, "lead_id"),
                     "kind", view_column_text(row, "kind"),
                     "form_id", view_column_id(row, "form_id"),
                     "verdict", view_column_text(row, "verdict"),
                     "reason", view_column_text(row, "reason"),
                     "email", email_view(row));
}

/* ---- forms and links ---- */

static const struct list_sort form_sorts[] = { { "created_at", "f.created_us", LIST_INT }, { NULL, NULL, LIST_INT } };
const struct list_spec portal_form_list = {
    .select = "SELECT f.id AS id, f.key AS key, f.name AS name, f.language AS language, f.state AS state,"
              " f.created_us AS created_us FROM forms f",
    .from = " FROM forms f",
    .id = "f.id",
    .filters = no_filters,
    .sorts = form_sorts,
    .view = form_view,
    .complete = form_complete,
    .affiliates = "f.affiliate_id = ? AND f.state <> 'archived'",
};

static json_t *
form_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "id", view_column_id(row, "id"), "key",
                     view_column_text(row, "key"), "name", view_column_text(row, "name"), "language",
                     view_column_text(row, "language"), "state", view_column_text(row, "state"), "created_at",
                     view_column_time(row, "created_us"));
}

static const struct list_filter link_filters[] = {
    { "campaign_id", LIST_INT, "k.campaign_id = ?" },
    { "status", LIST_TEXT_SET, "k.state = ?" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort link_sorts[] = { { "created_at", "k.created_us", LIST_INT }, { NULL, NULL, LIST_INT } };
/* Without rules, caps and destinations: those are the advertiser's. */
const struct list_spec portal_link_list = {
    .select = "SELECT k.id AS id, k.code AS code, k.campaign_id AS campaign_id, c.name AS campaign_name,"
              " k.state AS state, k.created_us AS created_us, p.tracking_domain AS tracking_domain FROM links k"
              " JOIN campaigns c ON c.id = k.campaign_id JOIN programs p ON p.id = c.program_id",
    .from = " FROM links k",
    .id = "k.id",
    .filters = link_filters,
    .sorts = link_sorts,
    .view = link_view,
    .complete = link_complete,
    .affiliates = "k.affiliate_id = ? AND k.state <> 'archived'",
};

/* "url" is the tracking domain until link_complete makes the whole address of it. */
static json_t *
link_view(struct db_stmt *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", view_column_id(row, "id"), "code",
                     view_column_text(row, "code"), "url", view_column_text(row, "tracking_domain"), "campaign_id",
                     view_column_id(row, "campaign_id"), "campaign_name", view_column_text(row, "campaign_name"),
                     "state", view_column_text(row, "state"), "created_at", view_column_time(row, "created_us"));
}
