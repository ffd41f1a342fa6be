"""What a run costs: measured while it runs, and predicted before."""
