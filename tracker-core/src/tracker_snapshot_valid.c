/*
 * tracker_snapshot_valid.c - the bounds of a row, asked by builder and checker alike.
 */
#include "tracker_snapshot_internal.h"

static bool
state_valid(uint8_t state)
{
    switch ((enum tracker_state) state) {
    case TRACKER_STATE_ACTIVE:
    case TRACKER_STATE_PAUSED:
    case TRACKER_STATE_EXPIRED:
    case TRACKER_STATE_ARCHIVED:
        return true;
    }
    return false;
}

static bool
template_valid(struct tracker_str compiled)
{
    return compiled.len > 0 && compiled.len <= TRACKER_TEMPLATE_MAX
           && tracker_template_check((const uint8_t *) compiled.data, compiled.len);
}

/* An absolute URL that can stand in a header as it is. */
static bool
url_valid(struct tracker_str url)
{
    if (url.len > TRACKER_URL_MAX || tracker_url_host(url).len == 0)
        return false;
    for (size_t i = 0; i < url.len; i++)
        if (url.data[i] < 0x21 || url.data[i] > 0x7e)
            return false;
    return true;
}

static bool
currency_valid(struct tracker_str currency)
{
    if (currency.len != 3)
        return false;
    for (size_t i = 0; i < currency.len; i++)
        if (currency.data[i] < 'A' || currency.data[i] > 'Z')
            return false;
    return true;
}

static bool
code_valid(struct tracker_str code)
{
    if (code.len == 0 || code.len > TRACKER_CODE_MAX)
        return false;
    for (size_t i = 0; i < code.len; i++) {
        char c = code.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '.'
            && c != '_' && c != '~' && c != '-')
            return false;
    }
    return true;
}

static bool
limits_valid(const struct tracker_limits *limits)
{
    return limits->ends_ms == 0 || limits->starts_ms < limits->ends_ms;
}

/* Lower-case names, a leading dot allowed, each with a newline behind it. */
static bool
hosts_valid(struct tracker_str hosts)
{
    size_t start = 0;

    if (hosts.len > TRACKER_HOSTS_MAX || (hosts.len > 0 && hosts.data[hosts.len - 1] != '\n'))
        return false;
    for (size_t i = 0; i < hosts.len; i++) {
        char c = hosts.data[i];
        if (c == '\n') {
            if (i - start < 1 || (i - start == 1 && hosts.data[start] == '.'))
                return false;
            start = i + 1;
        } else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
            return false;
    }
    return true;
}

bool
tracker_snapshot_program_valid(const struct tracker_program_row *row)
{
    return row->id != 0 && state_valid(row->state)
           && row->attribution >= TRACKER_ATTRIBUTION_LAST && row->attribution <= TRACKER_ATTRIBUTION_BOTH
           && row->cookie_days <= TRACKER_COOKIE_DAYS_MAX && currency_valid(row->currency)
           && (row->fallback.len == 0 || template_valid(row->fallback))
           && (row->platform_url.len == 0 || url_valid(row->platform_url));
}

bool
tracker_snapshot_campaign_valid(const struct tracker_campaign_row *row)
{
    return row->id != 0 && row->program != 0 && state_valid(row->state) && row->name.len <= TRACKER_NAME_MAX
           && (row->fallback.len == 0 || template_valid(row->fallback)) && hosts_valid(row->hosts)
           && limits_valid(&row->limits);
}

bool
tracker_snapshot_affiliate_valid(const struct tracker_affiliate_row *row)
{
    if (row->id == 0 || row->name.len > TRACKER_NAME_MAX)
        return false;
    switch ((enum tracker_affiliate_state) row->state) {
    case TRACKER_AFFILIATE_PENDING:
    case TRACKER_AFFILIATE_APPROVED:
    case TRACKER_AFFILIATE_SUSPENDED:
    case TRACKER_AFFILIATE_TERMINATED:
        return true;
    }
    return false;
}

bool
tracker_snapshot_link_valid(const struct tracker_link_row *row)
{
    return row->id != 0 && row->campaign != 0 && row->affiliate != 0 && state_valid(row->state)
           && code_valid(row->code) && template_valid(row->destination)
           && row->rules.len <= TRACKER_RULES_LEN_MAX
           && (row->rules.len == 0 || tracker_rules_check((const uint8_t *) row->rules.data, row->rules.len))
           && limits_valid(&row->limits) && row->redirect <= TRACKER_REDIRECT_307
           && row->referrer_policy <= TRACKER_REFERRER_UNSAFE_URL
           && (row->options & ~(TRACKER_LINK_PASS_UNKNOWN | TRACKER_LINK_NO_DEEP)) == 0;
}

/* Who may post conversions names the program he may post them for: 0 must never mean "any". */
bool
tracker_snapshot_api_user_valid(const struct tracker_api_user_row *row)
{
    if (row->id == 0 || (row->state != TRACKER_STATE_ACTIVE && row->state != TRACKER_STATE_PAUSED)
        || !tracker_networks_check(row->networks) || !tracker_networks_sorted(row->networks)
        || row->secret.len > TRACKER_SECRET_SEALED_MAX
        || (row->options & ~(TRACKER_API_USER_AUTOLOGIN | TRACKER_API_USER_TEST)) != 0)
        return false;
    switch ((enum tracker_role) row->role) {
    case TRACKER_ROLE_AFFILIATE:
        return row->affiliate != 0;
    case TRACKER_ROLE_ADVERTISER:
        return row->program != 0;
    }
    return false;
}

bool
tracker_snapshot_api_key_valid(const struct tracker_api_key_row *row)
{
    return row->api_user != 0 && (row->state == TRACKER_STATE_ACTIVE || row->state == TRACKER_STATE_ARCHIVED);
}

static bool
form_key_valid(struct tracker_str key)
{
    if (key.len == 0 || key.len > TRACKER_FORM_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        char c = key.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return true;
}

/* It stands in a header beside other directives, which ';' and ',' would begin. */
static bool
ancestors_valid(struct tracker_str ancestors)
{
    if (ancestors.len > TRACKER_ORIGINS_MAX)
        return false;
    for (size_t i = 0; i < ancestors.len; i++) {
        char c = ancestors.data[i];
        if (c < 0x20 || c > 0x7e || c == ';' || c == ',')
            return false;
    }
    return true;
}

/* Scheme, host and port as a browser's Origin header has them: it is compared byte by byte. */
static bool
origin_valid(struct tracker_str origin)
{
    size_t scheme = origin.len > 5 && origin.data[4] == 's' ? 8 : 7;

    if (!url_valid(origin) || origin.len <= scheme)
        return false;
    for (size_t i = 0; i < origin.len; i++)
        if ((origin.data[i] >= 'A' && origin.data[i] <= 'Z') || (i >= scheme && strchr("/?#", origin.data[i]) != NULL))
            return false;
    return true;
}

static bool
origins_valid(struct tracker_str origins)
{
    size_t start = 0;

    if (origins.len > TRACKER_ORIGINS_MAX || (origins.len > 0 && origins.data[origins.len - 1] != '\n'))
        return false;
    for (size_t i = 0; i < origins.len; i++) {
        if (origins.data[i] != '\n')
            continue;
        if (!origin_valid((struct tracker_str){ origins.data + start, i - start }))
            return false;
        start = i + 1;
    }
    return true;
}

/* Pages are trusted by whoever fills them in, and their marks name fields of the definition. */
static bool
pages_valid(const struct tracker_form_row *row)
{
    const struct tracker_str pages[] = { row->page, row->done, row->wait };

    if (row->definition.len > TRACKER_FORM_MAX || !tracker_form_check(row->definition))
        return false;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (pages[i].len > TRACKER_PAGE_MAX || !tracker_page_check(pages[i], row->definition))
            return false;
    return row->page.len > 0 && row->done.len > 0;
}

/* What it does when it was sent, it can do. */
static bool
form_after_valid(const struct tracker_form_row *row)
{
    if (row->after_url.len > 0 && !url_valid(row->after_url))
        return false;
    switch ((enum tracker_form_after) row->after) {
    case TRACKER_FORM_AFTER_MESSAGE:
        return true;
    case TRACKER_FORM_AFTER_URL:
        return row->after_url.len > 0;
    case TRACKER_FORM_AFTER_AUTOLOGIN:
        return row->wait.len > 0;
    }
    return false;
}

bool
tracker_snapshot_form_valid(const struct tracker_form_row *row)
{
    return row->id != 0 && row->program != 0 && state_valid(row->state)
           && (row->options & ~TRACKER_FORM_CONFIRM) == 0 && row->min_fill_ms <= TRACKER_FORM_FILL_MAX_MS
           && form_key_valid(row->key) && pages_valid(row) && form_after_valid(row)
           && ancestors_valid(row->frame_ancestors) && origins_valid(row->origins);
}

static bool
datacentres_valid(struct tracker_str bytes)
{
    uint32_t last = 0;

    for (size_t at = 0; at < bytes.len; at += 4) {
        uint32_t asn = tracker_get32((const uint8_t *) bytes.data + at);
        if (asn <= last)
            return false;
        last = asn;
    }
    return bytes.len % 4 == 0;
}

bool
tracker_snapshot_blob_valid(uint32_t kind, struct tracker_str bytes)
{
    if (bytes.len == 0 || bytes.len > TRACKER_BLOB_MAX)
        return false;
    switch ((enum tracker_blob) kind) {
    case TRACKER_BLOB_AGENTS:
        return tracker_agents_check((const uint8_t *) bytes.data, bytes.len);
    case TRACKER_BLOB_DATACENTRES:
        return datacentres_valid(bytes);
    }
    return false;
}
