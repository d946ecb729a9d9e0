"""Failing nodes: agents that decide hop by hop, with and without the words of a language model."""
