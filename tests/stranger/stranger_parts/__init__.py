"""A placement, a cost model, a splitter, a reducer, an engine and a connector, written from CONTRIBUTING.md alone."""
