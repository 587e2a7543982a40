-- One row a verdict of a person on a pair. A verdict that is taken back stays, and says when. The scores it gave are in
-- `evaluations` (name 'review', source 'human', the same time) for as long as it stands.
CREATE TABLE reviews (
    id VARCHAR NOT NULL UNIQUE,              -- the same when one verdict arrives twice
    trace_id VARCHAR NOT NULL,               -- the call that the requested (strong) model answered
    span_id VARCHAR NOT NULL,
    shadow_trace_id VARCHAR NOT NULL,        -- its shadow call, answered by the cheaper (weak) model
    shadow_span_id VARCHAR NOT NULL,
    first VARCHAR NOT NULL,                  -- strong | weak: whose answer was shown as A
    verdict VARCHAR NOT NULL,                -- strong | weak | both_good | both_bad | skip
    reason VARCHAR NOT NULL,                 -- random | disagreement: what the pair was drawn for
    propensity DOUBLE NOT NULL,              -- probability, before the draw, that the pair was drawn
    shown VARCHAR NOT NULL,                  -- content | link: what the reviewer went by
    reviewer VARCHAR NOT NULL,
    reviewed_at TIMESTAMP_NS NOT NULL,
    undone_at TIMESTAMP_NS
);
