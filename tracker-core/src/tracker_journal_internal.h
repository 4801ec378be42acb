/*
 * tracker_journal_internal.h - what the journal's files share.
 *
 *   tracker_journal.c          the journal as a whole, and its writer
 *   tracker_journal_segment.c  one segment: name, header, making, mapping
 *   tracker_journal_read.c     runs and gaps
 *   tracker_journal_sync.c     durability
 *   tracker_journal_free.c     retention
 *   tracker_journal_scan.c     the folder
 */
#ifndef TRACKER_JOURNAL_INTERNAL_H
#define TRACKER_JOURNAL_INTERNAL_H

#include "tracker_journal.h"

/* Segments beyond this are not made, and mapped only so far: a sparse file of a petabyte is no journal. */
#define TRACKER_SEGMENT_BYTES_MAX ((size_t) 1 << 30)
/* Every segment can hold the largest record. */
#define TRACKER_SEGMENT_BYTES_MIN                                                                            \
    (TRACKER_SEGMENT_HEADER + TRACKER_RECORD_HEADER + (size_t) TRACKER_RECORD_PAYLOAD_MAX)

/* The first bytes of a segment as they lie on disk. */
struct tracker_segment_header {
    char     magic[8];
    uint8_t  id[TRACKER_JOURNAL_ID_LEN];
    uint32_t number;
    uint8_t  kind;
    uint8_t  zero;
    uint16_t partition;
    char     edge[TRACKER_EDGE_NAME_MAX + 1];
    uint64_t created_ms;
    uint64_t size;
    uint64_t first; /* 0: the writer never entered it */
    uint64_t hash;  /* before `first` */
    uint32_t crc;   /* over all above */
};
#define TRACKER_SEGMENT_CRC_OFFSET 96
_Static_assert(offsetof(struct tracker_segment_header, crc) == TRACKER_SEGMENT_CRC_OFFSET, "persisted");

/* Of segment 0, on a cache line of their own. */
struct tracker_segment_counters {
    uint64_t dropped;
    uint64_t freed;
};
#define TRACKER_SEGMENT_COUNTERS_OFFSET 128

#define TRACKER_SEGMENT_NAME_CAP (TRACKER_JOURNAL_HEX_LEN + 1 + 10 + sizeof(".new"))

enum tracker_segment_state {
    TRACKER_SEGMENT_UNREAD = 0, /* adopted, not looked at */
    TRACKER_SEGMENT_USED,       /* `first` is known */
    TRACKER_SEGMENT_EMPTY,      /* holds no record: never entered, or nothing readable in it */
    TRACKER_SEGMENT_GONE        /* listed, but its file has vanished since */
};

struct tracker_segment {
    uint32_t                   number;
    enum tracker_segment_state state;
    int                        fd;     /* -1: not needed (any more) */
    uint8_t                   *map;    /* NULL: not mapped */
    size_t                     mapped; /* bytes of map */
    uint64_t                   size;   /* bytes of the file */
    uint64_t                   first;
    uint64_t                   hash;   /* before `first`; 0: unknown, its header was lost */
    size_t                     start;  /* offset of `first` */
    uint64_t                   end;    /* owner, all but the current segment: the next one's first */
    uint64_t                   first_ms;    /* adopted: time of `first`; 0: unknown */
    uint64_t                   modified_ms; /* owner: time of the last record; adopted: the file's */
};

/* A place in a journal: the record `sequence` begins at `offset`, or nothing readable does. */
struct tracker_place {
    size_t                  segment; /* index */
    size_t                  offset;
    uint64_t                sequence;
    uint64_t                hash;    /* before it; 0: unknown */
    enum tracker_gap_reason reason;  /* why what lies directly before is missing, if it is */
};

struct tracker_journal {
    /* The writer's. at == end when nothing can be written: adopted, failed. */
    uint8_t *at, *end;
    size_t   reserved; /* 1 + the payload bytes promised; 0: nothing reserved */
    uint64_t next;     /* adopted: UINT64_MAX until reading has met the end */
    uint64_t hash;     /* before next */
    uint64_t last_ms;  /* time of the last record */
    uint32_t salt;
    bool     owner;
    bool     failed;

    int                             dir_fd; /* borrowed */
    struct tracker_journal_identity identity;
    struct tracker_segment         *segments; /* by number; [0] is segment 0, an owner writes the last */
    size_t                          count, cap;
    struct tracker_spare            spare; /* fd -1: none */
    uint64_t                        synced;
    struct tracker_place            cursor; /* sequence 0: nowhere */
};

/* ---- tracker_journal_segment.c ---- */

void tracker_segment_name(char name[TRACKER_SEGMENT_NAME_CAP], const struct tracker_journal_id *id,
                          uint32_t number);
bool tracker_segment_name_parse(const char *name, struct tracker_journal_id *id, uint32_t *number);

/* What is not in identity: number, size, first and hash.  Stores hash before first, the CRC last. */
void tracker_segment_header_write(uint8_t *map, const struct tracker_journal_identity *identity,
                                  uint32_t number, uint64_t size, uint64_t first, uint64_t hash);
/* False: not a header, or one of another version. */
bool tracker_segment_header_read(const uint8_t *map, size_t len, struct tracker_segment_header *header);
static inline struct tracker_segment_counters *
tracker_segment_counters(const struct tracker_journal *journal)
{
    return (struct tracker_segment_counters *) (void *) (journal->segments[0].map +
                                                         TRACKER_SEGMENT_COUNTERS_OFFSET);
}

/*
 * Makes the file `name`, locked if it will be segment 0; on disk with its header, though not yet its
 * directory.  On error nothing is left behind.
 */
int tracker_segment_make(struct tracker_spare *spare, int dir_fd, const char *name,
                         const struct tracker_journal_identity *identity, uint32_t number, size_t size,
                         uint64_t first, uint64_t hash);

/*
 * Maps an existing file for reading.  fd and map are filled in; the file may be anything.
 * -EINVAL: it is too short, or no regular file.
 */
int  tracker_segment_map(struct tracker_segment *segment, int dir_fd, const struct tracker_journal_id *id);
void tracker_segment_unmap(struct tracker_segment *segment);

/* ---- tracker_journal_read.c ---- */

/*
 * Looks at segment i, once: its state is not UNREAD afterwards.  An error is a passing one (no
 * descriptors, no memory): nothing may be concluded about the segment.
 */
int tracker_segment_load(struct tracker_journal *journal, size_t i);

/* ---- tracker_journal_scan.c ---- */

/* Fills journal->segments from the folder, sorted by number. */
int  tracker_journal_list(struct tracker_journal *journal);
/* Removes what creators left that were killed before they could give it its name. */
void tracker_journal_remove_abandoned(int dir_fd);
/* Room for one segment more. */
bool tracker_journal_grow(struct tracker_journal *journal);

#endif
