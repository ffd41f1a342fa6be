"""Bottleneck adapters (Pfeiffer, Houlsby, parallel), the type that PEFT lacks."""
