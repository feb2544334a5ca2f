"""What is shown on Discord, and how it gets there."""
