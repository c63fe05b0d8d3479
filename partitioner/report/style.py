"""The style sheet of the report page; system fonts only, for nothing may be fetched."""

CSS = """
:root { --ink: #1c2733; --muted: #66727f; --line: #e3e8ed; --blue: #2b7a9b; --red: #cc3d4a; --amber: #b9770e;
  --green: #2c7a4b; }
* { box-sizing: border-box; }
body { margin: 0; background: #f3f5f7; color: var(--ink); line-height: 1.45;
  font: 14px/1.45 Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
html { overflow-y: scroll; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 48px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 14px; margin-bottom: 6px; }
h1 { font-size: 22px; font-weight: 650; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 15px; font-weight: 650; margin: 0 0 2px; }
.lead { color: var(--muted); margin: 0 0 18px; overflow-wrap: anywhere; }
.pill { font-size: 12px; font-weight: 600; padding: 2px 10px; border-radius: 99px; background: #e6f2ea;
  color: var(--green); }
.pill.failed { background: #fae7e9; color: var(--red); }
.pill.interrupted, .pill.unfinished { background: #fcf1de; color: var(--amber); }
.reason { background: #fff; border-left: 4px solid var(--red); padding: 10px 14px; margin: 0 0 16px; border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(6, 1fr); gap: 12px; margin-bottom: 16px; }
.card, section { background: #fff; border: 1px solid var(--line); border-radius: 8px; }
.card { padding: 12px 14px; }
.card b { display: block; font-size: 21px; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.card span { display: block; font-size: 12px; color: var(--muted); }
section { padding: 16px 18px; margin-bottom: 16px; min-width: 0; }
.note { color: var(--muted); font-size: 12.5px; margin: 0 0 8px; }
.two { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 16px; margin-bottom: 16px; }
.two section { margin-bottom: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: 12px; font-weight: 600; color: var(--muted); }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { white-space: nowrap; }
td { overflow-wrap: anywhere; min-width: 92px; }
td:first-child { overflow-wrap: normal; }
td:last-child:not(.n) { min-width: 240px; }
.wide { overflow-x: auto; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; white-space: nowrap; padding-right: 22px; }
.failed-text { color: var(--red); } .lost-text { color: var(--amber); }
details { margin-top: 4px; } summary { cursor: pointer; color: var(--blue); }
pre { background: #f6f8fa; border: 1px solid var(--line); border-radius: 6px; padding: 10px; margin: 6px 0 0;
  font-size: 12px;
  max-height: 320px; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 1000px) { .cards { grid-template-columns: repeat(3, 1fr); }
  .two { grid-template-columns: minmax(0, 1fr); } }
table + table { margin-top: 16px; }
@media (max-width: 560px) { main { padding: 16px 12px 32px; } .cards { grid-template-columns: repeat(2, 1fr); }
  .modebar-container { display: none; }
  td { min-width: 0; } td:first-child { overflow-wrap: anywhere; min-width: 70px; }
  table { font-size: 12.5px; } th { font-size: 11px; } td, td.n, th, th.n { padding-right: 5px; }
  table:has(td:last-child:not(.n)), table:has(td:last-child:not(.n)) tbody { display: block; }
  table:has(td:last-child:not(.n)) tr { display: flex; flex-wrap: wrap; column-gap: 14px; padding: 5px 0;
    border-bottom: 1px solid var(--line); }
  table:has(td:last-child:not(.n)) :is(td, th) { border: 0; padding: 1px 0; min-width: 0; text-align: left; }
  table:has(td:last-child:not(.n)) td:last-child { flex-basis: 100%; min-width: 0; } }
@media print { body { background: #fff; } section, .card { break-inside: avoid; } }
"""
