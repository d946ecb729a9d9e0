"""Online rules for task graphs: policies of `mecopt.offloading` that know plans."""
