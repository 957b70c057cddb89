import { TIERS } from '../../shard/tier.ts'
import type { Comparison, EvaluationReport, HeldOut } from './evaluate-model.ts'
import type { Metrics } from './metrics.ts'

const STYLE =
  'body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;color:#222}' +
  'table{border-collapse:collapse;margin:.5em 0 1.5em}th,td{border:1px solid #ddd;padding:.2em .6em;text-align:right}' +
  'th:first-child,td:first-child{text-align:left}th{background:#f4f4f4}'

/** An evaluation as a page for people; everything in it is in the JSON as well. */
export function reportPage(report: EvaluationReport, title: string): string {
  const { rows, overall } = report
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title><style>${STYLE}</style>
<h1>${escaped(title)}</h1>
<p>${report.connections} connections. Learned from ${rows.training} snapshots, stopped and calibrated on ${rows.validation}
later ones, tested on the newest ${rows.test}; no connection is in two of them. Expected calibration error
${report.calibrationError.toFixed(3)}.</p>
<h2>The newest part of the history</h2>${comparisonTable({ all: overall })}
<h2>By what a connection had done</h2>${comparisonTable(prefixed('after queries: ', report.byQueries))}
<h2>At connect, users and applications that are always the same</h2>${comparisonTable({ known: report.knownAtConnect })}
<h2>Users and applications that are several things: shared roles, forged names</h2>
${comparisonTable(prefixed('after queries: ', report.ambiguous))}
<h2>The same connections, each under an application name of another tier</h2>
${comparisonTable(prefixed('after queries: ', report.forged))}
<h2>How sure it is, and how often it is right</h2>${calibrationTable(report.calibration)}
<h2>The model by tier</h2>${classTable(overall.model)}
<h2>What it is (rows), and what it was taken for</h2>${confusionTable(overall.model)}
${report.heldOutFamilies === null ? '' : heldOutSection('Families that it had never seen, after 16 queries', report.heldOutFamilies)}
${heldOutSection('Users and applications that it had never seen, after 16 queries', report.heldOutIdentities)}
</html>
`
}

function prefixed(prefix: string, comparisons: Readonly<Record<string, Comparison>>): Record<string, Comparison> {
  return Object.fromEntries(Object.entries(comparisons).map(([name, comparison]) => [prefix + name, comparison]))
}

function comparisonTable(comparisons: Readonly<Record<string, Comparison>>): string {
  const names = ['model', 'lookup', 'logistic', 'rules', 'majority'] as const
  const head = names.map((name) => `<th>${name === 'lookup' ? 'lookup table' : name}</th>`).join('')
  const lines = Object.entries(comparisons).map(([title, comparison]) => {
    const cells = names.map(
      (name) => `<td>${shown(comparison[name].accuracy)} / ${shown(comparison[name].macroF1)}</td>`,
    )
    return `<tr><td>${escaped(title)} (${comparison.model.rows})</td>${cells.join('')}</tr>`
  })
  return `<table><tr><th>accuracy / macro-F1</th>${head}</tr>${lines.join('')}</table>`
}

function classTable({ classes, cost }: Metrics): string {
  const lines = Object.entries(classes).map(
    ([tier, { precision, recall, f1, rows }]) =>
      `<tr><td>${tier} (${rows})</td><td>${shown(precision)}</td><td>${shown(recall)}</td><td>${shown(f1)}</td></tr>`,
  )
  return `<table><tr><th></th><th>precision</th><th>recall</th><th>F1</th></tr>${lines.join('')}</table>
<p>Mean cost of a snapshot: ${shown(cost)}.</p>`
}

function confusionTable({ confusion }: Metrics): string {
  const lines = confusion.map(
    (line, k) => `<tr><td>${TIERS[k]}</td>${line.map((count) => `<td>${count}</td>`).join('')}</tr>`,
  )
  return `<table><tr><th></th>${TIERS.map((tier) => `<th>${tier}</th>`).join('')}</tr>${lines.join('')}</table>`
}

function calibrationTable(bins: EvaluationReport['calibration']): string {
  const lines = bins.map(
    ({ rows, confidence, right }) =>
      `<tr><td>${rows} snapshots</td><td>${shown(confidence)}</td><td>${shown(right)}</td></tr>`,
  )
  return `<table><tr><th></th><th>confidence</th><th>right</th></tr>${lines.join('')}</table>`
}

function heldOutSection(title: string, { after16, answered, each, abstainedAtConnect }: HeldOut): string {
  const lines = Object.entries(each).map(
    ([name, { rows, accuracy }]) => `<tr><td>${escaped(name)} (${rows})</td><td>${shown(accuracy)}</td></tr>`,
  )
  return `<h2>${escaped(title)}</h2><p>Accuracy ${shown(after16.accuracy)}, macro-F1 ${shown(after16.macroF1)} over all, if
it has to answer. It does answer ${percent(answered.rows / after16.rows)} of them, and is right for ${percent(answered.accuracy)} of those; the others
behave like nothing that it knows. At connect it says nothing of ${percent(abstainedAtConnect)}.</p>
<table><tr><th></th><th>accuracy</th></tr>${lines.join('')}</table>`
}

function percent(part: number): string {
  return Number.isNaN(part) ? '0 %' : `${(100 * part).toFixed(1)} %`
}

function shown(value: number): string {
  return Number.isNaN(value) ? '' : value.toFixed(3)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
