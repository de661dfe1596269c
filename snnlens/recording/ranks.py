"""Records of the ranks of torchrun, brought to the first one and merged there. Nothing is pickled.

    torchrun --nproc-per-node 2 train.py

A Record travels as the bytes of a zip archive: run.json and a Parquet file per table, as in a run
folder.
"""

from __future__ import annotations

import io
import json
import zipfile

import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor

from snnlens.recording.merge import merge
from snnlens.recording.record import Record, Schema, schema_dict
from snnlens.recording.store import dumps

HEAD, SITES, TABLE = "run.json", "sites.parquet", "record/{}.parquet"


def gather(record: Record | None, *, how: str = "per rank") -> Record | None:
    """The merged Record of all ranks on rank 0, and None on the others; every rank calls it.

    Where no process group is initialised there is one rank, and the Record comes back as it is.

    Args:
        record: what this rank recorded; None where it recorded nothing, which the merged Record
            says in its fact `missing_ranks`.
        how: over what BatchNorm averaged; see `snnlens.recording.merge.merge`.

    Raises:
        InputError: on rank 0, where the Records cannot be merged, or no rank has one.

    >>> from snnlens.recording.record import empty
    >>> gather(empty()).networks
    {}
    """
    if not dist.is_initialized():
        return record
    gathered = _gathered(b"" if record is None else packed(record))
    if gathered is None:
        return None
    records = [unpacked(data) for data in gathered if data]
    return merge(records, how=how, expected=len(gathered))


def packed(record: Record) -> bytes:
    """A Record as bytes: what a run folder would hold."""
    head = {
        "networks": record.networks,
        "provenance": record.provenance,
        "schemas": {name: schema_dict(schema) for name, schema in record.schemas.items()},
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(HEAD, dumps(head))
        archive.writestr(SITES, _parquet(record.sites))
        for name, table in record.tables.items():
            archive.writestr(TABLE.format(name), _parquet(table))
    return data.getvalue()


def unpacked(data: bytes) -> Record:
    """The Record of `packed`; numbers that are not finite have become None in its facts.

    >>> from snnlens.recording.record import empty
    >>> list(unpacked(packed(empty())).sites) == list(empty().sites)
    True
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        head = json.loads(archive.read(HEAD))

        def table(name: str) -> pd.DataFrame:
            return pd.read_parquet(io.BytesIO(archive.read(name)))

        return Record(
            sites=table(SITES),
            tables={name: table(TABLE.format(name)) for name in head["schemas"]},
            schemas={name: Schema.from_dict(s) for name, s in head["schemas"].items()},
            networks=head["networks"],
            provenance=head["provenance"],
        )


def _parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _gathered(data: bytes) -> list[bytes] | None:
    """The bytes of every rank, on rank 0; they travel filled up to the length of the longest."""
    device = torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
    ranks, first = dist.get_world_size(), dist.get_rank() == 0
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(ranks)]
    dist.all_gather(lengths, torch.tensor([len(data)], device=device))
    sizes = [int(length) for length in lengths]
    own = torch.zeros(max(sizes), dtype=torch.uint8, device=device)
    if data:
        own[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    into = [torch.empty_like(own) for _ in range(ranks)] if first else None
    dist.gather(own, into)
    return None if into is None else [_bytes(x, size) for x, size in zip(into, sizes, strict=True)]


def _bytes(x: Tensor, size: int) -> bytes:
    return bytes(x[:size].cpu().numpy())
