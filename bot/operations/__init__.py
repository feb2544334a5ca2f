"""For whoever runs the bot: metrics, health, and a page. Loaded only when ``HTTP_PORT`` is set."""
