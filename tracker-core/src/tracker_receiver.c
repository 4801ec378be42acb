/*
 * tracker_receiver.c - one pack against one row.
 *
 * A hash of 0 means "not known" on either side: after a gap the database cannot
 * know what the edge's chain was, and an adopter of a journal with a hole cannot
 * know what the database's is.  Then nothing is compared, and whichever side knows
 * carries the chain on; if neither does, it stays unknown until a pack brings it.
 */
#include "tracker_receiver.h"

static void data_receive(const struct tracker_position *at, const struct tracker_pack *pack,
                         struct tracker_receive *out);
static bool histories_differ(uint64_t ours, uint64_t theirs);
static uint64_t chain(uint64_t hash, uint32_t crc);

void
tracker_receive(const struct tracker_position *at, const struct tracker_pack *pack,
                struct tracker_receive *out)
{
    uint64_t to = pack->first + pack->count;

    *out = (struct tracker_receive){ .verdict = TRACKER_RECEIVE_NOTHING, .after = *at };
    if (pack->first > at->next) {
        out->verdict = TRACKER_RECEIVE_EARLY;
        return;
    }

    switch (pack->kind) {
    case TRACKER_PACK_DATA:
        if (to >= at->next)
            data_receive(at, pack, out);
        return;
    case TRACKER_PACK_GAP:
        if (to > at->next) {
            out->verdict = TRACKER_RECEIVE_GAP;
            out->after = (struct tracker_position){ .next = to, .hash = 0 };
            out->gap_from = at->next;
            out->gap_to = to;
        }
        return;
    case TRACKER_PACK_HEARTBEAT:
    case TRACKER_PACK_CLOSE:
        if (pack->first == at->next && histories_differ(at->hash, pack->hash_before))
            out->verdict = TRACKER_RECEIVE_FORKED;
        return;
    }
}

/*
 * Walks the records from the pack's first one, since the hash at the cut is
 * only known by walking there.  A pack that ends exactly at `next` is walked too: it
 * brings nothing, but shows whether its writer and the database agree.
 */
static void
data_receive(const struct tracker_position *at, const struct tracker_pack *pack, struct tracker_receive *out)
{
    const uint8_t        *p = pack->records;
    size_t                left = pack->records_len;
    uint32_t              salt = tracker_record_salt(&pack->journal);
    uint64_t              to = pack->first + pack->count, hash = pack->hash_before, sequence;
    struct tracker_record record;

    for (sequence = pack->first; sequence <= to; sequence++) {
        if (sequence == at->next) {
            if (histories_differ(at->hash, hash)) {
                out->verdict = TRACKER_RECEIVE_FORKED;
                return;
            }
            hash = hash != 0 ? hash : at->hash;
            out->records = p;
            out->records_len = left;
            out->count = (uint32_t) (to - sequence);
        }
        if (sequence == to)
            break;

        enum tracker_record_verdict verdict = tracker_record_read(p, left, salt, sequence, &record);
        if (verdict != TRACKER_RECORD_OK && verdict != TRACKER_RECORD_BAD)
            break;
        size_t size = tracker_record_size(record.len);
        if (size > left)
            break;
        hash = chain(hash, record.crc);
        p += size;
        left -= size;
    }

    if (sequence == to && left == 0) {
        out->verdict = out->count > 0 ? TRACKER_RECEIVE_APPLY : TRACKER_RECEIVE_NOTHING;
        out->after = (struct tracker_position){ .next = to, .hash = hash };
    } else if (sequence < at->next) {
        /* Unreadable where the database needs nothing: a pack that starts at `next` may well be sound. */
        out->verdict = to > at->next ? TRACKER_RECEIVE_EARLY : TRACKER_RECEIVE_NOTHING;
    } else if (to > at->next) {
        out->verdict = TRACKER_RECEIVE_BAD;
        out->after = (struct tracker_position){ .next = to, .hash = 0 };
        out->gap_from = at->next;
        out->gap_to = to;
    }
}

int
tracker_receive_next(struct tracker_receive *receive, uint32_t salt, uint64_t *sequence,
                     struct tracker_record *record)
{
    enum tracker_record_verdict verdict;
    size_t                      size;

    if (receive->verdict != TRACKER_RECEIVE_APPLY || receive->count == 0)
        return 0;
    *sequence = receive->after.next - receive->count;
    verdict = tracker_record_read(receive->records, receive->records_len, salt, *sequence, record);
    if (verdict != TRACKER_RECORD_OK && verdict != TRACKER_RECORD_BAD)
        return 0; /* cannot be: tracker_receive walked these bytes */

    size = tracker_record_size(record->len);
    receive->records += size;
    receive->records_len -= size;
    receive->count--;
    return verdict == TRACKER_RECORD_OK ? 1 : -1;
}

static bool
histories_differ(uint64_t ours, uint64_t theirs)
{
    return ours != 0 && theirs != 0 && ours != theirs;
}

static uint64_t
chain(uint64_t hash, uint32_t crc)
{
    return hash != 0 ? tracker_chain_next(hash, crc) : 0;
}
