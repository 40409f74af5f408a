"""The source's three experiments, each a preset over one runner."""
