-- What evidence proposes, as JSON, and the state it is in.
CREATE TABLE recommendations (
    id VARCHAR NOT NULL UNIQUE,
    state VARCHAR NOT NULL,
    content JSON NOT NULL,
    created_at TIMESTAMP_NS NOT NULL,
    updated_at TIMESTAMP_NS NOT NULL
);
