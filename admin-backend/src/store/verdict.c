/*
 * verdict.c - SQL of clicks judged again.
 */
#include "store/verdict.h"

#define MINUTE_MS         INT64_C(60000)
#define MS_PER_DAY        INT64_C(86400000)
#define CLOCK_LENIENCE_MS MS_PER_DAY /* between an edge's clock and ours */

enum db_result
verdict_journals(struct db *db, int64_t after, int64_t from_ms, struct verdict_journal *out, int limit, int *found)
{
    struct db_stmt *stmt = db_prepare(db, "SELECT id, rolled_seq FROM journals WHERE id > $1 AND rolled_seq > 1"
                                          " AND last_seen_us / 1000 >= $2 ORDER BY id LIMIT $3");
    db_bind_int(stmt, 1, after);
    db_bind_int(stmt, 2, from_ms - CLOCK_LENIENCE_MS);
    db_bind_int(stmt, 3, limit);

    enum db_result result;
    *found = 0;
    while ((result = db_step(stmt)) == DB_ROW && *found < limit) {
        out[*found].journal_id = db_int(stmt, "id");
        out[*found].rolled_seq = db_int(stmt, "rolled_seq");
        ++*found;
    }
    db_end(stmt);
    return result == DB_DONE || result == DB_ROW ? DB_OK : result;
}

enum db_result
verdict_clicks(struct db *db, int64_t journal_id, int64_t from, int64_t to, int64_t from_ms, int64_t to_ms,
               verdict_visit visit, void *ctx)
{
    struct db_stmt *stmt = db_prepare(
        db, "SELECT c.seq AS seq, c.time_ms AS time_ms, c.affiliate_id AS affiliate_id, c.campaign_id AS campaign_id,"
            " c.link_id AS link_id, c.flags AS recorded, COALESCE(v.flags, c.flags) AS flags,"
            " COALESCE(c.asn, 0) AS asn,"
            " CASE WHEN c.ip IS NULL OR COALESCE(c.ip_form, 0) = 1 THEN 0 ELSE 1 END AS has_ip, u.text AS user_agent"
            " FROM clicks c LEFT JOIN click_verdicts v ON v.journal_id = c.journal_id AND v.seq = c.seq"
            " LEFT JOIN user_agents u ON u.id = c.user_agent_id"
            " WHERE c.journal_id = $1 AND c.seq >= $2 AND c.seq < $3 AND c.time_ms >= $4 AND c.time_ms < $5"
            " ORDER BY c.seq");
    db_bind_int(stmt, 1, journal_id);
    db_bind_int(stmt, 2, from);
    db_bind_int(stmt, 3, to);
    db_bind_int(stmt, 4, from_ms);
    db_bind_int(stmt, 5, to_ms);

    enum db_result result;
    while ((result = db_step(stmt)) == DB_ROW) {
        struct verdict_click click = {
            .seq = db_int(stmt, "seq"), .time_ms = db_int(stmt, "time_ms"),
            .affiliate_id = db_int(stmt, "affiliate_id"), .campaign_id = db_int(stmt, "campaign_id"),
            .link_id = db_int(stmt, "link_id"), .recorded = db_int(stmt, "recorded"),
            .flags = db_int(stmt, "flags"), .asn = db_int(stmt, "asn"), .has_ip = db_int(stmt, "has_ip") != 0,
            .user_agent = db_text(stmt, "user_agent"),
        };
        result = visit(ctx, &click);
        if (result != DB_OK)
            break;
    }
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}

enum db_result
verdict_hurried(struct db *db, int64_t from_ms, int64_t to_ms, int most, verdict_hurry visit, void *ctx)
{
    /* $1 may be 0, the beginning: no minute before it is needed then, and none is asked for. */
    struct db_stmt *stmt = db_prepare(
        db, "SELECT journal_id, seq FROM"
            " (SELECT c.journal_id AS journal_id, c.seq AS seq, c.time_ms AS time_ms,"
            "   COUNT(*) OVER (PARTITION BY"
            "    CASE WHEN length(c.ip) = 16 AND COALESCE(c.ip_form, 0) = 0 THEN substr(c.ip, 1, 8) ELSE c.ip END"
            "    ORDER BY c.time_ms"
            "    RANGE BETWEEN 59999 PRECEDING AND CURRENT ROW) AS n"
            "  FROM clicks c JOIN journals j ON j.id = c.journal_id"
            "  WHERE c.seq < j.rolled_seq AND c.ip IS NOT NULL AND COALESCE(c.ip_form, 0) <> 1"
            "  AND c.time_ms >= $2 AND c.time_ms < $3) x"
            " WHERE n > $4 AND time_ms >= $1 ORDER BY journal_id, seq");
    db_bind_int(stmt, 1, from_ms);
    db_bind_int(stmt, 2, from_ms > MINUTE_MS ? from_ms - MINUTE_MS : 0);
    db_bind_int(stmt, 3, to_ms);
    db_bind_int(stmt, 4, most);

    enum db_result result;
    while ((result = db_step(stmt)) == DB_ROW) {
        result = visit(ctx, db_int(stmt, "journal_id"), db_int(stmt, "seq"));
        if (result != DB_OK)
            break;
    }
    db_end(stmt);
    return result == DB_DONE ? DB_OK : result;
}

enum db_result
verdict_put(struct db *db, int64_t journal_id, int64_t seq, int64_t flags, const char *reasons, int64_t at_us,
            const char *actor)
{
    if (reasons[0] == '\0')
        return db_exec(db, "DELETE FROM click_verdicts WHERE journal_id = $1 AND seq = $2", "ii", journal_id, seq);
    return db_exec(db,
                   "INSERT INTO click_verdicts (journal_id, seq, flags, reasons, at_us, actor)"
                   " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (journal_id, seq) DO UPDATE SET"
                   " flags = excluded.flags, reasons = excluded.reasons, at_us = excluded.at_us,"
                   " actor = excluded.actor",
                   "iiisis", journal_id, seq, flags, reasons, at_us, actor);
}

enum db_result
verdict_recount(struct db *db, const struct verdict_click *click, int clicks, int uniques)
{
    enum db_result result = db_exec(
        db,
        "UPDATE click_stats SET clicks = clicks + $5, uniques = uniques + $6, marked = marked - $5"
        " WHERE day = $1 AND affiliate_id = $2 AND campaign_id = $3 AND link_id = $4",
        "iiiiii", click->time_ms / MS_PER_DAY, click->affiliate_id, click->campaign_id, click->link_id, (int64_t) clicks,
        (int64_t) uniques);
    return result == DB_OK && db_changes(db) != 1 ? DB_ABORT : result;
}
