"""What is timed: functions that get ready and return the job; they run in the environment of their library."""
