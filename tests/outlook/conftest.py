"""Run directories made by hand, as for the report."""

from tests.report.conftest import hands

__all__ = ["hands"]
