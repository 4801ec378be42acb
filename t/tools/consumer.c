/*
 * consumer.c - the other end of the wire for t/wire.t: reads the streams, keeps
 * its rows in memory, answers with acks and heartbeats, and misbehaves on request.
 *
 *     consumer REDIS_SOCKET KEYS
 *
 * It obeys one command a line on standard input and answers each with one line:
 *
 *     status        JSON: counts since the start
 *     dump FILE     one line a record, in the order they were applied: a click's id, "money <journal> <sequence>", or
 *                   "lead <id>"; calls of the API are not among them
 *     drop N        the next N packs are read and forgotten
 *     pause, resume no reading, no heartbeat
 *     restart       a new incarnation with the same rows
 *     backup        remembers the rows as they are
 *     restore       a new incarnation with the rows of the backup
 *     fork HEX      that journal is quarantined
 *     quit
 *
 * A lead gets the verdict that its own field "verdict" names (created unless given; none: it gets none), with the flag
 * that its field "existing" asks for; as long as Redis keeps it, the first one stands.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tracker_click_id.h"
#include "tracker_event.h"
#include "tracker_lead.h"
#include "tracker_pack.h"
#include "tracker_receiver.h"

#define PARTITIONS 8
#define JOURNALS   4096
#define BEAT_MS    1000

struct row {
    struct tracker_journal_id id;
    unsigned                  partition;
    struct tracker_position   at;
    struct tracker_sealer    *sealer;
    uint32_t                  resend;
    uint64_t                  asked_at; /* where the last resend was asked for */
    bool                      forked, closed;
};

struct partition {
    struct tracker_stream_id cursor;
    uint64_t                 beat;
    bool                     idle;
};

/* What a database would hold; `backup` and `restore` copy it whole. */
struct database {
    struct row rows[JOURNALS];
    int        count;
    size_t     applied; /* lines of the log that belong to it */
};

static struct tracker_keys keys;
static const char         *socket_path;
static redisContext       *redis;
static struct database     now_db, saved_db;
static struct partition    partitions[PARTITIONS];
static uint64_t            incarnation;
static bool                paused;
static long                to_drop;
static char              (*lines)[64];
static size_t              lines_cap;
static struct {
    uint64_t packs, dropped, duplicates, early, gaps, lost, forked, refused, bad, closes, heartbeats;
} seen;

static void
die(const char *what)
{
    fprintf(stderr, "consumer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t
wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/* ---- Redis ---- */

/* NULL when there is none just now. */
static redisReply *
command(int argc, const char **argv, const size_t *lens)
{
    redisReply *reply = NULL;

    if (redis == NULL) {
        redis = redisConnectUnix(socket_path);
        if (redis != NULL && redis->err) {
            redisFree(redis);
            redis = NULL;
        }
    }
    if (redis != NULL)
        reply = redisCommandArgv(redis, argc, argv, lens);
    if (redis != NULL && reply == NULL) {
        redisFree(redis);
        redis = NULL;
    }
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static void
answer(const struct row *row)
{
    char               key[64], hex[TRACKER_JOURNAL_HEX_LEN];
    uint8_t            bytes[TRACKER_ACK_LEN];
    struct tracker_ack ack = { .next = row->at.next, .incarnation = incarnation, .resend = row->resend,
                               .forked = row->forked };

    snprintf(key, sizeof(key), "affiliate:acks:{%u}", row->partition);
    tracker_journal_id_format(&row->id, hex);
    tracker_ack_encode(&keys, &row->id, &ack, bytes);
    freeReplyObject(command(4, (const char *[]){ "HSET", key, hex, (char *) bytes },
                            (size_t[]){ 4, strlen(key), sizeof(hex), sizeof(bytes) }));
}

/* ---- packs ---- */

static struct row *
row_of(const struct tracker_journal_id *id, unsigned partition)
{
    struct row *row;

    for (int i = 0; i < now_db.count; i++) {
        if (memcmp(&now_db.rows[i].id, id, sizeof(*id)) == 0)
            return &now_db.rows[i];
    }
    if (now_db.count == JOURNALS)
        die("too many journals");
    row = &now_db.rows[now_db.count++];
    *row = (struct row){ .id = *id, .partition = partition };
    row->at = (struct tracker_position){ 1, tracker_chain_start(id, 1) };
    return row;
}

/* Its verdict into Redis, its id into hex. */
static void
lead_judge(const struct tracker_record *record, char hex[TRACKER_LEAD_HEX_LEN])
{
    static const char *const names[] = { "none", "created", "duplicate", "conflict", "invalid", "pending" };

    char                   key[sizeof(TRACKER_VERDICT_KEY) + TRACKER_LEAD_HEX_LEN] = TRACKER_VERDICT_KEY;
    uint8_t                bytes[TRACKER_VERDICT_LEN];
    struct tracker_str     name = TRACKER_STR("created"), existing;
    struct tracker_lead    lead;
    struct tracker_verdict verdict = { .decided_ms = wall_ms() };

    if (!tracker_lead_decode(record->payload, record->len, &lead) || !tracker_pairs_check(lead.fields))
        die("a lead does not decode");
    tracker_lead_hex((const uint8_t *) lead.id.data, hex);
    memcpy(key + sizeof(TRACKER_VERDICT_KEY) - 1, hex, TRACKER_LEAD_HEX_LEN);

    tracker_pairs_find(lead.fields, TRACKER_STR("verdict"), &name);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tracker_str_eq(name, (struct tracker_str){ names[i], strlen(names[i]) }))
            verdict.verdict = (uint8_t) i;
    }
    if (verdict.verdict == 0)
        return;
    if (tracker_pairs_find(lead.fields, TRACKER_STR("existing"), &existing))
        verdict.flags = TRACKER_VERDICT_EXISTING;
    memcpy(verdict.content, lead.content.data, sizeof(verdict.content));
    if (!(lead.flags & TRACKER_LEAD_SPAM)) /* which became nothing, and is told "created" */
        memcpy(verdict.lead, lead.id.data, sizeof(verdict.lead));
    tracker_verdict_encode(&keys, (const uint8_t *) lead.id.data, &verdict, bytes);
    freeReplyObject(command(4, (const char *[]){ "SET", key, (char *) bytes, "NX" },
                            (size_t[]){ 3, sizeof(key) - 1, sizeof(bytes), 2 }));
}

static void
record_applied(const struct row *row, uint64_t sequence, const struct tracker_record *record)
{
    char                    hex[TRACKER_JOURNAL_HEX_LEN];
    struct tracker_click    click;
    struct tracker_click_id id = { .time_ms = record->time_ms, .journal = tracker_journal_id_short(&row->id),
                                   .sequence = (uint32_t) sequence, .recorded = true };

    if (now_db.applied == lines_cap) {
        lines_cap = lines_cap == 0 ? 65536 : lines_cap * 2;
        lines = realloc(lines, lines_cap * sizeof(*lines));
        if (lines == NULL)
            die("memory");
    }
    if (record->type == TRACKER_EVENT_API_CALL)
        return; /* a line of a log; what the suites count are clicks and money */
    if (record->type == TRACKER_EVENT_CLICK) {
        if (!tracker_click_decode(record->payload, record->len, &click))
            die("a click does not decode");
        id.link = click.link;
        id.key = click.key;
        tracker_click_id_encode(&keys, &id, lines[now_db.applied]);
        lines[now_db.applied++][TRACKER_CLICK_ID_LEN] = '\0';
        return;
    }
    if (record->type == TRACKER_EVENT_LEAD) {
        lead_judge(record, hex);
        snprintf(lines[now_db.applied++], sizeof(*lines), "lead %.32s", hex);
        return;
    }
    tracker_journal_id_format(&row->id, hex);
    snprintf(lines[now_db.applied++], sizeof(*lines), "money %.8s %llu", hex, (unsigned long long) sequence);
}

static void
pack_apply(struct row *row, const struct tracker_pack *pack)
{
    int                    rc;
    uint64_t               sequence;
    struct tracker_record  record;
    struct tracker_receive receive;

    tracker_receive(&row->at, pack, &receive);
    switch (receive.verdict) {
    case TRACKER_RECEIVE_APPLY:
        seen.duplicates += receive.count == 0;
        while ((rc = tracker_receive_next(&receive, tracker_record_salt(&row->id), &sequence, &record)) != 0) {
            if (rc == 1)
                record_applied(row, sequence, &record);
            else
                seen.bad++;
        }
        break;
    case TRACKER_RECEIVE_GAP:
        seen.gaps++;
        seen.lost += receive.gap_to - receive.gap_from;
        break;
    case TRACKER_RECEIVE_NOTHING:
        seen.duplicates += pack->kind == TRACKER_PACK_DATA;
        break;
    case TRACKER_RECEIVE_EARLY:
        seen.early++;
        if (row->asked_at != row->at.next) {
            row->asked_at = row->at.next;
            row->resend++;
        }
        break;
    case TRACKER_RECEIVE_FORKED:
        seen.forked++;
        row->forked = true;
        break;
    case TRACKER_RECEIVE_BAD:
        seen.bad++;
        break;
    }
    row->at = receive.after;
}

static void
pack_take(unsigned partition, uint8_t *bytes, size_t len)
{
    struct row         *row;
    struct tracker_pack pack;

    seen.packs++;
    if (to_drop > 0) {
        to_drop--;
        seen.dropped++;
        return;
    }
    if (tracker_pack_peek((struct tracker_str){ (char *) bytes, len }, &pack) != TRACKER_PACK_OK) {
        seen.refused++;
        return;
    }
    row = row_of(&pack.journal, partition);
    if (row->sealer == NULL)
        row->sealer = tracker_sealer_new(&keys, pack.key, &pack.journal);
    if (tracker_pack_open(row->sealer, bytes, len, &pack) != TRACKER_PACK_OK || pack.partition != partition) {
        seen.refused++;
        return;
    }
    row->closed = pack.kind == TRACKER_PACK_CLOSE;
    seen.closes += pack.kind == TRACKER_PACK_CLOSE;
    seen.heartbeats += pack.kind == TRACKER_PACK_HEARTBEAT;
    if (!row->forked)
        pack_apply(row, &pack);
    answer(row);
}

/* ---- streams ---- */

static void
stream_id(char text[64], struct tracker_stream_id id)
{
    snprintf(text, 64, "%llu-%llu", (unsigned long long) id.ms, (unsigned long long) id.seq);
}

/* One read; true when there was something. */
static bool
partition_read(unsigned p)
{
    char        key[64], from[64];
    bool        some = false;
    redisReply *reply, *entries;

    snprintf(key, sizeof(key), "affiliate:events:{%u}", p);
    stream_id(from, partitions[p].cursor);
    reply = command(6, (const char *[]){ "XREAD", "COUNT", "64", "STREAMS", key, from }, NULL);
    partitions[p].idle = reply != NULL && reply->type == REDIS_REPLY_NIL;
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1) {
        entries = reply->element[0]->element[1];
        for (size_t i = 0; i < entries->elements; i++) {
            redisReply *id = entries->element[i]->element[0], *fields = entries->element[i]->element[1];

            if (!tracker_stream_id_parse((struct tracker_str){ id->str, id->len }, &partitions[p].cursor))
                die("a stream id");
            pack_take(p, (uint8_t *) fields->element[1]->str, fields->element[1]->len);
            some = true;
        }
    }
    freeReplyObject(reply);
    return some;
}

/* Was Redis emptied?  Then what is read next begins at the beginning. */
static void
partition_check(unsigned p)
{
    char                     key[64], id[64];
    redisReply              *reply;
    struct tracker_stream_id last = { 0, 0 };

    snprintf(key, sizeof(key), "affiliate:events:{%u}", p);
    reply = command(6, (const char *[]){ "XREVRANGE", key, "+", "-", "COUNT", "1" }, NULL);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(reply);
        return;
    }
    if (reply->elements == 1)
        tracker_stream_id_parse((struct tracker_str){ reply->element[0]->element[0]->str,
                                                      reply->element[0]->element[0]->len }, &last);
    freeReplyObject(reply);
    if (last.ms < partitions[p].cursor.ms || (last.ms == partitions[p].cursor.ms && last.seq < partitions[p].cursor.seq))
        partitions[p].cursor = (struct tracker_stream_id){ 0, 0 };

    stream_id(id, partitions[p].cursor);
    freeReplyObject(command(4, (const char *[]){ "XTRIM", key, "MINID", id }, NULL));
}

static void
partition_beat(unsigned p)
{
    char                     key[64], text[TRACKER_HEARTBEAT_CAP];
    size_t                   len;
    struct tracker_heartbeat beat = { .beat = ++partitions[p].beat, .incarnation = incarnation, .time_ms = wall_ms(),
                                      .cursor = partitions[p].cursor, .idle = partitions[p].idle };

    len = tracker_heartbeat_encode(&keys, p, &beat, text, sizeof(text));
    snprintf(key, sizeof(key), "affiliate:consumer:{%u}", p);
    freeReplyObject(command(3, (const char *[]){ "SET", key, text }, (size_t[]){ 3, strlen(key), len }));
}

static void
beat(void)
{
    for (unsigned p = 0; p < PARTITIONS; p++) {
        partition_check(p);
        partition_read(p);
        partition_beat(p);
    }
    for (int i = 0; i < now_db.count; i++) {
        if (!now_db.rows[i].closed)
            answer(&now_db.rows[i]);
    }
}

/* ---- commands ---- */

static void
status(void)
{
    int open = 0;

    for (int i = 0; i < now_db.count; i++)
        open += !now_db.rows[i].closed;
    printf("{\"applied\":%zu,\"journals\":%d,\"open\":%d,\"packs\":%llu,\"dropped\":%llu,\"duplicates\":%llu,"
           "\"early\":%llu,\"gaps\":%llu,\"lost\":%llu,\"forked\":%llu,\"refused\":%llu,\"bad\":%llu,\"closes\":%llu,"
           "\"heartbeats\":%llu}\n",
           now_db.applied, now_db.count, open, (unsigned long long) seen.packs, (unsigned long long) seen.dropped,
           (unsigned long long) seen.duplicates, (unsigned long long) seen.early, (unsigned long long) seen.gaps,
           (unsigned long long) seen.lost, (unsigned long long) seen.forked, (unsigned long long) seen.refused,
           (unsigned long long) seen.bad, (unsigned long long) seen.closes, (unsigned long long) seen.heartbeats);
}

static void
dump(const char *path)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        die(path);
    for (size_t i = 0; i < now_db.applied; i++)
        fprintf(f, "%s\n", lines[i]);
    fclose(f);
    puts("ok");
}

static void
new_life(void)
{
    do
        randombytes_buf(&incarnation, sizeof(incarnation));
    while (incarnation == 0);
    for (int i = 0; i < now_db.count; i++) {
        now_db.rows[i].resend = 0;
        now_db.rows[i].asked_at = 0;
    }
}

static void
fork_journal(const char *hex)
{
    struct tracker_journal_id id;

    if (!tracker_journal_id_parse(&id, (struct tracker_str){ hex, strlen(hex) }))
        die("fork");
    for (int i = 0; i < now_db.count; i++) {
        if (memcmp(&now_db.rows[i].id, &id, sizeof(id)) == 0) {
            now_db.rows[i].forked = true;
            answer(&now_db.rows[i]);
        }
    }
}

static void
obey(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "status") == 0) {
        status();
    } else if (strncmp(line, "dump ", 5) == 0) {
        dump(line + 5);
    } else if (strcmp(line, "quit") == 0) {
        exit(0);
    } else {
        if (strncmp(line, "drop ", 5) == 0)
            to_drop = atol(line + 5);
        else if (strcmp(line, "pause") == 0)
            paused = true;
        else if (strcmp(line, "resume") == 0)
            paused = false;
        else if (strcmp(line, "restart") == 0)
            new_life();
        else if (strcmp(line, "backup") == 0)
            saved_db = now_db;
        else if (strcmp(line, "restore") == 0) {
            now_db = saved_db; /* sealers are shared: nobody frees them */
            new_life();
        } else if (strncmp(line, "fork ", 5) == 0)
            fork_journal(line + 5);
        else
            die(line);
        puts("ok");
    }
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    char        text[TRACKER_KEYS_FILE_MAX], line[4096];
    FILE       *f;
    int         number;
    uint64_t    due = 0;
    const char *error;

    if (argc != 3 || (f = fopen(argv[2], "r")) == NULL || tracker_init() != 0)
        die("usage: consumer REDIS_SOCKET KEYS");
    if (tracker_keys_parse(&keys, (struct tracker_str){ text, fread(text, 1, sizeof(text), f) }, &error, &number) != 0)
        die(error);
    fclose(f);
    socket_path = argv[1];
    signal(SIGPIPE, SIG_IGN); /* Redis may go while we write */
    setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what fgets() has not taken */
    new_life();

    for (;;) {
        bool          busy = false;
        struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

        for (unsigned p = 0; !paused && p < PARTITIONS; p++)
            busy |= partition_read(p);
        if (!paused && wall_ms() >= due) {
            beat();
            due = wall_ms() + BEAT_MS;
        }
        if (poll(&in, 1, busy ? 0 : 5) > 0) {
            if (fgets(line, sizeof(line), stdin) == NULL)
                return 0;
            obey(line);
        }
    }
}
