"""A miniature data folder: the columns of the real files, a dozen made-up rows."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from mecopt.data import DataFile, find, read, resolve_data_dir

#: Ten requests in 20 s; prompts rise, so the believed lengths are easy to follow.
AZURE = """arrival_s,context_tokens,generated_tokens
0.0000000,100,40
1.0000000,200,60
2.5000000,300,20
4.0000000,400,80
6.0000000,500,100
8.0000000,600,10
9.0000000,700,200
12.0000000,800,30
15.0000000,900,50
20.0000000,1000,150
"""
MOONCAKE = """arrival_ms,input_tokens,output_tokens,hash_ids
0,1000,40,0 1
0,1200,50,0 2 3
0,9000,10,0 4
3000,800,20,0 1
6000,2000,30,0 1 5 6
"""
#: Four sites on a parallel near Melbourne, 0.001 degrees of longitude (88 m) apart, and two users:
#: one at site A, one between C and D.
SITES = """site_id,latitude_deg,longitude_deg,site_precision,name
A,-37.81,144.960,Unknown,first
B,-37.81,144.961,Unknown,second
C,-37.81,144.962,Unknown,third
D,-37.81,144.963,Unknown,"fourth, with a comma"
"""
USERS = """latitude_deg,longitude_deg
-37.8100000,144.9600000
-37.8100000,144.9625000
"""
ARCHITECTURES = """model,params_b,active_params_b,n_layers,n_heads,head_dim,max_context_tokens,\
kv_bytes_per_token_fp16,weights_gb_fp16,gflop_per_token_forward
Qwen2.5-1.5B,1.5,1.5,10,10,10,4096,10000,3,3
Qwen2.5-3B,3,3,10,10,10,4096,20000,6,6
Qwen2.5-7B,7,7,10,10,10,32768,40000,14,14
Qwen2.5-14B,14,14,10,10,10,32768,80000,28,28
Qwen2.5-72B,72,72,10,10,10,131072,300000,144,144
Qwen3-8B,8,8,10,10,10,40960,100000,16,16
Qwen3-30B-A3B,30,3,10,10,10,40960,100000,60,6
"""
_SOURCE = "QwenLM/qwenlm.github.io@1f89f8c8 page"
ACCURACY = "model,arch_model,variant,precision,benchmark,shots,score_percent,source\n" + "".join(
    f"{name},{name},{variant},BF16,{benchmark},,{score},{source}\n"
    for name, score in (
        ("Qwen2.5-1.5B", 50),
        ("Qwen2.5-3B", 60),
        ("Qwen2.5-7B", 75),
        ("Qwen2.5-14B", 80),
        ("Qwen2.5-72B", 90),
    )
    # Rows of another variant, benchmark and publication, which must not be taken.
    for variant, benchmark, source, score in (
        ("base", "MMLU-redux", _SOURCE, 1),
        ("instruct", "GSM8K", _SOURCE, 2),
        ("instruct", "MMLU-redux", "somebody else", 3),
        ("instruct", "MMLU-redux", _SOURCE, score),
    )
)
SPECS = """device,class,memory_gb,mem_bandwidth_gb_s,fp16_tflops_dense
Snapdragon 8 Gen 3 phone,phone,12,80,
Apple M3 Max 40-core GPU,laptop,64,400,14
Jetson AGX Thor 128GB,edge_module,128,250,200
NVIDIA L4,edge_gpu,24,300,120
H100 SXM 80GB,datacentre_gpu,80,3000,1000
"""
MEASURED = """device,model,precision,batch,prompt_tokens,prefill_tok_s,decode_tok_s,note
Jetson AGX Thor,Qwen3-8B,NVFP4,8,2048,800,200,prefill_tok_s at batch 8 is per sequence
Jetson AGX Thor,Qwen3-8B,NVFP4,8,400,1,1,too short to count
Jetson AGX Thor,Qwen3-30B-A3B,NVFP4,8,2048,1,1,per sequence
Jetson AGX Thor,Qwen3-8B,NVFP4,1,2048,6000,40,
Jetson AGX Thor,Qwen3-8B,BF16,1,2048,1,1,
Somebody's toaster,Qwen3-8B,INT4,1,2048,1,1,
OnePlus 12 phone (CPU),Qwen3-8B,INT4,1,64,30,8,
Jetson AGX Thor,Qwen3-8B,NVFP4,1,,,99,no prompt length
"""
CHANNEL = """parameter,value,unit,meaning,source
umi_sf_los,4,dB,shadowing,made up
thermal_noise_psd,-174,dBm/Hz,kT,physics
"""
CQI = """cqi,spectral_efficiency_bps_per_hz,snr_threshold_db_10pct_bler_approx
1,0.15,-6.7
7,1.5,5.9
15,5.5,22.7
"""
BANDWIDTH = """range,scs_khz,bandwidth_mhz,n_rb,ul_overhead
FR1,30,20,50,0.1
"""
CONTENT = {
    "azure-conv": AZURE,
    "azure-code": AZURE,
    "mooncake-conversation": MOONCAKE,
    "eua-sites": SITES,
    "eua-users": USERS,
    "model-architectures": ARCHITECTURES,
    "model-accuracy": ACCURACY,
    "device-specs": SPECS,
    "measured-llm-speed": MEASURED,
    "channel-constants": CHANNEL,
    "nr-cqi": CQI,
    "nr-bandwidth": BANDWIDTH,
}


def write_file(folder: Path, spec: DataFile, text: str) -> Path:
    """Write one data file where its registry entry says."""
    path = folder / spec.path
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def write_folder(folder: Path) -> Path:
    """Write all files; returns the folder."""
    for name, text in CONTENT.items():
        write_file(folder, find(name), text)
    return folder


def real_folder() -> Path:
    """The real data folder; skips the test when it is not there."""
    folder = resolve_data_dir()
    for name in CONTENT:
        if not (folder / find(name).path).is_file():
            pytest.skip(f"no real data: {os.fspath(folder)} has no {find(name).path}")
    return folder


def tables(folder: Path, *names: str) -> list:
    """Checked tables of a folder."""
    return [read(find(name), folder) for name in names]


def utilisation(schedule, kind: str) -> dict[str, float]:
    """Busy share of each resource of a kind over the span of the releases."""
    x, line = schedule.instance, schedule.timeline()
    busy = (line["finish_s"] - line["start_s"]).groupby(line["resource"]).sum()
    span = np.ptp(x.release_ns) * 1e-9
    return {
        name: float(busy.get(name, 0.0)) / (int(x.capacity[r]) * span)
        for r, name in enumerate(x.resource_names)
        if x.resource_kinds[r] == kind
    }
