-- What a hibernation could not save, by name and reason, until the notebook was told.

ALTER TABLE sessions ADD COLUMN kept_lost TEXT NOT NULL DEFAULT '{}'
