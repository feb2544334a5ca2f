"""Pictures and videos: checked, fitted to limits, fetched. The work itself runs in child processes."""
