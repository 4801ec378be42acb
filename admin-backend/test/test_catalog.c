/*
 * Groups, affiliates, campaigns, links, API users and settings: what they take,
 * what they refuse, and that each change is a version for the edges.
 *
 * What could break: a field that is misspelt and ignored, an edit that overwrites
 * somebody else's, a reference into nothing, a link that sends visitors to
 * ourselves, a change that no edge ever hears of.
 */
#include "test_money.h"

#include "service/snapshot.h"
#include "store/catalog.h"
#include "tracker_network.h"
#include "tracker_secret.h"

static int64_t
config_version(struct money *m)
{
    return test_int(m->base.pool, "SELECT version AS n FROM config_version");
}

static enum service_result
create_as(struct money *m, test_create create, const char *body_text)
{
    json_t             *body = json_of("%s", body_text);
    enum service_result result = create(m->service, &test_admin, body, NULL, &m->error);

    json_decref(body);
    return result;
}

typedef enum service_result (*test_edit)(const struct service *, const struct actor *, int64_t, int64_t, const json_t *,
                                         json_t **, struct service_error *);

static enum service_result
edit_as(struct money *m, test_edit edit, int64_t id, int64_t if_version, const char *patch_text, json_t **object)
{
    json_t             *patch = json_of("%s", patch_text);
    enum service_result result = edit(m->service, &test_admin, id, if_version, patch, object, &m->error);

    json_decref(patch);
    return result;
}

static const struct detection no_lists = { .agents = { .len = 0 } };

struct loading {
    int64_t              id;
    struct api_user_row *row;
};

static enum db_result
load_user(struct db *db, void *ctx)
{
    struct loading *loading = ctx;

    return row_load(db, &api_user_table, loading->id, loading->row) == DB_ROW ? DB_OK : DB_FAILED;
}

static void
user_row(struct money *m, int64_t id, struct api_user_row *row)
{
    struct loading loading = { id, row };

    assert_int_equal(db_read(m->base.pool, load_user, &loading), DB_OK);
}

struct blame {
    const char *body, *field;
};

static void
all_blamed(struct money *m, test_create create, const struct blame *cases, size_t count)
{
    int64_t rows = test_int(m->base.pool, "SELECT COUNT(*) AS n FROM audit_log"), version = config_version(m);

    for (size_t i = 0; i < count; i++) {
        service_error_clear(&m->error);
        if (create_as(m, create, cases[i].body) != SERVICE_INVALID
            || json_object_get(m->error.fields, cases[i].field) == NULL)
            fail_msg("%s: %s %s", cases[i].body, m->error.code, m->error.fields == NULL ? "" : json_dumps(m->error.fields, 0));
    }
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM audit_log"), rows);
    assert_int_equal(config_version(m), version);
}
#define ALL_BLAMED(m, create, cases) all_blamed(m, create, cases, sizeof(cases) / sizeof((cases)[0]))

/* ---- fields ---- */

static void
test_groups(void **state)
{
    static const struct blame bad[] = {
        { "{}", "name" },
        { "[]", "body" },
        { "{\"name\":\"\"}", "name" },
        { "{\"name\":7}", "name" },
        { "{\"name\":null}", "name" },
        { "{\"name\":\"a\\u0007b\"}", "name" },
        { "{\"name\":\"A\",\"nmae\":\"B\"}", "nmae" },
        { "{\"name\":\"A\",\"payout_frequency\":\"daily\"}", "payout_frequency" },
        { "{\"name\":\"A\",\"payout_methods\":[]}", "payout_methods" },
        { "{\"name\":\"A\",\"payout_methods\":[\"cash\"]}", "payout_methods" },
        { "{\"name\":\"A\",\"payout_methods\":[\"wallet\",\"wallet\"]}", "payout_methods" },
        { "{\"name\":\"A\",\"payout_methods\":\"wallet\"}", "payout_methods" },
        { "{\"name\":\"A\",\"minimum_payout\":{\"amount\":\"1.00\",\"currency\":\"USD\"}}", "minimum_payout" },
        { "{\"name\":\"A\",\"minimum_payout\":{\"amount\":\"-1.00\",\"currency\":\"EUR\"}}", "minimum_payout" },
        { "{\"name\":\"A\",\"minimum_payout\":{\"amount\":\"1.001\",\"currency\":\"EUR\"}}", "minimum_payout" },
        { "{\"name\":\"A\",\"minimum_payout\":{\"amount\":1,\"currency\":\"EUR\"}}", "minimum_payout" },
        { "{\"name\":\"A\",\"minimum_payout\":{\"amount\":\"1.00\"}}", "minimum_payout" },
        { "{\"name\":\"A\",\"minimum_payout\":\"1.00\"}", "minimum_payout" },
    };
    struct money *m = *state;
    json_t       *group;

    ALL_BLAMED(m, group_create, bad);
    must_refuse(m, create_as(m, group_create, "{\"name\":\"Standard\"}"), "duplicate");
    must(m, edit_as(m, group_edit, m->group, 0, "{\"payout_methods\":[\"wallet\",\"other\"],\"payout_frequency\":\"weekly\"}",
                    &group));
    assert_string_equal(text_of(group, "payout_frequency"), "weekly");
    assert_int_equal(json_array_size(json_object_get(group, "payout_methods")), 2);
    assert_int_equal(json_integer_value(json_object_get(group, "affiliate_count")), 1);
    json_decref(group);
    must_verify(m);
}

static void
test_commissions_of_groups(void **state)
{
    static const struct blame bad[] = {
#define COMMISSION(text) { "{\"name\":\"A\",\"commission\":" text "}", "commission" }
        COMMISSION("20"),
        COMMISSION("\"20\""),
        COMMISSION("[]"),
        COMMISSION("{}"),
        COMMISSION("{\"type\":\"none\"}"),
        COMMISSION("{\"type\":\"Percentage\",\"percentage\":\"20\"}"),
        COMMISSION("{\"type\":\"percentage\"}"),
        COMMISSION("{\"type\":\"percentage\",\"percentage\":20}"),
        COMMISSION("{\"type\":\"percentage\",\"percentage\":\"100.1\"}"),
        COMMISSION("{\"type\":\"percentage\",\"percentage\":\"-1\"}"),
        COMMISSION("{\"type\":\"percentage\",\"percentage\":\"20\",\"hold_days\":-1}"),
        COMMISSION("{\"type\":\"percentage\",\"percentage\":\"20\",\"hold_days\":\"7\"}"),
        COMMISSION("{\"type\":\"percentage\",\"percentage\":\"20\",\"hold_dyas\":7}"),
        COMMISSION("{\"type\":\"percentage\",\"percentage\":\"20\",\"amount\":{\"amount\":\"1\",\"currency\":\"EUR\"}}"),
        COMMISSION("{\"type\":\"fixed\",\"amount\":\"5.00\"}"),
        COMMISSION("{\"type\":\"fixed\",\"amount\":{\"amount\":\"5.00\",\"currency\":\"XYZ\"}}"),
        COMMISSION("{\"type\":\"fixed\",\"amount\":{\"amount\":\"-5.00\",\"currency\":\"EUR\"}}"),
        COMMISSION("{\"type\":\"fixed\",\"amount\":{\"amount\":\"5.00\",\"currency\":\"EUR\",\"per\":\"day\"}}"),
        COMMISSION("{\"type\":\"tiered\"}"),
        COMMISSION("{\"type\":\"tiered\",\"tiers\":[]}"),
        COMMISSION("{\"type\":\"tiered\",\"tiers\":[{\"from\":1,\"percentage\":\"5\"}]}"),
        COMMISSION("{\"type\":\"tiered\",\"tiers\":[{\"from\":0,\"percentage\":\"5\"},{\"from\":0,\"percentage\":\"6\"}]}"),
        COMMISSION("{\"type\":\"tiered\",\"tiers\":[{\"from\":\"0\",\"percentage\":\"5\"}]}"),
        COMMISSION("{\"type\":\"tiered\",\"tiers\":[{\"from\":0,\"percentage\":\"5\",\"to\":9}]}"),
        COMMISSION("{\"type\":\"tiered\",\"tiers\":[7]}"),
#undef COMMISSION
    };
    static const char *const good[] = {
        "null",
        "{\"type\":\"percentage\",\"percentage\":\"12.5\",\"hold_days\":30}",
        "{\"type\":\"fixed\",\"amount\":{\"amount\":\"5.00\",\"currency\":\"EUR\"},\"hold_days\":0}",
        "{\"type\":\"tiered\",\"tiers\":[{\"from\":0,\"percentage\":\"5\"},{\"from\":10,"
        "\"percentage\":\"7.5\"}],\"hold_days\":0}",
    };
    struct money *m = *state;

    ALL_BLAMED(m, group_create, bad);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char    patch[512];
        json_t *wanted = json_of("%s", good[i]), *group;

        test_clock_us += SECOND_US;
        snprintf(patch, sizeof(patch), "{\"commission\":%s}", good[i]);
        for (int again = 0; again < 2; again++) {
            must(m, edit_as(m, group_edit, m->group, 0, patch, &group));
            if (!json_equal(json_object_get(group, "commission"), wanted))
                fail_msg("%s became %s", good[i], json_dumps(json_object_get(group, "commission"), JSON_ENCODE_ANY));
            json_decref(group);
        }
        json_decref(wanted);
    }
    /* Each was kept once: the same plan once more is no new version of it. */
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM plans WHERE scope = 'group'"), 5);
    must_verify(m);
}

static void
test_affiliates(void **state)
{
    static const struct blame bad[] = {
        { "{\"name\":\"A\"}", "email" },
        { "{\"email\":\"a@example.com\"}", "name" },
        { "{\"name\":\"A\",\"email\":\"a\"}", "email" },
        { "{\"name\":\"A\",\"email\":\"a@b\"}", "email" },
        { "{\"name\":\"A\",\"email\":\"a@b@c.com\"}", "email" },
        { "{\"name\":\"A\",\"email\":\"a b@example.com\"}", "email" },
        { "{\"name\":\"A\",\"email\":\"<a@example.com>\"}", "email" },
        { "{\"name\":\"A\",\"email\":\"a@example.com\",\"status\":\"active\"}", "status" },
        { "{\"name\":\"A\",\"email\":\"a@example.com\",\"group_id\":\"4711\"}", "group_id" },
        { "{\"name\":\"A\",\"email\":\"a@example.com\",\"group_id\":1}", "group_id" },
        { "{\"name\":\"A\",\"email\":\"a@example.com\",\"api_user_id\":\"4711\"}", "api_user_id" },
        { "{\"name\":\"A\",\"email\":\"a@example.com\",\"password_hash\":\"x\"}", "password_hash" },
        { "{\"name\":\"A\",\"email\":\"a@example.com\",\"id\":\"1\"}", "id" },
    };
    struct money *m = *state;
    json_t       *affiliate, *body = json_of("{\"name\":\"Bob\",\"email\":\"Bob@Example.COM\"}");

    ALL_BLAMED(m, affiliate_create, bad);
    must(m, affiliate_create(m->service, &test_admin, body, &affiliate, &m->error));
    assert_string_equal(text_of(affiliate, "email"), "bob@example.com");
    assert_string_equal(text_of(affiliate, "status"), "pending");
    assert_true(json_is_null(json_object_get(affiliate, "group_id")));
    json_decref(affiliate);
    must_refuse(m, affiliate_create(m->service, &test_admin, body, NULL, &m->error), "duplicate");
    json_decref(body);

    must_blame(m, affiliate_act(m->service, &test_admin, m->affiliate, "delete", NULL, NULL, &m->error), "action");
    must_refuse(m, affiliate_act(m->service, &test_admin, 4711, "approve", NULL, NULL, &m->error), "not_found");
    must(m, affiliate_act(m->service, &test_admin, m->affiliate, "terminate", "fraud", &affiliate, &m->error));
    assert_string_equal(text_of(affiliate, "status"), "terminated");
    json_decref(affiliate);

    /* A reference that is cleared, and one that stays when it is not spoken of. */
    must(m, edit_as(m, affiliate_edit, m->affiliate, 0, "{\"notes\":\"n\"}", &affiliate));
    assert_string_equal(text_of(affiliate, "group_name"), "Standard");
    json_decref(affiliate);
    must(m, edit_as(m, affiliate_edit, m->affiliate, 0, "{\"group_id\":null}", &affiliate));
    assert_true(json_is_null(json_object_get(affiliate, "group_id")));
    json_decref(affiliate);
    must_verify(m);
}

static void
test_links(void **state)
{
#define LINK(rest) "{\"affiliate_id\":\"1\",\"campaign_id\":\"1\"," rest "}"
    static const struct blame bad[] = {
        { "{\"affiliate_id\":\"1\",\"campaign_id\":\"1\"}", "destination" },
        { "{\"affiliate_id\":\"4711\",\"campaign_id\":\"1\",\"destination\":\"https://a.example/\"}", "affiliate_id" },
        { "{\"affiliate_id\":\"1\",\"campaign_id\":\"4711\",\"destination\":\"https://a.example/\"}", "campaign_id" },
        { LINK("\"destination\":\"javascript:alert(1)\""), "destination" },
        { LINK("\"destination\":\"//a.example/\""), "destination" },
        { LINK("\"destination\":\"https://{affiliate}.example/\""), "destination" },
        { LINK("\"destination\":\"https://user:pass@a.example/\""), "destination" },
        { LINK("\"destination\":\"https://127.0.0.1:8080/c/x\""), "destination" }, /* ourselves */
        { LINK("\"destination\":\"https://a.example/\",\"code\":\"a/b\""), "code" },
        { LINK("\"destination\":\"https://a.example/\",\"code\":\"\""), "code" },
        { LINK("\"destination\":\"https://a.example/\",\"rules\":[{}]"), "rules" },
        { LINK("\"destination\":\"https://a.example/\",\"append_click_id\":1"), "append_click_id" },
        { LINK("\"destination\":\"https://a.example/\",\"state\":\"off\""), "state" },
    };
    struct money *m = *state;
    json_t       *link, *body = json_of("%s", LINK("\"destination\":\"https://a.example/\",\"code\":\"spring\""));

    ALL_BLAMED(m, link_create, bad);
    must(m, link_create(m->service, &test_admin, body, &link, &m->error));
    assert_string_equal(text_of(link, "code"), "spring");
    must_refuse(m, link_create(m->service, &test_admin, body, NULL, &m->error), "duplicate");
    must_blame(m, edit_as(m, link_edit, id_of(link), 0, "{\"code\":\"other\"}", NULL), "code");
    json_decref(link);
    json_decref(body);

    /* A drawn code is short, typable, and its own. */
    must(m, edit_as(m, link_edit, m->link, 0, "{\"state\":\"paused\"}", &link));
    assert_int_equal(strlen(text_of(link, "code")), 7);
    assert_null(strpbrk(text_of(link, "code"), "0O1lI"));
    assert_string_equal(text_of(link, "state"), "paused");
    json_decref(link);
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM link_versions WHERE link_id = 1"), 1);
    must_verify(m);
}

static void
test_api_users(void **state)
{
    static const struct blame bad[] = {
        { "{\"name\":\"A\"}", "role" },
        { "{\"name\":\"A\",\"role\":\"admin\"}", "role" },
        { "{\"name\":\"A\",\"role\":\"advertiser\",\"scopes\":[\"everything\"]}", "scopes" },
        { "{\"name\":\"A\",\"role\":\"affiliate\",\"scopes\":[\"conversions:write\"]}", "scopes" },
        { "{\"name\":\"A\",\"role\":\"affiliate\",\"affiliate_id\":\"4711\"}", "affiliate_id" },
        { "{\"name\":\"A\",\"role\":\"advertiser\",\"expires_at\":\"soon\"}", "expires_at" },
        { "{\"name\":\"A\",\"role\":\"advertiser\",\"key\":\"mine\"}", "key" },
    };
    struct money *m = *state;
    json_t       *user, *body = json_of("{\"name\":\"Shop\",\"role\":\"advertiser\"}");
    int64_t       id, keys[2];
    char          first[128];

    ALL_BLAMED(m, api_user_create, bad);
    must(m, api_user_create(m->service, &test_admin, body, &user, &m->error));
    json_decref(body);
    id = id_of(user);
    snprintf(first, sizeof(first), "%s", text_of(user, "key"));
    assert_int_equal(json_array_size(json_object_get(user, "scopes")), 0); /* nothing chosen, nothing allowed */
    keys[0] = id_of(json_array_get(json_object_get(user, "keys"), 0));
    json_decref(user);
    must_blame(m, edit_as(m, api_user_edit, id, 0, "{\"role\":\"affiliate\"}", NULL), "role");

    /* A second key to move to, no third, and the first one goes. */
    must(m, api_key_add(m->service, &test_admin, id, &user, &m->error));
    assert_string_not_equal(text_of(user, "key"), first);
    keys[1] = id_of(json_array_get(json_object_get(user, "keys"), 1));
    json_decref(user);
    must_refuse(m, api_key_add(m->service, &test_admin, id, &user, &m->error), "too_many_keys");
    must(m, api_key_revoke(m->service, &test_admin, id, keys[0], &user, &m->error));
    assert_int_equal(json_array_size(json_object_get(user, "keys")), 1);
    assert_int_equal(id_of(json_array_get(json_object_get(user, "keys"), 0)), keys[1]);
    assert_null(json_object_get(user, "key"));
    json_decref(user);
    must_refuse(m, api_key_revoke(m->service, &test_admin, id, keys[0], NULL, &m->error), "not_found");
    must_refuse(m, api_key_add(m->service, &test_admin, 4711, &user, &m->error), "not_found");
    must_verify(m);
}

/* Who may use a key from where, how often, and what postbacks are signed with: as edges are told. */
static void
test_access_of_api_users(void **state)
{
    static const struct blame bad[] = {
#define ACCESS(text) { "{\"name\":\"A\",\"role\":\"advertiser\"," text "}"
        ACCESS("\"ip_whitelist\":[]"), "ip_whitelist" },
        ACCESS("\"ip_whitelist\":{\"enabled\":true}"), "ip_whitelist" },
        ACCESS("\"ip_whitelist\":{\"enabled\":1,\"ranges\":[]}"), "ip_whitelist" },
        ACCESS("\"ip_whitelist\":{\"enabled\":true,\"ranges\":[],\"log\":true}"), "ip_whitelist" },
        ACCESS("\"ip_whitelist\":{\"enabled\":true,\"ranges\":[7]}"), "ip_whitelist" },
        ACCESS("\"ip_whitelist\":{\"enabled\":true,\"ranges\":[\"192.0.2.1/24\"]}"), "ip_whitelist" },
        ACCESS("\"ip_whitelist\":{\"enabled\":true,\"ranges\":[\"192.0.2.0/33\"]}"), "ip_whitelist" },
        ACCESS("\"ip_whitelist\":{\"enabled\":true,\"ranges\":[\"example.com\"]}"), "ip_whitelist" },
        ACCESS("\"rate_per_minute\":-1"), "rate_per_minute" },
        ACCESS("\"rate_per_minute\":1000001"), "rate_per_minute" },
        ACCESS("\"secret\":\"mine\""), "secret" },
#undef ACCESS
    };
    struct money                *m = *state;
    struct snapshot              file;
    struct tracker_snapshot_file checked;
    struct tracker_snapshot      edge = { &checked, NULL };
    struct tracker_api_user_row  row;
    uint8_t                      clear[TRACKER_SECRET_MAX];
    json_t                      *user;
    char                         first[64], second[64];
    const char                  *why;
    int64_t                      id;

    ALL_BLAMED(m, api_user_create, bad);
    json_t *body = json_of("{\"name\":\"Shop\",\"role\":\"advertiser\",\"rate_per_minute\":60,\"ip_whitelist\":"
                           "{\"enabled\":true,\"ranges\":[\"192.0.2.0/24\",\"2001:db8::7\"]}}");
    must(m, api_user_create(m->service, &test_admin, body, &user, &m->error));
    json_decref(body);
    id = id_of(user);
    snprintf(first, sizeof(first), "%s", text_of(user, "secret"));
    assert_int_equal(strlen(first), strlen("aff_sign_") + 43);
    assert_true(json_is_true(json_object_get(user, "has_secret")));
    json_decref(user);

    /* A change of something else tells no secret and leaves it; a renewed one is another. */
    must(m, edit_as(m, api_user_edit, id, 0, "{\"rate_per_minute\":600}", &user));
    assert_null(json_object_get(user, "secret"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(user, "ip_whitelist"), "ranges")), 2);
    json_decref(user);
    for (int renewed = 0; renewed < 2; renewed++) {
        assert_true(snapshot_make(m->base.pool, &m->base.keys, test_now_us() / 1000, NULL, &no_lists, &file));
        assert_int_equal(tracker_snapshot_open(file.bytes, file.len, &m->base.keys, &checked, &why), 0);
        assert_true(tracker_snapshot_api_user(&edge, (uint32_t) id, &row));
        assert_int_equal(row.rate_minute, 600);
        assert_true(row.restricted);
        assert_true(tracker_networks_hold(row.networks, TRACKER_STR("\xc0\x00\x02\x63")));
        assert_false(tracker_networks_hold(row.networks, TRACKER_STR("\xc0\x00\x03\x63")));
        assert_int_equal(tracker_secret_open(&m->base.keys, (uint64_t) id, row.secret, clear), strlen(first));
        assert_memory_equal(clear, renewed ? second : first, strlen(first));
        snapshot_clear(&file);
        if (renewed)
            break;
        must(m, api_secret_renew(m->service, &test_admin, id, &user, &m->error));
        snprintf(second, sizeof(second), "%s", text_of(user, "secret"));
        assert_string_not_equal(first, second);
        json_decref(user);
    }

    /* On and empty is nobody. */
    must(m, edit_as(m, api_user_edit, id, 0, "{\"ip_whitelist\":{\"enabled\":true,\"ranges\":[]}}", NULL));
    assert_true(snapshot_make(m->base.pool, &m->base.keys, test_now_us() / 1000, NULL, &no_lists, &file));
    assert_int_equal(tracker_snapshot_open(file.bytes, file.len, &m->base.keys, &checked, &why), 0);
    assert_true(tracker_snapshot_api_user(&edge, (uint32_t) id, &row));
    assert_true(row.restricted);
    assert_int_equal(row.networks.len, 0);
    snapshot_clear(&file);
    must_refuse(m, api_secret_renew(m->service, &test_admin, 4711, NULL, &m->error), "not_found");
}

/* Once another key of the ring is current, no secret depends on the old one, which may then be retired. */
static void
test_secrets_outlive_a_rotation(void **state)
{
    struct money       *m = *state;
    struct tracker_keys rotated = m->base.keys;
    uint8_t             clear[TRACKER_SECRET_MAX];
    struct api_user_row row;
    json_t             *user, *body = json_of("{\"name\":\"Shop\",\"role\":\"advertiser\"}");
    int64_t             version;

    must(m, api_user_create(m->service, &test_admin, body, &user, &m->error));
    json_decref(body);
    version = config_version(m);
    must(m, api_secrets_reseal(m->service, &m->error)); /* nothing to do */
    assert_int_equal(config_version(m), version);

    rotated.current = 1;
    m->service->keys = &rotated;
    must(m, api_secrets_reseal(m->service, &m->error));
    assert_int_equal(config_version(m), version + 1); /* edges hear of it */
    rotated.present = 1u << 1;
    user_row(m, id_of(user), &row);
    assert_int_equal(tracker_secret_open(&rotated, (uint64_t) row.id,
                                         (struct tracker_str){ (const char *) row.secret.data, row.secret.len }, clear),
                     strlen(text_of(user, "secret")));
    assert_memory_equal(clear, text_of(user, "secret"), strlen(text_of(user, "secret")));
    row_free(&api_user_table, &row);

    /* A ring that lost the key: the others still get theirs, and the start goes on. */
    rotated = m->base.keys;
    rotated.present = 1u;
    must(m, api_secrets_reseal(m->service, &m->error));
    m->service->keys = &m->base.keys;
    json_decref(user);
}

static void
test_settings(void **state)
{
    static const struct blame bad[] = {
        { "{\"currency\":\"EUX\"}", "currency" },        { "{\"currency\":\"EURO\"}", "currency" },
        { "{\"time_zone\":\"Mars\"}", "time_zone" },     { "{\"attribution\":\"middle\"}", "attribution" },
        { "{\"cookie_days\":0}", "cookie_days" },        { "{\"cookie_days\":401}", "cookie_days" },
        { "{\"cookie_days\":\"30\"}", "cookie_days" },   { "{\"fallback\":\"ftp://x\"}", "fallback" },
        { "{\"commission\":{\"type\":\"x\"}}", "commission" }, { "{\"default_affiliate_status\":\"suspended\"}",
                                                                 "default_affiliate_status" },
        { "{\"colour\":\"blue\"}", "colour" },
    };
    struct money *m = *state;
    json_t       *settings, *patch;
    int64_t       program;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        patch = json_of("%s", bad[i].body);
        must_blame(m, settings_edit(m->service, &test_admin, 0, patch, &settings, &m->error), bad[i].field);
        json_decref(patch);
    }
    patch = json_of("{\"program_name\":\"Ours\",\"currency\":\"USD\",\"cookie_days\":7,\"attribution\":\"first\","
                    "\"default_affiliate_status\":\"approved\",\"commission\":{\"type\":\"percentage\",\"percentage\":\"3\"}}");
    must(m, settings_edit(m->service, &test_admin, 0, patch, &settings, &m->error));
    assert_string_equal(text_of(settings, "currency"), "USD");
    assert_string_equal(text_of(json_object_get(settings, "commission"), "percentage"), "3");
    must_refuse(m, settings_edit(m->service, &test_admin, json_integer_value(json_object_get(settings, "version")) - 1, patch,
                                 NULL, &m->error), "stale");
    json_decref(settings);
    json_decref(patch);
    int64_t eve = make(m, affiliate_create, json_of("{\"name\":\"Eve\",\"email\":\"eve@example.com\"}"));
    assert_int_equal(number(m, "SELECT COUNT(*) AS n FROM affiliates WHERE id = %lld AND status = 'approved'",
                            (long long) eve), 1);

    sell(m, "100.00", NULL); /* money exists: the currency stays */
    patch = json_of("{\"currency\":\"EUR\"}");
    must_blame(m, settings_edit(m->service, &test_admin, 0, patch, &settings, &m->error), "currency");
    json_decref(patch);
    must(m, program_ensure(m->service, &program, &m->error));
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM programs"), 1);
    must_verify(m);
}

/* ---- versions ---- */

static void
test_edits_that_cross(void **state)
{
    struct money *m = *state;
    json_t       *first, *second;

    must(m, edit_as(m, affiliate_edit, m->affiliate, 0, "{\"notes\":\"one\"}", &first));
    int64_t version = json_integer_value(json_object_get(first, "version"));
    must(m, edit_as(m, affiliate_edit, m->affiliate, version, "{\"notes\":\"two\"}", &second));
    assert_true(json_integer_value(json_object_get(second, "version")) > version);
    must_refuse(m, edit_as(m, affiliate_edit, m->affiliate, version, "{\"notes\":\"three\"}", NULL), "stale");
    must_refuse(m, edit_as(m, group_edit, m->group, 1, "{\"name\":\"x\"}", NULL), "stale");
    must_refuse(m, edit_as(m, campaign_edit, m->campaign, 1, "{\"name\":\"x\"}", NULL), "stale");
    must_refuse(m, edit_as(m, link_edit, m->link, 1, "{\"state\":\"paused\"}", NULL), "stale");
    must_refuse(m, edit_as(m, group_edit, 4711, 0, "{\"name\":\"x\"}", NULL), "not_found");
    must_refuse(m, edit_as(m, campaign_edit, 4711, 0, "{\"name\":\"x\"}", NULL), "not_found");
    must_refuse(m, edit_as(m, link_edit, 4711, 0, "{\"state\":\"paused\"}", NULL), "not_found");
    must_refuse(m, edit_as(m, api_user_edit, 4711, 0, "{\"name\":\"x\"}", NULL), "not_found");
    json_decref(first);
    json_decref(second);
}

static int woken;

static void
wake(void *ctx)
{
    (void) ctx;
    woken++;
}

/* Edges ask for all that is newer than what they have: a change without a version of its own would never reach them. */
static void
test_every_change_is_a_version(void **state)
{
    struct money *m = *state;
    int64_t       version = config_version(m);

    m->base.service.config_changed = wake;
    woken = 0;
    must(m, edit_as(m, affiliate_edit, m->affiliate, 0, "{\"status\":\"suspended\"}", NULL));
    assert_int_equal(config_version(m), version + 1);
    assert_int_equal(number(m, "SELECT version AS n FROM affiliates WHERE id = %lld", (long long) m->affiliate), version + 1);
    must(m, edit_as(m, link_edit, m->link, 0, "{\"state\":\"archived\"}", NULL));
    must(m, edit_as(m, campaign_edit, m->campaign, 0, "{\"state\":\"paused\"}", NULL));
    assert_int_equal(number(m, "SELECT version AS n FROM campaigns WHERE id = %lld", (long long) m->campaign), version + 3);
    assert_int_equal(woken, 3);

    /* What was refused is none, and wakes nobody. */
    must_refuse(m, edit_as(m, link_edit, m->link, 1, "{\"state\":\"active\"}", NULL), "stale");
    must_blame(m, edit_as(m, link_edit, m->link, 0, "{\"affiliate_id\":\"4711\"}", NULL), "affiliate_id");
    assert_int_equal(config_version(m), version + 3);
    assert_int_equal(woken, 3);

    /* Money is none of the edges' business. */
    m->service->config_changed = wake;
    sell(m, "1.00", NULL);
    assert_int_equal(config_version(m), version + 3);
}

/* ---- the dashboard ---- */

static void
test_the_dashboard_adds_up(void **state)
{
    struct money *m = *state;
    json_t       *dashboard, *commissions;

    must(m, referral_act(m->service, &test_admin, sell(m, "100.00", NULL), "approve", NULL, NULL, &m->error));
    must(m, payout_create(m->service, &test_admin, m->affiliate, NULL, NULL, &m->error));
    must(m, referral_act(m->service, &test_admin, sell(m, "50.00", NULL), "reject", "bots", NULL, &m->error));
    sell(m, "25.00", NULL);
    must(m, dashboard_get(m->service, 0, (int64_t) test_now_us() + 1, &dashboard, &m->error));
    commissions = json_object_get(dashboard, "commissions");
    assert_int_equal(json_integer_value(json_object_get(dashboard, "active_affiliates")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(dashboard, "referrals"), "pending")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(dashboard, "referrals"), "approved")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(dashboard, "referrals"), "rejected")), 1);
    assert_string_equal(text_of(json_array_get(json_object_get(commissions, "in_payout"), 0), "amount"), "20.00");
    assert_string_equal(text_of(json_array_get(json_object_get(commissions, "pending"), 0), "amount"), "5.00");
    assert_string_equal(text_of(json_array_get(json_object_get(commissions, "rejected"), 0), "amount"), "10.00");
    assert_string_equal(text_of(json_array_get(json_object_get(commissions, "generated"), 0), "amount"), "25.00");
    json_decref(dashboard);

    /* Another period has none of it. */
    must(m, dashboard_get(m->service, 0, 1, &dashboard, &m->error));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(dashboard, "referrals"), "pending")), 0);
    assert_int_equal(json_array_size(json_object_get(json_object_get(dashboard, "commissions"), "generated")), 0);
    json_decref(dashboard);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_groups),
        money_test(test_commissions_of_groups),
        money_test(test_affiliates),
        money_test(test_links),
        money_test(test_api_users),
        money_test(test_access_of_api_users),
        money_test(test_secrets_outlive_a_rotation),
        money_test(test_settings),
        money_test(test_edits_that_cross),
        money_test(test_every_change_is_a_version),
        money_test(test_the_dashboard_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
