"""flowtell."""
