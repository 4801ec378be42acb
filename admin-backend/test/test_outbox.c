/*
 * The outbox and the mails in it.
 *
 * A line break in a subject, a name or an address writes headers of somebody else's choice; an address with a second one
 * behind it sends to a stranger; a word of RFC 2047 that is cut within a character arrives as rubbish; a mail that is
 * asked for in a transaction that fails must not be sent, and one asked for twice not twice.
 */
#include "test_support.h"

#include "mail/message.h"
#include "service/outbox.h"

#define DAY_US UINT64_C(86400000000)

static int
setup(void **state)
{
    struct test_database *test = calloc(1, sizeof(*test));

    test_clock_us = UINT64_C(1714564800000000);
    test_database_open(test);
    *state = test;
    return 0;
}

static int
teardown(void **state)
{
    test_database_close(*state);
    free(*state);
    return 0;
}

/* ---- asking ---- */

struct asking {
    struct outbox_mail mail;
    bool               fail;
};

static enum db_result
ask(struct db *db, void *ctx)
{
    struct asking *asking = ctx;
    enum db_result rc = outbox_mail(db, &asking->mail, test_clock_us);

    return rc == DB_OK && asking->fail ? DB_ABORT : rc;
}

static enum db_result
write_mail(struct test_database *test, const char *name, const char *recipient, const char *subject, const char *link,
           bool fail)
{
    struct asking asking = {
        .mail = { .name = name, .recipient = recipient, .subject = subject, .text = "a " OUTBOX_LINK " b",
                  .link = link, .expires_us = test_clock_us + DAY_US },
        .fail = fail,
    };

    return db_write(test->pool, DB_WIRE, ask, &asking);
}

static int64_t
count(struct test_database *test, const char *where)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "SELECT COUNT(*) AS n FROM outbox WHERE %s", where);
    return test_int(test->pool, sql);
}

static void
a_mail_is_there_when_its_change_is(void **state)
{
    struct test_database *test = *state;

    assert_int_equal(write_mail(test, "a", "a@example.com", "S", NULL, true), DB_ABORT);
    assert_int_equal(count(test, "1 = 1"), 0);
    assert_int_equal(write_mail(test, "a", "a@example.com", "S", NULL, false), DB_OK);
    assert_int_equal(write_mail(test, "a", "b@example.com", "T", NULL, false), DB_OK);
    assert_int_equal(count(test, "recipient = 'a@example.com' AND state = 'queued'"), 1);
    assert_int_equal(count(test, "1 = 1"), 1);
}

/* What is no one address leads nowhere, and says so; the change it belongs to is made nevertheless. */
static void
strange_addresses_fail_alone(void **state)
{
    static const char *const bad[] = {
        "", "a", "a@", "@example.com", "a@b@", "a b@example.com", "a@example.com\nBcc: b@example.com",
        "a@example.com\r\nRCPT TO:<b@example.com>", "<a@example.com>", "a@example.com,b@example.com",
        "a@example.com> SIZE=1", "\"a b\"@example.com", "a@exam ple.com", "a@[127.0.0.1]", "gr\xc3\xbc\xc3\x9f@example.com",
        "a@example.com\xff", "a\x1a@example.com",
    };
    struct test_database *test = *state;
    char                  name[16];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(name, sizeof(name), "n%zu", i);
        assert_int_equal(write_mail(test, name, bad[i], "S", NULL, false), DB_OK);
        if (count(test, "state = 'queued'") != 0)
            fail_msg("%s would be written to", bad[i]);
    }
    assert_int_equal(count(test, "state = 'failed' AND last_error <> ''"), (int64_t) (sizeof(bad) / sizeof(bad[0])));
    assert_int_equal(write_mail(test, "link", "a@example.com", "S", "https://x.example/\"><script>", false), DB_OK);
    assert_int_equal(count(test, "state = 'failed' AND link = '' AND name = 'link'"), 1);
}

static void
a_subject_is_one_line(void **state)
{
    struct test_database *test = *state;
    char                  longest[600];

    assert_int_equal(write_mail(test, "a", "a@example.com", "S\r\nBcc: b@example.com\x1a", NULL, false), DB_OK);
    assert_int_equal(count(test, "subject = 'S  Bcc: b@example.com '"), 1);
    for (size_t i = 0; i + 2 < sizeof(longest); i += 2)
        memcpy(longest + i, "\xc3\xbc", 3);
    longest[0] = 'x'; /* the cut would fall between two characters or within one */
    longest[1] = 'x';
    assert_int_equal(write_mail(test, "b", "a@example.com", longest, NULL, false), DB_OK);
    assert_int_equal(write_mail(test, "c", "a@example.com", longest + 1, NULL, false), DB_OK);
    assert_int_equal(count(test, "LENGTH(CAST(subject AS BLOB)) BETWEEN 250 AND 255"), 2);
    assert_int_equal(count(test, "name IN ('b', 'c') AND subject = CAST(CAST(subject AS BLOB) AS TEXT)"
                                 " AND REPLACE(REPLACE(subject, char(252), ''), 'x', '') = ''"), 2);
}

static void
links_stand_where_they_belong(void **state)
{
    char *text = outbox_fill("a" OUTBOX_LINK "b" OUTBOX_LINK, "http://x.example/");

    (void) state;
    assert_string_equal(text, "ahttp://x.example/bhttp://x.example/");
    free(text);
    text = outbox_fill("", "x");
    assert_string_equal(text, "");
    free(text);
}

/* ---- trying ---- */

static void
tries_are_counted_and_settled_once(void **state)
{
    struct test_database *test = *state;
    struct outbox_row     row, other;
    int64_t               ids[4];
    int                   found = 4;
    bool                  failed;

    write_mail(test, "a", "a@example.com", "S", NULL, false);
    assert_int_equal(outbox_due_mails(&test->service, ids, &found), DB_OK);
    assert_int_equal(found, 1);
    assert_int_equal(outbox_take(&test->service, ids[0], &row), DB_OK);
    assert_int_equal(row.tries, 1);
    assert_int_equal(outbox_take(&test->service, ids[0], &other), DB_DONE); /* not due: it was just taken */
    assert_int_equal(outbox_take(&test->service, ids[0] + 1, &other), DB_DONE);

    /* Sent anew by somebody meanwhile: what came of the old try is nobody's business. */
    test_run(test->pool, "UPDATE outbox SET state = 'queued', uid = 'another', tries = 0");
    assert_int_equal(outbox_settle(&test->service, &row, OUTBOX_SENT, "", &failed), DB_OK);
    assert_int_equal(count(test, "state = 'queued' AND sent_us IS NULL"), 1);
    test_run(test->pool, "UPDATE outbox SET tries = 10");
    free(row.uid);
    row.uid = strdup("another");
    row.tries = OUTBOX_TRIES;
    assert_int_equal(outbox_settle(&test->service, &row, OUTBOX_LATER, "busy", &failed), DB_OK);
    assert_true(failed);
    assert_int_equal(count(test, "state = 'failed' AND last_error = 'busy'"), 1);
    assert_int_equal(outbox_settle(&test->service, &row, OUTBOX_SENT, "", &failed), DB_OK);
    assert_int_equal(count(test, "state = 'failed'"), 1);
    row_free(&outbox_table, &row);
}

static void
pauses_grow_to_six_hours(void **state)
{
    static const uint64_t minutes[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360 };

    (void) state;
    for (int i = 0; i < 11; i++) {
        assert_int_equal(outbox_pause_us(i + 1, 0), minutes[i] * 45 * 1000000);
        assert_in_range(outbox_pause_us(i + 1, UINT32_MAX), minutes[i] * 74 * 1000000, minutes[i] * 75 * 1000000);
    }
    assert_in_range(outbox_pause_us(INT64_MAX, 1u << 31), UINT64_C(359) * 60000000, UINT64_C(361) * 60000000);
    assert_in_range(outbox_pause_us(INT64_MIN + 1, 0), 1, 60000000);
}

/* ---- headers ---- */

static void
mailboxes_are_one_address(void **state)
{
    static const char *const bad[] = {
        "", "x", "<>", "a@example.com>", "<a@example.com", "N <a@example.com> ", "N <a@example.com>, <b@example.com>",
        "N\r\nBcc: x <a@example.com>", "\"N\" <a@example.com>", "N\\ <a@example.com>", "a@example.com\n",
        "N <a@example.com\r\n>",
    };
    struct mailbox mailbox;

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (mailbox_parse(bad[i], &mailbox))
            fail_msg("%s is taken for a mailbox", bad[i]);
    }
    assert_true(mailbox_parse("No.Reply@B\xc3\xbc" "cher.example", &mailbox));
    assert_string_equal(mailbox.address, "No.Reply@xn--bcher-kva.example");
    assert_string_equal(mailbox.name, "");
    assert_true(mailbox_parse("The Shop, Inc.  <a@example.com>", &mailbox));
    assert_string_equal(mailbox.name, "The Shop, Inc.");
    assert_string_equal(mailbox.address, "a@example.com");
}

static void
no_text_breaks_out_of_its_header(void **state)
{
    (void) state;
    for (int c = 1; c < 256; c++) {
        const char text[] = { 'a', (char) c, 'B', 'c', 'c', ':', '\0' };
        char      *header = message_encode(text);

        assert_non_null(header);
        for (const char *at = header; *at != '\0'; at++) {
            if ((unsigned char) *at < ' ' || (unsigned char) *at > '~')
                fail_msg("byte %d gets into a header", c);
        }
        free(header);
    }
}

static void
long_texts_are_folded_between_characters(void **state)
{
    char   text[400], *header;
    size_t lines = 1;

    (void) state;
    for (size_t shift = 0; shift < 4; shift++) {
        size_t len = shift;

        memset(text, 'x', shift);
        for (int i = 0; i < 80; i++, len += 4)
            memcpy(text + len, "\xf0\x9f\x8c\xb1", 4);
        text[len] = '\0';
        header = message_encode(text);
        for (char *line = header, *end; line != NULL; line = end) {
            end = strstr(line, "\r\n ");
            if (end != NULL) {
                *end = '\0';
                end += 3;
                lines++;
            }
            assert_true(strlen(line) <= 75);
            assert_memory_equal(line, "=?UTF-8?B?", 10);
            assert_string_equal(line + strlen(line) - 2, "?=");
        }
        free(header);
    }
    assert_true(lines > 20);
    header = message_encode("=?UTF-8?B?eA==?=");
    assert_string_equal(header, "=?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?="); /* it is text, and no word of ours */
    free(header);
}

static void
headers_say_who_and_when(void **state)
{
    struct mailbox     from;
    struct message     message = { .from = &from, .uid = "0a", .recipient = "b@example.com", .subject = "S", .text = "",
                                   .html = "", .now_us = UINT64_C(1714564800000000) };
    static const char *const lines[] = {
        "Date: Wed, 01 May 2024 12:00:00 +0000", "From: \"The Shop, Inc.\" <a@example.com>", "To: b@example.com",
        "Subject: S", "Message-ID: <0a@example.com>", "Auto-Submitted: auto-generated",
    };
    struct curl_slist *headers, *line;

    (void) state;
    assert_true(mailbox_parse("The Shop, Inc. <a@example.com>", &from));
    headers = line = message_headers(&message);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++, line = line->next) {
        assert_non_null(line);
        assert_string_equal(line->data, lines[i]);
    }
    assert_null(line);
    curl_slist_free_all(headers);
}

#define outbox_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        outbox_test(a_mail_is_there_when_its_change_is),
        outbox_test(strange_addresses_fail_alone),
        outbox_test(a_subject_is_one_line),
        outbox_test(links_stand_where_they_belong),
        outbox_test(tries_are_counted_and_settled_once),
        outbox_test(pauses_grow_to_six_hours),
        outbox_test(mailboxes_are_one_address),
        outbox_test(no_text_breaks_out_of_its_header),
        outbox_test(long_texts_are_folded_between_characters),
        outbox_test(headers_say_who_and_when),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
