-- Which cards, by UUID, a container holds: whole, and nobody else until it has ended.

ALTER TABLE containers ADD COLUMN devices TEXT NOT NULL DEFAULT '[]'
