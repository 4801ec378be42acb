/*
 * rules.h - a link's rules, from what managers write (docs/links.md) to what edges read (tracker_rule.h).
 *
 *     [{"conditions":[{"subject":"country","negate":false,"values":["DE","AT"]}],
 *       "targets":[{"weight":1,"destination":"https://..."}],"cap_day":0,"utc_offset_minutes":0}]
 */
#ifndef AFFILIATED_SERVICE_RULES_H
#define AFFILIATED_SERVICE_RULES_H

#include "service/fields.h"
#include "tracker_rule.h"

/* Field reader: rules that compile; the text has every member, also those that were left out. */
bool rules_read(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

/* The compiled length (no rules: 0), or -1 with a complaint. template_flags: tracker_template_compile's. */
int rules_compile(const char *text, unsigned template_flags, uint8_t out[TRACKER_RULES_LEN_MAX],
                  char complaint[FIELD_COMPLAINT_MAX]);

/* Numbers count from 1. */
void rules_each_destination(const char *text,
                            void (*visit)(void *ctx, unsigned rule, unsigned target, const char *destination),
                            void *ctx);

#endif
