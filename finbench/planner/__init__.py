"""What a training or a scoring will cost, before anything is loaded."""
