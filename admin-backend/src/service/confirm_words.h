/*
 * confirm_words.h - what a double opt-in says: the form's page, the mail, the page behind the mail's link.
 */
#ifndef AFFILIATED_SERVICE_CONFIRM_WORDS_H
#define AFFILIATED_SERVICE_CONFIRM_WORDS_H

struct confirm_words {
    const char *language; /* BCP 47 */
    const char *mailed;   /* the form's message, once it was sent */
    const char *subject, *entered, *please, *ignore; /* of the mail; the form's title comes after `entered` */
    const char *button, *question;                   /* of the page; the button's words stand in the mail, too */
    const char *done_title, *done;
    const char *over_title, *over;
};

/* In the languages of form_words.h; English for any other. */
const struct confirm_words *confirm_words(const char *language);

#endif
