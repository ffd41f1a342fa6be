"""A cell on disk: its key, record, schema, migrations, store and provenance."""
