import type { ReportContext, ShowCommand } from '../console/command.ts'
import { showPlanes } from '../console/command-set/show-planes.ts'
import { showPools } from '../console/command-set/show-pools.ts'
import { showShards } from '../console/command-set/show-shards.ts'
import type { Value } from '../console/table.ts'
import { readiness } from './health.ts'

/** Everything a page of ours may load: nothing but its own style. */
export const STATUS_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

const STYLE = `body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#222;background:#fff}
table{border-collapse:collapse;margin:.5em 0 2em;display:block;overflow-x:auto}
th,td{border:1px solid #ddd;padding:.2em .6em;text-align:left;white-space:nowrap}th{background:#f4f4f4}
.ready{color:#176f2c}.unready{color:#b3261e}`

/** A plain page for people: whether the router is ready, its shards, pools and planes. Renews itself every five seconds. */
export function statusPage(context: ReportContext): string {
  const { ok, reasons } = readiness(context.control)
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Switchyard</title><style>${STYLE}</style></head>
<body>
<h1>Switchyard ${escapeHtml(context.control.version)}</h1>
<p class="${ok ? 'ready' : 'unready'}">${ok ? 'Ready.' : reasons.map(escapeHtml).join('<br>')}</p>
${section('Shards', showShards, context)}${section('Pools', showPools, context)}${section('Planes', showPlanes, context)}
<p><a href="/metrics">metrics</a> · <a href="/api/clients">clients</a> · <a href="/api/servers">servers</a></p>
</body>
</html>
`
}

function section(title: string, command: ShowCommand, context: ReportContext): string {
  const head = command.columns.map(({ name }) => `<th>${escapeHtml(name)}</th>`).join('')
  const cells = (row: readonly Value[]): string =>
    row.map((value) => `<td>${escapeHtml(String(value ?? ''))}</td>`).join('')
  const body = [...command.rows(context)].map((row) => `<tr>${cells(row)}</tr>\n`).join('')
  return `<h2>${title}</h2>\n<table><tr>${head}</tr>\n${body}</table>\n`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}
