"""What is kept of members and guilds, for how long, and how it is deleted."""
