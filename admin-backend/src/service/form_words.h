/*
 * form_words.h - what a form's page says by itself, in the form's language.
 */
#ifndef AFFILIATED_SERVICE_FORM_WORDS_H
#define AFFILIATED_SERVICE_FORM_WORDS_H

#include "tracker_form.h"

#define FORM_LANGUAGES "en|de|es|fr|it|pt|nl|pl" /* choices of a field (fields.h) */

struct form_words {
    const char *language; /* BCP 47 */
    const char *optional, *choose, *button;
    const char *errors;   /* heading of the summary */
    const char *missing, *unticked, *unchosen; /* a text; a box; a choice */
    const char *bad_email, *bad_phone, *bad_number, *bad_date, *bad_choice, *bad_text;
    const char *stale, *busy, *unavailable;    /* enum tracker_page_notice */
    const char *trap;     /* label of what nobody should fill in */
    const char *done_title, *done;
    const char *wait_title, *wait, *again;
};

/* English for a language that is none of ours. */
const struct form_words *form_words(const char *language);
/* What is wrong with a field of that type. */
const char *form_words_missing(const struct form_words *words, uint8_t type);
const char *form_words_invalid(const struct form_words *words, uint8_t type);

#endif
