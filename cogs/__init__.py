"""What members and moderators touch."""
