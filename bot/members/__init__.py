"""What members choose for themselves in a community: settings, and options under a name."""
