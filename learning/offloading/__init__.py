"""Trained offloading rules: states, rewards, prompts, trainers, policies."""
