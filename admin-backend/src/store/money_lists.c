/* What the lists of referrals, commissions and payouts select, filter and sort by. */
#include "service/money_steps.h"

static const struct list_filter referral_filters[] = {
    { "affiliate_id", LIST_INT, "r.affiliate_id = ?" },
    { "campaign_id", LIST_INT, "r.campaign_id = ?" },
    { "group_id", LIST_INT, "a.group_id = ?" },
    { "status", LIST_TEXT_SET, "r.status = ?" },
    { "event", LIST_TEXT, "r.event = ?" },
    { "click_id", LIST_TEXT, "r.click_id = ?" },
    { "conversion_id", LIST_INT, "r.conversion_id = ?" },
    { "customer", LIST_TEXT, "r.trader_id = ?" },
    { "from", LIST_TIME, "r.created_us >= ?" },
    { "to", LIST_TIME, "r.created_us < ?" },
    { "q", LIST_SEARCH, "(lower(a.name) LIKE ? ESCAPE '!' OR lower(r.event) LIKE ? ESCAPE '!' OR r.click_id LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort referral_sorts[] = {
    { "created_at", "r.created_us", LIST_INT },
    { NULL, NULL, LIST_INT },
};
#define REFERRAL_FROM " FROM referrals r JOIN affiliates a ON a.id = r.affiliate_id"
const struct list_spec referral_list = {
    .select = "SELECT r.id AS id, r.program_id AS program_id, r.affiliate_id AS affiliate_id, a.name AS affiliate_name,"
              " r.conversion_id AS conversion_id, r.share_ppm AS share_ppm, r.verified AS verified,"
              " r.superseded AS superseded, r.campaign_id AS campaign_id, r.link_id AS link_id,"
              " r.event AS event, r.status AS status,"
              " r.click_id AS click_id, r.lead_id AS lead_id, r.trader_id AS trader_id,"
              " r.amount_minor AS amount_minor, r.currency AS currency, r.tags AS tags, r.notes AS notes,"
              " r.why AS why, r.created_us AS created_us, r.updated_us AS updated_us, r.version AS version" REFERRAL_FROM,
    .from = REFERRAL_FROM,
    .id = "r.id",
    .filters = referral_filters,
    .sorts = referral_sorts,
    .view = referral_view,
};

static const struct list_filter commission_filters[] = {
    { "affiliate_id", LIST_INT, "c.affiliate_id = ?" },
    { "group_id", LIST_INT, "a.group_id = ?" },
    { "referral_id", LIST_INT, "c.referral_id = ?" },
    { "status", LIST_TEXT_SET, "c.status = ?" },
    { "from", LIST_TIME, "c.created_us >= ?" },
    { "to", LIST_TIME, "c.created_us < ?" },
    { "q", LIST_SEARCH, "lower(a.name) LIKE ? ESCAPE '!'" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort commission_sorts[] = {
    { "created_at", "c.created_us", LIST_INT },
    { "amount", "c.amount_minor", LIST_INT },
    { NULL, NULL, LIST_INT },
};
#define COMMISSION_FROM " FROM commissions c JOIN affiliates a ON a.id = c.affiliate_id"
const struct list_spec commission_list = {
    .select = "SELECT c.id AS id, c.program_id AS program_id, c.affiliate_id AS affiliate_id, a.name AS affiliate_name,"
              " c.referral_id AS referral_id, c.kind AS kind, c.period AS period, c.revision AS revision,"
              " c.amount_minor AS amount_minor, c.currency AS currency, c.basis_minor AS basis_minor,"
              " c.rate_ppm AS rate_ppm, c.plan_id AS plan_id, c.status AS status, c.payable_us AS payable_us,"
              " c.reverses_id AS reverses_id, c.share_ppm AS share_ppm, c.why AS why, c.notes AS notes,"
              " c.created_us AS created_us,"
              " c.updated_us AS updated_us, c.version AS version" COMMISSION_FROM,
    .from = COMMISSION_FROM,
    .id = "c.id",
    .filters = commission_filters,
    .sorts = commission_sorts,
    .view = commission_view,
};

static const struct list_filter payout_filters[] = {
    { "affiliate_id", LIST_INT, "p.affiliate_id = ?" },
    { "group_id", LIST_INT, "a.group_id = ?" },
    { "status", LIST_TEXT_SET, "p.status = ?" },
    { "method", LIST_TEXT, "p.method = ?" },
    { "from", LIST_TIME, "p.created_us >= ?" },
    { "to", LIST_TIME, "p.created_us < ?" },
    { "q", LIST_SEARCH, "(lower(a.name) LIKE ? ESCAPE '!' OR lower(p.reference) LIKE ? ESCAPE '!')" },
    { NULL, LIST_INT, NULL },
};
static const struct list_sort payout_sorts[] = {
    { "created_at", "p.created_us", LIST_INT },
    { "amount", "p.amount_minor", LIST_INT },
    { NULL, NULL, LIST_INT },
};
#define PAYOUT_FROM " FROM payouts p JOIN affiliates a ON a.id = p.affiliate_id"
const struct list_spec payout_list = {
    .select = "SELECT p.id AS id, p.program_id AS program_id, p.affiliate_id AS affiliate_id, a.name AS affiliate_name,"
              " p.amount_minor AS amount_minor, p.currency AS currency, p.minimum_minor AS minimum_minor,"
              " p.status AS status, p.method AS method, p.reference AS reference, p.paid_at_us AS paid_at_us,"
              " p.notes AS notes, p.reason AS reason, p.created_by AS created_by, p.created_us AS created_us,"
              " p.updated_us AS updated_us, p.version AS version,"
              " (SELECT COUNT(*) FROM payout_items i WHERE i.payout_id = p.id) AS item_count" PAYOUT_FROM,
    .from = PAYOUT_FROM,
    .id = "p.id",
    .filters = payout_filters,
    .sorts = payout_sorts,
    .view = payout_view,
};
