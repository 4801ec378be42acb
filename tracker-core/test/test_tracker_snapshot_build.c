/*
 * test_tracker_snapshot_build.c - what may enter a snapshot, and that the same rows are the same bytes.
 *
 * What could break: a row out of bounds is written and every edge refuses the
 * whole file; two rows of one key shadow each other; the order of an SQL
 * answer shows in the bytes; running out of memory half-way leaks or crashes
 * the daemon.
 */
#include "snapshot_fixture.h"

/* The builder is included so that its allocations can fail. */
static int allocations_left = -1;

static bool
allocation_fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

static void *
failing_malloc(size_t len)
{
    return allocation_fails() ? NULL : malloc(len);
}

static void *
failing_calloc(size_t count, size_t len)
{
    return allocation_fails() ? NULL : calloc(count, len);
}

static void *
failing_realloc(void *p, size_t len)
{
    return allocation_fails() ? NULL : realloc(p, len);
}

#define malloc  failing_malloc
#define calloc  failing_calloc
#define realloc failing_realloc
#include "tracker_snapshot_build.c"
#undef malloc
#undef calloc
#undef realloc

#define BAD(KIND, MAKE, CHANGE) \
    do { \
        struct tracker_##KIND##_row row = MAKE; \
        assert_int_equal(tracker_snapshot_add_##KIND(b, &row), 0); \
        CHANGE; \
        if (tracker_snapshot_add_##KIND(b, &row) != -EINVAL) \
            fail_msg("accepted: " #KIND " with " #CHANGE); \
        tracker_snapshot_builder_free(b); \
        b = new_builder(); \
    } while (0)

static void
bad_blob(struct tracker_snapshot_builder *b, int kind, const char *bytes, size_t len)
{
    if (tracker_snapshot_add_blob(b, (enum tracker_blob) kind, (const uint8_t *) bytes, len) != -EINVAL)
        fail_msg("blob %d of %zu bytes is accepted", kind, len);
}

static struct tracker_str
long_url(size_t len)
{
    static char url[TRACKER_URL_MAX + 1];

    memset(url, 'a', sizeof(url));
    memcpy(url, "https://play.example/", 21);
    return (struct tracker_str){ url, len };
}

static void
bad_forms(struct tracker_snapshot_builder *b)
{
    static char long_text[TRACKER_PAGE_MAX + 1];

    memset(long_text, 'a', sizeof(long_text));
    BAD(form, a_form("f"), row.id = 0);
    BAD(form, a_form("f"), row.program = 0);
    BAD(form, a_form("f"), row.state = 0);
    BAD(form, a_form("f"), row.state = 5);
    BAD(form, a_form("f"), row.after = 0);
    BAD(form, a_form("f"), row.after = 4);
    BAD(form, a_form("f"), row.options = 2);
    BAD(form, a_form("f"), row.min_fill_ms = TRACKER_FORM_FILL_MAX_MS + 1);
    BAD(form, a_form("f"), row.key = TRACKER_STR_NONE);
    BAD(form, a_form("f"), row.key = testing_str("a/b"));
    BAD(form, a_form("f"), row.key = testing_str("a.b"));
    BAD(form, a_form("f"), row.key = testing_str(KEY_1 "1"));
    BAD(form, a_form("f"), row.definition = TRACKER_STR_NONE);
    BAD(form, a_form("f"), row.definition.len--);
    BAD(form, a_form("f"), row.definition = ((struct tracker_str){ long_text, TRACKER_FORM_MAX + 1 }));
    BAD(form, a_form("f"), row.page = TRACKER_STR_NONE);
    BAD(form, a_form("f"), row.page = testing_str("\1V2;")); /* a third field */
    BAD(form, a_form("f"), row.page = testing_str("\1?"));
    BAD(form, a_form("f"), row.done = TRACKER_STR_NONE);
    BAD(form, a_form("f"), row.done = testing_str("\1S1,2;"));
    BAD(form, a_form("f"), row.wait = TRACKER_STR_NONE); /* it leads to the platform */
    BAD(form, a_form("f"), row.wait = testing_str("\1"));
    BAD(form, a_form("f"), row.page = ((struct tracker_str){ long_text, TRACKER_PAGE_MAX + 1 }));
    BAD(form, a_form("f"), row.after_url = testing_str("/thanks"));
    BAD(form, a_form("f"), row.after_url = testing_str("https://shop.example/\nx"));
    BAD(form, a_form("f"), row.after_url = long_url(TRACKER_URL_MAX + 1));
    BAD(form, a_form("f"), (row.after = TRACKER_FORM_AFTER_URL, row.after_url = TRACKER_STR_NONE));
    BAD(form, a_form("f"), row.frame_ancestors = testing_str("'self'; script-src *"));
    BAD(form, a_form("f"), row.frame_ancestors = testing_str("'self', *"));
    BAD(form, a_form("f"), row.frame_ancestors = testing_str("'self'\r\nX: y"));
    BAD(form, a_form("f"), row.frame_ancestors = testing_str("\xc3\xa9.example"));
    BAD(form, a_form("f"), row.frame_ancestors = ((struct tracker_str){ long_text, TRACKER_ORIGINS_MAX + 1 }));
    tracker_snapshot_builder_free(b);
}

static void
bad_origins(struct tracker_snapshot_builder *b)
{
    BAD(form, a_form("f"), row.origins = testing_str("https://shop.example"));
    BAD(form, a_form("f"), row.origins = testing_str("\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://a.example\n\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://a.example/\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://a.example?x\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://a.example#\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://A.example\n"));
    BAD(form, a_form("f"), row.origins = testing_str("HTTPS://a.example\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://a.example:0\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://me@a.example\n"));
    BAD(form, a_form("f"), row.origins = testing_str("*\n"));
    BAD(form, a_form("f"), row.origins = testing_str("null\n"));
    BAD(form, a_form("f"), row.origins = testing_str("https://a.example\r\n"));
    BAD(form, a_form("f"), row.origins = TRACKER_STR("https://a.example\0\n"));
    tracker_snapshot_builder_free(b);
}

static void
test_form_bounds(void **state)
{
    bad_forms(new_builder());
    bad_origins(new_builder());
}

static void
test_bounds(void **state)
{
    static char                      longest[TRACKER_TEMPLATE_MAX + 1];
    struct tracker_snapshot_builder *b = new_builder();

    BAD(program, a_program(), row.id = 0);
    BAD(program, a_program(), row.state = 0);
    BAD(program, a_program(), row.state = 5);
    BAD(program, a_program(), row.attribution = 0);
    BAD(program, a_program(), row.attribution = 4);
    BAD(program, a_program(), row.cookie_days = TRACKER_COOKIE_DAYS_MAX + 1);
    BAD(program, a_program(), row.currency = testing_str("EU"));
    BAD(program, a_program(), row.currency = testing_str("EURO"));
    BAD(program, a_program(), row.currency = testing_str("eur"));
    BAD(program, a_program(), row.currency = TRACKER_STR_NONE);
    BAD(program, a_program(), row.fallback = testing_str("https://not.compiled/"));
    BAD(program, a_program(), row.platform_url = testing_str("ftp://play.example/"));
    BAD(program, a_program(), row.platform_url = testing_str("/in"));
    BAD(program, a_program(), row.platform_url = testing_str("https://play.example/a b"));
    BAD(program, a_program(), row.platform_url = testing_str("https://play.example/\r\nSet-Cookie:x"));
    BAD(program, a_program(), row.platform_url = testing_str("https://play.example/\xc3\xa9"));
    BAD(program, a_program(), row.platform_url = testing_str("javascript:alert(1)"));
    BAD(program, a_program(), row.platform_url = long_url(TRACKER_URL_MAX + 1));
    BAD(campaign, a_campaign(), row.id = 0);
    BAD(campaign, a_campaign(), row.program = 0);
    BAD(campaign, a_campaign(), row.state = 0);
    BAD(campaign, a_campaign(), row.state = 255);
    BAD(campaign, a_campaign(), row.name = ((struct tracker_str){ longest, TRACKER_NAME_MAX + 1 }));
    BAD(campaign, a_campaign(), row.fallback = testing_str("x"));
    BAD(affiliate, an_affiliate(), row.id = 0);
    BAD(affiliate, an_affiliate(), row.state = 0);
    BAD(affiliate, an_affiliate(), row.state = 5);
    BAD(affiliate, an_affiliate(), row.name.len = TRACKER_NAME_MAX + 1);
    BAD(link, a_link("ok"), row.id = 0);
    BAD(link, a_link("ok"), row.campaign = 0);
    BAD(link, a_link("ok"), row.affiliate = 0);
    BAD(link, a_link("ok"), row.state = 0);
    BAD(link, a_link("ok"), row.state = 5);
    BAD(link, a_link("ok"), row.code = TRACKER_STR_NONE);
    BAD(link, a_link("ok"), row.code = testing_str(KEY_1 "1"));
    BAD(link, a_link("ok"), row.destination = TRACKER_STR_NONE);
    BAD(link, a_link("ok"), row.destination.len -= 1);
    BAD(link, a_link("ok"), row.destination = ((struct tracker_str){ longest, sizeof(longest) }));
    BAD(api_key, an_api_key(1), row.api_user = 0);
    BAD(api_key, an_api_key(1), row.state = 0);
    BAD(api_key, an_api_key(1), row.state = TRACKER_STATE_EXPIRED);
    BAD(api_key, an_api_key(1), row.state = TRACKER_STATE_PAUSED);
    BAD(api_user, an_api_user(), row.id = 0);
    BAD(api_user, an_api_user(), row.state = 0);
    BAD(api_user, an_api_user(), row.state = TRACKER_STATE_ARCHIVED);
    BAD(api_user, an_api_user(), row.role = 0);
    BAD(api_user, an_api_user(), row.role = 3);
    BAD(api_user, an_api_user(), row.program = 0);
    BAD(api_user, an_api_user(), row.role = TRACKER_ROLE_AFFILIATE);
    BAD(api_user, an_api_user(), row.networks.len -= 1);
    BAD(api_user, an_api_user(), row.networks = ((struct tracker_str){ longest, TRACKER_NETWORK_LEN * 257 }));
    BAD(api_user, an_api_user(), row.secret = ((struct tracker_str){ longest, TRACKER_SECRET_SEALED_MAX + 1 }));
    BAD(api_user, an_api_user(), row.options = 4);
    BAD(campaign, a_campaign(), row.hosts = testing_str("no.newline"));
    BAD(campaign, a_campaign(), row.hosts = testing_str("\n"));
    BAD(campaign, a_campaign(), row.hosts = testing_str("ok.example\n.\n"));
    BAD(campaign, a_campaign(), row.hosts = testing_str("Upper.example\n"));
    BAD(campaign, a_campaign(), row.hosts = testing_str("a.example/path\n"));
    BAD(campaign, a_campaign(), row.limits = ((struct tracker_limits){ .starts_ms = 5, .ends_ms = 5 }));
    BAD(link, a_link("ok"), row.limits = ((struct tracker_limits){ .starts_ms = 6, .ends_ms = 5 }));
    BAD(link, a_link("ok"), row.redirect = 4);
    BAD(link, a_link("ok"), row.referrer_policy = 6);
    BAD(link, a_link("ok"), row.options = 4);
    BAD(link, a_link("ok"), row.rules = testing_str("not compiled"));
    bad_blob(b, TRACKER_BLOB_AGENTS, "not an automaton", 16);
    bad_blob(b, TRACKER_BLOB_DATACENTRES, "", 0);
    bad_blob(b, TRACKER_BLOB_DATACENTRES, "\1\0\0", 3);
    bad_blob(b, TRACKER_BLOB_DATACENTRES, "\0\0\0\0", 4);
    bad_blob(b, TRACKER_BLOB_DATACENTRES, "\2\0\0\0\2\0\0\0", 8);
    bad_blob(b, 99, "\1\0\0\0", 4);
    tracker_snapshot_builder_free(b);
}

static void
test_code_alphabet(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
    struct tracker_snapshot_builder *b = new_builder();

    for (int c = 0; c < 256; c++) {
        char                    code[1] = { (char) c };
        struct tracker_link_row row = a_link("");
        row.code = (struct tracker_str){ code, 1 };
        bool good = c != 0 && strchr(alphabet, c) != NULL;
        assert_int_equal(tracker_snapshot_add_link(b, &row), good ? 0 : -EINVAL);
    }
    struct built base = build(b, 1, NULL);
    assert_int_equal(base.file.info.links, sizeof(alphabet) - 1);
    free(base.bytes);
}

static void
test_duplicates(void **state)
{
    struct tracker_keys          keys = keys_of(KEYS_1);
    struct tracker_program_row   program = a_program();
    struct tracker_campaign_row  campaign = a_campaign();
    struct tracker_affiliate_row affiliate = an_affiliate();
    struct tracker_link_row      link = a_link("winter");
    struct tracker_api_key_row   api_key = an_api_key(0xab);
    struct tracker_api_user_row  api_user = an_api_user();
    struct tracker_form_row      form = a_form("contact");

    link.id = form.id = 99;
    for (int rows = 0; rows < SNAPSHOT_SECTIONS; rows++) {
        struct tracker_snapshot_builder *b = small_builder();
        uint8_t                         *bytes = NULL;
        size_t                           len = 0;
        if (rows == SNAPSHOT_PROGRAMS)
            tracker_snapshot_add_program(b, &program);
        if (rows == SNAPSHOT_CAMPAIGNS)
            tracker_snapshot_add_campaign(b, &campaign);
        if (rows == SNAPSHOT_AFFILIATES)
            tracker_snapshot_add_affiliate(b, &affiliate);
        if (rows == SNAPSHOT_LINKS)
            tracker_snapshot_add_link(b, &link);
        if (rows == SNAPSHOT_API_KEYS)
            tracker_snapshot_add_api_key(b, &api_key);
        if (rows == SNAPSHOT_API_USERS)
            tracker_snapshot_add_api_user(b, &api_user);
        if (rows == SNAPSHOT_FORMS)
            tracker_snapshot_add_form(b, &form);
        if (rows == SNAPSHOT_BLOBS)
            tracker_snapshot_add_blob(b, TRACKER_BLOB_DATACENTRES, DATACENTRES, DATACENTRES_LEN);
        assert_int_equal(tracker_snapshot_build(b, &keys, 1, 1, NULL, &bytes, &len), -EINVAL);
        assert_null(bytes);
        tracker_snapshot_builder_free(b);
    }
}

/* Rows in another order, or built twice: the same bytes.  Another version, time, key or base: others. */
static void
test_deterministic(void **state)
{
    struct tracker_keys keys = keys_of(KEYS_1), other_keys = keys_of(KEYS_2);
    uint8_t             hash[TRACKER_SNAPSHOT_HASH_LEN] = { 1 };
    uint8_t            *first = NULL, *again, *other;
    size_t              first_len = 0, len;
    char                code[16];

    for (unsigned stride = 1; stride < 8; stride += 2) { /* odd: every row once, in another order */
        struct tracker_snapshot_builder *b = new_builder();
        for (unsigned i = 0; i < 64; i++) {
            snprintf(code, sizeof(code), "c%u", i * stride % 64);
            struct tracker_link_row link = a_link(code);
            assert_int_equal(tracker_snapshot_add_link(b, &link), 0);
        }
        assert_int_equal(tracker_snapshot_build(b, &keys, 1, 2, NULL, &again, &len), 0);
        if (first == NULL) {
            first = again;
            first_len = len;
            assert_int_equal(tracker_snapshot_build(b, &keys, 1, 2, NULL, &again, &len), 0);
        }
        assert_int_equal(len, first_len);
        assert_memory_equal(again, first, len);
        free(again);

        for (int i = 0; i < 4; i++) {
            assert_int_equal(tracker_snapshot_build(b, i == 0 ? &other_keys : &keys, i == 1 ? 9 : 1,
                                                    i == 2 ? 9 : 2, i == 3 ? hash : NULL, &other, &len),
                             0);
            assert_memory_not_equal(other, first, first_len);
            free(other);
        }
        tracker_snapshot_builder_free(b);
    }
    free(first);
}

/* Whichever allocation fails, the answer is -ENOMEM and nothing leaks (the sanitizer looks). */
static void
test_no_memory(void **state)
{
    struct tracker_keys keys = keys_of(KEYS_1);
    bool                finished = false;

    a_program(); /* fills the pool of templates */
    for (int fail = 0; !finished; fail++) {
        struct tracker_snapshot_builder *b;
        struct tracker_link_row          link = a_link("summer");
        uint8_t                         *bytes = NULL;
        size_t                           len = 0;

        allocations_left = fail;
        b = tracker_snapshot_builder_new();
        int rc = b == NULL ? -ENOMEM : tracker_snapshot_add_link(b, &link);
        if (rc == 0)
            rc = tracker_snapshot_build(b, &keys, 1, 1, NULL, &bytes, &len);
        finished = allocations_left >= 0;
        allocations_left = -1;

        assert_int_equal(rc, finished ? 0 : -ENOMEM);
        assert_int_equal(bytes != NULL, finished);
        tracker_snapshot_builder_free(b);
        free(bytes);
        assert_in_range(fail, 0, 10);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_form_bounds),
        cmocka_unit_test(test_code_alphabet),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_no_memory),
    };

    if (tracker_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
