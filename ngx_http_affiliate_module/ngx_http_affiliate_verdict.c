/*
 * ngx_http_affiliate_verdict.c - answers that wait for the database's word on a lead.
 *
 * A verdict is a string in Redis (tracker_lead.h).  One MGET asks for all that this worker waits for: at once, since a
 * lead that is sent again has its verdict already, and then every few milliseconds while anybody waits.  A new
 * question is asked when the last one was answered.  Whoever has all his verdicts, or no more time, is called.
 */
#include "ngx_http_affiliate_lead.h"
#include "ngx_http_affiliate_wire.h"

#define NGX_HTTP_AFFILIATE_VERDICT_TICK  10    /* ms between questions, and ... */
#define NGX_HTTP_AFFILIATE_VERDICT_CROWD 100   /* ... one more for each so many leads: Redis has others to serve */
#define NGX_HTTP_AFFILIATE_VERDICT_MGET  256   /* keys in one command */
#define NGX_HTTP_AFFILIATE_VERDICT_DEAD  10000 /* ms without a heartbeat: nobody decides */

#define NGX_HTTP_AFFILIATE_VERDICT_KEY_LEN (sizeof(TRACKER_VERDICT_KEY) - 1 + TRACKER_LEAD_HEX_LEN)

/* One request. */
typedef struct {
    ngx_queue_t                    queue; /* in waiting, by serial; or in ready */
    uint64_t                       serial;
    ngx_http_request_t            *request;
    ngx_http_cleanup_t            *cleanup;
    ngx_msec_t                     until;
    ngx_http_affiliate_awaited_t  *leads;
    ngx_uint_t                     n, left; /* left: without a verdict */
    ngx_http_affiliate_verdicts_pt handler;
    void                          *data;
} ngx_http_affiliate_wait_t;

/* Goes along with an MGET: whose verdicts were asked for, by serial and place.  The request may die meanwhile. */
typedef struct {
    ngx_uint_t n;
    struct {
        uint64_t   serial;
        ngx_uint_t lead;
    } asked[NGX_HTTP_AFFILIATE_VERDICT_MGET];
} ngx_http_affiliate_verdict_question_t;

/* One lead that is waited for alone. */
typedef struct {
    ngx_http_affiliate_awaited_t  lead;
    ngx_http_affiliate_verdict_pt handler;
    void                         *data;
} ngx_http_affiliate_single_t;

static void ngx_http_affiliate_verdict_single(ngx_http_request_t *r, void *data);
static ngx_uint_t ngx_http_affiliate_verdict_nobody(void);
static void ngx_http_affiliate_verdict_unlink(void *data);
static void ngx_http_affiliate_verdict_poll(ngx_event_t *ev);
static ngx_int_t ngx_http_affiliate_verdict_ask(void);
static ngx_int_t ngx_http_affiliate_verdict_send(ngx_http_affiliate_verdict_question_t *question, char *keys);
static void ngx_http_affiliate_verdict_reply(redisReply *reply, void *data);
static void ngx_http_affiliate_verdict_store(ngx_http_affiliate_wait_t *wait, ngx_uint_t i, redisReply *field);
static void ngx_http_affiliate_verdict_wake(ngx_uint_t everybody);

static ngx_queue_t ngx_http_affiliate_verdict_waiting;
static ngx_queue_t ngx_http_affiliate_verdict_ready; /* to be called */
static ngx_uint_t  ngx_http_affiliate_verdict_waits; /* requests in both */
static ngx_uint_t  ngx_http_affiliate_verdict_leads; /* without a verdict, as last counted */
static ngx_uint_t  ngx_http_affiliate_verdict_under_way;
static ngx_uint_t  ngx_http_affiliate_verdict_lost; /* a question was not answered */
static uint64_t    ngx_http_affiliate_verdict_serial;
static ngx_event_t ngx_http_affiliate_verdict_timer; /* or posted: the next question */
static ngx_event_t ngx_http_affiliate_verdict_call;  /* posted: somebody may be called */

ngx_int_t
ngx_http_affiliate_await_verdict(ngx_http_request_t *r, const uint8_t id[TRACKER_LEAD_ID_LEN], ngx_msec_t wait,
                                 ngx_http_affiliate_verdict_pt handler, void *data)
{
    ngx_http_affiliate_single_t *single = ngx_pcalloc(r->pool, sizeof(*single));

    if (single == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(single->lead.id, id, TRACKER_LEAD_ID_LEN);
    single->handler = handler;
    single->data = data;
    return ngx_http_affiliate_await_verdicts(r, &single->lead, 1, wait, ngx_http_affiliate_verdict_single, single);
}

static void
ngx_http_affiliate_verdict_single(ngx_http_request_t *r, void *data)
{
    ngx_http_affiliate_single_t *single = data;

    single->handler(r, single->data, single->lead.settled ? &single->lead.verdict : NULL);
}

ngx_int_t
ngx_http_affiliate_await_verdicts(ngx_http_request_t *r, ngx_http_affiliate_awaited_t *leads, ngx_uint_t n,
                                  ngx_msec_t wait, ngx_http_affiliate_verdicts_pt handler, void *data)
{
    ngx_http_affiliate_wait_t *w;

    if (wait == 0 || ngx_http_affiliate_verdict_nobody()) {
        return NGX_DECLINED;
    }
    w = ngx_pcalloc(r->pool, sizeof(*w));
    if (w == NULL) {
        return NGX_ERROR;
    }
    w->cleanup = ngx_http_cleanup_add(r, 0);
    if (w->cleanup == NULL) {
        return NGX_ERROR;
    }
    w->cleanup->handler = ngx_http_affiliate_verdict_unlink;
    w->cleanup->data = w;
    w->serial = ++ngx_http_affiliate_verdict_serial;
    w->request = r;
    w->until = ngx_current_msec + wait;
    w->leads = leads;
    w->n = n;
    for (ngx_uint_t i = 0; i < n; i++) {
        w->left += !leads[i].settled;
    }
    w->handler = handler;
    w->data = data;
    ngx_queue_insert_tail(&ngx_http_affiliate_verdict_waiting, &w->queue);
    ngx_http_affiliate_gauge(VERDICTS_WAITING, ++ngx_http_affiliate_verdict_waits);
    r->read_event_handler = ngx_http_test_reading; /* ends the request when its client goes away */

    /* Posted: one question for all that this turn of the event loop brings. */
    ngx_post_event(&ngx_http_affiliate_verdict_timer, &ngx_posted_events);
    return NGX_OK;
}

/* Waiting would be for nothing. */
static ngx_uint_t
ngx_http_affiliate_verdict_nobody(void)
{
    uint64_t beat_ms = ngx_http_affiliate_zone->consumer_beat_ms;

    return !ngx_http_affiliate_redis_connected()
           || (beat_ms != 0 && beat_ms + NGX_HTTP_AFFILIATE_VERDICT_DEAD < ngx_http_affiliate_wall_ms());
}

/* The wait is over, or the request is. */
static void
ngx_http_affiliate_verdict_unlink(void *data)
{
    ngx_http_affiliate_wait_t *w = data;

    ngx_queue_remove(&w->queue);
    w->cleanup->handler = NULL;
    ngx_http_affiliate_gauge(VERDICTS_WAITING, --ngx_http_affiliate_verdict_waits);
    if (ngx_http_affiliate_verdict_waits == 0) {
        ngx_http_affiliate_event_clear(&ngx_http_affiliate_verdict_timer);
    }
}

/*
 * The timer keeps a gracefully exiting worker alive while answers wait, so it is not cancelable; no wait is longer than
 * affiliate_lead_wait.
 */
static void
ngx_http_affiliate_verdict_poll(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
    ngx_http_affiliate_verdict_wake(!ngx_http_affiliate_redis_connected());
    if (ngx_queue_empty(&ngx_http_affiliate_verdict_waiting)) {
        return;
    }
    if (ngx_http_affiliate_verdict_under_way == 0 && ngx_http_affiliate_verdict_ask() != NGX_OK) {
        ngx_http_affiliate_verdict_wake(1);
        return;
    }
    ngx_add_timer(ev, NGX_HTTP_AFFILIATE_VERDICT_TICK
                          + ngx_http_affiliate_verdict_leads / NGX_HTTP_AFFILIATE_VERDICT_CROWD);
}

/* ---- questions ---- */

/* In as many commands as it takes.  NGX_ERROR: not all could be asked. */
static ngx_int_t
ngx_http_affiliate_verdict_ask(void)
{
    static char keys[NGX_HTTP_AFFILIATE_VERDICT_MGET * NGX_HTTP_AFFILIATE_VERDICT_KEY_LEN];

    char                                 *key = keys;
    ngx_queue_t                          *q;
    ngx_http_affiliate_wait_t            *w;
    ngx_http_affiliate_verdict_question_t question;

    question.n = 0;
    ngx_http_affiliate_verdict_leads = 0;
    for (q = ngx_queue_head(&ngx_http_affiliate_verdict_waiting);
         q != ngx_queue_sentinel(&ngx_http_affiliate_verdict_waiting); q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_http_affiliate_wait_t, queue);
        for (ngx_uint_t i = 0; i < w->n; i++) {
            if (w->leads[i].settled) {
                continue;
            }
            if (question.n == NGX_HTTP_AFFILIATE_VERDICT_MGET) {
                if (ngx_http_affiliate_verdict_send(&question, keys) != NGX_OK) {
                    return NGX_ERROR;
                }
                question.n = 0;
                key = keys;
            }
            ngx_memcpy(key, TRACKER_VERDICT_KEY, sizeof(TRACKER_VERDICT_KEY) - 1);
            tracker_lead_hex(w->leads[i].id, key + sizeof(TRACKER_VERDICT_KEY) - 1);
            key += NGX_HTTP_AFFILIATE_VERDICT_KEY_LEN;
            question.asked[question.n].serial = w->serial;
            question.asked[question.n++].lead = i;
            ngx_http_affiliate_verdict_leads++;
        }
    }
    return question.n == 0 ? NGX_OK : ngx_http_affiliate_verdict_send(&question, keys);
}

static ngx_int_t
ngx_http_affiliate_verdict_send(ngx_http_affiliate_verdict_question_t *question, char *keys)
{
    size_t                                 lens[1 + NGX_HTTP_AFFILIATE_VERDICT_MGET] = { 4 };
    const char                            *argv[1 + NGX_HTTP_AFFILIATE_VERDICT_MGET] = { "MGET" };
    ngx_http_affiliate_verdict_question_t *letter;

    for (ngx_uint_t i = 0; i < question->n; i++) {
        argv[1 + i] = keys + i * NGX_HTTP_AFFILIATE_VERDICT_KEY_LEN;
        lens[1 + i] = NGX_HTTP_AFFILIATE_VERDICT_KEY_LEN;
    }

    letter = ngx_alloc(sizeof(*letter), ngx_cycle->log);
    if (letter == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(letter, question, sizeof(*letter));
    if (ngx_http_affiliate_redis_command(1 + (int) question->n, argv, lens, ngx_http_affiliate_verdict_reply, letter)
        != NGX_OK)
    {
        ngx_free(letter);
        return NGX_ERROR;
    }
    ngx_http_affiliate_verdict_under_way++;
    return NGX_OK;
}

/* ---- answers ---- */

/* The wait of that serial, from *q on, which moves there; NULL: its request is gone. */
static ngx_http_affiliate_wait_t *
ngx_http_affiliate_verdict_find(ngx_queue_t **q, uint64_t serial)
{
    ngx_http_affiliate_wait_t *w;

    for (; *q != ngx_queue_sentinel(&ngx_http_affiliate_verdict_waiting); *q = ngx_queue_next(*q)) {
        w = ngx_queue_data(*q, ngx_http_affiliate_wait_t, queue);
        if (w->serial >= serial) {
            return w->serial == serial ? w : NULL;
        }
    }
    return NULL;
}

/* Both question and queue are in the order of serials. */
static void
ngx_http_affiliate_verdict_reply(redisReply *reply, void *data)
{
    ngx_uint_t                             i;
    ngx_queue_t                           *q = ngx_queue_head(&ngx_http_affiliate_verdict_waiting);
    ngx_http_affiliate_wait_t             *w;
    ngx_http_affiliate_verdict_question_t *question = data;

    ngx_http_affiliate_verdict_under_way--;
    if (reply != NULL && (reply->type != REDIS_REPLY_ARRAY || reply->elements != question->n)) {
        ngx_http_affiliate_redis_broken("its answer to MGET is no list of values");
        reply = NULL;
    }

    for (i = 0; reply != NULL && i < question->n; i++) {
        w = ngx_http_affiliate_verdict_find(&q, question->asked[i].serial);
        if (w != NULL) {
            ngx_http_affiliate_verdict_store(w, question->asked[i].lead, reply->element[i]);
        }
    }
    ngx_free(question);

    /* Not from inside hiredis: who is called may do anything. */
    ngx_http_affiliate_verdict_lost |= reply == NULL;
    ngx_post_event(&ngx_http_affiliate_verdict_call, &ngx_posted_events);
}

static void
ngx_http_affiliate_verdict_called(ngx_event_t *ev)
{
    ngx_uint_t lost = ngx_http_affiliate_verdict_lost;

    ngx_http_affiliate_verdict_lost = 0;
    ngx_http_affiliate_verdict_wake(lost);
}

/* What does not verify is nobody's verdict: it is waited for another one. */
static void
ngx_http_affiliate_verdict_store(ngx_http_affiliate_wait_t *w, ngx_uint_t i, redisReply *field)
{
    ngx_http_affiliate_awaited_t *lead = &w->leads[i];

    if (lead->settled || field->type != REDIS_REPLY_STRING) {
        return;
    }
    if (!tracker_verdict_decode(ngx_http_affiliate_wire.conf->keys, lead->id,
                                (struct tracker_str){ field->str, field->len }, &lead->verdict))
    {
        ngx_http_affiliate_count(VERDICTS_REFUSED);
        return;
    }
    lead->settled = 1;
    w->left--;
}

/*
 * Calls those who have all their verdicts or no more time; or everybody.  A handler may end other requests
 * (those of the same HTTP/2 connection), which then leave either queue by themselves.
 */
static void
ngx_http_affiliate_verdict_wake(ngx_uint_t everybody)
{
    ngx_queue_t               *q, *next;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_affiliate_wait_t *w;

    for (q = ngx_queue_head(&ngx_http_affiliate_verdict_waiting);
         q != ngx_queue_sentinel(&ngx_http_affiliate_verdict_waiting); q = next)
    {
        next = ngx_queue_next(q);
        w = ngx_queue_data(q, ngx_http_affiliate_wait_t, queue);
        if (everybody || w->left == 0 || !ngx_http_affiliate_ahead(w->until)) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&ngx_http_affiliate_verdict_ready, q);
        }
    }

    while (!ngx_queue_empty(&ngx_http_affiliate_verdict_ready)) {
        w = ngx_queue_data(ngx_queue_head(&ngx_http_affiliate_verdict_ready), ngx_http_affiliate_wait_t, queue);
        ngx_http_affiliate_verdict_unlink(w);
        r = w->request;
        c = r->connection;
        ngx_http_set_log_request(c->log, r);
        w->handler(r, w->data);
        ngx_http_run_posted_requests(c);
    }
}

void
ngx_http_affiliate_verdict_start(void)
{
    ngx_queue_init(&ngx_http_affiliate_verdict_waiting);
    ngx_queue_init(&ngx_http_affiliate_verdict_ready);
    ngx_http_affiliate_verdict_waits = 0;
    ngx_http_affiliate_verdict_under_way = 0;
    ngx_http_affiliate_event_init(&ngx_http_affiliate_verdict_timer, ngx_http_affiliate_verdict_poll,
                                  &ngx_http_affiliate_wire, 0);
    ngx_http_affiliate_event_init(&ngx_http_affiliate_verdict_call, ngx_http_affiliate_verdict_called,
                                  &ngx_http_affiliate_wire, 0);
}
