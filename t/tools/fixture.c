/*
 * fixture.c - what the suites in t/ need from the other side of the wire: key files,
 * snapshots made from a few lines of text, and journals read back as JSON lines.
 *
 *     fixture keys FILE                          a key file, the same bytes every time
 *     fixture snapshot KEYS OUT VERSION [BASE]   rows from standard input; with BASE a delta on it
 *     fixture dump KEYS FOLDER                   every event of every journal, oldest journal first
 *     fixture id KEYS TEXT                       what a click id says
 *     fixture journal FOLDER EDGE TIME_MS        a dead worker's journal with one click of that time; prints its id
 *     fixture make-id KEYS LINK TIME_MS SEQUENCE [KEY]  a click id that verifies
 *     fixture token KEYS FORM TIME_MS NONCE      a form's token; NONCE: 16 hex digits
 *     fixture pass KEYS USE OWNER EXPIRES_S LEAD NONCE  a ticket or an autologin; LEAD: 32 hex digits
 *
 * Rows are words, one row a line; a word is percent-decoded ('+' is a space), "-" is empty:
 *
 *     program   ID STATE ATTRIBUTION COOKIE_DAYS CURRENCY FALLBACK [platform_user=N] [platform_url=URL]
 *     campaign  ID PROGRAM STATE NAME FALLBACK [LIMIT...] [hosts=NAME,NAME...]
 *     affiliate ID STATE NAME
 *     link      ID CAMPAIGN AFFILIATE STATE CODE DESTINATION [LIMIT...] [rules=JSON] [redirect=N] [referrer=N]
 *               [options=N]
 *     agents    LIST | @FILE                     user agents, in the form of tracker-core/data/agents.txt
 *     datacentres ASN...                         ascending
 *     key       API_USER PROGRAM AFFILIATE STATE ROLE SCOPES EXPIRES_MS TEXT [rate=N] [secret=TEXT]
 *               [networks=NETWORK,...] [options=N]
 *
 *     form      ID PROGRAM AFFILIATE STATE KEY FIELDS [page=TEXT] [done=TEXT] [wait=TEXT] [after=N] [after_url=URL]
 *               [options=N] [min_fill=MS] [rate=N] [ancestors=TEXT] [origins=ORIGIN,...]
 *
 * A LIMIT is starts=MS, ends=MS, capped_until=MS, cap_day=N or cap_total=N; numbers behind redirect=, referrer= and
 * options= are those of tracker_snapshot.h; rules are the array that the API takes.  FIELDS are an array of
 * {"name", "type": N, "required", "min": N, "max": N, "pattern", "options": [...]}; a page's marks begin with %01.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tracker_agent.h"
#include "tracker_event.h"
#include "tracker_journal_internal.h"
#include "tracker_le.h"
#include "tracker_lead.h"
#include "tracker_snapshot.h"
#include "tracker_token.h"

#define WORDS_MAX 24
#define LINE_LEN  65536
#define FILE_MAX  (64u << 20)

static int keys_write(const char *path);
static int snapshot_write(char **args, int count);
static int journal_make(const char *folder, const char *edge, uint64_t time_ms);
static int row_add(struct tracker_snapshot_builder *b, const struct tracker_keys *keys, struct tracker_str *words,
                   int count);
static int journals_dump(const struct tracker_keys *keys, const char *folder);
static int id_print(const struct tracker_keys *keys, const char *text);
static int id_make(const struct tracker_keys *keys, char **args, int count);
static int token_make(const struct tracker_keys *keys, char **args);
static int pass_make(const struct tracker_keys *keys, char **args);

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "fixture: %s: %s\n", what, why);
    exit(1);
}

static uint8_t *
file_read(const char *path, size_t *len)
{
    FILE    *f = fopen(path, "rb");
    uint8_t *bytes = malloc(FILE_MAX);

    if (f == NULL || bytes == NULL)
        die(path, strerror(errno));
    *len = fread(bytes, 1, FILE_MAX, f);
    fclose(f);
    return bytes;
}

static void
keys_read(struct tracker_keys *keys, const char *path)
{
    size_t      len;
    int         line;
    const char *error;
    uint8_t    *text = file_read(path, &len);

    if (tracker_keys_parse(keys, (struct tracker_str){ (char *) text, len }, &error, &line) != 0)
        die(path, error);
    free(text);
}

int
main(int argc, char **argv)
{
    struct tracker_keys keys;

    if (tracker_init() != 0)
        die("libsodium", "cannot be initialised");
    if (argc == 3 && strcmp(argv[1], "keys") == 0)
        return keys_write(argv[2]);
    if ((argc == 5 || argc == 6) && strcmp(argv[1], "snapshot") == 0)
        return snapshot_write(argv + 2, argc - 2);

    if (argc == 5 && strcmp(argv[1], "journal") == 0)
        return journal_make(argv[2], argv[3], strtoull(argv[4], NULL, 10));

    if (argc < 4)
        die("usage", "see the top of fixture.c");
    keys_read(&keys, argv[2]);
    if (strcmp(argv[1], "dump") == 0)
        return journals_dump(&keys, argv[3]);
    if (strcmp(argv[1], "id") == 0)
        return id_print(&keys, argv[3]);
    if (strcmp(argv[1], "make-id") == 0)
        return id_make(&keys, argv + 3, argc - 3);
    if (argc == 6 && strcmp(argv[1], "token") == 0)
        return token_make(&keys, argv + 3);
    if (argc == 8 && strcmp(argv[1], "pass") == 0)
        return pass_make(&keys, argv + 3);
    die(argv[1], "no such command");
}

/* ---- keys ---- */

/* Fixed bytes, so that ids in the suites can be compared between runs; key 2 is on its way out. */
static int
keys_write(const char *path)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        die(path, strerror(errno));
    fprintf(f, "# made by t/tools/fixture.c, known to everybody\n"
               "1 current 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
               "2 accepted 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n");
    fchmod(fileno(f), 0640);
    return fclose(f) == 0 ? 0 : 1;
}

/* ---- journals ---- */

static int
journal_make(const char *folder, const char *edge, uint64_t time_ms)
{
    int                             dir = open(folder, O_RDONLY | O_DIRECTORY);
    char                            hex[TRACKER_JOURNAL_HEX_LEN + 1] = "";
    uint8_t                        *at;
    struct tracker_click            click = { .program = 7, .campaign = 3, .link = 11, .affiliate = 5, .key = 1 };
    struct tracker_journal         *journal;
    struct tracker_journal_identity identity = { .kind = TRACKER_JOURNAL_TRAFFIC, .created_ms = time_ms };

    memcpy(identity.edge, edge, strnlen(edge, TRACKER_EDGE_NAME_MAX));
    if (dir < 0 || tracker_journal_create(&journal, dir, &identity) != 0)
        die(folder, strerror(errno));
    at = tracker_journal_reserve(journal, TRACKER_EVENT_MAX);
    tracker_journal_commit(journal, TRACKER_EVENT_CLICK, time_ms,
                           tracker_click_encode(&click, at, TRACKER_EVENT_MAX));
    tracker_journal_id_format(&identity.id, hex);
    tracker_journal_close(journal);
    return puts(hex) >= 0 ? 0 : 1;
}

/* ---- snapshots ---- */

static int
snapshot_write(char **args, int count)
{
    char                             line[LINE_LEN], tmp[4096], *rest;
    FILE                            *f;
    size_t                           len;
    uint8_t                         *out;
    const char                      *error;
    struct tracker_keys              keys;
    struct tracker_snapshot_file     base;
    struct tracker_snapshot_builder *b = tracker_snapshot_builder_new();

    keys_read(&keys, args[0]);
    if (count == 4) {
        uint8_t *bytes = file_read(args[3], &len);
        if (tracker_snapshot_open(bytes, len, &keys, &base, &error) != 0)
            die(args[3], error);
    }

    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct tracker_str words[WORDS_MAX];
        int                n = 0;

        for (char *w; n < WORDS_MAX && (w = strtok_r(n == 0 ? line : NULL, " \n", &rest)) != NULL;) {
            struct tracker_str raw = { w, strlen(w) };
            words[n].data = w;
            words[n++].len = strcmp(w, "-") == 0 ? 0 : tracker_url_decode(raw, w, raw.len);
        }
        if (n > 0 && row_add(b, &keys, words, n) != 0)
            die(words[0].data, "a row is not right");
    }

    if (tracker_snapshot_build(b, &keys, strtoull(args[2], NULL, 10), 1700000000000,
                               count == 4 ? base.info.hash : NULL, &out, &len) != 0)
        die(args[1], "cannot be built");

    snprintf(tmp, sizeof(tmp), "%s.tmp", args[1]);
    f = fopen(tmp, "wb");
    if (f == NULL || fwrite(out, 1, len, f) != len || fclose(f) != 0 || rename(tmp, args[1]) != 0)
        die(args[1], strerror(errno));
    return 0;
}

static uint64_t
number(struct tracker_str word)
{
    char text[32];

    snprintf(text, sizeof(text), "%.*s", (int) word.len, word.data);
    return strtoull(text, NULL, 10);
}

/* The template's text may fail to compile: that is the row's fault. */
static struct tracker_str
template(struct tracker_str text)
{
    int         len;
    const char *error;
    uint8_t    *out = malloc(TRACKER_TEMPLATE_MAX);

    if (text.len == 0)
        return TRACKER_STR_NONE;
    len = tracker_template_compile(text, 0, out, TRACKER_TEMPLATE_MAX, &error);
    if (len < 0)
        die("template", error);
    return (struct tracker_str){ (char *) out, (size_t) len };
}

/* ---- rules, as the API writes them ---- */

static struct tracker_str
json_text(json_t *value)
{
    if (!json_is_string(value))
        die("rules", "a string is missing");
    return (struct tracker_str){ json_string_value(value), json_string_length(value) };
}

static unsigned
subject_number(const char *name)
{
    static const char *const names[] = { "",   "country", "region", "language",   "device",
                                         "os", "browser", "asn",    "connection", "schedule" };

    for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    die("rules", "no such subject");
    return 0;
}

static void
condition_fill(struct tracker_rule_condition *condition, json_t *json)
{
    json_t             *values = json_object_get(json, "values"), *value;
    struct tracker_str *texts = calloc(json_array_size(values) + 1, sizeof(*texts));
    size_t              i;

    json_array_foreach(values, i, value)
        texts[i] = json_text(value);
    condition->subject = subject_number(json_text(json_object_get(json, "subject")).data);
    condition->negate = json_is_true(json_object_get(json, "negate"));
    condition->values = texts;
    condition->count = (unsigned) i;
}

static void
rule_fill(struct tracker_rule *rule, json_t *json)
{
    json_t                        *conditions = json_object_get(json, "conditions"), *one;
    json_t                        *targets = json_object_get(json, "targets");
    struct tracker_rule_condition *c = calloc(json_array_size(conditions) + 1, sizeof(*c));
    struct tracker_rule_target    *t = calloc(json_array_size(targets) + 1, sizeof(*t));
    size_t                         i;

    json_array_foreach(conditions, i, one)
        condition_fill(&c[i], one);
    json_array_foreach(targets, i, one) {
        t[i].weight = (uint32_t) json_integer_value(json_object_get(one, "weight"));
        t[i].destination = template(json_text(json_object_get(one, "destination")));
    }
    *rule = (struct tracker_rule){ c, (unsigned) json_array_size(conditions), t, (unsigned) json_array_size(targets),
                                   (uint32_t) json_integer_value(json_object_get(json, "cap_day")),
                                   (int16_t) json_integer_value(json_object_get(json, "utc_offset_minutes")) };
}

static struct tracker_str
rules(struct tracker_str text)
{
    int                 len;
    size_t              i;
    uint8_t            *out = malloc(TRACKER_RULES_LEN_MAX);
    json_t             *json = json_loadb(text.data, text.len, 0, NULL), *one;
    unsigned            at;
    const char         *error;
    struct tracker_rule list[TRACKER_RULES_MAX];

    if (!json_is_array(json) || json_array_size(json) > TRACKER_RULES_MAX)
        die("rules", "are not an array of rules");
    json_array_foreach(json, i, one)
        rule_fill(&list[i], one);
    len = tracker_rules_compile(list, (unsigned) i, out, TRACKER_RULES_LEN_MAX, &error, &at);
    if (len < 0)
        die("rules", error);
    return (struct tracker_str){ (char *) out, (size_t) len };
}

/* ---- words of the form name=value behind a row's own ---- */

static bool
option(struct tracker_str word, const char *name, struct tracker_str *value)
{
    size_t len = strlen(name);

    if (word.len <= len || memcmp(word.data, name, len) != 0 || word.data[len] != '=')
        return false;
    *value = (struct tracker_str){ word.data + len + 1, word.len - len - 1 };
    return true;
}

static bool
limit_set(struct tracker_limits *limits, struct tracker_str word)
{
    struct tracker_str value;

    if (option(word, "starts", &value))
        limits->starts_ms = number(value);
    else if (option(word, "ends", &value))
        limits->ends_ms = number(value);
    else if (option(word, "capped_until", &value))
        limits->capped_until_ms = number(value);
    else if (option(word, "cap_day", &value))
        limits->cap_day = (uint32_t) number(value);
    else if (option(word, "cap_total", &value))
        limits->cap_total = (uint32_t) number(value);
    else
        return false;
    return true;
}

static void
link_option(struct tracker_link_row *row, struct tracker_str word)
{
    struct tracker_str value;

    if (option(word, "rules", &value))
        row->rules = rules(value);
    else if (option(word, "redirect", &value))
        row->redirect = (uint8_t) number(value);
    else if (option(word, "referrer", &value))
        row->referrer_policy = (uint8_t) number(value);
    else if (option(word, "options", &value))
        row->options = (uint8_t) number(value);
    else if (!limit_set(&row->limits, word))
        die(word.data, "is no option of a link");
}

/* A list of user agents, in words or in a file. */
static int
agents_add(struct tracker_snapshot_builder *b, struct tracker_str list)
{
    uint8_t    *text = NULL, *compiled;
    size_t      len;
    const char *error;
    int         line, rc;

    if (list.len > 0 && list.data[0] == '@') {
        char path[1024];
        snprintf(path, sizeof(path), "%.*s", (int) list.len - 1, list.data + 1);
        text = file_read(path, &len);
        list = (struct tracker_str){ (char *) text, len };
    }
    if (tracker_agents_compile(list, &compiled, &len, &error, &line) != 0)
        die("agents", error);
    rc = tracker_snapshot_add_blob(b, TRACKER_BLOB_AGENTS, compiled, len);
    free(compiled);
    free(text);
    return rc;
}

static int
datacentres_add(struct tracker_snapshot_builder *b, const struct tracker_str *asns, int count)
{
    uint8_t bytes[4 * WORDS_MAX];

    for (int i = 0; i < count; i++)
        tracker_put32(bytes + 4 * i, (uint32_t) number(asns[i]));
    return tracker_snapshot_add_blob(b, TRACKER_BLOB_DATACENTRES, bytes, 4 * (size_t) count);
}

/* "a.example,.b.example": a line each. */
static struct tracker_str
hosts(struct tracker_str list)
{
    char *out = malloc(list.len + 1);

    for (size_t i = 0; i < list.len; i++)
        out[i] = list.data[i] == ',' ? '\n' : list.data[i];
    out[list.len] = '\n';
    return (struct tracker_str){ out, list.len + 1 };
}

static void
program_option(struct tracker_program_row *row, struct tracker_str word)
{
    struct tracker_str value;

    if (option(word, "platform_user", &value))
        row->platform_user = (uint32_t) number(value);
    else if (option(word, "platform_url", &value))
        row->platform_url = value;
    else
        die(word.data, "is no option of a program");
}

static void
campaign_option(struct tracker_campaign_row *row, struct tracker_str word)
{
    struct tracker_str value;

    if (option(word, "hosts", &value))
        row->hosts = hosts(value);
    else if (!limit_set(&row->limits, word))
        die(word.data, "is no option of a campaign");
}

static void
user_option(struct tracker_api_user_row *user, const struct tracker_keys *keys, struct tracker_str word)
{
    uint8_t           *out = malloc(TRACKER_NETWORKS_MAX * TRACKER_NETWORK_LEN);
    struct tracker_str value, one;
    size_t             len = 0;

    if (option(word, "options", &value)) {
        user->options = (uint8_t) number(value);
    } else if (option(word, "rate", &value)) {
        user->rate_minute = (uint32_t) number(value);
    } else if (option(word, "secret", &value)) {
        len = tracker_secret_seal(keys, user->id, value, out);
        user->secret = (struct tracker_str){ (char *) out, len };
    } else if (option(word, "networks", &value)) {
        user->restricted = true;
        while (value.len > 0) {
            const char *comma = memchr(value.data, ',', value.len);
            one = (struct tracker_str){ value.data, comma != NULL ? (size_t) (comma - value.data) : value.len };
            if (!tracker_network_parse(one, out + len))
                die("networks", "one is no network");
            len += TRACKER_NETWORK_LEN;
            value.data += one.len + (comma != NULL);
            value.len -= one.len + (comma != NULL);
        }
        user->networks = (struct tracker_str){ (char *) out, len };
    } else {
        die(word.data, "is no option of a key");
    }
}

/* ---- forms ---- */

static struct tracker_str
text_of(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return value == NULL ? TRACKER_STR_NONE : json_text(value);
}

/* An array of texts, a line each. */
static struct tracker_str
lines(json_t *array)
{
    size_t  i, len = 0;
    char   *out = malloc(TRACKER_FORM_MAX);
    json_t *one;

    json_array_foreach(array, i, one)
        len += (size_t) snprintf(out + len, TRACKER_FORM_MAX - len, "%s\n", json_text(one).data);
    return (struct tracker_str){ out, len };
}

static struct tracker_str
form_definition(struct tracker_str text)
{
    int                       len;
    size_t                    i;
    uint8_t                  *out = malloc(TRACKER_FORM_MAX);
    json_t                   *json = json_loadb(text.data, text.len, 0, NULL), *one;
    unsigned                  at;
    const char               *error;
    struct tracker_form_field fields[TRACKER_FORM_FIELDS_MAX];

    if (!json_is_array(json) || json_array_size(json) > TRACKER_FORM_FIELDS_MAX)
        die("fields", "are not an array of fields");
    json_array_foreach(json, i, one) {
        fields[i] = (struct tracker_form_field){
            .name = text_of(one, "name"),
            .type = (uint8_t) json_integer_value(json_object_get(one, "type")),
            .required = json_is_true(json_object_get(one, "required")),
            .has_min = json_object_get(one, "min") != NULL,
            .has_max = json_object_get(one, "max") != NULL,
            .min = json_integer_value(json_object_get(one, "min")),
            .max = json_integer_value(json_object_get(one, "max")),
            .pattern = text_of(one, "pattern"),
            .options = lines(json_object_get(one, "options")),
        };
    }
    len = tracker_form_compile(fields, (unsigned) i, out, TRACKER_FORM_MAX, &error, &at);
    if (len < 0)
        die("fields", error);
    return (struct tracker_str){ (char *) out, (size_t) len };
}

static void
form_option(struct tracker_form_row *row, struct tracker_str word)
{
    struct tracker_str value;

    if (option(word, "page", &value))
        row->page = value;
    else if (option(word, "done", &value))
        row->done = value;
    else if (option(word, "wait", &value))
        row->wait = value;
    else if (option(word, "after", &value))
        row->after = (uint8_t) number(value);
    else if (option(word, "after_url", &value))
        row->after_url = value;
    else if (option(word, "options", &value))
        row->options = (uint8_t) number(value);
    else if (option(word, "min_fill", &value))
        row->min_fill_ms = (uint32_t) number(value);
    else if (option(word, "rate", &value))
        row->rate_minute = (uint32_t) number(value);
    else if (option(word, "ancestors", &value))
        row->frame_ancestors = value;
    else if (option(word, "origins", &value))
        row->origins = hosts(value);
    else
        die(word.data, "is no option of a form");
}

/* Pages that nobody names are short ones; a form leads to a message. */
static int
form_add(struct tracker_snapshot_builder *b, struct tracker_str *w, int count)
{
    struct tracker_form_row row = { .id = number(w[1]), .program = number(w[2]), .affiliate = number(w[3]),
                                    .state = number(w[4]), .after = TRACKER_FORM_AFTER_MESSAGE, .key = w[5],
                                    .definition = form_definition(w[6]), .page = TRACKER_STR("form"),
                                    .done = TRACKER_STR("done"), .wait = TRACKER_STR("wait") };

    for (int i = 7; i < count; i++)
        form_option(&row, w[i]);
    return tracker_snapshot_add_form(b, &row);
}

static int
row_add(struct tracker_snapshot_builder *b, const struct tracker_keys *keys, struct tracker_str *w, int count)
{
    struct tracker_str kind = w[0];

    if (tracker_str_eq(kind, TRACKER_STR("program")) && count >= 7) {
        struct tracker_program_row row = { .id = number(w[1]), .state = number(w[2]),
                                           .attribution = number(w[3]),
                                           .cookie_days = number(w[4]), .currency = w[5],
                                           .fallback = template(w[6]) };
        for (int i = 7; i < count; i++)
            program_option(&row, w[i]);
        return tracker_snapshot_add_program(b, &row);
    }
    if (tracker_str_eq(kind, TRACKER_STR("campaign")) && count >= 6) {
        struct tracker_campaign_row row = { .id = number(w[1]), .program = number(w[2]),
                                            .state = number(w[3]), .name = w[4], .fallback = template(w[5]) };
        for (int i = 6; i < count; i++)
            campaign_option(&row, w[i]);
        return tracker_snapshot_add_campaign(b, &row);
    }
    if (tracker_str_eq(kind, TRACKER_STR("affiliate")) && count == 4) {
        struct tracker_affiliate_row row = { .id = number(w[1]), .state = number(w[2]), .name = w[3] };
        return tracker_snapshot_add_affiliate(b, &row);
    }
    if (tracker_str_eq(kind, TRACKER_STR("link")) && count >= 7) {
        struct tracker_link_row row = { .id = number(w[1]), .campaign = number(w[2]),
                                        .affiliate = number(w[3]), .state = number(w[4]), .code = w[5],
                                        .destination = template(w[6]) };
        for (int i = 7; i < count; i++)
            link_option(&row, w[i]);
        return tracker_snapshot_add_link(b, &row);
    }
    if (tracker_str_eq(kind, TRACKER_STR("agents")) && count == 2)
        return agents_add(b, w[1]);
    if (tracker_str_eq(kind, TRACKER_STR("form")) && count >= 7)
        return form_add(b, w, count);
    if (tracker_str_eq(kind, TRACKER_STR("datacentres")))
        return datacentres_add(b, w + 1, count - 1);
    if (tracker_str_eq(kind, TRACKER_STR("key")) && count >= 9) {
        struct tracker_api_user_row user = { .id = number(w[1]), .program = number(w[2]), .affiliate = number(w[3]),
                                             .role = number(w[5]), .scopes = number(w[6]),
                                             .expires_ms = number(w[7]) };
        struct tracker_api_key_row  row = { .api_user = user.id, .state = number(w[4]) };

        /* one user a key: what is paused is the user, what is revoked the key */
        user.state = row.state == TRACKER_STATE_PAUSED ? TRACKER_STATE_PAUSED : TRACKER_STATE_ACTIVE;
        if (row.state == TRACKER_STATE_PAUSED)
            row.state = TRACKER_STATE_ACTIVE;
        tracker_api_key_hash(w[8], row.hash);
        for (int i = 9; i < count; i++)
            user_option(&user, keys, w[i]);
        int rc = tracker_snapshot_add_api_user(b, &user);
        return rc != 0 ? rc : tracker_snapshot_add_api_key(b, &row);
    }
    return -EINVAL;
}

/* ---- click ids ---- */

static json_t *
id_json(const struct tracker_keys *keys, struct tracker_str text)
{
    static const char *const verdicts[] = { "ok", "malformed", "unknown_key", "forged" };
    struct tracker_click_id  id;
    enum tracker_click_id_verdict verdict = tracker_click_id_decode(keys, text, &id);

    if (verdict != TRACKER_CLICK_ID_OK)
        return json_pack("{s:s}", "verdict", verdicts[verdict]);
    return json_pack("{s:s, s:b, s:I, s:i, s:i, s:i}", "verdict", verdicts[verdict], "recorded", id.recorded,
                     "time_ms", (json_int_t) id.time_ms, "sequence", (int) id.sequence, "link", (int) id.link,
                     "key", (int) id.key);
}

static int
id_print(const struct tracker_keys *keys, const char *text)
{
    json_dumpf(id_json(keys, (struct tracker_str){ text, strlen(text) }), stdout, JSON_SORT_KEYS);
    putchar('\n');
    return 0;
}

static int
id_make(const struct tracker_keys *keys, char **args, int count)
{
    char                    text[TRACKER_CLICK_ID_LEN + 1] = { 0 };
    struct tracker_click_id id = { .journal = 0x0123456789ab, .recorded = true, .key = keys->current };

    if (count < 3)
        die("make-id", "takes LINK TIME_MS SEQUENCE");
    id.link = (uint32_t) strtoul(args[0], NULL, 10);
    id.time_ms = strtoull(args[1], NULL, 10);
    id.sequence = (uint32_t) strtoul(args[2], NULL, 10);
    if (count > 3)
        id.key = (uint8_t) strtoul(args[3], NULL, 10);
    tracker_click_id_encode(keys, &id, text);
    puts(text);
    return 0;
}

/* ---- what a browser carries ---- */

static void
bytes_of(const char *hex, uint8_t *bytes, size_t len)
{
    size_t got;

    if (sodium_hex2bin(bytes, len, hex, strlen(hex), NULL, &got, NULL) != 0 || got != len)
        die(hex, "is not as many hex digits as it takes");
}

static int
token_make(const struct tracker_keys *keys, char **args)
{
    char    text[TRACKER_FORM_TOKEN_LEN + 1] = { 0 };
    uint8_t nonce[TRACKER_NONCE_LEN];

    bytes_of(args[2], nonce, sizeof(nonce));
    tracker_form_token_make(keys, (uint32_t) strtoul(args[0], NULL, 10), strtoull(args[1], NULL, 10), nonce, text);
    puts(text);
    return 0;
}

static int
pass_make(const struct tracker_keys *keys, char **args)
{
    char                text[TRACKER_PASS_LEN + 1] = { 0 };
    struct tracker_pass pass = { .use = (uint8_t) atoi(args[0]), .owner = (uint32_t) strtoul(args[1], NULL, 10),
                                 .expires_s = strtoull(args[2], NULL, 10) };

    bytes_of(args[3], pass.lead, sizeof(pass.lead));
    bytes_of(args[4], pass.nonce, sizeof(pass.nonce));
    tracker_pass_make(keys, &pass, text);
    puts(text);
    return 0;
}

/* ---- journals, of the living too: nothing is locked and nothing changed ---- */

/* Bytes that are no UTF-8 are shown as \xNN. */
static void
text_set(json_t *object, const char *name, struct tracker_str s)
{
    char   shown[4 * TRACKER_FIELD_MAX + 1];
    size_t n = 0;

    if (s.len == 0)
        return;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char) s.data[i];
        n += (size_t) snprintf(shown + n, sizeof(shown) - n, c < 0x20 || c > 0x7e ? "\\x%02x" : "%c", c);
    }
    json_object_set_new(object, name, json_stringn(shown, n));
}

static void
number_set(json_t *object, const char *name, uint64_t value)
{
    if (value != 0)
        json_object_set_new(object, name, json_integer((json_int_t) value));
}

static void
ip_set(json_t *object, struct tracker_str ip)
{
    char text[40] = "";

    for (size_t i = 0; i < ip.len; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), ip.len == 4 ? "%s%u" : "%s%02x",
                 i > 0 && ip.len == 4 ? "." : "", (unsigned char) ip.data[i]);
    if (ip.len != 0)
        json_object_set_new(object, "ip", json_string(text));
}

static void
click_json(json_t *o, const struct tracker_record *record)
{
    struct tracker_click c;
    char                 name[16];

    if (!tracker_click_decode(record->payload, record->len, &c))
        die("a click", "does not decode");
    json_object_set_new(o, "type", json_string(record->type == TRACKER_EVENT_CLICK ? "click" : "impression"));
    number_set(o, "program", c.program);
    number_set(o, "campaign", c.campaign);
    number_set(o, "link", c.link);
    number_set(o, "affiliate", c.affiliate);
    number_set(o, "flags", c.flags);
    number_set(o, "key", c.key);
    number_set(o, "config_version", c.config_version);
    number_set(o, "previous_time_ms", c.previous_time_ms);
    number_set(o, "rule", c.rule);
    number_set(o, "target", c.target);
    text_set(o, "first_touch", c.first_touch);
    ip_set(o, c.ip);
    number_set(o, "ip_form", c.ip_form);
    text_set(o, "country", c.country);
    text_set(o, "region", c.region);
    text_set(o, "city", c.city);
    number_set(o, "asn", c.asn);
    text_set(o, "device", tracker_device_name(c.device));
    text_set(o, "os", tracker_os_name(c.os));
    text_set(o, "browser", tracker_browser_name(c.browser));
    text_set(o, "user_agent", c.user_agent);
    text_set(o, "referrer", c.referrer);
    text_set(o, "language", c.language);
    text_set(o, "ref_id", c.ref_id);
    text_set(o, "source", c.source);
    text_set(o, "creative", c.creative);
    text_set(o, "cost", c.cost);
    text_set(o, "deep", c.deep);
    for (int i = 0; i < TRACKER_SUBS; i++) {
        snprintf(name, sizeof(name), "sub%d", i + 1);
        text_set(o, name, c.sub[i]);
    }
}

static void
conversion_json(json_t *o, const struct tracker_keys *keys, const struct tracker_record *record)
{
    struct tracker_conversion c;
    char                      name[16], amount[32];

    if (!tracker_conversion_decode(record->payload, record->len, &c))
        die("a conversion", "does not decode");
    json_object_set_new(o, "type", json_string("conversion"));
    number_set(o, "program", c.program);
    number_set(o, "api_user", c.api_user);
    number_set(o, "auth", c.auth);
    number_set(o, "status", c.status);
    if (c.has_amount) {
        tracker_money_format(&c.amount, amount);
        json_object_set_new(o, "amount", json_string(amount));
        json_object_set_new(o, "currency", json_string(c.amount.currency));
    }
    number_set(o, "event_time_ms", c.event_time_ms);
    json_object_set_new(o, "click", id_json(keys, c.click_id));
    text_set(o, "cookie_first", c.cookie_first);
    text_set(o, "cookie_last", c.cookie_last);
    text_set(o, "coupon", c.coupon);
    text_set(o, "customer", c.customer);
    text_set(o, "refund_id", c.refund_id);
    text_set(o, "referrer", c.referrer);
    text_set(o, "event", c.event);
    text_set(o, "txid", c.txid);
    ip_set(o, c.ip);
    for (int i = 0; i < TRACKER_CONVERSION_PS; i++) {
        snprintf(name, sizeof(name), "p%d", i + 1);
        text_set(o, name, c.p[i]);
    }
}

/* Lead ids and the like. */
static void
hex_set(json_t *object, const char *name, struct tracker_str raw)
{
    char hex[2 * TRACKER_LEAD_ID_LEN + 1];

    if (raw.len == 0)
        return;
    sodium_bin2hex(hex, sizeof(hex), (const uint8_t *) raw.data, raw.len);
    json_object_set_new(object, name, json_string(hex));
}

/* [[name, value], ...]: as they were sent. */
static json_t *
pairs_json(struct tracker_str pairs)
{
    struct tracker_str name, value;
    json_t            *list = json_array();

    while (tracker_pairs_next(&pairs, &name, &value) == 1)
        json_array_append_new(list, json_pack("[s%, s%]", name.data, name.len, value.data, value.len));
    return list;
}

static void
lead_json(json_t *o, const struct tracker_keys *keys, const struct tracker_record *record)
{
    struct tracker_lead lead;

    if (!tracker_lead_decode(record->payload, record->len, &lead))
        die("a lead", "does not decode");
    json_object_set_new(o, "type", json_string("lead"));
    hex_set(o, "id", lead.id);
    json_object_set_new(o, "lead_kind", json_string(lead.kind == TRACKER_LEAD_API ? "api" : "form"));
    number_set(o, "auth", lead.auth);
    number_set(o, "program", lead.program);
    number_set(o, "api_user", lead.api_user);
    number_set(o, "form", lead.form);
    number_set(o, "affiliate", lead.affiliate);
    number_set(o, "flags", lead.flags);
    hex_set(o, "content", lead.content);
    text_set(o, "key", lead.key);
    if (lead.click_id.len > 0)
        json_object_set_new(o, "click", id_json(keys, lead.click_id));
    text_set(o, "cookie_first", lead.cookie_first);
    text_set(o, "cookie_last", lead.cookie_last);
    ip_set(o, lead.ip);
    number_set(o, "ip_form", lead.ip_form);
    text_set(o, "user_agent", lead.user_agent);
    text_set(o, "referrer", lead.referrer);
    text_set(o, "language", lead.language);
    json_object_set_new(o, "fields", pairs_json(lead.fields));
}

static void
api_call_json(json_t *o, const struct tracker_record *record)
{
    struct tracker_api_call call;

    if (!tracker_api_call_decode(record->payload, record->len, &call))
        die("an API call", "does not decode");
    json_object_set_new(o, "type", json_string("api_call"));
    number_set(o, "api_user", call.api_user);
    number_set(o, "program", call.program);
    number_set(o, "count", call.count);
    number_set(o, "status", call.status);
    number_set(o, "items", call.items);
    text_set(o, "code", call.code);
    text_set(o, "method", call.method);
    text_set(o, "path", call.path);
    text_set(o, "key_prefix", call.key_prefix);
    ip_set(o, call.ip);
    number_set(o, "ip_form", call.ip_form);
    text_set(o, "user_agent", call.user_agent);
    hex_set(o, "lead", call.lead);
}

struct dump {
    const struct tracker_keys *keys;
    int                        dir;
    const char                *folder;
};

static void
record_json(json_t *o, const struct tracker_keys *keys, const struct tracker_record *record)
{
    switch ((enum tracker_event_type) record->type) {
    case TRACKER_EVENT_CLICK:
    case TRACKER_EVENT_IMPRESSION:
        click_json(o, record);
        return;
    case TRACKER_EVENT_CONVERSION:
        conversion_json(o, keys, record);
        return;
    case TRACKER_EVENT_LEAD:
        lead_json(o, keys, record);
        return;
    case TRACKER_EVENT_API_CALL:
        api_call_json(o, record);
        return;
    }
    die("a record", "of a type that nobody knows");
}

static bool
segment_dump(void *ctx, const struct tracker_journal_file *file)
{
    static const char *const kinds[4] = { "none", "traffic", "money", "none" };

    char                          hex[TRACKER_JOURNAL_HEX_LEN + 1] = { 0 }, path[4096];
    size_t                        len, at = TRACKER_SEGMENT_HEADER;
    uint8_t                      *bytes;
    struct dump                  *d = ctx;
    struct tracker_record         record;
    struct tracker_segment_header header;

    tracker_journal_id_format(&file->id, hex);
    snprintf(path, sizeof(path), "%s/%s.%u", d->folder, hex, file->number);
    bytes = file_read(path, &len);
    if (!tracker_segment_header_read(bytes, len, &header)) {
        if (file->number == 0)
            die(path, "is not a segment");
        header.first = 0; /* a spare in the making */
    }

    for (uint64_t sequence = header.first; header.first != 0 && at < len; sequence++) {
        if (tracker_record_read(bytes + at, len - at, tracker_record_salt(&file->id), sequence, &record)
            != TRACKER_RECORD_OK)
            break;
        json_t *o = json_pack("{s:s, s:I, s:I}", "kind", kinds[header.kind & 3], "sequence",
                              (json_int_t) sequence, "time_ms", (json_int_t) record.time_ms);
        record_json(o, d->keys, &record);
        json_dumpf(o, stdout, JSON_SORT_KEYS | JSON_COMPACT);
        putchar('\n');
        json_decref(o);
        at += tracker_record_size(record.len);
    }
    free(bytes);
    return false;
}

static int
journals_dump(const struct tracker_keys *keys, const char *folder)
{
    struct dump d = { keys, open(folder, O_RDONLY | O_DIRECTORY), folder };

    if (d.dir < 0)
        die(folder, strerror(errno));
    return tracker_journal_scan(d.dir, segment_dump, &d) == 0 ? 0 : 1;
}
