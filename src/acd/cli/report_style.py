"""How a report's page looks: one style sheet for screens, light and dark, and for paper."""

from __future__ import annotations

SHEET = """
:root{color-scheme:light dark;--bg:#fff;--panel:#f6f8fa;--ink:#17202a;--muted:#566270;--line:#dfe5eb;--grid:#e6ebf0;
--a:#2f6fb2;--b:#c4561a;--c:#8a94a0;--d:#23807a;--e:#8559a5;--f:#b98a12;--good:#1a7f4b;--fair:#8f6400;--bad:#b3261e;
--heat:47,111,178;--heat-ink:#17202a;--bar:#d5e4f3;--out:#eceff2;--ready:#a6c7e8;--i:#6b8e23}
@media (prefers-color-scheme:dark){:root{--bg:#11161b;--panel:#1a2129;--ink:#e7ecf1;--muted:#9fabb8;--line:#2b343e;
--grid:#28313a;--a:#5a9fe0;--b:#e88a4f;--c:#76828e;--d:#4bb5ac;--e:#b48ad2;--f:#d9b04a;--good:#5ccf92;--fair:#e0b455;
--bad:#ff8a80;--heat:47,111,178;--heat-ink:#e7ecf1;--bar:#24405c;--out:#232b33;--ready:#2f5f8d;--i:#a3c65c}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px}
.range{font-size:16px;margin:0}.about{color:var(--muted);margin:4px 0 0;font-size:13px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:22px 0 8px;padding:0;
list-style:none}
.tiles li{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px 14px;max-width:260px}
.tiles b{display:block;font-size:23px;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.25}
.tiles span{color:var(--muted);font-size:12.5px}
.several{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:0 28px}
figure{margin:18px 0 0}figcaption{font-weight:600;font-size:14px;margin-bottom:4px;display:flex;flex-wrap:wrap;gap:4px 18px;
align-items:baseline}
svg{display:block;width:100%;height:auto}
.legend{display:inline-flex;flex-wrap:wrap;gap:2px 14px;list-style:none;margin:0;padding:0;font-weight:400;font-size:12.5px;
color:var(--muted)}
.swatch{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:5px;background:currentColor}
.grid{stroke:var(--grid);stroke-width:1}.tick{fill:var(--muted);font-size:11.5px;font-variant-numeric:tabular-nums}
rect.a,circle.a{fill:var(--a)}rect.b{fill:var(--b)}rect.c{fill:var(--c)}rect.d{fill:var(--d)}rect.e{fill:var(--e)}
rect.f{fill:var(--f)}rect.g{fill:var(--out)}rect.h{fill:var(--ready)}rect.i{fill:var(--i)}circle.d{fill:var(--d)}
.swatch.a{color:var(--a)}.swatch.b{color:var(--b)}.swatch.c{color:var(--c)}.swatch.d{color:var(--d)}
.swatch.e{color:var(--e)}.swatch.f{color:var(--f)}.swatch.g{color:var(--out)}.swatch.h{color:var(--ready)}.swatch.i{color:var(--i)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.line.a{stroke:var(--a)}.line.d{stroke:var(--d)}
.scroll{overflow-x:auto;margin-top:8px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
caption{text-align:left;font-weight:600;font-size:16px;padding:24px 0 6px}
th,td{padding:5px 8px;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap;vertical-align:top}
thead th{white-space:normal;vertical-align:bottom;color:var(--muted);font-weight:600;font-size:12.5px;
border-bottom:2px solid var(--line);background:var(--bg);
position:sticky;top:0}
tbody th{font-weight:500}
.t{white-space:normal;overflow-wrap:break-word;min-width:6ch;max-width:34ch}
.n{text-align:right;font-variant-numeric:tabular-nums}
tfoot th,tfoot td{font-weight:650;border-bottom:0;border-top:2px solid var(--line)}
tbody tr:hover>*{background:var(--panel)}
.bar{position:relative;min-width:100px}
.bar i{position:absolute;left:0;top:4px;bottom:4px;background:var(--bar);border-radius:2px;z-index:0}
.bar b{position:relative;font-weight:inherit;z-index:1}
.good{color:var(--good)}.fair{color:var(--fair)}.bad{color:var(--bad);font-weight:650}
.heat{table-layout:fixed;min-width:900px}.heat th,.heat td{padding:5px 2px;text-align:center;font-size:12px;
border:1px solid var(--bg);font-variant-numeric:tabular-nums}.heat tbody th{text-align:left;padding-left:0}
.heat th:first-child{width:56px}.heat td{color:var(--heat-ink)}.heat .none{color:var(--muted)}
.lane{margin:10px 0 0}.lane p{margin:0;font-size:13px;font-weight:600}
.empty{color:var(--muted);padding:18px 0}
.notes{color:var(--muted);font-size:13px;margin-top:18px;padding-left:18px}
dl{columns:2;column-gap:36px;font-size:12.5px;color:var(--muted);margin:8px 0 0}
dl div{break-inside:avoid;margin-bottom:3px}dt{display:inline;font-weight:650;color:var(--ink)}dt:after{content:": "}
dd{display:inline;margin:0}
footer{margin-top:28px;color:var(--muted);font-size:12px}
@media (max-width:640px){main{padding:18px 14px 36px}dl{columns:1}figure .chart{overflow-x:auto}figure svg{min-width:520px}}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
@page{size:A4 landscape;margin:12mm}
@media print{:root{--bg:#fff;--panel:#fff;--ink:#000;--muted:#444;--line:#bbb;--grid:#ddd;--a:#2f6fb2;--b:#c4561a;
--c:#8a94a0;--d:#23807a;--e:#8559a5;--f:#b98a12;--good:#1a7f4b;--fair:#8f6400;--bad:#b3261e;--heat:47,111,178;--heat-ink:#000;--bar:#d5e4f3;
--out:#eceff2;--ready:#a6c7e8;--i:#6b8e23}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}main{max-width:none;padding:0}thead th{position:static}
.scroll{overflow:visible}tr,figure,.tiles li{break-inside:avoid}thead{display:table-header-group}table{font-size:10.5px}
th,td{padding:3px 6px}.heat{min-width:0}}
""".strip()
