/*
 * tracker_record.h - one event as it lies in a journal, and so in a pack.
 *
 *     0  u32  commit word: 0x80000000 | payload length; written last
 *     4  u32  CRC-32C, salted with journal id and sequence, over bytes 8..24+length
 *     8  u64  sequence, from 1, without gaps
 *    16  u64  time_ms << 16 | type << 8 | 0
 *    24       payload, zero-padded to a multiple of 8
 *
 * Little-endian.  Because of the salt, what a recycled segment held before
 * never passes for a record of now.  A pack's body is these very bytes, so the
 * shipper copies nothing.
 */
#ifndef TRACKER_RECORD_H
#define TRACKER_RECORD_H

#include "tracker_types.h"

#define TRACKER_RECORD_HEADER 24u
#define TRACKER_RECORD_COMMIT 0x80000000u
#define TRACKER_RECORD_PAYLOAD_MAX 16384u

struct tracker_record {
    uint64_t       sequence;
    uint64_t       time_ms;
    uint8_t        type; /* enum tracker_event_type */
    uint32_t       crc;
    uint32_t       len;
    const uint8_t *payload; /* borrowed */
};

static inline size_t
tracker_record_size(size_t payload_len)
{
    return TRACKER_RECORD_HEADER + ((payload_len + 7) & ~(size_t) 7);
}

/* What salts every CRC of one journal; compute once per journal. */
uint32_t tracker_record_salt(const struct tracker_journal_id *id);

/*
 * Finishes a record whose payload already lies at at + TRACKER_RECORD_HEADER:
 * writes header and padding, the commit word last with release order.
 * at is 8-byte aligned.  Returns the CRC.
 */
uint32_t tracker_record_commit(uint8_t *at, uint32_t salt, uint64_t sequence, uint64_t time_ms,
                               uint8_t type, uint32_t len);

enum tracker_record_verdict {
    TRACKER_RECORD_OK = 0,
    TRACKER_RECORD_NONE,  /* no commit word here */
    TRACKER_RECORD_SHORT, /* the length passes the end of the bytes, or the bound */
    TRACKER_RECORD_OTHER, /* a record, but not of this sequence */
    TRACKER_RECORD_BAD    /* the CRC does not match */
};

/*
 * Reads the record at `at`; any bytes at any alignment are safe.  *out is filled on OK and on BAD.
 * Fewer than TRACKER_RECORD_HEADER bytes are SHORT.
 */
enum tracker_record_verdict
tracker_record_read(const uint8_t *at, size_t avail, uint32_t salt, uint64_t sequence,
                    struct tracker_record *out);

/* The same without computing the CRC (so never BAD): for what this very process wrote. */
enum tracker_record_verdict
tracker_record_glance(const uint8_t *at, size_t avail, uint64_t sequence, struct tracker_record *out);

/* CRC-32C (Castagnoli), hardware where the processor has it. crc of nothing is 0. */
uint32_t tracker_crc32c(uint32_t crc, const void *data, size_t len);

/*
 * The running hash: over the CRCs of all records before a position.  It tells
 * two machines that share a journal id (a clone) apart; it is no defence
 * against forgers, the seal of the pack is.  It starts at tracker_chain_start(id, 1)
 * and is never restarted: behind a gap it is unknown, written 0, and not
 * compared until a segment's header names it again.  So whoever knows it,
 * knows the writer's own, however often either side went back.
 */
uint64_t tracker_chain_start(const struct tracker_journal_id *id, uint64_t sequence);

static inline uint64_t
tracker_chain_next(uint64_t hash, uint32_t crc)
{
    uint64_t z = (hash ^ crc) * UINT64_C(0x9e3779b97f4a7c15);
    z ^= z >> 32;
    z *= UINT64_C(0xd6e8feb86659fd93);
    return z ^ z >> 32;
}

#endif
