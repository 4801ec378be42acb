/*
 * tracker_token.h - what a browser carries for us, signed: a form's token, a ticket to wait with, an autologin.
 *
 * Each is one base64url text (no padding) of fixed length; a token made for one use, form or lead never verifies
 * as another.  Times are wall clock.
 */
#ifndef TRACKER_TOKEN_H
#define TRACKER_TOKEN_H

#include "tracker_lead.h"

#define TRACKER_NONCE_LEN 8

/* ---- a form was shown (TRACKER_LABEL_FORM): key id 1, time_ms 6, nonce 8, MAC 12 ---- */

#define TRACKER_FORM_TOKEN_LEN    36
#define TRACKER_FORM_TOKEN_LIFE_MS (UINT64_C(24) * 3600 * 1000)

void tracker_form_token_make(const struct tracker_keys *keys, uint32_t form, uint64_t now_ms,
                             const uint8_t nonce[TRACKER_NONCE_LEN], char out[TRACKER_FORM_TOKEN_LEN]);
/* False: not ours, another form's, older than its life, or from the future.  *shown_ms is when it was made. */
bool tracker_form_token_read(const struct tracker_keys *keys, uint32_t form, uint64_t now_ms, struct tracker_str text,
                             uint64_t *shown_ms, uint8_t nonce[TRACKER_NONCE_LEN]);

/* ---- tickets and autologins: key id 1, use 1, expires_s 4, owner 4, lead 16, nonce 8, MAC 14 ---- */

#define TRACKER_PASS_LEN 64
#define TRACKER_TICKET_LIFE_S    600
#define TRACKER_AUTOLOGIN_LIFE_S 60

enum tracker_pass_use {
    TRACKER_PASS_WAIT = 1,     /* owner: the form; the browser waits for the lead's verdict with it */
    TRACKER_PASS_AUTOLOGIN = 2, /* owner: the program; the platform asks whose it is, once */
    TRACKER_PASS_CONFIRM = 3   /* owner: the form; in the mail of a double opt-in */
};
struct tracker_pass {
    uint8_t  use;       /* enum tracker_pass_use */
    uint32_t owner;
    uint64_t expires_s; /* seconds since 1970 */
    uint8_t  lead[TRACKER_LEAD_ID_LEN];
    uint8_t  nonce[TRACKER_NONCE_LEN]; /* an autologin works once: the database remembers these */
};

void tracker_pass_make(const struct tracker_keys *keys, const struct tracker_pass *pass, char out[TRACKER_PASS_LEN]);
/* False: not ours, another use, or expired at now_s. */
bool tracker_pass_read(const struct tracker_keys *keys, enum tracker_pass_use use, uint64_t now_s,
                       struct tracker_str text, struct tracker_pass *out);

#endif
