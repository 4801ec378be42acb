/*
 * tracker_query.h - the query of a URL in the making: a parameter set, a visitor's parameters passed on.
 *
 * The URL is a buffer of cap bytes of which len are used; it is an absolute URL whose bytes are clean (what
 * tracker_template_expand or tracker_deep_write wrote), and stays one.  Parameters go before its fragment.
 */
#ifndef TRACKER_QUERY_H
#define TRACKER_QUERY_H

#include "tracker_types.h"

#define TRACKER_PASS_MAX      32  /* parameters passed on; those behind them are left out */
#define TRACKER_PASS_NAME_MAX 128 /* bytes of a parameter's name, decoded; longer ones are left out */

/*
 * Gives the parameter `name` (bytes that need no encoding) this value, in place of all of that name that are
 * there.  The new length; 0 when it would not fit: the URL is then as it was.
 */
size_t tracker_query_set(char *url, size_t len, size_t cap, struct tracker_str name, struct tracker_str value);

/* Whether a parameter of that (decoded) name may be passed on. */
typedef bool tracker_query_keep(void *data, struct tracker_str name);

/*
 * Adds the parameters of a visitor's query in their order, decoded and encoded again so that each byte has one
 * spelling; not those that keep refuses, nor those whose name (in whatever case) the URL has already.  The
 * first one that does not fit ends it.  The new length.
 */
size_t tracker_query_pass(char *url, size_t len, size_t cap, struct tracker_str query, tracker_query_keep *keep,
                          void *data);

#endif
