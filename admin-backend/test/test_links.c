/*
 * Links and campaigns: rules, dates, caps, deep-link hosts, tracking domains, and that edges are told all of it.
 *
 * What could break: rules kept that no edge can read (every link with them would leave the snapshot), a loop that
 * sends visitors round for ever, saved in whichever order, a redirect that browsers keep, a cap that is not lifted,
 * a cap's word that makes a manager's edit stale.
 */
#include "test_money.h"

#include "service/caps.h"
#include "service/rollup.h"
#include "service/snapshot.h"
#include "tracker_snapshot.h"

_Static_assert(TRACKER_CLICK_BOT == 8, "as test_caps marks one");

#define DESTINATION "\"destination\":\"https://shop.example/\""

static enum service_result
create_text(struct money *m, test_create create, const char *text, json_t **object)
{
    json_t             *body = json_of("%s", text);
    enum service_result result = create(m->service, &test_admin, body, object, &m->error);

    json_decref(body);
    return result;
}

typedef enum service_result (*test_edit)(const struct service *, const struct actor *, int64_t, int64_t, const json_t *,
                                         json_t **, struct service_error *);

static enum service_result
edit_text(struct money *m, test_edit edit, int64_t id, const char *text, json_t **object)
{
    json_t             *patch = json_of("%s", text);
    enum service_result result = edit(m->service, &test_admin, id, 0, patch, object, &m->error);

    json_decref(patch);
    return result;
}

/* The complaint about a field holds these words. */
static void
must_say(struct money *m, enum service_result result, const char *field, const char *words)
{
    const char *complaint = json_string_value(json_object_get(m->error.fields, field));

    if (result != SERVICE_INVALID || complaint == NULL || strstr(complaint, words) == NULL)
        fail_msg("%s: \"%s\" is not said, but \"%s\"", field, words, complaint == NULL ? m->error.message : complaint);
    service_error_clear(&m->error);
}

/* ---- what an edge would be sent ---- */

static const struct detection no_lists = { .agents = { .len = 0 } };

struct edge {
    struct snapshot              base, delta;
    struct tracker_snapshot_file base_file, delta_file;
    struct tracker_snapshot      both;
};

static void
edge_take(struct money *m, const struct snapshot *base, struct snapshot *out,
          struct tracker_snapshot_file *file)
{
    const char *why;

    assert_true(snapshot_make(m->base.pool, &m->base.keys, test_now_us() / 1000, base, &no_lists, out));
    assert_int_equal(out->omitted, 0);
    assert_int_equal(tracker_snapshot_open(out->bytes, out->len, &m->base.keys, file, &why), 0);
}

static void
edge_open(struct money *m, struct edge *edge)
{
    memset(edge, 0, sizeof(*edge));
    edge_take(m, NULL, &edge->base, &edge->base_file);
    edge->both.base = &edge->base_file;
}

/* What changed since. */
static void
edge_update(struct money *m, struct edge *edge)
{
    snapshot_clear(&edge->delta);
    edge_take(m, &edge->base, &edge->delta, &edge->delta_file);
    edge->both.delta = &edge->delta_file;
}

static void
edge_close(struct edge *edge)
{
    snapshot_clear(&edge->base);
    snapshot_clear(&edge->delta);
}

static struct tracker_link_row
edge_link(const struct edge *edge, const char *code)
{
    struct tracker_link_row row;

    assert_true(tracker_snapshot_link(&edge->both, (struct tracker_str){ code, strlen(code) }, &row));
    return row;
}

static struct tracker_campaign_row
edge_campaign(const struct edge *edge, int64_t id)
{
    struct tracker_campaign_row row;

    assert_true(tracker_snapshot_campaign(&edge->both, (uint32_t) id, &row));
    return row;
}

/* ---- rules ---- */

#define RULES "{\"affiliate_id\":\"1\",\"campaign_id\":\"1\"," DESTINATION ",\"rules\":"
#define TARGETS "\"targets\":[{\"destination\":\"https://de.example/\"}]"

static void
test_rules_that_are_none(void **state)
{
    static const struct {
        const char *rules, *words;
    } bad[] = {
        { "{}", "list of at most 32" },
        { "[7]", "rule 1: a rule is no object" },
        { "[{}]", "rule 1: targets" },
        { "[{\"targets\":[]}]", "rule 1: targets" },
        { "[{" TARGETS ",\"else\":1}]", "rule 1: else is no member" },
        { "[{" TARGETS "},{\"targets\":[{}]}]", "rule 2: destination" },
        { "[{\"targets\":[{\"destination\":\"javascript:alert(1)\"}]}]", "rule 1: destination: the URL must begin" },
        { "[{\"targets\":[{\"destination\":\"https://a.example/\",\"weight\":0}]}]", "rule 1: weight" },
        { "[{\"targets\":[{\"destination\":\"https://a.example/\",\"weight\":10001}]}]", "rule 1: weight" },
        { "[{\"targets\":[{\"destination\":\"https://a.example/\",\"weight\":\"1\"}]}]", "rule 1: weight" },
        { "[{" TARGETS ",\"cap_day\":-1}]", "rule 1: cap_day" },
        { "[{" TARGETS ",\"utc_offset_minutes\":1440}]", "rule 1: utc_offset_minutes" },
        { "[{" TARGETS ",\"conditions\":{}}]", "rule 1: conditions" },
        { "[{" TARGETS ",\"conditions\":[{\"subject\":\"moon\",\"values\":[\"full\"]}]}]", "rule 1: subject" },
        { "[{" TARGETS ",\"conditions\":[{\"subject\":\"country\"}]}]", "rule 1: values" },
        { "[{" TARGETS ",\"conditions\":[{\"subject\":\"country\",\"values\":[]}]}]", "rule 1: values" },
        { "[{" TARGETS ",\"conditions\":[{\"subject\":\"country\",\"values\":[49]}]}]", "rule 1: values" },
        { "[{" TARGETS ",\"conditions\":[{\"subject\":\"country\",\"values\":[\"Germany\"]}]}]", "rule 1: " },
        { "[{" TARGETS "},{" TARGETS ",\"conditions\":[{\"subject\":\"asn\",\"values\":[\"AS1\"]}]}]", "rule 2: " },
        { "[{" TARGETS ",\"conditions\":[{\"subject\":\"schedule\",\"values\":[\"8-9\"]}]}]", "rule 1: " },
        { "[{" TARGETS ",\"conditions\":[{\"subject\":\"country\",\"negate\":1,\"values\":[\"DE\"]}]}]", "negate" },
        { "[{\"targets\":[{\"destination\":\"https://a.example/\"},{\"destination\":\"http://127.0.0.1/c/x\"}]}]",
          "rule 1, target 2: leads back" },
    };
    struct money *m = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[1024];

        snprintf(body, sizeof(body), RULES "%s}", bad[i].rules);
        must_say(m, create_text(m, link_create, body, NULL), "rules", bad[i].words);
    }
    assert_int_equal(test_int(m->base.pool, "SELECT COUNT(*) AS n FROM links"), 1);
}

/* What was left out is said in the answer, and edges choose as the manager wrote. */
static void
test_rules_reach_edges(void **state)
{
    struct money          *m = *state;
    struct edge            edge;
    struct tracker_link_row row;
    struct tracker_choice  choice;
    struct tracker_visitor german = { .time_ms = 1, .country = TRACKER_STR("DE") };
    json_t                *link, *wanted = json_of(
        "[{\"conditions\":[{\"subject\":\"country\",\"values\":[\"DE\",\"AT\"],\"negate\":false}],"
        "\"targets\":[{\"destination\":\"https://de.example/?c={click_id}\",\"weight\":1}],\"cap_day\":7,"
        "\"utc_offset_minutes\":0},{\"targets\":[{\"destination\":\"https://all.example/\",\"weight\":3}],"
        "\"conditions\":[],\"cap_day\":0,\"utc_offset_minutes\":-60}]");

    must(m, create_text(m, link_create,
                        "{\"affiliate_id\":\"1\",\"campaign_id\":\"1\",\"code\":\"ruled\"," DESTINATION ",\"rules\":["
                        "{\"conditions\":[{\"subject\":\"country\",\"values\":[\"DE\",\"AT\"]}],\"cap_day\":7,"
                        "\"targets\":[{\"destination\":\"https://de.example/?c={click_id}\"}]},"
                        "{\"targets\":[{\"weight\":3,\"destination\":\"https://all.example/\"}],"
                        "\"utc_offset_minutes\":-60}]}", &link));
    if (!json_equal(json_object_get(link, "rules"), wanted))
        fail_msg("the rules became %s", json_dumps(json_object_get(link, "rules"), JSON_COMPACT));
    json_decref(wanted);
    edge_open(m, &edge);
    row = edge_link(&edge, "ruled");
    assert_true(tracker_rules_choose((const uint8_t *) row.rules.data, row.rules.len, &german, 0, 0, &choice));
    assert_int_equal(choice.rule, 1);
    assert_int_equal(choice.cap_day, 7);
    german.country = TRACKER_STR("FR");
    assert_true(tracker_rules_choose((const uint8_t *) row.rules.data, row.rules.len, &german, 0, 0, &choice));
    assert_int_equal(choice.rule, 2);

    /* A patch of something else leaves them; an empty list takes them away. */
    must(m, edit_text(m, link_edit, id_of(link), "{\"state\":\"paused\"}", NULL));
    edge_update(m, &edge);
    assert_true(edge_link(&edge, "ruled").rules.len > 0);
    must(m, edit_text(m, link_edit, id_of(link), "{\"rules\":[]}", NULL));
    edge_update(m, &edge);
    assert_int_equal(edge_link(&edge, "ruled").rules.len, 0);
    json_decref(link);
    edge_close(&edge);
}

/* ---- options ---- */

static void
test_options(void **state)
{
    struct money           *m = *state;
    struct edge             edge;
    struct tracker_link_row row;
    json_t                 *link;

    must_say(m, edit_text(m, link_edit, m->link, "{\"redirect_status\":301}", NULL), "redirect_status", "keeps such");
    must_say(m, edit_text(m, link_edit, m->link, "{\"redirect_status\":308}", NULL), "redirect_status", "keeps such");
    must_say(m, edit_text(m, link_edit, m->link, "{\"redirect_status\":200}", NULL), "redirect_status", "is none of");
    must_say(m, edit_text(m, link_edit, m->link, "{\"referrer_policy\":\"whatever\"}", NULL), "referrer_policy", "none");
    must_say(m, edit_text(m, link_edit, m->link, "{\"cap_day\":-1}", NULL), "cap_day", "out of range");
    must_say(m, edit_text(m, link_edit, m->link, "{\"cap_total\":4294967296}", NULL), "cap_total", "out of range");
    must_say(m, edit_text(m, link_edit, m->link,
                          "{\"starts_at\":\"2030-01-02T00:00:00Z\",\"ends_at\":\"2030-01-02T00:00:00Z\"}", NULL),
             "ends_at", "not after starts_at");

    must(m, edit_text(m, link_edit, m->link,
                      "{\"redirect_status\":307,\"referrer_policy\":\"no-referrer\",\"pass_unknown_parameters\":true,"
                      "\"deep_links\":false,\"starts_at\":\"2020-01-01T00:00:00Z\",\"ends_at\":\"2030-01-01T00:00:00Z\","
                      "\"cap_day\":10,\"cap_total\":100}", &link));
    assert_int_equal(json_integer_value(json_object_get(link, "redirect_status")), 307);
    assert_string_equal(text_of(link, "starts_at"), "2020-01-01T00:00:00.000000Z");
    assert_true(json_is_false(json_object_get(link, "deep_links")));
    assert_true(json_is_null(json_object_get(link, "capped_until")));
    edge_open(m, &edge);
    row = edge_link(&edge, text_of(link, "code"));
    assert_int_equal(row.redirect, TRACKER_REDIRECT_307);
    assert_int_equal(row.referrer_policy, TRACKER_REFERRER_NO_REFERRER);
    assert_int_equal(row.options, TRACKER_LINK_PASS_UNKNOWN | TRACKER_LINK_NO_DEEP);
    assert_int_equal(row.limits.starts_ms, UINT64_C(1577836800000));
    assert_int_equal(row.limits.ends_ms, UINT64_C(1893456000000));
    assert_int_equal(row.limits.cap_day, 10);
    assert_int_equal(row.limits.cap_total, 100);
    assert_int_equal(row.limits.capped_until_ms, 0);
    json_decref(link);

    must(m, edit_text(m, link_edit, m->link,
                      "{\"redirect_status\":null,\"referrer_policy\":null,\"starts_at\":null,\"ends_at\":null}", &link));
    assert_true(json_is_null(json_object_get(link, "redirect_status")));
    edge_update(m, &edge);
    row = edge_link(&edge, text_of(link, "code"));
    assert_int_equal(row.redirect, TRACKER_REDIRECT_DEFAULT);
    assert_int_equal(row.limits.starts_ms, 0);
    json_decref(link);
    edge_close(&edge);
}

static void
test_deep_link_hosts(void **state)
{
    static const char *const bad[] = {
        "\"shop.example\"", "[7]", "[\"\"]", "[\".\"]", "[\"https://shop.example\"]", "[\"shop.example:8443\"]",
        "[\"shop.example/a\"]", "[\"*.shop.example\"]", "[\"shop..example\"]", "[\"-shop.example\"]",
        "[\"shop-.example\"]", "[\"m\\u00fcller.example\"]", "[\"a\\nb.example\"]",
        "[\"1234567890123456789012345678901234567890123456789012345678901234.example\"]",
    };
    struct money *m = *state;
    struct edge   edge;
    json_t       *campaign, *wanted = json_of("[\"shop.example\",\".blog.example\",\"xn--mller-kva.example\"]");
    char          patch[256];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(patch, sizeof(patch), "{\"deep_link_hosts\":%s}", bad[i]);
        must_say(m, edit_text(m, campaign_edit, m->campaign, patch, NULL), "deep_link_hosts", "");
    }
    must(m, edit_text(m, campaign_edit, m->campaign,
                      "{\"deep_link_hosts\":[\"Shop.Example\",\".BLOG.example.\",\"xn--mller-kva.example\"]}", &campaign));
    assert_true(json_equal(json_object_get(campaign, "deep_link_hosts"), wanted));
    json_decref(wanted);
    json_decref(campaign);
    edge_open(m, &edge);
    assert_true(tracker_str_eq(edge_campaign(&edge, m->campaign).hosts,
                               TRACKER_STR("shop.example\n.blog.example\nxn--mller-kva.example\n")));
    edge_close(&edge);
}

/* ---- loops ---- */

/* Whatever of ours is named, wherever it is named, and in whichever order it is saved. */
static void
test_loops(void **state)
{
    static const struct {
        const char *patch, *field;
        bool        campaign;
    } named[] = {
        { "{\"destination\":\"https://go.example/c/a\"}", "destination", false },
        { "{\"destination\":\"http://GO.example.:8080/c/a\"}", "destination", false },
        { "{\"rules\":[{\"targets\":[{\"destination\":\"https://go.example/\"}]}]}", "rules", false },
        { "{\"fallback\":\"https://go.example/\"}", "fallback", true },
        { "{\"deep_link_hosts\":[\"go.example\"]}", "deep_link_hosts", true },
        { "{\"deep_link_hosts\":[\".example\"]}", "deep_link_hosts", true },
    };
    struct money *m = *state;
    json_t       *link, *program;
    const size_t  count = sizeof(named) / sizeof(named[0]);

    must_say(m, edit_text(m, link_edit, m->link, "{\"destination\":\"http://127.0.0.1:8080/x\"}", NULL), "destination",
             "leads back to our own tracking host 127.0.0.1");
    must_say(m, edit_text(m, campaign_edit, m->campaign, "{\"deep_link_hosts\":[\"127.0.0.1\"]}", NULL),
             "deep_link_hosts", "leads back");

    /* First the way there, then the domain. */
    for (size_t i = 0; i < count; i++) {
        must(m, edit_text(m, named[i].campaign ? campaign_edit : link_edit,
                          named[i].campaign ? m->campaign : m->link, named[i].patch, NULL));
        must_say(m, edit_text(m, program_edit, m->program, "{\"tracking_domain\":\"go.example\"}", NULL),
                 "tracking_domain", named[i].campaign ? "campaign 1 sends" : "link 1 sends");
        must(m, edit_text(m, link_edit, m->link, "{" DESTINATION ",\"rules\":[]}", NULL));
        must(m, edit_text(m, campaign_edit, m->campaign, "{\"fallback\":\"\",\"deep_link_hosts\":[]}", NULL));
    }
    must_say(m, edit_text(m, program_edit, m->program,
                          "{\"tracking_domain\":\"go.example\",\"fallback\":\"https://go.example/\"}", NULL),
             "fallback", "leads back");

    /* First the domain, then the way there. What only looks alike is somebody else's. */
    must(m, edit_text(m, link_edit, m->link, "{\"destination\":\"https://ago.example/go.example?go.example\"}", NULL));
    must(m, edit_text(m, program_edit, m->program, "{\"tracking_domain\":\"Go.Example\"}", &program));
    assert_string_equal(text_of(program, "tracking_domain"), "go.example");
    json_decref(program);
    for (size_t i = 0; i < count; i++)
        must_say(m, edit_text(m, named[i].campaign ? campaign_edit : link_edit,
                              named[i].campaign ? m->campaign : m->link, named[i].patch, NULL),
                 named[i].field, "leads back");
    must(m, edit_text(m, campaign_edit, m->campaign, "{\"deep_link_hosts\":[\"ago.example\",\".o.example\"]}", NULL));

    /* And links are shown with it. */
    must(m, edit_text(m, link_edit, m->link, "{\"state\":\"active\"}", &link));
    assert_non_null(strstr(text_of(link, "url"), "http://go.example/c/"));
    assert_string_equal(text_of(link, "url") + strlen("http://go.example/c/"), text_of(link, "code"));
    json_decref(link);
    must(m, edit_text(m, program_edit, m->program, "{\"tracking_domain\":\"\"}", NULL));
    must(m, edit_text(m, link_edit, m->link, "{\"state\":\"active\"}", &link));
    assert_non_null(strstr(text_of(link, "url"), "http://127.0.0.1:8080/c/"));
    json_decref(link);
    must_say(m, edit_text(m, program_edit, m->program, "{\"tracking_domain\":\"https://go.example\"}", NULL),
             "tracking_domain", "is no host name");
}

/* ---- caps ---- */

static int woken;

static void
wake(void *ctx)
{
    (void) ctx;
    woken++;
}

static void
count_clicks(struct money *m, int count)
{
    for (int i = 0; i < count; i++)
        click(m, m->link, 0, NULL);
    assert_int_equal(rollup_run(m->base.pool), DB_OK);
    assert_int_equal(caps_run(m->service), DB_OK);
}

static void
test_caps(void **state)
{
    const uint64_t DAY_END_MS = (test_now_us() / DAY_US + 1) * (DAY_US / 1000);
    struct money  *m = *state;
    struct edge    edge;
    json_t        *link;
    char           code[64];
    int64_t        version;

    must(m, edit_text(m, link_edit, m->link, "{\"cap_day\":3,\"cap_total\":5}", &link));
    snprintf(code, sizeof(code), "%s", text_of(link, "code"));
    version = json_integer_value(json_object_get(link, "version"));
    json_decref(link);
    must(m, edit_text(m, campaign_edit, m->campaign, "{\"cap_day\":4}", NULL));
    m->service->config_changed = wake;
    woken = 0;
    edge_open(m, &edge);

    count_clicks(m, 2);
    assert_int_equal(woken, 0);
    count_clicks(m, 1);
    assert_int_equal(woken, 1); /* told at once, */
    assert_int_equal(caps_run(m->service), DB_OK);
    assert_int_equal(woken, 1); /* and once */
    edge_update(m, &edge);
    assert_int_equal(edge_link(&edge, code).limits.capped_until_ms, DAY_END_MS);
    assert_int_equal(edge_campaign(&edge, m->campaign).limits.capped_until_ms, 0);

    /* It made no edit stale. */
    json_t *patch = json_of("{\"cap_day\":4}");
    must(m, link_edit(m->service, &test_admin, m->link, version, patch, &link, &m->error));
    json_decref(patch);
    assert_true(json_is_null(json_object_get(link, "capped_until"))); /* raised: lifted with it */
    json_decref(link);
    edge_update(m, &edge);
    assert_int_equal(edge_link(&edge, code).limits.capped_until_ms, 0);

    /* Clicks that do not count do not cap; the fourth one that does caps link and campaign. */
    click(m, m->link, 0, NULL);
    test_run(m->base.pool, "UPDATE clicks SET flags = 8 WHERE seq = (SELECT MAX(seq) FROM clicks)"); /* a bot's */
    count_clicks(m, 0);
    edge_update(m, &edge);
    assert_int_equal(edge_link(&edge, code).limits.capped_until_ms, 0);
    count_clicks(m, 1);
    edge_update(m, &edge);
    assert_int_equal(edge_link(&edge, code).limits.capped_until_ms, DAY_END_MS);
    assert_int_equal(edge_campaign(&edge, m->campaign).limits.capped_until_ms, DAY_END_MS);

    /* The next day needs no word; its first click fills the total, for ever. */
    test_clock_us += DAY_US;
    woken = 0;
    count_clicks(m, 0);
    assert_int_equal(woken, 0);
    count_clicks(m, 1);
    edge_update(m, &edge);
    assert_int_equal(edge_link(&edge, code).limits.capped_until_ms, UINT64_C(253402300799000));
    assert_true(edge_campaign(&edge, m->campaign).limits.capped_until_ms <= test_now_us() / 1000);

    /* A cap that is lowered below what was counted holds at once. */
    must(m, edit_text(m, link_edit, m->link, "{\"cap_day\":0,\"cap_total\":0}", &link));
    assert_true(json_is_null(json_object_get(link, "capped_until")));
    json_decref(link);
    must(m, edit_text(m, link_edit, m->link, "{\"cap_total\":2}", &link));
    assert_string_equal(text_of(link, "capped_until"), "9999-12-31T23:59:59.000000Z");
    json_decref(link);
    edge_close(&edge);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_rules_that_are_none),
        money_test(test_rules_reach_edges),
        money_test(test_options),
        money_test(test_deep_link_hosts),
        money_test(test_loops),
        money_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
