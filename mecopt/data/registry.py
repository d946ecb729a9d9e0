"""Which data files mecopt reads: columns, licences, sources at cited commits, content hashes.

No data file is part of the package. They live in a folder of their own (`resolve_data_dir`);
`docs/data.md` is the page for people.
"""

from __future__ import annotations

from typing import Any

from mecopt.data.spec import Column, DataFile, Original


def request_columns(arrival: str, prompt: str, generated: str, unit: str) -> tuple[Column, ...]:
    """Columns of a request trace: rising arrivals, prompt and generated tokens."""
    return (
        Column(arrival, "float", unit, low=0.0, high=1e8, rising=True),
        Column(prompt, "int", "prompt tokens", low=0, high=1e8),
        Column(generated, "int", "generated tokens", low=0, high=1e8),
    )


AZURE_COLUMNS = request_columns("arrival_s", "context_tokens", "generated_tokens", "s")
_PLACE = (
    Column("latitude_deg", "float", "WGS84 degrees", low=-90, high=90),
    Column("longitude_deg", "float", "WGS84 degrees", low=-180, high=180),
)
# Repositories at the commits we cite.
_AZURE = ("Azure/AzurePublicDataset", "b469a113cedca53ddc3bdea71a143dc4b7d8700c")
_MOONCAKE = ("kvcache-ai/Mooncake", "3b5a594133958449a1feaf1c9e0fc1b553e34a28")
_EUA = ("swinedge/eua-dataset", "61238e00a6f01019c8a6ba1619675337a879a3d4")


def _hosted(original: Original, **rest: Any) -> DataFile:
    """A data file made from one file of a public repository."""
    source = f"{original.repository}@{original.commit[:8]} {original.path}"
    return DataFile(source=source, original=original, **rest)


def _azure(kind: str, rows: int, sha256: str) -> DataFile:
    return _hosted(
        Original(*_AZURE, f"data/AzureLLMInferenceTrace_{kind}.csv", "azure"),
        name=f"azure-{kind}",
        path=f"traces/azure_llm_2023_{kind}.csv.gz",
        columns=AZURE_COLUMNS,
        purpose=f"arrivals and token counts of LLM requests ({kind}), 16 November 2023",
        licence="CC-BY-4.0",
        rows=rows,
        sha256=sha256,
        section="section 1",
    )


FILES: tuple[DataFile, ...] = (
    _azure("conv", 19366, "719966053e3caba544b709f6a7833880597ee0fd2a6638c330fdd95490fb86d6"),
    _azure("code", 8819, "ddb7d3f4afb1ed8220af7d498f435e92a111c0a0eefb8e89b2f608daa7372ec6"),
    _hosted(
        Original(*_MOONCAKE, "FAST25-release/traces/conversation_trace.jsonl", "mooncake"),
        name="mooncake-conversation",
        path="traces/mooncake_fast25_conversation.csv.gz",
        columns=request_columns("arrival_ms", "input_tokens", "output_tokens", "ms"),
        purpose="arrivals and token counts of LLM requests with long prompts",
        licence="Apache-2.0",
        rows=12031,
        scenarios=("traces", "caching"),
        sha256="1907cb1e764a081fc6854aa8ff35a6ef5e8b6a5106435171d31298ad77f6ae32",
        section="section 1",
    ),
    DataFile(
        name="servegen-rates",
        path="traces/servegen_client_rates.csv.gz",
        columns=(
            Column("workload", "text", "service"),
            Column("client", "int", "identifier", low=0),
            Column("window_start_s", "float", "s", low=0),
            Column("rate_rps", "float", "requests/s", low=0),
            Column("iat_family", "text", "law of the gaps", optional=True),
            Column("iat_param1", "float", "its shape", optional=True),
        ),
        purpose="request rates and burstiness of the clients of a production LLM service",
        licence="Apache-2.0",
        source="alibaba/ServeGen@f891d118 data/*/*/chunk-N-trace.csv, joined",
        rows=251524,
        sha256="c6ff776f7a7b274fd65f06940e48ff0d4ac272c31ed4a18fcc2bd1c1fe5745b9",
        scenarios=("caching",),
        section="section 1",
    ),
    DataFile(
        name="servegen-tokens",
        path="traces/servegen_client_token_quantiles.csv.gz",
        columns=(
            Column("workload", "text", "service"),
            Column("client", "int", "identifier", low=0),
            Column("field", "text", "what is counted"),
            Column("mean", "float", "tokens", low=0),
        ),
        purpose="token counts of the clients of a production LLM service",
        licence="Apache-2.0",
        source="alibaba/ServeGen@f891d118 data/*/*/chunk-N-dataset.json, reduced to quantiles",
        rows=15614,
        sha256="4811ea3aeaeb65053fc9569eca92e76cf769730f1732b470e0405f0d38b53050",
        scenarios=("caching",),
        section="section 1",
    ),
    _hosted(
        Original(*_EUA, "edge-servers/site-optus-melbCBD.csv", "eua-sites"),
        name="eua-sites",
        path="topology/eua_melbcbd_edge_servers.csv.gz",
        columns=(Column("site_id", "text", "identifier"), *_PLACE),
        purpose="125 base stations in Melbourne CBD",
        licence="MIT",
        rows=125,
        sha256="3b7a2c7ab14ee23b14ab18d88197f94b30ecb774dac11cebbbe1ec953bcb03a6",
        section="section 2",
    ),
    _hosted(
        Original(*_EUA, "users/users-melbcbd-generated.csv", "eua-users"),
        name="eua-users",
        path="topology/eua_melbcbd_users_generated.csv.gz",
        columns=_PLACE,
        purpose="816 user positions, generated uniformly by the source",
        licence="MIT",
        rows=816,
        sha256="1603d16a79776943aa90fd2fe0ed5a0e2e9cfdbd108a4d3436addfb5c93fdbea",
        section="section 2",
    ),
    DataFile(
        name="model-architectures",
        path="models/model_architectures.csv",
        columns=(
            Column("model", "text", "name"),
            Column("params_b", "float", "1e9 parameters, all", low=0),
            Column("active_params_b", "float", "1e9 parameters, per token", low=0),
            Column("n_layers", "int", "layers", low=1),
            Column("n_heads", "int", "query heads", low=1),
            Column("head_dim", "int", "width of a head", low=1),
            Column("max_context_tokens", "int", "tokens", low=1),
            Column("kv_bytes_per_token_fp16", "float", "bytes", low=0),
            Column("weights_gb_fp16", "float", "1e9 bytes", low=0),
            Column("gflop_per_token_forward", "float", "GFLOP, without attention scores", low=0),
        ),
        purpose="size, FLOPs and cache of a language model",
        scenarios=("traces", "caching"),
        licence="Apache-2.0",
        source="Lightning-AI/litgpt@26857050 litgpt/config.py, computed",
        rows=36,
        sha256="6764094a04c3d97fa18fddebf133632305509d083a88eb3e58ca8048b79f140c",
        section="section 3",
    ),
    DataFile(
        name="model-accuracy",
        path="models/model_accuracy.csv",
        columns=(
            *(Column(n, "text", "") for n in ("model", "variant", "precision", "benchmark")),
            Column("arch_model", "text", "key into model_architectures.csv", optional=True),
            Column("score_percent", "float", "percent", low=0, high=100),
            Column("source", "text", "publication"),
        ),
        purpose="published benchmark scores of a language model",
        licence="facts with citation",
        source="vendors' published tables, cited per row",
        rows=124,
        sha256="f09435599161f7f8ee9723eaa1c565736a53995cf6ccf31485edc3f7f7354947",
        section="section 3",
    ),
    DataFile(
        name="device-specs",
        path="hardware/device_specs.csv",
        columns=(
            Column("device", "text", "name"),
            Column("memory_gb", "float", "1e9 bytes", low=0),
            Column("mem_bandwidth_gb_s", "float", "1e9 bytes/s", low=0),
            Column("fp16_tflops_dense", "float", "1e12 FLOP/s", low=0, optional=True),
        ),
        purpose="memory, bandwidth and compute of a device",
        licence="public facts",
        source="vendors' specifications, cited per row",
        rows=22,
        sha256="bf6e3c80ccfcc2141b8251b0b77a499b6a6daeae9be13e7d30b06caff7023351",
        section="section 4",
    ),
    DataFile(
        name="measured-llm-speed",
        path="hardware/measured_llm_speed.csv",
        columns=(
            *(Column(n, "text", "") for n in ("device", "model")),
            Column("precision", "text", "", optional=True),
            Column("batch", "int", "sequences", low=1),
            Column("prompt_tokens", "float", "tokens", low=1, optional=True),
            Column("prefill_tok_s", "float", "tokens/s", low=0, optional=True),
            Column("decode_tok_s", "float", "tokens/s, summed over the batch", low=0),
            Column("note", "text", "how the row was taken", optional=True),
        ),
        purpose="measured prefill and decode speeds that calibrate the roofline",
        licence="Apache-2.0, MIT, BSD-3-Clause",
        source="TensorRT Edge-LLM, Jetson AI Lab and ExecuTorch documentation, cited per row",
        rows=215,
        sha256="e1859fc2305a8a95ee19db35bffe0b5980c24f55fe205f9dab7da1f7a8f4600d",
        section="section 4",
    ),
    DataFile(
        name="channel-constants",
        path="network/channel_constants.csv",
        columns=(Column("parameter", "text", "name"), Column("value", "text", "number or formula")),
        purpose="3GPP UMi path loss and thermal noise",
        licence="public facts",
        source="3GPP TR 38.901, re-tabulated",
        rows=6,
        sha256="52abeae67e2510171d65770aac41258635f93cf474262a29c9da4130bbf18d22",
        section="section 5",
    ),
    DataFile(
        name="nr-cqi",
        path="network/nr_cqi_table1.csv",
        columns=(
            Column("cqi", "int", "index", low=1, high=15, rising=True),
            Column("spectral_efficiency_bps_per_hz", "float", "bit/s/Hz", low=0, rising=True),
            Column("snr_threshold_db_10pct_bler_approx", "float", "dB", rising=True),
        ),
        purpose="spectral efficiency at a signal-to-noise ratio",
        licence="public facts",
        source="3GPP TS 38.214 Table 5.2.2.1-2, re-tabulated",
        rows=15,
        sha256="91cd2307934ceb8652bd34d18968322528859d5d68783a31d95daa8a7d414a3e",
        section="section 5",
    ),
    DataFile(
        name="nr-bandwidth",
        path="network/nr_bandwidth_rb.csv",
        columns=(
            Column("scs_khz", "int", "kHz", low=1),
            Column("bandwidth_mhz", "int", "MHz", low=1),
            Column("n_rb", "int", "resource blocks", low=1),
            Column("ul_overhead", "float", "fraction", low=0, high=1),
        ),
        purpose="resource blocks and overhead of a carrier",
        licence="public facts",
        source="3GPP TS 38.101 and TS 38.306, re-tabulated",
        rows=24,
        sha256="51c4024b00f61e1edd8e09d60bf236df156fc02d27ab13c6de202b65e38df8b2",
        section="section 5",
    ),
)
