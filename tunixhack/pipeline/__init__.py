"""A build from its first question to its last table: options, pilot, teachers, steps, recorder."""
