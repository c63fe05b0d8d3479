"""What Arrow would bring together in silence, and should not."""

from __future__ import annotations

import pyarrow as pa


def text_as_bytes(kind: pa.DataType, wider: pa.DataType) -> bool:
    """Whether text of ``kind``, at any depth, becomes bytes in the type ``wider``, which holds it by Arrow's promotion."""
    kind, wider = (k.value_type if pa.types.is_dictionary(k) else k for k in (kind, wider))
    if is_text(kind):
        return is_bytes(wider)
    if pa.types.is_struct(kind):
        return any(text_as_bytes(field.type, wider.field(field.name).type) for field in kind)
    inner = range(kind.num_fields) if kind.num_fields == wider.num_fields else ()
    return any(text_as_bytes(kind.field(i).type, wider.field(i).type) for i in inner)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view())


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or kind == pa.binary_view()
    )
