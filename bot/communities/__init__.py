"""What each community has set."""
