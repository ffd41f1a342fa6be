"""The demonstration: small models built on the spot from bundled rows."""
