/*
 * tracker_rule.h - a link's rules: who goes where.
 *
 * A link has a list of rules; the first whose conditions all hold wins, and one
 * of its targets is drawn by weight.  When none holds (or every one that does is capped)
 * the link's own destination is the answer.  The backend compiles rules once;
 * they lie in the snapshot beside the link; the checker below is the guard.
 */
#ifndef TRACKER_RULE_H
#define TRACKER_RULE_H

#include "tracker_agent.h"
#include "tracker_url.h"

/* Persisted in snapshots: append only. */
enum tracker_rule_subject {
    TRACKER_RULE_COUNTRY = 1,    /* ISO 3166-1 alpha-2, upper case: "DE" */
    TRACKER_RULE_REGION = 2,     /* ISO 3166-2 with its country: "DE-BY" */
    TRACKER_RULE_LANGUAGE = 3,   /* primary subtag, lower case: "de" */
    TRACKER_RULE_DEVICE = 4,     /* names of tracker_agent.h */
    TRACKER_RULE_OS = 5,
    TRACKER_RULE_BROWSER = 6,
    TRACKER_RULE_ASN = 7,        /* decimal numbers */
    TRACKER_RULE_CONNECTION = 8, /* "datacentre" or "other" */
    TRACKER_RULE_SCHEDULE = 9    /* "1-5 09:00-18:00": ISO weekdays and hours; see below and offset_minutes */
};

/*
 * A schedule is "DAYS" or "DAYS HH:MM-HH:MM".  DAYS are ISO weekdays (1 is
 * Monday) and spans of them, separated by commas: "1,3,5", "1-5", "6-1" (over
 * the week's end).  The second minute is no longer part; "22:00-06:00" begins
 * on the day named and ends on the next; 24:00 is a day's end.
 */

#define TRACKER_RULES_MAX        32   /* of a link */
#define TRACKER_RULE_CONDITIONS  16   /* of a rule */
#define TRACKER_RULE_VALUES      512  /* of a condition */
#define TRACKER_RULE_TARGETS     32   /* of a rule */
#define TRACKER_RULE_WEIGHT_MAX  10000u
#define TRACKER_RULES_LEN_MAX    32768 /* bytes of one link's compiled rules */

/* Holds when the visitor has one of the values (negate: none of them; an unknown value is none of them). */
struct tracker_rule_condition {
    enum tracker_rule_subject subject;
    bool                      negate;
    const struct tracker_str *values; /* 1..TRACKER_RULE_VALUES, as written above */
    unsigned                  count;
};
struct tracker_rule_target {
    uint32_t           weight;      /* 1..TRACKER_RULE_WEIGHT_MAX */
    struct tracker_str destination; /* compiled template (tracker_url.h) */
};
struct tracker_rule {
    const struct tracker_rule_condition *conditions; /* none: everybody */
    unsigned                             condition_count;
    const struct tracker_rule_target    *targets; /* at least one */
    unsigned                             target_count;
    uint32_t                             cap_day;        /* clicks a day (UTC) an edge sends here; 0: no cap */
    int16_t                              offset_minutes; /* east of UTC, for SCHEDULE: -1439..1439 */
};

/* What is known of a visitor when rules are asked; empty and 0 are unknown. */
struct tracker_visitor {
    uint64_t           time_ms;
    struct tracker_str country, region; /* region without its country: "BY" */
    struct tracker_str language;        /* in any case; what follows the primary subtag is ignored: "de-CH,en" */
    uint32_t           asn;
    uint8_t            device, os, browser;
    bool               datacentre;
};

/*
 * Compiles into out (cap bytes): the length (no rules: 0), or -1 with *error a static
 * sentence that a manager understands and *rule the 0-based rule at fault.
 */
int tracker_rules_compile(const struct tracker_rule *rules, unsigned count, uint8_t *out, size_t cap,
                          const char **error, unsigned *rule);

/* True for what the compiler writes, templates included, and for no bytes at all.  Any bytes are safe. */
bool tracker_rules_check(const uint8_t *compiled, size_t len);

struct tracker_choice {
    uint16_t           rule;     /* 1-based; 0: none held */
    uint16_t           target;   /* 1-based within the rule */
    uint32_t           cap_day;  /* of the rule */
    uint32_t           macros;   /* tracker_template_macros of the template */
    struct tracker_str template; /* compiled; borrowed */
};

/*
 * Of checked rules, the first behind rule `after` (0: from the start) that holds, and the target
 * that `sticky` draws: the same number draws the same target as long as the
 * weights stay, and of equally distributed numbers each target gets its share.
 * False: no rule held.  A caller that finds the rule capped asks again with after = choice.rule.
 */
bool tracker_rules_choose(const uint8_t *compiled, size_t len, const struct tracker_visitor *visitor,
                          uint64_t sticky, unsigned after, struct tracker_choice *choice);

#endif
