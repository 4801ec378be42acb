/*
 * sealers.h - the keys of recently seen journals, ready to open their packs.
 */
#ifndef AFFILIATED_SEALERS_H
#define AFFILIATED_SEALERS_H

#include "tracker_pack.h"

struct sealers;
struct sealers *sealers_new(const struct tracker_keys *keys);
void            sealers_free(struct sealers *sealers);

/* Borrowed until the next call. NULL: the ring lacks the key (or memory ran out). */
struct tracker_sealer *sealers_get(struct sealers *sealers, const struct tracker_journal_id *journal,
                                   uint8_t key);

#endif
