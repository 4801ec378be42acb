/*
 * ngx_http_affiliate_lead.c - affiliate_lead: who sends it, fields, journal, disk, verdict, answer.
 *
 * The sender is judged before the body is read.  Nothing is answered but what is on disk: whoever hears anything else, or
 * nothing, sends again, and the lead's id (a MAC of the sender and of his idempotency key, or of what the lead says)
 * makes it the same lead on every edge.
 */
#include "ngx_http_affiliate_intake.h"

#define NGX_HTTP_AFFILIATE_LEAD_WAIT_MAX 60000 /* ms */

static ngx_int_t ngx_http_affiliate_lead_refuse(ngx_http_request_t *r, const ngx_http_affiliate_error_t *error,
                                                struct tracker_str field);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_lead_admit(ngx_http_request_t *r,
                                                                       ngx_http_affiliate_ctx_t *ctx);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_lead_key(ngx_http_request_t *r, struct tracker_str *key);
static void ngx_http_affiliate_lead_read(ngx_http_request_t *r);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_lead_take(ngx_http_request_t *r,
                                                                      ngx_http_affiliate_intake_t *intake);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_lead_items(ngx_http_request_t *r,
                                                                       ngx_http_affiliate_intake_t *intake,
                                                                       json_t *root, struct tracker_str body);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_lead_batch(ngx_http_request_t *r,
                                                                       ngx_http_affiliate_intake_t *intake,
                                                                       ngx_http_affiliate_draft_t *draft,
                                                                       json_t *root, json_t *items);
static const ngx_http_affiliate_error_t *ngx_http_affiliate_lead_write(ngx_http_request_t *r,
                                                                       ngx_http_affiliate_intake_t *intake,
                                                                       ngx_http_affiliate_draft_t *draft, ngx_uint_t i);
static size_t ngx_http_affiliate_lead_bound(const struct tracker_lead *lead);
static void ngx_http_affiliate_lead_synced(ngx_http_request_t *r, void *data, ngx_int_t rc);
static void ngx_http_affiliate_lead_decided(ngx_http_request_t *r, void *data);

/* Where nobody else answers the other methods. */
ngx_int_t
ngx_http_affiliate_lead_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_affiliate_ctx_t         *ctx = ngx_http_affiliate_get_ctx(r);
    const ngx_http_affiliate_error_t *error;

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    error = ngx_http_affiliate_lead_admit(r, ctx);
    if (error != NULL) {
        rc = ngx_http_discard_request_body(r);
        return rc == NGX_OK ? ngx_http_affiliate_lead_refuse(r, error, TRACKER_STR_NONE) : rc;
    }

    r->request_body_in_single_buf = 1;
    rc = ngx_http_read_client_request_body(r, ngx_http_affiliate_lead_read);
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

ngx_int_t
ngx_http_affiliate_lead_precontent(ngx_http_request_t *r)
{
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    if (!alcf->lead || r->method != NGX_HTTP_POST) {
        return NGX_DECLINED;
    }

    /* a phase does not finalize what its handler answered, as the content phase does */
    ngx_http_finalize_request(r, ngx_http_affiliate_lead_handler(r));
    return NGX_DONE;
}

static ngx_int_t
ngx_http_affiliate_lead_refuse(ngx_http_request_t *r, const ngx_http_affiliate_error_t *error,
                               struct tracker_str field)
{
    ngx_http_affiliate_ctx_t *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);

    ctx->verdict = error->code;
    if (error->status >= 500) {
        ngx_http_affiliate_count(LEADS_UNAVAILABLE);
    } else {
        ngx_http_affiliate_count(LEADS_REFUSED);
    }
    return ngx_http_affiliate_send_field_error(r, error, field);
}

/* Everything that can be said before the body is read. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_lead_admit(ngx_http_request_t *r, ngx_http_affiliate_ctx_t *ctx)
{
    ngx_uint_t                        json;
    ngx_http_affiliate_intake_t      *intake;
    const ngx_http_affiliate_error_t *error;

    intake = (ngx_http_affiliate_intake_t *)
        ngx_http_affiliate_caller_begin(r, ctx, sizeof(ngx_http_affiliate_intake_t));
    if (intake == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    if (r->method != NGX_HTTP_POST) {
        return ngx_http_affiliate_error(METHOD);
    }

    error = ngx_http_affiliate_authenticate(r, &intake->caller, NGX_HTTP_AFFILIATE_ROLE_ANY,
                                            TRACKER_SCOPE_LEADS_WRITE);
    if (error != NULL) {
        return error;
    }
    ctx->api_user = intake->caller.user.id;

    error = ngx_http_affiliate_lead_key(r, &intake->key);
    return error != NULL ? error : ngx_http_affiliate_body_kind(r, &json);
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_lead_key(ngx_http_request_t *r, struct tracker_str *key)
{
    ngx_str_t *value = ngx_http_affiliate_find_header(r, "idempotency-key", sizeof("idempotency-key") - 1);

    if (value == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < value->len; i++) {
        if (value->data[i] < 0x20 || value->data[i] > 0x7e) {
            return ngx_http_affiliate_error(IDEMPOTENCY_KEY);
        }
    }
    *key = (struct tracker_str){ (char *) value->data, value->len };
    return value->len == 0 || value->len > TRACKER_LEAD_KEY_MAX ? ngx_http_affiliate_error(IDEMPOTENCY_KEY) : NULL;
}

/* The body has been read: its reference on the request goes with the answer. */
static void
ngx_http_affiliate_lead_read(ngx_http_request_t *r)
{
    ngx_http_affiliate_ctx_t         *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);
    ngx_http_affiliate_intake_t      *intake = (ngx_http_affiliate_intake_t *) ctx->caller;
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_lead_take(r, intake);
    if (error == NULL && intake->written == 0) { /* of a batch */
        ngx_http_finalize_request(r, ngx_http_affiliate_lead_answer(r, ctx, intake));
        return;
    }
    if (error == NULL
        && ngx_http_affiliate_await_sync(r, TRACKER_JOURNAL_MONEY, intake->sequence, ngx_http_affiliate_lead_synced,
                                         ctx) != NGX_OK)
    {
        error = ngx_http_affiliate_error(UNAVAILABLE);
    }
    if (error != NULL) {
        ngx_http_finalize_request(r, ngx_http_affiliate_lead_refuse(r, error, intake->items != NULL && !intake->batch
                                                                                  ? intake->items[0].field
                                                                                  : TRACKER_STR_NONE));
    }
}

/* ---- from the body into the journal ---- */

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_lead_take(ngx_http_request_t *r, ngx_http_affiliate_intake_t *intake)
{
    json_t                           *root = NULL;
    ngx_uint_t                        json;
    struct tracker_str                body;
    const ngx_http_affiliate_error_t *error;

    error = ngx_http_affiliate_body_text(r, &body);
    if (error == NULL) {
        error = ngx_http_affiliate_body_kind(r, &json);
    }
    if (error == NULL && !json && body.len > NGX_HTTP_AFFILIATE_BODY_MAX) {
        error = ngx_http_affiliate_error(BODY_TOO_LARGE); /* before a stranger has us sort it */
    }
    if (error == NULL) {
        error = ngx_http_affiliate_verify_body(r, &intake->caller, body, !json);
    }
    if (error == NULL) {
        error = ngx_http_affiliate_verify_query_ts(r, &intake->caller);
    }
    if (error == NULL && json && body.len != 0) {
        root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
        error = root == NULL ? ngx_http_affiliate_error(JSON_MALFORMED) : NULL;
    }
    if (error == NULL) {
        error = ngx_http_affiliate_lead_items(r, intake, root, body);
    }
    json_decref(root);
    return error;
}

/* One or many, from JSON (root) or a form (body). */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_lead_items(ngx_http_request_t *r, ngx_http_affiliate_intake_t *intake, json_t *root,
                              struct tracker_str body)
{
    json_t                           *items = json_is_array(root) ? root : json_object_get(root, "leads");
    ngx_http_affiliate_draft_t       *draft = ngx_palloc(r->pool, sizeof(*draft));
    const ngx_http_affiliate_error_t *error;

    intake->batch = items != NULL;
    intake->n = intake->batch ? json_array_size(items) : 1; /* 0 when it is no array */
    if (intake->n == 0 || intake->n > NGX_HTTP_AFFILIATE_BATCH_MAX) {
        return ngx_http_affiliate_error(BATCH_SIZE);
    }
    intake->items = ngx_pcalloc(r->pool, intake->n * sizeof(intake->items[0]));
    intake->leads = ngx_pcalloc(r->pool, intake->n * sizeof(intake->leads[0]));
    if (draft == NULL || intake->items == NULL || intake->leads == NULL) {
        return ngx_http_affiliate_error(NO_MEMORY);
    }
    if (intake->batch) {
        return ngx_http_affiliate_lead_batch(r, intake, draft, root, items);
    }

    if (body.len > NGX_HTTP_AFFILIATE_BODY_MAX) {
        return ngx_http_affiliate_error(BODY_TOO_LARGE);
    }
    if (root != NULL && !json_is_object(root)) {
        return ngx_http_affiliate_error(JSON_MALFORMED);
    }
    ngx_http_affiliate_draft_begin(draft, r);
    error = root != NULL ? ngx_http_affiliate_draft_json(draft, root) : ngx_http_affiliate_draft_form(draft, body);
    if (error == NULL) {
        error = ngx_http_affiliate_lead_write(r, intake, draft, 0);
    }
    intake->items[0].field = draft->field;
    return error;
}

/* Each is judged by itself; NULL: the items say which were written.  The ts beside the list is the whole body's. */
static const ngx_http_affiliate_error_t *
ngx_http_affiliate_lead_batch(ngx_http_request_t *r, ngx_http_affiliate_intake_t *intake,
                              ngx_http_affiliate_draft_t *draft, json_t *root, json_t *items)
{
    json_t                           *item, *ts = json_object_get(root, "ts");
    uint64_t                          journal = 0;
    ngx_uint_t                        unavailable = 0;
    const ngx_http_affiliate_error_t *error;

    intake->caller.items = intake->n;
    if (intake->key.len > TRACKER_LEAD_KEY_MAX - NGX_HTTP_AFFILIATE_INDEX_LEN) {
        return ngx_http_affiliate_error(IDEMPOTENCY_KEY);
    }
    ngx_http_affiliate_draft_begin(draft, r);
    error = ts != NULL ? ngx_http_affiliate_draft_take(draft, TRACKER_STR("ts"), ts) : NULL;
    if (error == NULL) {
        error = ngx_http_affiliate_verify_ts(&intake->caller, draft->value[NGX_HTTP_AFFILIATE_LEAD_TS], 0);
    }
    if (error != NULL) {
        return error;
    }

    for (ngx_uint_t i = 0; i < intake->n; i++) {
        item = json_array_get(items, i);
        ngx_http_affiliate_draft_begin(draft, r);
        error = json_is_object(item) ? ngx_http_affiliate_draft_json(draft, item)
                                     : ngx_http_affiliate_error(JSON_MALFORMED);
        if (error == NULL) {
            error = ngx_http_affiliate_lead_write(r, intake, draft, i);
        }
        intake->items[i].error = error;
        intake->items[i].field = draft->field;
        intake->leads[i].settled = error != NULL; /* nobody will decide about it */
        unavailable += error != NULL && error->status >= 500;

        if (error == NULL && journal != 0 && journal != intake->journal) {
            return ngx_http_affiliate_error(UNAVAILABLE); /* the first one failed: one sync cannot vouch for both */
        }
        journal = error == NULL ? intake->journal : journal;
    }

    /* all of them to be repeated: that is what 503 says */
    return unavailable == intake->n ? ngx_http_affiliate_error(UNAVAILABLE) : NULL;
}

/* Each lead of a batch has a key of its own: the batch's, and its place. */
static struct tracker_str
ngx_http_affiliate_lead_own_key(ngx_http_affiliate_intake_t *intake, ngx_uint_t i,
                                u_char space[TRACKER_LEAD_KEY_MAX])
{
    u_char *p;

    if (!intake->batch || intake->key.len == 0) {
        return intake->key;
    }
    p = ngx_cpymem(space, intake->key.data, intake->key.len);
    *p++ = ':';
    p = ngx_http_affiliate_number(p, i);
    return (struct tracker_str){ (char *) space, (size_t) (p - space) };
}

static const ngx_http_affiliate_error_t *
ngx_http_affiliate_lead_write(ngx_http_request_t *r, ngx_http_affiliate_intake_t *intake,
                              ngx_http_affiliate_draft_t *draft, ngx_uint_t i)
{
    u_char                            key[TRACKER_LEAD_KEY_MAX];
    ngx_time_t                       *tp = ngx_timeofday();
    struct tracker_lead              *lead = &draft->lead;
    ngx_http_affiliate_ctx_t         *ctx = ngx_http_get_module_ctx(r, ngx_http_affiliate_module);
    ngx_http_affiliate_main_conf_t   *amcf = ngx_http_get_module_main_conf(r, ngx_http_affiliate_module);
    const struct tracker_api_user_row *user = &intake->caller.user;
    const ngx_http_affiliate_error_t *error;

    if (user->options & TRACKER_API_USER_TEST) {
        draft->value[NGX_HTTP_AFFILIATE_LEAD_TEST] = TRACKER_STR("true");
    }
    error = ngx_http_affiliate_verify_ts(&intake->caller, draft->value[NGX_HTTP_AFFILIATE_LEAD_TS], 0);
    if (error == NULL) {
        error = ngx_http_affiliate_draft_check(draft);
    }
    if (error != NULL) {
        return error;
    }

    lead->kind = TRACKER_LEAD_API;
    lead->auth = intake->caller.auth;
    lead->program = user->program;
    lead->api_user = user->id;
    lead->affiliate = user->affiliate;
    lead->flags |= user->options & TRACKER_API_USER_AUTOLOGIN ? TRACKER_LEAD_AUTOLOGIN : 0;
    lead->key = ngx_http_affiliate_lead_own_key(intake, i, key);
    tracker_lead_content(lead->fields, intake->items[i].content);
    lead->content = (struct tracker_str){ (char *) intake->items[i].content, sizeof(intake->items[i].content) };
    tracker_lead_id(amcf->keys, TRACKER_LEAD_API, user->id, lead->key, intake->items[i].content, intake->leads[i].id);
    lead->id = (struct tracker_str){ (char *) intake->leads[i].id, TRACKER_LEAD_ID_LEN };

    if (ngx_http_affiliate_lead_append(lead, (uint64_t) tp->sec * 1000 + tp->msec, &intake->journal,
                                       &intake->sequence) != NGX_OK)
    {
        return ngx_http_affiliate_error(UNAVAILABLE);
    }
    intake->written++;
    if (!intake->batch) {
        ngx_memcpy(ctx->lead, intake->leads[i].id, TRACKER_LEAD_ID_LEN);
        ctx->has_lead = 1;
    }
    return NULL;
}

ngx_int_t
ngx_http_affiliate_lead_append(const struct tracker_lead *lead, uint64_t now_ms, uint64_t *journal,
                               uint64_t *sequence)
{
    size_t   bound = ngx_http_affiliate_lead_bound(lead), len = 0;
    uint8_t *space;
    uint64_t dropped;

    space = ngx_http_affiliate_reserve(TRACKER_JOURNAL_MONEY, bound, sequence, journal);

    if (space != NULL) {
        len = tracker_lead_encode(lead, space, bound);
    }
    if (len == 0) {
        (void) ngx_http_affiliate_drop(TRACKER_JOURNAL_MONEY, &dropped);
        return NGX_ERROR;
    }
    ngx_http_affiliate_commit(TRACKER_JOURNAL_MONEY, TRACKER_EVENT_LEAD, now_ms, len);
    return NGX_OK;
}

/* What the encoded event cannot exceed: four bytes before each of eleven texts, six for each of eight integers. */
static size_t
ngx_http_affiliate_lead_bound(const struct tracker_lead *lead)
{
    size_t len = 11 * 4 + 8 * 6 + lead->id.len + lead->content.len + lead->key.len + lead->click_id.len
                 + lead->cookie_first.len + lead->cookie_last.len + lead->ip.len + lead->user_agent.len
                 + lead->referrer.len + lead->language.len + lead->fields.len;

    return ngx_min(len, TRACKER_EVENT_MAX);
}

/* ---- from the disk to the answer ---- */

static void
ngx_http_affiliate_lead_synced(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_http_affiliate_ctx_t      *ctx = data;
    ngx_http_affiliate_intake_t   *intake = (ngx_http_affiliate_intake_t *) ctx->caller;
    ngx_http_affiliate_loc_conf_t *alcf = ngx_http_get_module_loc_conf(r, ngx_http_affiliate_module);

    if (rc != NGX_OK) {
        rc = ngx_http_affiliate_lead_refuse(r, ngx_http_affiliate_error(UNAVAILABLE), TRACKER_STR_NONE);
        ngx_http_finalize_request(r, rc);
        return;
    }
    if (ngx_http_affiliate_await_verdicts(r, intake->leads, intake->n, alcf->lead_wait,
                                          ngx_http_affiliate_lead_decided, ctx) != NGX_OK)
    {
        ngx_http_affiliate_lead_decided(r, ctx);
    }
}

static void
ngx_http_affiliate_lead_decided(ngx_http_request_t *r, void *data)
{
    ngx_http_affiliate_ctx_t *ctx = data;

    ngx_http_finalize_request(r, ngx_http_affiliate_lead_answer(r, ctx, (ngx_http_affiliate_intake_t *) ctx->caller));
}

/* ---- configuration ---- */

/* Who waits holds a connection, and a worker that is told to go waits for him. */
static char *
ngx_http_affiliate_check_lead_wait(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *wait = data;

    if (*wait <= NGX_HTTP_AFFILIATE_LEAD_WAIT_MAX) {
        return NGX_CONF_OK;
    }
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"affiliate_lead_wait\" is more than %d s",
                       NGX_HTTP_AFFILIATE_LEAD_WAIT_MAX / 1000);
    return NGX_CONF_ERROR;
}

ngx_conf_post_t ngx_http_affiliate_lead_wait_post = { ngx_http_affiliate_check_lead_wait };

char *
ngx_http_affiliate_set_lead(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t       *clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ngx_http_affiliate_loc_conf_t  *alcf = conf;
    ngx_http_affiliate_main_conf_t *amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_affiliate_module);

    if (alcf->lead) {
        return "is duplicate";
    }
    if (alcf->conversion) {
        return "and \"affiliate_conversion\" cannot both take a location's POST";
    }
    alcf->lead = 1;
    amcf->takes_leads = 1;
    amcf->needed_by = cmd->name;

    /* beside a proxy_pass, before or after it, only POST is ours: that is taken before the content phase */
    if (clcf->handler == NULL) {
        clcf->handler = alcf->handler = ngx_http_affiliate_lead_handler;
    }
    return NGX_CONF_OK;
}
