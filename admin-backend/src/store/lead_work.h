/*
 * lead_work.h - what people do with leads: status, notes, conversion, erasure.
 */
#ifndef AFFILIATED_STORE_LEAD_WORK_H
#define AFFILIATED_STORE_LEAD_WORK_H

#include <jansson.h>

#include "db/db.h"

/* Converted, whatever it was. */
enum db_result lead_set_converted(struct db *db, int64_t id, int64_t trader_id, bool existing, uint64_t now_us);
enum db_result lead_note_insert(struct db *db, int64_t lead_id, const char *actor, const char *text, uint64_t now_us);

/*
 * What is personal of a lead, of the records it is made of or that were its duplicates, of its log and its notes; and
 * of answers that are kept under an Idempotency-Key.  Ids, times and money stay.
 */
enum db_result lead_erase_person(struct db *db, int64_t id, const char *uid, uint64_t now_us);
/* The same of at most `limit` unconfirmed leads that arrived before that: they are rejected, too. */
enum db_result lead_erase_unconfirmed(struct db *db, uint64_t before_us, uint64_t now_us, int limit);
/* The same of one record alone. */
enum db_result lead_erase_fact(struct db *db, int64_t journal_id, int64_t seq);
/* Adds "submissions" and "conversions": the records behind a lead. */
enum db_result lead_add_records(struct db *db, int64_t id, json_t *object);
/* Whether another lead is this trader's. */
enum db_result trader_has_other_leads(struct db *db, int64_t trader_id, int64_t lead_id, bool *has);
/* Name, address, number, password, links: gone, its accounts closed. */
enum db_result trader_erase_person(struct db *db, int64_t id, uint64_t now_us);

#endif
