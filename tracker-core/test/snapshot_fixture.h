/*
 * snapshot_fixture.h - small rows and files for the tests of the snapshot.
 */
#ifndef SNAPSHOT_FIXTURE_H
#define SNAPSHOT_FIXTURE_H

#include <errno.h>

#include "testing.h"

#include "tracker_snapshot_internal.h"

#define KEY_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY_2 "2222222222222222222222222222222222222222222222222222222222222222"
#define KEYS_1     "1 current " KEY_1 "\n"
#define KEYS_2     "2 current " KEY_2 "\n"
#define KEYS_1_2   "1 current " KEY_1 "\n2 accepted " KEY_2 "\n"
#define KEYS_FALSE "1 current " KEY_2 "\n" /* the right id, another key */

static inline struct tracker_keys
keys_of(const char *text)
{
    struct tracker_keys keys;
    const char         *error;
    int                 line;

    assert_int_equal(tracker_keys_parse(&keys, testing_str(text), &error, &line), 0);
    return keys;
}

/* Compiled templates, kept until the test ends. */
static inline struct tracker_str
compiled(const char *text)
{
    static uint8_t pool[64][TRACKER_TEMPLATE_MAX];
    static char    texts[64][TRACKER_TEMPLATE_MAX];
    static int     lens[64];
    const char    *error = "no room in the pool";

    for (int i = 0; i < 64; i++) {
        if (lens[i] == 0) {
            snprintf(texts[i], sizeof(texts[i]), "%s", text);
            lens[i] = tracker_template_compile(testing_str(text), 0, pool[i],
                                               sizeof(pool[i]), &error);
            if (lens[i] <= 0)
                break;
        }
        if (strcmp(texts[i], text) == 0)
            return (struct tracker_str){ (char *) pool[i], (size_t) lens[i] };
    }
    fail_msg("template %s: %s", text, error);
    return TRACKER_STR_NONE;
}

static inline struct tracker_program_row
a_program(void)
{
    return (struct tracker_program_row){ .id = 7,
                                         .state = TRACKER_STATE_ACTIVE,
                                         .attribution = TRACKER_ATTRIBUTION_FIRST,
                                         .cookie_days = 30,
                                         .currency = TRACKER_STR("EUR"),
                                         .fallback = compiled("https://shop.example/gone"),
                                         .platform_user = 2,
                                         .platform_url = TRACKER_STR("https://play.example/in?from=aff") };
}

static inline struct tracker_campaign_row
a_campaign(void)
{
    return (struct tracker_campaign_row){ .id = 3,
                                          .program = 7,
                                          .state = TRACKER_STATE_ACTIVE,
                                          .name = TRACKER_STR("Spring & S\xc3\xb6hne"),
                                          .fallback = TRACKER_STR_NONE,
                                          .hosts = TRACKER_STR("shop.example\n.shop.example\n"),
                                          .limits = { .ends_ms = UINT64_C(1800000000000), .cap_day = 5 } };
}

static inline struct tracker_affiliate_row
an_affiliate(void)
{
    return (struct tracker_affiliate_row){ .id = 5,
                                           .state = TRACKER_AFFILIATE_APPROVED,
                                           .name = TRACKER_STR("anna") };
}

static inline struct tracker_link_row
a_link(const char *code)
{
    return (struct tracker_link_row){ .id = 11,
                                      .campaign = 3,
                                      .affiliate = 5,
                                      .state = TRACKER_STATE_ACTIVE,
                                      .code = testing_str(code),
                                      .destination = compiled("https://shop.example/?c={click_id}") };
}

static inline struct tracker_api_key_row
an_api_key(uint8_t fill)
{
    struct tracker_api_key_row row = { .api_user = 2, .state = TRACKER_STATE_ACTIVE };
    memset(row.hash, fill, sizeof(row.hash));
    return row;
}

/* Behind two networks, with something that looks like a sealed secret. */
static inline struct tracker_api_user_row
an_api_user(void)
{
    static uint8_t networks[2 * TRACKER_NETWORK_LEN], sealed[32 + TRACKER_SECRET_OVERHEAD];

    assert_true(tracker_network_parse(TRACKER_STR("192.0.2.0/24"), networks));
    assert_true(tracker_network_parse(TRACKER_STR("2001:db8::/32"), networks + TRACKER_NETWORK_LEN));
    memset(sealed, 0x5a, sizeof(sealed));
    return (struct tracker_api_user_row){ .id = 2,
                                          .program = 7,
                                          .affiliate = 0,
                                          .state = TRACKER_STATE_ACTIVE,
                                          .role = TRACKER_ROLE_ADVERTISER,
                                          .scopes = TRACKER_SCOPE_CONVERSIONS_WRITE,
                                          .expires_ms = UINT64_C(1700000000000),
                                          .rate_minute = 600,
                                          .restricted = true,
                                          .networks = { (char *) networks, sizeof(networks) },
                                          .secret = { (char *) sealed, sizeof(sealed) },
                                          .options = TRACKER_API_USER_AUTOLOGIN };
}

/* Two fields, and pages that ask for them. */
static inline struct tracker_form_row
a_form(const char *key)
{
    static const struct tracker_form_field fields[] = {
        { .name = { "email", 5 }, .type = TRACKER_FORM_EMAIL, .required = true },
        { .name = { "plan", 4 }, .type = TRACKER_FORM_SELECT, .options = { "basic\npro\n", 10 } },
    };
    static uint8_t definition[512];
    const char    *error;
    unsigned       at;
    int            len = tracker_form_compile(fields, 2, definition, sizeof(definition), &error, &at);

    assert_true(len > 0);
    return (struct tracker_form_row){ .id = 21,
                                      .program = 7,
                                      .affiliate = 5,
                                      .state = TRACKER_STATE_ACTIVE,
                                      .after = TRACKER_FORM_AFTER_AUTOLOGIN,
                                      .options = TRACKER_FORM_CONFIRM,
                                      .min_fill_ms = 2000,
                                      .rate_minute = 20,
                                      .key = testing_str(key),
                                      .definition = { (char *) definition, (size_t) len },
                                      .page = TRACKER_STR("<input value=\"\1V0;\"><option\1S1,1;>\1T"),
                                      .done = TRACKER_STR("<p>Thank you"),
                                      .wait = TRACKER_STR("<p>One moment"),
                                      .after_url = TRACKER_STR("https://shop.example/thanks?x=%20"),
                                      .frame_ancestors = TRACKER_STR("'self' https://*.example.com:8443"),
                                      .origins = TRACKER_STR("https://shop.example\nhttp://[::1]:8080\n") };
}

/* AS numbers, the simplest of blobs. */
#define DATACENTRES ((const uint8_t *) "\x01\0\0\0\x02\0\0\0\0\x01\0\0")
#define DATACENTRES_LEN 12

static inline struct tracker_snapshot_builder *
new_builder(void)
{
    struct tracker_snapshot_builder *b = tracker_snapshot_builder_new();

    assert_non_null(b);
    return b;
}

/* One of each, two links. */
static inline struct tracker_snapshot_builder *
small_builder(void)
{
    struct tracker_snapshot_builder *b = new_builder();
    struct tracker_program_row       program = a_program();
    struct tracker_campaign_row      campaign = a_campaign();
    struct tracker_affiliate_row     affiliate = an_affiliate();
    struct tracker_link_row          summer = a_link("summer"), winter = a_link("winter");
    struct tracker_api_user_row      api_user = an_api_user();
    struct tracker_api_key_row       api_key = an_api_key(0xab);
    struct tracker_form_row          form = a_form("contact");

    winter.redirect = TRACKER_REDIRECT_307;
    winter.limits.starts_ms = 1;
    assert_int_equal(tracker_snapshot_add_program(b, &program), 0);
    assert_int_equal(tracker_snapshot_add_campaign(b, &campaign), 0);
    assert_int_equal(tracker_snapshot_add_affiliate(b, &affiliate), 0);
    assert_int_equal(tracker_snapshot_add_link(b, &summer), 0);
    assert_int_equal(tracker_snapshot_add_link(b, &winter), 0);
    assert_int_equal(tracker_snapshot_add_api_key(b, &api_key), 0);
    assert_int_equal(tracker_snapshot_add_api_user(b, &api_user), 0);
    assert_int_equal(tracker_snapshot_add_form(b, &form), 0);
    assert_int_equal(tracker_snapshot_add_blob(b, TRACKER_BLOB_DATACENTRES, DATACENTRES, DATACENTRES_LEN), 0);
    return b;
}

struct built {
    uint8_t                     *bytes;
    size_t                       len;
    struct tracker_snapshot_file file;
};

/* Builds, frees the builder and opens. */
static inline struct built
build(struct tracker_snapshot_builder *b, uint64_t version, const struct built *base)
{
    struct tracker_keys keys = keys_of(KEYS_1);
    struct built        out;
    const char         *error = NULL;

    assert_int_equal(tracker_snapshot_build(b, &keys, version, 1000 + version,
                                            base != NULL ? base->file.info.hash : NULL, &out.bytes, &out.len),
                     0);
    tracker_snapshot_builder_free(b);
    if (tracker_snapshot_open(out.bytes, out.len, &keys, &out.file, &error) != 0)
        fail_msg("%s", error);
    return out;
}

static inline const char *
open_error(const uint8_t *bytes, size_t len, const char *key_text)
{
    struct tracker_keys          keys = keys_of(key_text);
    struct tracker_snapshot_file file;
    const char                  *error;
    int                          rc = tracker_snapshot_open(bytes, len, &keys, &file, &error);

    assert_int_equal(rc, error == NULL ? 0 : -EINVAL);
    return error;
}

static inline void
assert_str(struct tracker_str got, struct tracker_str expected)
{
    assert_int_equal(got.len, expected.len);
    if (got.len > 0)
        assert_memory_equal(got.data, expected.data, got.len);
}

static inline void
assert_link(const struct tracker_link_row *got, const struct tracker_link_row *expected)
{
    assert_int_equal(got->id, expected->id);
    assert_int_equal(got->campaign, expected->campaign);
    assert_int_equal(got->affiliate, expected->affiliate);
    assert_int_equal(got->state, expected->state);
    assert_str(got->code, expected->code);
    assert_str(got->destination, expected->destination);
    assert_str(got->rules, expected->rules);
    assert_memory_equal(&got->limits, &expected->limits, sizeof(got->limits));
    assert_int_equal(got->redirect, expected->redirect);
    assert_int_equal(got->referrer_policy, expected->referrer_policy);
    assert_int_equal(got->options, expected->options);
}

static inline void
assert_program(const struct tracker_program_row *got, const struct tracker_program_row *expected)
{
    assert_int_equal(got->id, expected->id);
    assert_int_equal(got->state, expected->state);
    assert_int_equal(got->attribution, expected->attribution);
    assert_int_equal(got->cookie_days, expected->cookie_days);
    assert_str(got->currency, expected->currency);
    assert_str(got->fallback, expected->fallback);
    assert_int_equal(got->platform_user, expected->platform_user);
    assert_str(got->platform_url, expected->platform_url);
}

static inline void
assert_campaign(const struct tracker_campaign_row *got, const struct tracker_campaign_row *expected)
{
    assert_int_equal(got->id, expected->id);
    assert_int_equal(got->program, expected->program);
    assert_int_equal(got->state, expected->state);
    assert_str(got->name, expected->name);
    assert_str(got->fallback, expected->fallback);
    assert_str(got->hosts, expected->hosts);
    assert_memory_equal(&got->limits, &expected->limits, sizeof(got->limits));
}

static inline void
assert_affiliate(const struct tracker_affiliate_row *got, const struct tracker_affiliate_row *expected)
{
    assert_int_equal(got->id, expected->id);
    assert_int_equal(got->state, expected->state);
    assert_str(got->name, expected->name);
}

static inline void
assert_api_key(const struct tracker_api_key_row *got, const struct tracker_api_key_row *expected)
{
    assert_memory_equal(got->hash, expected->hash, sizeof(got->hash));
    assert_int_equal(got->api_user, expected->api_user);
    assert_int_equal(got->state, expected->state);
}

static inline void
assert_api_user(const struct tracker_api_user_row *got, const struct tracker_api_user_row *expected)
{
    assert_int_equal(got->id, expected->id);
    assert_int_equal(got->program, expected->program);
    assert_int_equal(got->affiliate, expected->affiliate);
    assert_int_equal(got->state, expected->state);
    assert_int_equal(got->role, expected->role);
    assert_int_equal(got->scopes, expected->scopes);
    assert_int_equal(got->expires_ms, expected->expires_ms);
    assert_int_equal(got->rate_minute, expected->rate_minute);
    assert_int_equal(got->restricted, expected->restricted);
    assert_str(got->networks, expected->networks);
    assert_str(got->secret, expected->secret);
    assert_int_equal(got->options, expected->options);
}

static inline void
assert_form(const struct tracker_form_row *got, const struct tracker_form_row *expected)
{
    assert_int_equal(got->id, expected->id);
    assert_int_equal(got->program, expected->program);
    assert_int_equal(got->affiliate, expected->affiliate);
    assert_int_equal(got->state, expected->state);
    assert_int_equal(got->after, expected->after);
    assert_int_equal(got->options, expected->options);
    assert_int_equal(got->min_fill_ms, expected->min_fill_ms);
    assert_int_equal(got->rate_minute, expected->rate_minute);
    assert_str(got->key, expected->key);
    assert_str(got->definition, expected->definition);
    assert_str(got->page, expected->page);
    assert_str(got->done, expected->done);
    assert_str(got->wait, expected->wait);
    assert_str(got->after_url, expected->after_url);
    assert_str(got->frame_ancestors, expected->frame_ancestors);
    assert_str(got->origins, expected->origins);
}

#endif
