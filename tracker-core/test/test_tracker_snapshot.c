/*
 * test_tracker_snapshot.c - what the edge knows is exactly what the backend said.
 *
 * What could break: a field changes on its way; a row is lost among its
 * neighbours in the table; a delta does not override its base, or is laid over
 * another one.  So besides examples, random rows in base and delta are
 * compared with plain arrays.
 */
#include <unistd.h>

#include "snapshot_fixture.h"

static void
test_round_trip(void **state)
{
    struct built                 base = build(small_builder(), 42, NULL);
    struct tracker_snapshot      s = { &base.file, NULL };
    struct tracker_program_row   program, program_in = a_program();
    struct tracker_campaign_row  campaign, campaign_in = a_campaign();
    struct tracker_affiliate_row affiliate, affiliate_in = an_affiliate();
    struct tracker_link_row      link, link_in = a_link("summer");
    struct tracker_api_key_row   api_key, api_key_in = an_api_key(0xab);
    struct tracker_form_row      form, form_in = a_form("contact");

    assert_true(tracker_snapshot_program(&s, 7, &program));
    assert_program(&program, &program_in);
    assert_true(tracker_snapshot_campaign(&s, 3, &campaign));
    assert_campaign(&campaign, &campaign_in);
    assert_true(tracker_snapshot_affiliate(&s, 5, &affiliate));
    assert_affiliate(&affiliate, &affiliate_in);
    assert_true(tracker_snapshot_link(&s, TRACKER_STR("summer"), &link));
    assert_link(&link, &link_in);
    assert_true(tracker_snapshot_api_key(&s, api_key_in.hash, &api_key));
    assert_api_key(&api_key, &api_key_in);
    assert_true(tracker_snapshot_form(&s, TRACKER_STR("contact"), &form));
    assert_form(&form, &form_in);

    assert_false(tracker_snapshot_form(&s, TRACKER_STR("Contact"), &form));
    assert_false(tracker_snapshot_form(&s, TRACKER_STR("contac"), &form));
    assert_false(tracker_snapshot_form(&s, TRACKER_STR_NONE, &form));
    assert_false(tracker_snapshot_form(&s, testing_str(KEY_1 "longer than any key"), &form));
    assert_false(tracker_snapshot_program(&s, 8, &program));
    assert_false(tracker_snapshot_campaign(&s, 0, &campaign));
    assert_false(tracker_snapshot_affiliate(&s, 3, &affiliate));
    assert_false(tracker_snapshot_link(&s, TRACKER_STR("Summer"), &link));
    assert_false(tracker_snapshot_link(&s, TRACKER_STR("summe"), &link));
    assert_false(tracker_snapshot_link(&s, TRACKER_STR_NONE, &link));
    assert_false(tracker_snapshot_link(&s, testing_str(KEY_1 "longer than any code"), &link));
    api_key_in.hash[31] ^= 1;
    assert_false(tracker_snapshot_api_key(&s, api_key_in.hash, &api_key));

    assert_false(base.file.info.delta);
    assert_int_equal(base.file.info.version, 42);
    assert_int_equal(base.file.info.created_ms, 1042);
    assert_int_equal(base.file.info.links, 2);
    assert_int_equal(base.file.info.programs, 1);
    assert_int_equal(base.file.info.campaigns, 1);
    assert_int_equal(base.file.info.affiliates, 1);
    assert_int_equal(base.file.info.api_keys, 1);
    assert_int_equal(base.file.info.api_users, 1);
    assert_int_equal(base.file.info.forms, 1);
    assert_int_equal(tracker_snapshot_version(&s), 42);
    free(base.bytes);
}

static void
test_no_rows(void **state)
{
    struct built               base = build(new_builder(), 0, NULL);
    struct tracker_snapshot    s = { &base.file, NULL };
    struct tracker_program_row program;
    struct tracker_link_row    link;

    assert_int_equal(base.len, SNAPSHOT_HEADER_LEN + SNAPSHOT_MAC_LEN);
    assert_false(tracker_snapshot_program(&s, 1, &program));
    assert_false(tracker_snapshot_link(&s, TRACKER_STR("a"), &link));
    free(base.bytes);
}

static void
test_longest_rows(void **state)
{
    static char                      name[TRACKER_NAME_MAX], code[TRACKER_CODE_MAX];
    static uint8_t                   longest[TRACKER_TEMPLATE_MAX];
    static char                      text[TRACKER_TEMPLATE_MAX], url[TRACKER_URL_MAX];
    struct tracker_snapshot_builder *b = new_builder();
    struct tracker_program_row       program = a_program();
    struct tracker_campaign_row      campaign = a_campaign(), campaign_out;
    struct tracker_link_row          link = a_link("x"), link_out;
    const char                      *error;

    memset(name, 0xff, sizeof(name));
    memset(code, '~', sizeof(code));
    memset(text, 'a', sizeof(text));
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://play.example/", 20);
    memcpy(text, "https://shop.example/", 21);
    /* one part: 4 bytes before the literal */
    int len = tracker_template_compile((struct tracker_str){ text, TRACKER_TEMPLATE_MAX - 4 }, 0, longest,
                                       sizeof(longest), &error);
    assert_int_equal(len, TRACKER_TEMPLATE_MAX);

    program.id = UINT32_MAX;
    program.cookie_days = TRACKER_COOKIE_DAYS_MAX;
    program.platform_user = UINT32_MAX;
    program.platform_url = (struct tracker_str){ url, sizeof(url) };
    campaign.id = UINT32_MAX;
    campaign.name = (struct tracker_str){ name, sizeof(name) };
    link.code = (struct tracker_str){ code, sizeof(code) };
    program.fallback = campaign.fallback = link.destination
        = (struct tracker_str){ (char *) longest, sizeof(longest) };
    assert_int_equal(tracker_snapshot_add_program(b, &program), 0);
    assert_int_equal(tracker_snapshot_add_campaign(b, &campaign), 0);
    assert_int_equal(tracker_snapshot_add_link(b, &link), 0);

    struct built               base = build(b, UINT64_MAX, NULL);
    struct tracker_snapshot    s = { &base.file, NULL };
    struct tracker_program_row program_out;
    assert_true(tracker_snapshot_program(&s, UINT32_MAX, &program_out));
    assert_program(&program_out, &program);
    assert_true(tracker_snapshot_campaign(&s, UINT32_MAX, &campaign_out));
    assert_campaign(&campaign_out, &campaign);
    assert_true(tracker_snapshot_link(&s, link.code, &link_out));
    assert_link(&link_out, &link);
    free(base.bytes);
}

static void
test_longest_form(void **state)
{
    static char                      page[TRACKER_PAGE_MAX], key[TRACKER_FORM_KEY_MAX], url[TRACKER_URL_MAX];
    static char                      ancestors[TRACKER_ORIGINS_MAX], origins[TRACKER_ORIGINS_MAX];
    struct tracker_snapshot_builder *b = new_builder();
    struct tracker_form_row          in = a_form("x"), out;

    memset(page, 'p', sizeof(page));
    memset(key, '_', sizeof(key));
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://shop.example/", 20);
    memset(ancestors, '*', sizeof(ancestors));
    for (size_t i = 0; i < sizeof(origins); i += 16)
        memcpy(origins + i, "https://a.co:80\n", 16);
    in.id = in.program = in.affiliate = in.rate_minute = UINT32_MAX;
    in.min_fill_ms = TRACKER_FORM_FILL_MAX_MS;
    in.key = (struct tracker_str){ key, sizeof(key) };
    in.page = in.done = in.wait = (struct tracker_str){ page, sizeof(page) };
    in.after_url = (struct tracker_str){ url, sizeof(url) };
    in.frame_ancestors = (struct tracker_str){ ancestors, sizeof(ancestors) };
    in.origins = (struct tracker_str){ origins, sizeof(origins) };
    assert_int_equal(tracker_snapshot_add_form(b, &in), 0);

    struct built            base = build(b, 1, NULL);
    struct tracker_snapshot s = { &base.file, NULL };
    assert_true(tracker_snapshot_form(&s, in.key, &out));
    assert_form(&out, &in);
    free(base.bytes);
}

/* However a backend orders them, and whatever of them is said twice: sorted, and each address once. */
static void
test_networks_are_sorted(void **state)
{
    static const char *const given[] = { "2001:db8::/32", "198.51.100.7", "192.0.2.0/24", "192.0.2.128/25",
                                         "2001:db8:1::/48", "192.0.2.0/24", "10.0.0.0/8" };
    static const char *const kept[] = { "10.0.0.0/8", "192.0.2.0/24", "198.51.100.7", "2001:db8::/32" };
    struct tracker_snapshot_builder *b = new_builder();
    struct tracker_api_user_row      in = an_api_user(), out;
    uint8_t                          networks[7 * TRACKER_NETWORK_LEN], sorted[4 * TRACKER_NETWORK_LEN];

    for (size_t i = 0; i < 7; i++)
        assert_true(tracker_network_parse(testing_str(given[i]), networks + i * TRACKER_NETWORK_LEN));
    for (size_t i = 0; i < 4; i++)
        assert_true(tracker_network_parse(testing_str(kept[i]), sorted + i * TRACKER_NETWORK_LEN));
    in.networks = (struct tracker_str){ (char *) networks, sizeof(networks) };
    assert_int_equal(tracker_snapshot_add_api_user(b, &in), 0);

    struct built            base = build(b, 1, NULL);
    struct tracker_snapshot s = { &base.file, NULL };
    assert_true(tracker_snapshot_api_user(&s, in.id, &out));
    in.networks = (struct tracker_str){ (char *) sorted, sizeof(sorted) };
    assert_api_user(&out, &in);
    free(base.bytes);
}

/* Keys whose hashes agree in all 64 bits stay two keys. */
static void
test_equal_hashes(void **state)
{
    struct tracker_snapshot_builder *b = new_builder();
    struct tracker_api_key_row       rows[8], out;

    for (int i = 0; i < 8; i++) {
        rows[i] = an_api_key(0xcd);
        rows[i].hash[31] = (uint8_t) (7 - i);
        rows[i].api_user = (uint32_t) i + 1;
        assert_int_equal(tracker_snapshot_add_api_key(b, &rows[i]), 0);
    }
    struct built            base = build(b, 1, NULL);
    struct tracker_snapshot s = { &base.file, NULL };
    for (int i = 0; i < 8; i++) {
        assert_true(tracker_snapshot_api_key(&s, rows[i].hash, &out));
        assert_api_key(&out, &rows[i]);
    }
    rows[0].hash[31] = 8;
    assert_false(tracker_snapshot_api_key(&s, rows[0].hash, &out));
    free(base.bytes);
}

/* A stranger's look-up costs at most max_probe slots, also where codes are as alike as codes get. */
static void
test_probes_are_few(void **state)
{
    struct tracker_snapshot_builder *b = new_builder();
    char                             code[16];

    for (int i = 0; i < 100000; i++) {
        snprintf(code, sizeof(code), "link%06d", i);
        struct tracker_link_row     link = a_link(code);
        struct tracker_campaign_row campaign = a_campaign();
        campaign.id = (uint32_t) i + 1;
        assert_int_equal(tracker_snapshot_add_link(b, &link), 0);
        assert_int_equal(tracker_snapshot_add_campaign(b, &campaign), 0);
    }
    struct built base = build(b, 1, NULL);
    assert_in_range(snapshot_section(base.bytes, SNAPSHOT_LINKS).max_probe, 1, 40);
    assert_in_range(snapshot_section(base.bytes, SNAPSHOT_CAMPAIGNS).max_probe, 1, 40);
    free(base.bytes);
}

/* ---- base and delta ---- */

static void
test_delta(void **state)
{
    struct built                     base = build(small_builder(), 10, NULL);
    struct tracker_snapshot_builder *b = new_builder();
    struct tracker_link_row          paused = a_link("summer"), archived = a_link("winter");
    struct tracker_link_row          fresh = a_link("new"), out;
    struct tracker_affiliate_row     suspended = an_affiliate(), affiliate;
    struct tracker_campaign_row      campaign;
    struct tracker_api_key_row       revoked = an_api_key(0xab), api_key;

    paused.state = TRACKER_STATE_PAUSED;
    paused.destination = compiled("https://other.example/");
    archived.state = TRACKER_STATE_ARCHIVED;
    suspended.state = TRACKER_AFFILIATE_SUSPENDED;
    revoked.state = TRACKER_STATE_ARCHIVED;
    tracker_snapshot_add_link(b, &paused);
    tracker_snapshot_add_link(b, &archived);
    tracker_snapshot_add_link(b, &fresh);
    tracker_snapshot_add_affiliate(b, &suspended);
    tracker_snapshot_add_api_key(b, &revoked);
    struct built            delta = build(b, 11, &base);
    struct tracker_snapshot s = { &base.file, &delta.file }, before = { &base.file, NULL };

    assert_true(delta.file.info.delta);
    assert_true(tracker_snapshot_fits(&base.file, &delta.file));
    assert_int_equal(tracker_snapshot_version(&s), 11);
    assert_true(tracker_snapshot_link(&s, TRACKER_STR("summer"), &out));
    assert_link(&out, &paused);
    assert_true(tracker_snapshot_link(&s, TRACKER_STR("winter"), &out));
    assert_int_equal(out.state, TRACKER_STATE_ARCHIVED);
    assert_true(tracker_snapshot_link(&s, TRACKER_STR("new"), &out));
    assert_true(tracker_snapshot_affiliate(&s, 5, &affiliate));
    assert_int_equal(affiliate.state, TRACKER_AFFILIATE_SUSPENDED);
    assert_true(tracker_snapshot_api_key(&s, revoked.hash, &api_key));
    assert_int_equal(api_key.state, TRACKER_STATE_ARCHIVED);
    assert_true(tracker_snapshot_campaign(&s, 3, &campaign)); /* only in the base */
    assert_false(tracker_snapshot_link(&s, TRACKER_STR("none"), &out));

    assert_true(tracker_snapshot_link(&before, TRACKER_STR("summer"), &out));
    assert_int_equal(out.state, TRACKER_STATE_ACTIVE);
    assert_false(tracker_snapshot_link(&before, TRACKER_STR("new"), &out));
    free(delta.bytes);
    free(base.bytes);
}

static void
test_fits(void **state)
{
    struct built base = build(small_builder(), 10, NULL), other = build(small_builder(), 12, NULL);
    struct built delta = build(new_builder(), 11, &base), second = build(new_builder(), 13, &delta);

    assert_true(tracker_snapshot_fits(&base.file, &delta.file));
    assert_false(tracker_snapshot_fits(&other.file, &delta.file));  /* names another base */
    assert_false(tracker_snapshot_fits(&base.file, &other.file));   /* is no delta */
    assert_false(tracker_snapshot_fits(&delta.file, &second.file)); /* a delta is no base */
    free(base.bytes);
    free(other.bytes);
    free(delta.bytes);
    free(second.bytes);
}

/* While a key is being rotated, base and delta are signed, and their tables seeded, by different keys. */
static void
test_delta_of_another_key(void **state)
{
    struct tracker_keys              keys = keys_of("1 accepted " KEY_1 "\n2 current " KEY_2 "\n");
    struct built                     base = build(small_builder(), 10, NULL), delta;
    struct tracker_snapshot_builder *b = new_builder();
    struct tracker_link_row          paused = a_link("summer"), out;
    const char                      *error;

    paused.state = TRACKER_STATE_PAUSED;
    tracker_snapshot_add_link(b, &paused);
    assert_int_equal(tracker_snapshot_build(b, &keys, 11, 11, base.file.info.hash, &delta.bytes, &delta.len),
                     0);
    assert_int_equal(tracker_snapshot_open(delta.bytes, delta.len, &keys, &delta.file, &error), 0);
    assert_memory_not_equal(base.bytes + SNAPSHOT_SEED_AT, delta.bytes + SNAPSHOT_SEED_AT, 16);

    struct tracker_snapshot s = { &base.file, &delta.file };
    assert_true(tracker_snapshot_link(&s, TRACKER_STR("summer"), &out));
    assert_link(&out, &paused);
    assert_true(tracker_snapshot_link(&s, TRACKER_STR("winter"), &out)); /* only in the base */
    tracker_snapshot_builder_free(b);
    free(delta.bytes);
    free(base.bytes);
}

/* ---- random rows against plain arrays ---- */

/*
 * Keys come from a pool of KEYS; row i of a model says what the file should
 * hold for key i, or present = false.
 */
#define KEYS 48

struct model {
    bool                         program[KEYS], campaign[KEYS], affiliate[KEYS], link[KEYS], api_key[KEYS],
        api_user[KEYS], form[KEYS];
    struct tracker_program_row   programs[KEYS];
    struct tracker_campaign_row  campaigns[KEYS];
    struct tracker_affiliate_row affiliates[KEYS];
    struct tracker_link_row      links[KEYS];
    struct tracker_api_key_row   api_keys[KEYS];
    struct tracker_api_user_row  api_users[KEYS];
    struct tracker_form_row      forms[KEYS];
};

static char     codes[KEYS][TRACKER_CODE_MAX + 1], form_keys[KEYS][TRACKER_FORM_KEY_MAX + 1];
static uint32_t ids[KEYS];
static uint8_t  hashes[KEYS][TRACKER_API_KEY_HASH_LEN];

static void
draw_keys(void)
{
    for (size_t i = 0; i < KEYS; i++) {
        ids[i] = i % 2 == 0 ? (uint32_t) i + 1 : UINT32_MAX - (uint32_t) i;
        snprintf(codes[i], sizeof(codes[i]), "%zu", i);
        size_t len = strlen(codes[i]), want = len + testing_below(TRACKER_CODE_MAX - len + 1);
        memset(codes[i] + len, "x.-_~Z"[testing_below(6)], want - len);
        codes[i][want] = 0;
        snprintf(form_keys[i], sizeof(form_keys[i]), "%zu_%.*s", i, (int) testing_below(60), KEY_1);
        for (size_t j = 0; j < sizeof(hashes[i]); j++)
            hashes[i][j] = (uint8_t) testing_below(256);
        hashes[i][0] = (uint8_t) i;
    }
}

static struct tracker_str
draw_template(void)
{
    static const char *const texts[] = { "https://a.example/", "http://b.example/?x={sub1}&y={_sub2}",
                                         "https://c.example/{campaign}/{link}#{click_id}" };

    return compiled(texts[testing_below(3)]);
}

static struct tracker_str
draw_name(void)
{
    static const char names[TRACKER_NAME_MAX] = "any bytes may stand in a name\n\xff";

    return (struct tracker_str){ names, testing_below(TRACKER_NAME_MAX + 1) };
}

static struct tracker_limits
draw_limits(void)
{
    uint64_t starts = testing_magnitude(40);

    return (struct tracker_limits){ starts, testing_below(2) ? starts + 1 : 0, testing_magnitude(40),
                                    (uint32_t) testing_below(UINT32_MAX), (uint32_t) testing_below(UINT32_MAX) };
}

static void
draw_form(struct tracker_form_row *form, const char *key)
{
    *form = a_form(key);
    form->id = (uint32_t) (1 + testing_below(UINT32_MAX));
    form->program = (uint32_t) (1 + testing_below(9));
    form->affiliate = (uint32_t) testing_below(9);
    form->state = (uint8_t) (1 + testing_below(4));
    form->after = (uint8_t) (1 + testing_below(3));
    form->options = (uint8_t) testing_below(2);
    form->min_fill_ms = (uint32_t) testing_below(TRACKER_FORM_FILL_MAX_MS + 1);
    form->rate_minute = (uint32_t) testing_magnitude(32);
    form->done.len = 1 + testing_below(form->done.len);
    if (form->after != TRACKER_FORM_AFTER_AUTOLOGIN && testing_below(2))
        form->wait = TRACKER_STR_NONE;
    if (form->after != TRACKER_FORM_AFTER_URL && testing_below(2))
        form->after_url = TRACKER_STR_NONE;
    form->frame_ancestors.len = testing_below(form->frame_ancestors.len + 1);
    if (testing_below(2))
        form->origins = TRACKER_STR_NONE;
}

static void
draw_row(struct model *m, size_t i)
{
    m->program[i] = testing_below(2);
    m->programs[i] = (struct tracker_program_row){ ids[i],
                                                   (uint8_t) (1 + testing_below(4)),
                                                   (uint8_t) (1 + testing_below(3)),
                                                   (uint32_t) testing_below(TRACKER_COOKIE_DAYS_MAX + 1),
                                                   TRACKER_STR("USD"),
                                                   testing_below(2) ? draw_template() : TRACKER_STR_NONE,
                                                   (uint32_t) testing_magnitude(32),
                                                   testing_below(2) ? TRACKER_STR("https://play.example:8443/?a=b")
                                                                    : TRACKER_STR_NONE };
    m->campaign[i] = testing_below(2);
    m->campaigns[i] = (struct tracker_campaign_row){ ids[i], (uint32_t) (1 + testing_below(UINT32_MAX)),
                                                     (uint8_t) (1 + testing_below(4)), draw_name(),
                                                     testing_below(2) ? draw_template() : TRACKER_STR_NONE,
                                                     testing_below(2) ? TRACKER_STR("a.example\n.b.example\n")
                                                                      : TRACKER_STR_NONE,
                                                     draw_limits() };
    m->affiliate[i] = testing_below(2);
    m->affiliates[i] = (struct tracker_affiliate_row){ ids[i], (uint8_t) (1 + testing_below(4)),
                                                       draw_name() };
    m->link[i] = testing_below(2);
    m->links[i] = (struct tracker_link_row){ .id = (uint32_t) (1 + testing_below(UINT32_MAX)),
                                             .campaign = (uint32_t) (1 + testing_below(9)),
                                             .affiliate = (uint32_t) (1 + testing_below(9)),
                                             .state = (uint8_t) (1 + testing_below(4)),
                                             .code = testing_str(codes[i]),
                                             .destination = draw_template() };
    if (testing_below(2)) { /* else it has no extension */
        m->links[i].limits = draw_limits();
        m->links[i].redirect = (uint8_t) testing_below(4);
        m->links[i].referrer_policy = (uint8_t) testing_below(6);
        m->links[i].options = (uint8_t) testing_below(4);
    }
    m->api_key[i] = testing_below(2);
    m->api_keys[i] = (struct tracker_api_key_row){ .api_user = (uint32_t) (1 + testing_below(9)),
                                                   .state = testing_below(2) ? TRACKER_STATE_ACTIVE
                                                                             : TRACKER_STATE_ARCHIVED };
    memcpy(m->api_keys[i].hash, hashes[i], sizeof(hashes[i]));
    m->api_user[i] = testing_below(2);
    m->api_users[i] = an_api_user();
    m->api_users[i].id = ids[i];
    m->api_users[i].affiliate = (uint32_t) (1 + testing_below(9));
    m->api_users[i].role = (uint8_t) (1 + testing_below(2));
    m->api_users[i].scopes = (uint32_t) testing_below(UINT32_MAX);
    m->api_users[i].expires_ms = testing_magnitude(64);
    m->api_users[i].rate_minute = (uint32_t) testing_below(UINT32_MAX);
    m->api_users[i].restricted = testing_below(2);
    m->api_users[i].networks.len = testing_below(3) * TRACKER_NETWORK_LEN;
    m->api_users[i].options = (uint8_t) testing_below(4);
    m->api_users[i].secret.len = testing_below(m->api_users[i].secret.len + 1);
    m->form[i] = testing_below(2);
    draw_form(&m->forms[i], form_keys[i]);
}

/* Each kind is left out altogether at times: an empty section beside full ones. */
static struct tracker_snapshot_builder *
draw_model(struct model *m)
{
    struct tracker_snapshot_builder *b = new_builder();
    size_t                           start = testing_below(KEYS), kinds = testing_below(128);

    for (size_t n = 0; n < KEYS; n++) {
        size_t i = (start + n) % KEYS;
        draw_row(m, i);
        m->program[i] &= kinds & 1;
        m->campaign[i] &= kinds >> 1 & 1;
        m->affiliate[i] &= kinds >> 2 & 1;
        m->link[i] &= kinds >> 3 & 1;
        m->api_key[i] &= kinds >> 4 & 1;
        m->api_user[i] &= kinds >> 5 & 1;
        m->form[i] &= kinds >> 6 & 1;
        if (m->program[i])
            assert_int_equal(tracker_snapshot_add_program(b, &m->programs[i]), 0);
        if (m->campaign[i])
            assert_int_equal(tracker_snapshot_add_campaign(b, &m->campaigns[i]), 0);
        if (m->affiliate[i])
            assert_int_equal(tracker_snapshot_add_affiliate(b, &m->affiliates[i]), 0);
        if (m->link[i])
            assert_int_equal(tracker_snapshot_add_link(b, &m->links[i]), 0);
        if (m->api_key[i])
            assert_int_equal(tracker_snapshot_add_api_key(b, &m->api_keys[i]), 0);
        if (m->api_user[i])
            assert_int_equal(tracker_snapshot_add_api_user(b, &m->api_users[i]), 0);
        if (m->form[i])
            assert_int_equal(tracker_snapshot_add_form(b, &m->forms[i]), 0);
    }
    return b;
}

/* What the delta's model has, else what the base's has; `over` may be NULL. */
#define EXPECT(KIND, FIND, ASSERT) \
    do { \
        const struct model *m = over != NULL && over->KIND[i] ? over : under; \
        struct tracker_##KIND##_row row; \
        bool found = FIND; \
        assert_int_equal(found, m->KIND[i]); \
        if (found) \
            ASSERT(&row, &m->KIND##s[i]); \
    } while (0)

static void
compare(const struct tracker_snapshot *s, const struct model *under, const struct model *over)
{
    for (size_t i = 0; i < KEYS; i++) {
        EXPECT(program, tracker_snapshot_program(s, ids[i], &row), assert_program);
        EXPECT(campaign, tracker_snapshot_campaign(s, ids[i], &row), assert_campaign);
        EXPECT(affiliate, tracker_snapshot_affiliate(s, ids[i], &row), assert_affiliate);
        EXPECT(link, tracker_snapshot_link(s, testing_str(codes[i]), &row), assert_link);
        EXPECT(api_key, tracker_snapshot_api_key(s, hashes[i], &row), assert_api_key);
        EXPECT(api_user, tracker_snapshot_api_user(s, ids[i], &row), assert_api_user);
        EXPECT(form, tracker_snapshot_form(s, testing_str(form_keys[i]), &row), assert_form);
    }
}

static void
test_random_rows(void **state)
{
    static struct model under, over;

    testing_seed();
    for (int round = 0; round < 300; round++) {
        draw_keys();
        struct built            base = build(draw_model(&under), 1, NULL);
        struct built            delta = build(draw_model(&over), 2, &base);
        struct tracker_snapshot both = { &base.file, &delta.file }, alone = { &base.file, NULL };

        compare(&alone, &under, NULL);
        compare(&both, &under, &over);
        free(base.bytes);
        free(delta.bytes);
    }
}

/*
 * As many keys and ranges as a large network has: built, opened, and each key and each range found.  Linear work takes
 * a tenth of a second here; the alarm is for what is not linear, under sanitizers too.
 */
static void
test_many_keys_and_ranges(void **state)
{
    const uint32_t                   keys = 100000, users = 400, ranges = 250;
    struct tracker_snapshot_builder *b = new_builder();
    uint8_t                          networks[250 * TRACKER_NETWORK_LEN];
    struct tracker_api_user_row      user = an_api_user(), out;
    struct tracker_api_key_row       key = an_api_key(0), key_out;

    alarm(60);
    for (user.id = 1; user.id <= users; user.id++) {
        for (uint32_t j = 0; j < ranges; j++) { /* 10.j.u.0/24, backwards */
            uint8_t *entry = networks + j * TRACKER_NETWORK_LEN;
            assert_true(tracker_network_parse(TRACKER_STR("10.0.0.0/24"), entry));
            entry[14] = (uint8_t) (ranges - j);
            entry[15] = (uint8_t) user.id;
        }
        user.networks = (struct tracker_str){ (char *) networks, sizeof(networks) };
        assert_int_equal(tracker_snapshot_add_api_user(b, &user), 0);
    }
    for (uint32_t i = 0; i < keys; i++) {
        tracker_api_key_hash((struct tracker_str){ (const char *) &i, sizeof(i) }, key.hash);
        key.api_user = i % users + 1;
        assert_int_equal(tracker_snapshot_add_api_key(b, &key), 0);
    }

    struct built            base = build(b, 1, NULL);
    struct tracker_snapshot s = { &base.file, NULL };
    assert_int_equal(base.file.info.api_keys, keys);
    for (uint32_t i = 0; i < keys; i++) {
        uint8_t ip[4] = { 10, (uint8_t) (i / users + 1), 0, 7 };

        tracker_api_key_hash((struct tracker_str){ (const char *) &i, sizeof(i) }, key.hash);
        assert_true(tracker_snapshot_api_key(&s, key.hash, &key_out));
        assert_int_equal(key_out.api_user, i % users + 1);
        assert_true(tracker_snapshot_api_user(&s, key_out.api_user, &out));
        ip[2] = (uint8_t) out.id;
        assert_true(tracker_networks_hold(out.networks, (struct tracker_str){ (char *) ip, 4 }));
        ip[2]++;
        assert_false(tracker_networks_hold(out.networks, (struct tracker_str){ (char *) ip, 4 }));
    }
    alarm(0);
    free(base.bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_longest_rows),
        cmocka_unit_test(test_longest_form),
        cmocka_unit_test(test_networks_are_sorted),
        cmocka_unit_test(test_equal_hashes),
        cmocka_unit_test(test_probes_are_few),
        cmocka_unit_test(test_delta),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_delta_of_another_key),
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_many_keys_and_ranges),
    };

    if (tracker_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
