-- What leaves the house by itself: mails now, webhooks and partners' postbacks to come.
--
-- A row is written in the transaction of the change that it tells of; a sender of its kind takes it from here.  Tokens
-- and units as in 0001_base.sql.

CREATE TABLE outbox (
    id         @id@,
    kind       TEXT NOT NULL CHECK (kind IN ('mail', 'webhook', 'postback')),
    name       TEXT NOT NULL UNIQUE,           -- what it is about, 'confirm:<lead>': asked for twice, it is sent once
    uid        TEXT NOT NULL UNIQUE,           -- 32 hex digits: what receivers know it by; another one when sent again
    lead_id    @int@ REFERENCES leads (id),    -- whose data it holds
    recipient  TEXT NOT NULL,                  -- an address, as it is sent to
    subject    TEXT NOT NULL,
    text       TEXT NOT NULL,                  -- U+001A stands where the link belongs
    html       TEXT NOT NULL,                  -- likewise; '': there is none
    link       TEXT NOT NULL,                  -- a secret: shown to nobody but the recipient
    state      TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed', 'dropped')),
    tries      @int@ NOT NULL DEFAULT 0,
    next_us    @int@ NOT NULL,                 -- not before
    expires_us @int@ NOT NULL,                 -- of no use after it: dropped
    last_error TEXT NOT NULL DEFAULT '',
    sent_us    @int@,
    created_us @int@ NOT NULL,
    updated_us @int@ NOT NULL,
    version    @int@ NOT NULL DEFAULT 1
) @strict@;
CREATE INDEX outbox_due ON outbox (next_us, id) WHERE state = 'queued';
CREATE INDEX outbox_created ON outbox (created_us, id);
CREATE INDEX outbox_lead ON outbox (lead_id) WHERE lead_id IS NOT NULL;
