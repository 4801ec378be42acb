/*
 * A form from the request to the edge: what staff writes is what an edge judges submissions by and shows, at once.
 *
 * What could break: a form that is taken and left out of the snapshot, a change that no edge hears of, options that
 * are checked as something else than they are shown, one bad row that takes all others with it, a partner whose keys
 * never come to life because its API user had no affiliate when it was made.
 */
#include "test_money.h"

#include "service/form_definition.h"
#include "service/intake.h"
#include "service/snapshot.h"

static const struct detection no_lists = { .agents = { .len = 0 } };

struct edge {
    struct snapshot              file;
    struct tracker_snapshot_file checked;
    struct tracker_snapshot      seen;
};

static void
edge_open(struct money *m, struct edge *edge)
{
    const char *why;

    assert_true(snapshot_make(m->base.pool, &m->base.keys, test_now_us() / 1000, NULL, &no_lists, &edge->file));
    assert_int_equal(tracker_snapshot_open(edge->file.bytes, edge->file.len, &m->base.keys, &edge->checked, &why), 0);
    edge->seen = (struct tracker_snapshot){ &edge->checked, NULL };
}

static bool
edge_form(const struct edge *edge, const json_t *form, struct tracker_form_row *row)
{
    const char *key = text_of(form, "key");

    return tracker_snapshot_form(&edge->seen, (struct tracker_str){ key, strlen(key) }, row);
}

#define FIELDS                                                                                                       \
    "[{\"name\":\"email\",\"label\":\"E-mail\",\"type\":\"email\",\"required\":true},"                                  \
    "{\"name\":\"country\",\"label\":\"Country\",\"type\":\"country\"},"                                              \
    "{\"name\":\"budget\",\"label\":\"Budget\",\"type\":\"select\",\"options\":[{\"value\":\"lo w\",\"label\":\"Low\"},"  \
    "{\"value\":\"high\",\"label\":\"High\"}]},"                                                                        \
    "{\"name\":\"born\",\"label\":\"Born\",\"type\":\"date\",\"min\":\"1970-01-02\",\"max\":\"2008-12-31\"}]"

static json_t *
create(struct money *m, test_create make_it, const char *text)
{
    json_t *body = json_of("%s", text), *object;

    must(m, make_it(m->service, &test_admin, body, &object, &m->error));
    json_decref(body);
    return object;
}

static void
make_custom_fields(struct money *m)
{
    json_decref(create(m, custom_field_create, "{\"name\":\"budget\",\"label\":\"Budget\","
                                               "\"type\":\"select\",\"options\":[\"low\"]}"));
    json_decref(create(m, custom_field_create, "{\"name\":\"born\",\"label\":\"Born\",\"type\":\"date\"}"));
}

static bool
judged(const struct tracker_form_row *row, const char *name, const char *value)
{
    uint8_t sent[512], kept[512], faults[TRACKER_FORM_FIELDS_MAX];
    size_t  len = tracker_pairs_add(sent, 0, sizeof(sent), TRACKER_STR("email"), TRACKER_STR("a@example.com")), kept_len;

    len = tracker_pairs_add(sent, len, sizeof(sent), (struct tracker_str){ name, strlen(name) },
                            (struct tracker_str){ value, strlen(value) });
    return tracker_form_judge(row->definition, (struct tracker_str){ (const char *) sent, len }, kept, sizeof(kept),
                              &kept_len, faults);
}

static void
test_an_edge_judges_by_it(void **state)
{
    struct money           *m = *state;
    struct edge             edge;
    struct tracker_form_row row;
    json_t                 *form;
    char                    body[2048];

    make_custom_fields(m);
    snprintf(body, sizeof(body),
             "{\"name\":\"Webinar\",\"affiliate_id\":\"%lld\",\"fields\":%s,\"title\":\"Join\",\"min_fill_s\":3,"
             "\"rate_per_minute\":7,\"frame_ancestors\":[\"self\",\"https://shop.example:443\"],"
             "\"origins\":[\"https://shop.example\",\"http://localhost:3000\"]}",
             (long long) m->affiliate, FIELDS);
    form = create(m, form_create, body);
    edge_open(m, &edge);
    assert_int_equal(edge.file.omitted, 0);
    assert_true(edge_form(&edge, form, &row));
    assert_int_equal(row.id, id_of(form));
    assert_int_equal(row.affiliate, m->affiliate);
    assert_int_equal(row.state, TRACKER_STATE_ACTIVE);
    assert_int_equal(row.after, TRACKER_FORM_AFTER_MESSAGE);
    assert_int_equal(row.min_fill_ms, 3000);
    assert_int_equal(row.rate_minute, 7);
    assert_true(tracker_str_eq(row.frame_ancestors, TRACKER_STR("'self' https://shop.example")));
    assert_true(tracker_str_eq(row.origins, TRACKER_STR("https://shop.example\nhttp://localhost:3000\n")));

    assert_true(judged(&row, "budget", "lo w"));
    assert_false(judged(&row, "budget", "low"));
    assert_true(judged(&row, "born", "1970-01-02"));
    assert_false(judged(&row, "born", "1970-01-01"));
    assert_false(judged(&row, "born", "2009-01-01"));
    assert_true(judged(&row, "country", "DE"));
    assert_false(judged(&row, "country", "XX"));
    assert_true(memmem(row.page.data, row.page.len, "<h1>Join</h1>", 13) != NULL);
    snapshot_clear(&edge.file);
    json_decref(form);
}

static void
test_changes_are_seen(void **state)
{
    struct money           *m = *state;
    struct edge             edge;
    struct tracker_form_row row;
    json_t                 *form, *patch;
    int64_t                 version;

    form = create(m, form_create,
                  "{\"name\":\"A\",\"fields\":["
                  "{\"name\":\"phone\",\"label\":\"Phone\",\"type\":\"phone\",\"required\":true}]}");
    version = test_int(m->base.pool, "SELECT version AS n FROM config_version");
    patch = json_of("{\"state\":\"paused\",\"title\":\"New\"}");
    must(m, form_edit(m->service, &test_admin, id_of(form), 0, patch, NULL, &m->error));
    json_decref(patch);
    assert_int_equal(test_int(m->base.pool, "SELECT version AS n FROM config_version"), version + 1);
    edge_open(m, &edge);
    assert_true(edge_form(&edge, form, &row));
    assert_int_equal(row.state, TRACKER_STATE_PAUSED);
    assert_true(memmem(row.page.data, row.page.len, "<h1>New</h1>", 12) != NULL);
    snapshot_clear(&edge.file);

    must(m, form_act(m->service, &test_admin, id_of(form), "archive", NULL, NULL, &m->error));
    edge_open(m, &edge);
    assert_true(edge_form(&edge, form, &row));
    assert_int_equal(row.state, TRACKER_STATE_ARCHIVED);
    snapshot_clear(&edge.file);
    json_decref(form);
}

static void
test_one_bad_form_stops_nobody(void **state)
{
    static const char *const ruins[] = {
        "fields = '{}'", "fields = 'no JSON'", "fields = '[]'",
        "fields = '[{\"name\":\"_token\",\"label\":\"x\",\"type\":\"text\"}]'",
        "origins = '5'", "frame_ancestors = 'x'", "frame_ancestors = '[\"a;b\"]'", "origins = '[\"nowhere\"]'", "key = 'no key'",
        "after_submit = 'url'", "after_url = 'ftp://x'", "min_fill_s = 600, program_id = program_id, fields = '[5]'",
    };
    static const char        plain[] = "{\"name\":\"plain\",\"fields\":["
                                       "{\"name\":\"email\",\"label\":\"x\",\"type\":\"email\",\"required\":true}]}";
    struct money           *m = *state;
    struct edge             edge;
    struct tracker_form_row row;
    json_t                 *good = create(m, form_create, plain), *bad;
    char                    sql[512];

    for (size_t i = 0; i < sizeof(ruins) / sizeof(ruins[0]); i++) {
        bad = create(m, form_create, plain);
        snprintf(sql, sizeof(sql), "UPDATE forms SET %s WHERE id = %lld", ruins[i], (long long) id_of(bad));
        test_run(m->base.pool, sql);
        edge_open(m, &edge);
        if (edge.file.omitted != 1 || edge_form(&edge, bad, &row))
            fail_msg("%s: %u left out", ruins[i], edge.file.omitted);
        assert_true(edge_form(&edge, good, &row));
        snapshot_clear(&edge.file);
        snprintf(sql, sizeof(sql), "DELETE FROM forms WHERE id = %lld", (long long) id_of(bad));
        test_run(m->base.pool, sql);
        json_decref(bad);
    }
    json_decref(good);
}

static void
test_platforms_and_partners(void **state)
{
    struct money               *m = *state;
    struct edge                 edge;
    struct tracker_program_row  program;
    struct tracker_api_user_row user;
    json_t                     *platform, *partner, *patch;
    uint32_t                    partner_id;

    platform = create(m, api_user_create, "{\"name\":\"Platform\",\"role\":\"advertiser\",\"scopes\":[\"autologin\"]}");
    patch = json_of("{\"platform_url\":\"https://platform.example/login\",\"platform_user_id\":\"%s\"}", text_of(platform, "id"));
    must(m, program_edit(m->service, &test_admin, m->program, 0, patch, NULL, &m->error));
    json_decref(patch);
    partner = create(m, api_user_create, "{\"name\":\"Partner\",\"role\":\"affiliate\","
                                         "\"scopes\":[\"leads:write\"],\"autologin\":true,\"test\":true}");
    partner_id = (uint32_t) id_of(partner);

    edge_open(m, &edge);
    assert_true(tracker_snapshot_program(&edge.seen, (uint32_t) m->program, &program));
    assert_int_equal(program.platform_user, id_of(platform));
    assert_true(tracker_str_eq(program.platform_url, TRACKER_STR("https://platform.example/login")));
    assert_true(tracker_snapshot_api_user(&edge.seen, program.platform_user, &user));
    assert_int_equal(user.scopes, TRACKER_SCOPE_AUTOLOGIN);
    assert_int_equal(user.options, 0);
    assert_false(tracker_snapshot_api_user(&edge.seen, partner_id, &user)); /* nobody's yet */
    snapshot_clear(&edge.file);

    patch = json_of("{\"api_user_id\":\"%s\"}", text_of(partner, "id"));
    must(m, affiliate_edit(m->service, &test_admin, m->affiliate, 0, patch, NULL, &m->error));
    json_decref(patch);
    edge_open(m, &edge);
    assert_true(tracker_snapshot_api_user(&edge.seen, partner_id, &user));
    assert_int_equal(user.affiliate, m->affiliate);
    assert_int_equal(user.scopes, TRACKER_SCOPE_LEADS_WRITE);
    assert_int_equal(user.options, TRACKER_API_USER_AUTOLOGIN | TRACKER_API_USER_TEST);
    snapshot_clear(&edge.file);
    json_decref(partner);
    json_decref(platform);
}

/* Sentences that people read: they name the field and say what is wrong with it. */
static void
test_complaints(void **state)
{
    static const struct {
        const char *fields, *complaint;
    } cases[] = {
        { "[{\"name\":\"email\",\"label\":\"x\",\"type\":\"email\"},{\"name\":\"email\",\"label\":\"x\",\"type\":\"email\"}]",
          "field 2 (\"email\"): another field has this name" },
        { "[{\"name\":\"a\",\"label\":\"x\",\"type\":\"file\"}]", "field 1 (\"a\"): its type is none of text|email|" },
        { "[{\"name\":\"a\",\"label\":\"x\",\"type\":\"text\",\"size\":4}]",
          "field 1 (\"a\"): \"size\" is no member of a field" },
        { "[{\"name\":\"a\",\"type\":\"text\"}]", "field 1 (\"a\"): it needs a label" },
        { "[{\"name\":\"a\",\"label\":\"x\",\"type\":\"select\",\"options\":[{\"value\":\"a\\nb\",\"label\":\"x\"}]}]",
          "field 1 (\"a\"): options are {\"value\":" },
        { "[5]", "field 1 (\"\"): it is no {\"name\":" },
        { "{}", "is no list of 1 to 64 fields" },
    };
    char     complaint[FIELD_COMPLAINT_MAX];
    uint8_t *compiled;
    size_t   len;

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *fields = json_loads(cases[i].fields, 0, NULL);

        assert_false(form_compile(fields, &compiled, &len, complaint));
        assert_null(compiled);
        if (strncmp(complaint, cases[i].complaint, strlen(cases[i].complaint)) != 0)
            fail_msg("%s: %s", cases[i].fields, complaint);
        json_decref(fields);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        money_test(test_an_edge_judges_by_it),      money_test(test_changes_are_seen),
        money_test(test_one_bad_form_stops_nobody), money_test(test_platforms_and_partners),
        cmocka_unit_test(test_complaints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
