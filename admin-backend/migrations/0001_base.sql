-- The whole path from click to payment.
--
-- Tokens the drivers replace (DDL only):  @id@ a generated integer key,  @int@ 64-bit integer,
-- @bytes@ binary,  @strict@ the table's suffix (STRICT on SQLite).
-- Units: *_us microseconds UTC since 1970, *_ms milliseconds, *_minor minor units of the row's currency, *_ppm millionths.
-- Enumerations are text where people read them; the domain's tables are the only writers.

-- ---------------------------------------------------------------- configuration (goes down in snapshots)

-- One row.  Every configuration change adds one in its own transaction, so commit order is version order; a changed row
-- carries the new version in its `version` column, and a delta is "all rows with version > the base's".
CREATE TABLE config_version (
    id      @int@ PRIMARY KEY CHECK (id = 1),
    version @int@ NOT NULL
) @strict@;
INSERT INTO config_version (id, version) VALUES (1, 1);

CREATE TABLE settings (
    name    TEXT PRIMARY KEY,
    value   TEXT NOT NULL,           -- JSON
    version @int@ NOT NULL
) @strict@;

CREATE TABLE programs (
    id             @id@,
    name           TEXT NOT NULL,
    currency       TEXT NOT NULL,
    time_zone      TEXT NOT NULL DEFAULT 'UTC',
    attribution    TEXT NOT NULL DEFAULT 'last' CHECK (attribution IN ('last', 'first', 'both')),
    first_share_ppm @int@ NOT NULL DEFAULT 500000 CHECK (first_share_ppm BETWEEN 0 AND 1000000),  -- 'both': the first touch's
    precedence     TEXT NOT NULL DEFAULT '["click_id","cookie","coupon"]',  -- JSON array, best first
    recurring_events TEXT NOT NULL DEFAULT '["deposit","rebill","renewal","recurring"]',  -- the customer's affiliate decides these
    cookie_days    @int@ NOT NULL DEFAULT 30 CHECK (cookie_days BETWEEN 1 AND 400),
    fallback       TEXT NOT NULL DEFAULT '',  -- URL template
    tracking_domain TEXT NOT NULL DEFAULT '',  -- host name that links are shown with; '': the installation's
    state          TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'archived')),
    created_us     @int@ NOT NULL,
    version        @int@ NOT NULL
) @strict@;
CREATE INDEX programs_version ON programs (version);

CREATE TABLE affiliate_groups (
    id               @id@,
    program_id       @int@ NOT NULL REFERENCES programs (id),
    name             TEXT NOT NULL,
    minimum_payout_minor @int@ NOT NULL DEFAULT 0 CHECK (minimum_payout_minor >= 0),  -- program currency
    payout_frequency TEXT NOT NULL DEFAULT 'monthly' CHECK (payout_frequency IN ('weekly', 'twice_a_month', 'monthly')),
    payout_methods   TEXT NOT NULL DEFAULT '["bank_transfer"]',  -- JSON array
    created_us       @int@ NOT NULL,
    version          @int@ NOT NULL,
    UNIQUE (program_id, name)
) @strict@;

CREATE TABLE affiliates (
    id          @id@,
    program_id  @int@ NOT NULL REFERENCES programs (id),
    group_id    @int@ REFERENCES affiliate_groups (id),
    name        TEXT NOT NULL,
    email       TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'suspended', 'terminated')),
    api_user_id @int@,
    trader_id   TEXT,
    notes       TEXT NOT NULL DEFAULT '',
    password_hash TEXT,                        -- portal log-in; NULL: none set
    created_us  @int@ NOT NULL,
    updated_us  @int@ NOT NULL,
    version     @int@ NOT NULL
) @strict@;
CREATE UNIQUE INDEX affiliates_email ON affiliates (program_id, email);   -- stored normalised
CREATE INDEX affiliates_version ON affiliates (version);
CREATE INDEX affiliates_created ON affiliates (created_us, id);
CREATE INDEX affiliates_status ON affiliates (status, id);
CREATE INDEX affiliates_group ON affiliates (group_id, id);

-- What an affiliate was at any time: an event accrues by the status of its own time.  Never deleted.
CREATE TABLE affiliate_statuses (
    affiliate_id  @int@ NOT NULL REFERENCES affiliates (id),
    valid_from_us @int@ NOT NULL,
    status        TEXT NOT NULL,
    PRIMARY KEY (affiliate_id, valid_from_us)
) @strict@;

CREATE TABLE campaigns (
    id          @id@,
    program_id  @int@ NOT NULL REFERENCES programs (id),
    name        TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'archived')),
    window_days @int@ NOT NULL DEFAULT 30 CHECK (window_days BETWEEN 0 AND 3650),  -- 0: no limit
    fallback    TEXT NOT NULL DEFAULT '',
    deep_link_hosts TEXT NOT NULL DEFAULT '[]',  -- JSON array; lower case; a leading dot: sub-domains too
    starts_us   @int@,                         -- [starts, ends); NULL: no bound
    ends_us     @int@,
    cap_day     @int@ NOT NULL DEFAULT 0,      -- counted clicks a day (UTC); 0: no cap
    cap_total   @int@ NOT NULL DEFAULT 0,
    capped_until_ms @int@ NOT NULL DEFAULT 0,  -- written by the roll-up: a cap is reached until then
    capped_version  @int@ NOT NULL DEFAULT 0,  -- configuration version of that; no part of the row's own
    created_us  @int@ NOT NULL,
    version     @int@ NOT NULL,
    UNIQUE (program_id, name)
) @strict@;
CREATE INDEX campaigns_version ON campaigns (version);
CREATE INDEX campaigns_capped ON campaigns (capped_version) WHERE capped_version > 0;
CREATE INDEX campaigns_caps ON campaigns (id) WHERE cap_day > 0 OR cap_total > 0;

CREATE TABLE links (
    id           @id@,
    code         TEXT NOT NULL UNIQUE,
    affiliate_id @int@ NOT NULL REFERENCES affiliates (id),
    campaign_id  @int@ NOT NULL REFERENCES campaigns (id),
    destination  TEXT NOT NULL,
    append_click_id @int@ NOT NULL DEFAULT 1 CHECK (append_click_id IN (0, 1)),
    state        TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'expired', 'archived')),
    rules        TEXT NOT NULL DEFAULT '[]',   -- JSON array: see docs/links.md
    redirect_status @int@ CHECK (redirect_status IN (302, 303, 307)),  -- NULL: as the edge's location says
    referrer_policy TEXT CHECK (referrer_policy IN ('no-referrer', 'origin', 'same-origin', 'strict-origin', 'unsafe-url')),
    pass_unknown_parameters @int@ NOT NULL DEFAULT 0 CHECK (pass_unknown_parameters IN (0, 1)),
    deep_links   @int@ NOT NULL DEFAULT 1 CHECK (deep_links IN (0, 1)),
    starts_us    @int@,
    ends_us      @int@,
    cap_day      @int@ NOT NULL DEFAULT 0,
    cap_total    @int@ NOT NULL DEFAULT 0,
    capped_until_ms @int@ NOT NULL DEFAULT 0,
    capped_version  @int@ NOT NULL DEFAULT 0,
    created_us   @int@ NOT NULL,
    updated_us   @int@ NOT NULL,
    version      @int@ NOT NULL
) @strict@;
CREATE INDEX links_version ON links (version);
CREATE INDEX links_capped ON links (capped_version) WHERE capped_version > 0;
CREATE INDEX links_caps ON links (id) WHERE cap_day > 0 OR cap_total > 0;
CREATE INDEX links_affiliate ON links (affiliate_id, id);
CREATE INDEX links_campaign ON links (campaign_id, id);

-- Who owned a link, and where, at any time: one row each time owner or campaign changes.  Never deleted.
CREATE TABLE link_versions (
    link_id      @int@ NOT NULL REFERENCES links (id),
    valid_from_ms @int@ NOT NULL,
    affiliate_id @int@ NOT NULL REFERENCES affiliates (id),
    campaign_id  @int@ NOT NULL REFERENCES campaigns (id),
    PRIMARY KEY (link_id, valid_from_ms)
) @strict@;

CREATE TABLE api_users (
    id           @id@,
    program_id   @int@ NOT NULL REFERENCES programs (id),
    affiliate_id @int@ REFERENCES affiliates (id),
    name         TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL CHECK (role IN ('affiliate', 'advertiser')),
    scopes       TEXT NOT NULL DEFAULT '[]',   -- JSON array; nothing chosen = nothing allowed
    state        TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
    expires_us   @int@,
    whitelist    @int@ NOT NULL DEFAULT 0 CHECK (whitelist IN (0, 1)),  -- 1: only from ranges; none listed = from nowhere
    ranges       TEXT NOT NULL DEFAULT '[]',   -- JSON array: '192.0.2.0/24', '2001:db8::1'
    rate_minute  @int@ NOT NULL DEFAULT 0,     -- requests a minute and edge; 0: no limit
    secret       @bytes@,                      -- signs postbacks; sealed with the key ring (tracker_secret.h)
    created_us   @int@ NOT NULL,
    version      @int@ NOT NULL
) @strict@;
CREATE INDEX api_users_version ON api_users (version);

CREATE TABLE api_keys (
    id          @id@,
    api_user_id @int@ NOT NULL REFERENCES api_users (id),
    prefix      TEXT NOT NULL,                 -- shown to people
    hash        @bytes@ NOT NULL UNIQUE,       -- SHA-256 of the key
    state       TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked')),
    created_us  @int@ NOT NULL,
    version     @int@ NOT NULL
) @strict@;
CREATE INDEX api_keys_version ON api_keys (version);

-- ---------------------------------------------------------------- people and access

CREATE TABLE staff (
    id            @id@,
    email         TEXT NOT NULL UNIQUE,        -- normalised
    name          TEXT NOT NULL DEFAULT '',
    role          TEXT NOT NULL CHECK (role IN ('admin', 'finance', 'manager', 'agent', 'viewer')),
    password_hash TEXT NOT NULL,               -- Argon2id
    state         TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    created_us    @int@ NOT NULL
) @strict@;

CREATE TABLE sessions (
    hash       @bytes@ PRIMARY KEY,            -- SHA-256 of the cookie
    staff_id   @int@ NOT NULL REFERENCES staff (id),
    csrf       TEXT NOT NULL,
    created_us @int@ NOT NULL,
    seen_us    @int@ NOT NULL,
    expires_us @int@ NOT NULL
) @strict@;
CREATE INDEX sessions_staff ON sessions (staff_id);
CREATE INDEX sessions_expires ON sessions (expires_us);

CREATE TABLE staff_tokens (
    id         @id@,
    staff_id   @int@ NOT NULL REFERENCES staff (id),
    name       TEXT NOT NULL,
    prefix     TEXT NOT NULL,
    hash       @bytes@ NOT NULL UNIQUE,
    created_us @int@ NOT NULL,
    expires_us @int@,
    revoked_us @int@
) @strict@;

-- One-time secrets: the first set-up link.
CREATE TABLE invitations (
    hash       @bytes@ PRIMARY KEY,            -- SHA-256 of the secret
    purpose    TEXT NOT NULL CHECK (purpose IN ('setup')),
    created_us @int@ NOT NULL,
    expires_us @int@ NOT NULL,
    used_us    @int@
) @strict@;

CREATE TABLE login_attempts (
    subject    TEXT NOT NULL,                  -- 'email:' or 'address:' and a keyed hash
    window_us  @int@ NOT NULL,
    failures   @int@ NOT NULL,
    PRIMARY KEY (subject, window_us)
) @strict@;

CREATE TABLE idempotency_keys (
    actor        TEXT NOT NULL,                -- 'staff:3', 'api_user:7'
    key          TEXT NOT NULL,
    request_hash @bytes@ NOT NULL,             -- method, path, body
    body         TEXT NOT NULL,                -- the first answer, without secrets
    created_us   @int@ NOT NULL,
    PRIMARY KEY (actor, key)
) @strict@;
CREATE INDEX idempotency_created ON idempotency_keys (created_us);

-- Append-only, hash-chained: who changed what, from what, to what.
CREATE TABLE audit_log (
    id          @id@,
    at_us       @int@ NOT NULL,
    actor       TEXT NOT NULL,                 -- 'staff:3', 'system', 'cli'
    action      TEXT NOT NULL,                 -- 'affiliate.update'
    object_type TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    before      TEXT,                          -- JSON, secrets left out
    after       TEXT,
    reason      TEXT,
    hash        @bytes@ NOT NULL               -- BLAKE2b-256 over the previous row's hash and this row
) @strict@;
CREATE INDEX audit_object ON audit_log (object_type, object_id, id);

-- ---------------------------------------------------------------- facts (ingest writes these, and nothing else)

-- One row a journal, never deleted: `next_seq` is the fence of the wire protocol.
CREATE TABLE journals (
    id          @id@,
    uuid        @bytes@ NOT NULL UNIQUE,       -- 128-bit journal id
    short_id    @int@ NOT NULL,                -- its first 48 bits, as in click ids
    edge        TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('traffic', 'money')),
    partition   @int@ NOT NULL,
    next_seq    @int@ NOT NULL,
    hash        @bytes@ NOT NULL,              -- running hash before next_seq, 8 bytes
    resend      @int@ NOT NULL DEFAULT 0,      -- how often a resend was asked for
    accepted    @int@ NOT NULL DEFAULT 0,      -- as the edge last said
    dropped     @int@ NOT NULL DEFAULT 0,      -- refused by a full journal, as the edge last said
    committed   @int@ NOT NULL DEFAULT 0,
    quarantined @int@ NOT NULL DEFAULT 0,
    lost        @int@ NOT NULL DEFAULT 0,      -- in gaps
    rolled_seq  @int@ NOT NULL DEFAULT 1,      -- click_stats has everything below
    forked      @int@ NOT NULL DEFAULT 0,
    closed      @int@ NOT NULL DEFAULT 0,      -- somebody said CLOSE (advisory)
    owner_seen_us @int@ NOT NULL DEFAULT 0,              -- a pack of its living writer: what another one calls lost may yet come
    first_seen_us @int@ NOT NULL,
    last_seen_us  @int@ NOT NULL
) @strict@;
CREATE INDEX journals_short ON journals (short_id);
CREATE INDEX journals_partition ON journals (partition, closed);

CREATE TABLE journal_gaps (
    journal_id @int@ NOT NULL REFERENCES journals (id),
    from_seq   @int@ NOT NULL,
    to_seq     @int@ NOT NULL,                 -- first sequence after the gap
    reason     TEXT NOT NULL CHECK (reason IN ('hole', 'freed', 'missing')),
    at_us      @int@ NOT NULL,
    PRIMARY KEY (journal_id, from_seq)
) @strict@;

CREATE TABLE quarantine (
    id         @id@,
    journal_id @int@ REFERENCES journals (id),
    seq        @int@,
    count      @int@ NOT NULL DEFAULT 1,
    reason     TEXT NOT NULL,                  -- 'bad_crc', 'bad_payload', 'journal_forked', ...
    bytes      @bytes@ NOT NULL,
    at_us      @int@ NOT NULL
) @strict@;

CREATE TABLE user_agents (
    id   @id@,
    text TEXT NOT NULL UNIQUE
) @strict@;

-- Key = where the edge wrote it: the click id names journal and sequence, so no index per event id is needed.
CREATE TABLE clicks (
    journal_id   @int@ NOT NULL,
    seq          @int@ NOT NULL,
    time_ms      @int@ NOT NULL,
    received_ms  @int@ NOT NULL,
    program_id   @int@ NOT NULL,
    campaign_id  @int@ NOT NULL,
    link_id      @int@ NOT NULL,
    affiliate_id @int@ NOT NULL,
    flags        @int@ NOT NULL,               -- enum tracker_click_flag
    click_id     @bytes@ NOT NULL,             -- the 30 bytes; 40 characters outside
    first_touch  TEXT,
    ip           @bytes@,                      -- see ip_form: a hash is no address
    ip_form      @int@,                        -- enum tracker_ip_form; NULL: whole
    country      TEXT,
    region       TEXT,
    city         TEXT,
    asn          @int@,
    device       @int@,                        -- tracker_agent.h, as os and browser; NULL: not known
    os           @int@,
    browser      @int@,
    rule         @int@,                        -- of the link, from 1, that chose the destination; NULL: its own
    target       @int@,
    user_agent_id @int@,
    referrer     TEXT,
    params       TEXT,                         -- JSON object of ref_id, source, creative, cost, language, deep, sub1..10; NULL: none
    config_version @int@ NOT NULL,
    PRIMARY KEY (journal_id, seq)
) @clustered@;

-- Adverts that were seen: a click's columns without those that lead to a conversion.  They are many and of little
-- worth each, so they do not make clicks longer.
CREATE TABLE impressions (
    journal_id   @int@ NOT NULL,
    seq          @int@ NOT NULL,
    time_ms      @int@ NOT NULL,
    received_ms  @int@ NOT NULL,
    program_id   @int@ NOT NULL,
    campaign_id  @int@ NOT NULL,
    link_id      @int@ NOT NULL,
    affiliate_id @int@ NOT NULL,
    flags        @int@ NOT NULL,
    ip           @bytes@,
    ip_form      @int@,
    country      TEXT,
    region       TEXT,
    city         TEXT,
    asn          @int@,
    device       @int@,
    os           @int@,
    browser      @int@,
    rule         @int@,
    target       @int@,
    user_agent_id @int@,
    referrer     TEXT,
    params       TEXT,
    config_version @int@ NOT NULL,
    PRIMARY KEY (journal_id, seq)
) @clustered@;

-- What partners' servers said, word for word; `work` makes conversions of it.
CREATE TABLE conversion_facts (
    journal_id   @int@ NOT NULL,
    seq          @int@ NOT NULL,
    time_ms      @int@ NOT NULL,
    received_ms  @int@ NOT NULL,
    program_id   @int@ NOT NULL,
    api_user_id  @int@ NOT NULL,
    auth         @int@ NOT NULL,
    status       @int@ NOT NULL,               -- enum tracker_conversion_status
    amount_minor @int@,
    currency     TEXT,
    event_time_ms @int@ NOT NULL,
    click_id     TEXT,
    cookie_first TEXT,                         -- click ids of a pixel's visitor
    cookie_last  TEXT,
    coupon       TEXT,
    customer     TEXT,                         -- the advertiser's id of the customer
    event        TEXT NOT NULL,
    txid         TEXT,
    refund_id    TEXT,
    referrer     TEXT,                         -- of a pixel: the page it stands on
    ip           @bytes@,
    params       TEXT,                         -- JSON object p1..p10
    outcome      TEXT,                         -- NULL: not yet derived; 'converted', 'confirmed', 'repeated', 'conflict', 'status_moved', 'refunded', 'unattributed', 'failed', 'parked'
    conversion_id @int@,
    tries        @int@ NOT NULL DEFAULT 0,
    retry_us     @int@ NOT NULL DEFAULT 0,     -- parked until
    PRIMARY KEY (journal_id, seq)
) @clustered@;
CREATE INDEX conversion_facts_waiting ON conversion_facts (program_id, event, txid) WHERE outcome = 'parked';
CREATE INDEX conversion_facts_open ON conversion_facts (retry_us) WHERE outcome IS NULL OR outcome = 'parked';

-- ---------------------------------------------------------------- derived

-- Clicks that are judged otherwise today than at the edge (`affiliated rescore`): what counts is this, where there
-- is such a row.  The click stays as it came.
CREATE TABLE click_verdicts (
    journal_id @int@ NOT NULL,
    seq        @int@ NOT NULL,
    flags      @int@ NOT NULL,                 -- all of them, as clicks.flags
    reasons    TEXT NOT NULL,                  -- what differs from the click's own, such as '+bot -datacentre'
    at_us      @int@ NOT NULL,
    actor      TEXT NOT NULL,
    PRIMARY KEY (journal_id, seq)
) @clustered@;

CREATE TABLE click_stats (
    day          @int@ NOT NULL,               -- days since 1970, UTC
    affiliate_id @int@ NOT NULL,
    campaign_id  @int@ NOT NULL,
    link_id      @int@ NOT NULL,
    clicks       @int@ NOT NULL,               -- counted: none of TRACKER_CLICK_UNCOUNTED
    uniques      @int@ NOT NULL,
    marked       @int@ NOT NULL,               -- clicks recorded but not counted
    impressions  @int@ NOT NULL DEFAULT 0,     -- counted ones
    PRIMARY KEY (day, affiliate_id, campaign_id, link_id)
) @clustered@;
CREATE INDEX click_stats_link ON click_stats (link_id, day);          -- caps
CREATE INDEX click_stats_campaign ON click_stats (campaign_id, day);

CREATE TABLE conversions (
    id           @id@,
    program_id   @int@ NOT NULL REFERENCES programs (id),
    event        TEXT NOT NULL,
    txid         TEXT NOT NULL,                -- where none was given, what stands in for it, after a byte 1, which no txid has
    status       TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
    amount_minor @int@,
    currency     TEXT,
    event_time_ms @int@ NOT NULL,
    click_id     TEXT,
    coupon       TEXT,
    customer     TEXT,
    verified     @int@ NOT NULL CHECK (verified IN (0, 1)),  -- 0: only a visitor's browser said so (pixel)
    journal_id   @int@ NOT NULL,               -- the record that it is made of
    seq          @int@ NOT NULL,
    created_us   @int@ NOT NULL,
    UNIQUE (program_id, event, txid)
) @strict@;
CREATE INDEX conversions_created ON conversions (created_us, id);
CREATE INDEX conversions_txid ON conversions (txid);
CREATE INDEX conversions_click ON conversions (click_id) WHERE click_id IS NOT NULL;
CREATE INDEX conversions_customer ON conversions (customer) WHERE customer IS NOT NULL;
CREATE INDEX conversions_coupon ON conversions (coupon) WHERE coupon IS NOT NULL;

-- What was taken back of an order.  What goes beyond it is kept and not applied.
CREATE TABLE refunds (
    id            @id@,
    conversion_id @int@ NOT NULL REFERENCES conversions (id),
    refund_id     TEXT NOT NULL,               -- '' when none was given: then there is one
    kind          TEXT NOT NULL CHECK (kind IN ('refund', 'chargeback')),
    amount_minor  @int@,                       -- NULL: all of a conversion that has no amount
    currency      TEXT,
    state         TEXT NOT NULL CHECK (state IN ('applied', 'won', 'held')),  -- won: a chargeback that was taken back; held: for review
    journal_id    @int@ NOT NULL,
    seq           @int@ NOT NULL,
    created_us    @int@ NOT NULL,
    UNIQUE (conversion_id, refund_id)
) @strict@;
CREATE INDEX refunds_created ON refunds (created_us, id);

-- Who earned a customer's first conversion: recurring events are his, whoever is clicked later.
CREATE TABLE customers (
    program_id    @int@ NOT NULL REFERENCES programs (id),
    customer      TEXT NOT NULL,
    part          @int@ NOT NULL,              -- 0, and 1 where first and last touch shared it
    affiliate_id  @int@ NOT NULL REFERENCES affiliates (id),
    campaign_id   @int@ REFERENCES campaigns (id),
    link_id       @int@ REFERENCES links (id),
    share_ppm     @int@ NOT NULL CHECK (share_ppm BETWEEN 1 AND 1000000),
    conversion_id @int@ NOT NULL REFERENCES conversions (id),
    created_us    @int@ NOT NULL,
    PRIMARY KEY (program_id, customer, part)
) @strict@;

CREATE TABLE coupons (
    id            @id@,
    program_id    @int@ NOT NULL REFERENCES programs (id),
    code          TEXT NOT NULL,               -- as people write it
    code_key      TEXT NOT NULL,               -- upper case: what is compared
    affiliate_id  @int@ NOT NULL REFERENCES affiliates (id),  -- for good: a code says whose it is
    campaign_id   @int@ REFERENCES campaigns (id),
    state         TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'archived')),
    valid_from_us @int@,
    valid_to_us   @int@,                       -- first moment after
    notes         TEXT NOT NULL DEFAULT '',
    created_us    @int@ NOT NULL,
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1,
    UNIQUE (program_id, code_key)
) @strict@;
CREATE INDEX coupons_created ON coupons (created_us, id);
CREATE INDEX coupons_affiliate ON coupons (affiliate_id, id);

CREATE TABLE conversion_conflicts (
    id            @id@,
    conversion_id @int@ REFERENCES conversions (id),  -- NULL: a refund whose order never came
    journal_id    @int@ NOT NULL,              -- the record that contradicts
    seq           @int@ NOT NULL,
    reason        TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved')),
    note          TEXT NOT NULL DEFAULT '',    -- what came of the review
    at_us         @int@ NOT NULL,
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1
) @strict@;
CREATE INDEX conversion_conflicts_at ON conversion_conflicts (at_us, id);
CREATE INDEX conversion_conflicts_of ON conversion_conflicts (conversion_id) WHERE conversion_id IS NOT NULL;

-- Commission plans: effective-dated and recorded-at dated, append-only.  The narrowest scope wins:
-- affiliate, group, program, global.
CREATE TABLE plans (
    id            @id@,
    scope         TEXT NOT NULL CHECK (scope IN ('affiliate', 'group', 'program')),
    scope_id      @int@ NOT NULL,
    type          TEXT NOT NULL CHECK (type IN ('percentage', 'fixed', 'tiered', 'none')),  -- none: falls back to the wider scope again
    rate_ppm      @int@,
    amount_minor  @int@,
    currency      TEXT,
    tiers         TEXT,                        -- JSON [{"from":0,"rate_ppm":100000},...] by approved-or-pending conversions of the calendar month
    hold_days     @int@ NOT NULL DEFAULT 0,
    valid_from_us @int@ NOT NULL,
    recorded_us   @int@ NOT NULL
) @strict@;
CREATE INDEX plans_scope ON plans (scope, scope_id, valid_from_us);

CREATE TABLE referrals (
    id            @id@,
    program_id    @int@ NOT NULL REFERENCES programs (id),
    affiliate_id  @int@ NOT NULL REFERENCES affiliates (id),
    campaign_id   @int@ REFERENCES campaigns (id),
    link_id       @int@ REFERENCES links (id),
    conversion_id @int@ REFERENCES conversions (id),
    event         TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
    click_id      TEXT,
    lead_id       TEXT,
    trader_id     TEXT,
    amount_minor  @int@,
    currency      TEXT,
    tags          TEXT NOT NULL DEFAULT '[]',
    notes         TEXT NOT NULL DEFAULT '',
    part          @int@ NOT NULL DEFAULT 0 CHECK (part IN (0, 1)),  -- of a shared conversion: 0 the first touch's, 1 the last's
    share_ppm     @int@ NOT NULL DEFAULT 1000000 CHECK (share_ppm BETWEEN 1 AND 1000000),
    verified      @int@ NOT NULL DEFAULT 1 CHECK (verified IN (0, 1)),  -- 0: only a browser named its touch
    superseded    @int@ NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1)),  -- the advertiser's server named other touches than a pixel
    why           TEXT NOT NULL,               -- JSON: the winning touch, its rule, every candidate that lost; or {"manual":reason}
    created_us    @int@ NOT NULL,
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1
) @strict@;
CREATE UNIQUE INDEX referrals_conversion ON referrals (conversion_id, affiliate_id) WHERE superseded = 0;
CREATE INDEX referrals_of_conversion ON referrals (conversion_id);
CREATE INDEX referrals_customer ON referrals (trader_id) WHERE trader_id IS NOT NULL;
CREATE INDEX referrals_created ON referrals (created_us, id);
CREATE INDEX referrals_affiliate ON referrals (affiliate_id, created_us, id);
CREATE INDEX referrals_status ON referrals (status, created_us, id);

CREATE TABLE payouts (
    id            @id@,
    program_id    @int@ NOT NULL REFERENCES programs (id),
    affiliate_id  @int@ NOT NULL REFERENCES affiliates (id),
    currency      TEXT NOT NULL,
    amount_minor  @int@ NOT NULL CHECK (amount_minor > 0),
    minimum_minor @int@ NOT NULL,              -- in force when it was made
    status        TEXT NOT NULL CHECK (status IN ('draft', 'pending', 'paid', 'cancelled')),
    method        TEXT NOT NULL,
    reference     TEXT UNIQUE,                 -- the bank's or wallet's transaction id
    paid_at_us    @int@,
    notes         TEXT NOT NULL DEFAULT '',
    reason        TEXT,                        -- of a cancellation
    created_by    TEXT NOT NULL,
    created_us    @int@ NOT NULL,
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1,
    CHECK ((status = 'paid') = (reference IS NOT NULL AND paid_at_us IS NOT NULL))
) @strict@;
CREATE INDEX payouts_created ON payouts (created_us, id);
CREATE INDEX payouts_affiliate ON payouts (affiliate_id, created_us, id);
CREATE INDEX payouts_status ON payouts (status, created_us, id);

CREATE TABLE commissions (
    id            @id@,
    program_id    @int@ NOT NULL REFERENCES programs (id),
    affiliate_id  @int@ NOT NULL REFERENCES affiliates (id),
    referral_id   @int@ NOT NULL REFERENCES referrals (id),
    conversion_id @int@ REFERENCES conversions (id),
    component     TEXT NOT NULL DEFAULT 'base',
    level         @int@ NOT NULL DEFAULT 0,
    period        TEXT NOT NULL,               -- '2026-11': the calendar month it was posted in, UTC (docs/commissions.md)
    kind          TEXT NOT NULL CHECK (kind IN ('commission', 'reversal', 'reinstatement')),
    revision      @int@ NOT NULL DEFAULT 0,
    amount_minor  @int@ NOT NULL,
    currency      TEXT NOT NULL,
    basis_minor   @int@,                       -- what a percentage was taken of; of a reversal: what is left
    part          @int@ NOT NULL DEFAULT 0 CHECK (part IN (0, 1)),
    share_ppm     @int@ NOT NULL DEFAULT 1000000 CHECK (share_ppm BETWEEN 1 AND 1000000),  -- of what the plan gives
    rate_ppm      @int@,
    plan_id       @int@ REFERENCES plans (id),
    status        TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'in_payout', 'paid', 'rejected')),
    payable_us    @int@,                       -- from approval and the plan's hold
    reverses_id   @int@ REFERENCES commissions (id),
    why           TEXT NOT NULL,               -- JSON: the precedence step and plan that won, those passed over, the arithmetic
    notes         TEXT NOT NULL DEFAULT '',
    created_us    @int@ NOT NULL,
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1,
    UNIQUE (conversion_id, affiliate_id, component, level, period, kind, revision)
) @strict@;
CREATE INDEX commissions_created ON commissions (created_us, id);
CREATE INDEX commissions_affiliate ON commissions (affiliate_id, status, created_us, id);
CREATE INDEX commissions_status ON commissions (status, created_us, id);
CREATE INDEX commissions_referral ON commissions (referral_id);
CREATE INDEX commissions_reverses ON commissions (reverses_id) WHERE reverses_id IS NOT NULL;
CREATE INDEX commissions_period ON commissions (affiliate_id, period);  -- tiers count within a period

CREATE TABLE payout_items (
    payout_id     @int@ NOT NULL REFERENCES payouts (id),
    commission_id @int@ NOT NULL REFERENCES commissions (id),
    amount_minor  @int@ NOT NULL,
    live          @int@ NOT NULL CHECK (live IN (0, 1)),   -- 0 once its payout is cancelled
    PRIMARY KEY (payout_id, commission_id)
) @strict@;
-- A commission is in at most one live payout, whatever the code does.
CREATE UNIQUE INDEX payout_items_live ON payout_items (commission_id) WHERE live = 1;

-- Every change of a money state: the legal path, with who and why.
CREATE TABLE state_changes (
    id          @id@,
    object_type TEXT NOT NULL CHECK (object_type IN ('referral', 'commission', 'payout')),
    object_id   @int@ NOT NULL,
    from_state  TEXT,                          -- NULL: created
    to_state    TEXT NOT NULL,
    actor       TEXT NOT NULL,
    reason      TEXT,
    at_us       @int@ NOT NULL
) @strict@;
CREATE INDEX state_changes_object ON state_changes (object_type, object_id, id);

-- ---------------------------------------------------------------- ledger: double entry, append-only

CREATE TABLE ledger_accounts (
    id            @id@,
    program_id    @int@ NOT NULL REFERENCES programs (id),
    affiliate_id  @int@ REFERENCES affiliates (id),          -- NULL: the program's own
    name          TEXT NOT NULL CHECK (name IN ('pending', 'payable', 'in_transit', 'paid',
                                                'commission_expense', 'rounding', 'adjustments', 'clearing', 'cash')),
    currency      TEXT NOT NULL,
    balance_minor @int@                                       -- cached for affiliates; NULL for program accounts
) @strict@;
CREATE UNIQUE INDEX ledger_accounts_affiliate ON ledger_accounts (affiliate_id, name, currency) WHERE affiliate_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_accounts_program ON ledger_accounts (program_id, name, currency) WHERE affiliate_id IS NULL;

CREATE TABLE ledger_transactions (
    id          @id@,
    kind        TEXT NOT NULL,                 -- 'commission.accrue', 'commission.approve', 'payout.submit', ...
    object_type TEXT NOT NULL,
    object_id   @int@ NOT NULL,
    at_us       @int@ NOT NULL,
    number      @int@ UNIQUE,                  -- given by the sealer: gapless from 1
    hash        @bytes@                        -- chain: previous hash, this transaction, its legs
) @strict@;
CREATE INDEX ledger_unsealed ON ledger_transactions (id) WHERE number IS NULL;
CREATE INDEX ledger_object ON ledger_transactions (object_type, object_id);

CREATE TABLE ledger_legs (
    transaction_id @int@ NOT NULL REFERENCES ledger_transactions (id),
    leg            @int@ NOT NULL,
    account_id     @int@ NOT NULL REFERENCES ledger_accounts (id),
    amount_minor   @int@ NOT NULL CHECK (amount_minor <> 0),  -- debit positive
    currency       TEXT NOT NULL,
    PRIMARY KEY (transaction_id, leg)
) @strict@;
CREATE INDEX ledger_legs_account ON ledger_legs (account_id);
