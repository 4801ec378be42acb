/*
 * snapshot.c - rows of SQL into rows of a snapshot; what cannot be one is named in the log and left out.
 */
#include "service/snapshot.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "app/log.h"
#include "service/form_page.h"
#include "service/hosts.h"
#include "service/origins.h"
#include "service/rules.h"
#include "store/intake.h"
#include "store/snapshot_rows.h"

struct making {
    struct tracker_snapshot_builder *builder;
    uint64_t                         after;
    uint64_t                         version;
    uint32_t                         rows, omitted;
    bool                             failed; /* out of memory */
};

struct word {
    const char *text;
    uint32_t    value;
};

static const struct word states[] = {
    { "active", TRACKER_STATE_ACTIVE },     { "paused", TRACKER_STATE_PAUSED },
    { "expired", TRACKER_STATE_EXPIRED },   { "archived", TRACKER_STATE_ARCHIVED }, { NULL, 0 },
};
static const struct word affiliate_states[] = {
    { "pending", TRACKER_AFFILIATE_PENDING },     { "approved", TRACKER_AFFILIATE_APPROVED },
    { "suspended", TRACKER_AFFILIATE_SUSPENDED }, { "terminated", TRACKER_AFFILIATE_TERMINATED }, { NULL, 0 },
};
static const struct word attributions[] = {
    { "last", TRACKER_ATTRIBUTION_LAST },
    { "first", TRACKER_ATTRIBUTION_FIRST },
    { "both", TRACKER_ATTRIBUTION_BOTH },
    { NULL, 0 },
};
static const struct word referrer_policies[] = {
    { "no-referrer", TRACKER_REFERRER_NO_REFERRER },     { "origin", TRACKER_REFERRER_ORIGIN },
    { "same-origin", TRACKER_REFERRER_SAME_ORIGIN },     { "strict-origin", TRACKER_REFERRER_STRICT_ORIGIN },
    { "unsafe-url", TRACKER_REFERRER_UNSAFE_URL },       { NULL, 0 },
};
static const struct word roles[] = {
    { "affiliate", TRACKER_ROLE_AFFILIATE }, { "advertiser", TRACKER_ROLE_ADVERTISER }, { NULL, 0 },
};
static const struct word scopes[] = {
    { "conversions:write", TRACKER_SCOPE_CONVERSIONS_WRITE },
    { "conversions:read", TRACKER_SCOPE_CONVERSIONS_READ },
    { "leads:write", TRACKER_SCOPE_LEADS_WRITE },
    { "leads:read", TRACKER_SCOPE_LEADS_READ },
    { "stats:read", TRACKER_SCOPE_STATS_READ },
    { "autologin", TRACKER_SCOPE_AUTOLOGIN },
    { NULL, 0 },
};
static const struct word afters[] = {
    { "message", TRACKER_FORM_AFTER_MESSAGE },
    { "url", TRACKER_FORM_AFTER_URL },
    { "autologin", TRACKER_FORM_AFTER_AUTOLOGIN },
    { NULL, 0 },
};

static uint32_t
word_value(const struct word *words, const char *text)
{
    for (; words->text != NULL; words++) {
        if (strcmp(words->text, text) == 0)
            return words->value;
    }
    return 0;
}

static struct tracker_str
str(const char *text)
{
    return (struct tracker_str){ text, strlen(text) };
}

/* 0: it does not fit an edge's 32 bits. */
static uint32_t
small_id(int64_t id)
{
    return id > 0 && id <= UINT32_MAX ? (uint32_t) id : 0;
}

/* At most TRACKER_NAME_MAX bytes, cut between characters. */
static struct tracker_str
name_cut(const char *name)
{
    struct tracker_str cut = str(name);
    if (cut.len > TRACKER_NAME_MAX) {
        cut.len = TRACKER_NAME_MAX;
        while (cut.len > 0 && ((unsigned char) name[cut.len] & 0xc0) == 0x80)
            cut.len--;
    }
    return cut;
}

/* An empty template stays empty. False: it is none. */
static bool
template_compile(const char *text, unsigned flags, uint8_t buffer[TRACKER_TEMPLATE_MAX],
                 struct tracker_str *out, const char **error)
{
    *out = TRACKER_STR_NONE;
    if (text[0] == '\0')
        return true;
    int len = tracker_template_compile(str(text), flags, buffer, TRACKER_TEMPLATE_MAX, error);
    if (len < 0)
        return false;
    *out = (struct tracker_str){ (const char *) buffer, (size_t) len };
    return true;
}

/* Counts the row in or out; a row that no edge can use never stops the others. */
static enum db_result
made(struct making *making, const char *kind, int64_t id, int result, const char *why)
{
    if (result == 0) {
        making->rows++;
        return DB_OK;
    }
    if (result == -ENOMEM) {
        making->failed = true;
        return DB_ABORT;
    }
    making->omitted++;
    log_error("snapshot", "%s %lld is left out: %s", kind, (long long) id,
              why != NULL ? why : "a value is outside what an edge can hold");
    return DB_OK;
}

static enum db_result
make_program(void *ctx, const struct snapshot_program *row)
{
    struct making *making = ctx;
    uint8_t        fallback[TRACKER_TEMPLATE_MAX];
    const char    *why = NULL;

    struct tracker_program_row out = {
        .id = small_id(row->id),
        .state = (uint8_t) word_value(states, row->state),
        .attribution = (uint8_t) word_value(attributions, row->attribution),
        .cookie_days = (uint32_t) row->cookie_days,
        .currency = str(row->currency),
        .platform_user = small_id(row->platform_user_id),
        .platform_url = str(row->platform_url),
    };
    int result = template_compile(row->fallback, 0, fallback, &out.fallback, &why)
                     ? tracker_snapshot_add_program(making->builder, &out)
                     : -EINVAL;
    return made(making, "program", row->id, result, why);
}

static struct tracker_limits
limits_of(const struct snapshot_limits *limits)
{
    return (struct tracker_limits){
        .starts_ms = (uint64_t) limits->starts_us / 1000,
        .ends_ms = (uint64_t) limits->ends_us / 1000,
        .capped_until_ms = (uint64_t) limits->capped_until_ms,
        .cap_day = (uint32_t) limits->cap_day,
        .cap_total = (uint32_t) limits->cap_total,
    };
}

static enum db_result
make_campaign(void *ctx, const struct snapshot_campaign *row)
{
    struct making *making = ctx;
    uint8_t        fallback[TRACKER_TEMPLATE_MAX];
    char          *hosts = hosts_lines(row->hosts);
    const char    *why = NULL;

    struct tracker_campaign_row out = {
        .id = small_id(row->id),
        .program = small_id(row->program_id),
        .state = (uint8_t) word_value(states, row->state),
        .name = name_cut(row->name),
        .hosts = hosts != NULL ? str(hosts) : TRACKER_STR_NONE,
        .limits = limits_of(&row->limits),
    };
    int result = -EINVAL;
    if (hosts == NULL)
        why = "its deep_link_hosts are no list";
    else if (template_compile(row->fallback, 0, fallback, &out.fallback, &why))
        result = tracker_snapshot_add_campaign(making->builder, &out);
    free(hosts);
    return made(making, "campaign", row->id, result, why);
}

static enum db_result
make_affiliate(void *ctx, const struct snapshot_affiliate *row)
{
    struct making *making = ctx;

    struct tracker_affiliate_row out = {
        .id = small_id(row->id),
        .state = (uint8_t) word_value(affiliate_states, row->status),
        .name = name_cut(row->name),
    };
    return made(making, "affiliate", row->id, tracker_snapshot_add_affiliate(making->builder, &out), NULL);
}

static uint8_t
redirect_of(int64_t status)
{
    switch (status) {
    case 302:
        return TRACKER_REDIRECT_302;
    case 303:
        return TRACKER_REDIRECT_303;
    case 307:
        return TRACKER_REDIRECT_307;
    default: /* a number, no enumeration: the database's CHECK lets no other in */
        return TRACKER_REDIRECT_DEFAULT;
    }
}

static enum db_result
make_link(void *ctx, const struct snapshot_link *row)
{
    struct making *making = ctx;
    uint8_t        destination[TRACKER_TEMPLATE_MAX], rules[TRACKER_RULES_LEN_MAX];
    char           complaint[FIELD_COMPLAINT_MAX];
    const char    *why = NULL;
    unsigned       flags = row->append_click_id ? TRACKER_TEMPLATE_APPEND_CLICK_ID : 0;
    bool           plain = strcmp(row->rules, "[]") == 0; /* nearly all of many millions */
    int            rules_len = plain ? 0 : rules_compile(row->rules, flags, rules, complaint);

    struct tracker_link_row out = {
        .id = small_id(row->id),
        .campaign = small_id(row->campaign_id),
        .affiliate = small_id(row->affiliate_id),
        .state = (uint8_t) word_value(states, row->state),
        .code = str(row->code),
        .limits = limits_of(&row->limits),
        .redirect = redirect_of(row->redirect_status),
        .options = (uint8_t) ((row->pass_unknown ? TRACKER_LINK_PASS_UNKNOWN : 0)
                              | (row->deep_links ? 0 : TRACKER_LINK_NO_DEEP)),
    };
    int result = -EINVAL;
    if (row->referrer_policy != NULL)
        out.referrer_policy = (uint8_t) word_value(referrer_policies, row->referrer_policy);
    if (rules_len > 0)
        out.rules = (struct tracker_str){ (const char *) rules, (size_t) rules_len };
    if (rules_len < 0)
        why = complaint;
    else if (template_compile(row->destination, flags, destination, &out.destination, &why))
        result = tracker_snapshot_add_link(making->builder, &out);
    return made(making, "link", row->id, result, why);
}

/* ["conversions:write", ...] to bits; what is unknown here allows nothing. */
static uint32_t
scope_bits(const char *text)
{
    json_t  *array = json_loads(text, 0, NULL);
    uint32_t bits = 0;
    size_t   i;
    json_t  *value;

    json_array_foreach(array, i, value) {
        if (json_is_string(value))
            bits |= word_value(scopes, json_string_value(value));
    }
    json_decref(array);
    return bits;
}

/* ["192.0.2.0/24", ...] to entries; how many bytes, or -1. */
static int
networks_of(const char *text, uint8_t out[TRACKER_NETWORKS_MAX * TRACKER_NETWORK_LEN])
{
    json_t *ranges = json_loads(text, 0, NULL), *range;
    size_t  i, count = 0;
    bool    good = json_is_array(ranges) && json_array_size(ranges) <= TRACKER_NETWORKS_MAX;

    json_array_foreach(ranges, i, range) {
        struct tracker_str network = { json_string_value(range), json_string_length(range) };

        good = good && network.data != NULL && tracker_network_parse(network, out + count * TRACKER_NETWORK_LEN);
        count += good;
    }
    json_decref(ranges);
    return good ? (int) (count * TRACKER_NETWORK_LEN) : -1;
}

static enum db_result
make_api_user(void *ctx, const struct snapshot_api_user *row)
{
    struct making              *making = ctx;
    uint8_t                     networks[TRACKER_NETWORKS_MAX * TRACKER_NETWORK_LEN];
    int                         networks_len = networks_of(row->ranges, networks);
    struct tracker_api_user_row out = {
        .id = small_id(row->id),
        .program = small_id(row->program_id),
        .affiliate = small_id(row->affiliate_id),
        .state = (uint8_t) word_value(states, row->state),
        .role = (uint8_t) word_value(roles, row->role),
        .scopes = scope_bits(row->scopes),
        .expires_ms = row->expires_us > 0 ? (uint64_t) row->expires_us / 1000 : 0,
        .rate_minute = (uint32_t) row->rate_minute,
        .restricted = row->whitelist,
        .secret = { row->secret, row->secret_len },
        .options = (uint8_t) ((row->autologin ? TRACKER_API_USER_AUTOLOGIN : 0) | (row->test ? TRACKER_API_USER_TEST : 0)),
    };

    if (out.role == TRACKER_ROLE_AFFILIATE && out.affiliate == 0)
        return made(making, "API user", row->id, -EINVAL, "it belongs to no affiliate yet");
    if (networks_len < 0)
        return made(making, "API user", row->id, -EINVAL, "its ranges are no list of networks");
    out.networks = (struct tracker_str){ (const char *) networks, (size_t) networks_len };
    return made(making, "API user", row->id, tracker_snapshot_add_api_user(making->builder, &out), NULL);
}

static enum db_result
make_api_key(void *ctx, const struct snapshot_api_key *row)
{
    struct making             *making = ctx;
    struct tracker_api_key_row out = {
        .api_user = small_id(row->api_user_id),
        .state = strcmp(row->state, "active") == 0 ? TRACKER_STATE_ACTIVE : TRACKER_STATE_ARCHIVED,
    };
    int result = -EINVAL;
    if (row->hash_len == sizeof(out.hash)) {
        memcpy(out.hash, row->hash, sizeof(out.hash));
        result = tracker_snapshot_add_api_key(making->builder, &out);
    }
    return made(making, "API key", row->id, result, NULL);
}

/* What an edge needs besides the pages: who may frame and who may send it. */
struct form_lists {
    char *ancestors, *origins;
};

static int
add_form(struct making *making, const struct snapshot_form *row, const struct form_pages *pages,
         const struct form_lists *lists)
{
    const struct tracker_form_row out = {
        .id = small_id(row->id),
        .program = small_id(row->program_id),
        .affiliate = small_id(row->affiliate_id),
        .state = (uint8_t) word_value(states, row->state),
        .after = (uint8_t) word_value(afters, row->after_submit),
        .options = row->confirm ? TRACKER_FORM_CONFIRM : 0,
        .min_fill_ms = (uint32_t) row->min_fill_s * 1000,
        .rate_minute = (uint32_t) row->rate_minute,
        .key = str(row->key),
        .definition = { (const char *) pages->definition, pages->definition_len },
        .page = { pages->page, pages->page_len },
        .done = { pages->done, pages->done_len },
        .wait = { pages->wait, pages->wait_len },
        .after_url = str(row->after_url),
        .frame_ancestors = str(lists->ancestors),
        .origins = str(lists->origins),
    };

    return tracker_snapshot_add_form(making->builder, &out);
}

static enum db_result
make_form(void *ctx, const struct snapshot_form *row)
{
    struct making  *making = ctx;
    struct form_row texts = { .language = (char *) row->language, .title = (char *) row->title, .intro = (char *) row->intro,
                              .button = (char *) row->button, .success_message = (char *) row->success_message,
                              .confirm = row->confirm,
                              .theme = (char *) row->theme };
    struct form_lists lists = { ancestors_sources(row->frame_ancestors), origins_lines(row->origins) };
    json_t           *fields = json_loads(row->fields, 0, NULL);
    struct form_pages pages;
    const char       *why = NULL;
    int               result = -EINVAL;

    if (lists.ancestors == NULL || lists.origins == NULL)
        why = "its frame_ancestors or origins are no list";
    else if (!form_pages_make(&texts, fields, &pages))
        why = "its fields do not compile, or make a page that is too long";
    else {
        result = add_form(making, row, &pages, &lists);
        form_pages_free(&pages);
    }
    json_decref(fields);
    free(lists.ancestors);
    free(lists.origins);
    return made(making, "form", row->id, result, why);
}

static enum db_result
making_work(struct db *db, void *ctx)
{
    struct making *making = ctx;
    const struct snapshot_visit visit = {
        .program = make_program, .campaign = make_campaign, .affiliate = make_affiliate,
        .link = make_link, .api_user = make_api_user, .api_key = make_api_key,
        .form = make_form, .ctx = making,
    };

    /* A retry starts with no rows. */
    tracker_snapshot_builder_free(making->builder);
    making->builder = tracker_snapshot_builder_new();
    making->rows = making->omitted = 0;
    making->failed = making->builder == NULL;
    if (making->failed)
        return DB_ABORT;

    enum db_result result = snapshot_version(db, &making->version);
    return result == DB_OK ? snapshot_walk(db, making->after, &visit) : result;
}

/* An empty list is no blob: the edge judges nothing by it. */
static int
add_lists(struct tracker_snapshot_builder *builder, const struct detection *detection)
{
    int code = 0;

    if (detection->agents.len > 0)
        code = tracker_snapshot_add_blob(builder, TRACKER_BLOB_AGENTS, detection->agents.bytes, detection->agents.len);
    if (code == 0 && detection->datacentres.len > 0)
        code = tracker_snapshot_add_blob(builder, TRACKER_BLOB_DATACENTRES, detection->datacentres.bytes,
                                         detection->datacentres.len);
    return code;
}

bool
snapshot_make(struct db_pool *pool, const struct tracker_keys *keys, uint64_t now_ms,
              const struct snapshot *base, const struct detection *detection, struct snapshot *out)
{
    struct making               making = { .after = base != NULL ? base->version : 0 };
    struct tracker_snapshot_file file;
    const char                  *why = NULL;
    int                          code;

    memset(out, 0, sizeof(*out));
    enum db_result result = db_read(pool, making_work, &making);
    if (result != DB_OK) {
        log_error("snapshot", "cannot be made: %s", making.failed ? "out of memory" : db_last_message());
        goto failed;
    }

    code = base == NULL ? add_lists(making.builder, detection) : 0;
    if (code == 0)
        code = tracker_snapshot_build(making.builder, keys, making.version, now_ms,
                                  base != NULL ? base->hash : NULL, &out->bytes, &out->len);
    if (code != 0) {
        log_error("snapshot", "cannot be built: %s", strerror(-code));
        goto failed;
    }
    code = tracker_snapshot_open(out->bytes, out->len, keys, &file, &why);
    if (code != 0) {
        log_error("snapshot", "what was built does not pass the check: %s", why);
        goto failed;
    }

    memcpy(out->hash, file.info.hash, sizeof(out->hash));
    out->version = making.version;
    out->rows = making.rows;
    out->omitted = making.omitted;
    tracker_snapshot_builder_free(making.builder);
    return true;

failed:
    tracker_snapshot_builder_free(making.builder);
    snapshot_clear(out);
    return false;
}

void
snapshot_clear(struct snapshot *snapshot)
{
    free(snapshot->bytes);
    memset(snapshot, 0, sizeof(*snapshot));
}

static enum db_result
current_work(struct db *db, void *ctx)
{
    return snapshot_version(db, ctx);
}

bool
snapshot_current(struct db_pool *pool, uint64_t *version)
{
    return db_read(pool, current_work, version) == DB_OK;
}
