/*
 * ngx_http_affiliate_apicall.c - the API log: every call of the partner API, refused or not, becomes an event.
 *
 * In the log phase, when its status is known.  Who proved to be a user of ours has each call recorded, but for those
 * that are refused again and again for the same reason, to the same address.  These, and the calls of anybody else, who may
 * call as often as he likes, are counted by address and reason, in a table of fixed size, and become events at the
 * end of the minute.  Secrets never get here: no query, no token of a path, and of a key only what the portal shows.
 */
#include "ngx_http_affiliate_caller.h"

#include "tracker_lead.h"

#define NGX_HTTP_AFFILIATE_STRANGERS     256
#define NGX_HTTP_AFFILIATE_STRANGERS_TRY 8   /* places looked at */
#define NGX_HTTP_AFFILIATE_NOBODIES      16  /* places for those that found none: by reason alone */
#define NGX_HTTP_AFFILIATE_STRANGER_TEXT 128 /* bytes kept of the first call's path and user agent */

/* Calls of one address for one reason; texts are the first one's. */
typedef struct {
    ngx_uint_t  taken;
    uint32_t    count; /* of those that are not recorded yet */
    uint32_t    api_user, program, status;
    const char *code;  /* static */
    uint8_t     ip_form, ip_len, path_len, agent_len, method_len, prefix_len;
    u_char      ip[16];
    u_char      method[8];
    u_char      prefix[16];
    u_char      path[NGX_HTTP_AFFILIATE_STRANGER_TEXT];
    u_char      agent[NGX_HTTP_AFFILIATE_STRANGER_TEXT];
} ngx_http_affiliate_stranger_t;

static ngx_int_t ngx_http_affiliate_apicall_describe(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                                     struct tracker_api_call *call, u_char space[16]);
static void ngx_http_affiliate_apicall_append(const struct tracker_api_call *call);
static ngx_uint_t ngx_http_affiliate_apicall_single(const struct tracker_api_call *call);
static ngx_int_t ngx_http_affiliate_stranger_count(const struct tracker_api_call *call, const char *code,
                                                   ngx_uint_t known);
static ngx_http_affiliate_stranger_t *ngx_http_affiliate_stranger_find(const struct tracker_api_call *call,
                                                                       const char *code);
static void ngx_http_affiliate_stranger_fill(ngx_http_affiliate_stranger_t *stranger,
                                             const struct tracker_api_call *call, const char *code);
static void ngx_http_affiliate_strangers_flush(ngx_event_t *ev);

static ngx_http_affiliate_stranger_t ngx_http_affiliate_strangers[NGX_HTTP_AFFILIATE_STRANGERS
                                                                  + NGX_HTTP_AFFILIATE_NOBODIES];
static ngx_event_t                   ngx_http_affiliate_strangers_timer; /* set while somebody is counted */

ngx_int_t
ngx_http_affiliate_apicall_log(ngx_http_request_t *r)
{
    u_char                    space[16];
    const char               *code;
    struct tracker_api_call   call;
    ngx_http_affiliate_ctx_t *ctx = r == r->main ? ngx_http_affiliate_find_ctx(r) : NULL;

    if (ctx == NULL || ctx->caller == NULL) {
        return NGX_OK;
    }

    code = ctx->verdict != NULL ? ctx->verdict : "unanswered"; /* he went away */
    ngx_memzero(&call, sizeof(call));
    call.count = 1;
    call.code = (struct tracker_str){ code, ngx_strlen(code) };
    if (ngx_http_affiliate_apicall_describe(r, ctx, &call, space) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_affiliate_count(API_CALLS);
    if ((ctx->caller->proven && ngx_http_affiliate_apicall_single(&call))
        || ngx_http_affiliate_stranger_count(&call, code, ctx->caller->proven) != NGX_OK)
    {
        ngx_http_affiliate_apicall_append(&call);
    }
    return NGX_OK;
}

/* A user's rate bounds all but what is refused because of who he is, where from, or how often. */
static ngx_uint_t
ngx_http_affiliate_apicall_single(const struct tracker_api_call *call)
{
    return call->status != NGX_HTTP_FORBIDDEN && call->status != NGX_HTTP_TOO_MANY_REQUESTS;
}

/* At most max bytes, and no half of a character at the end. */
static struct tracker_str
ngx_http_affiliate_cut(const ngx_str_t *text, size_t max)
{
    size_t len = text->len;

    if (len > max) {
        for (len = max; len > 0 && (text->data[len] & 0xc0) == 0x80; len--) {
            /* void */
        }
    }
    return (struct tracker_str){ (char *) text->data, len };
}

/* Borrows from the request; space may hold the address. */
static ngx_int_t
ngx_http_affiliate_apicall_describe(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx,
                                    struct tracker_api_call *call, u_char space[16])
{
    ngx_str_t                       path;
    ngx_time_t                     *tp = ngx_timeofday();
    ngx_table_elt_t                *agent = r->headers_in.user_agent;
    ngx_http_affiliate_caller_t    *caller = ctx->caller;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);

    if (ngx_http_affiliate_hide_token(r, &caller->uri, &path) != NGX_OK) {
        return NGX_ERROR;
    }
    call->path = ngx_http_affiliate_cut(&path, TRACKER_FIELD_MAX);
    call->method = ngx_http_affiliate_cut(&r->method_name, sizeof(((ngx_http_affiliate_stranger_t *) 0)->method));
    if (agent != NULL) {
        call->user_agent = ngx_http_affiliate_cut(&agent->value, TRACKER_FIELD_MAX);
    }
    call->key_prefix = caller->key_prefix;
    call->ip = ngx_http_affiliate_kept_address(caller->conf->ip, amcf->keys, (uint64_t) tp->sec * 1000 + tp->msec,
                                               ngx_http_affiliate_address(r->connection), space, &call->ip_form);

    call->api_user = caller->user.id; /* of a stranger: whom his signature names */
    call->program = caller->user.program;
    call->status = (uint32_t) (r->err_status != 0 ? r->err_status : r->headers_out.status);
    if (call->status == 0) {
        call->status = NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }
    call->items = (uint32_t) caller->items;
    if (ctx->has_lead) {
        call->lead = (struct tracker_str){ (char *) ctx->lead, TRACKER_LEAD_ID_LEN };
    }
    return NGX_OK;
}

static void
ngx_http_affiliate_apicall_append(const struct tracker_api_call *call)
{
    /* three bytes before each text, six for each integer */
    size_t      bound = 6 * 6 + 7 * 3 + call->code.len + call->method.len + call->path.len + call->key_prefix.len
                        + call->ip.len + call->user_agent.len + call->lead.len;
    size_t      len = 0;
    uint8_t    *space;
    uint64_t    sequence, journal, dropped;
    ngx_time_t *tp = ngx_timeofday();

    space = ngx_http_affiliate_reserve(TRACKER_JOURNAL_TRAFFIC, bound, &sequence, &journal);
    if (space != NULL) {
        len = tracker_api_call_encode(call, space, bound);
    }
    if (len == 0) {
        (void) ngx_http_affiliate_drop(TRACKER_JOURNAL_TRAFFIC, &dropped);
        return;
    }
    ngx_http_affiliate_commit(TRACKER_JOURNAL_TRAFFIC, TRACKER_EVENT_API_CALL,
                              (uint64_t) tp->sec * 1000 + tp->msec, len);
}

/* ---- who is nobody of ours, or was refused before ---- */

/* NGX_DECLINED: it is to be recorded now.  The first call of somebody known is, and when there is no place for him. */
static ngx_int_t
ngx_http_affiliate_stranger_count(const struct tracker_api_call *call, const char *code, ngx_uint_t known)
{
    ngx_uint_t                     first;
    ngx_http_affiliate_stranger_t *stranger = ngx_http_affiliate_stranger_find(call, code);

    if (known && stranger >= &ngx_http_affiliate_strangers[NGX_HTTP_AFFILIATE_STRANGERS]) {
        return NGX_DECLINED;
    }
    first = !stranger->taken;
    if (first) {
        ngx_http_affiliate_stranger_fill(stranger, call, code);
    }
    if (!(first && known) && stranger->count < UINT32_MAX) {
        stranger->count++;
    }
    if (!ngx_http_affiliate_strangers_timer.timer_set) {
        ngx_add_timer(&ngx_http_affiliate_strangers_timer, (ngx_msec_t) (60 - ngx_time() % 60) * 1000);
    }
    return first && known ? NGX_DECLINED : NGX_OK;
}

/* His place, or a free one near it; else one for nobody in particular. */
static ngx_http_affiliate_stranger_t *
ngx_http_affiliate_stranger_find(const struct tracker_api_call *call, const char *code)
{
    uint32_t                       hash;
    ngx_uint_t                     i;
    ngx_http_affiliate_stranger_t *at;

    hash = ngx_murmur_hash2((u_char *) call->ip.data, call->ip.len) ^ (uint32_t) ngx_http_affiliate_zone->secret[0];
    hash = (hash + call->api_user) * 2654435769u;
    for (i = 0; i < NGX_HTTP_AFFILIATE_STRANGERS_TRY; i++) {
        at = &ngx_http_affiliate_strangers[(hash + i) % NGX_HTTP_AFFILIATE_STRANGERS];
        if (!at->taken
            || (at->code == code && at->api_user == call->api_user && at->ip_len == call->ip.len
                && (at->ip_len == 0 || ngx_memcmp(at->ip, call->ip.data, at->ip_len) == 0)))
        {
            return at;
        }
    }

    at = &ngx_http_affiliate_strangers[NGX_HTTP_AFFILIATE_STRANGERS];
    for (i = 0; i < NGX_HTTP_AFFILIATE_NOBODIES - 1 && at[i].taken && at[i].code != code; i++) {
        /* void */
    }
    return &at[i];
}

static uint8_t
ngx_http_affiliate_stranger_text(u_char *out, size_t max, struct tracker_str text)
{
    text = ngx_http_affiliate_cut(&(ngx_str_t){ text.len, (u_char *) text.data }, max);
    if (text.len != 0) { /* of nothing there is no address either */
        ngx_memcpy(out, text.data, text.len);
    }
    return (uint8_t) text.len;
}

static void
ngx_http_affiliate_stranger_fill(ngx_http_affiliate_stranger_t *stranger, const struct tracker_api_call *call,
                                 const char *code)
{
    stranger->taken = 1;
    stranger->code = code;
    stranger->status = call->status;
    if (stranger >= &ngx_http_affiliate_strangers[NGX_HTTP_AFFILIATE_STRANGERS]) {
        return; /* many, who have nothing else in common */
    }
    stranger->api_user = call->api_user;
    stranger->program = call->program;
    stranger->ip_form = call->ip_form;
    stranger->ip_len = ngx_http_affiliate_stranger_text(stranger->ip, sizeof(stranger->ip), call->ip);
    stranger->method_len = ngx_http_affiliate_stranger_text(stranger->method, sizeof(stranger->method), call->method);
    stranger->prefix_len = ngx_http_affiliate_stranger_text(stranger->prefix, sizeof(stranger->prefix),
                                                            call->key_prefix);
    stranger->path_len = ngx_http_affiliate_stranger_text(stranger->path, sizeof(stranger->path), call->path);
    stranger->agent_len = ngx_http_affiliate_stranger_text(stranger->agent, sizeof(stranger->agent),
                                                           call->user_agent);
}

static void
ngx_http_affiliate_strangers_flush(ngx_event_t *ev)
{
    struct tracker_api_call        call;
    ngx_http_affiliate_stranger_t *at;

    for (ngx_uint_t i = 0; i < NGX_HTTP_AFFILIATE_STRANGERS + NGX_HTTP_AFFILIATE_NOBODIES; i++) {
        at = &ngx_http_affiliate_strangers[i];
        if (at->count == 0) {
            at->taken = 0;
            continue;
        }
        ngx_memzero(&call, sizeof(call));
        call.count = at->count;
        call.api_user = at->api_user;
        call.program = at->program;
        call.status = at->status;
        call.ip_form = at->ip_form;
        call.code = (struct tracker_str){ at->code, ngx_strlen(at->code) };
        call.ip = (struct tracker_str){ (char *) at->ip, at->ip_len };
        call.method = (struct tracker_str){ (char *) at->method, at->method_len };
        call.key_prefix = (struct tracker_str){ (char *) at->prefix, at->prefix_len };
        call.path = (struct tracker_str){ (char *) at->path, at->path_len };
        call.user_agent = (struct tracker_str){ (char *) at->agent, at->agent_len };
        ngx_http_affiliate_apicall_append(&call);
        ngx_memzero(at, sizeof(*at));
    }
}

/* ---- a worker's start and end ---- */

void
ngx_http_affiliate_apicall_init(void)
{
    ngx_memzero(&ngx_http_affiliate_strangers_timer, sizeof(ngx_event_t));
    ngx_http_affiliate_strangers_timer.handler = ngx_http_affiliate_strangers_flush;
    ngx_http_affiliate_strangers_timer.data = &ngx_http_affiliate_strangers_timer; /* debug logs read there */
    ngx_http_affiliate_strangers_timer.log = ngx_cycle->log;
    ngx_http_affiliate_strangers_timer.cancelable = 1;
}

/* Before the journals go. */
void
ngx_http_affiliate_apicall_exit(void)
{
    if (ngx_http_affiliate_strangers_timer.timer_set) {
        ngx_del_timer(&ngx_http_affiliate_strangers_timer);
    }
    ngx_http_affiliate_strangers_flush(&ngx_http_affiliate_strangers_timer);
}
