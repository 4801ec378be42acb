/*
 * detection.h - the lists by which clicks are judged: user agents, and networks of datacentres.
 *
 * Built in from tracker-core/data/agents.txt and data/datacentre_asns.txt; an operator can put files of
 * the same forms in their place.  A file that is bad, at the start or later, is said once with its line and changes
 * nothing: what was in force stays.
 */
#ifndef AFFILIATED_SERVICE_DETECTION_H
#define AFFILIATED_SERVICE_DETECTION_H

#include <sys/stat.h>

#include "tracker_snapshot.h"

/* One list in its compiled form, as it travels in snapshots. */
struct detection_list {
    const char *path;  /* NULL: the built-in list; borrowed */
    struct stat seen;  /* of the file at the last look; zeros: it was not there */
    bool        looked;
    bool        replaced; /* by the file */
    uint8_t    *bytes; /* owned */
    size_t      len;
};

struct detection {
    struct detection_list agents, datacentres;
};

/* Paths or NULL, borrowed.  False: no memory. */
bool detection_init(struct detection *detection, const char *agents_path, const char *datacentres_path);
void detection_clear(struct detection *detection);
/* Looks at the files; true: what is in force has changed. */
bool detection_refresh(struct detection *detection);

/* AS numbers from text to u32 little-endian, ascending: malloc'ed *out. False: *error and the 1-based *line. */
bool datacentres_compile(struct tracker_str text, uint8_t **out, size_t *len, const char **error, int *line);
/* Is it in a compiled list? */
bool datacentres_hold(const struct detection_list *datacentres, uint32_t asn);

#endif
