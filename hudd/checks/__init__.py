"""What `hudctl doctor` looks at that needs the daemon's own libraries; ``python -m hudd.checks`` runs it."""
