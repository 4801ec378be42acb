-- Leads: who may send them, forms, the leads themselves, who works on them, and the API's log.
--
-- Tokens and units as in 0001_base.sql.

-- ---------------------------------------------------------------- who works on leads

CREATE TABLE departments (
    id         @id@,
    name       TEXT NOT NULL UNIQUE,
    state      TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'archived')),
    created_us @int@ NOT NULL,
    updated_us @int@ NOT NULL,
    version    @int@ NOT NULL DEFAULT 1
) @strict@;

-- Who shares a department's leads: smooth weighted round robin, skipping those whose cap of the day (UTC) is reached.
CREATE TABLE department_members (
    department_id @int@ NOT NULL REFERENCES departments (id),
    staff_id      @int@ NOT NULL REFERENCES staff (id),
    weight        @int@ NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000),  -- 0: gets none by itself
    cap_day       @int@ NOT NULL DEFAULT 0 CHECK (cap_day >= 0),               -- 0: no cap
    current       @int@ NOT NULL DEFAULT 0,                                    -- of the round robin
    PRIMARY KEY (department_id, staff_id)
) @clustered@;
CREATE INDEX department_members_staff ON department_members (staff_id);

-- Where leads come from; its department or agent gets them.
CREATE TABLE lead_sources (
    id            @id@,
    program_id    @int@ NOT NULL REFERENCES programs (id),
    name          TEXT NOT NULL,
    department_id @int@ REFERENCES departments (id),
    agent_id      @int@ REFERENCES staff (id),
    state         TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'archived')),
    created_us    @int@ NOT NULL,
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1,
    UNIQUE (program_id, name)
) @strict@;

-- ---------------------------------------------------------------- traders

-- The advertiser's customers: a lead becomes one, or one is made by hand.
CREATE TABLE traders (
    id            @id@,
    program_id    @int@ NOT NULL REFERENCES programs (id),
    first_name    TEXT NOT NULL DEFAULT '',
    last_name     TEXT NOT NULL DEFAULT '',
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL,               -- normalised: what is compared
    phone         TEXT NOT NULL DEFAULT '',
    phone_key     TEXT,                        -- E.164; NULL: none that could be
    country       TEXT NOT NULL DEFAULT '',    -- ISO 3166-1 alpha-2
    external_id   TEXT,                        -- the platform's own, when it has one
    state         TEXT NOT NULL DEFAULT 'invited' CHECK (state IN ('invited', 'active', 'disabled', 'erased')),
    agent_id      @int@ REFERENCES staff (id),
    password_hash TEXT,                        -- Argon2id; NULL: none was set
    notes         TEXT NOT NULL DEFAULT '',
    created_us    @int@ NOT NULL,
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1
) @strict@;
CREATE UNIQUE INDEX traders_email ON traders (program_id, email_key) WHERE state <> 'erased';
CREATE INDEX traders_phone ON traders (program_id, phone_key) WHERE phone_key IS NOT NULL;
CREATE INDEX traders_created ON traders (created_us, id);
CREATE UNIQUE INDEX traders_external ON traders (program_id, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE trader_accounts (
    id         @id@,
    trader_id  @int@ NOT NULL REFERENCES traders (id),
    number     TEXT NOT NULL UNIQUE,
    state      TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    created_us @int@ NOT NULL
) @strict@;
CREATE INDEX trader_accounts_trader ON trader_accounts (trader_id);

-- Single-use links to set one's own password.
CREATE TABLE trader_invitations (
    hash       @bytes@ PRIMARY KEY,            -- SHA-256 of the secret
    trader_id  @int@ NOT NULL REFERENCES traders (id),
    created_us @int@ NOT NULL,
    expires_us @int@ NOT NULL,
    used_us    @int@
) @strict@;
CREATE INDEX trader_invitations_trader ON trader_invitations (trader_id);

-- ---------------------------------------------------------------- configuration (goes down in snapshots)

ALTER TABLE programs ADD COLUMN platform_url TEXT NOT NULL DEFAULT '';  -- where autologins lead; '': there are none
ALTER TABLE programs ADD COLUMN platform_user_id @int@;                 -- API user whose secret signs them, and who redeems them

ALTER TABLE affiliates ADD COLUMN agent_id @int@ REFERENCES staff (id); -- gets this affiliate's leads (S30)

ALTER TABLE staff ADD COLUMN department_id @int@ REFERENCES departments (id);  -- whose leads an agent sees besides its own
ALTER TABLE staff ADD COLUMN version @int@ NOT NULL DEFAULT 1;

ALTER TABLE api_users ADD COLUMN source_id @int@ REFERENCES lead_sources (id);
ALTER TABLE api_users ADD COLUMN trader_id @int@ REFERENCES traders (id);       -- the client it belongs to (S20)
ALTER TABLE api_users ADD COLUMN account TEXT NOT NULL DEFAULT 'cpl' CHECK (account IN ('cpl', 'cpa'));  -- cpa: a trading account each lead
ALTER TABLE api_users ADD COLUMN autologin @int@ NOT NULL DEFAULT 0 CHECK (autologin IN (0, 1));
ALTER TABLE api_users ADD COLUMN test @int@ NOT NULL DEFAULT 0 CHECK (test IN (0, 1));

-- Of "Lead": what forms and the API may carry besides the standard fields.
CREATE TABLE custom_fields (
    id         @id@,
    object     TEXT NOT NULL DEFAULT 'lead' CHECK (object IN ('lead')),
    name       TEXT NOT NULL,                  -- [a-z][a-z0-9_]{0,63}
    label      TEXT NOT NULL,
    type       TEXT NOT NULL CHECK (type IN ('text', 'email', 'phone', 'number', 'date', 'select', 'multi', 'checkbox', 'consent', 'hidden', 'country')),
    options    TEXT NOT NULL DEFAULT '[]',     -- JSON array of texts
    required   @int@ NOT NULL DEFAULT 0 CHECK (required IN (0, 1)),
    pattern    TEXT NOT NULL DEFAULT '',
    minimum    TEXT NOT NULL DEFAULT '',       -- as the type means it
    maximum    TEXT NOT NULL DEFAULT '',
    state      TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'archived')),
    created_us @int@ NOT NULL,
    updated_us @int@ NOT NULL,
    version    @int@ NOT NULL DEFAULT 1,
    UNIQUE (object, name)
) @strict@;

CREATE TABLE forms (
    id              @id@,
    program_id      @int@ NOT NULL REFERENCES programs (id),
    key             TEXT NOT NULL UNIQUE,      -- in /f/<key>; random, for good
    name            TEXT NOT NULL,
    source_id       @int@ REFERENCES lead_sources (id),
    affiliate_id    @int@ REFERENCES affiliates (id),  -- NULL: attribution says
    account         TEXT NOT NULL DEFAULT 'cpl' CHECK (account IN ('cpl', 'cpa')),
    fields          TEXT NOT NULL,             -- JSON array: see docs/forms.md
    language        TEXT NOT NULL DEFAULT 'en',
    title           TEXT NOT NULL DEFAULT '',
    intro           TEXT NOT NULL DEFAULT '',
    button          TEXT NOT NULL DEFAULT '',  -- '': the language's own
    success_message TEXT NOT NULL DEFAULT '',
    after_submit    TEXT NOT NULL DEFAULT 'message' CHECK (after_submit IN ('message', 'url', 'autologin')),
    after_url       TEXT NOT NULL DEFAULT '',
    frame_ancestors TEXT NOT NULL DEFAULT '[]', -- JSON array of origins that may frame it; '*': all
    origins         TEXT NOT NULL DEFAULT '[]', -- JSON array of origins whose scripts may send it
    theme           TEXT NOT NULL DEFAULT '{}', -- JSON: {"accent":"#0a6cff","radius":8,...}
    min_fill_s      @int@ NOT NULL DEFAULT 2 CHECK (min_fill_s BETWEEN 0 AND 600),
    rate_minute     @int@ NOT NULL DEFAULT 20 CHECK (rate_minute >= 0),
    confirm         @int@ NOT NULL DEFAULT 0 CHECK (confirm IN (0, 1)),  -- double opt-in by mail
    state           TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'archived')),
    created_us      @int@ NOT NULL,
    updated_us      @int@ NOT NULL,
    version         @int@ NOT NULL
) @strict@;
CREATE INDEX forms_version ON forms (version);

-- ---------------------------------------------------------------- facts

-- What arrived, word for word; leads are made of it.
CREATE TABLE lead_facts (
    journal_id   @int@ NOT NULL,
    seq          @int@ NOT NULL,
    time_ms      @int@ NOT NULL,
    received_ms  @int@ NOT NULL,
    program_id   @int@ NOT NULL,
    lead_uid     TEXT NOT NULL,                -- 32 hex digits (tracker_lead.h)
    kind         @int@ NOT NULL,               -- enum tracker_lead_kind
    auth         @int@ NOT NULL,
    api_user_id  @int@,
    form_id      @int@,
    affiliate_id @int@,
    flags        @int@ NOT NULL,               -- enum tracker_lead_flag
    content      @bytes@ NOT NULL,             -- 16 bytes
    idempotency_key TEXT,
    click_id     TEXT,
    cookie_first TEXT,
    cookie_last  TEXT,
    ip           @bytes@,
    ip_form      @int@,
    user_agent   TEXT,
    referrer     TEXT,
    language     TEXT,
    fields       TEXT NOT NULL,                -- JSON object; a name that was sent more than once has an array; '{}': erased
    outcome      TEXT,                         -- NULL: not yet decided; 'created', 'pending', 'repeated', 'duplicate', 'conflict', 'invalid', 'spam', 'failed'
    tries        @int@ NOT NULL DEFAULT 0,
    retry_us     @int@ NOT NULL DEFAULT 0,
    PRIMARY KEY (journal_id, seq)
) @clustered@;
CREATE INDEX lead_facts_open ON lead_facts (time_ms, journal_id, seq) WHERE outcome IS NULL;
CREATE INDEX lead_facts_uid ON lead_facts (lead_uid);
CREATE INDEX lead_facts_key ON lead_facts (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Records that were committed and deleted since, by retention.
ALTER TABLE journals ADD COLUMN forgotten @int@ NOT NULL DEFAULT 0;

-- Calls of the partner API as the edges judged them; kept for the setting api_log_days.
CREATE TABLE api_calls (
    journal_id  @int@ NOT NULL,
    seq         @int@ NOT NULL,
    time_ms     @int@ NOT NULL,
    received_ms @int@ NOT NULL,
    program_id  @int@,
    api_user_id @int@,                         -- NULL: nobody that is known
    count       @int@ NOT NULL,
    status      @int@ NOT NULL,
    items       @int@,
    code        TEXT NOT NULL,
    method      TEXT NOT NULL,
    path        TEXT NOT NULL,
    key_prefix  TEXT,
    ip          @bytes@,
    ip_form     @int@,
    user_agent  TEXT,
    lead_uid    TEXT,
    PRIMARY KEY (journal_id, seq)
) @clustered@;
CREATE INDEX api_calls_time ON api_calls (time_ms, journal_id, seq);
CREATE INDEX api_calls_user ON api_calls (api_user_id, time_ms);

-- ---------------------------------------------------------------- derived

-- An affiliate that was named by the sender, not found by attribution: leads of API users and of affiliates' own forms.
ALTER TABLE conversion_facts ADD COLUMN affiliate_id @int@;
ALTER TABLE conversion_facts ADD COLUMN lead_id @int@;       -- leads.id
ALTER TABLE conversions ADD COLUMN affiliate_id @int@;
ALTER TABLE conversions ADD COLUMN lead_id @int@;
CREATE INDEX conversions_lead ON conversions (lead_id) WHERE lead_id IS NOT NULL;

CREATE TABLE leads (
    id            @id@,
    uid           TEXT NOT NULL UNIQUE,        -- 32 hex digits: what partners know it by
    program_id    @int@ NOT NULL REFERENCES programs (id),
    kind          TEXT NOT NULL CHECK (kind IN ('api', 'form', 'manual')),
    api_user_id   @int@ REFERENCES api_users (id),
    form_id       @int@ REFERENCES forms (id),
    source_id     @int@ REFERENCES lead_sources (id),
    affiliate_id  @int@ REFERENCES affiliates (id),
    campaign_id   @int@ REFERENCES campaigns (id),
    link_id       @int@ REFERENCES links (id),
    click_id      TEXT,
    status        TEXT NOT NULL CHECK (status IN ('unconfirmed', 'new', 'contacted', 'no_answer', 'qualified', 'not_interested', 'converted', 'rejected')),
    test          @int@ NOT NULL DEFAULT 0 CHECK (test IN (0, 1)),
    first_name    TEXT NOT NULL DEFAULT '',
    last_name     TEXT NOT NULL DEFAULT '',
    email         TEXT NOT NULL DEFAULT '',
    email_key     TEXT,                        -- normalised; NULL: none, or erased
    phone         TEXT NOT NULL DEFAULT '',
    phone_key     TEXT,                        -- E.164
    country       TEXT NOT NULL DEFAULT '',
    language      TEXT NOT NULL DEFAULT '',
    fields        TEXT NOT NULL DEFAULT '{}',  -- JSON object: custom fields, as lead_facts.fields
    tags          TEXT NOT NULL DEFAULT '[]',
    department_id @int@ REFERENCES departments (id),
    agent_id      @int@ REFERENCES staff (id),
    trader_id     @int@ REFERENCES traders (id),
    existing      @int@ NOT NULL DEFAULT 0 CHECK (existing IN (0, 1)),  -- the person had an account before: no autologin
    duplicate_of  @int@ REFERENCES leads (id), -- duplicates are allowed, and this is one
    idempotency_key TEXT,
    content       @bytes@ NOT NULL,
    journal_id    @int@ NOT NULL,              -- the fact it is made of; 0: made by hand
    seq           @int@ NOT NULL,
    confirmed_us  @int@,                       -- the mail's link was followed
    erased_us     @int@,                       -- the person's data is gone
    created_us    @int@ NOT NULL,              -- when it arrived at the edge
    updated_us    @int@ NOT NULL,
    version       @int@ NOT NULL DEFAULT 1
) @strict@;
CREATE INDEX leads_created ON leads (created_us, id);
CREATE INDEX leads_status ON leads (status, created_us, id);
CREATE INDEX leads_affiliate ON leads (affiliate_id, created_us, id);
CREATE INDEX leads_agent ON leads (agent_id, created_us, id);
CREATE INDEX leads_department ON leads (department_id, created_us, id);
CREATE INDEX leads_source ON leads (source_id, created_us, id);
CREATE INDEX leads_api_user ON leads (api_user_id, created_us, id);
CREATE INDEX leads_email ON leads (program_id, email_key) WHERE email_key IS NOT NULL;
CREATE INDEX leads_phone ON leads (program_id, phone_key) WHERE phone_key IS NOT NULL;
CREATE INDEX leads_trader ON leads (trader_id) WHERE trader_id IS NOT NULL;

-- Every submission with what became of it, both kinds (S28).
CREATE TABLE lead_log (
    id           @id@,
    at_us        @int@ NOT NULL,               -- when it arrived at the edge
    journal_id   @int@ NOT NULL,
    seq          @int@ NOT NULL,
    uid          TEXT NOT NULL,
    lead_id      @int@ REFERENCES leads (id),  -- the lead it became, or is a duplicate of
    program_id   @int@ NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('api', 'form', 'manual')),
    api_user_id  @int@,
    form_id      @int@,
    source_id    @int@,
    affiliate_id @int@,
    agent_id     @int@,
    department_id @int@,
    verdict      TEXT NOT NULL,                -- as lead_facts.outcome
    reason       TEXT NOT NULL DEFAULT '',     -- 'same_email', 'same_phone', 'honeypot', 'too_fast', 'email_invalid', ...
    email        TEXT NOT NULL DEFAULT '',     -- as sent; '' once erased
    UNIQUE (journal_id, seq)
) @strict@;
CREATE INDEX lead_log_at ON lead_log (at_us, id);
CREATE INDEX lead_log_affiliate ON lead_log (affiliate_id, at_us, id);
CREATE INDEX lead_log_lead ON lead_log (lead_id) WHERE lead_id IS NOT NULL;

CREATE TABLE lead_notes (
    id         @id@,
    lead_id    @int@ NOT NULL REFERENCES leads (id),
    actor      TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_us @int@ NOT NULL
) @strict@;
CREATE INDEX lead_notes_lead ON lead_notes (lead_id, id);

-- Autologins that were redeemed: each works once, and one lead is logged in by one of them.
CREATE TABLE autologins (
    nonce      @bytes@ PRIMARY KEY,
    lead_id    @int@ NOT NULL UNIQUE REFERENCES leads (id),
    at_us      @int@ NOT NULL
) @strict@;

-- Which warning was given for which expiry: 30, 7 and 1 days before, and 0 when it has come.
CREATE TABLE key_warnings (
    api_user_id @int@ NOT NULL REFERENCES api_users (id),
    expires_us  @int@ NOT NULL,
    days        @int@ NOT NULL,
    at_us       @int@ NOT NULL,
    PRIMARY KEY (api_user_id, expires_us, days)
) @clustered@;

-- Sessions of affiliates in the portal.
CREATE TABLE portal_sessions (
    hash         @bytes@ PRIMARY KEY,          -- SHA-256 of the cookie
    affiliate_id @int@ NOT NULL REFERENCES affiliates (id),
    csrf         TEXT NOT NULL,
    created_us   @int@ NOT NULL,
    seen_us      @int@ NOT NULL,
    expires_us   @int@ NOT NULL
) @strict@;
CREATE INDEX portal_sessions_affiliate ON portal_sessions (affiliate_id);
CREATE INDEX portal_sessions_expires ON portal_sessions (expires_us);
