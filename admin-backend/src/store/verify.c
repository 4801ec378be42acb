#include "store/verify.h"

#include "store/plan.h"
#include "tracker_event.h"

/* An unsealed transaction, or a journal's count, is no violation while it may still be on its way. */
#define SEAL_WITHIN_US "300000000"

/*
 * Corrupt amounts must not overflow the sums that show them: what is out of bounds counts as 0 here, and is
 * named by 5.
 */
#define MINOR_MAX     "1000000000000000"
#define AMOUNT(x)     "CASE WHEN " x " BETWEEN -" MINOR_MAX " AND " MINOR_MAX " THEN " x " ELSE 0 END"
#define SUM(x)        "CAST(COALESCE(SUM(" AMOUNT(x) "), 0) AS BIGINT)"
#define SUM_OF(x, of) "CAST(COALESCE(SUM(CASE WHEN " of " THEN " AMOUNT(x) " ELSE 0 END), 0) AS BIGINT)"

/* Clicks and views that are recorded and not counted. */
#define UNCOUNTED(flags) "(" flags " & 3928) <> 0"
_Static_assert(TRACKER_CLICK_UNCOUNTED == 3928, "keep UNCOUNTED in step");

/* Those of a lead were no record of their own. */
#define SAID_FACTS "(SELECT journal_id, seq FROM conversion_facts WHERE lead_id IS NULL)"

/* Every amount there is, with its currency and how to find it. */
#define AMOUNTS                                                                                                      \
    "(SELECT 'ledger leg ' || transaction_id || '/' || leg AS what, 'ledger_legs' AS place, amount_minor, currency"   \
    "  FROM ledger_legs"                                                                                             \
    " UNION ALL SELECT 'ledger account ' || id, 'ledger_accounts', balance_minor, currency FROM ledger_accounts"     \
    "  WHERE balance_minor IS NOT NULL"                                                                              \
    " UNION ALL SELECT 'commission ' || id, 'commissions', amount_minor, currency FROM commissions"                  \
    " UNION ALL SELECT 'the basis of commission ' || id, 'commissions', basis_minor, currency FROM commissions"      \
    "  WHERE basis_minor IS NOT NULL"                                                                                \
    " UNION ALL SELECT 'payout ' || id, 'payouts', amount_minor, currency FROM payouts"                              \
    " UNION ALL SELECT 'the minimum of payout ' || id, 'payouts', minimum_minor, currency FROM payouts"              \
    " UNION ALL SELECT 'referral ' || id, 'referrals', amount_minor, currency FROM referrals"                        \
    "  WHERE amount_minor IS NOT NULL OR currency IS NOT NULL"                                                       \
    " UNION ALL SELECT 'conversion ' || id, 'conversions', amount_minor, currency FROM conversions"                  \
    "  WHERE amount_minor IS NOT NULL OR currency IS NOT NULL"                                                       \
    " UNION ALL SELECT 'plan ' || id, 'plans', amount_minor, currency FROM plans"                                    \
    "  WHERE amount_minor IS NOT NULL OR currency IS NOT NULL) x"

/*
 * What each object's transactions moved on the accounts of affiliates; `strange`: of another one, or another
 * currency.
 */
#define POSTED(object, columns)                                                                                      \
    "(SELECT t.object_id AS id, " columns                                                                            \
    "  SUM(CASE WHEN a.affiliate_id <> o.affiliate_id OR l.currency <> o.currency THEN 1 ELSE 0 END) AS strange"      \
    "  FROM " object "s o JOIN ledger_transactions t ON t.object_type = '" object "' AND t.object_id = o.id"          \
    "  JOIN ledger_legs l ON l.transaction_id = t.id"                                                                \
    "  JOIN ledger_accounts a ON a.id = l.account_id AND a.affiliate_id IS NOT NULL GROUP BY t.object_id)"
#define ON(account) SUM_OF("l.amount_minor", "a.name = '" account "'") " AS on_" account ","

static const struct {
    int         invariant;
    bool        now;  /* $1 is the time */
    const char *sql;  /* one column: text */
} queries[] = {
    /* ---- the ledger by itself ---- */

    { 1, false,
      "SELECT 'ledger transaction ' || t.id || ' has ' || COUNT(l.leg) || ' legs in ' || COUNT(DISTINCT l.currency)"
      " || ' currencies, with the sum ' || " SUM("l.amount_minor") " AS text"
      " FROM ledger_transactions t LEFT JOIN ledger_legs l ON l.transaction_id = t.id GROUP BY t.id"
      " HAVING COUNT(l.leg) < 2 OR COUNT(DISTINCT l.currency) <> 1 OR " SUM("l.amount_minor") " <> 0"
      " OR SUM(CASE WHEN l.amount_minor = 0 THEN 1 ELSE 0 END) > 0 ORDER BY t.id" },
    { 1, false,
      "SELECT 'ledger leg ' || l.transaction_id || '/' || l.leg || ' is in ' || l.currency || ' on an account in '"
      " || a.currency AS text FROM ledger_legs l JOIN ledger_accounts a ON a.id = l.account_id"
      " WHERE a.currency <> l.currency ORDER BY l.transaction_id, l.leg" },
    { 2, false,
      "SELECT 'all legs in ' || currency || ' sum to ' || " SUM("amount_minor") " AS text FROM ledger_legs"
      " GROUP BY currency HAVING " SUM("amount_minor") " <> 0 ORDER BY currency" },
    { 3, false,
      "SELECT 'account ' || a.id || ' (' || a.name || ' of affiliate ' || a.affiliate_id || ', ' || a.currency"
      " || ') says ' || COALESCE(CAST(a.balance_minor AS TEXT), 'nothing') || ', its legs say '"
      " || " SUM("l.amount_minor") " AS text"
      " FROM ledger_accounts a LEFT JOIN ledger_legs l ON l.account_id = a.id WHERE a.affiliate_id IS NOT NULL"
      " GROUP BY a.id, a.name, a.affiliate_id, a.currency, a.balance_minor"
      " HAVING a.balance_minor IS NULL OR a.balance_minor <> " SUM("l.amount_minor") " ORDER BY a.id" },
    { 3, false,
      "SELECT 'account ' || id || ' of the program caches a balance' AS text FROM ledger_accounts"
      " WHERE affiliate_id IS NULL AND balance_minor IS NOT NULL ORDER BY id" },
    { 4, true,
      "SELECT 'ledger transaction ' || id || ' has been unsealed for more than five minutes' AS text"
      " FROM ledger_transactions WHERE number IS NULL AND at_us < CAST($1 AS BIGINT) - " SEAL_WITHIN_US " ORDER BY id" },
    { 4, false,
      "SELECT 'ledger transaction ' || id || ' has a number or a hash without the other' AS text"
      " FROM ledger_transactions WHERE (number IS NULL) <> (hash IS NULL) ORDER BY id" },

    /* ---- rows by themselves ---- */

    { 5, false,
      "SELECT what || ' amounts to ' || COALESCE(CAST(amount_minor AS TEXT), 'nothing') || ' ' || COALESCE(currency, "
      "'of no currency') AS text FROM " AMOUNTS " WHERE amount_minor IS NULL OR currency IS NULL"
      " OR amount_minor NOT BETWEEN -" MINOR_MAX " AND " MINOR_MAX },
    { 6, false,
      "SELECT 'conversions ' || MIN(id) || ' and ' || MAX(id) || ' are the same event ' || event || ', transaction '"
      " || txid AS text FROM conversions GROUP BY program_id, event, txid HAVING COUNT(*) > 1 ORDER BY MIN(id)" },
    { 6, false,
      "SELECT 'conversions ' || MIN(id) || ' and ' || MAX(id) || ' come from the same record' AS text"
      " FROM conversions GROUP BY journal_id, seq HAVING COUNT(*) > 1 ORDER BY MIN(id)" },
    { 6, false,
      "SELECT 'referrals ' || MIN(id) || ' and ' || MAX(id) || ' are of the same conversion and affiliate' AS text"
      " FROM referrals WHERE conversion_id IS NOT NULL AND superseded = 0 GROUP BY conversion_id, affiliate_id"
      " HAVING COUNT(*) > 1 ORDER BY MIN(id)" },
    { 6, false,
      "SELECT 'refunds ' || MIN(id) || ' and ' || MAX(id) || ' of conversion ' || conversion_id || ' are the same one, '"
      " || refund_id AS text FROM refunds GROUP BY conversion_id, refund_id HAVING COUNT(*) > 1 ORDER BY MIN(id)" },
    { 6, false,
      "SELECT 'commissions ' || MIN(id) || ' and ' || MAX(id) || ' are the same one' AS text FROM commissions"
      " GROUP BY conversion_id, affiliate_id, component, level, period, kind, revision HAVING COUNT(*) > 1"
      " ORDER BY MIN(id)" },

    { 8, false,
      "SELECT 'the shares of conversion ' || conversion_id || ' sum to ' || SUM(share_ppm) || ' millionths of it' AS text"
      " FROM referrals WHERE conversion_id IS NOT NULL AND superseded = 0 GROUP BY conversion_id"
      " HAVING SUM(share_ppm) <> 1000000 OR COUNT(*) > 2 OR COUNT(*) <> COUNT(DISTINCT part) ORDER BY conversion_id" },
    { 8, false,
      "SELECT 'commission ' || c.id || ' is of ' || c.share_ppm || ' millionths, part ' || c.part || ', its referral of '"
      " || r.share_ppm || ', part ' || r.part AS text FROM commissions c JOIN referrals r ON r.id = c.referral_id"
      " WHERE c.share_ppm <> r.share_ppm OR c.part <> r.part ORDER BY c.id" },
    { 8, false,
      "SELECT 'the parts of customer ' || customer || ' sum to ' || SUM(share_ppm) || ' millionths of him' AS text"
      " FROM customers GROUP BY program_id, customer HAVING SUM(share_ppm) <> 1000000 ORDER BY customer" },
    /* Of one plan and rate the parts are the whole's, to the last unit; what is wrong with each alone is 7's to say. */
    { 8, false,
      "SELECT 'commissions ' || a.id || ' and ' || b.id || ' of conversion ' || a.conversion_id || ' are of '"
      " || a.amount_minor || ' and ' || b.amount_minor || ', their shares of ' || a.share_ppm || ' and ' || b.share_ppm"
      " AS text FROM commissions a JOIN commissions b ON b.conversion_id = a.conversion_id AND b.part = 1"
      "  AND b.kind = a.kind AND b.plan_id = a.plan_id AND COALESCE(b.rate_ppm, -1) = COALESCE(a.rate_ppm, -1)"
      "  AND b.currency = a.currency JOIN referrals ra ON ra.id = a.referral_id AND ra.superseded = 0"
      " JOIN referrals rb ON rb.id = b.referral_id AND rb.superseded = 0"
      " WHERE a.part = 0 AND a.kind = 'commission' AND a.share_ppm + b.share_ppm = 1000000"
      " AND a.amount_minor BETWEEN 0 AND 1000000000 AND b.amount_minor BETWEEN 0 AND 1000000000"
      " AND ABS(a.amount_minor * b.share_ppm - b.amount_minor * a.share_ppm) >= 1000000 ORDER BY a.id" },

    /* ---- states, histories, postings ---- */

    { 9, false,
      "SELECT x.what || ' ' || x.id || ' is ' || x.status || ', its history ends with '"
      " || COALESCE(s.to_state, 'nothing') AS text FROM"
      " (SELECT 'referral' AS what, id, status FROM referrals UNION ALL SELECT 'commission', id, status FROM commissions"
      "  UNION ALL SELECT 'payout', id, status FROM payouts) x"
      " LEFT JOIN state_changes s ON s.id = (SELECT MAX(y.id) FROM state_changes y"
      "  WHERE y.object_type = x.what AND y.object_id = x.id)"
      " WHERE s.to_state IS NULL OR s.to_state <> x.status" },
    { 9, false,
      "SELECT 'a history of ' || s.object_type || ' ' || s.object_id || ', which does not exist' AS text"
      " FROM state_changes s LEFT JOIN referrals r ON s.object_type = 'referral' AND r.id = s.object_id"
      " LEFT JOIN commissions c ON s.object_type = 'commission' AND c.id = s.object_id"
      " LEFT JOIN payouts p ON s.object_type = 'payout' AND p.id = s.object_id"
      " WHERE COALESCE(r.id, c.id, p.id) IS NULL GROUP BY s.object_type, s.object_id" },
    { 10, false,
      "SELECT 'commission ' || c.id || ' is ' || c.status || ' with ' || c.amount_minor || ' ' || c.currency"
      " || ', its postings made pending ' || COALESCE(p.on_pending, 0) || ' and payable ' || COALESCE(p.on_payable, 0)"
      " AS text FROM commissions c LEFT JOIN " POSTED("commission", ON("pending") ON("payable")) " p ON p.id = c.id"
      " WHERE COALESCE(p.on_pending, 0) <> CASE WHEN c.status = 'pending' THEN -c.amount_minor ELSE 0 END"
      " OR COALESCE(p.on_payable, 0) <> CASE WHEN c.status IN ('approved', 'in_payout', 'paid') THEN -c.amount_minor"
      "  ELSE 0 END OR p.strange > 0 OR p.id IS NULL ORDER BY c.id" },
    { 10, false,
      "SELECT 'payout ' || o.id || ' is ' || o.status || ' with ' || o.amount_minor || ' ' || o.currency"
      " || ', its postings made payable ' || COALESCE(p.on_payable, 0) || ', in transit '"
      " || COALESCE(p.on_in_transit, 0) || ' and paid ' || COALESCE(p.on_paid, 0) AS text FROM payouts o"
      " LEFT JOIN " POSTED("payout", ON("payable") ON("in_transit") ON("paid")) " p ON p.id = o.id"
      " WHERE COALESCE(p.on_payable, 0) <> CASE WHEN o.status = 'cancelled' THEN 0 ELSE o.amount_minor END"
      " OR COALESCE(p.on_in_transit, 0) <> CASE WHEN o.status IN ('draft', 'pending') THEN -o.amount_minor ELSE 0 END"
      " OR COALESCE(p.on_paid, 0) <> CASE WHEN o.status = 'paid' THEN -o.amount_minor ELSE 0 END"
      " OR p.strange > 0 OR p.id IS NULL ORDER BY o.id" },
    { 10, false,
      "SELECT 'ledger transaction ' || t.id || ' is of ' || t.object_type || ' ' || t.object_id"
      " || ', which does not exist' AS text FROM ledger_transactions t"
      " LEFT JOIN commissions c ON t.object_type = 'commission' AND c.id = t.object_id"
      " LEFT JOIN payouts p ON t.object_type = 'payout' AND p.id = t.object_id"
      " WHERE COALESCE(c.id, p.id) IS NULL ORDER BY t.id" },
    { 10, false,
      "SELECT 'commission ' || c.id || ' is ' || c.status || ', and in ' || COALESCE(i.paid, 0)"
      " || ' paid and ' || COALESCE(i.open, 0) || ' open payouts' AS text FROM commissions c LEFT JOIN"
      " (SELECT i.commission_id AS id, SUM(CASE WHEN p.status = 'paid' THEN 1 ELSE 0 END) AS paid,"
      "  SUM(CASE WHEN p.status IN ('draft', 'pending') THEN 1 ELSE 0 END) AS open"
      "  FROM payout_items i JOIN payouts p ON p.id = i.payout_id GROUP BY i.commission_id) i ON i.id = c.id"
      " WHERE COALESCE(i.paid, 0) <> CASE WHEN c.status = 'paid' THEN 1 ELSE 0 END"
      " OR COALESCE(i.open, 0) <> CASE WHEN c.status = 'in_payout' THEN 1 ELSE 0 END ORDER BY c.id" },

    /* ---- payouts ---- */

    { 11, false,
      "SELECT 'commission ' || i.commission_id || ' is in ' || COUNT(*) || ' live payouts' AS text FROM payout_items i"
      " JOIN payouts p ON p.id = i.payout_id WHERE i.live = 1 OR p.status <> 'cancelled'"
      " GROUP BY i.commission_id HAVING COUNT(*) > 1 ORDER BY i.commission_id" },
    { 11, false,
      "SELECT 'payout ' || p.id || ' is ' || p.status || ', its item of commission ' || i.commission_id || ' is '"
      " || CASE WHEN i.live = 1 THEN 'live' ELSE 'not' END AS text"
      " FROM payout_items i JOIN payouts p ON p.id = i.payout_id WHERE (i.live = 1) <> (p.status <> 'cancelled')"
      " ORDER BY p.id, i.commission_id" },
    { 12, false,
      "SELECT 'payout ' || p.id || ' is of ' || p.amount_minor || ' ' || p.currency || ', its ' || COUNT(i.commission_id)"
      " || ' items sum to ' || " SUM("i.amount_minor") " AS text"
      " FROM payouts p LEFT JOIN payout_items i ON i.payout_id = p.id GROUP BY p.id, p.amount_minor, p.currency"
      " HAVING p.amount_minor <> " SUM("i.amount_minor") " OR p.amount_minor <= 0 ORDER BY p.id" },
    { 12, false,
      "SELECT 'payout ' || p.id || ' of affiliate ' || p.affiliate_id || ' in ' || p.currency || ' holds ' || i.amount_minor"
      " || ' for commission ' || c.id || ', which is ' || c.amount_minor || ' ' || c.currency || ' of affiliate '"
      " || c.affiliate_id AS text FROM payout_items i JOIN payouts p ON p.id = i.payout_id"
      " JOIN commissions c ON c.id = i.commission_id WHERE i.amount_minor <> c.amount_minor OR c.currency <> p.currency"
      " OR c.affiliate_id <> p.affiliate_id ORDER BY p.id, c.id" },
    { 12, false,
      "SELECT 'payout ' || id || ' of ' || amount_minor || ' ' || currency || ' is below its minimum of '"
      " || minimum_minor AS text FROM payouts WHERE amount_minor < minimum_minor ORDER BY id" },
    { 13, false,
      "SELECT 'payouts ' || MIN(id) || ' and ' || MAX(id) || ' carry the reference ' || reference AS text FROM payouts"
      " WHERE reference IS NOT NULL GROUP BY reference HAVING COUNT(*) > 1 ORDER BY MIN(id)" },
    { 13, false,
      "SELECT 'payout ' || id || ' is ' || status || CASE WHEN status = 'paid' THEN ' without' ELSE ' with' END"
      " || ' a reference or a time of payment' AS text FROM payouts WHERE CASE WHEN status = 'paid'"
      " THEN COALESCE(reference, '') = '' OR paid_at_us IS NULL"
      " ELSE reference IS NOT NULL OR paid_at_us IS NOT NULL END ORDER BY id" },

    /* ---- sums ---- */

    { 14, false,
      "SELECT 'affiliate ' || affiliate_id || ' has commissions and postings that differ by ' || " SUM("minor")
      " || ' ' || currency || ' in ' || account AS text FROM"
      " (SELECT a.affiliate_id AS affiliate_id, a.currency AS currency, a.name AS account, l.amount_minor AS minor"
      "  FROM ledger_accounts a JOIN ledger_legs l ON l.account_id = a.id WHERE a.affiliate_id IS NOT NULL"
      "  UNION ALL SELECT affiliate_id, currency, CASE status WHEN 'pending' THEN 'pending' WHEN 'approved' THEN 'payable'"
      "   WHEN 'in_payout' THEN 'in_transit' ELSE 'paid' END, amount_minor FROM commissions WHERE status <> 'rejected') x"
      " GROUP BY affiliate_id, currency, account HAVING " SUM("minor") " <> 0 ORDER BY affiliate_id, currency, account" },
#define ADJUSTED                                                                                                     \
    "(SELECT COALESCE(SUM(r.amount_minor), 0) FROM commissions r WHERE r.reverses_id = c.id AND r.status <> 'rejected')"
    { 15, false,
      "SELECT 'commission ' || c.id || ' of ' || c.amount_minor || ' ' || c.currency || ' is adjusted by ' || " ADJUSTED
      " AS text FROM commissions c WHERE c.kind = 'commission' AND c.status <> 'rejected'"
      " AND (c.amount_minor + " ADJUSTED " < 0 OR " ADJUSTED " > 0) ORDER BY c.id" },
    { 15, false,
      "SELECT 'commission ' || c.id || ' is rejected and still adjusted by ' || " ADJUSTED " || ' ' || c.currency AS text"
      " FROM commissions c WHERE c.kind = 'commission' AND c.status = 'rejected' AND " ADJUSTED " <> 0 ORDER BY c.id" },
    { 15, false,
      "SELECT 'commission ' || r.id || ' is a ' || r.kind || ' that does not follow from ' || COALESCE('commission '"
      " || c.id, 'any commission') AS text FROM commissions r LEFT JOIN commissions c ON c.id = r.reverses_id"
      " WHERE (r.kind <> 'commission') <> (r.reverses_id IS NOT NULL) OR (r.kind <> 'commission' AND (c.id IS NULL"
      " OR c.kind <> 'commission' OR c.affiliate_id <> r.affiliate_id OR c.referral_id <> r.referral_id"
      " OR c.currency <> r.currency)) ORDER BY r.id" },
    { 16, false,
      "SELECT 'conversion ' || v.id || ' of ' || COALESCE(v.amount_minor || ' ' || v.currency, 'no amount') || ' has refunds of '"
      " || " SUM("f.amount_minor") " || ' applied' AS text FROM conversions v JOIN refunds f ON f.conversion_id = v.id"
      " AND f.state = 'applied' GROUP BY v.id, v.amount_minor, v.currency HAVING " SUM("f.amount_minor")
      " > COALESCE(v.amount_minor, 0) ORDER BY v.id" },
    { 16, false,
      "SELECT 'refund ' || f.id || ' of ' || COALESCE(f.amount_minor || ' ' || f.currency, 'all') || ' is ' || f.state"
      " || ', its order is of ' || COALESCE(v.amount_minor || ' ' || v.currency, 'no amount') AS text"
      " FROM refunds f JOIN conversions v ON v.id = f.conversion_id WHERE f.state <> 'held'"
      " AND ((f.amount_minor IS NULL AND COALESCE(v.amount_minor, 0) <> 0) OR (f.amount_minor IS NOT NULL"
      "  AND (f.amount_minor <= 0 OR v.currency IS NULL OR v.currency <> f.currency))"
      "  OR (f.state = 'won' AND f.kind <> 'chargeback')) ORDER BY f.id" },
    { 16, false,
      "SELECT 'refund ' || f.id || ' of conversion ' || f.conversion_id || ' is held, and nobody is asked to look at it'"
      " AS text FROM refunds f WHERE f.state = 'held' AND NOT EXISTS (SELECT 1 FROM conversion_conflicts x"
      "  WHERE x.conversion_id = f.conversion_id AND x.journal_id = f.journal_id AND x.seq = f.seq) ORDER BY f.id" },
    { 16, false,
      "SELECT 'refund ' || f.id || ' leads to no record of its own: ' || f.journal_id || ':' || f.seq AS text"
      " FROM refunds f LEFT JOIN conversion_facts x ON x.journal_id = f.journal_id AND x.seq = f.seq"
      " WHERE x.seq IS NULL OR x.conversion_id IS NULL OR x.conversion_id <> f.conversion_id OR x.status < 3"
      " ORDER BY f.id" },
    { 17, false,
      "SELECT 'commission ' || id || ', a ' || kind || ', is of ' || amount_minor || ' ' || currency AS text"
      " FROM commissions WHERE (kind = 'commission' AND amount_minor <= 0) OR (kind = 'reversal' AND amount_minor >= 0)"
      " OR (kind = 'reinstatement' AND amount_minor <= 0)"
      " ORDER BY id" },
    { 17, false,
      "SELECT 'affiliate ' || a.affiliate_id || ' owes us ' || " SUM("l.amount_minor") " || ' ' || a.currency"
      " || ' in ' || a.name || ' without a reversal' AS text FROM ledger_accounts a"
      " JOIN ledger_legs l ON l.account_id = a.id WHERE a.affiliate_id IS NOT NULL AND NOT EXISTS"
      " (SELECT 1 FROM commissions c WHERE c.affiliate_id = a.affiliate_id AND c.currency = a.currency"
      "  AND c.kind = 'reversal') GROUP BY a.id, a.affiliate_id, a.currency, a.name"
      " HAVING " SUM("l.amount_minor") " > 0 ORDER BY a.id" },
    { 17, false,
      "SELECT 'payout ' || id || ' is of ' || amount_minor || ' ' || currency AS text FROM payouts"
      " WHERE amount_minor <= 0 ORDER BY id" },

    /* ---- the edges of the system ---- */

    { 18, false,
      "SELECT 'key ' || key || ' of ' || actor || ' is kept ' || COUNT(*) || ' times' AS text FROM idempotency_keys"
      " GROUP BY actor, key HAVING COUNT(*) > 1 ORDER BY actor, key" },
    { 18, false,
      "SELECT 'key ' || key || ' of ' || actor || ' has no hash of its request, or no answer' AS text"
      " FROM idempotency_keys WHERE length(request_hash) <> 32 OR body NOT LIKE '{%}' OR key = '' OR actor = ''"
      " ORDER BY actor, key" },
    { 19, false,
      "SELECT 'journal ' || id || ' has passed ' || (next_seq - 1) || ' records: ' || committed || ' committed, '"
      " || quarantined || ' quarantined, ' || lost || ' lost' AS text FROM journals"
      " WHERE committed + quarantined + lost <> next_seq - 1 OR committed < 0 OR quarantined < 0 OR lost < 0"
      " OR dropped < 0 OR rolled_seq > next_seq ORDER BY id" },
    { 19, false,
      "SELECT 'journal ' || j.id || ' counts ' || j.committed || ' committed records, there are ' || COALESCE(x.n, 0)"
      " || ', and ' || j.forgotten || ' were forgotten' AS text"
      " FROM journals j LEFT JOIN (SELECT journal_id, SUM(n) AS n FROM"
      "  (SELECT journal_id, COUNT(*) AS n FROM clicks GROUP BY journal_id UNION ALL"
      "   SELECT journal_id, COUNT(*) AS n FROM impressions GROUP BY journal_id UNION ALL"
      "   SELECT journal_id, COUNT(*) AS n FROM " SAID_FACTS " f GROUP BY journal_id UNION ALL"
      "   SELECT journal_id, COUNT(*) AS n FROM lead_facts GROUP BY journal_id UNION ALL"
      "   SELECT journal_id, COUNT(*) AS n FROM api_calls GROUP BY journal_id) y GROUP BY journal_id) x"
      " ON x.journal_id = j.id WHERE j.committed <> COALESCE(x.n, 0) + j.forgotten OR j.forgotten < 0 ORDER BY j.id" },
    { 19, false,
      "SELECT 'journal ' || j.id || ' counts ' || j.lost || ' lost records, its gaps hold ' || COALESCE(g.n, 0) AS text"
      " FROM journals j LEFT JOIN (SELECT journal_id, SUM(to_seq - from_seq) AS n FROM journal_gaps GROUP BY journal_id) g"
      " ON g.journal_id = j.id WHERE j.lost <> COALESCE(g.n, 0) ORDER BY j.id" },
    { 19, false,
      "SELECT 'journal ' || j.id || ' counts ' || j.quarantined || ' quarantined records, there are ' || COALESCE(q.n, 0)"
      " AS text FROM journals j LEFT JOIN (SELECT journal_id, SUM(count) AS n FROM quarantine"
      "  WHERE reason <> 'journal_forked' GROUP BY journal_id) q ON q.journal_id = j.id"
      " WHERE j.quarantined <> COALESCE(q.n, 0) ORDER BY j.id" },
    { 19, false,
      "SELECT 'record ' || x.journal_id || ':' || x.last || ' belongs to no journal, or lies beyond its end' AS text"
      " FROM (SELECT journal_id, MAX(seq) AS last FROM clicks GROUP BY journal_id UNION ALL"
      "  SELECT journal_id, MAX(seq) FROM impressions GROUP BY journal_id UNION ALL"
      "  SELECT journal_id, MAX(seq) FROM " SAID_FACTS " f GROUP BY journal_id UNION ALL"
      "  SELECT journal_id, MAX(seq) FROM lead_facts GROUP BY journal_id UNION ALL"
      "  SELECT journal_id, MAX(seq) FROM api_calls GROUP BY journal_id) x"
      " LEFT JOIN journals j ON j.id = x.journal_id WHERE j.id IS NULL OR x.last >= j.next_seq ORDER BY x.journal_id" },
    { 19, false,
      "SELECT 'the gap ' || g.from_seq || ' to ' || g.to_seq || ' of journal ' || g.journal_id || ' is empty, or lies"
      " beyond its end' AS text FROM journal_gaps g LEFT JOIN journals j ON j.id = g.journal_id"
      " WHERE j.id IS NULL OR g.from_seq < 1 OR g.from_seq >= g.to_seq OR g.to_seq > j.next_seq"
      " ORDER BY g.journal_id, g.from_seq" },
    /* What counts is the latest verdict on a click. */
    { 19, false,
      "SELECT 'day ' || day || ' of affiliate ' || affiliate_id || ', link ' || link_id || ' counts wrongly: ' || SUM(clicks)"
      " || ' clicks, ' || SUM(uniques) || ' uniques, ' || SUM(marked) || ' marked, ' || SUM(impressions)"
      " || ' impressions too many' AS text FROM"
      " (SELECT day, affiliate_id, campaign_id, link_id, clicks, uniques, marked, impressions FROM click_stats UNION ALL"
      "  SELECT c.time_ms / 86400000, c.affiliate_id, c.campaign_id, c.link_id,"
      "   -SUM(CASE WHEN " UNCOUNTED("COALESCE(v.flags, c.flags)") " THEN 0 ELSE 1 END),"
      "   -SUM(CASE WHEN " UNCOUNTED("COALESCE(v.flags, c.flags)") " OR (COALESCE(v.flags, c.flags) & 1) <> 0 THEN 0 ELSE 1"
      "    END), -SUM(CASE WHEN " UNCOUNTED("COALESCE(v.flags, c.flags)") " THEN 1 ELSE 0 END), 0"
      "   FROM clicks c JOIN journals j ON j.id = c.journal_id AND c.seq < j.rolled_seq"
      "   LEFT JOIN click_verdicts v ON v.journal_id = c.journal_id AND v.seq = c.seq"
      "   GROUP BY c.time_ms / 86400000, c.affiliate_id, c.campaign_id, c.link_id UNION ALL"
      "  SELECT i.time_ms / 86400000, i.affiliate_id, i.campaign_id, i.link_id, 0, 0, 0,"
      "   -SUM(CASE WHEN " UNCOUNTED("i.flags") " THEN 0 ELSE 1 END)"
      "   FROM impressions i JOIN journals j ON j.id = i.journal_id AND i.seq < j.rolled_seq"
      "   GROUP BY i.time_ms / 86400000, i.affiliate_id, i.campaign_id, i.link_id) x"
      " GROUP BY day, affiliate_id, campaign_id, link_id"
      " HAVING SUM(clicks) <> 0 OR SUM(uniques) <> 0 OR SUM(marked) <> 0 OR SUM(impressions) <> 0"
      " ORDER BY day, affiliate_id, link_id" },
    { 19, false,
      "SELECT 'the verdict on ' || v.journal_id || ':' || v.seq || ' has no click, or says nothing new' AS text"
      " FROM click_verdicts v LEFT JOIN clicks c ON c.journal_id = v.journal_id AND c.seq = v.seq"
      " WHERE c.seq IS NULL OR c.flags = v.flags ORDER BY v.journal_id, v.seq" },
    { 20, false,
      "SELECT 'commission ' || c.id || ' does not belong to the conversion, program or affiliate of referral '"
      " || c.referral_id AS text FROM commissions c LEFT JOIN referrals r ON r.id = c.referral_id"
      " LEFT JOIN conversions v ON v.id = c.conversion_id WHERE r.id IS NULL OR v.id IS NULL"
      " OR r.conversion_id IS NULL OR r.conversion_id <> c.conversion_id OR r.affiliate_id <> c.affiliate_id"
      " OR r.program_id <> c.program_id OR v.program_id <> c.program_id ORDER BY c.id" },
    { 20, false,
      "SELECT 'conversion ' || v.id || ' leads to no record of its own: ' || v.journal_id || ':' || v.seq AS text"
      " FROM conversions v LEFT JOIN conversion_facts f ON f.journal_id = v.journal_id AND f.seq = v.seq"
      " WHERE f.seq IS NULL OR f.conversion_id IS NULL OR f.conversion_id <> v.id ORDER BY v.id" },
    /* What derivation created needs no audit row: the fact it was made of says who caused it. */
    { 21, false,
      "SELECT 'nobody is on record for ' || s.object_type || ' ' || s.object_id || ' becoming ' || s.to_state AS text"
      " FROM state_changes s WHERE NOT (s.from_state IS NULL AND s.actor = 'system') AND NOT EXISTS"
      " (SELECT 1 FROM audit_log w WHERE w.object_type = s.object_type AND w.object_id = CAST(s.object_id AS TEXT)"
      "  AND w.at_us = s.at_us AND w.actor = s.actor)"
      " AND NOT (s.object_type = 'commission' AND EXISTS (SELECT 1 FROM commissions c JOIN audit_log w"
      "  ON w.object_type = 'commission' AND w.object_id = CAST(c.reverses_id AS TEXT)"
      "  WHERE c.id = s.object_id AND w.at_us = s.at_us AND w.actor = s.actor))"
      " AND NOT (s.object_type = 'commission' AND EXISTS (SELECT 1 FROM commissions c JOIN audit_log w"
      "  ON w.object_type = 'referral' AND w.object_id = CAST(c.referral_id AS TEXT)"
      "  WHERE c.id = s.object_id AND w.at_us = s.at_us AND w.actor = s.actor))"
      " AND NOT (s.object_type = 'commission' AND EXISTS (SELECT 1 FROM payout_items i JOIN audit_log w"
      "  ON w.object_type = 'payout' AND w.object_id = CAST(i.payout_id AS TEXT)"
      "  WHERE i.commission_id = s.object_id AND w.at_us = s.at_us AND w.actor = s.actor)) ORDER BY s.id" },
    /* ---- people who were erased, and leads ---- */

    { 22, false,
      "SELECT 'lead ' || id || ' was erased and still says whose it was' AS text FROM leads"
      " WHERE erased_us IS NOT NULL AND (email <> '' OR email_key IS NOT NULL OR phone <> '' OR phone_key IS NOT NULL"
      "  OR first_name <> '' OR last_name <> '' OR fields <> '{}' OR idempotency_key IS NOT NULL) ORDER BY id" },
    { 22, false,
      "SELECT 'the record ' || f.journal_id || ':' || f.seq || ' of the erased lead ' || l.id || ' still says whose it was'"
      " AS text FROM leads l JOIN lead_log x ON x.lead_id = l.id"
      " LEFT JOIN lead_facts f ON f.journal_id = x.journal_id AND f.seq = x.seq WHERE l.erased_us IS NOT NULL"
      " AND (x.email <> '' OR COALESCE(f.fields, '{}') <> '{}' OR f.ip IS NOT NULL OR f.user_agent IS NOT NULL)"
      " ORDER BY f.journal_id, f.seq" },
    { 22, false,
      "SELECT 'trader ' || id || ' was erased and still has a name, an address or a password' AS text FROM traders"
      " WHERE state = 'erased' AND (email <> '' OR email_key <> '' OR phone <> '' OR phone_key IS NOT NULL"
      "  OR first_name <> '' OR last_name <> '' OR password_hash IS NOT NULL) ORDER BY id" },

    { 24, false,
      "SELECT 'the record ' || f.journal_id || ':' || f.seq || ' of a lead became ' || f.outcome || ', the log says '"
      " || COALESCE(x.verdict, 'nothing') AS text FROM lead_facts f"
      " LEFT JOIN lead_log x ON x.journal_id = f.journal_id AND x.seq = f.seq"
      " WHERE f.outcome IS NOT NULL AND (x.id IS NULL OR x.verdict <> f.outcome OR x.uid <> f.lead_uid)"
      " ORDER BY f.journal_id, f.seq" },
    { 24, false,
      "SELECT 'line ' || x.id || ' of the leads log has no record, or one that is not decided' AS text FROM lead_log x"
      " LEFT JOIN lead_facts f ON f.journal_id = x.journal_id AND f.seq = x.seq"
      " WHERE x.kind <> 'manual' AND f.outcome IS NULL ORDER BY x.id" },
    { 24, true,
      "SELECT 'the record ' || journal_id || ':' || seq || ' of a lead was never decided' AS text FROM lead_facts"
      " WHERE outcome IS NULL AND received_ms < CAST($1 AS BIGINT) / 1000 - 300000 ORDER BY journal_id, seq" },
    { 24, false,
      "SELECT 'the record ' || f.journal_id || ':' || f.seq || ' became a lead, there are ' || COUNT(l.id) AS text"
      " FROM lead_facts f LEFT JOIN leads l ON l.journal_id = f.journal_id AND l.seq = f.seq AND l.uid = f.lead_uid"
      "  AND l.program_id = f.program_id"
      " WHERE f.outcome IN ('created', 'pending') GROUP BY f.journal_id, f.seq HAVING COUNT(l.id) <> 1"
      " ORDER BY f.journal_id, f.seq" },
    { 24, false,
      "SELECT 'lead ' || l.id || ' has no record that it is made of' AS text FROM leads l"
      " LEFT JOIN lead_facts f ON f.journal_id = l.journal_id AND f.seq = l.seq"
      "  AND f.outcome IN ('created', 'pending')"
      " WHERE l.kind <> 'manual' AND f.seq IS NULL ORDER BY l.id" },
    { 24, false,
      "SELECT 'the log does not say how lead ' || l.id || ' came to be' AS text FROM leads l WHERE l.kind <> 'manual'"
      " AND NOT EXISTS (SELECT 1 FROM lead_log x WHERE x.lead_id = l.id AND x.verdict IN ('created', 'pending')"
      "  AND x.journal_id = l.journal_id AND x.seq = l.seq) ORDER BY l.id" },
    { 24, false,
      "SELECT 'line ' || x.id || ' of the leads log is a ' || x.verdict || ' of no lead' AS text FROM lead_log x"
      " LEFT JOIN leads l ON l.id = x.lead_id WHERE x.verdict IN ('created', 'pending', 'duplicate')"
      " AND l.id IS NULL ORDER BY x.id" },
    { 24, false,
      "SELECT COUNT(*) || ' leads of one sender have the idempotency key of lead ' || MIN(id) AS text FROM leads"
      " WHERE idempotency_key IS NOT NULL AND kind <> 'manual'"
      " GROUP BY kind, api_user_id, form_id, idempotency_key HAVING COUNT(*) > 1 ORDER BY MIN(id)" },
    { 24, false,
      "SELECT 'lead ' || l.id || ' is a duplicate of itself, of a later one or of another program''s' AS text FROM leads l"
      " JOIN leads d ON d.id = l.duplicate_of WHERE d.id = l.id OR (d.id > l.id AND l.confirmed_us IS NULL)"
      " OR d.program_id <> l.program_id ORDER BY l.id" },
    { 24, false,
      "SELECT 'lead ' || l.id || ' was never confirmed, and is somebody''s earning' AS text FROM leads l"
      " JOIN lead_facts f ON f.journal_id = l.journal_id AND f.seq = l.seq AND f.outcome = 'pending'"
      " WHERE l.confirmed_us IS NULL AND (l.trader_id IS NOT NULL"
      "  OR l.status NOT IN ('unconfirmed', 'rejected')"
      "  OR EXISTS (SELECT 1 FROM conversion_facts c WHERE c.lead_id = l.id)) ORDER BY l.id" },
    { 24, false,
      "SELECT 'referral ' || r.id || ' is of a lead that is not there, or not its conversion''s' AS text FROM referrals r"
      " LEFT JOIN conversions v ON v.id = r.conversion_id LEFT JOIN leads l ON l.id = v.lead_id"
      " WHERE (r.lead_id IS NOT NULL AND (l.id IS NULL OR CAST(l.id AS TEXT) <> r.lead_id OR l.program_id <> r.program_id"
      "  OR l.test = 1)) OR (r.lead_id IS NULL AND v.lead_id IS NOT NULL AND r.superseded = 0) ORDER BY r.id" },
};

static enum db_result
run(struct db *db, const char *sql, bool bind_now, uint64_t now_us, verify_found found, void *ctx)
{
    struct db_stmt *row = db_prepare(db, sql);
    enum db_result  rc;

    if (bind_now)
        db_bind_int(row, 1, (int64_t) now_us);
    while ((rc = db_step(row)) == DB_ROW) {
        const char *text = db_text(row, "text");

        found(ctx, text == NULL ? "a row that cannot even be described" : text);
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}

enum db_result
verify_queries(struct db *db, int invariant, uint64_t now_us, verify_found found, void *ctx)
{
    enum db_result rc = DB_OK;

    for (size_t i = 0; rc == DB_OK && i < sizeof(queries) / sizeof(queries[0]); i++) {
        if (queries[i].invariant == invariant)
            rc = run(db, queries[i].sql, queries[i].now, now_us, found, ctx);
    }
    return rc;
}

static const char *const streams[] = {
    [VERIFY_SEALED] = "SELECT id, number, hash FROM ledger_transactions WHERE number IS NOT NULL ORDER BY number",

    [VERIFY_CURRENCIES] = "SELECT DISTINCT place, currency FROM " AMOUNTS " WHERE currency IS NOT NULL"
                          " UNION SELECT 'programs', currency FROM programs ORDER BY 1, 2",

    [VERIFY_COMMISSIONS] =
        "SELECT c.id AS id, c.kind AS kind, c.amount_minor AS amount_minor, c.currency AS currency,"
        " c.basis_minor AS basis_minor, c.rate_ppm AS rate_ppm, v.amount_minor AS conversion_minor,"
        " v.currency AS conversion_currency, v.event_time_ms AS event_time_ms, c.share_ppm AS share_ppm, c.part AS part,"
        " pl.valid_from_us AS plan_from_us, " PLAN_COLUMNS
        " FROM commissions c LEFT JOIN conversions v ON v.id = c.conversion_id LEFT JOIN plans pl ON pl.id = c.plan_id"
        " WHERE c.kind = 'commission' ORDER BY c.id",

    /* Each referral's last commission, what of all its rows stands, and what refunds left of the order. */
    [VERIFY_SETTLED] =
        "SELECT r.id AS id, r.status AS referral_status, c.status AS status, c.amount_minor AS amount_minor,"
        " c.currency AS currency, c.rate_ppm AS rate_ppm, c.share_ppm AS share_ppm, c.part AS part,"
        " v.amount_minor AS conversion_minor,"
        " (SELECT " SUM("x.amount_minor") " FROM commissions x WHERE x.referral_id = r.id AND x.status <> 'rejected')"
        "  AS stands_minor,"
        " (SELECT " SUM("f.amount_minor") " FROM refunds f WHERE f.conversion_id = v.id AND f.state = 'applied')"
        "  AS refunded_minor,"
        " (SELECT COUNT(*) FROM refunds f WHERE f.conversion_id = v.id AND f.state = 'applied'"
        "  AND f.amount_minor IS NULL) AS refunded_whole"
        " FROM referrals r JOIN conversions v ON v.id = r.conversion_id JOIN commissions c ON c.id ="
        "  (SELECT MAX(y.id) FROM commissions y WHERE y.referral_id = r.id AND y.kind = 'commission') ORDER BY r.id",

    [VERIFY_STEPS] =
        "SELECT s.object_type AS object_type, s.object_id AS object_id, s.from_state AS from_state,"
        " s.to_state AS to_state, c.kind AS kind, LAG(s.to_state) OVER"
        " (PARTITION BY s.object_type, s.object_id ORDER BY s.id) AS previous"
        " FROM state_changes s LEFT JOIN commissions c ON s.object_type = 'commission' AND c.id = s.object_id"
        " ORDER BY s.object_type, s.object_id, s.id",

    [VERIFY_TOUCHES] =
        "SELECT r.id AS id, r.affiliate_id AS affiliate_id, r.link_id AS link_id, r.click_id AS click_id, r.why AS why,"
        " r.program_id AS program_id,"
        " v.event_time_ms AS event_time_ms FROM referrals r LEFT JOIN conversions v ON v.id = r.conversion_id"
        " WHERE EXISTS (SELECT 1 FROM commissions c WHERE c.referral_id = r.id) ORDER BY r.id",
};

enum db_result
verify_each(struct db *db, enum verify_stream stream, verify_row visit, void *ctx)
{
    struct db_stmt *row = db_prepare(db, streams[stream]);
    enum db_result  rc;

    while ((rc = db_step(row)) == DB_ROW) {
        rc = visit(ctx, db, row);
        if (rc != DB_OK)
            break;
    }
    db_end(row);
    return rc == DB_DONE ? DB_OK : rc;
}
