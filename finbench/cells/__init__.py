"""A cell on disk: its key, record, schema, migrations, store and provenance.

What comes in: what a run measured, and files that others wrote; what goes out: records that were checked. A newcomer
adds a field to `cell.schema.json` and `key.py`, with a step in `migrate.py`.
"""
