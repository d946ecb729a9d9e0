"""What became of a task, as the kernels write it."""

ON_TIME, LATE, DROPPED, FAILED = 0, 1, 2, 3

#: Time (ns) of what does not happen.
NEVER = 2**62
