import pytest

from partitioner.errors import ConfigError
from partitioner.security import safe_yaml


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


def test_plain_values_and_aliases_are_read() -> None:
    text = "base: &b {x: 1}\nmore: [*b, 2.5, yes, text, null]"
    assert safe_yaml.read(text, "conf") == {"base": {"x": 1}, "more": [{"x": 1}, 2.5, True, "text", None]}


def test_an_empty_document_is_nothing() -> None:
    assert safe_yaml.read("# only a comment", "conf") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb(9, 9), "unfolds to more than 100000 values"),
        ("a: &a [*a]", "alias to something that it is part of"),
        ("[" * 60 + "]" * 60, "nested more than 40 deep"),
        ("x: " + "y" * 2**20, "at most 1048576"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: !custom 1", "could not determine a constructor"),
        ("a: [1", "not valid YAML"),
        ("a: *nowhere", "undefined alias"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: \x07", "not valid YAML"),
        ("a: 2026-13-45", "month must be in 1..12"),
        ("a: " + "9" * 5000, "an integer of 5000 characters; at most 400 are read"),
        ("{[1]: 2, ? {a: 1} : 3}", "unhashable"),
    ],
)
def test_what_is_no_plain_document_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        safe_yaml.read(text, "conf.yaml")
    assert said in str(refused.value)
    assert "conf.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)
