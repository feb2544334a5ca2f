"""How a demo video is drawn: the film, what it shows, what is written on it, and its encoding."""
