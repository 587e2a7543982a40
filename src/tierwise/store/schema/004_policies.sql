-- Every version of the policy; the highest is in force.
CREATE TABLE policies (
    version BIGINT NOT NULL UNIQUE,
    text VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    who VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    created_at TIMESTAMP_NS NOT NULL
);
