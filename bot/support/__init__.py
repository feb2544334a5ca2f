"""What the people who run the bot look up and put right on the command line."""
