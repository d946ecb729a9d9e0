"""Joint model caching and inference offloading: exact models, bounds, schedules."""
