/*
 * sealers.c - a small cache, four ways a set; the oldest of a set makes room.
 *
 * Bounded whatever is sent: ids in packs are not trusted before the pack is open.
 */
#include "ingest/sealers.h"

#include <stdlib.h>

#define SETS 256u
#define WAYS 4

struct sealer_slot {
    struct tracker_sealer    *sealer; /* NULL: empty */
    struct tracker_journal_id journal;
    uint8_t                   key;
    uint64_t                  used; /* tick of the last use */
};

struct sealers {
    const struct tracker_keys *keys;
    uint64_t                   tick;
    struct sealer_slot         slots[SETS][WAYS];
};

struct sealers *
sealers_new(const struct tracker_keys *keys)
{
    struct sealers *sealers = calloc(1, sizeof(*sealers));
    if (sealers != NULL)
        sealers->keys = keys;
    return sealers;
}

void
sealers_free(struct sealers *sealers)
{
    if (sealers == NULL)
        return;
    for (unsigned set = 0; set < SETS; set++) {
        for (int way = 0; way < WAYS; way++)
            tracker_sealer_free(sealers->slots[set][way].sealer);
    }
    free(sealers);
}

struct tracker_sealer *
sealers_get(struct sealers *sealers, const struct tracker_journal_id *journal, uint8_t key)
{
    struct sealer_slot *set = sealers->slots[tracker_journal_id_short(journal) % SETS];
    struct sealer_slot *oldest = &set[0];

    sealers->tick++;
    for (int way = 0; way < WAYS; way++) {
        struct sealer_slot *slot = &set[way];
        if (slot->sealer != NULL && slot->key == key
            && memcmp(&slot->journal, journal, sizeof(*journal)) == 0) {
            slot->used = sealers->tick;
            return slot->sealer;
        }
        if (slot->used < oldest->used)
            oldest = slot;
    }

    struct tracker_sealer *sealer = tracker_sealer_new(sealers->keys, key, journal);
    if (sealer == NULL)
        return NULL;
    tracker_sealer_free(oldest->sealer);
    *oldest =
        (struct sealer_slot){ .sealer = sealer, .journal = *journal, .key = key, .used = sealers->tick };
    return sealer;
}
