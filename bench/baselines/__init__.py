"""What wanbot is measured against: the shortest programs that do the same, each run as a process of its own."""
