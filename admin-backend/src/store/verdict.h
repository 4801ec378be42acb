/*
 * verdict.h - clicks judged again: today's verdict beside the one that came from the edge.
 *
 * A click's flags are click_verdicts.flags where there is such a row, else its own.
 */
#ifndef AFFILIATED_STORE_VERDICT_H
#define AFFILIATED_STORE_VERDICT_H

#include "db/db.h"

/* ---- what there is to judge ---- */

/* A journal with clicks that are in click_stats: sequences below rolled_seq. */
struct verdict_journal {
    int64_t journal_id, rolled_seq;
};
/* At most `limit` of those after `after`, by id, that had something to say at from_ms or later. */
enum db_result verdict_journals(struct db *db, int64_t after, int64_t from_ms, struct verdict_journal *out, int limit,
                                int *found);

struct verdict_click {
    int64_t     seq, time_ms, affiliate_id, campaign_id, link_id;
    int64_t     recorded;   /* the edge's flags */
    int64_t     flags;      /* what counts now */
    int64_t     asn;        /* 0: not known */
    bool        has_ip;     /* of one visitor: whole or hashed */
    const char *user_agent; /* NULL: not known */
};
/* Clicks of a journal with from <= seq < to and from_ms <= time < to_ms, in order. */
typedef enum db_result (*verdict_visit)(void *ctx, const struct verdict_click *click);
enum db_result verdict_clicks(struct db *db, int64_t journal_id, int64_t from, int64_t to, int64_t from_ms, int64_t to_ms,
                              verdict_visit visit, void *ctx);

/*
 * Clicks with more than `most` of their address (of IPv6: of its /64) within the minute that ends with them, themselves
 * included, in order of (journal, sequence).  Truncated addresses are many visitors': left out.
 */
typedef enum db_result (*verdict_hurry)(void *ctx, int64_t journal_id, int64_t seq);
enum db_result verdict_hurried(struct db *db, int64_t from_ms, int64_t to_ms, int most, verdict_hurry visit, void *ctx);

/* ---- what is found ---- */

/* flags is today's verdict; reasons empty: the edge's own again, and the row goes. */
enum db_result verdict_put(struct db *db, int64_t journal_id, int64_t seq, int64_t flags, const char *reasons,
                           int64_t at_us, const char *actor);
/* Moves a click between what is counted and what is not; DB_ABORT: click_stats lacks it. */
enum db_result verdict_recount(struct db *db, const struct verdict_click *click, int clicks, int uniques);

#endif
