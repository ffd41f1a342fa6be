"""The pages of the leaderboard, one view a file; each exports `page(view)`."""
