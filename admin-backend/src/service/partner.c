#include "service/partner.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "service/secret.h"
#include "service/view.h"
#include "store/catalog.h"
#include "store/lead.h"
#include "tracker_token.h"

#define US_PER_DAY  INT64_C(86400000000)
#define STATS_DAYS  30
#define STATS_MOST  400 /* days of one answer */

/* ---- who calls ---- */

struct caller {
    const struct service *service;
    const char           *key, *address;
    uint32_t              scope;
    struct partner       *partner;
    struct service_error *error;
    enum service_result   result;
};

static bool
has_scope(const char *scopes, uint32_t wanted)
{
    static const struct {
        const char *name;
        uint32_t    bit;
    } names[] = {
        { "conversions:write", TRACKER_SCOPE_CONVERSIONS_WRITE }, { "conversions:read", TRACKER_SCOPE_CONVERSIONS_READ },
        { "leads:write", TRACKER_SCOPE_LEADS_WRITE },             { "leads:read", TRACKER_SCOPE_LEADS_READ },
        { "stats:read", TRACKER_SCOPE_STATS_READ },               { "autologin", TRACKER_SCOPE_AUTOLOGIN },
    };
    json_t *array = json_loads(scopes, 0, NULL), *item;
    size_t  i;
    bool    has = false;

    json_array_foreach(array, i, item) {
        for (size_t n = 0; json_is_string(item) && n < sizeof(names) / sizeof(names[0]); n++)
            has |= names[n].bit == wanted && strcmp(names[n].name, json_string_value(item)) == 0;
    }
    json_decref(array);
    return has;
}

/* An empty list lets nobody in; neither does an address that nobody told. */
static bool
is_within(const char *ranges, const char *address)
{
    uint8_t ip[16], entry[TRACKER_NETWORK_LEN];
    size_t  len = 0, i;
    json_t *array, *item;
    bool    within = false;

    if (address != NULL && inet_pton(AF_INET, address, ip) == 1)
        len = 4;
    else if (address != NULL && inet_pton(AF_INET6, address, ip) == 1)
        len = 16;
    if (len == 0)
        return false;
    array = json_loads(ranges, 0, NULL);
    json_array_foreach(array, i, item) {
        struct tracker_str text = { json_string_value(item), json_string_length(item) };

        within |= text.data != NULL && tracker_network_parse(text, entry)
                  && tracker_networks_hold((struct tracker_str){ (const char *) entry, sizeof(entry) },
                                           (struct tracker_str){ (const char *) ip, len });
    }
    json_decref(array);
    return within;
}

/* In the edge's order. */
static enum service_result
judge(const struct caller *caller, const struct api_user_row *user)
{
    struct service_error *error = caller->error;
    bool                  advertiser = strcmp(user->role, "advertiser") == 0;

    if (strcmp(user->state, "active") != 0)
        return service_refuse(error, SERVICE_FORBIDDEN, "user_paused", "This API user is paused.");
    if (user->expires_us != 0 && (uint64_t) user->expires_us <= caller->service->now_us())
        return service_refuse(error, SERVICE_FORBIDDEN, "key_expired", "This API user has expired.");
    if (user->whitelist != 0 && !is_within(user->ranges, caller->address))
        return service_refuse(error, SERVICE_FORBIDDEN, "ip_denied", "This address is in none of the user's networks.");
    if (!has_scope(user->scopes, caller->scope) || (!advertiser && user->affiliate_id == 0)
        || (!advertiser && caller->scope == TRACKER_SCOPE_AUTOLOGIN))
        return service_refuse(error, SERVICE_FORBIDDEN, "scope_denied", "This key may not do that.");
    *caller->partner = (struct partner){
        .api_user_id = user->id,
        .role = advertiser ? TRACKER_ROLE_ADVERTISER : TRACKER_ROLE_AFFILIATE,
        .scope = { user->program_id, advertiser ? 0 : user->affiliate_id },
    };
    return SERVICE_OK;
}

static enum db_result
find_caller(struct db *db, void *ctx)
{
    struct caller      *caller = ctx;
    struct api_user_row user;
    uint8_t             hash[SECRET_HASH_LEN];
    int64_t             id;
    enum db_result      rc = secret_hash(caller->key, hash) ? partner_by_key(db, hash, &id) : DB_DONE;

    if (rc == DB_ROW)
        rc = row_load(db, &api_user_table, id, &user);
    if (rc == DB_DONE) {
        caller->result = service_refuse(caller->error, SERVICE_FORBIDDEN, "key_unknown", "There is no such key.");
        return DB_OK;
    }
    if (rc != DB_ROW)
        return rc;
    caller->result = judge(caller, &user);
    row_free(&api_user_table, &user);
    return DB_OK;
}

enum service_result
partner_authenticate(const struct service *service, const char *key, const char *address, uint32_t scope,
                     struct partner *out, struct service_error *error)
{
    struct caller  caller = { service, key, address, scope, out, error, SERVICE_OK };
    enum db_result rc;

    if (key == NULL || key[0] == '\0')
        return service_refuse(error, SERVICE_FORBIDDEN, "key_missing", "Send the key as Authorization: Bearer KEY.");
    rc = db_read(service->pool, find_caller, &caller);
    return rc == DB_OK ? caller.result : service_from_db(error, rc, "partner_authenticate");
}

/* ---- lists ---- */

struct reading {
    const struct partner   *partner;
    const struct list_spec *list;
    struct list_query      *query;
    const char             *uid;
    int64_t                 from_day, to_day;
    json_t                 *out;
    struct service_error   *error;
    enum service_result     result;
};

/*
 * What people wrote into a form, or told the advertiser whose server sent it, is between them and the advertiser; an
 * affiliate sees that somebody did, and all of what it sent itself.
 */
static void
hide_person(const struct partner *partner, json_t *lead)
{
    static const char *const personal[] = { "first_name", "last_name", "email", "phone" };
    bool own = json_is_true(json_object_get(lead, PARTNER_OWN));

    json_object_del(lead, PARTNER_OWN);
    if (partner->role == TRACKER_ROLE_ADVERTISER || own)
        return;
    for (size_t i = 0; i < sizeof(personal) / sizeof(personal[0]); i++)
        json_object_set_new(lead, personal[i], json_null());
    json_object_set_new(lead, "fields", json_object());
}

/* Whose rows is said last, so that a filter of that name cannot be the caller's. */
static enum db_result
read_page(struct db *db, void *ctx)
{
    struct reading   *reading = ctx;
    struct list_query query = *reading->query;
    char              program[24], affiliate[24];
    json_t           *lead;
    size_t            i;

    snprintf(program, sizeof(program), "%lld", (long long) reading->partner->scope.program_id);
    snprintf(affiliate, sizeof(affiliate), "%lld", (long long) reading->partner->scope.affiliate_id);
    query.filters[query.count].name = "program_id";
    query.filters[query.count++].value = program;
    if (reading->partner->scope.affiliate_id != 0) {
        query.filters[query.count].name = "affiliate_id";
        query.filters[query.count++].value = affiliate;
    }
    if (reading->uid != NULL) {
        query.filters[query.count].name = "id";
        query.filters[query.count++].value = reading->uid;
    }
    reading->result = list_run(db, reading->list, &query, &reading->out, reading->error);
    if (reading->result == SERVICE_OK && reading->list == &partner_lead_list) {
        json_array_foreach(json_object_get(reading->out, "data"), i, lead)
            hide_person(reading->partner, lead);
    }
    return reading->result == SERVICE_OK ? DB_OK : DB_ABORT;
}

enum service_result
partner_page(const struct service *service, const struct partner *partner, const struct list_spec *list,
             struct list_query *query, json_t **page, struct service_error *error)
{
    struct reading reading = { .partner = partner, .list = list, .query = query, .error = error };
    enum db_result rc;

    for (int i = 0; i < query->count; i++) {
        const char *name = query->filters[i].name;

        if (strcmp(name, "program_id") == 0 || strcmp(name, "affiliate_id") == 0 || strcmp(name, "id") == 0)
            return service_invalid(error, name, "is no parameter here");
    }
    if (query->count > LIST_FILTERS_MAX - 3)
        return service_invalid(error, query->filters[query->count - 1].name, "is one parameter too many");
    rc = db_read(service->pool, read_page, &reading);
    if (rc != DB_OK && rc != DB_ABORT)
        return service_from_db(error, rc, "partner_page");
    *page = reading.out;
    return reading.result;
}

/* ---- one lead ---- */

static json_t *
refusal_view(const char *uid, const struct partner_refusal *refusal)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", uid, "verdict", refusal->verdict, "reason", refusal->reason,
                     "duplicate_of", refusal->duplicate_of[0] == '\0' ? json_null() : json_string(refusal->duplicate_of),
                     "created_at", view_time_us(refusal->at_us));
}

static enum db_result
read_lead(struct db *db, void *ctx)
{
    struct reading        *reading = ctx;
    struct partner_refusal refusal;
    json_t                *page = NULL;
    enum db_result         rc = read_page(db, reading);

    page = reading->out;
    reading->out = json_incref(json_array_get(json_object_get(page, "data"), 0));
    json_decref(page);
    if (rc != DB_OK || reading->out != NULL)
        return rc;
    rc = partner_refused(db, &reading->partner->scope, reading->uid, &refusal);
    if (rc == DB_ROW)
        reading->out = refusal_view(reading->uid, &refusal);
    return rc == DB_ROW || rc == DB_DONE ? DB_OK : rc;
}

enum service_result
partner_lead(const struct service *service, const struct partner *partner, const char *uid, json_t **lead,
             struct service_error *error)
{
    struct list_query query = { .page_size = 1 };
    struct reading    reading = { .partner = partner, .list = &partner_lead_list, .query = &query, .uid = uid,
                                  .error = error };
    uint8_t           id[TRACKER_LEAD_ID_LEN];
    enum db_result    rc;

    if (tracker_lead_parse((struct tracker_str){ uid, strlen(uid) }, id)) {
        rc = db_read(service->pool, read_lead, &reading);
        if (rc != DB_OK)
            return service_from_db(error, rc, "partner_lead");
    }
    *lead = reading.out;
    return reading.out != NULL ? SERVICE_OK
                               : service_refuse(error, SERVICE_NOT_FOUND, "lead_unknown",
                                                "No lead of yours with this id has been decided (yet).");
}

/* ---- numbers ---- */

static enum db_result
read_numbers(struct db *db, void *ctx)
{
    struct reading *reading = ctx;

    json_decref(reading->out);
    reading->out = NULL;
    return partner_stats(db, &reading->partner->scope, reading->from_day, reading->to_day, &reading->out);
}

enum service_result
partner_numbers(const struct service *service, const struct partner *partner, const char *from, const char *to,
                json_t **out, struct service_error *error)
{
    struct reading reading = { .partner = partner };
    int64_t        now_us = (int64_t) service->now_us(), from_us = now_us - (STATS_DAYS - 1) * US_PER_DAY, to_us = now_us;
    enum db_result rc;

    if (from != NULL && !view_parse_time_us(from, &from_us))
        return service_invalid(error, "from", "is no RFC 3339 time");
    if (to != NULL && !view_parse_time_us(to, &to_us))
        return service_invalid(error, "to", "is no RFC 3339 time");
    reading.from_day = from_us / US_PER_DAY;
    reading.to_day = (to_us + US_PER_DAY - 1) / US_PER_DAY;
    if (reading.to_day - reading.from_day > STATS_MOST)
        return service_invalid(error, "from", "is more than 400 days before the end");
    rc = db_read(service->pool, read_numbers, &reading);
    if (rc != DB_OK) {
        json_decref(reading.out);
        return service_from_db(error, rc, "partner_numbers");
    }
    *out = json_pack("{s:o}", "data", reading.out);
    return SERVICE_OK;
}

/* ---- autologins ---- */

struct redeeming {
    const struct service *service;
    const struct partner *partner;
    struct tracker_pass   pass;
    json_t               *out;
    struct service_error *error;
    enum service_result   result;
};

static enum service_result
refuse(struct redeeming *redeeming)
{
    return service_refuse(redeeming->error, SERVICE_FORBIDDEN, "autologin_refused",
                          "Nobody is logged in as this lead: a duplicate, a test, unconfirmed, or with an account from before.");
}

static enum db_result
show_identity(struct db *db, struct redeeming *redeeming, const struct lead_row *lead)
{
    json_t        *trader = NULL, *fields = json_loads(lead->fields, 0, NULL);
    enum db_result rc = lead->trader_id == 0 ? DB_OK : partner_trader(db, lead->trader_id, &trader);

    if (rc == DB_OK)
        redeeming->out = json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O?}, s:O?}", "lead", "id", lead->uid,
                                   "status", lead->status, "first_name", lead->first_name, "last_name", lead->last_name,
                                   "email", lead->email, "phone", lead->phone, "country", lead->country, "language",
                                   lead->language, "fields", fields, "trader", trader);
    json_decref(fields);
    json_decref(trader);
    return rc;
}

static enum db_result
redeem_lead(struct db *db, struct redeeming *redeeming, const struct lead_row *lead)
{
    bool           used;
    enum db_result rc;

    if (lead->program_id != redeeming->partner->scope.program_id || lead->existing != 0 || lead->test != 0
        || lead->duplicate_of != 0 || lead->erased_us != 0 || strcmp(lead->status, "unconfirmed") == 0) {
        redeeming->result = refuse(redeeming);
        return DB_OK;
    }
    rc = autologin_redeem(db, redeeming->pass.nonce, sizeof(redeeming->pass.nonce), lead->id,
                          redeeming->service->now_us(), &used);
    if (rc == DB_OK && used)
        redeeming->result = service_refuse(redeeming->error, SERVICE_CONFLICT, "autologin_used",
                                           "This autologin, or another one of its lead, was used.");
    return rc == DB_OK && !used ? show_identity(db, redeeming, lead) : rc;
}

static enum db_result
redeem(struct db *db, void *ctx)
{
    struct redeeming *redeeming = ctx;
    struct lead_row   lead;
    char              uid[TRACKER_LEAD_HEX_LEN + 1] = "";
    bool              refused = false;
    enum db_result    rc;

    redeeming->result = SERVICE_OK;
    json_decref(redeeming->out); /* of an attempt before */
    redeeming->out = NULL;
    tracker_lead_hex(redeeming->pass.lead, uid);
    rc = lead_by_uid(db, uid, &lead);
    if (rc == DB_ROW) {
        rc = redeem_lead(db, redeeming, &lead);
        row_free(&lead_table, &lead);
        return rc;
    }
    if (rc == DB_DONE)
        rc = lead_was_refused(db, uid, &refused);
    if (rc == DB_OK && refused)
        redeeming->result = refuse(redeeming);
    return rc;
}

enum service_result
partner_autologin(const struct service *service, const struct partner *partner, const char *token, json_t **out,
                  struct service_error *error)
{
    struct redeeming   redeeming = { .service = service, .partner = partner, .error = error };
    struct tracker_str text = { token, strlen(token) };
    enum db_result     rc;

    /* At the beginning of time nothing has expired: what is no pass of ours is told apart from what is too late. */
    if (!tracker_pass_read(service->keys, TRACKER_PASS_AUTOLOGIN, 0, text, &redeeming.pass)
        || redeeming.pass.owner != partner->scope.program_id)
        return service_refuse(error, SERVICE_INVALID, "autologin_invalid", "This is no autologin of your program.");
    if (redeeming.pass.expires_s <= service->now_us() / 1000000)
        return service_refuse(error, SERVICE_FORBIDDEN, "autologin_expired", "This autologin is too old.");
    rc = db_write(service->pool, DB_INTERACTIVE, redeem, &redeeming);
    if (rc != DB_OK) {
        json_decref(redeeming.out);
        return service_from_db(error, rc, "partner_autologin");
    }
    *out = redeeming.out;
    return redeeming.result;
}
