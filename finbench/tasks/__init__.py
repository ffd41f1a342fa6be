"""Tasks: their YAMLs, loading, checking, making one, sizes, and the requests that scoring sends."""
