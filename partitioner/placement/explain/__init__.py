"""Why a plan is as it is, and the views of it: text, JSON, tables, Gantt and Mermaid."""
