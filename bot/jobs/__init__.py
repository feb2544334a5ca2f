"""Jobs: from the request to its end."""
