"""Speed, held against what a user would run instead; outputs are compared before anything is timed."""
