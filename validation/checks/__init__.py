"""One small file a theorem, or a few that belong together."""
