/*
 * ingest_cursors.c - how far each stream is read, and that somebody reads it.
 */
#include "ingest/ingest_internal.h"

#include <string.h>

#include "app/log.h"

bool
ingest_beat(struct ingest *ingest)
{
    for (unsigned i = 0; i < ingest->options.count; i++) {
        struct ingest_partition *partition = &ingest->partitions[i];
        struct tracker_heartbeat beat = {
            .beat = ++partition->beat,
            .incarnation = ingest->incarnation,
            .time_ms = ingest->options.now_us() / 1000,
            .cursor = partition->cursor,
            .idle = partition->idle && ingest->batch == 0,
        };
        char   text[192];
        size_t len =
            tracker_heartbeat_encode(ingest->options.keys, partition->number, &beat, text, sizeof(text));
        if (!wire_append_format(&ingest->wire, "SET %s %b", partition->consumer, text, len))
            return false;
    }
    return wire_drain(&ingest->wire);
}

/* "last-generated-id" of an XINFO STREAM reply; 0-0 for a stream that is not there. */
static bool
ingest_last_id(const redisReply *reply, struct tracker_stream_id *id)
{
    *id = (struct tracker_stream_id){ 0, 0 };
    if (reply->type == REDIS_REPLY_ERROR)
        return strstr(reply->str, "no such key") != NULL;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && strcmp(name->str, "last-generated-id") == 0
            && value->type == REDIS_REPLY_STRING)
            return tracker_stream_id_parse((struct tracker_str){ value->str, (size_t) value->len }, id);
    }
    return false;
}

/*
 * A stream whose newest id lies before the cursor is another stream: Redis was
 * emptied, or failed over, and its clock is behind.  Everything in it is unread.
 */
bool
ingest_check_cursors(struct ingest *ingest, bool all)
{
    for (unsigned i = 0; i < ingest->options.count; i++) {
        struct ingest_partition *partition = &ingest->partitions[i];
        struct tracker_stream_id last;

        if ((!all && !partition->idle) || ingest->batch > 0
            || (partition->cursor.ms == 0 && partition->cursor.seq == 0))
            continue;
        redisReply *reply = wire_call_format(&ingest->wire, "XINFO STREAM %s", partition->events);
        if (reply == NULL)
            return false;
        bool known = ingest_last_id(reply, &last);
        freeReplyObject(reply);
        if (!known || last.ms > partition->cursor.ms
            || (last.ms == partition->cursor.ms && last.seq >= partition->cursor.seq))
            continue;

        log_warn("ingest", "stream %s was emptied behind our back: reading it from its start",
                 partition->events);
        partition->cursor = partition->read = (struct tracker_stream_id){ 0, 0 };
        partition->idle = false;
    }
    return true;
}

/* A Redis that evicts keys throws packs away: nothing is lost by it, but nothing gets through either. */
void
ingest_check_eviction(struct ingest *ingest)
{
    redisReply *reply = wire_call_format(&ingest->wire, "INFO memory");

    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        const char *policy = strstr(reply->str, "maxmemory_policy:");
        const char *limit = strstr(reply->str, "\nmaxmemory:");
        bool        limited = limit == NULL || strncmp(limit, "\nmaxmemory:0\r", 13) != 0;
        if (policy != NULL && strncmp(policy, "maxmemory_policy:noeviction", 27) != 0)
            log_error("ingest", "Redis is set to evict keys (%.*s)%s: set maxmemory-policy noeviction",
                      (int) strcspn(policy + 17, "\r\n"), policy + 17,
                      limited ? ", and its memory is limited" : "");
    }
    freeReplyObject(reply);
}
