"""Results from and for other programs: what lm-eval wrote becomes cells, cells become what others read."""
