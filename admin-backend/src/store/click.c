/*
 * click.c - SQL of clicks, user agents, conversion facts and click_stats.
 */
#include "store/click.h"

#include <stdio.h>
#include <string.h>

static const char click_id_alphabet[64] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

static int
click_id_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0' + 1;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 11;
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 38;
    return c == '-' ? 0 : c == '_' ? 37 : -1;
}

bool
click_id_pack(const char text[TRACKER_CLICK_ID_LEN], uint8_t bytes[CLICK_ID_BYTES])
{
    for (int i = 0; i < TRACKER_CLICK_ID_LEN / 4; i++) {
        uint32_t word = 0;
        for (int j = 0; j < 4; j++) {
            int value = click_id_value(text[4 * i + j]);
            if (value < 0)
                return false;
            word = word << 6 | (uint32_t) value;
        }
        bytes[3 * i] = (uint8_t) (word >> 16);
        bytes[3 * i + 1] = (uint8_t) (word >> 8);
        bytes[3 * i + 2] = (uint8_t) word;
    }
    return true;
}

void
click_id_unpack(const uint8_t bytes[CLICK_ID_BYTES], char text[TRACKER_CLICK_ID_LEN])
{
    for (int i = 0; i < TRACKER_CLICK_ID_LEN / 4; i++) {
        uint32_t word = (uint32_t) bytes[3 * i] << 16 | (uint32_t) bytes[3 * i + 1] << 8 | bytes[3 * i + 2];
        for (int j = 0; j < 4; j++)
            text[4 * i + j] = click_id_alphabet[word >> (18 - 6 * j) & 63];
    }
}

/* ---- writing ---- */

#define SHARED_COLUMNS                                                                                        \
    "journal_id, seq, time_ms, received_ms, program_id, campaign_id, link_id, affiliate_id, flags,"           \
    " ip, ip_form, country, region, city, asn, device, os, browser, rule, target,"                            \
    " user_agent_id, referrer, params, config_version"
#define SHARED_COUNT 24

/* 0 is "not known" everywhere: NULL takes no room in a row. */
static void
bulk_number(struct db_bulk *bulk, int64_t number)
{
    if (number != 0)
        db_bulk_int(bulk, number);
    else
        db_bulk_text(bulk, NULL, 0);
}

static void
bulk_str(struct db_bulk *bulk, struct tracker_str text)
{
    db_bulk_text(bulk, text.len == 0 ? NULL : text.data, text.len);
}

static void
bulk_shared(struct db_bulk *bulk, const struct click_row *row)
{
    db_bulk_int(bulk, row->journal_id);
    db_bulk_int(bulk, (int64_t) row->seq);
    db_bulk_int(bulk, (int64_t) row->time_ms);
    db_bulk_int(bulk, (int64_t) row->received_ms);
    db_bulk_int(bulk, row->program);
    db_bulk_int(bulk, row->campaign);
    db_bulk_int(bulk, row->link);
    db_bulk_int(bulk, row->affiliate);
    db_bulk_int(bulk, row->flags);
    db_bulk_bytes(bulk, row->ip.data, row->ip.len);
    bulk_number(bulk, row->ip_form);
    bulk_str(bulk, row->country);
    bulk_str(bulk, row->region);
    bulk_str(bulk, row->city);
    bulk_number(bulk, row->asn);
    bulk_number(bulk, row->device);
    bulk_number(bulk, row->os);
    bulk_number(bulk, row->browser);
    bulk_number(bulk, row->rule);
    bulk_number(bulk, row->target);
    bulk_number(bulk, row->user_agent_id);
    bulk_str(bulk, row->referrer);
    bulk_str(bulk, row->params);
    db_bulk_int(bulk, (int64_t) row->config_version);
}

struct db_bulk *
click_bulk_begin(struct db *db)
{
    return db_bulk_begin(db, "clicks", SHARED_COLUMNS ", click_id, first_touch", SHARED_COUNT + 2);
}

enum db_result
click_bulk_row(struct db_bulk *bulk, const struct click_row *row)
{
    bulk_shared(bulk, row);
    db_bulk_bytes(bulk, row->click_id, sizeof(row->click_id));
    bulk_str(bulk, row->first_touch);
    return db_bulk_row(bulk);
}

struct db_bulk *
impression_bulk_begin(struct db *db)
{
    return db_bulk_begin(db, "impressions", SHARED_COLUMNS, SHARED_COUNT);
}

enum db_result
impression_bulk_row(struct db_bulk *bulk, const struct click_row *row)
{
    bulk_shared(bulk, row);
    return db_bulk_row(bulk);
}

struct db_bulk *
conversion_fact_bulk_begin(struct db *db)
{
    return db_bulk_begin(db, "conversion_facts",
                         "journal_id, seq, time_ms, received_ms, program_id, api_user_id, auth, status,"
                         " amount_minor, currency, event_time_ms, click_id, cookie_first, cookie_last, coupon,"
                         " customer, event, txid, refund_id, referrer, ip, params",
                         22);
}

enum db_result
conversion_fact_bulk_row(struct db_bulk *bulk, const struct conversion_fact_row *row)
{
    db_bulk_int(bulk, row->journal_id);
    db_bulk_int(bulk, (int64_t) row->seq);
    db_bulk_int(bulk, (int64_t) row->time_ms);
    db_bulk_int(bulk, (int64_t) row->received_ms);
    db_bulk_int(bulk, row->program);
    db_bulk_int(bulk, row->api_user);
    db_bulk_int(bulk, row->auth);
    db_bulk_int(bulk, row->status);
    if (row->has_amount) {
        db_bulk_int(bulk, row->amount.minor);
        db_bulk_text(bulk, row->amount.currency, 3);
    } else {
        db_bulk_text(bulk, NULL, 0);
        db_bulk_text(bulk, NULL, 0);
    }
    db_bulk_int(bulk, (int64_t) row->event_time_ms);
    bulk_str(bulk, row->click_id);
    bulk_str(bulk, row->cookie_first);
    bulk_str(bulk, row->cookie_last);
    bulk_str(bulk, row->coupon);
    bulk_str(bulk, row->customer);
    bulk_str(bulk, row->event);
    bulk_str(bulk, row->txid);
    bulk_str(bulk, row->refund_id);
    bulk_str(bulk, row->referrer);
    db_bulk_bytes(bulk, row->ip.data, row->ip.len);
    bulk_str(bulk, row->params);
    return db_bulk_row(bulk);
}

static enum db_result
user_agent_query(struct db *db, const char *sql, struct tracker_str text, int64_t *id)
{
    struct db_stmt *stmt = db_prepare(db, sql);
    db_bind_text_n(stmt, 1, text.data, text.len);

    enum db_result result = db_step(stmt);
    if (result == DB_ROW)
        *id = db_int(stmt, "id");
    db_end(stmt);
    return result;
}

enum db_result
user_agent_id(struct db *db, struct tracker_str text, int64_t *id)
{
    enum db_result result = user_agent_query(db, "SELECT id FROM user_agents WHERE text = $1", text, id);
    if (result == DB_DONE)
        result = user_agent_query(db, "INSERT INTO user_agents (text) VALUES ($1) RETURNING id", text, id);
    return result == DB_ROW ? DB_OK : result == DB_DONE ? DB_FAILED : result;
}

/* ---- reading ---- */

enum db_result
click_page(struct db *db, int64_t *journal_id, int64_t *seq, int64_t from_ms, int64_t to_ms, int limit,
           click_visit visit, void *ctx, int *found)
{
    struct db_stmt *stmt = db_prepare(
        db, "SELECT c.click_id AS click_id, j.uuid AS uuid, c.journal_id AS journal_id, c.seq AS seq,"
            " c.time_ms AS time_ms, c.received_ms AS received_ms, c.program_id AS program_id,"
            " c.campaign_id AS campaign_id, c.link_id AS link_id, c.affiliate_id AS affiliate_id,"
            " COALESCE(v.flags, c.flags) AS flags,"
            " c.first_touch AS first_touch, c.ip AS ip, u.text AS user_agent, c.referrer AS referrer,"
            " c.params AS params, c.ip_form AS ip_form, c.country AS country, c.region AS region,"
            " c.city AS city, c.asn AS asn, c.device AS device, c.os AS os, c.browser AS browser,"
            " c.rule AS rule, c.target AS target"
            " FROM clicks c JOIN journals j ON j.id = c.journal_id"
            " LEFT JOIN click_verdicts v ON v.journal_id = c.journal_id AND v.seq = c.seq"
            " LEFT JOIN user_agents u ON u.id = c.user_agent_id"
            " WHERE (c.journal_id, c.seq) > ($1, $2) AND c.time_ms >= $3 AND c.time_ms < $4"
            " ORDER BY c.journal_id, c.seq LIMIT $5");
    db_bind_int(stmt, 1, *journal_id);
    db_bind_int(stmt, 2, *seq);
    db_bind_int(stmt, 3, from_ms);
    db_bind_int(stmt, 4, to_ms);
    db_bind_int(stmt, 5, limit);

    enum db_result result;
    *found = 0;
    while ((result = db_step(stmt)) == DB_ROW) {
        struct click_export       row = { 0 };
        struct tracker_journal_id uuid;
        size_t                    id_len, uuid_len;
        const void               *id = db_bytes(stmt, "click_id", &id_len);
        const void               *uuid_bytes = db_bytes(stmt, "uuid", &uuid_len);

        if (id_len != sizeof(row.click_id) || uuid_len != sizeof(uuid.bytes)) {
            result = DB_CORRUPT;
            break;
        }
        memcpy(row.click_id, id, id_len);
        memcpy(uuid.bytes, uuid_bytes, uuid_len);
        tracker_journal_id_format(&uuid, row.uuid_hex);
        row.journal_id = db_int(stmt, "journal_id");
        row.seq = db_int(stmt, "seq");
        row.time_ms = db_int(stmt, "time_ms");
        row.received_ms = db_int(stmt, "received_ms");
        row.program_id = db_int(stmt, "program_id");
        row.campaign_id = db_int(stmt, "campaign_id");
        row.link_id = db_int(stmt, "link_id");
        row.affiliate_id = db_int(stmt, "affiliate_id");
        row.flags = db_int(stmt, "flags");
        row.first_touch = db_text(stmt, "first_touch");
        row.user_agent = db_text(stmt, "user_agent");
        row.referrer = db_text(stmt, "referrer");
        row.params = db_text(stmt, "params");
        row.ip = db_bytes(stmt, "ip", &row.ip_len);
        row.ip_form = db_int(stmt, "ip_form");
        row.country = db_text(stmt, "country");
        row.region = db_text(stmt, "region");
        row.city = db_text(stmt, "city");
        row.asn = db_int(stmt, "asn");
        row.device = db_int(stmt, "device");
        row.os = db_int(stmt, "os");
        row.browser = db_int(stmt, "browser");
        row.rule = db_int(stmt, "rule");
        row.target = db_int(stmt, "target");

        *journal_id = row.journal_id;
        *seq = row.seq;
        ++*found;
        result = visit(ctx, &row);
        if (result != DB_OK)
            break;
    }
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}

/* ---- roll-ups ---- */

/* Recorded but not counted: what no person did, or what was a test.  Persisted values, spelled once. */
#define CLICK_MARKED "(flags & 3928) <> 0"
_Static_assert(TRACKER_CLICK_UNCOUNTED == 3928, "keep CLICK_MARKED in step");

enum db_result
click_roll_up(struct db *db, int64_t journal_id, uint64_t from, uint64_t to)
{
    enum db_result result =
        db_exec(db, "UPDATE journals SET rolled_seq = $3 WHERE id = $1 AND rolled_seq = $2", "iii",
                journal_id, (int64_t) from, (int64_t) to);
    if (result != DB_OK)
        return result;
    if (db_changes(db) != 1)
        return DB_ABORT; /* somebody else has counted these */

    return db_exec(
        db,
        "INSERT INTO click_stats (day, affiliate_id, campaign_id, link_id, clicks, uniques, marked, impressions)"
        " SELECT time_ms / 86400000, affiliate_id, campaign_id, link_id,"
        "  SUM(CASE WHEN seen = 1 OR " CLICK_MARKED " THEN 0 ELSE 1 END),"
        "  SUM(CASE WHEN seen = 1 OR " CLICK_MARKED " OR (flags & 1) <> 0 THEN 0 ELSE 1 END),"
        "  SUM(CASE WHEN seen = 0 AND " CLICK_MARKED " THEN 1 ELSE 0 END),"
        "  SUM(CASE WHEN seen = 0 OR " CLICK_MARKED " THEN 0 ELSE 1 END)"
        " FROM (SELECT 0 AS seen, c.time_ms AS time_ms, c.affiliate_id AS affiliate_id, c.campaign_id AS campaign_id,"
        "   c.link_id AS link_id, COALESCE(v.flags, c.flags) AS flags FROM clicks c"
        "   LEFT JOIN click_verdicts v ON v.journal_id = c.journal_id AND v.seq = c.seq"
        "  WHERE c.journal_id = $1 AND c.seq >= $2 AND c.seq < $3"
        "  UNION ALL SELECT 1, time_ms, affiliate_id, campaign_id, link_id, flags FROM impressions"
        "  WHERE journal_id = $1 AND seq >= $2 AND seq < $3) x"
        " GROUP BY time_ms / 86400000, affiliate_id, campaign_id, link_id"
        " ON CONFLICT (day, affiliate_id, campaign_id, link_id) DO UPDATE SET"
        "  clicks = click_stats.clicks + excluded.clicks,"
        "  uniques = click_stats.uniques + excluded.uniques,"
        "  marked = click_stats.marked + excluded.marked,"
        "  impressions = click_stats.impressions + excluded.impressions",
        "iii", journal_id, (int64_t) from, (int64_t) to);
}

enum db_result
click_behind(struct db *db, struct click_behind *out, int limit, int *found)
{
    struct db_stmt *stmt = db_prepare(db, "SELECT id, rolled_seq, next_seq FROM journals"
                                          " WHERE rolled_seq < next_seq ORDER BY id LIMIT $1");
    db_bind_int(stmt, 1, limit);

    enum db_result result;
    *found = 0;
    while ((result = db_step(stmt)) == DB_ROW && *found < limit) {
        out[*found].journal_id = db_int(stmt, "id");
        out[*found].rolled_seq = (uint64_t) db_int(stmt, "rolled_seq");
        out[*found].next_seq = (uint64_t) db_int(stmt, "next_seq");
        ++*found;
    }
    db_end(stmt);
    return result == DB_DONE || result == DB_ROW ? DB_OK : result;
}
