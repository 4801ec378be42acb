/*
 * tracker_journal.h - what an edge has promised to deliver.
 *
 * A journal belongs to the one process that created it; nobody else ever
 * appends to it.  What an older process left behind is only drained
 * (tracker_journal_adopt).  It is a folder's files  <id hex>.<n>  with n =
 * 0, 1, ...: segments, each a 4096-byte header and records (tracker_record.h).
 * Segment 0 carries the lock (flock, O_CLOEXEC) and is unlinked last.
 *
 * Segment header, little-endian, CRC-32C over the immutable part:
 *     magic "AFFJRNL1", id 16, number u32, kind u8, 0 u8, partition u16,
 *     edge name 32 (NUL-padded), created_ms u64, size u64, first sequence u64,
 *     running hash before it u64, crc u32;  then, in segment 0 only, at offset
 *     128 and outside the CRC, the mutable counters: dropped u64, freed u64 (what
 *     lies below this sequence and has no file was freed, not lost).
 * A segment's first sequence and hash are written when the writer enters it
 * (until then first sequence is 0: a spare that was never used).
 *
 * Threads: one journal is used by one thread (the event loop).  Only
 * tracker_spare_make, tracker_spare_discard and tracker_sync_run may run elsewhere:
 * they own what they are given.
 *
 * Errors: functions that return int give 0 or a negative errno, unless said otherwise.
 */
#ifndef TRACKER_JOURNAL_H
#define TRACKER_JOURNAL_H

#include "tracker_record.h"

#define TRACKER_SEGMENT_HEADER      4096u
#define TRACKER_SEGMENT_BYTES       (4u << 20)
#define TRACKER_SEGMENT_FIRST_BYTES (256u << 10)
#define TRACKER_EDGE_NAME_MAX       31
/* Rotate the journal before: a click id carries 32 bits. */
#define TRACKER_SEQUENCE_MAX        UINT32_C(0xfffffff0)

/* Persisted. */
enum tracker_journal_kind {
    TRACKER_JOURNAL_TRAFFIC = 1, /* clicks, impressions, verdicts */
    TRACKER_JOURNAL_MONEY = 2    /* leads, conversions: synced before the answer */
};

struct tracker_journal_identity {
    struct tracker_journal_id id;
    enum tracker_journal_kind kind;
    uint16_t                  partition;
    char                      edge[TRACKER_EDGE_NAME_MAX + 1];
    uint64_t                  created_ms;
};

/* 0 to TRACKER_EDGE_NAME_MAX bytes of printable ASCII, zeros behind them: what journals and packs may say. */
bool tracker_edge_name_valid(const char edge[TRACKER_EDGE_NAME_MAX + 1]);

struct tracker_journal; /* opaque; malloc'ed, never on the click path */

/* A segment made ahead: allocated (posix_fallocate), mapped, every page touched, directory synced. */
struct tracker_spare {
    int      fd;
    uint32_t number;
    size_t   size;
    uint8_t *map;
};

/* Any thread.  A full disk is -ENOSPC here, never SIGBUS later. */
int  tracker_spare_make(struct tracker_spare *spare, int dir_fd,
                        const struct tracker_journal_identity *identity,
                        uint32_t number, size_t size);
/* Unmaps, closes and unlinks a spare that was not given to a journal. */
void tracker_spare_discard(struct tracker_spare *spare, int dir_fd,
                           const struct tracker_journal_identity *identity);

/*
 * Creates a journal with a fresh random id in dir_fd (borrowed; must outlive it) and locks it.
 * identity: kind, partition, edge, created_ms are given, id is filled in.
 */
int  tracker_journal_create(struct tracker_journal **journal, int dir_fd,
                            struct tracker_journal_identity *identity);

/*
 * Takes over a journal without a living owner.  -EWOULDBLOCK: somebody holds
 * it.  -EINVAL: segment 0 is not a journal (the caller sets it aside: renamed
 * to <name>.bad, counted, said loudly).  Reads lazily; see tracker_journal_read.
 */
int  tracker_journal_adopt(struct tracker_journal **journal, int dir_fd,
                           const struct tracker_journal_id *id);

/* Any thread: whose a journal is, without taking or locking it.  -EINVAL: segment 0 is not a journal. */
int  tracker_journal_peek(int dir_fd, const struct tracker_journal_id *id,
                          struct tracker_journal_identity *identity);

/* Unmaps, closes, unlocks.  Deletes nothing. */
void tracker_journal_close(struct tracker_journal *journal);
/*
 * Unlinks every segment (0 last), then closes.  Returns the bytes given back.
 * An adopted journal that has failed is only closed.
 */
uint64_t tracker_journal_delete(struct tracker_journal *journal);

const struct tracker_journal_identity *tracker_journal_identity(const struct tracker_journal *journal);

/* ---- writing (owner only) ---- */

/* The sequence the next committed record will get; from 1. */
uint64_t tracker_journal_next(const struct tracker_journal *journal);

/*
 * Space for a payload of at most max_len bytes, inside the mapping, or NULL:
 * the current segment is full and no spare was given (make one and retry, or
 * drop), or the journal has failed or reached TRACKER_SEQUENCE_MAX.  A reservation
 * not committed is simply forgotten.
 */
uint8_t *tracker_journal_reserve(struct tracker_journal *journal, size_t max_len);

/*
 * Commits the reserved payload: from here on a killed worker loses nothing.  Returns its
 * sequence; 0, and nothing is committed, when len is more than was reserved, or nothing was.
 */
uint64_t tracker_journal_commit(struct tracker_journal *journal, uint8_t type, uint64_t time_ms,
                                size_t len);

/* One event was refused; counted in segment 0's header. Returns the new count. */
uint64_t tracker_journal_drop(struct tracker_journal *journal);
uint64_t tracker_journal_dropped(const struct tracker_journal *journal);

/*
 * True when less than half of the current segment is left and no spare is at hand; *number names
 * the segment to make.  It may be made and given earlier: it is always the last one's number + 1.
 */
bool tracker_journal_wants_spare(const struct tracker_journal *journal, uint32_t *number);
/* Steals the spare's fd and mapping.  One that cannot be used (a second one, another number) is discarded. */
void tracker_journal_give_spare(struct tracker_journal *journal, struct tracker_spare *spare);
/* For an owner that ends, before its close: unlinks the spare that it never entered.  Returns its bytes. */
uint64_t tracker_journal_return_spare(struct tracker_journal *journal);

/* ---- durability ---- */

#define TRACKER_SYNC_FDS 16
struct tracker_sync {
    int      fds[TRACKER_SYNC_FDS]; /* dup'ed, oldest segment first */
    unsigned count;
    uint64_t covers; /* every record below this sequence is on disk afterwards */
    int      error;  /* of tracker_sync_run: 0 or negative errno */
};
/*
 * Collects what must be synced now.  False: nothing is unsynced.  It may cover less than was
 * committed (many segments, or no descriptors left: then count is 0); tracker_journal_synced tells.
 */
bool tracker_journal_sync_begin(struct tracker_journal *journal, struct tracker_sync *sync);
void tracker_sync_run(struct tracker_sync *sync); /* any thread: fdatasync in order, closes the fds */
/* Back on the owner's thread.  An error fails the journal for ever (a failed fsync may have lost pages). */
void tracker_journal_sync_end(struct tracker_journal *journal, const struct tracker_sync *sync);
/* Every record below this is on disk.  Of an adopted journal nothing is known: 1. */
uint64_t tracker_journal_synced(const struct tracker_journal *journal);
/*
 * Owner: a sync failed; drain what is there, write elsewhere.  Adopted: a segment could not be
 * opened for a passing reason (descriptors, memory), so TRACKER_READ_END did not mean the end:
 * close it, adopt it again later.
 */
bool     tracker_journal_failed(const struct tracker_journal *journal);

/* ---- reading, in sequence order; own and adopted journals alike ---- */

/* Persisted: why records are missing. */
enum tracker_gap_reason {
    TRACKER_GAP_HOLE = 1,   /* bytes are not what was written: power loss, damage */
    TRACKER_GAP_FREED = 2,  /* retention or quota freed them; the database went back further */
    TRACKER_GAP_MISSING = 3 /* a segment file is gone */
};

enum tracker_read_verdict {
    TRACKER_READ_RUN = 0, /* `run` is filled */
    TRACKER_READ_GAP,     /* [from, to) does not exist; read again from `to` */
    TRACKER_READ_END      /* nothing at `from` yet (owner), or ever (adopted) */
};

struct tracker_run {
    uint64_t first;       /* sequence of the first record */
    uint32_t count;
    uint64_t hash_before; /* running hash before the first; 0: unknown, behind a gap */
    uint64_t hash_after;
    const uint8_t *bytes; /* raw records, contiguous, borrowed from the mapping until the next free/close */
    size_t   len;
};

struct tracker_gap {
    uint64_t from, to;
    enum tracker_gap_reason reason;
};

/*
 * Yields up to max_records / max_bytes consecutive records from sequence
 * `from`, all of one segment, and at least one whatever the limits.  Reading on
 * where the last run ended is O(run); going elsewhere scans one segment.  In an adopted journal every CRC is
 * checked, and a hole is reported only when a later record or segment proves it.
 */
enum tracker_read_verdict
tracker_journal_read(struct tracker_journal *journal, uint64_t from, uint32_t max_records,
                     size_t max_bytes, struct tracker_run *run, struct tracker_gap *gap);

/*
 * time_ms of the record `sequence`; 0: there is none, or it cannot be read just now.  Leaves reading where it is;
 * scans one segment at most, without checking CRCs: for gauges.
 */
uint64_t tracker_journal_time(struct tracker_journal *journal, uint64_t sequence);

/* ---- retention ---- */

/*
 * Frees whole segments that end at or below `acked` and were last written
 * before `before_ms` (0 = whatever their age), oldest first, at most max_bytes (0 = no
 * limit; less than a segment's size frees nothing).  Segment 0 stays until
 * tracker_journal_delete, and readable.  What is acked but too young is unmapped, within the
 * same max_bytes, and mapped again when it is read.  Returns the bytes freed.
 */
uint64_t tracker_journal_free(struct tracker_journal *journal, uint64_t acked, uint64_t before_ms,
                              uint64_t max_bytes);

/* The before_ms of what is kept for retain_ms; a clock near 1970 keeps everything. */
uint64_t tracker_retained_since(uint64_t now_ms, uint64_t retain_ms);

/*
 * Adopted, and read to its end: removes what its writer had made ahead and never
 * entered, segments behind the last record whose header says so.  Returns the bytes freed.
 */
uint64_t tracker_journal_trim(struct tracker_journal *journal);

uint64_t tracker_journal_bytes(const struct tracker_journal *journal); /* on disk, all segments and spare */

/* ---- a folder of journals ---- */

struct tracker_journal_file {
    struct tracker_journal_id id;
    uint32_t number;
    uint64_t size;
    uint64_t modified_ms;
};
/* Calls visit for every <id>.<n> in dir_fd; a true return stops.  0 or negative errno. */
int tracker_journal_scan(int dir_fd, bool (*visit)(void *ctx, const struct tracker_journal_file *file),
                         void *ctx);

#endif
