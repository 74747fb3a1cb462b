"""What the desktop tells and is told."""
