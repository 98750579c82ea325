"""Runs chat-server, chatd and their peers in turn, and reports what they cost: see BENCHMARKS.md."""
