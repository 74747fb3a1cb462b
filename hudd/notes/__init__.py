"""From answers to notes: pure decisions about text."""
