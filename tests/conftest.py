"""What tests share across folders: compiled kernels, and one local Ray."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

#: How often a local Ray is started anew when a loaded machine lets its first start time out.
RAY_ATTEMPTS = 5


@pytest.fixture(scope="session")
def compiled_offloading() -> None:
    """Kernels of offloading, compiled before any clock of a test runs."""
    import formulations

    formulations.warm_up("offloading")


@pytest.fixture(scope="session")
def compiled_caching() -> None:
    """Kernels of caching, compiled before any clock of a test runs."""
    import formulations

    formulations.warm_up("caching")


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One local Ray for the session, given all the time that a loaded machine takes to start it."""
    patience = {
        "RAY_gcs_server_port_wait_time_s": "600",
        "RAY_gcs_server_request_timeout_seconds": "600",
        "RAY_worker_register_timeout_seconds": "600",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, seconds in patience.items():
            patch.setenv(name, seconds)  # Ray reads them when it is imported
        import ray

        for attempt in range(RAY_ATTEMPTS):
            try:
                ray.init(
                    num_cpus=1,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    object_store_memory=100_000_000,
                )
                break
            except Exception:
                ray.shutdown()
                if attempt == RAY_ATTEMPTS - 1:
                    raise
        yield
        ray.shutdown()
