/* Every route: method, path, who may, what handles it.  Checks, docs and tests all read this table. */
#include "http/http.h"
#include "http/server.h"
#include "service/catalog.h"
#include "service/conversion.h"
#include "service/intake.h"
#include "service/lead.h"
#include "service/money.h"
#include "service/outbox.h"
#include "service/portal.h"
#include "service/trader.h"

static const struct resource programs = { "program", &program_list, NULL, program_edit, NULL };
static const struct resource affiliates = { "affiliate", &affiliate_list, affiliate_create, affiliate_edit,
                                            affiliate_act };
static const struct resource groups = { "group", &group_list, group_create, group_edit, NULL };
static const struct resource campaigns = { "campaign", &campaign_list, campaign_create, campaign_edit, NULL };
static const struct resource links = { "link", &link_list, link_create, link_edit, NULL };
static const struct resource api_users = { "api_user", &api_user_list, api_user_create, api_user_edit,
                                            api_user_act };
static const struct resource referrals = { "referral", &referral_list, NULL, referral_edit, referral_act };
static const struct resource commissions = { "commission", &commission_list, NULL, NULL, commission_act };
static const struct resource conversions = { "conversion", &conversion_list, NULL, NULL, NULL };
static const struct resource refunds = { "refund", &refund_list, NULL, NULL, NULL };
static const struct resource conflicts = { "conflict", &conflict_list, NULL, NULL, NULL };
static const struct resource coupons = { "coupon", &coupon_list, coupon_create, coupon_edit, NULL };
static const struct resource payouts = { "payout", &payout_list, NULL, NULL, NULL };
static const struct resource staff = { "staff", &staff_list, staff_create, staff_edit, NULL };
static const struct resource departments = { "department", &department_list, department_create, department_edit, NULL };
static const struct resource sources = { "source", &source_list, source_create, source_edit, NULL };
static const struct resource leads = { "lead", &lead_list, lead_create, lead_edit, NULL };
static const struct resource lead_log = { "log entry", &lead_log_list, NULL, NULL, NULL };
static const struct resource api_calls = { "call", &api_call_list, NULL, NULL, NULL };
static const struct resource traders = { "trader", &trader_list, trader_create, trader_edit, NULL };
static const struct resource custom_fields = { "custom field", &custom_field_list, custom_field_create,
                                               custom_field_edit, NULL };
static const struct resource forms = { "form", &form_list, form_create, form_edit, form_act };
static const struct resource outbox = { "outbox entry", &outbox_list, NULL, NULL, NULL };
static const struct resource audit = { "audit entry", &audit_list, NULL, NULL, NULL };

static const struct resource portal_leads = { "lead", &portal_lead_list, NULL, NULL, NULL };
static const struct resource portal_log = { "log entry", &portal_log_list, NULL, NULL, NULL };
static const struct resource portal_forms = { "form", &portal_form_list, NULL, NULL, NULL };
static const struct resource portal_links = { "link", &portal_link_list, NULL, NULL, NULL };

#define ADMIN  "/api/admin/v1"
#define PORTAL "/api/portal/v1"
#define API    "/api/v1"

const struct http_route http_route_table[] = {
    { "GET", "/", ACCESS_PUBLIC, welcome_page, NULL },
    { "GET", "/healthz", ACCESS_PUBLIC, health, NULL },
    { "GET", "/readyz", ACCESS_PUBLIC, readiness, NULL },
    { "GET", "/api/openapi.yaml", ACCESS_PUBLIC, openapi_document, NULL },
    { "GET", "/setup/{secret}", ACCESS_PUBLIC, setup_page, NULL },
    { "POST", "/setup/{secret}", ACCESS_PUBLIC | TAKES_FORM, setup_submit, NULL },
    { "GET", "/invite/{secret}", ACCESS_PUBLIC, invite_page, NULL },
    { "POST", "/invite/{secret}", ACCESS_PUBLIC | TAKES_FORM, invite_submit, NULL },
    { "GET", "/confirm/{pass}", ACCESS_PUBLIC, confirm_page, NULL },
    { "POST", "/confirm/{pass}", ACCESS_PUBLIC | TAKES_FORM, confirm_submit, NULL },

    { "POST", ADMIN "/session", ACCESS_PUBLIC, session_login, NULL },
    { "GET", ADMIN "/session", ACCESS_STAFF, session_show, NULL },
    { "DELETE", ADMIN "/session", ACCESS_STAFF, session_logout, NULL },

    { "GET", ADMIN "/dashboard", ACCESS_STAFF | TAKES_QUERY, dashboard_show, NULL },
    { "GET", ADMIN "/settings", ACCESS_STAFF, settings_show, NULL },
    { "PATCH", ADMIN "/settings", ACCESS_ADMIN, settings_change, NULL },
    { "GET", ADMIN "/audit", ACCESS_ADMIN | ACCESS_FINANCE | TAKES_QUERY, resource_list, &audit },

    { "GET", ADMIN "/programs", ACCESS_STAFF | TAKES_QUERY, resource_list, &programs },
    { "GET", ADMIN "/programs/{id}", ACCESS_STAFF, resource_get, &programs },
    { "PATCH", ADMIN "/programs/{id}", ACCESS_ADMIN, resource_edit, &programs },

    { "GET", ADMIN "/affiliates", ACCESS_STAFF | TAKES_QUERY, resource_list, &affiliates },
    { "POST", ADMIN "/affiliates", ACCESS_WRITE, resource_create, &affiliates },
    { "POST", ADMIN "/affiliates/bulk", ACCESS_WRITE, resource_bulk, &affiliates },
    { "GET", ADMIN "/affiliates/{id}", ACCESS_STAFF, resource_get, &affiliates },
    { "PATCH", ADMIN "/affiliates/{id}", ACCESS_WRITE, resource_edit, &affiliates },

    { "GET", ADMIN "/groups", ACCESS_STAFF | TAKES_QUERY, resource_list, &groups },
    { "POST", ADMIN "/groups", ACCESS_WRITE, resource_create, &groups },
    { "GET", ADMIN "/groups/{id}", ACCESS_STAFF, resource_get, &groups },
    { "PATCH", ADMIN "/groups/{id}", ACCESS_WRITE, resource_edit, &groups },

    { "GET", ADMIN "/campaigns", ACCESS_STAFF | TAKES_QUERY, resource_list, &campaigns },
    { "POST", ADMIN "/campaigns", ACCESS_WRITE, resource_create, &campaigns },
    { "GET", ADMIN "/campaigns/{id}", ACCESS_STAFF, resource_get, &campaigns },
    { "PATCH", ADMIN "/campaigns/{id}", ACCESS_WRITE, resource_edit, &campaigns },

    { "GET", ADMIN "/links", ACCESS_STAFF | TAKES_QUERY, resource_list, &links },
    { "POST", ADMIN "/links", ACCESS_WRITE, resource_create, &links },
    { "GET", ADMIN "/links/{id}", ACCESS_STAFF, resource_get, &links },
    { "PATCH", ADMIN "/links/{id}", ACCESS_WRITE, resource_edit, &links },
    { "DELETE", ADMIN "/links/{id}", ACCESS_WRITE, resource_archive, &links },

    { "GET", ADMIN "/api_users", ACCESS_WRITE | TAKES_QUERY, resource_list, &api_users },
    { "POST", ADMIN "/api_users", ACCESS_ADMIN, resource_create, &api_users },
    { "POST", ADMIN "/api_users/bulk", ACCESS_ADMIN, resource_bulk, &api_users },
    { "GET", ADMIN "/api_users/{id}", ACCESS_WRITE, resource_get, &api_users },
    { "PATCH", ADMIN "/api_users/{id}", ACCESS_ADMIN, resource_edit, &api_users },
    { "POST", ADMIN "/api_users/{id}/keys", ACCESS_ADMIN, api_user_key_add, &api_users },
    { "POST", ADMIN "/api_users/{id}/secret", ACCESS_ADMIN, api_user_secret_renew, &api_users },
    { "DELETE", ADMIN "/api_users/{id}/keys/{key_id}", ACCESS_ADMIN, api_user_key_revoke, &api_users },

    { "GET", ADMIN "/coupons", ACCESS_STAFF | TAKES_QUERY, resource_list, &coupons },
    { "POST", ADMIN "/coupons", ACCESS_WRITE, resource_create, &coupons },
    { "GET", ADMIN "/coupons/{id}", ACCESS_STAFF, resource_get, &coupons },
    { "PATCH", ADMIN "/coupons/{id}", ACCESS_WRITE, resource_edit, &coupons },

    { "GET", ADMIN "/conversions", ACCESS_STAFF | TAKES_QUERY, resource_list, &conversions },
    { "GET", ADMIN "/conversions/{id}", ACCESS_STAFF, resource_get, &conversions },
    { "GET", ADMIN "/refunds", ACCESS_STAFF | TAKES_QUERY, resource_list, &refunds },
    { "GET", ADMIN "/refunds/{id}", ACCESS_STAFF, resource_get, &refunds },
    { "GET", ADMIN "/conflicts", ACCESS_STAFF | TAKES_QUERY, resource_list, &conflicts },
    { "GET", ADMIN "/conflicts/{id}", ACCESS_STAFF, resource_get, &conflicts },
    { "POST", ADMIN "/conflicts/{id}/resolve", ACCESS_WRITE | ACCESS_FINANCE, conflict_resolve_one, &conflicts },

    { "GET", ADMIN "/referrals", ACCESS_STAFF | TAKES_QUERY, resource_list, &referrals },
    { "POST", ADMIN "/referrals/bulk", ACCESS_WRITE | ACCESS_FINANCE, resource_bulk, &referrals },
    { "GET", ADMIN "/referrals/{id}", ACCESS_STAFF, resource_get, &referrals },
    { "PATCH", ADMIN "/referrals/{id}", ACCESS_WRITE | ACCESS_FINANCE, resource_edit, &referrals },

    { "GET", ADMIN "/commissions", ACCESS_STAFF | TAKES_QUERY, resource_list, &commissions },
    { "POST", ADMIN "/commissions/bulk", ACCESS_WRITE | ACCESS_FINANCE, resource_bulk, &commissions },
    { "GET", ADMIN "/commissions/{id}", ACCESS_STAFF, resource_get, &commissions },

    { "GET", ADMIN "/payouts", ACCESS_STAFF | TAKES_QUERY, resource_list, &payouts },
    { "POST", ADMIN "/payouts", ACCESS_MONEY, payout_create_one, &payouts },
    { "GET", ADMIN "/payouts/{id}", ACCESS_STAFF, resource_get, &payouts },
    { "POST", ADMIN "/payouts/{id}/submit", ACCESS_MONEY, payout_submit_one, &payouts },
    { "POST", ADMIN "/payouts/{id}/pay", ACCESS_MONEY, payout_pay_one, &payouts },
    { "POST", ADMIN "/payouts/{id}/cancel", ACCESS_MONEY, payout_cancel_one, &payouts },

    { "GET", ADMIN "/staff", ACCESS_WRITE | TAKES_QUERY, resource_list, &staff },
    { "POST", ADMIN "/staff", ACCESS_ADMIN, resource_create, &staff },
    { "GET", ADMIN "/staff/{id}", ACCESS_WRITE, resource_get, &staff },
    { "PATCH", ADMIN "/staff/{id}", ACCESS_ADMIN, resource_edit, &staff },

    { "GET", ADMIN "/departments", ACCESS_STAFF | TAKES_QUERY, resource_list, &departments },
    { "POST", ADMIN "/departments", ACCESS_WRITE, resource_create, &departments },
    { "GET", ADMIN "/departments/{id}", ACCESS_STAFF, resource_get, &departments },
    { "PATCH", ADMIN "/departments/{id}", ACCESS_WRITE, resource_edit, &departments },
    { "DELETE", ADMIN "/departments/{id}", ACCESS_WRITE, resource_archive, &departments },

    { "GET", ADMIN "/sources", ACCESS_STAFF | TAKES_QUERY, resource_list, &sources },
    { "POST", ADMIN "/sources", ACCESS_WRITE, resource_create, &sources },
    { "GET", ADMIN "/sources/{id}", ACCESS_STAFF, resource_get, &sources },
    { "PATCH", ADMIN "/sources/{id}", ACCESS_WRITE, resource_edit, &sources },
    { "DELETE", ADMIN "/sources/{id}", ACCESS_WRITE, resource_archive, &sources },

    { "GET", ADMIN "/leads", ACCESS_STAFF | TAKES_QUERY, resource_list, &leads },
    { "POST", ADMIN "/leads", ACCESS_WRITE | ACCESS_AGENT, resource_create, &leads },
    { "POST", ADMIN "/leads/bulk", ACCESS_WRITE | ACCESS_AGENT, lead_bulk, &leads },
    { "GET", ADMIN "/leads/{id}", ACCESS_STAFF, resource_get, &leads },
    { "PATCH", ADMIN "/leads/{id}", ACCESS_WRITE | ACCESS_AGENT, resource_edit, &leads },
    { "POST", ADMIN "/leads/{id}/notes", ACCESS_WRITE | ACCESS_AGENT, lead_note_one, &leads },
    { "POST", ADMIN "/leads/{id}/convert", ACCESS_WRITE | ACCESS_AGENT, lead_convert_one, &leads },
    { "POST", ADMIN "/leads/{id}/erase", ACCESS_ADMIN, lead_erase_one, &leads },
    { "GET", ADMIN "/leads/{id}/export", ACCESS_ADMIN, lead_export_one, &leads },
    { "GET", ADMIN "/leads_log", ACCESS_STAFF | TAKES_QUERY, resource_list, &lead_log },
    { "GET", ADMIN "/api_logs", ACCESS_WRITE | TAKES_QUERY, resource_list, &api_calls },
    { "GET", ADMIN "/reports/leads_by_affiliate", ACCESS_STAFF | TAKES_QUERY, lead_report_show, NULL },

    { "GET", ADMIN "/traders", ACCESS_STAFF | TAKES_QUERY, resource_list, &traders },
    { "POST", ADMIN "/traders", ACCESS_WRITE, resource_create, &traders },
    { "GET", ADMIN "/traders/{id}", ACCESS_STAFF, resource_get, &traders },
    { "PATCH", ADMIN "/traders/{id}", ACCESS_WRITE, resource_edit, &traders },
    { "POST", ADMIN "/traders/{id}/invite", ACCESS_WRITE, trader_invite_one, &traders },
    { "POST", ADMIN "/traders/{id}/accounts", ACCESS_WRITE, trader_account_one, &traders },
    { "POST", ADMIN "/traders/{id}/affiliate", ACCESS_WRITE, trader_affiliate_one, &traders },

    { "GET", ADMIN "/custom_fields", ACCESS_STAFF | TAKES_QUERY, resource_list, &custom_fields },
    { "POST", ADMIN "/custom_fields", ACCESS_WRITE, resource_create, &custom_fields },
    { "GET", ADMIN "/custom_fields/{id}", ACCESS_STAFF, resource_get, &custom_fields },
    { "PATCH", ADMIN "/custom_fields/{id}", ACCESS_WRITE, resource_edit, &custom_fields },
    { "DELETE", ADMIN "/custom_fields/{id}", ACCESS_WRITE, resource_archive, &custom_fields },

    { "GET", ADMIN "/forms", ACCESS_STAFF | TAKES_QUERY, resource_list, &forms },
    { "POST", ADMIN "/forms", ACCESS_WRITE, resource_create, &forms },
    { "POST", ADMIN "/forms/bulk", ACCESS_WRITE, resource_bulk, &forms },
    { "GET", ADMIN "/forms/{id}", ACCESS_STAFF, resource_get, &forms },
    { "PATCH", ADMIN "/forms/{id}", ACCESS_WRITE, resource_edit, &forms },
    { "DELETE", ADMIN "/forms/{id}", ACCESS_WRITE, resource_archive, &forms },
    { "GET", ADMIN "/forms/{id}/integration", ACCESS_STAFF, form_code, &forms },
    { "GET", ADMIN "/forms/{id}/preview", ACCESS_STAFF, form_look, &forms },

    { "GET", API "/leads", API_SCOPE(TRACKER_SCOPE_LEADS_READ) | TAKES_QUERY, partner_leads, NULL },
    { "GET", API "/leads/statuses", API_SCOPE(TRACKER_SCOPE_LEADS_READ), partner_lead_statuses, NULL },
    { "GET", API "/leads/{id}", API_SCOPE(TRACKER_SCOPE_LEADS_READ), partner_lead_one, NULL },
    { "GET", API "/conversions", API_SCOPE(TRACKER_SCOPE_CONVERSIONS_READ) | TAKES_QUERY, partner_conversions, NULL },
    { "GET", API "/stats", API_SCOPE(TRACKER_SCOPE_STATS_READ) | TAKES_QUERY, partner_stats_show, NULL },
    { "POST", API "/autologin", API_SCOPE(TRACKER_SCOPE_AUTOLOGIN), partner_autologin_redeem, NULL },

    { "POST", PORTAL "/session", ACCESS_PUBLIC, portal_login, NULL },
    { "GET", PORTAL "/session", ACCESS_AFFILIATE, portal_show, NULL },
    { "DELETE", PORTAL "/session", ACCESS_AFFILIATE, portal_logout, NULL },
    { "GET", PORTAL "/dashboard", ACCESS_AFFILIATE | TAKES_QUERY, portal_dashboard_show, NULL },
    { "GET", PORTAL "/leads", ACCESS_AFFILIATE | TAKES_QUERY, resource_list, &portal_leads },
    { "GET", PORTAL "/leads/{id}", ACCESS_AFFILIATE, resource_get, &portal_leads },
    { "GET", PORTAL "/leads_log", ACCESS_AFFILIATE | TAKES_QUERY, resource_list, &portal_log },
    { "GET", PORTAL "/forms", ACCESS_AFFILIATE | TAKES_QUERY, resource_list, &portal_forms },
    { "GET", PORTAL "/forms/{id}", ACCESS_AFFILIATE, resource_get, &portal_forms },
    { "GET", PORTAL "/links", ACCESS_AFFILIATE | TAKES_QUERY, resource_list, &portal_links },
    { "GET", PORTAL "/links/{id}", ACCESS_AFFILIATE, resource_get, &portal_links },

    { "GET", ADMIN "/outbox", ACCESS_ADMIN | TAKES_QUERY, resource_list, &outbox },
    { "GET", ADMIN "/outbox/{id}", ACCESS_ADMIN, resource_get, &outbox },
    { "POST", ADMIN "/outbox/{id}/resend", ACCESS_ADMIN, outbox_resend_one, &outbox },

    { NULL, NULL, 0, NULL, NULL },
};

json_t *
http_routes(void)
{
    static const char *const names[] = { "admin", "finance", "manager", "agent", "viewer", "affiliate" };
    json_t                  *routes = json_array(), *roles;

    for (const struct http_route *route = http_route_table; route->method != NULL; route++) {
        roles = json_array();
        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (route->access & (1u << i))
                json_array_append_new(roles, json_string(names[i]));
        }
        if (route->access & ACCESS_PUBLIC)
            json_array_append_new(roles, json_string("public"));
        if (route->access & ACCESS_API)
            json_array_append_new(roles, json_string("api_user"));
        json_array_append_new(routes, json_pack("{s:s, s:s, s:o}", "method", route->method, "path", route->pattern,
                                                "roles", roles));
    }
    return routes;
}
