/*
 * partner.h - what the partner API reads: who calls, its own leads, conversions and numbers; and autologins.
 */
#ifndef AFFILIATED_STORE_PARTNER_H
#define AFFILIATED_STORE_PARTNER_H

#include "store/list.h"
#include "store/row.h"

#define PARTNER_HASH_LEN 32 /* SHA-256 of a key */

/* The user of an active key. DB_ROW with *id, or DB_DONE. */
enum db_result partner_by_key(struct db *db, const uint8_t hash[PARTNER_HASH_LEN], int64_t *api_user_id);

/* Whose rows: an affiliate's own, or (affiliate 0) a program's. */
struct partner_scope {
    int64_t program_id, affiliate_id;
};

/* Filters besides those for callers: "program_id", "affiliate_id" (of a conversion: one that earns by it). */
extern const struct list_spec partner_lead_list, partner_conversion_list;

/* A lead's member for partner.c alone: a key of its affiliate sent it. */
#define PARTNER_OWN "own"

/* What a submission became that made no lead: what its sender may know of it. DB_ROW, or DB_DONE. */
struct partner_refusal {
    char    verdict[16], reason[32];
    char    duplicate_of[33]; /* the first lead's, where it is within the scope too; else "" */
    int64_t at_us;
};
enum db_result partner_refused(struct db *db, const struct partner_scope *scope, const char *uid,
                               struct partner_refusal *out);

/*
 * [{"day","clicks","uniques","leads","conversions","commissions":[money,...]},...] of the days [from, to) that have
 * something, in order; of a program: commissions are what its affiliates earned.
 */
enum db_result partner_stats(struct db *db, const struct partner_scope *scope, int64_t from_day, int64_t to_day,
                             json_t **out);

/* ---- autologins ---- */

/* Redeems it. DB_CONFLICT never: *used tells that the pass, or the lead by another pass, was redeemed before. */
enum db_result autologin_redeem(struct db *db, const uint8_t *nonce, size_t nonce_len, int64_t lead_id,
                                uint64_t now_us, bool *used);
/* Whether a submission of that id was decided and became no lead. */
enum db_result lead_was_refused(struct db *db, const char *uid, bool *refused);
/* {"id","external_id","accounts":["number",...]}; new. */
enum db_result partner_trader(struct db *db, int64_t trader_id, json_t **out);

#endif
