"""The journal: notes, money, errors and pauses in one SQLite file."""
