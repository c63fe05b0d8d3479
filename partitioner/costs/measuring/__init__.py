"""What is measured: pilots, runs, profiles and speeds."""
