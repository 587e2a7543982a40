-- Ways to save other than another model are kept beside recommendations, with the same states.
ALTER TABLE recommendations ADD COLUMN kind VARCHAR DEFAULT 'model';  -- model | lever
